//! What went wrong while the sandbox was made, and what an operator is told about it.

use std::io;

use crate::status::Status;

/// The part of the sandbox that was being made; it decides the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Spec,
    Process,
    Group,
    Namespaces,
    Identity,
    Network,
    Mount,
    Layer,
    Privileges,
    Rules,
    OldRules,
    Reach,
    Filter,
    Command,
}

/// A step that the machine refused.
#[derive(Debug)]
pub(crate) struct Fault {
    step: Step,
    what: String,
    source: io::Error,
}

/// Says which step an error belongs to.
pub(crate) trait OrFault<T> {
    fn or_fault(self, step: Step, what: impl Into<String>) -> Result<T, Fault>;
}

impl<T> OrFault<T> for io::Result<T> {
    fn or_fault(self, step: Step, what: impl Into<String>) -> Result<T, Fault> {
        self.map_err(|source| Fault { step, what: what.into(), source })
    }
}

impl Fault {
    pub(crate) fn new(step: Step, what: impl Into<String>, source: io::Error) -> Fault {
        Fault { step, what: what.into(), source }
    }

    /// Returns the line for the supervisor.
    pub(crate) fn refusal(&self) -> Status {
        let layer = match self.step {
            Step::Spec => "a readable spec",
            Step::Process => "processes",
            Step::Group => "a control group for the command",
            Step::Namespaces => "namespaces",
            Step::Identity => "a user namespace with an identity of its own",
            Step::Network => "a network namespace with its own loopback",
            Step::Mount => "the allow-listed root",
            Step::Layer => "a workspace over a shared tree (overlayfs)",
            Step::Privileges => "a process without privileges",
            Step::Rules | Step::OldRules => "rules on files (Landlock)",
            Step::Reach => "a way to the sandbox's folders for the user of its commands",
            Step::Filter => "the system-call filter (seccomp)",
            Step::Command => "the command's program or directory",
        };
        Status::Refused { missing: format!("{layer}: {}: {}", self.what, self.source), remedy: self.remedy(are_forbidden()) }
    }

    /// What can be done; `are_forbidden` if the machine's own word is that there are to be no namespaces.
    fn remedy(&self, are_forbidden: bool) -> String {
        let blocked = matches!(self.source.raw_os_error(), Some(libc::EPERM | libc::EACCES));
        let full = matches!(self.source.raw_os_error(), Some(libc::ENOSPC | libc::EUSERS));
        let unknown = matches!(self.source.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL));
        let remedy = match self.step {
            Step::Namespaces | Step::Identity | Step::Network | Step::Privileges if blocked => BLOCKED,
            Step::Namespaces | Step::Identity | Step::Privileges if full => FULL,
            Step::Privileges if unknown => UNMAPPED,
            Step::Namespaces | Step::Identity | Step::Mount if unknown => OLD_KERNEL,
            Step::Mount if blocked => MOUNT_BLOCKED,
            Step::Mount => "make the path exist, or take it out of the sandbox's read-only paths",
            Step::Layer => "keep `workspace.dir` on a file system that overlayfs can write to, such as ext4, XFS or Btrfs",
            Step::Group => GROUP_TAKEN,
            Step::OldRules => OLD_RULES,
            Step::Reach => UNREACHABLE,
            Step::Filter => "run a kernel built with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64",
            Step::Command => "install a shell at the path named, and start in a directory of the workspace",
            Step::Spec => "start the server and the launcher from the same binary",
            Step::Rules | Step::Process | Step::Namespaces | Step::Identity | Step::Network | Step::Privileges => {
                "free processes, memory or open files on this machine and try again"
            }
        };
        // That all are in use passes; nothing weaker takes the place of what will soon be there again.
        let is_of_namespaces =
            [BLOCKED, OLD_KERNEL, UNMAPPED, MOUNT_BLOCKED].contains(&remedy) || (remedy == FULL && are_forbidden);
        if is_of_namespaces { format!("{remedy}{LAST_RESORT}") } else { remedy.to_owned() }
    }
}

/// Whether the kernel was told that there are to be none of some kind of namespace.
fn are_forbidden() -> bool {
    let limit = |kind: &str| std::fs::read_to_string(format!("/proc/sys/user/max_{kind}_namespaces"));
    ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"].into_iter().any(|kind| limit(kind).is_ok_and(|text| text.trim() == "0"))
}

/// How every remedy ends for a machine that gives no namespaces, and no other.
pub(crate) const LAST_RESORT: &str = " Until then no repository code runs. As the last resort, `sandbox.isolation = \"landlock\"` takes rules on files alone where \
    there are no namespaces, without any socket: loopback tests will fail.";
const BLOCKED: &str = "user namespaces are blocked here. On Ubuntu, allow them with an AppArmor profile for this binary \
    (`patchwright doctor --apparmor` prints it) or with sysctl kernel.apparmor_restrict_unprivileged_userns=0; on Debian, \
    with sysctl kernel.unprivileged_userns_clone=1; in a container, start it with seccomp=unconfined and \
    systempaths=unconfined; under systemd, without RestrictNamespaces=.";
const FULL: &str = "raise /proc/sys/user/max_user_namespaces (and its neighbours max_mnt_namespaces, max_net_namespaces, \
    max_pid_namespaces) above 0 and above what is in use.";
const OLD_KERNEL: &str = "run Linux 5.12 or newer with user, pid, mount, network, ipc, uts and cgroup namespaces.";
const OLD_RULES: &str = "run Linux 6.12 or newer with Landlock (`lsm=` among its boot parameters must name `landlock`); before that, \
    signals from inside reach the processes outside. Until then no repository code runs.";
const UNREACHABLE: &str = "let the sandbox's user pass (mode o+x) to the folder named: without namespaces a command has to get to \
    its workspace by the host's own path";
const UNMAPPED: &str = "let the sandbox's user exist: a server that is root in a container needs that id in the container's \
    range (65536 ids are usual), or can run as a plain user instead.";
const GROUP_TAKEN: &str = "leave the server's control group to the server while it runs (under systemd: `Delegate=memory pids`), \
    and start it again. Until then no repository code runs.";
const MOUNT_BLOCKED: &str = "the kernel refused a mount: in a container, start it with seccomp=unconfined and \
    systempaths=unconfined (a masked /proc forbids a fresh one); on Ubuntu, give this binary an AppArmor profile with \
    `userns,`; make the path readable for the server's user.";

#[cfg(test)]
mod tests;
