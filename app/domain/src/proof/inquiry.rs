//! Which tree is tested next, and what all runs together show.
//!
//! A patch has two parts: its tests, which are the files that [are tests](TestFiles) and the tests that stand
//! [inside the code](Mixed), and its code, which is all else. A tree has none of them, one, or both, which makes four
//! [stands](Stand). What the tests say about the code is what changes between two stands that differ in the code alone, and
//! there are two such pairs:
//!
//! - the base and the base with the patch's code: tests that were there before, untouched by whoever wrote the patch, fail
//!   without the code and pass with it;
//! - the base with the patch's tests and the whole patch: tests that the patch brings do. Whether such a test is about the
//!   request is for a person to see; that it fails without the code is what is shown. A test that fails with the code and the
//!   base's version of it is none of them: there the patch has changed what is expected.
//!
//! Each of the two trees that a proof rests on is run [`Inquiry::n_runs`] times: a test that does not always end the same way
//! shows nothing. The last of these runs has [canaries](Ran::canaries) in it, tests of the harness that must fail, so that a
//! runner that the patch's code has taken over is found out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ecosystem::{Plan, runner};
use crate::journal::{Change, ChangeKind};
use crate::proof::census::Census;
use crate::proof::findings::{FINDINGS_MAX, Finding, Weight};
use crate::proof::test_files::TestFiles;
use crate::proof::{Account, Colour, Doubt, Evidence, Exit, Run, Verdict, paths};
use crate::results::{Results, Status};
use pair::Pair;

mod documentation;
mod kept_names;
mod pair;
mod rewritten;

/// How many reproducing tests an [`Account`] names.
pub const REPRODUCERS_MAX: usize = 50;

/// What of a patch is in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    /// Nothing: the base.
    Base,
    /// Its code alone; the tests are the base's.
    Code,
    /// Its tests alone: its code is taken back.
    Tests,
    /// All of it.
    Head,
}

impl Stand {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Code => "patch under the base's tests",
            Self::Tests => "patch's tests on the base's code",
            Self::Head => "patch",
        }
    }

    /// The paths of a patch that are as in the base in this tree.
    pub fn restored(self, changes: &[Change], tests: &TestFiles) -> Vec<String> {
        let is_in = |change: &&Change| match self {
            Self::Base => false,
            Self::Code => !tests.has(&change.path),
            Self::Tests => tests.has(&change.path),
            Self::Head => true,
        };
        changes.iter().filter(|change| !is_in(change)).map(|change| change.path.clone()).collect()
    }
}

/// One run of the tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What of the patch was in the tree.
    pub stand: Stand,
    /// How the command ended.
    pub evidence: Evidence,
    /// What the runner reported of each test, if that could be read; without the canaries.
    pub results: Option<Results>,
    /// Where tests that must fail were laid into the tree: how many of them were reported as failing, and how many there were.
    pub canaries: Option<Canaries>,
    /// What decides the tests and was changed meanwhile, a folder with a slash at its end; none at all where nobody looked, or
    /// could see.
    pub rewritten: Option<Vec<String>>,
}

/// What became of the tests that must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canaries {
    /// How many were laid.
    pub n_laid: usize,
    /// How many of them were reported as failing.
    pub n_failed: usize,
}

impl Canaries {
    /// Whether there were any, and each was reported as failing.
    fn is_of_use(self) -> bool {
        self.n_laid > 0 && self.n_failed == self.n_laid
    }
}

/// A source file in which tests stand beside the code that they test, and which can be put together of one version's code and
/// another's tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixed {
    /// The file.
    pub path: String,
    /// Whether the patch changes code in it.
    pub has_code: bool,
    /// Whether the patch changes tests in it.
    pub has_tests: bool,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run the tests on this tree, with or without canaries.
    Run {
        /// What of the patch is in it.
        stand: Stand,
        /// Whether tests that must fail are laid into it.
        has_canaries: bool,
    },
    /// Nothing: this is what was found.
    Judged(Box<Verdict>),
}

/// A patch that is looked into.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// How it is tested.
    pub plan: &'a Plan,
    /// Its files.
    pub changes: &'a [Change],
    /// How often each of the two trees that a proof rests on is run; at least 1.
    pub n_runs: usize,
    /// Whether canaries can be laid.
    pub has_canaries: bool,
    /// Where the request is about a base that does not build or load, the tests that its sources name: then its failure to compile
    /// or import counts as one, and with the patch each of them has to be run.
    pub build: Option<&'a Census>,
    /// The files that hold both code and tests and can be taken apart.
    pub mixed: &'a [Mixed],
    /// Which of its files are tests.
    pub test_files: &'a TestFiles,
    /// Whether the patch changes tests that stand inside its code, where they cannot be told from it.
    pub has_inline_tests: bool,
    /// What stands in the patch itself against its proof.
    pub findings: &'a [Finding],
    /// Tests that were seen to end now this way and now that on one tree, in earlier proofs: they prove nothing.
    pub known_flaky: &'a BTreeSet<String>,
}

