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
