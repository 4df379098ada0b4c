//! Which names may be in a tree that others check out.
//!
//! Follows git's own `verify_path` with `core.protectHFS` and `core.protectNTFS` on: what this machine's file system
//! takes, somebody else's may read as `.git`.

/// Says why a path may not be in a tree, if so.
pub(super) fn objection(path: &str) -> Option<&'static str> {
    path.split('/').find_map(|part| match part {
        "" | "." | ".." => Some("has a part that names no file"),
        part if part.contains('\0') => Some("has a zero byte"),
        part if is_git_folder(part) => Some("collides with git's own folder"),
        _ => None,
    })
}

/// Whether some file system takes this name for `.git`.
pub(super) fn is_git_folder(name: &str) -> bool {
    // HFS+ ignores these characters, and compares without regard to case.
    let folded: String = name.chars().filter(|c| !is_ignored_by_hfs(*c)).flat_map(char::to_lowercase).collect();
    if folded == ".git" {
        return true;
    }
    // NTFS ignores trailing dots and spaces, and what follows a colon; a backslash parts folders; `git~1` is its short name.
    folded.split('\\').any(|part| {
        let part = part.split(':').next().unwrap_or(part).trim_end_matches(['.', ' ']);
        matches!(part, ".git" | "git~1")
    })
}

fn is_ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Whether a link at `path` to `target` stays inside the tree, whatever other links do that stay inside it too.
///
/// Steps up are counted from the link's own folder, which is no link. After a name they are refused: the name may be a
/// link to somewhere higher.
pub(super) fn link_stays_inside(path: &str, target: &[u8]) -> bool {
    let Ok(target) = std::str::from_utf8(target) else { return false };
    if target.is_empty() || target.starts_with('/') {
        return false;
    }
    let mut depth = path.split('/').count() - 1;
    let mut is_below_a_name = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 || is_below_a_name => return false,
            ".." => depth -= 1,
            part if is_git_folder(part) => return false,
            _ => is_below_a_name = true,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{link_stays_inside, objection};

    #[test]
    fn every_spelling_of_gits_folder_is_refused() {
        for name in
            [".git", ".GIT", ".gIt", ".git ", ".git...", ".git::$INDEX_ALLOCATION", "git~1", "GIT~1", ".g\u{200c}it", "a\\.git"]
        {
            assert!(objection(name).is_some(), "{name:?}");
            assert!(objection(&format!("sub/{name}/config")).is_some(), "{name:?}");
        }
        for name in [".gitignore", ".gitattributes", ".github", "git", "a.git", "x~1"] {
            assert_eq!(objection(name), None, "{name:?}");
        }
        for path in ["", "/", "a//b", "../a", "a/..", "./a"] {
            assert!(objection(path).is_some(), "{path:?}");
        }
    }

    #[test]
    fn a_link_out_of_the_tree_is_seen() {
        for (path, target) in [
            ("a", "/etc/passwd"),
            ("a", "../x"),
            ("d/a", "../../x"),
            ("d/a", "../e/../../x"),
            ("a", ".git/config"),
            ("a", ""),
            ("a", "d/up/../x"),
        ] {
            assert!(!link_stays_inside(path, target.as_bytes()), "{path} -> {target}");
        }
        for (path, target) in [("a", "b"), ("d/a", "../b"), ("d/e/a", "../../b"), ("d/a", "./../b/./c")] {
            assert!(link_stays_inside(path, target.as_bytes()), "{path} -> {target}");
        }
    }
}