impl<'a> Inquiry<'a> {
    /// What is wanted next, after these runs.
    pub fn next(&self, runs: &'a [Ran]) -> Next {
        match self.look(runs) {
            Ok(verdict) => Next::Judged(Box::new(verdict)),
            Err((stand, has_canaries)) => Next::Run { stand, has_canaries },
        }
    }

    /// The verdict, or the run that is missing for one.
    fn look(&self, runs: &'a [Ran]) -> Result<Verdict, (Stand, bool)> {
        if self.plan.test.is_none() {
            return Ok(self.unproven(Doubt::NoTestCommand, None, runs));
        }
        let old = self.pair(Stand::Base, Stand::Code, runs)?;
        if let Some(doubt) = old.says_nothing() {
            return Ok(self.unproven(doubt, Some(&old), runs));
        }
        if old.is_worse() {
            // What fails once may be a test that does so now and then.
            self.repeat(&old.with, false)?;
            let doubt = if old.is_always_worse() { Doubt::Regression } else { Doubt::Flaky };
            return Ok(self.unproven(doubt, Some(&old), runs));
        }
        if old.mends(self.is_about_the_build(runs)) {
            return self.conclude(&old, runs);
        }
        if self.has(Part::Tests) && self.has(Part::Code) {
            let new = self.pair(Stand::Tests, Stand::Head, runs)?;
            if let Some(doubt) = new.says_nothing() {
                return Ok(self.unproven(doubt, Some(&new), runs));
            }
            if old.is_made_right_by_tests(&new) {
                return Ok(self.unproven(Doubt::StillRed, Some(&old), runs));
            }
            if new.mends(self.is_about_the_build(runs)) {
                return self.conclude(&new, runs);
            }
            let was_red = old.colours().1 == Colour::Red;
            let says_no_more = matches!(new.doubt(), Doubt::OwnTestsFail | Doubt::GreenBefore);
            let doubt = if was_red && says_no_more { Doubt::StillRed } else { new.doubt() };
            return Ok(self.unproven(doubt, Some(&new), runs));
        }
        Ok(self.unproven(old.doubt(), Some(&old), runs))
    }

    /// A pair that shows the code's effect, run as often as it must be and looked at from all sides.
    fn conclude(&self, pair: &Pair<'a>, runs: &'a [Ran]) -> Result<Verdict, (Stand, bool)> {
        let least = if pair.with.0 == Stand::Code { Weight::ForbidsProof } else { Weight::WantsTheBasesTests };
        if self.findings(runs).iter().any(|finding| finding.gate.weight() >= least) {
            return Ok(self.unproven(Doubt::Suspect, Some(pair), runs));
        }
        let is_touched = self.changes.iter().any(|change| decides_how_tests_run(self.plan, change));
        if is_touched || self.has_inline_tests {
            let doubt = if is_touched { Doubt::TestCommandTouched } else { Doubt::TestsTouched };
            return Ok(self.unproven(doubt, Some(pair), runs));
        }
        let is_reported = pair.table.is_some();
        self.repeat(&pair.without, is_reported)?;
        self.repeat(&pair.with, is_reported)?;
        if pair.with.1.iter().any(|ran| ran.rewritten.is_none()) {
            return Ok(self.unproven(Doubt::Unwatched, Some(pair), runs));
        }
        let rewritten = rewritten::found(runs, pair.with.0).map_err(|rewritten::Unseen| (Stand::Base, false))?;
        if !rewritten.is_empty() {
            let found = [rewritten, self.findings(runs)].concat();
            return Ok(self.unproven_for(found, Doubt::Suspect, Some(pair), runs));
        }
        let is_about_the_build = self.is_about_the_build(runs);
        let is_honest = pair.is_runner_honest(is_about_the_build);
        if is_honest == Some(false) || self.is_control_silenced(pair, runs)? {
            return Ok(self.unproven(Doubt::RunnerDeceives, Some(pair), runs));
        }
        if !pair.mends(is_about_the_build) {
            return Ok(self.unproven(Doubt::Flaky, Some(pair), runs));
        }
        let missing = self.build.filter(|_| is_about_the_build).map(|census| pair.missing(census)).unwrap_or_default();
        if !missing.is_empty() {
            let found = [missing, self.findings(runs)].concat();
            return Ok(self.unproven_for(found, Doubt::Suspect, Some(pair), runs));
        }
        if let Some(doubt) = self.doubt_of_tests(pair, runs)? {
            return Ok(self.unproven(doubt, Some(pair), runs));
        }
        let account = Account {
            runs: runs.iter().map(Ran::told).collect(),
            reproducers: pair.reproducers(is_about_the_build).take(REPRODUCERS_MAX).collect(),
            table: pair.table.clone(),
            is_runner_honest: is_honest,
            findings: self.findings(runs),
        };
        let (base, head) = (pair.without.1[0].evidence.clone(), pair.with.1[0].evidence.clone());
        Ok(Verdict::Proven { base, head, account: Some(Box::new(account)) })
    }

