//! The root that a command sees: a list of what is allowed, on an empty file system.
//!
//! Everything of the host that goes in is first cloned into detached, restricted trees; then the empty root is made, and the
//! trees are attached to it. The process that keeps the sandbox has the host's root behind it; every command gets a copy of
//! the mounts in which that is let go and `/proc` shows its own processes. Nothing is ever mounted below a directory that
//! outlives the sandbox and that a command can write.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use crate::fault::{Fault, OrFault, Step};
use crate::mounts::root::Root;
use crate::spec::{HOME, Layer, ReadOnly, Run, Spec, WORKSPACE};
use crate::sys;
use crate::sys::mounts::{NODEV, NOEXEC, NOSUID, RDONLY};

mod root;

/// Directories of programs; links among them are made again, as on systems where `/bin` is `usr/bin`.
pub(crate) const PROGRAMS: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What of `/etc` is the same for everyone and that programs need.
pub(crate) const SETTINGS: &[&str] = &[
    "etc/alternatives",
    "etc/ca-certificates",
    "etc/ca-certificates.conf",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d",
    "etc/localtime",
    "etc/mime.types",
    "etc/os-release",
    "etc/pki/tls/certs",
    "etc/pki/ca-trust/extracted",
    "etc/ssl/certs",
    "etc/ssl/openssl.cnf",
];

/// What of `/dev` everybody has.
pub(crate) const DEVICES: &[&str] = &["dev/null", "dev/zero", "dev/full", "dev/random", "dev/urandom", "dev/tty"];

const DEVICE_LINKS: &[(&str, &str)] = &[
    ("pts/ptmx", "dev/ptmx"),
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
];

/// Parts of `/proc` that change or tell about the whole machine: read only, or hidden under something empty.
const PROC_READ_ONLY: &[&str] = &["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];
const PROC_HIDDEN: &[&str] = &[
    "proc/acpi",
    "proc/asound",
    "proc/driver",
    "proc/interrupts",
    "proc/kallsyms",
    "proc/kcore",
    "proc/keys",
    "proc/key-users",
    "proc/kmsg",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
];

/// How many files each private file system may hold: each takes kernel memory that `size` does not count.
const PRIVATE_FILES_MAX: u32 = 256 * 1024;

/// A copy of the fresh `/proc` with nothing covered, attached nowhere.
pub(crate) struct Proc(OwnedFd);

impl Proc {
    pub(crate) fn open_for_writing(&self, path: &str) -> io::Result<OwnedFd> {
        sys::descriptors::open_below(&self.0, path)
    }
}

/// The host's files, from which links lead nowhere else.
struct Host(OwnedFd);

impl Host {
    fn at(root: &str) -> Result<Host, Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(root, flags, Mode::empty()).map_err(io::Error::from);
        opened.map(Host).or_fault(Step::Mount, "the host's root")
    }

    /// Finds what is at an absolute path of the host.
    fn find(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Ok(rustix::fs::openat2(&self.0, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?)
    }

    /// Takes a file or directory along.
    fn tree(&self, source: &Path, target: &str, restrictions: u64) -> Result<Import, Fault> {
        let taken = || -> io::Result<Import> {
            let place = self.find(source)?;
            let is_directory = FileType::from_raw_mode(rustix::fs::fstat(&place)?.st_mode) == FileType::Directory;
            let tree = sys::mounts::open_tree(&place)?;
            sys::mounts::restrict_tree(&tree, restrictions)?;
            Ok(Import::Tree { tree, target: target.to_owned(), is_directory })
        };
        taken().or_fault(Step::Mount, source.display().to_string())
    }

    fn tree_if_there(&self, name: &str) -> Result<Option<Import>, Fault> {
        let source = format!("/{name}");
        let found = match fs::symlink_metadata(&source) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::new(Step::Mount, source, error)),
        };
        if found.is_symlink() {
            let points_to = fs::read_link(&source).or_fault(Step::Mount, &*source)?;
            return Ok(Some(Import::Link { points_to: points_to.to_string_lossy().into_owned(), target: name.to_owned() }));
        }
        self.tree(Path::new(&source), name, RDONLY | NOSUID | NODEV).map(Some)
    }

    fn read_only(&self, spec: &Spec, mounts: &[ReadOnly]) -> Result<Vec<Import>, Fault> {
        let import = |mount: &ReadOnly| {
            let invalid = || Fault::new(Step::Mount, mount.target.display().to_string(), io::ErrorKind::InvalidFilename.into());
            let target = mount.target.to_str().and_then(|target| target.strip_prefix('/')).ok_or_else(invalid)?;
            // Below what commands can write and what lasts, a link that one of them left could lead the mount elsewhere.
            let is_below = |lasting: &str| Path::new(target).starts_with(&lasting[1..]);
            let is_kept = is_below(WORKSPACE) || (spec.home.is_some() && is_below(HOME));
            if is_kept || target.split('/').any(|part| part == ".." || part.is_empty()) {
                return Err(invalid());
            }
            self.tree(&mount.source, target, RDONLY | NOSUID | NODEV)
        };
        mounts.iter().map(import).collect()
    }

    fn workspace(&self, spec: &Spec) -> Result<Import, Fault> {
        let restrictions = if spec.is_workspace_read_only { RDONLY | NOSUID | NODEV } else { NOSUID | NODEV };
        let target = &WORKSPACE[1..];
        match &spec.layer {
            None => self.tree(&spec.workspace, target, restrictions),
            Some(layer) => {
                let layered = self.layered(&spec.workspace, layer, restrictions);
                let tree = layered.or_fault(Step::Layer, spec.workspace.display().to_string())?;
                Ok(Import::Tree { tree, target: target.to_owned(), is_directory: true })
            }
        }
    }

    /// Lays the workspace over the tree that others share.
    fn layered(&self, upper: &Path, layer: &Layer, restrictions: u64) -> io::Result<OwnedFd> {
        let (lower, upper, work) = (self.find(&layer.lower)?, self.find(upper)?, self.find(&layer.work)?);
        // By descriptor, so that no character of a path means anything to the kernel's parser.
        let path = |fd: &OwnedFd| CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(io::Error::other);
        let (lower_, upper_, work_) = (path(&lower)?, path(&upper)?, path(&work)?);
        let mut options =
            vec![(c"lowerdir", &*lower_), (c"upperdir", &*upper_), (c"workdir", &*work_), (c"volatile", c""), (c"index", c"off")];
        if sys::privileges::is_root() {
            options.push((c"redirect_dir", c"on"));
        } else {
            options.push((c"userxattr", c""));
        }
        sys::mounts::make_mount(c"overlay", &options, restrictions)
    }
}

