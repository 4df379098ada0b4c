//! Landlock: rules on files that hold even if a mount were not what it should be, where the kernel has them.
//!
//! Beside namespaces it is best effort by kernel, so that an older one gives fewer rules; those stand without them. Where
//! there are none, all of it is demanded.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::fault::{Fault, OrFault, Step};
use crate::mounts::{DEVICES, PROGRAMS, SETTINGS};
use crate::spec::{HOME, WORKSPACE};
use crate::sys;

/// The newest rules that were tried.
const NEWEST: ABI = ABI::V6;

/// What may be done with the files that last: the workspace's, and those of a home directory that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Nothing but to read those of the workspace.
    ReadOnly,
    /// Everything but to make one, by whatever name; those that there are can be written and removed.
    NoMore,
    /// Everything.
    Writable,
}
/// The oldest version that is a wall by itself: the first that keeps signals and abstract sockets in.
pub(crate) const VERSION_MIN: u32 = 6;

/// What of `/etc` is the host's own and that programs do not work without: the names of its users and how names are found.
const NAMES: &[&str] = &["etc/group", "etc/hosts", "etc/nsswitch.conf", "etc/passwd", "etc/protocols", "etc/services"];

/// What of `/proc` tells of the machine alone. Directories of processes are not among it: their command lines, connections
/// and mounts are everybody's to read.
const MACHINE: &[&str] = &[
    "proc/cpuinfo",
    "proc/filesystems",
    "proc/loadavg",
    "proc/meminfo",
    "proc/stat",
    "proc/sys/kernel/cap_last_cap",
    "proc/sys/kernel/osrelease",
    "proc/sys/kernel/ostype",
    "proc/sys/kernel/pid_max",
    "proc/sys/kernel/threads-max",
    "proc/sys/vm/overcommit_memory",
    "proc/uptime",
    "proc/version",
];

/// Confines this process and all that it starts: programs run from anywhere but `/dev`, and files are written where they
/// may be.
pub(crate) fn confine(lasting: Lasting, is_home_kept: bool) -> Result<(), Fault> {
    let read = AccessFs::from_read(NEWEST);
    let write = AccessFs::from_all(NEWEST);
    let execute = BitFlags::from(AccessFs::Execute);
    let workspace = match lasting {
        Lasting::ReadOnly => read,
        Lasting::NoMore => write & !make(),
        Lasting::Writable => write,
    };
    let home = if lasting == Lasting::NoMore && is_home_kept { write & !make() } else { write };
    let confined = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut rules = vec![(PathBuf::from("/"), read & !execute)];
        for entry in fs::read_dir("/")? {
            let path = entry?.path();
            // A link leads to a directory that has a rule itself.
            if path.is_symlink() {
                continue;
            }
            let access = match path.to_str() {
                Some("/dev" | "/proc") => write & !execute,
                Some("/tmp") => write,
                Some(WORKSPACE) => workspace,
                _ => read,
            };
            rules.push((path, access));
        }
        // Where these are directories of their own and not links, they are a container's private places.
        let private = ["/run", "/var/tmp"].map(PathBuf::from).into_iter().filter(|path| path.is_dir() && !path.is_symlink());
        rules.extend(private.map(|path| (path, write)).chain([(PathBuf::from(HOME), home)]));
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(write)?
            .scope(Scope::AbstractUnixSocket | Scope::Signal)?
            .create()?;
        for (path, access) in rules {
            ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(path)?, access))?;
        }
        ruleset.restrict_self()?;
        Ok(())
    };
    confined().map_err(io::Error::other).or_fault(Step::Rules, "landlock_restrict_self")
}

/// Making a file, of whatever kind.
fn make() -> BitFlags<AccessFs> {
    AccessFs::MakeChar
        | AccessFs::MakeDir
        | AccessFs::MakeReg
        | AccessFs::MakeSock
        | AccessFs::MakeFifo
        | AccessFs::MakeBlock
        | AccessFs::MakeSym
}

/// Confines this process and all that it starts where no namespaces do: programs and settings of the host are read, `write`
/// is written, `read` is read, and no TCP, no signal and no abstract socket leads out. What is in `no_more` as well is
/// written, and nothing is made in it. All of it, or an error.
pub(crate) fn confine_alone(read: &[PathBuf], write: &[PathBuf], no_more: &[PathBuf]) -> Result<(), Fault> {
    let version = sys::privileges::landlock_version();
    if version < VERSION_MIN {
        let error = io::Error::new(io::ErrorKind::Unsupported, format!("this kernel has version {version}"));
        return Err(Fault::new(Step::OldRules, format!("version {VERSION_MIN}"), error));
    }
    let alone = || -> Result<RulesetStatus, Box<dyn std::error::Error + Send + Sync>> {
        let all = AccessFs::from_all(NEWEST);
        let look = BitFlags::from(AccessFs::ReadFile);
        let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(all)?
            .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
            .scope(Scope::AbstractUnixSocket | Scope::Signal)?;
        let mut made = ruleset.create()?;
        let of_host = |names: &'static [&str]| names.iter().map(|name| PathBuf::from(format!("/{name}")));
        for path in of_host(PROGRAMS).chain(of_host(SETTINGS)).chain(of_host(NAMES)).chain(read.iter().cloned()) {
            made = allow_if_there(made, &path, AccessFs::from_read(NEWEST))?;
        }
        for (path, access) in of_host(DEVICES).map(|path| (path, device)).chain(of_host(MACHINE).map(|path| (path, look))) {
            made = allow_if_there(made, &path, access)?;
        }
        for path in write {
            let place = PathFd::new(path)?;
            let access = if no_more.contains(path) { all & !make() } else { all };
            made = made.add_rule(PathBeneath::new(place, access))?;
        }
        Ok(made.restrict_self()?.ruleset)
    };
    match alone().map_err(io::Error::other).or_fault(Step::Rules, "landlock_restrict_self")? {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced | RulesetStatus::NotEnforced => {
            Err(Fault::new(Step::Rules, "landlock_restrict_self", io::ErrorKind::Unsupported.into()))
        }
    }
}

/// Adds a rule for what this user can get to; for all else there is nothing to be allowed.
fn allow_if_there(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Box<dyn std::error::Error + Send + Sync>> {
    let (Ok(found), Ok(place)) = (fs::metadata(path), PathFd::new(path)) else { return Ok(ruleset) };
    let access = if found.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    Ok(ruleset.add_rule(PathBeneath::new(place, access))?)
}
