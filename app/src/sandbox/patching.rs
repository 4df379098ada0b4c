//! Applies a patch to a folder of this machine, all of it or nothing on disk as well.
//!
//! What is new is written beside its place first, under names of its own, and what it replaces is kept there until all is
//! done; if anything fails everything is moved back. Nothing is read or written through a link, neither a file nor a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, PermissionsExt};
use patchwright_domain::patch::{Change, FileState, Patch, PatchError};

use crate::sandbox::SandboxError;
use crate::sandbox::files::{FILE_BYTES_MAX, Files, refused};

/// How many names for a file of ours are tried.
const NAMES_MAX: u32 = 1000;

/// Why a folder is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum PatchingError {
    /// The text is no patch, or does not fit the files.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] SandboxError),
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is new.
    Added,
    /// It was there and is another now.
    Modified,
    /// It is gone.
    Deleted,
}

/// Applies a patch to the files below `folder` and returns what changed.
///
/// # Errors
/// [`PatchingError`]; the folder is as it was then, as far as the machine lets us put things back.
pub fn apply(folder: &Path, text: &str) -> Result<Vec<(Mark, String)>, PatchingError> {
    let patch = Patch::parse(text)?;
    let files = Files::open(folder, None).map_err(|error| refused(&folder.display().to_string(), error))?;
    refuse_linked_directories(&files, &patch)?;
    let mut before = BTreeMap::new();
    for path in patch.paths() {
        let is_below_a_file =
            files.root().symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotADirectory);
        before.insert(path.to_owned(), if is_below_a_file { None } else { files.read(path)? });
    }
    let changes = patch.apply(&before)?;
    let existed = |path: &String| before.get(path).is_some_and(Option::is_some);
    let mark = |(path, state): &Change| match state {
        None => Mark::Deleted,
        Some(_) if existed(path) => Mark::Modified,
        Some(_) => Mark::Added,
    };
    let marks = changes.iter().map(|change| (mark(change), change.0.clone())).collect();
    Swap { files: &files, steps: Vec::new(), folders: Vec::new(), n_names: 0 }.all(&changes)?;
    Ok(marks)
}

/// A directory that is a link could lead to git's own files, which the patch could not name.
fn refuse_linked_directories(files: &Files, patch: &Patch) -> Result<(), SandboxError> {
    let paths = patch.paths();
    let above: BTreeSet<&str> = paths.iter().flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end])).collect();
    for directory in above {
        if files.root().symlink_metadata(directory).is_ok_and(|found| found.is_symlink()) {
            let reason = "it is a symbolic link, and a patch does not write through links".to_owned();
            return Err(SandboxError::Path { path: directory.to_owned(), reason });
        }
    }
    Ok(())
}

/// One file on its way.
struct Step {
    path: String,
    directory: Dir,
    name: OsString,
    /// The new file beside its place.
    staged: Option<OsString>,
    /// The old file beside its place, once it was moved.
    kept: Option<OsString>,
    /// Whether the new file is in its place.
    is_placed: bool,
}

/// All files of a patch on their way.
struct Swap<'f> {
    files: &'f Files,
    steps: Vec<Step>,
    /// Directories that were made, outermost first.
    folders: Vec<PathBuf>,
    n_names: u32,
}

