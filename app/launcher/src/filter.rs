//! The system-call filter: which doors of the kernel are closed to a command.
//!
//! Everything not named is allowed: a test suite is any program. Closed are the doors that only make or change sandboxes,
//! that have let attackers out of one, or that take the disk faster than anybody can look. A foreign architecture kills.

use std::collections::BTreeMap;
use std::io;

use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, sock_filter};

use crate::fault::{Fault, OrFault, Step};

pub(crate) mod alone;
pub(crate) mod set_id;

/// How many filters a command behind rules on files alone has: this one, [`alone`] and [`set_id`].
pub(crate) const N_ALONE: u64 = 3;

/// System calls that fail with `EPERM`, whatever their arguments.
const CLOSED: &[libc::c_long] = &[
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Namespaces; `clone` is looked at by its flags.
    libc::SYS_unshare,
    libc::SYS_setns,
    // The kernel itself.
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_fanotify_init,
    libc::SYS_vhangup,
    // Interfaces with a history of escapes, which no test suite needs.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_memfd_secret,
];

/// Younger than what every C library names; the numbers are the same on all architectures.
const QUOTACTL_FD: libc::c_long = 443;
const OPEN_TREE_ATTR: libc::c_long = 467;

#[cfg(target_arch = "x86_64")]
const CLOSED_HERE: &[libc::c_long] =
    &[libc::SYS_kexec_file_load, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_uselib];
#[cfg(not(target_arch = "x86_64"))]
const CLOSED_HERE: &[libc::c_long] = &[];

const NAMESPACE_FLAGS: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// How else than by `fallocate` a file is given room that nothing is written to; every file system obeys.
const ROOM_REQUESTS: &[u64] = &[FS_IOC_RESVSP, FS_IOC_RESVSP64, FS_IOC_ZERO_RANGE];
const FS_IOC_RESVSP: u64 = 0x4030_5828;
const FS_IOC_RESVSP64: u64 = 0x4030_582a;
const FS_IOC_ZERO_RANGE: u64 = 0x4030_5839;

/// What of `fallocate` only takes away or moves; each of these excludes all that gives room.
const GIVING_NOTHING: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_COLLAPSE_RANGE | libc::FALLOC_FL_INSERT_RANGE;

const SOCKET_FAMILIES: &[i32] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Compiles the filter for this machine.
pub(crate) fn compile() -> Result<BpfProgram, Fault> {
    program().map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error)).or_fault(Step::Filter, "compiling")
}

/// Puts the filter in force for this process and all that it starts.
pub(crate) fn install(filter: &BpfProgram) -> Result<(), Fault> {
    seccompiler::apply_filter(filter).map_err(io::Error::other).or_fault(Step::Filter, "seccomp(SECCOMP_SET_MODE_FILTER)")
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in CLOSED.iter().chain(CLOSED_HERE) {
        rules.insert(*call, Vec::new());
    }
    let namespaces = NAMESPACE_FLAGS.iter().map(|flag| {
        let flag = u64::from(flag.cast_unsigned());
        SeccompRule::new(vec![SeccompCondition::new(0, Dword, MaskedEq(flag), flag)?])
    });
    rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    // The kernel looks at 32 bits of the request, so the rule does too; the type of the constants differs by C library.
    let terminal = [libc::TIOCSTI as u32, libc::TIOCLINUX as u32].map(u64::from);
    let requests = terminal.iter().chain(ROOM_REQUESTS);
    let requests = requests.map(|request| SeccompRule::new(vec![SeccompCondition::new(1, Dword, Eq, *request)?]));
    rules.insert(libc::SYS_ioctl, requests.collect::<Result<_, _>>()?);
    let is_not = |family: i32| SeccompCondition::new(0, Dword, Ne, family.unsigned_abs().into());
    let foreign = SOCKET_FAMILIES.iter().map(|family| is_not(*family)).collect::<Result<Vec<_>, _>>()?;
    let netlink = vec![
        SeccompCondition::new(0, Dword, Eq, libc::AF_NETLINK.unsigned_abs().into())?,
        SeccompCondition::new(2, Dword, Ne, libc::NETLINK_ROUTE.unsigned_abs().into())?,
    ];
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(foreign)?, SeccompRule::new(netlink)?]);
    rules.insert(libc::SYS_socketpair, vec![SeccompRule::new(vec![is_not(libc::AF_UNIX)?])?]);

    // The limits of another process, such as the first one, which must go on.
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![SeccompCondition::new(0, Dword, Ne, 0)?])?]);

    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let rest: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture)?.try_into()?;
    Ok(prologue().into_iter().chain(roomless()).chain(rest).collect())
}

/// Answers `ENOSYS` to `clone3`, whose flags no filter can see (the C library then uses `clone`), and to the x32 calls
/// of x86_64, which share its architecture number under other call numbers. The rest falls through to the rules.
fn prologue() -> Vec<sock_filter> {
    const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const X32_BIT: u32 = 0x4000_0000;
    let mut steps = absent(libc::SYS_clone3);
    // On other architectures no call number has this bit, so the check is merely idle there.
    steps.insert(1, sock_filter { code: IF_AT_LEAST, jt: 1, jf: 0, k: X32_BIT });
    steps
}

/// Answers `EOPNOTSUPP` to a `fallocate` that gives a file room, as file systems without it do; the C library then writes.
/// It takes any number of bytes at once, so whoever looks at the disk now and then would see it too late.
fn roomless() -> Vec<sock_filter> {
    const IF_ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    /// The lower half of the second argument, on machines whose numbers begin with their low end, as all of ours do.
    const MODE_OFFSET: u32 = 24;
    let answer = libc::SECCOMP_RET_ERRNO | libc::EOPNOTSUPP.unsigned_abs();
    vec![
        step(LOAD, 0, 0, 0),
        step(IF_EQUAL, 0, 3, libc::SYS_fallocate as u32),
        step(LOAD, 0, 0, MODE_OFFSET),
        step(IF_ANY_BIT, 1, 0, GIVING_NOTHING.unsigned_abs()),
        step(RETURN, 0, 0, answer),
    ]
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

fn step(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Answers `ENOSYS` to one call, as a kernel without it does, and lets all others fall through.
fn absent(call: libc::c_long) -> Vec<sock_filter> {
    let answer = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    // Offset 0 is the number.
    vec![step(LOAD, 0, 0, 0), step(IF_EQUAL, 0, 1, call as u32), step(RETURN, 0, 0, answer)]
}
