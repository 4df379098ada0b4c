//! One command's processes: their memory, and what else is told of them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;

use super::cpu::{self, Look, Seen};
use super::unnamed::Mapping;
use super::{kilobytes, shared_memory_of_machine};
use crate::bare;

/// The `/proc` of the host for the process that keeps the sandbox.
const PROC: &str = "/mnt/proc";
/// Where the host's kernel tells that process of its memory.
pub(super) const MEMINFO: &str = "/mnt/proc/meminfo";
/// A file without a name is looked for again when the machine's shared memory has grown by this much, in bytes.
const GROWTH_BYTES: u64 = 16 << 20;

/// How long it is between two exact counts of memory, unless much was taken in between.
const COUNT_PAUSE: Duration = Duration::from_millis(500);

/// When memory was counted exactly, and what the estimate was then.
#[derive(Default)]
pub(crate) struct Counted(Option<(Instant, u64)>);

impl Counted {
    /// Whether processes take more than this, together with what is kept for them elsewhere.
    pub(crate) fn is_over(&mut self, processes: &mut Processes, kept: u64, most: u64) -> bool {
        let estimate = processes.estimate() + kept;
        if estimate <= most {
            self.0 = None;
            return false;
        }
        // Processes that were forked share what they have not changed, so the estimate may be far too high.
        let is_fresh = |(at, then): &(Instant, u64)| at.elapsed() < COUNT_PAUSE && estimate < then + most / 8;
        if self.0.as_ref().is_some_and(is_fresh) {
            return false;
        }
        self.0 = Some((Instant::now(), estimate));
        processes.count() + kept > most
    }
}

/// The processes of a command, by the `/proc` that shows them alone.
pub(crate) struct Processes {
    proc: PathBuf,
    /// Keeps the path above.
    _held: File,
    /// Whose descendants alone are meant, where others can be seen too.
    ancestor: Option<i32>,
    /// How many of the first processes are copies of ourselves.
    n_ours: u32,
    /// What files without a name held, and the machine's shared memory when they were looked for.
    nameless: (u64, u64),
    /// Where the machine tells of its memory.
    meminfo: &'static str,
    /// The machine's shared memory in the beginning.
    machine_before: u64,
}

/// Files in memory that have no name.
#[derive(Default)]
struct Nameless {
    /// Their devices and numbers.
    seen: HashSet<(u64, u64)>,
    bytes: u64,
    /// Whether there is a process that lets only root look at its files. Then all that the machine's shared memory has grown
    /// by since the beginning is taken for its own.
    is_hidden: bool,
}

impl Processes {
    /// `None` as long as the command has no `/proc` of its own.
    pub(super) fn of(first: i32, n_ours: u32, machine_before: u64) -> Option<Processes> {
        // Without being root we may look into what has become another program, not into the copy of ourselves before it.
        let processes = [first.to_string()].into_iter().chain(children_of(Path::new(PROC), first)?);
        let seen = |process: String| File::open(format!("/mnt/proc/{process}/root/proc")).ok();
        let held = processes.filter_map(seen).find(is_own_proc)?;
        let proc = PathBuf::from(format!("/mnt/proc/self/fd/{}", held.as_raw_fd()));
        Some(Processes { proc, _held: held, ancestor: None, n_ours, nameless: (0, 0), meminfo: MEMINFO, machine_before })
    }

    /// All that this process can see, where a container has no others.
    pub(crate) fn here() -> io::Result<Processes> {
        // The launcher, which nobody looks into.
        Processes::of_machine(None, 1)
    }

    /// What descends from a process, where all of the machine can be seen.
    pub(crate) fn below(ancestor: i32) -> io::Result<Processes> {
        Processes::of_machine(Some(ancestor), 0)
    }

    fn of_machine(ancestor: Option<i32>, n_ours: u32) -> io::Result<Processes> {
        let held = File::open("/proc")?;
        let (proc, meminfo) = (PathBuf::from("/proc"), "/proc/meminfo");
        let machine_before = shared_memory_of_machine(meminfo);
        Ok(Processes { proc, _held: held, ancestor, n_ours, nameless: (0, machine_before), meminfo, machine_before })
    }

