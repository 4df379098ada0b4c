//! Attacks on files: what is outside of the workspace is neither read nor written, by whichever way.

use super::trial::{Bare, Case};

const fn user(name: &'static str, script: &'static str) -> Case {
    Case { name, script, bare: Bare::User }
}

const fn root(name: &'static str, script: &'static str) -> Case {
    Case { name, script, bare: Bare::Root }
}

pub(super) const CASES: &[Case] = &[
    user("a file outside is written", r#"writes "$OUTSIDE/canary""#),
    user("a file is made outside", r#"writes "$OUTSIDE/new""#),
    user(
        "a file of the workspace is moved outside",
        r#"touch own; mv own "$OUTSIDE/moved" 2>/dev/null && echo "ESCAPED: moved" || echo "HELD: not moved""#,
    ),
    user(
        "a file outside is removed",
        r#"rm "$OUTSIDE/secret" 2>/dev/null && echo "ESCAPED: removed" || echo "HELD: not removed""#,
    ),
    user("a secret outside is read", r#"reads "$OUTSIDE/secret""#),
    user("a key in somebody's home is read", r#"reads "$OUTSIDE/home/.ssh/id_ed25519""#),
    user("another run's files are read", r#"reads "$SIBLING/secret""#),
    user("another run's files are written", r#"writes "$SIBLING/canary""#),
    user("shared memory of the host is read", r#"reads "$SHARED_MEMORY""#),
    user("a link leads outside", r#"ln -s "$OUTSIDE/secret" link; reads link"#),
    user(
        "a hard link leads outside",
        r#"ln "$OUTSIDE/canary" here 2>/dev/null; if [ -e here ]; then writes here; else echo "HELD: no link"; fi"#,
    ),
    user("a way up leads outside", r#"reads "../../../../../../../../..$OUTSIDE/secret""#),
    user("a process's own root leads outside", r#"reads "/proc/self/root$OUTSIDE/secret""#),
    user("a process's own folder leads outside", r#"reads "/proc/self/cwd/../../../../..$OUTSIDE/secret""#),
    user("a process outside shows its folder", r#"reads "/proc/$VICTIM/cwd/secret""#),
    user("a process outside shows its root", r#"reads "/proc/$VICTIM/root$OUTSIDE/secret""#),
    user(
        "some process shows a root that leads outside",
        r#"for at in /proc/[0-9]*/root /proc/[0-9]*/task/*/root; do
            grep -qs "$SECRET" "$at$OUTSIDE/secret" && echo "ESCAPED: $at" && exit; done; echo "HELD: none does""#,
    ),
    user(
        "the environment of a process is read",
        r#"grep -zls "^SERVERS_SECRET=" /proc/[0-9]*/environ > found; holds "$(cat found)""#,
    ),
    root(
        "the environment of the first process or of the server is read",
        r#"holds "$(cat /proc/1/environ /proc/$SERVER/environ 2>/dev/null | head -c 1 | tr '\0' x)""#,
    ),
    root("the program of the first process or of the server is named", r#"holds "$(readlink /proc/1/exe /proc/$SERVER/exe)""#),
    root(
        "descriptors of the first process or of the server are opened",
        r#"holds "$(ls /proc/1/fd /proc/$SERVER/fd 2>/dev/null | grep -m 1 '^[0-9]')""#,
    ),
    user("the server's process is there", r#"[ -d "/proc/$SERVER" ] && echo "ESCAPED: /proc/$SERVER" || echo "HELD: it is not""#),
    root("the passwords are read", r#"holds "$(head -c 1 /etc/shadow 2>/dev/null)""#),
    root("the home of root is listed", r#"holds "$(ls -A /root 2>/dev/null | head -n 1)""#),
    root(
        "the host's keys are listed",
        r#"holds "$(ls -d /etc/ssh /etc/machine-id /var/lib/dpkg /var/log 2>/dev/null | head -n 1)""#,
    ),
    root("the host's settings are written", r#"opens /etc/passwd"#),
    root("programs are written", r#"opens /usr/bin/env"#),
    user("open descriptors come along", r#"weapons/descriptors"#),
    user("standard output is opened again", r#"weapons/descriptors standard"#),
    root("the core handler is set", r#"opens /proc/sys/kernel/core_pattern"#),
    root("the module loader is set", r#"opens /proc/sys/kernel/modprobe"#),
    root("the host's name is set", r#"opens /proc/sys/kernel/hostname"#),
    root("memory of the host is tuned", r#"opens /proc/sys/vm/overcommit_memory"#),
    root("packets are forwarded", r#"opens /proc/sys/net/ipv4/ip_forward"#),
    root("the machine is commanded", r#"opens /proc/sysrq-trigger"#),
    root("interrupts are moved", r#"opens /proc/irq/default_smp_affinity"#),
    root("the kernel's memory is read", r#"holds "$(head -c 1 /proc/kcore 2>/dev/null | tr '\0\177' xx)""#),
    root("the kernel's addresses are read", r#"holds "$(grep -m 1 -v '^0000000000000000' /proc/kallsyms 2>/dev/null)""#),
    root("the kernel's log is read", r#"[ -r /dev/kmsg ] && echo "ESCAPED: /dev/kmsg" || refused "no log""#),
    root("keys of the kernel are listed", r#"holds "$(head -c 1 /proc/keys 2>/dev/null)""#),
    root("a kernel parameter below /sys is written", r#"opens /sys/kernel/mm/transparent_hugepage/enabled"#),
    root(
        "control groups are written",
        r#"holds "$(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs -writable 2>/dev/null | head -n 1)""#,
    ),
    root("memory devices are opened", "weapons/devices open /dev/mem /dev/kmem /dev/port /dev/kmsg"),
    root("disks are opened", "weapons/devices open /dev/vda /dev/sda /dev/nvme0n1 /dev/xvda /dev/dm-0 /dev/root"),
    root(
        "control devices are opened",
        "weapons/devices open /dev/fuse /dev/loop-control /dev/net/tun /dev/kvm /dev/mapper/control /dev/vhost-vsock /dev/uinput",
    ),
    root("a node of the disk is made", "weapons/devices disk"),
    root("a node of the kernel's log is made", "weapons/devices kmsg"),
    root("a file becomes immutable", "weapons/privileges immutable"),
];
