//! Whether the tests that passed before are still there by their names, once the patch's own versions of them are run.

use std::collections::BTreeMap;

use super::{Ran, Stand};
use crate::proof::findings::{Finding, Gate};
use crate::results::{Results, Status, own_name, place};

/// How many tests are named that are gone.
const GONE_SHOWN_MAX: usize = 10;

/// The tests that pass on the base and are not run on the whole patch, where fewer new ones stand in their place; `paths` are the
/// files in which the patch changes tests.
///
/// A new test stands for one that is gone where its own name is the same, in whichever file, and else in the same file. Tests
/// whose names tell no file are counted together, and so are they told: of the tests as a whole.
///
/// A test that has been given another name passes on the base's code as before, so one that does not is no other test's new
/// name: it is what the patch brings to show the fault, and stands for nothing that is gone.
pub(super) fn gone(runs: &[Ran], paths: &[&str]) -> Vec<Finding> {
    let on = |stand: Stand| runs.iter().filter(|ran| ran.stand == stand).find_map(Ran::reported);
    let (Some(base), Some(old_code), Some(head)) = (on(Stand::Base), on(Stand::Tests), on(Stand::Head)) else {
        return Vec::new();
    };
    let passes = |results: &Results, test: &str| results.tests.get(test) == Some(&Status::Passed);
    let is_run = |test: &str| head.tests.get(test).is_some_and(|status| *status != Status::Skipped);
    let is_new = |test: &&String| !base.tests.contains_key(*test) && passes(old_code, test) && passes(head, test);
    let mut gone: Vec<&String> = base.tests.keys().filter(|test| passes(base, test) && !is_run(test)).collect();
    let mut new: Vec<&String> = head.tests.keys().filter(is_new).collect();
    gone.retain(|test| match new.iter().position(|new| own_name(new) == own_name(test)) {
        Some(moved) => {
            new.swap_remove(moved);
            false
        }
        None => true,
    });
    let file = |test: &str| paths.iter().copied().find(|path| place::is_in(test, path)).unwrap_or_default();
    let mut n_new: BTreeMap<&str, usize> = BTreeMap::new();
    new.iter().for_each(|test| *n_new.entry(file(test)).or_default() += 1);
    let mut missed: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    gone.iter().for_each(|test| missed.entry(file(test)).or_default().push(test));
    missed.retain(|path, gone| gone.len() > n_new.get(path).copied().unwrap_or_default());
    let findings = missed.into_iter().flat_map(|(path, gone)| gone.into_iter().map(move |test| finding(path, test)));
    findings.take(GONE_SHOWN_MAX).collect()
}

fn finding(path: &str, test: &str) -> Finding {
    let told = format!("{test} is not run any more");
    Finding { gate: Gate::TestWeakened, path: path.to_owned(), line: None, told }
}

#[cfg(test)]
mod tests;
