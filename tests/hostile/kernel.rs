//! Attacks on the kernel's doors: system calls that make or leave sandboxes, change the machine, or have let others out.

use super::trial::{Bare, Case};

const fn user(name: &'static str, script: &'static str) -> Case {
    Case { name, script, bare: Bare::User }
}

const fn root(name: &'static str, script: &'static str) -> Case {
    Case { name, script, bare: Bare::Root }
}

pub(super) const CASES: &[Case] = &[
    root("mount", "weapons/calls mount"),
    root("mount, bound", "weapons/calls bind-mount"),
    root("mount, changed", "weapons/calls remount"),
    root("umount2", "weapons/calls umount2"),
    root("pivot_root", "weapons/calls pivot_root"),
    root("chroot", "weapons/calls chroot"),
    root("open_tree", "weapons/calls open_tree"),
    root("open_tree_attr", "weapons/calls open_tree_attr"),
    root("move_mount", "weapons/calls move_mount"),
    root("fsopen", "weapons/calls fsopen"),
    root("fsconfig", "weapons/calls fsconfig"),
    root("fsmount", "weapons/calls fsmount"),
    root("fspick", "weapons/calls fspick"),
    root("mount_setattr", "weapons/calls mount_setattr"),
    root("open_by_handle_at", "weapons/calls open_by_handle_at"),
    root("quotactl", "weapons/calls quotactl"),
    root("quotactl_fd", "weapons/calls quotactl_fd"),
    root("swapon", "weapons/calls swapon"),
    root("swapoff", "weapons/calls swapoff"),
    user("a user namespace by unshare", "weapons/calls unshare 0x10000000"),
    user("a user namespace by clone", "weapons/calls clone-user"),
    user("a user namespace by clone3", "weapons/calls clone3-user"),
    user("a user namespace and mounts in it", "weapons/calls unshare 0x10020000"),
    root("a mount namespace", "weapons/calls unshare 0x20000"),
    root("a network namespace", "weapons/calls unshare 0x40000000"),
    root("a pid namespace", "weapons/calls unshare 0x20000000"),
    root("an ipc namespace", "weapons/calls unshare 0x08000000"),
    root("a host name namespace", "weapons/calls unshare 0x04000000"),
    root("a control group namespace", "weapons/calls unshare 0x02000000"),
    root("a time namespace", "weapons/calls unshare 0x00000080"),
    root("setns", "weapons/calls setns"),
    root("setns by a process", "weapons/calls setns-pidfd"),
    root("kexec_load", "weapons/calls kexec_load"),
    root("init_module", "weapons/calls init_module"),
    root("finit_module", "weapons/calls finit_module"),
    root("delete_module", "weapons/calls delete_module"),
    root("reboot", "weapons/calls reboot"),
    root("syslog", "weapons/calls syslog"),
    root("acct", "weapons/calls acct"),
    root("settimeofday", "weapons/calls settimeofday"),
    root("clock_settime", "weapons/calls clock_settime"),
    root("adjtimex", "weapons/calls adjtimex"),
    root("sethostname", "weapons/calls sethostname"),
    root("fanotify_init", "weapons/calls fanotify_init"),
    root("vhangup", "weapons/calls vhangup"),
    root("bpf", "weapons/calls bpf"),
    root("perf_event_open", "weapons/calls perf_event_open"),
    user("userfaultfd", "weapons/calls userfaultfd"),
    root("io_uring_setup", "weapons/calls io_uring_setup"),
    root("io_uring_enter", "weapons/calls io_uring_enter"),
    user("keyctl", "weapons/calls keyctl"),
    user("add_key", "weapons/calls add_key"),
    user("request_key", "weapons/calls request_key"),
    user("memfd_secret", "weapons/calls memfd_secret"),
    root("process_vm_readv of the first process", "weapons/calls process_vm_readv-1"),
    user("a key is pressed on a terminal", "weapons/privileges tiocsti"),
    user("a key is pressed on a terminal, with high bits set", "weapons/privileges tiocsti-high-bits"),
    user("the console is asked", "weapons/privileges tioclinux"),
];

#[cfg(target_arch = "x86_64")]
pub(super) const CASES_HERE: &[Case] = &[
    root("kexec_file_load", "weapons/calls kexec_file_load"),
    root("iopl", "weapons/calls iopl"),
    root("ioperm", "weapons/calls ioperm"),
    user("modify_ldt", "weapons/calls modify_ldt"),
    user("uselib", "weapons/calls uselib"),
    user("a call of x32", "weapons/calls x32"),
    user("a call of 32 bits", "weapons/calls int80"),
];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const CASES_HERE: &[Case] = &[];
