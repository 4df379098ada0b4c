//! Which folders `sandbox exec` gives to the sandbox's user, where it is root and can: none that others rely on.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use patchwright::sandbox::local::SANDBOX_UID;
use patchwright::sandbox::ownership;

/// What belongs to the system, with all below it.
const SYSTEM: [&str; 11] = ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"];
/// Whose folders belong to the system or to a user, but not all below those.
const ABOVE: [&str; 4] = ["/", "/home", "/var", "/opt"];
/// What only the home folder of somebody has.
const KEYS: [&str; 2] = [".ssh", ".gnupg"];
/// Where the system's users and their home folders are.
const USERS: &str = "/etc/passwd";
/// The place of the home folder there.
const HOME: usize = 5;

/// Says why a folder is not to be given away.
///
/// # Errors
/// The reason, with what to do.
pub(super) fn check(folder: &Path) -> anyhow::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    let reason = match place(folder, &homes()) {
        Some(reason) => Some(reason.to_owned()),
        None => ownership::foreign(folder, &[own, SANDBOX_UID])
            .with_context(|| format!("looking at whose files are in {}", folder.display()))?
            .map(|path| format!("{} is somebody else's", path.display())),
    };
    let Some(reason) = reason else { return Ok(()) };
    Err(anyhow!(
        "as root `sandbox exec` gives all files of the workspace to the sandbox's user (id {SANDBOX_UID}), and of {} it does \
         not: {reason}. Name a copy of what the command needs, take `--profile reader`, which gives nothing away, or say \
         `--take-ownership`",
        folder.display()
    ))
}

/// What speaks against a folder because of where it is.
fn place(folder: &Path, homes: &[PathBuf]) -> Option<&'static str> {
    let is_system = SYSTEM.iter().any(|system| folder.starts_with(system));
    let is_directly_below = folder.parent().is_none_or(|parent| ABOVE.iter().any(|above| parent == Path::new(above)));
    if is_system || is_directly_below {
        return Some("it is a folder of the system or of a user");
    }
    if homes.iter().any(|home| home.starts_with(folder)) || KEYS.iter().any(|keys| folder.join(keys).exists()) {
        return Some("it is somebody's home folder");
    }
    None
}

/// The home folders of this machine, this process's own among them.
fn homes() -> Vec<PathBuf> {
    let users = std::fs::read_to_string(USERS).unwrap_or_default();
    let of_users = users.lines().filter_map(|line| line.split(':').nth(HOME)).map(PathBuf::from);
    let own = std::env::var_os("HOME").map(PathBuf::from);
    let all = of_users.chain(own).filter(|home| home.is_absolute());
    all.map(|home| home.canonicalize().unwrap_or(home)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::place;

    #[test]
    fn folders_of_the_system_and_of_users_are_known() {
        let homes = [PathBuf::from("/srv/people/ada")];
        let is_known = |folder: &str| place(Path::new(folder), &homes).is_some();
        for folder in [
            "/",
            "/tmp",
            "/root",
            "/home",
            "/home/ada",
            "/etc",
            "/etc/x/y",
            "/usr/src/z",
            "/var",
            "/var/lib",
            "/srv/people/ada",
            "/srv/people",
        ] {
            assert!(is_known(folder), "{folder}");
        }
        for folder in ["/tmp/x", "/home/ada/x", "/root/x", "/var/lib/x", "/srv/x", "/srv/people/ada/x", "/etcetera/x"] {
            assert!(!is_known(folder), "{folder}");
        }
    }
}