    /// What they have at most, in bytes: pages that several of them share count several times, and so does what is mapped of
    /// a file without a name.
    pub(crate) fn estimate(&mut self) -> u64 {
        let (mut own, mut shared) = (0, 0);
        self.each(|_, status| {
            own += kilobytes(status, "RssAnon") + kilobytes(status, "VmPTE");
            shared += kilobytes(status, "RssShmem");
        });
        let machine = shared_memory_of_machine(self.meminfo);
        if machine >= self.nameless.1 + GROWTH_BYTES || machine + GROWTH_BYTES < self.nameless.1 {
            let files = self.nameless_files();
            self.nameless = (if files.is_hidden { files.bytes.max(self.grown()) } else { files.bytes }, machine);
        }
        own + self.nameless.0 + shared
    }

    /// What they have, each page counted once, in bytes.
    pub(crate) fn count(&self) -> u64 {
        let files = self.nameless_files();
        let (mut own, mut shared, mut mapped) = (0, 0, 0);
        self.each(|process, status| {
            match fs::read_to_string(process.join("smaps_rollup")) {
                Ok(text) => {
                    own += kilobytes(&text, "Pss_Anon");
                    shared += kilobytes(&text, "Pss_Shmem");
                }
                // What cannot be told apart counts in full.
                Err(_) => own += kilobytes(status, "RssAnon"),
            }
            own += kilobytes(status, "VmPTE");
            if !files.seen.is_empty() {
                mapped += File::open(process.join("smaps")).map_or(0, |smaps| mapped_of(&files.seen, BufReader::new(smaps)));
            }
        });
        // What is mapped of those files is in them already; any other shared memory is beside them.
        let together = files.bytes + shared.saturating_sub(mapped);
        own + if files.is_hidden { together.max(self.grown()) } else { together }
    }

    /// What processor time they have used, and those that they have waited for; one by one, too, and of those that were not
    /// known before whether they compute.
    pub(super) fn times(&self, is_known: impl Fn(cpu::Id) -> bool) -> Look {
        let mut look = Look::default();
        let ticks = |path: &Path| cpu::ticks(&String::from_utf8_lossy(&fs::read(path.join("stat")).ok()?));
        let time = |ticks: u64| Duration::from_millis(ticks.saturating_mul(1000) / clock_ticks_per_second().max(1));
        for path in self.all() {
            let (Some(number), Some(ticks)) = (number(&path), ticks(&path)) else { continue };
            look.total += time(ticks.own.saturating_add(ticks.waited_for));
            let id = (number, ticks.began);
            let is_new = !is_known(id) && !self.is_ours(&path);
            let n_computing = if is_new { numbered(&path.join("task")).map(|thread| cpu::share(&thread)).sum() } else { 0.0 };
            look.processes.push(Seen { id, own: time(ticks.own), n_computing });
        }
        // What is waited for in the end is waited for by whom they descend from.
        let ancestor = self.ancestor.and_then(|ancestor| ticks(&self.proc.join(ancestor.to_string())));
        look.total += ancestor.map_or(Duration::ZERO, |ticks| time(ticks.own.saturating_add(ticks.waited_for)));
        look
    }

    /// What processor time they have used so far.
    pub(crate) fn cpu(&self) -> Duration {
        self.times(|_| true).total
    }

    /// Whether one that [`Processes::each`] shows is a copy of ourselves, which nobody looks into.
    pub(super) fn is_ours(&self, process: &Path) -> bool {
        number(process).is_none_or(|number| number <= self.n_ours)
    }

