//! A further filter, for commands that share the host's namespaces: what no rule on files keeps in is closed for all.
//!
//! A socket with a path is reached by whoever may write to it, System V objects and priorities by whoever is the same user,
//! and Landlock has no rules for any of them. So there are no sockets but pairs of streams, which lead nowhere else. Nor has it
//! any for what is said of a file beside its content: its attributes, with access lists among them, stay as they are.

use std::collections::BTreeMap;
use std::io;

use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{MaskedEq, Ne};
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};

use crate::confined::Changes;
use crate::fault::{Fault, OrFault, Step};
use crate::filter;

/// System calls that fail with `EPERM`, whatever their arguments.
const CLOSED: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_accept,
    // Objects of the whole machine, found by numbers and names that are no files.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // Attributes of files, wherever they are: access lists, labels, capabilities.
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
    FILE_SETATTR,
];

/// What changes modes and times, refused too where nothing may be changed: that a file is only read is no rule about them.
const OF_FILES: &[libc::c_long] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_utimensat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
];

/// Younger than what every C library names; the numbers are the same on all architectures.
const SETXATTRAT: libc::c_long = 463;
const REMOVEXATTRAT: libc::c_long = 466;
const FILE_SETATTR: libc::c_long = 469;

/// Calls about a process, 0 for the caller itself, and which argument has its number.
const OF_PROCESS: &[(libc::c_long, u8)] = &[
    (libc::SYS_setpriority, 1),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setscheduler, 0),
    (IOPRIO_SET, 1),
];

/// Calls about a process, its group or its user, by their first argument, and the number that means a process.
const OF_KIND: &[(libc::c_long, u64)] = &[(libc::SYS_setpriority, 0), (IOPRIO_SET, 1)];

const IOPRIO_SET: libc::c_long = libc::SYS_ioprio_set;

/// Kinds of a pair of which each end can be led elsewhere by an address: datagrams, by both of their names.
const ADDRESSED: [i32; 2] = [libc::SOCK_DGRAM, libc::SOCK_RAW];
/// The part of a socket's kind that is no flag.
const KIND_MASK: u64 = 0xf;

/// Puts the filter in force for this process and all that it starts, beside the one that is there.
pub(crate) fn refuse(changes: Changes) -> Result<(), Fault> {
    let program = program(changes).map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error));
    filter::install(&program.or_fault(Step::Filter, "compiling")?)
}

fn program(changes: Changes) -> Result<BpfProgram, seccompiler::BackendError> {
    let of_files: &[libc::c_long] = match changes {
        Changes::ModesAndTimes => &[],
        Changes::Nothing => OF_FILES,
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CLOSED.iter().chain(of_files).map(|call| (*call, Vec::new())).collect();
    for (call, process) in OF_PROCESS {
        let another = SeccompRule::new(vec![SeccompCondition::new(*process, Dword, Ne, 0)?])?;
        rules.entry(*call).or_default().push(another);
    }
    for (call, process) in OF_KIND {
        let several = SeccompRule::new(vec![SeccompCondition::new(0, Dword, Ne, *process)?])?;
        rules.entry(*call).or_default().push(several);
    }
    let pairs = ADDRESSED.map(|kind| {
        let kind = u64::from(kind.unsigned_abs());
        SeccompRule::new(vec![SeccompCondition::new(1, Dword, MaskedEq(KIND_MASK), kind)?])
    });
    rules.insert(libc::SYS_socketpair, pairs.into_iter().collect::<Result<_, _>>()?);
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture)?.try_into()
}