    /// Whether a failure to build or load is what the patch is to mend: it was asked for, and the base itself has one. What the
    /// patch's own tests need of its code is no such failure.
    fn is_about_the_build(&self, runs: &[Ran]) -> bool {
        self.build.is_some() && runs.iter().find(|ran| ran.stand == Stand::Base).is_some_and(Ran::is_broken)
    }

    /// Whether tests that must fail are not reported so where the patch's tests are, and are reported on the base: then it is the
    /// patch's tests that keep them from it, and would keep the patch's code from being found out. Where they are not reported
    /// on the base either, a runner that leaves files out which it does not know is all that is seen, and where none can be
    /// laid there, the repository has no tests: then every test is the patch's own, which it need not silence to have it pass.
    fn is_control_silenced(&self, pair: &Pair<'a>, runs: &'a [Ran]) -> Result<bool, (Stand, bool)> {
        if !pair.has_doubtful_control() {
            return Ok(false);
        }
        let of_base = runs.iter().filter(|ran| ran.stand == Stand::Base).find_map(|ran| ran.canaries);
        of_base.map(Canaries::is_of_use).ok_or((Stand::Base, true))
    }

    /// What the patch's own tests say where the base's have shown it: they pass with the code, and would still fail without.
    fn doubt_of_tests(&self, pair: &Pair<'a>, runs: &'a [Ran]) -> Result<Option<Doubt>, (Stand, bool)> {
        if pair.with.0 != Stand::Code || !self.has(Part::Tests) {
            return Ok(None);
        }
        let new = self.pair(Stand::Tests, Stand::Head, runs)?;
        let (without, with) = (new.without.1[0], new.with.1[0]);
        Ok(if with.colour() != Colour::Green && !pair.with.1[0].is_as_bad_as(with) {
            Some(Doubt::OwnTestsFail)
        } else if without.colour() == Colour::Green {
            Some(Doubt::TestsWeakened)
        } else {
            None
        })
    }

