//! Control groups of version 2, with which the kernel keeps the limits of a command exactly; where the server was given any.
//!
//! A process is in one group, so this is found out once for each process: the group that it was started in is taken, if
//! systemd or whoever made it has handed it over. The server moves into a group of its own below, for the kernel limits no
//! group that has both processes and groups, and beside that each sandbox gets one, in which the launcher makes one for each
//! command. A group that is in use is locked by its server, which is a sign in every process namespace. It knows no sandbox
//! and no limits.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, FlockOperation, Mode, OFlags};

mod place;

/// The group of the server itself and of its launchers.
const SERVER: &str = "patchwright-server";
/// How the names of the sandboxes' groups begin; behind it are the server's process id, when that process began, and a number,
/// so that people know whose they are.
const SANDBOX: &str = "patchwright-sandbox-";
/// What the kernel is to limit.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// How often a group is begun: a sweep may take one away in the moment before it is locked.
const TRIES_MAX: usize = 16;
/// How often is looked for processes that are to be moved out of the way: what they start while they are moved is new.
const MOVES_MAX: u32 = 100;
/// How often a group that still has processes is tried to be removed, and the pause in between: they were killed before.
const REMOVALS_MAX: u32 = 100;
const REMOVAL_PAUSE: Duration = Duration::from_millis(5);

/// Why the kernel does not limit commands by control groups here, and what an operator can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unavailable {
    pub(super) missing: String,
    pub(super) remedy: String,
}

/// The group that this process was given.
#[derive(Debug)]
pub(super) struct Groups {
    base: PathBuf,
    /// What the names of this process's groups begin with.
    prefix: String,
    n_made: AtomicU64,
}

/// The group of one sandbox. It is removed with this value, with whatever is still in it.
#[derive(Debug)]
pub(super) struct Group {
    path: PathBuf,
    directory: OwnedFd,
    /// Locked as long as this process lives, by which sweeps know. The launcher is given the directory, and outlives us by a
    /// moment, so this is another description of it.
    _lock: OwnedFd,
}

/// What this process was given; the first call moves it to its place.
pub(super) fn of_this_process() -> Result<&'static Groups, &'static Unavailable> {
    static GROUPS: OnceLock<Result<Groups, Unavailable>> = OnceLock::new();
    GROUPS.get_or_init(Groups::take).as_ref()
}

impl Groups {
    fn take() -> Result<Groups, Unavailable> {
        let own = place::of_this_process()?;
        let is_taken = own.ends_with(SERVER);
        let base = if is_taken { own.parent().unwrap_or(&own).to_owned() } else { own };
        place::is_ours(&base)?;
        if !is_taken {
            move_in(&base)?;
        }
        let prefix = format!("{SANDBOX}{}-", owner(std::process::id()).unwrap_or_default());
        let groups = Groups { base, prefix, n_made: AtomicU64::new(0) };
        let broken = |error| unavailable(format!("groups that can be limited in {}: {error}", groups.base.display()));
        groups.group().and_then(|group| try_out(&group.path)).map_err(broken)?;
        Ok(groups)
    }

    /// Makes the group of a sandbox.
    pub(super) fn group(&self) -> io::Result<Group> {
        for _ in 1..TRIES_MAX {
            match self.try_group() {
                Err(error) if self.base.is_dir() && is_swept(&error) => {}
                made => return made,
            }
        }
        self.try_group()
    }

    fn try_group(&self) -> io::Result<Group> {
        let number = self.n_made.fetch_add(1, Ordering::Relaxed);
        let path = self.base.join(format!("{}{number}", self.prefix));
        fs::create_dir(&path)?;
        // Whoever holds the lock while the group is there is the one who may remove it.
        let locked = lock(&path).and_then(|lock| {
            allow(&path)?;
            Ok((open(&path)?, lock))
        });
        match locked {
            Ok((directory, lock)) => Ok(Group { path, directory, _lock: lock }),
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(error)
            }
        }
    }

    /// Removes the groups of servers that are no more, and ends what is in them. One that stays keeps no other.
    pub(super) fn sweep(&self) -> io::Result<()> {
        let mut swept = Ok(());
        for entry in fs::read_dir(&self.base)?.flatten() {
            // Held until it is gone, so that nobody else begins with it.
            let Some(_lock) = left_over(&entry.path()) else { continue };
            let shown = entry.path().display().to_string();
            match remove(&entry.path()) {
                Ok(()) => tracing::info!("removed what a killed process left: {shown}"),
                Err(error) => swept = Err(io::Error::new(error.kind(), format!("{shown}: {error}"))),
            }
        }
        swept
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(%error, "a control group was not removed: {}", self.path.display());
        }
    }
}

/// Who makes a group: the number of a process and when it began, which no other process of its namespace has in common with
/// it.
fn owner(process: u32) -> Option<String> {
    /// The place of `starttime` behind the name, see `proc_pid_stat(5)`.
    const STARTED: usize = 19;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(") ")?;
    Some(format!("{process}-{}", behind_name.split(' ').nth(STARTED)?))
}