    /// Open files that are in memory and have no name.
    fn nameless_files(&self) -> Nameless {
        let mut files = Nameless::default();
        self.each(|process, _| {
            let Ok(open) = fs::read_dir(process.join("fd")) else {
                files.is_hidden |= process.exists() && !self.is_ours(process);
                return;
            };
            for open in open.flatten() {
                let points_to = fs::read_link(open.path()).unwrap_or_default();
                if points_to.as_os_str().as_encoded_bytes().starts_with(b"/memfd:")
                    && let Ok(found) = fs::metadata(open.path())
                    && files.seen.insert((found.dev(), found.ino()))
                {
                    files.bytes += found.blocks() * 512;
                }
            }
        });
        files
    }

    /// By how much the machine's shared memory has grown since the beginning, in bytes.
    fn grown(&self) -> u64 {
        shared_memory_of_machine(self.meminfo).saturating_sub(self.machine_before)
    }

    /// Where each of them is.
    fn all(&self) -> Vec<PathBuf> {
        match self.ancestor {
            None => numbered(&self.proc).collect(),
            Some(ancestor) => bare::descendants(ancestor).iter().map(|(id, _)| self.proc.join(id.to_string())).collect(),
        }
    }

    /// Every process with its `status`; of one whose first thread has ended, a thread that lives.
    pub(super) fn each(&self, mut look: impl FnMut(&Path, &str)) {
        for process in self.all() {
            let status = fs::read_to_string(process.join("status")).unwrap_or_default();
            if status.contains("VmRSS:") {
                look(&process, &status);
                continue;
            }
            let alive = numbered(&process.join("task")).find_map(|thread| {
                let status = fs::read_to_string(thread.join("status")).ok()?;
                status.contains("VmRSS:").then_some((thread, status))
            });
            if let Some((thread, status)) = alive {
                look(&thread, &status);
            }
        }
    }
}

/// What of these files a process has mapped, by its `smaps`, each page divided by how often it is mapped, in bytes.
fn mapped_of(files: &HashSet<(u64, u64)>, smaps: impl BufRead) -> u64 {
    let (mut bytes, mut is_one) = (0, false);
    for line in smaps.lines().map_while(Result::ok) {
        let name = line.split_once(':').map_or("", |(name, _)| name);
        match name {
            "Pss" if is_one => bytes += kilobytes(&line, name),
            // A private copy is its process's own.
            "Anonymous" if is_one => bytes = bytes.saturating_sub(kilobytes(&line, name)),
            // Names have no blanks in them, and so a mapping's own line is none.
            _ if name.contains(' ') => is_one = Mapping::deleted(&line).is_some_and(|of| files.contains(&(of.device, of.inode))),
            _ => {}
        }
    }
    bytes
}

/// The processes that a process has started; `None` where it is gone.
fn children_of(proc: &Path, first: i32) -> Option<Vec<String>> {
    let own = proc.join(first.to_string());
    match fs::read_to_string(own.join(format!("task/{first}/children"))) {
        Ok(listed) => Some(listed.split_whitespace().map(str::to_owned).collect()),
        // Kernels can be built without this list (CONFIG_PROC_CHILDREN); then every process says whose it is.
        Err(error) if error.kind() == io::ErrorKind::NotFound && own.exists() => {
            let parent = format!("PPid:\t{first}");
            let is_child = |path: &PathBuf| {
                fs::read_to_string(path.join("status")).is_ok_and(|status| status.lines().any(|line| line == parent))
            };
            let children = numbered(proc).filter(is_child);
            Some(children.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
        }
        Err(_) => None,
    }
}

/// What in a directory has a number for its name.
fn numbered(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| number(path).is_some())
}

fn number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

/// Whether a directory is a `/proc` other than the host's.
fn is_own_proc(directory: &File) -> bool {
    let kind = rustix::fs::fstatfs(directory).map(|found| found.f_type);
    let device = |metadata: std::io::Result<fs::Metadata>| metadata.map(|found| found.dev()).ok();
    kind == Ok(rustix::fs::PROC_SUPER_MAGIC) && device(directory.metadata()) != device(fs::metadata("/mnt/proc"))
}

#[cfg(test)]
mod tests;