    /// The runs on two stands, if there are any on each.
    fn pair(&self, without: Stand, with: Stand, runs: &'a [Ran]) -> Result<Pair<'a>, (Stand, bool)> {
        let of = |stand: Stand| -> Result<(Stand, Vec<&'a Ran>), (Stand, bool)> {
            // Two names for the same tree, where the patch has one part only.
            let stand = self.same(stand);
            let found: Vec<&Ran> = runs.iter().filter(|ran| self.same(ran.stand) == stand).collect();
            if found.is_empty() { Err((stand, false)) } else { Ok((stand, found)) }
        };
        let (without, with) = (of(without)?, of(with)?);
        let is_code = |path: &&str| !self.test_files.has(path) && !self.mixed.iter().any(|mixed| mixed.path == *path);
        let code = self.changes.iter().map(|change| change.path.as_str()).filter(is_code).collect();
        let (runner, table) = (self.plan.runner, pair::table(&without.1, &with.1));
        Ok(Pair { table, without, with, runner, code, known_flaky: self.known_flaky })
    }

    fn same(&self, stand: Stand) -> Stand {
        match stand {
            Stand::Head if !self.has(Part::Tests) => Stand::Code,
            Stand::Tests if !self.has(Part::Tests) => Stand::Base,
            Stand::Code if !self.has(Part::Code) => Stand::Base,
            Stand::Head if !self.has(Part::Code) => Stand::Tests,
            stand => stand,
        }
    }

    fn has(&self, part: Part) -> bool {
        self.changes.iter().any(|change| match (self.mixed.iter().find(|mixed| mixed.path == change.path), part) {
            (Some(mixed), Part::Code) => mixed.has_code,
            (Some(mixed), Part::Tests) => mixed.has_tests,
            (None, part) => self.test_files.has(&change.path) == (part == Part::Tests),
        })
    }

    /// What stands against the proof: in the patch itself, and in the names of the tests that were run.
    fn findings(&self, runs: &[Ran]) -> Vec<Finding> {
        let in_tests = |path: &str| match self.mixed.iter().find(|mixed| mixed.path == path) {
            Some(mixed) => mixed.has_tests,
            None => self.test_files.has(path),
        };
        let paths: Vec<&str> = self.changes.iter().map(|change| change.path.as_str()).filter(|path| in_tests(path)).collect();
        let mut findings = self.findings.to_vec();
        findings.extend(kept_names::gone(runs, &paths));
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.gate.weight()));
        findings.truncate(FINDINGS_MAX);
        findings
    }

    fn unproven(&self, doubt: Doubt, pair: Option<&Pair<'_>>, runs: &[Ran]) -> Verdict {
        self.unproven_for(self.findings(runs), doubt, pair, runs)
    }

    fn unproven_for(&self, findings: Vec<Finding>, doubt: Doubt, pair: Option<&Pair<'_>>, runs: &[Ran]) -> Verdict {
        let account = Account {
            runs: runs.iter().map(Ran::told).collect(),
            reproducers: Vec::new(),
            table: pair.and_then(|pair| pair.table.clone()),
            is_runner_honest: if doubt == Doubt::RunnerDeceives {
                Some(false)
            } else {
                pair.and_then(|pair| pair.is_runner_honest(false))
            },
            findings,
        };
        let evidence = |stand: Option<&(Stand, Vec<&Ran>)>| stand.map(|(_, runs)| runs[0].evidence.clone());
        let base = evidence(pair.map(|pair| &pair.without)).or_else(|| runs.first().map(|ran| ran.evidence.clone()));
        let head = evidence(pair.map(|pair| &pair.with));
        Verdict::Unproven { doubt, base, head, account: (!runs.is_empty()).then(|| Box::new(account)) }
    }

    /// Asks for one more run of a tree that was not run often enough.
    fn repeat(&self, (stand, runs): &(Stand, Vec<&Ran>), may_have_canaries: bool) -> Result<(), (Stand, bool)> {
        let has_canaries = may_have_canaries && self.has_canaries;
        let is_tried = !has_canaries || runs.iter().any(|ran| ran.canaries.is_some());
        match runs.len() {
            n if n + 1 < self.n_runs => Err((*stand, false)),
            n if n < self.n_runs || !is_tried => Err((*stand, has_canaries)),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Tests,
}

impl Ran {
    fn told(&self) -> Run {
        let Evidence { command, exit, duration_ms, output, .. } = &self.evidence;
        let (exit, duration_ms, output, command) = (*exit, *duration_ms, *output, command.clone());
        Run { stand: self.stand, exit, colour: self.colour(), duration_ms, output, command }
    }

    /// What was reported, where that is the whole story: a command that fails though no test does has something else to tell.
    fn reported(&self) -> Option<&Results> {
        let results = self.results.as_ref()?;
        let is_explained = self.evidence.exit == Exit::Code(0) || self.canaries.is_some() || has_failed(results);
        is_explained.then_some(results)
    }

    /// What the whole run says. A report of failures where the command says that all is well, and one that breaks off, say
    /// nothing.
    fn colour(&self) -> Colour {
        let (Some(results), Exit::Code(code)) = (self.reported(), self.evidence.exit) else {
            return if self.canaries.is_some() { Colour::None } else { runner::colour(&self.evidence) };
        };
        match (code, has_failed(results)) {
            (0, false) if results.is_complete && results.count(Status::Passed) > 0 => Colour::Green,
            (0, _) => Colour::None,
            (_, true) => Colour::Red,
            // Nothing but the canaries fails.
            (_, false) => Colour::Green,
        }
    }

    /// Whether something could not be compiled, imported or prepared.
    fn is_broken(&self) -> bool {
        self.reported().is_some_and(|results| results.count(Status::Errored) > 0)
    }

    /// Whether everything that fails in the other run fails in this one as well.
    fn is_as_bad_as(&self, other: &Ran) -> bool {
        let (Some(own), Some(others)) = (self.reported(), other.reported()) else { return false };
        let fails = |status: &Status| matches!(status, Status::Failed | Status::Errored);
        others.tests.iter().filter(|(_, status)| fails(status)).all(|(test, _)| own.tests.get(test).is_some_and(fails))
    }
}

fn has_failed(results: &Results) -> bool {
    results.count(Status::Failed) + results.count(Status::Errored) > 0
}

/// Whether a change takes part in how the tests are run. A test configuration that the base has is put back, so that only
/// a new one does.
pub(crate) fn decides_how_tests_run(plan: &Plan, change: &Change) -> bool {
    let is_new_configuration = change.kind == ChangeKind::Added && paths::is_test_configuration(&change.path);
    is_new_configuration || plan.decides_how_tests_run(&change.path)
}

#[cfg(test)]
mod tests;
