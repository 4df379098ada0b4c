//! Files of this machine that commands in a Pod see read only beside their own, such as a tool's settings.
//!
//! No folder of the host is in a Pod, and a single file cannot be put into a volume before its container runs; so each folder
//! at the root that such files are in is a volume of its own, which is filled beside the files and read beside the commands.
//! It hides what the image has there, so only folders are taken in which an image has nothing.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::private_folder::PrivateFolder;
use crate::sandbox::Refusal;

/// The most folders, and the most bytes of all files together.
const FOLDERS_MAX: usize = 4;
const BYTES_MAX: u64 = 16 << 20;

/// Files for Pods, kept for as long as another Pod may need them.
#[derive(Default)]
pub(super) struct Beside {
    /// The folders inside.
    pub(super) folders: Vec<PathBuf>,
    /// What is in them, by number; none where there are none.
    copies: Option<PrivateFolder>,
}

/// How large one of the volumes may be, in bytes.
pub(super) const VOLUME_BYTES: u64 = BYTES_MAX;

/// What one of the volumes is called.
pub(super) fn volume(number: usize) -> String {
    format!("beside-{number}")
}

impl Beside {
    /// Takes copies of files: the host's path and the one inside.
    pub(super) async fn of(files: Vec<(PathBuf, PathBuf)>) -> Result<Beside, Refusal> {
        if files.is_empty() {
            return Ok(Beside::default());
        }
        tokio::task::spawn_blocking(move || Beside::copied(&files)).await.map_err(|error| unusable("files", &error))?
    }

    fn copied(files: &[(PathBuf, PathBuf)]) -> Result<Beside, Refusal> {
        let copies = PrivateFolder::new().map_err(|error| unusable("a folder for copies", &error))?;
        let (mut folders, mut n_bytes): (Vec<PathBuf>, u64) = (Vec::new(), 0);
        for (source, target) in files {
            let name = source.display().to_string();
            let (folder, path) = divided(target).ok_or_else(|| misplaced(target))?;
            let at = folders.iter().position(|known| *known == folder).unwrap_or_else(|| {
                folders.push(folder);
                folders.len() - 1
            });
            let found = std::fs::metadata(source).map_err(|error| unusable(&name, &error))?;
            n_bytes = n_bytes.saturating_add(found.len());
            if folders.len() > FOLDERS_MAX || n_bytes > BYTES_MAX {
                return Err(unusable(
                    &name,
                    &format!("files beside a Pod's own are over {BYTES_MAX} bytes or in too many folders"),
                ));
            }
            let copy = copies.path().join(at.to_string()).join(path);
            let copying = std::fs::create_dir_all(copy.parent().unwrap_or(&copy)).and_then(|()| std::fs::copy(source, &copy));
            copying.map_err(|error: io::Error| unusable(&name, &error))?;
        }
        Ok(Beside { folders, copies: Some(copies) })
    }

    /// The folders of this machine whose content is to be in the Pod's, by number.
    pub(super) fn contents(&self) -> impl Iterator<Item = (usize, PathBuf)> {
        let copies = self.copies.iter().map(|copies| copies.path().to_owned());
        copies.flat_map(|copies| (0..self.folders.len()).map(move |at| (at, copies.join(at.to_string()))))
    }
}

/// A folder at the root in which an image has nothing, and a path below it.
fn divided(target: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut parts = target.strip_prefix("/").ok()?.components();
    let Some(Component::Normal(first)) = parts.next() else { return None };
    let first = first.to_str()?;
    let rest: Option<PathBuf> = parts
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
        })
        .collect();
    let rest = rest.filter(|rest| !rest.as_os_str().is_empty())?;
    (first == "run" || first.starts_with('.')).then(|| (Path::new("/").join(first), rest))
}

fn misplaced(target: &Path) -> Refusal {
    Refusal {
        missing: format!("a place for {} in a Pod: a volume there would hide what the image has", target.display()),
        remedy: "put the file below /run, or into the image; or use the executor `local` or `container`".to_owned(),
    }
}

fn unusable(what: &str, error: &impl ToString) -> Refusal {
    Refusal {
        missing: format!("what is to be carried into a Pod: {what}: {}", error.to_string()),
        remedy: "make the file readable for the server's user, and not large".to_owned(),
    }
}
