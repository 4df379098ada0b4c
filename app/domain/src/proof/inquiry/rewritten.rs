//! Whether files of tests are changed while the tests run, which a test that is loaded later would not survive unnoticed.

use std::collections::BTreeSet;

use super::{Ran, Stand};
use crate::proof::findings::{Finding, Gate};

/// How many files are named.
const FILES_SHOWN_MAX: usize = 10;

/// The files of tests that were changed while the tests ran with the code, and never without it. Some suites write into their
/// own folder; those do so on the base as well.
pub(super) fn found(runs: &[Ran], without: Stand, with: Stand) -> Vec<Finding> {
    let on = |stands: &[Stand]| -> BTreeSet<&String> {
        runs.iter().filter(|ran| stands.contains(&ran.stand)).flat_map(|ran| &ran.rewritten).collect()
    };
    let (before, after) = (on(&[Stand::Base, without]), on(&[with]));
    let finding = |path: &&String| Finding {
        gate: Gate::TestsRewritten,
        path: (*path).clone(),
        line: None,
        told: "changed while the tests ran, and not without the patch's code".to_owned(),
    };
    after.difference(&before).take(FILES_SHOWN_MAX).map(finding).collect()
}
