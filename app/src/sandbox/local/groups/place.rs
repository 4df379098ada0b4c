//! Where in the hierarchy of control groups this process is, and whether it may divide what it finds there.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CONTROLLERS, Unavailable, may_use, unavailable};

/// Where systemd, as the first process of a machine, leaves its mark.
const SYSTEMD: &str = "/run/systemd/system";
/// How systemd marks a group that it has handed over.
const DELEGATED: [&str; 2] = ["trusted.delegate", "user.delegate"];
/// How many of the processes that are in the way are named.
const NAMED_MAX: usize = 3;

/// The folder of the group that this process is in.
pub(super) fn of_this_process() -> Result<PathBuf, Unavailable> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    locate(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo")).filter(|path| path.is_dir()).ok_or_else(|| {
        let remedy = "boot a kernel with one hierarchy of control groups (systemd.unified_cgroup_hierarchy=1), mounted at \
                      /sys/fs/cgroup";
        Unavailable { missing: "control groups of version 2".to_owned(), remedy: remedy.to_owned() }
    })
}

/// Puts together what `/proc/self/cgroup` and `/proc/self/mountinfo` say.
pub(super) fn locate(groups: &str, mounts: &str) -> Option<PathBuf> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut words = mount.split(' ').skip(3);
        let (root, folder) = (words.next()?, words.next()?);
        Some(Path::new(folder).join(Path::new(own).strip_prefix(root).ok()?))
    })
}

/// Whether a group can limit what is below it and was handed over to us.
pub(super) fn is_ours(group: &Path) -> Result<(), Unavailable> {
    let controllers = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
    let is_missing = |wanted: &&&str| !controllers.split_whitespace().any(|controller| controller == **wanted);
    let missing: Vec<&str> = CONTROLLERS.iter().filter(is_missing).copied().collect();
    if !missing.is_empty() {
        return Err(unavailable(format!("the controller {} in the control group {}", missing.join(" and "), group.display())));
    }
    may_use(group)
        .map_err(|error| unavailable(format!("a control group that this user may divide: {}: {error}", group.display())))?;
    // Root may write everywhere, and still does not own what systemd keeps.
    let is_marked = |name: &str| rustix::fs::getxattr(group, name, &mut [0_u8; 8][..]).is_ok();
    let is_systemds = rustix::process::geteuid().is_root() && Path::new(SYSTEMD).is_dir();
    if is_systemds && !DELEGATED.into_iter().any(is_marked) {
        return Err(unavailable(format!("a control group that systemd has handed over: {} is its own", group.display())));
    }
    Ok(())
}

/// Whether a process is this one or was started by it.
pub(super) fn is_of(process: &str, own: u32) -> bool {
    let status = || fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    process == own.to_string() || status().lines().any(|line| line == format!("PPid:\t{own}"))
}

/// Says whose processes keep a group from being divided.
pub(super) fn in_the_way(group: &Path, processes: &[&str]) -> Unavailable {
    let name = |process: &&str| {
        let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        format!("{} ({process})", name.trim())
    };
    let named: Vec<String> = processes.iter().take(NAMED_MAX).map(name).collect();
    let more = if processes.len() > NAMED_MAX { " and others" } else { "" };
    unavailable(format!("a control group of the server's own: in {} are also {}{more}", group.display(), named.join(", ")))
}

/// What an operator can do so that this process is given a group.
pub(super) fn remedy() -> String {
    let user = if rustix::process::geteuid().is_root() { "" } else { "--user " };
    if Path::new(SYSTEMD).is_dir() {
        format!(
            "let systemd hand a control group over: `Delegate=memory pids cpu` in the service, as in manifests/patchwright.service; \
             from a shell, `systemd-run {user}--scope -p Delegate=yes patchwright …`"
        )
    } else {
        "start the server alone in a control group (version 2) that its user owns, with `cgroup.procs` and \
         `cgroup.subtree_control` in it and the controllers memory and pids; in a container, with a writable /sys/fs/cgroup of \
         its own"
            .to_owned()
    }
}
