//! Where a sandbox tries what it claims: a folder beside the workspaces, for that is where its limits are to hold, and a
//! bait that nothing inside may reach.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use patchwright_domain::proof::Exit;
use patchwright_launcher::probe::Baits;
use patchwright_launcher::trial;

use crate::private_folder::PrivateFolder;
use crate::sandbox::findings::taken;
use crate::sandbox::{Output, Refusal};

/// What must be free where limits are tried: no trial takes as much.
const ROOM_BYTES_MIN: u64 = 40 << 20;
const ROOM_FILES_MIN: u64 = 4096;

/// A folder for one probe. It is removed with this value, or by the sweep where the process was killed.
pub(super) struct Ground {
    folder: PrivateFolder,
    /// Nothing is ever accepted from it: that somebody could connect would be the finding.
    listener: TcpListener,
    /// Where it was made, to be named to people.
    parent: PathBuf,
}

impl Ground {
    /// Lays it out in a folder, which is made if need be. Where there is too little room, nothing could be found out.
    pub(super) fn new(parent: &Path) -> Result<Self, Refusal> {
        let unusable = |error: io::Error| unusable(parent, &error);
        let laid_out = || {
            fs::create_dir_all(parent)?;
            // The launcher starts somewhere else.
            let parent = parent.canonicalize()?;
            check_room(&parent)?;
            let folder = PrivateFolder::new_in(&parent)?;
            fs::create_dir(folder.path().join("workspace"))?;
            File::create_new(folder.path().join("bait"))?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            Ok(Self { folder, listener, parent })
        };
        laid_out().map_err(unusable)
    }

    /// An empty folder for commands.
    pub(super) fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    /// The folder in which this one is.
    pub(super) fn parent(&self) -> &Path {
        &self.parent
    }

    /// Lets a user get to everything here as far as modes go, so that other walls can be tried.
    pub(super) fn give_way(&self, user: u32) -> io::Result<()> {
        self.folder.let_pass(user)?;
        fs::set_permissions(self.folder.path().join("bait"), fs::Permissions::from_mode(0o666))
    }

    /// What nothing inside may reach.
    pub(super) fn baits(&self) -> io::Result<Baits> {
        Ok(Baits { file: self.folder.path().join("bait"), port: self.listener.local_addr()?.port() })
    }

    /// What is wrong where something was to be taken of a disk that was full before its limit, of so much, was reached: then
    /// nobody knows whether the limit would have been kept.
    pub(super) fn had_room(&self, output: &Output, limit: u64) -> Result<(), Refusal> {
        let is_full = output.exit == Exit::Code(trial::FULL_CODE) && taken(output).is_none_or(|taken| taken <= limit);
        if is_full { Err(unusable(&self.parent, &io::ErrorKind::StorageFull.into())) } else { Ok(()) }
    }
}

/// Looks for room where the file system says how much it has; where it does not, the trials find out.
fn check_room(folder: &Path) -> io::Result<()> {
    let found = rustix::fs::statvfs(folder)?;
    let n_bytes = found.f_bavail.saturating_mul(found.f_frsize);
    if found.f_blocks > 0 && n_bytes < ROOM_BYTES_MIN {
        let few = format!("{} MiB are free, and trying its limits takes up to {}", n_bytes >> 20, ROOM_BYTES_MIN >> 20);
        return Err(io::Error::new(io::ErrorKind::StorageFull, few));
    }
    if found.f_files > 0 && found.f_favail < ROOM_FILES_MIN {
        let few = format!("there can be {} more files, and trying its limits takes up to {ROOM_FILES_MIN}", found.f_favail);
        return Err(io::Error::new(io::ErrorKind::StorageFull, few));
    }
    Ok(())
}

fn unusable(parent: &Path, error: &io::Error) -> Refusal {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Refusal {
            missing: format!("room to try the limits of commands in {}: {error}", parent.display()),
            remedy: "free some there, or name a folder with more in `workspace.dir`".to_owned(),
        };
    }
    Refusal {
        missing: format!("a folder to try the limits of commands in: {}: {error}", parent.display()),
        remedy: "name a folder that this user may write to in `workspace.dir`".to_owned(),
    }
}
