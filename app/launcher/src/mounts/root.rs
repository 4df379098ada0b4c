//! The new root, in which everything is placed by descriptor: what is looked up is what is mounted on.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use crate::fault::{Fault, OrFault, Step};
use crate::mounts::Import;
use crate::spec::{HOME, Spec};
use crate::sys;

const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// A root and how its paths are followed.
pub(super) struct Root<'a> {
    directory: OwnedFd,
    resolve: ResolveFlags,
    spec: &'a Spec,
}

impl<'a> Root<'a> {
    /// One that is being built in the current directory. Its links are ours, and lead to what is in it.
    pub(super) fn fresh(spec: &'a Spec) -> Result<Root<'a>, Fault> {
        Root::at(".", ResolveFlags::IN_ROOT, spec)
    }

    /// One in which commands have already run: what they left in `/tmp` or in their home directory is not followed.
    pub(super) fn used(spec: &'a Spec) -> Result<Root<'a>, Fault> {
        Root::at("/", ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS, spec)
    }

    fn at(path: &str, resolve: ResolveFlags, spec: &'a Spec) -> Result<Root<'a>, Fault> {
        let opened = rustix::fs::open(path, PLACE | OFlags::DIRECTORY, Mode::empty()).map_err(io::Error::from);
        let directory = opened.or_fault(Step::Mount, "the new root")?;
        Ok(Root { directory, resolve: resolve | ResolveFlags::NO_MAGICLINKS, spec })
    }

    /// Puts something in its place, with the directories above it.
    pub(super) fn place(&self, import: &Import) -> Result<(), Fault> {
        let (Import::Link { target, .. } | Import::Tree { target, .. }) = import;
        let placed = || -> io::Result<()> {
            match import {
                Import::Tree { tree, target, is_directory: true } => sys::mounts::attach(tree, &self.make_directories(target)?),
                Import::Tree { tree, target, is_directory: false } => sys::mounts::attach(tree, &self.make_file(target)?),
                Import::Link { points_to, target } => {
                    let (parent, name) = self.make_parents(target)?;
                    Ok(rustix::fs::symlinkat(points_to.as_str(), parent, name)?)
                }
            }
        };
        placed().or_fault(Step::Mount, format!("/{target}"))
    }

    /// Makes the directories of a path, and returns the last; those below the home directory belong to the command's user.
    pub(super) fn make_directories(&self, path: &str) -> io::Result<OwnedFd> {
        let mut parent = self.find("")?;
        let mut begin = 0;
        for end in path.match_indices('/').map(|(end, _)| end).chain([path.len()]) {
            let (above, name) = (&path[..end], &path[begin..end]);
            let made = rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755));
            // A read-only mount says so even of a directory that is there; whether it is, is seen next.
            if let Err(error) = made
                && !matches!(error, Errno::EXIST | Errno::ROFS)
            {
                return Err(error.into());
            }
            parent = self.find(above)?;
            if made.is_ok() && std::path::Path::new(above).starts_with(&HOME[1..]) {
                let (uid, gid) = (Uid::from_raw(self.spec.uid), Gid::from_raw(self.spec.gid));
                rustix::fs::chownat(&parent, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
            }
            begin = end + 1;
        }
        Ok(parent)
    }

    /// Writes a file that is not there yet.
    pub(super) fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let (parent, name) = self.make_parents(path)?;
        std::fs::File::from(new_file(&parent, name)?).write_all(text.as_bytes())
    }

    fn make_file(&self, path: &str) -> io::Result<OwnedFd> {
        let (parent, name) = self.make_parents(path)?;
        match new_file(&parent, name) {
            // Whatever has this name is covered, and a read-only mount may have it too.
            Ok(_) | Err(Errno::EXIST | Errno::ROFS) => self.find(path),
            Err(error) => Err(error.into()),
        }
    }

    fn make_parents<'p>(&self, path: &'p str) -> io::Result<(OwnedFd, &'p str)> {
        match path.rsplit_once('/') {
            Some((parents, name)) => Ok((self.make_directories(parents)?, name)),
            None => Ok((self.find("")?, path)),
        }
    }

    fn find(&self, path: &str) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let found = rustix::fs::openat2(&self.directory, path, PLACE, Mode::empty(), self.resolve);
        let is_used = self.resolve.contains(ResolveFlags::NO_SYMLINKS);
        found.map_err(|error| {
            // With `fs.protected_symlinks` the kernel says of a link in `/tmp` that it may not be followed, before it says that
            // there must be none.
            if matches!(error, Errno::LOOP | Errno::XDEV) || (is_used && error == Errno::ACCESS) {
                io::Error::other("a link is in the way, which an earlier command may have left; let nothing be mounted there")
            } else {
                error.into()
            }
        })
    }
}

/// Makes a file where nothing is, not even a link.
fn new_file(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644))
}
