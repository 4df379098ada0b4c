//! Two stands that differ in the code alone, and what they show of it.

use std::collections::BTreeSet;

use super::documentation;
use super::{Canaries, Ran, Stand};
use crate::ecosystem::runner::Runner;
use crate::proof::census::Census;
use crate::proof::findings::Finding;
use crate::proof::{Colour, Doubt};
use crate::results::place;
use crate::results::table::{Movement, Row, Seen, Table};
use crate::results::{Results, Status};

/// All runs on two stands that differ in the code alone.
pub(super) struct Pair<'a> {
    pub(super) without: (Stand, Vec<&'a Ran>),
    pub(super) with: (Stand, Vec<&'a Ran>),
    /// Test by test, where all of the runs were reported.
    pub(super) table: Option<Table>,
    pub(super) runner: Option<Runner>,
    /// The files of the patch that count as code whole: no tests are taken apart from it there.
    pub(super) code: Vec<&'a str>,
    pub(super) known_flaky: &'a BTreeSet<String>,
}

impl Pair<'_> {
    /// Whether a run came to no result.
    pub(super) fn says_nothing(&self) -> Option<Doubt> {
        // Where there are reports, a command that ends well without one has not told how.
        let is_reported = self.without.1.iter().chain(&self.with.1).any(|ran| ran.results.is_some());
        let is_mute = |ran: &Ran| match ran.colour() {
            Colour::None => true,
            Colour::Green => is_reported && ran.results.is_none(),
            Colour::Red => false,
        };
        let is_silent = |runs: &[&Ran]| runs.iter().any(|ran| ran.canaries.is_none() && is_mute(ran));
        (is_silent(&self.without.1) || is_silent(&self.with.1)).then_some(Doubt::Inconclusive)
    }

    /// Whether something passed without the code and does not pass with it, in some run.
    pub(super) fn is_worse(&self) -> bool {
        match &self.table {
            Some(table) => table.count(Movement::Broken) + table.count(Movement::Gone) > 0 || self.turns_flaky(table),
            None => self.colours() == (Colour::Green, Colour::Red),
        }
    }

    /// A test that is steady without the code and unsteady with it.
    fn turns_flaky(&self, table: &Table) -> bool {
        table.moved(Movement::Flaky).any(|row| row.base == Some(Seen::Passed))
    }

    pub(super) fn is_always_worse(&self) -> bool {
        match &self.table {
            Some(table) => table.count(Movement::Broken) + table.count(Movement::Gone) > 0,
            None => self.with.1.iter().all(|ran| ran.colour() == Colour::Red),
        }
    }

    /// Whether something fails every time without the code and passes every time with it.
    pub(super) fn mends(&self, is_about_the_build: bool) -> bool {
        if self.is_worse() {
            return false;
        }
        match &self.table {
            Some(_) => self.reproducers(is_about_the_build).next().is_some(),
            None => {
                let all = |runs: &[&Ran], colour| runs.iter().all(|ran| ran.colour() == colour);
                all(&self.without.1, Colour::Red) && all(&self.with.1, Colour::Green)
            }
        }
    }

    pub(super) fn reproducers(&self, is_about_the_build: bool) -> impl Iterator<Item = String> {
        // Tests that fail once they are built are no mended build, though nothing knew of them before.
        let is_mended = || self.with.1.iter().all(|ran| ran.colour() == Colour::Green);
        let counts_builds = is_about_the_build && self.without.1.iter().all(|ran| ran.is_broken()) && is_mended();
        let moved = self.table.iter().flat_map(move |table| {
            let built = table.moved(Movement::New).filter(move |row| counts_builds && row.head == Some(Seen::Passed));
            table.moved(Movement::Mended).chain(built)
        });
        let counts = |row: &&Row| !self.known_flaky.contains(&row.test) && !self.is_part_of_code(&row.test);
        moved.filter(counts).map(|row| row.test.clone())
    }

    /// Whether a test that fails with the patch's code does not any more with the patch's own version of it: then its
    /// expectation was changed, and not what it tests.
    pub(super) fn is_made_right_by_tests(&self, new: &Pair<'_>) -> bool {
        let fails = |status: Option<&Status>| matches!(status, Some(Status::Failed | Status::Errored));
        let (with_base_tests, with_own) = (self.with.1[0], new.with.1[0]);
        match (with_base_tests.reported(), with_own.reported()) {
            (Some(before), Some(after)) => {
                before.tests.iter().any(|(test, status)| fails(Some(status)) && !fails(after.tests.get(test)))
            }
            _ => with_base_tests.colour() == Colour::Red && with_own.colour() == Colour::Green,
        }
    }

    /// Whether a test was changed with the code: it is an example in the documentation of it, or stands in a file that the two
    /// differ in, whatever that is called.
    fn is_part_of_code(&self, test: &str) -> bool {
        let place = match self.runner {
            Some(Runner::Jest | Runner::Vitest) => test.split(" > ").next(),
            Some(Runner::Pytest | Runner::Unittest) => Some(test),
            // Cargo's names lead to a crate's root, Go's to a package, and Node's nowhere.
            Some(Runner::Cargo | Runner::Nextest | Runner::Go | Runner::Node) | None => None,
        };
        documentation::is_example(self.runner, test)
            || place.is_some_and(|place| self.code.iter().any(|path| place::is_in(place, path)))
    }

    fn mended(&self) -> impl Iterator<Item = &Row> {
        self.table.iter().flat_map(|table| table.moved(Movement::Mended))
    }

    pub(super) fn colours(&self) -> (Colour, Colour) {
        (self.without.1[0].colour(), self.with.1[0].colour())
    }

    /// Why this shows nothing.
    pub(super) fn doubt(&self) -> Doubt {
        match self.colours() {
            (Colour::None, _) | (_, Colour::None) => Doubt::Inconclusive,
            (Colour::Green, Colour::Green) => Doubt::GreenBefore,
            (Colour::Green, Colour::Red) => Doubt::Regression,
            (Colour::Red, Colour::Green) if self.without.1.iter().any(|ran| ran.is_broken()) => Doubt::DoesNotBuild,
            (Colour::Red, Colour::Green) if self.mended().any(|row| self.is_part_of_code(&row.test)) => Doubt::TestsTouched,
            (Colour::Red, Colour::Green) => Doubt::Flaky,
            (Colour::Red, Colour::Red) if self.with.0 == Stand::Head => Doubt::OwnTestsFail,
            (Colour::Red, Colour::Red) => Doubt::StillRed,
        }
    }

    /// What became of the tests that must fail: on the tree without the code, and on the one with it.
    fn canaries(&self) -> (Option<Canaries>, Option<Canaries>) {
        let laid = |runs: &[&Ran]| runs.iter().find_map(|ran| ran.canaries);
        (laid(&self.without.1), laid(&self.with.1))
    }

    /// Whether tests that must fail were reported so, where they are on a tree without the code. On one that does not build no test
    /// is reported at all, so that they have to be with the code wherever they could be laid.
    pub(super) fn is_runner_honest(&self, is_about_the_build: bool) -> Option<bool> {
        let (control, patched) = self.canaries();
        let (control, patched) = (control?, patched?);
        if is_about_the_build {
            return (patched.n_laid > 0).then_some(patched.is_of_use());
        }
        control.is_of_use().then_some(patched.n_laid == control.n_laid && patched.is_of_use())
    }

    /// The tests of the base's sources that are not run with the code.
    pub(super) fn missing(&self, census: &Census) -> Vec<Finding> {
        let reported = self.with.1.iter().find_map(|ran| ran.reported());
        reported.map(|results| census.missing(results)).unwrap_or_default()
    }

    /// Whether there are tests of the patch on the tree without its code, and tests that must fail are not reported so there.
    pub(super) fn has_doubtful_control(&self) -> bool {
        self.without.0 == Stand::Tests && self.canaries().0.is_some_and(|control| !control.is_of_use())
    }
}

pub(super) fn table(without: &[&Ran], with: &[&Ran]) -> Option<Table> {
    // A report that is gone with the canaries in the tree is what the canaries are there to find.
    let counts = |ran: &&&Ran| ran.canaries.is_none() || ran.results.is_some();
    let all = |runs: &[&Ran]| runs.iter().filter(counts).map(|ran| ran.reported().cloned()).collect::<Option<Vec<Results>>>();
    Some(Table::of(&all(without)?, &all(with)?))
}
