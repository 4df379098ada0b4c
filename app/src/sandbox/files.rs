//! The files of one workspace, as seen from outside the sandbox while a command may have left anything in it.
//!
//! Every path is resolved below the workspace's own descriptor; no link is followed out of it, and nothing but regular
//! files and links is opened.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt, PermissionsExt};
use patchwright_domain::patch::FileState;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};

use crate::sandbox::SandboxError;

/// The largest file that is read or written, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The workspace's directory and the user that its files must belong to, if that is not us.
pub(super) struct Files {
    root: Dir,
    owner: Option<u32>,
}

impl Files {
    pub(super) fn open(workspace: &Path, owner: Option<u32>) -> io::Result<Files> {
        Ok(Files { root: Dir::open_ambient_dir(workspace, ambient_authority())?, owner })
    }

    /// The files below a descriptor.
    pub(super) fn of(workspace: OwnedFd, owner: Option<u32>) -> Files {
        Files { root: Dir::from_std_file(workspace.into()), owner }
    }

    /// A path by which this process finds the workspace, as long as this value lives.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.root.as_fd().as_raw_fd()))
    }

    /// The workspace's own descriptor.
    pub(super) fn root(&self) -> &Dir {
        &self.root
    }

    /// Checks that a command can start in this directory.
    pub(super) fn directory(&self, path: &str) -> Result<(), SandboxError> {
        if path.is_empty() {
            return Ok(());
        }
        inside(path)?;
        self.root.open_dir(path).map(drop).map_err(|error| refused(path, error))
    }

    pub(super) fn read(&self, path: &str) -> Result<Option<FileState>, SandboxError> {
        inside(path)?;
        match self.state(path) {
            Ok(state) => Ok(Some(state)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(path, error)),
        }
    }

    fn state(&self, path: &str) -> io::Result<FileState> {
        if self.root.symlink_metadata(path)?.is_symlink() {
            let target = self.root.read_link_contents(path)?.into_os_string().into_vec();
            return Ok(FileState::Symlink { target });
        }
        // What it is now decides, not what it was a moment ago: a link fails to open, and a pipe does not block.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = self.root.open_with(path, OpenOptions::new().read(true).custom_flags(flags))?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file and no symbolic link"));
        }
        let mut content = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
        if content.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is over {FILE_BYTES_MAX} bytes")));
        }
        Ok(FileState::Regular { content, executable: found.permissions().mode() & 0o100 != 0 })
    }

    pub(super) fn write(&self, path: &str, state: Option<&FileState>) -> Result<(), SandboxError> {
        let path_ = inside(path)?;
        let parent = path_.parent().unwrap_or(Path::new(""));
        let name = path_.file_name().ok_or_else(|| refused(path, io::ErrorKind::InvalidFilename.into()))?;
        let written = match state {
            None => self.delete(parent, name),
            Some(state) => self.create(parent, name, state),
        };
        written.map_err(|error| refused(path, error))
    }

    fn delete(&self, parent: &Path, name: &OsStr) -> io::Result<()> {
        let gone = |error: io::Error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) };
        match self.parent(parent) {
            Ok(directory) => directory.remove_file(name).or_else(gone),
            Err(error) => gone(error),
        }
    }

    /// Makes the file anew: whatever was there (a link, a pipe, a second name of a file) is not written to.
    fn create(&self, parent: &Path, name: &OsStr, state: &FileState) -> io::Result<()> {
        if let FileState::Regular { content, .. } = state
            && content.len() as u64 > FILE_BYTES_MAX
        {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it would be over {FILE_BYTES_MAX} bytes")));
        }
        self.make_parents(parent)?;
        let directory = self.parent(parent)?;
        match directory.remove_file(name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.place(&directory, name, state, None)
    }

    /// Writes a file where nothing is, with these permissions or with those that git keeps.
    pub(super) fn place(&self, directory: &Dir, name: &OsStr, state: &FileState, mode: Option<u32>) -> io::Result<()> {
        match state {
            FileState::Regular { content, executable } => {
                let mode = mode.unwrap_or(if *executable { 0o755 } else { 0o644 });
                let mut file = directory.open_with(name, OpenOptions::new().write(true).create_new(true).mode(mode))?;
                file.write_all(content)?;
                // The server's umask is its own; the file's mode is what git keeps.
                rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
                self.give(directory, name)
            }
            FileState::Symlink { target } => {
                directory.symlink_contents(OsStr::from_bytes(target), name)?;
                self.give(directory, name)
            }
        }
    }

    pub(super) fn parent(&self, parent: &Path) -> io::Result<Dir> {
        if parent.as_os_str().is_empty() { self.root.try_clone() } else { self.root.open_dir(parent) }
    }

    fn make_parents(&self, parent: &Path) -> io::Result<()> {
        let mut above = PathBuf::new();
        for part in parent.components() {
            let path = above.join(part);
            match self.root.create_dir(&path) {
                Ok(()) => self.give(&self.parent(&above)?, part.as_os_str())?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            above = path;
        }
        Ok(())
    }

    /// Makes the sandbox's user the owner of what we have just made, whatever stands in its place by now.
    fn give(&self, directory: &Dir, name: &OsStr) -> io::Result<()> {
        let Some(owner) = self.owner else { return Ok(()) };
        let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
        Ok(rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

/// Lets only plain relative paths through: the rest is refused before the file system is asked.
pub(super) fn inside(path: &str) -> Result<&Path, SandboxError> {
    let path_ = Path::new(path);
    let is_plain = path_.components().all(|part| match part {
        Component::Normal(_) => true,
        Component::CurDir | Component::ParentDir | Component::RootDir | Component::Prefix(_) => false,
    });
    if is_plain && path_.file_name().is_some() && !path.contains('\0') {
        return Ok(path_);
    }
    let reason = "it is no plain path inside the workspace".to_owned();
    Err(SandboxError::Path { path: path.to_owned(), reason })
}

/// Tells a path that was refused from a machine that is out of room.
pub(super) fn refused(path: &str, error: io::Error) -> SandboxError {
    let is_path = [
        io::ErrorKind::AlreadyExists,
        io::ErrorKind::DirectoryNotEmpty,
        io::ErrorKind::FileTooLarge,
        io::ErrorKind::InvalidFilename,
        io::ErrorKind::InvalidInput,
        io::ErrorKind::IsADirectory,
        io::ErrorKind::NotADirectory,
        io::ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied,
    ]
    .contains(&error.kind());
    // No stable kinds exist for these two: a link where none is followed, and a socket or an absent device.
    if is_path || matches!(rustix::io::Errno::from_io_error(&error), Some(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO)) {
        return SandboxError::Path { path: path.to_owned(), reason: error.to_string() };
    }
    SandboxError::Machine { context: format!("working on {path}"), source: error }
}

/// Does work on files where it may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    context: &str,
    work: impl FnOnce() -> Result<T, SandboxError> + Send + 'static,
) -> Result<T, SandboxError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(SandboxError::Machine { context: context.to_owned(), source: io::Error::other(error) }),
    }
}
