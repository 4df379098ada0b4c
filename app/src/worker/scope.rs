//! Holds a patch against the files that the repository's policy lets an agent touch.

use patchwright_domain::journal::Change;
use patchwright_domain::report::neutral::code;
use patchwright_domain::scope::Scope;

use crate::policy_file;
use crate::policy_file::globs::Globs;

/// Why a patch leaves its scope, if it does. A file that is moved is gone in one place and new in another, and both count.
pub(super) fn left(scope: &Scope, changes: &[Change]) -> Option<String> {
    let globs = |globs: &[String]| Globs::new(globs.iter().map(String::as_str));
    let (Ok(allowed), Ok(protected)) = (globs(&scope.allowed), globs(&scope.protected)) else {
        return Some(format!("the paths of the policy file `{}` cannot be read", policy_file::PATH));
    };
    let named = |change: &Change, key: &str| {
        let path = code(&change.path);
        format!("the patch changes {path}, which {key} of the policy file `{}`", policy_file::PATH)
    };
    changes.iter().find_map(|change| {
        if protected.fit(&change.path) {
            Some(format!("{} protects", named(change, "`paths.protected`")))
        } else if !scope.allowed.is_empty() && !allowed.fit(&change.path) {
            Some(format!("{} does not name", named(change, "`paths.allowed`")))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use patchwright_domain::journal::{Change, ChangeKind};
    use patchwright_domain::scope::Scope;

    use super::left;

    /// Why a patch of these files leaves the scope.
    fn why(allowed: &[&str], protected: &[&str], paths: &[(&str, ChangeKind)]) -> Option<String> {
        let own = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        let change = |(path, kind): &(&str, ChangeKind)| Change {
            path: (*path).to_owned(),
            kind: *kind,
            lines_added: 1,
            lines_removed: 1,
        };
        let changes: Vec<Change> = paths.iter().map(change).collect();
        left(&Scope { allowed: own(allowed), protected: own(protected) }, &changes)
    }

    #[test]
    fn a_patch_is_held_against_both_lists() {
        let at = |path| [("src/a.rs", ChangeKind::Modified), (path, ChangeKind::Modified)];
        assert_eq!(why(&[], &[], &at("db/a.sql")), None);
        assert_eq!(why(&["/src/"], &["*.sql"], &at("src/b.rs")), None);
        let told = why(&["/src/"], &["*.sql"], &at("src/b.sql")).expect("what is allowed can be protected");
        assert!(told.contains("`src/b.sql`") && told.contains("`paths.protected`"), "{told}");
        let told = why(&["/src/"], &[], &at("db/b.rs")).expect("nothing allows it");
        assert!(told.contains("`db/b.rs`") && told.contains("`paths.allowed`"), "{told}");
    }

    /// Otherwise a file could be moved out of its protection, or into a place that is not allowed.
    #[test]
    fn a_file_that_is_moved_counts_in_both_places() {
        let moved = |from, to| [(from, ChangeKind::Deleted), (to, ChangeKind::Added)];
        assert!(why(&[], &["/keep/"], &moved("keep/a", "src/a")).is_some());
        assert!(why(&[], &["/keep/"], &moved("src/a", "keep/a")).is_some());
        assert!(why(&["/src/"], &[], &moved("src/a", "lib/a")).is_some());
    }

    /// A journal may come from a server that reads globs in another way: what it meant to protect is not left open.
    #[test]
    fn globs_that_cannot_be_read_let_nothing_through() {
        for (allowed, protected) in [(&["!x"][..], &[][..]), (&[], &["[z-a]"]), (&["/src/"], &["."])] {
            let told = why(allowed, protected, &[("src/a.rs", ChangeKind::Modified)]);
            assert!(told.is_some_and(|told| told.contains("cannot be read")), "{allowed:?} {protected:?}");
        }
    }
}
