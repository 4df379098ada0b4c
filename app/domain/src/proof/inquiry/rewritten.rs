//! Whether files of tests are changed while the tests run, which a test that is loaded later would not survive unnoticed.

use std::collections::BTreeSet;

use super::{Ran, Stand};
use crate::proof::findings::{Finding, Gate};

/// How many files are named.
const FILES_SHOWN_MAX: usize = 10;

/// The files of tests that were changed while the tests ran with the code.
///
/// Some suites write into their own folder. They do so on the base as well, and it alone excuses a file: what the patch's own
/// tests change without its code is still what whoever wrote the patch has changed. A file that the base does not have is
/// excused by nothing.
///
/// # Errors
/// [`Unseen`] where that hangs on the base, of which no run was looked at.
pub(super) fn found(runs: &[Ran], with: Stand) -> Result<Vec<Finding>, Unseen> {
    let on = |stand: Stand| -> Option<BTreeSet<&String>> {
        let seen: Vec<_> = runs.iter().filter(|ran| ran.stand == stand).filter_map(|ran| ran.rewritten.as_ref()).collect();
        (!seen.is_empty()).then(|| seen.into_iter().flatten().collect())
    };
    let after = on(with).unwrap_or_default();
    if after.is_empty() {
        return Ok(Vec::new());
    }
    let before = on(Stand::Base).ok_or(Unseen)?;
    let finding = |path: &&String| {
        let (gate, path, told) = match path.strip_suffix('/') {
            Some(folder) => (Gate::FolderMoved, folder, "changed together with the folder around it"),
            None => (Gate::TestsRewritten, path.as_str(), "changed"),
        };
        let told = format!("{told} while the tests ran, and not on the base");
        Finding { gate, path: path.to_owned(), line: None, told }
    };
    Ok(after.difference(&before).take(FILES_SHOWN_MAX).map(finding).collect())
}

/// No run of the base was looked at for files that it changes.
pub(super) struct Unseen;
