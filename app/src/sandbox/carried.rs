//! The launcher as it is carried into containers: our own program, with the loader and the libraries that it needs.
//!
//! An image may have another C library or none, and may be hostile, so nothing of it is used: the launcher is started by the
//! loader that has started us, which reads no file and no variable of the image's. The command that the launcher then
//! becomes is the image's own, with the image's libraries.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use patchwright_launcher::NAME;

use crate::private_folder::PrivateFolder;
use crate::sandbox::Refusal;
use patchwright_launcher::resident::orders::MODE;

/// Where all of it lies inside.
pub(super) const FOLDER: &str = "/opt/patchwright/launcher";

/// The file in which the loader looks for libraries to load before all others, whoever started it and however.
pub(super) const PRELOADED: &str = "/etc/ld.so.preload";

/// What is there instead, where all is laid down in one folder: an empty file of that folder.
pub(super) const NOTHING: &str = "nothing";

/// The variables by which a loader would load what an image wants. Others that are for it make it say more or do less.
pub(super) const LOADED: [&str; 4] = ["GLIBC_TUNABLES", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_PRELOAD"];

/// The launcher and what it needs.
pub(super) struct Carried {
    /// Host files and where they are inside.
    pub(super) files: Vec<(PathBuf, String)>,
    /// The command line that starts it inside.
    pub(super) arguments: Vec<String>,
    /// What is there instead of the image's: a folder with nothing but the places of these files, for the loader prefers
    /// libraries in folders below that are made for better processors, and an empty [`PRELOADED`].
    pub(super) instead: Vec<(PathBuf, String)>,
    /// Hold what is not the machine's own.
    folders: Vec<PrivateFolder>,
}

impl Carried {
    /// Packs the launcher of this server.
    ///
    /// # Errors
    /// [`Refusal`] where its file is not what was started.
    pub(super) async fn packed(launcher: &Path) -> Result<Carried, Refusal> {
        let program = launcher.to_owned();
        let packed = tokio::task::spawn_blocking(move || Carried::pack(&program)?.displace()).await;
        packed.map_err(io::Error::other).flatten().map_err(|error| Refusal {
            missing: format!("the launcher: {}: {error}", launcher.display()),
            remedy: "start the server from the patchwright binary, and leave that file in place while it runs".to_owned(),
        })
    }

    /// Packs the launcher at `program`, which must be what this process itself runs, or use no library that this does not.
    pub(super) fn pack(program: &Path) -> io::Result<Carried> {
        let (program, copy) = lasting(program)?;
        let own = format!("{FOLDER}/{NAME}");
        let libraries = libraries(&fs::read("/proc/self/maps")?);
        let loader = libraries.iter().find(|path| file_name(path).is_some_and(|name| name.starts_with("ld-")));
        let arguments = match loader.and_then(|loader| file_name(loader)) {
            None => vec![own.clone(), MODE.to_owned()],
            // Nothing that the image says about libraries counts: neither its cache nor its variables.
            Some(loader) => {
                [&format!("{FOLDER}/{loader}"), "--inhibit-cache", "--library-path", FOLDER, "--argv0", NAME, &own, MODE]
                    .map(str::to_owned)
                    .to_vec()
            }
        };
        let libraries =
            libraries.iter().flat_map(|path| names(path).into_iter().map(|name| (path.clone(), format!("{FOLDER}/{name}"))));
        let files: Vec<(PathBuf, String)> = std::iter::once((program, own)).chain(libraries).collect();
        Ok(Carried { files, arguments, instead: Vec::new(), folders: copy.into_iter().collect() })
    }

    /// Makes what is mounted in the place of an image's own files.
    fn displace(mut self) -> io::Result<Carried> {
        let folder = PrivateFolder::new()?;
        let [places, nothing] = ["places", NOTHING].map(|name| folder.path().join(name));
        fs::create_dir(&places)?;
        fs::set_permissions(&places, Permissions::from_mode(0o755))?;
        self.files.iter().try_for_each(|(_, inside)| fs::write(places.join(relative(inside)), ""))?;
        fs::write(&nothing, "")?;
        fs::set_permissions(&nothing, Permissions::from_mode(0o444))?;
        self.instead = vec![(places, FOLDER.to_owned()), (nothing, PRELOADED.to_owned())];
        self.folders.push(folder);
        Ok(self)
    }

    /// The command line of the launcher inside, in another mode.
    pub(super) fn command(&self, mode: &str) -> Vec<String> {
        let own = self.arguments.len().saturating_sub(1);
        self.arguments[..own].iter().cloned().chain([mode.to_owned()]).collect()
    }

    /// Copies all of it into a folder that is [`FOLDER`] inside.
    ///
    /// What is executed can be executed only: the kernel lets nobody look into a process whose program he cannot read.
    pub(super) fn lay_down(&self, folder: &Path) -> io::Result<()> {
        for (source, inside) in &self.files {
            let target = folder.join(relative(inside));
            fs::copy(source, &target)?;
            let mode = if self.arguments.first() == Some(inside) { 0o111 } else { 0o555 };
            fs::set_permissions(&target, Permissions::from_mode(mode))?;
        }
        let nothing = folder.join(NOTHING);
        fs::write(&nothing, "")?;
        fs::set_permissions(&nothing, Permissions::from_mode(0o444))
    }
}

/// A path of [`FOLDER`] as seen from there.
fn relative(inside: &str) -> &str {
    inside.strip_prefix(FOLDER).unwrap_or(inside).trim_start_matches('/')
}

/// A path at which the engine finds the program; `/proc/self/exe` is ours alone, and its file may have been replaced.
fn lasting(program: &Path) -> io::Result<(PathBuf, Option<PrivateFolder>)> {
    let real = fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    let (wanted, found) = (fs::metadata(program)?, fs::metadata(&real));
    if found.is_ok_and(|found| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino())) {
        return Ok((real, None));
    }
    let folder = PrivateFolder::new()?;
    let copy = folder.path().join(NAME);
    fs::copy(program, &copy)?;
    fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
    Ok((copy, Some(folder)))
}

/// The libraries that a process has loaded, from its `/proc/PID/maps`.
fn libraries(maps: &[u8]) -> BTreeSet<PathBuf> {
    let paths = maps.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b'/')?;
        Some(Path::new(std::ffi::OsStr::from_bytes(&line[at..])).to_owned())
    });
    paths.filter(|path| file_name(path).is_some_and(|name| name.contains(".so"))).collect()
}

/// The names by which programs ask for a library: that of its file, and those of links to it that leave out the end of its
/// version, such as `libz.so.1` for `libz.so.1.2.13`.
fn names(library: &Path) -> Vec<String> {
    let Some(name) = file_name(library) else { return Vec::new() };
    let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
    let shorter = ends.map(|end| &name[..end]).filter(|name| name.contains(".so"));
    let is_it =
        |shorter: &&str| *shorter == name || fs::canonicalize(library.with_file_name(shorter)).is_ok_and(|path| path == library);
    shorter.filter(is_it).map(str::to_owned).collect()
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

#[cfg(test)]
mod tests;