/// The lock of a group whose maker has ended; `None` for one that is used, and for what is no group of a sandbox. The maker's
/// number says nothing: it may be one of another process namespace, where processes are out of our sight.
fn left_over(group: &Path) -> Option<OwnedFd> {
    let name = group.file_name()?.to_str()?;
    let mut numbers = name.strip_prefix(SANDBOX)?.split('-');
    let is_ours = numbers.clone().count() == 3 && numbers.all(|number| number.parse::<u64>().is_ok());
    is_ours.then(|| lock(group).ok()).flatten()
}

/// Locks a group for as long as the result is kept; refused where somebody has.
fn lock(group: &Path) -> io::Result<OwnedFd> {
    let directory = open(group)?;
    rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
    Ok(directory)
}

fn open(group: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, group, flags, Mode::empty())?)
}

/// Whether a sweep took a group away while it was being made, or somebody of another namespace has its name.
fn is_swept(error: &io::Error) -> bool {
    let is_gone = error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error());
    is_gone || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock | io::ErrorKind::AlreadyExists)
}

/// Moves this process and those that it has started out of the way, so that groups beside them can be limited.
fn move_in(base: &Path) -> Result<(), Unavailable> {
    let own = std::process::id();
    let server = base.join(SERVER);
    let give_up = |error: io::Error| {
        // As it was found, as far as that can be.
        let _ = fs::write(base.join("cgroup.procs"), own.to_string());
        let _ = fs::remove_dir(&server);
        unavailable(format!("a control group that can be divided: {}: {error}", base.display()))
    };
    for _ in 0..MOVES_MAX {
        let there = fs::read_to_string(base.join("cgroup.procs")).unwrap_or_default();
        let (ours, others): (Vec<&str>, Vec<&str>) = there.lines().partition(|process| place::is_of(process, own));
        if !others.is_empty() {
            return Err(place::in_the_way(base, &others));
        }
        if ours.is_empty() {
            break;
        }
        move_to(&server, &ours).map_err(give_up)?;
    }
    allow(base).map_err(give_up)
}

/// Moves processes into a group that is made if need be; what has ended meanwhile needs no moving.
fn move_to(group: &Path, processes: &[&str]) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    processes.iter().try_for_each(|process| match fs::write(group.join("cgroup.procs"), process) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(()),
        moved => moved,
    })
}

/// Has the kernel limit the groups below.
fn allow(group: &Path) -> io::Result<()> {
    let words = CONTROLLERS.map(|controller| format!("+{controller}"));
    fs::write(group.join("cgroup.subtree_control"), words.join(" "))
}

/// Sets the limits once, so that what the kernel lacks is known before a command depends on it.
fn try_out(group: &Path) -> io::Result<()> {
    let leaf = group.join("try");
    fs::create_dir(&leaf)?;
    let set = |name: &str, value: &str| {
        fs::write(leaf.join(name), value).map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
    };
    let tried = set("memory.max", "max").and_then(|()| set("memory.oom.group", "1")).and_then(|()| set("pids.max", "max"));
    let tried = tried.and_then(|()| match set("memory.swap.max", "0") {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !has_swap() => Ok(()),
        set => set,
    });
    fs::remove_dir(&leaf).and(tried)
}

/// Whether memory can go where no group is charged for it.
fn has_swap() -> bool {
    fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

/// Kills everything in a group and removes it with those below.
fn remove(group: &Path) -> io::Result<()> {
    if remove_empty(group).is_ok() {
        return Ok(());
    }
    let _ = fs::write(group.join("cgroup.kill"), "1");
    for _ in 1..REMOVALS_MAX {
        match remove_empty(group) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) => thread::sleep(REMOVAL_PAUSE),
            removed => return removed,
        }
    }
    remove_empty(group)
}

fn remove_empty(group: &Path) -> io::Result<()> {
    let below = match fs::read_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        below => below?,
    };
    let groups = below.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for entry in groups {
        gone(fs::remove_dir(entry.path()))?;
    }
    gone(fs::remove_dir(group))
}

/// What the launcher has removed in the meantime is removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn unavailable(missing: String) -> Unavailable {
    Unavailable { missing, remedy: place::remedy() }
}

/// Whether this process may do all that is needed with a group.
fn may_use(path: &Path) -> io::Result<()> {
    for (name, access) in [("", Access::WRITE_OK | Access::EXEC_OK), ("cgroup.procs", Access::WRITE_OK)] {
        rustix::fs::accessat(CWD, path.join(name), access, AtFlags::EACCESS)?;
    }
    Ok(rustix::fs::accessat(CWD, path.join("cgroup.subtree_control"), Access::WRITE_OK, AtFlags::EACCESS)?)
}

#[cfg(test)]
mod tests;
