//! Which paths a patch may name.

use crate::patch::PatchError;

/// The longest path that is accepted, in bytes; what Linux takes.
const PATH_BYTES_MAX: usize = 4096;

/// Brings a path to its one normal form: relative, without `.` and doubled slashes.
///
/// # Errors
/// [`PatchError::Path`] for whatever leaves the tree or could reach git's own files.
pub(super) fn normal(path: &str) -> Result<String, PatchError> {
    let refuse = |reason| Err(PatchError::Path { path: path.escape_debug().take(200).collect(), reason });
    let trimmed = path.trim();
    if trimmed.starts_with('/') {
        return refuse("it is absolute; paths are relative to the root of the repository");
    }
    if trimmed.ends_with('/') {
        return refuse("it names a directory");
    }
    if trimmed.len() > PATH_BYTES_MAX {
        return refuse("it is too long");
    }
    if trimmed.chars().any(char::is_control) {
        return refuse("it has control characters");
    }
    let parts: Vec<&str> = trimmed.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() {
        return refuse("it is empty");
    }
    if parts.contains(&"..") {
        return refuse("it leaves the tree with '..'");
    }
    if parts.iter().any(|part| is_git(part)) {
        return refuse("git's own files are not part of the tree");
    }
    Ok(parts.join("/"))
}

/// Whether some file system takes the name for `.git`: other case, trailing dots and spaces, the short name of
/// Windows, characters that macOS ignores.
fn is_git(part: &str) -> bool {
    let ignored = |c: char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let visible: String = part.chars().filter(|c| !ignored(*c)).collect();
    let name = visible.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1")
}