impl Swap<'_> {
    fn all(mut self, changes: &[Change]) -> Result<(), SandboxError> {
        // A file may have to go before a directory of its name can be made.
        let n_deleted = changes.iter().take_while(|(_, state)| state.is_none()).count();
        let (deleted, written) = changes.split_at(n_deleted);
        let done = self.stage_all(deleted).and_then(|()| self.commit_from(0));
        let done = done.and_then(|()| self.stage_all(written)).and_then(|()| self.commit_from(n_deleted));
        if done.is_err() {
            self.back();
        }
        for step in &self.steps {
            for name in [&step.staged, &step.kept].into_iter().flatten() {
                let _ = step.directory.remove_file(name);
            }
        }
        done
    }

    fn stage_all(&mut self, changes: &[Change]) -> Result<(), SandboxError> {
        changes.iter().try_for_each(|(path, state)| self.stage(path, state.as_ref()).map_err(|error| refused(path, error)))
    }

    fn stage(&mut self, path: &str, state: Option<&FileState>) -> io::Result<()> {
        if let Some(FileState::Regular { content, .. }) = state
            && content.len() as u64 > FILE_BYTES_MAX
        {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it would be over {FILE_BYTES_MAX} bytes")));
        }
        let path_ = Path::new(path);
        let parent = path_.parent().unwrap_or(Path::new(""));
        let name = path_.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        if state.is_some() {
            self.make_parents(parent)?;
        }
        let directory = self.files.parent(parent)?;
        let staged = state.map(|_| self.free_name(&directory)).transpose()?;
        let mode = mode(&directory, &name, state);
        self.steps.push(Step { path: path.to_owned(), directory, name, staged, kept: None, is_placed: false });
        match (self.steps.last(), state) {
            (Some(Step { directory, staged: Some(staged), .. }), Some(state)) => self.files.place(directory, staged, state, mode),
            _ => Ok(()),
        }
    }

    fn make_parents(&mut self, parent: &Path) -> io::Result<()> {
        let mut above = PathBuf::new();
        for part in parent.components() {
            above.push(part);
            match self.files.root().create_dir(&above) {
                Ok(()) => self.folders.push(above.clone()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A name in the directory that nothing has.
    fn free_name(&mut self, directory: &Dir) -> io::Result<OsString> {
        for _ in 0..NAMES_MAX {
            self.n_names += 1;
            let name = OsString::from(format!(".patchwright-{}-{}", std::process::id(), self.n_names));
            match directory.symlink_metadata(&name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn commit_from(&mut self, first: usize) -> Result<(), SandboxError> {
        for at in first..self.steps.len() {
            self.commit(at).map_err(|error| refused(&self.steps[at].path, error))?;
        }
        Ok(())
    }

    fn commit(&mut self, at: usize) -> io::Result<()> {
        let directory = self.steps[at].directory.try_clone()?;
        let name = self.steps[at].name.clone();
        if let Ok(found) = directory.symlink_metadata(&name) {
            if found.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let kept = self.free_name(&directory)?;
            keep(&directory, &name, &kept, self.steps[at].staged.is_some())?;
            self.steps[at].kept = Some(kept);
        }
        if let Some(staged) = self.steps[at].staged.take() {
            directory.rename(&staged, &directory, &name).inspect_err(|_| self.steps[at].staged = Some(staged))?;
        }
        self.steps[at].is_placed = true;
        Ok(())
    }

    /// Puts everything back, the last one first.
    fn back(&mut self) {
        for step in self.steps.iter_mut().rev() {
            if let Some(kept) = step.kept.take() {
                let _ = step.directory.rename(&kept, &step.directory, &step.name);
                // Two names of one file are not renamed to one another.
                let _ = step.directory.remove_file(&kept);
            } else if step.is_placed {
                let _ = step.directory.remove_file(&step.name);
            }
        }
        for step in &mut self.steps {
            if let Some(staged) = step.staged.take() {
                let _ = step.directory.remove_file(staged);
            }
        }
        for folder in self.folders.drain(..).rev() {
            let _ = self.files.root().remove_dir(folder);
        }
    }
}

/// Gives the old file a second name, so that its own is never without a file; or moves it where that cannot be, and where
/// nothing follows it.
fn keep(directory: &Dir, name: &OsStr, kept: &OsStr, is_replaced: bool) -> io::Result<()> {
    if is_replaced && directory.hard_link(name, directory, kept).is_ok() {
        return Ok(());
    }
    directory.rename(name, directory, kept)
}

/// The permissions of the file that is replaced, unless the patch says otherwise.
fn mode(directory: &Dir, name: &OsStr, state: Option<&FileState>) -> Option<u32> {
    let Some(FileState::Regular { executable, .. }) = state else { return None };
    let found = directory.symlink_metadata(name).ok().filter(cap_std::fs::Metadata::is_file)?;
    let mode = found.permissions().mode() & 0o7777;
    ((mode & 0o100 != 0) == *executable).then_some(mode)
}
