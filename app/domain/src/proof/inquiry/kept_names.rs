//! Whether the tests that passed before are still there by their names, once the patch's own versions of them are run.

use super::{Ran, Stand};
use crate::proof::findings::{Finding, Gate};
use crate::results::{Results, Status, place};

/// How many tests are named that are gone.
const GONE_SHOWN_MAX: usize = 10;

/// The tests that pass on the base and are not run on the whole patch, where there are fewer new ones than these; `paths` are
/// the files in which the patch changes tests.
///
/// A test that has been given another name passes on the base's code as before, so one that does not is no other test's new
/// name: it is what the patch brings to show the fault, and stands for nothing that is gone.
pub(super) fn gone(runs: &[Ran], paths: &[&str]) -> Vec<Finding> {
    let on = |stand: Stand| runs.iter().filter(|ran| ran.stand == stand).find_map(Ran::reported);
    let Some(first) = paths.first() else { return Vec::new() };
    let (Some(base), Some(old_code), Some(head)) = (on(Stand::Base), on(Stand::Tests), on(Stand::Head)) else {
        return Vec::new();
    };
    let passes = |results: &Results, test: &str| results.tests.get(test) == Some(&Status::Passed);
    let is_run = |test: &str| head.tests.get(test).is_some_and(|status| *status != Status::Skipped);
    let gone: Vec<&String> = base.tests.keys().filter(|test| passes(base, test) && !is_run(test)).collect();
    let is_new = |test: &&String| !base.tests.contains_key(*test) && passes(old_code, test) && passes(head, test);
    if gone.len() <= head.tests.keys().filter(is_new).count() {
        return Vec::new();
    }
    let finding = |test: &&String| Finding {
        gate: Gate::TestWeakened,
        path: paths.iter().find(|path| place::is_in(test, path)).unwrap_or(first).to_string(),
        line: None,
        told: format!("{test} is not run any more"),
    };
    gone.iter().take(GONE_SHOWN_MAX).map(finding).collect()
}
