//! A second filter, for trees that stay on the host: no file is made that runs as its owner or its group wherever it is
//! started. Setuid and setgid bits count nothing inside, but what is made inside is a file of somebody's outside.
//!
//! What a call means by its mode is seen in its argument, which is a number; `openat2`, which has it in memory, is absent.

use std::collections::BTreeMap;
use std::io;

use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::MaskedEq;
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};

use crate::fault::{Fault, OrFault, Step};
use crate::filter;

/// The bits that are refused, each by itself.
///
/// Both are privileges outside. The owner is the server's user, or as root the one that all its sandboxes share. The group is
/// one that the process is in: as root only that user's own, otherwise also every further group of the server's user, such
/// as that of a container engine, which a file gets from a setgid directory that it is made in.
///
/// Setgid on a directory does no harm, but no filter sees what a path names, and its mode tells nothing either: 2755 is as
/// usual for a directory as for a program. Setgid without the group's right to execute is no way out: it counts nothing, but
/// an access list that gives this right later makes a program of it without any mode being set. So it is refused to
/// directories too; those that have it keep it, and hand it on to what is made in them, as the kernel does by itself.
const SET_ID: [u32; 2] = [libc::S_ISUID, libc::S_ISGID];

/// Calls that set a mode, and which argument has it. `mkdir` has the kernel take these bits out.
const MODES: &[(libc::c_long, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (libc::SYS_fchmodat2, 2),
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
];

/// Calls that set a mode where their flags say that they make a file, and which argument has the flags; the mode is next.
const OPENS: &[(libc::c_long, u8)] = &[
    (libc::SYS_openat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
];

/// The flags by which a file is made. That of a temporary one is a bit of its own beside `O_DIRECTORY`.
const MAKING: [i32; 2] = [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY];

/// Puts the filter in force for this process and all that it starts, beside the one that is there.
pub(crate) fn refuse() -> Result<(), Fault> {
    let program = program().map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error));
    filter::install(&program.or_fault(Step::Filter, "compiling")?)
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let has = |argument: u8, bits: u32| SeccompCondition::new(argument, Dword, MaskedEq(bits.into()), bits.into());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (call, mode) in MODES {
        let refused = SET_ID.map(|bit| SeccompRule::new(vec![has(*mode, bit)?]));
        rules.insert(*call, refused.into_iter().collect::<Result<_, _>>()?);
    }
    for (call, flags) in OPENS {
        let pairs = MAKING.iter().flat_map(|making| SET_ID.map(|bit| (making.unsigned_abs(), bit)));
        let refused = pairs.map(|(making, bit)| SeccompRule::new(vec![has(*flags, making)?, has(flags + 1, bit)?]));
        rules.insert(*call, refused.collect::<Result<_, _>>()?);
    }
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let rest: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture)?.try_into()?;
    Ok(filter::absent(libc::SYS_openat2).into_iter().chain(rest).collect())
}