/// One thing of the host on its way in.
enum Import {
    Link { points_to: String, target: String },
    Tree { tree: OwnedFd, target: String, is_directory: bool },
}

/// Where the host's files are for the process that keeps the sandbox, and for no command.
const BEHIND: (&str, &CStr) = ("mnt", c"/mnt");

/// Builds the root that the commands share and moves into it; returns the workspace where it is to be found only here.
pub(crate) fn build(spec: &Spec) -> Result<Option<OwnedFd>, Fault> {
    let step = Step::Mount;
    sys::mounts::make_mounts_private().or_fault(step, "making mounts private")?;
    let host = Host::at("/")?;
    let base = base_imports(&host)?;
    let mut asked = vec![host.workspace(spec)?];
    let home = &HOME[1..];
    if let Some(kept) = &spec.home {
        asked.insert(0, host.tree(kept, home, NOSUID | NODEV)?);
    }
    asked.extend(host.read_only(spec, &spec.read_only)?);
    // Any directory does as a place for the new root: this namespace is ours, and the trees are already in hand.
    mount_tmpfs("/usr", "mode=0755,size=16m")?;
    std::env::set_current_dir("/usr").or_fault(step, "entering the new root")?;
    let root = Root::fresh(spec)?;
    for import in &base {
        root.place(import)?;
    }
    write_settings(&root, spec).or_fault(step, "writing /etc")?;
    private_directories(&root, spec)?;
    for (points_to, link) in DEVICE_LINKS {
        symlink(points_to, link).or_fault(step, *link)?;
    }
    for import in &asked {
        root.place(import)?;
    }
    fs::DirBuilder::new().mode(0o755).create(BEHIND.0).or_fault(step, BEHIND.0)?;
    sys::mounts::change_root(c"mnt").or_fault(step, "pivot_root")?;
    std::env::set_current_dir("/").or_fault(step, "entering the new root")?;
    if spec.layer.is_none() {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let workspace = rustix::fs::open(WORKSPACE, flags, Mode::empty()).map_err(io::Error::from);
    workspace.map(Some).or_fault(step, WORKSPACE)
}

/// Makes the copy of the mounts, which this process has just been given, what one command sees.
pub(crate) fn enter(spec: &Spec, run: &Run) -> Result<Proc, Fault> {
    let step = Step::Mount;
    // The kernel gives a fresh one only where a whole one can be seen, so this comes before the host's is let go.
    let proc = mount_proc()?;
    let asked = if run.read_only.is_empty() { Vec::new() } else { Host::at("/mnt")?.read_only(spec, &run.read_only)? };
    sys::mounts::detach(BEHIND.1).or_fault(step, "letting go of the host's root")?;
    if !asked.is_empty() {
        let root = Root::used(spec)?;
        asked.iter().try_for_each(|import| root.place(import))?;
    }
    sys::mounts::restrict_mount(c"/", RDONLY | NOSUID | NODEV).or_fault(step, "making the root read only")?;
    Ok(proc)
}

fn base_imports(host: &Host) -> Result<Vec<Import>, Fault> {
    let mut imports = Vec::new();
    for name in PROGRAMS.iter().chain(SETTINGS) {
        imports.extend(host.tree_if_there(name)?);
    }
    for name in DEVICES {
        imports.push(host.tree(Path::new(&format!("/{name}")), name, NOSUID | NOEXEC)?);
    }
    Ok(imports)
}

fn write_settings(root: &Root<'_>, spec: &Spec) -> io::Result<()> {
    let (uid, gid) = (spec.uid, spec.gid);
    root.write(
        "etc/passwd",
        &format!(
            "root:x:0:0::/nonexistent:/bin/false\nagent:x:{uid}:{gid}::{HOME}:/bin/sh\n\
             nobody:x:65534:65534::/nonexistent:/bin/false\n"
        ),
    )?;
    root.write("etc/group", &format!("root:x:0:\nagent:x:{gid}:\nnogroup:x:65534:\n"))?;
    root.write("etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost ip6-localhost\n")?;
    root.write("etc/hostname", "sandbox\n")?;
    root.write(
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\nprotocols: files\n",
    )
}

fn private_directories(root: &Root<'_>, spec: &Spec) -> Result<(), Fault> {
    let (bytes, uid, gid) = (spec.limits.tmp_bytes, spec.uid, spec.gid);
    let home = &HOME[1..];
    for directory in ["tmp", home, "dev/shm", "dev/pts", "proc", "run", "var"] {
        root.make_directories(directory).or_fault(Step::Mount, format!("/{directory}"))?;
    }
    mount_tmpfs("tmp", &format!("mode=1777,size={bytes}"))?;
    if spec.home.is_none() {
        mount_tmpfs(home, &format!("mode=0700,size={bytes},uid={uid},gid={gid}"))?;
    }
    mount_tmpfs("dev/shm", &format!("mode=1777,size={bytes}"))?;
    symlink("/tmp", "var/tmp").or_fault(Step::Mount, "/var/tmp")?;
    sys::mounts::mount(c"devpts", "dev/pts", libc::MS_NOSUID | libc::MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
        .or_fault(Step::Mount, "/dev/pts")
}

fn mount_tmpfs(target: &str, options: &str) -> Result<(), Fault> {
    let options = format!("{options},nr_inodes={PRIVATE_FILES_MAX}");
    sys::mounts::mount(c"tmpfs", target, libc::MS_NOSUID | libc::MS_NODEV, &options)
        .or_fault(Step::Mount, format!("tmpfs on {target}"))
}

fn mount_proc() -> Result<Proc, Fault> {
    let fault = |what: &str| format!("/{what}");
    sys::mounts::mount(c"proc", "proc", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC, "").or_fault(Step::Mount, "/proc")?;
    let bare = clone_of("proc").or_fault(Step::Mount, "/proc")?;
    for path in PROC_READ_ONLY.iter().filter(|path| Path::new(path).exists()) {
        cover(path, path, RDONLY | NOSUID | NODEV | NOEXEC).or_fault(Step::Mount, fault(path))?;
    }
    for path in PROC_HIDDEN {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                let flags = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
                sys::mounts::mount(c"tmpfs", path, flags, "size=4k,mode=0555").or_fault(Step::Mount, fault(path))?;
            }
            Ok(_) => cover("dev/null", path, RDONLY | NOSUID | NOEXEC).or_fault(Step::Mount, fault(path))?,
            Err(_) => {}
        }
    }
    Ok(Proc(bare))
}

fn clone_of(path: &str) -> io::Result<OwnedFd> {
    sys::mounts::open_tree(&found(path)?)
}

fn found(path: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

fn cover(source: &str, target: &str, restrictions: u64) -> io::Result<()> {
    let tree = clone_of(source)?;
    sys::mounts::restrict_tree(&tree, restrictions)?;
    sys::mounts::attach(&tree, &found(target)?)
}
