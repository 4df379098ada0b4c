//! Landlock: rules on files that hold even if a mount were not what it should be, where the kernel has them.
//!
//! Best effort by kernel, so that an older one gives fewer rules; the namespaces stand without them.

use std::fs;
use std::io;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    Scope,
};

use crate::fault::{Fault, OrFault, Step};
use crate::spec::{HOME, WORKSPACE};

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

/// Confines this process and all that it starts: programs run from anywhere but `/dev`, and files are written where they
/// may be.
pub(crate) fn confine(lasting: Lasting, is_home_kept: bool) -> Result<(), Fault> {
    let read = AccessFs::from_read(NEWEST);
    let write = AccessFs::from_all(NEWEST);
    let execute = BitFlags::from(AccessFs::Execute);
    let make = AccessFs::MakeChar
        | AccessFs::MakeDir
        | AccessFs::MakeReg
        | AccessFs::MakeSock
        | AccessFs::MakeFifo
        | AccessFs::MakeBlock
        | AccessFs::MakeSym;
    let workspace = match lasting {
        Lasting::ReadOnly => read,
        Lasting::NoMore => write & !make,
        Lasting::Writable => write,
    };
    let home = if lasting == Lasting::NoMore && is_home_kept { write & !make } else { write };
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
