//! What findings mean for a patch before anything is tested: whether it may be shown at all, and what its author is asked to
//! take back.

use crate::journal::Change;
use crate::proof::findings::{Finding, Gate, Weight};
use crate::report::neutral::code;

/// How many of the reasons are told at once.
const REASONS_MAX: usize = 5;
/// How many lines are shown that weaken tests.
const WEAKENED_SHOWN_MAX: usize = 10;

/// How large an agent's patch may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How many files it may change.
    pub files_max: usize,
    /// How many lines it may add and take away together.
    pub lines_max: u64,
}

impl Size {
    /// Why a patch is too large, if it is.
    pub fn exceeded(&self, changes: &[Change]) -> Option<String> {
        let Self { files_max, lines_max } = *self;
        let n_files = changes.len();
        if n_files > files_max {
            return Some(format!("the patch changes {n_files} files, and `limits.patch_files` allows {files_max}"));
        }
        let n_lines: u64 = changes.iter().map(|change| u64::from(change.lines_added) + u64::from(change.lines_removed)).sum();
        (n_lines > lines_max)
            .then(|| format!("the patch adds and removes {n_lines} lines, and `limits.patch_lines` allows {lines_max}"))
    }
}

/// Why a change may not be published at all, whatever the tests say.
pub fn forbidden(findings: &[Finding]) -> Option<String> {
    let forbidding = findings.iter().filter(|finding| finding.gate.weight() == Weight::ForbidsPublishing);
    let mut reasons: Vec<String> = Vec::new();
    for finding in forbidding.take(REASONS_MAX) {
        let path = code(&finding.path);
        reasons.push(if finding.gate == Gate::Secret {
            let place = finding.line.map_or_else(|| finding.path.clone(), |line| format!("{}:{line}", finding.path));
            format!("the patch adds a secret in {} ({})", code(&place), finding.told)
        } else if finding.gate == Gate::NotLookedThrough {
            "the patch adds more than is looked through".to_owned()
        } else if finding.gate == Gate::Instructions {
            format!("the patch changes {path}; what agents are told to do is not for an agent to change")
        } else {
            let kinds = "workflows, actions, code owners and the settings of update bots are not for an agent to change";
            format!("the patch changes {path}; {kinds}")
        });
    }
    (!reasons.is_empty()).then(|| reasons.join(", and "))
}

/// What a change does to the tests that only the task can justify, in words for the model.
pub fn weakened_tests(findings: &[Finding]) -> Option<String> {
    let of = |gates: &[Gate]| findings.iter().filter(|found| gates.contains(&found.gate)).collect::<Vec<&Finding>>();
    let gone = of(&[Gate::TestDeleted, Gate::TestRenamedAway]);
    let lines = |found: Vec<&Finding>| {
        let place = |found: &&Finding| format!("{}:{}: {}", found.path, found.line.unwrap_or_default(), found.told);
        found.iter().take(WEAKENED_SHOWN_MAX).map(place).collect::<Vec<_>>().join("\n")
    };
    let kinds = [
        ("keeps tests from running", of(&[Gate::TestSkipped])),
        ("takes assertions out of existing tests", of(&[Gate::TestWeakened])),
        ("lowers thresholds", of(&[Gate::ThresholdLowered])),
    ];
    let told = if gone.is_empty() {
        let (does, found) = kinds.into_iter().find(|(_, found)| !found.is_empty())?;
        format!("Your change {does}:\n{}", lines(found))
    } else {
        let paths: Vec<&str> = gone.iter().map(|found| found.path.as_str()).collect();
        format!("Your change deletes tests: {}.", paths.join(", "))
    };
    Some(format!("{told}\nTake that back unless the task asks for it; mend the code instead."))
}
