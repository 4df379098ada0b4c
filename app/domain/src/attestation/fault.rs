//! The first thing in a statement that does not hold, as far as the statement itself shows it.

use std::fmt;

use super::{PREDICATE_TYPE, Predicate, Ran, Ruling, STATEMENT_TYPE, Statement, Subject, SubjectDigest, plan_digest};
use crate::proof::findings::Weight;
use crate::proof::{Colour, Exit, Stand};
use crate::results::table::{Movement, Table};

/// A field that does not hold, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is, such as `predicate.runs[2].exit`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Fault {
    /// A field with what is wrong with it.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

type Held = Result<(), Fault>;

impl Statement {
    /// Checks the types, and that what is said in one place follows from what is said in the others.
    ///
    /// # Errors
    /// The first [`Fault`], in the order of the fields.
    pub fn check(&self) -> Held {
        expect("_type", &self.kind, STATEMENT_TYPE)?;
        self.check_subject()?;
        expect("predicateType", &self.predicate_type, PREDICATE_TYPE)?;
        self.predicate.check()
    }

    fn check_subject(&self) -> Held {
        let [commit, tree] = self.subject.as_slice() else {
            return Err(Fault::new("subject", format!("there are {}, and not a commit and its tree", self.subject.len())));
        };
        let Subject { name, digest: SubjectDigest::GitCommit(_) } = commit else {
            return Err(Fault::new("subject[0].digest", "is no commit"));
        };
        expect("subject[0].name", name, "commit")?;
        let Subject { name, digest: SubjectDigest::GitTree(tree) } = tree else {
            return Err(Fault::new("subject[1].digest", "is no tree"));
        };
        expect("subject[1].name", name, "tree")?;
        let is_tree = tree.len() == 40 && tree.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        held(is_tree, "subject[1].digest.gitTree", || "is not forty lower-case hexadecimal digits".to_owned())
    }
}

fn expect(field: &str, found: &str, expected: &str) -> Held {
    held(found == expected, field, || format!("is `{found}`, and not `{expected}`"))
}

fn held(holds: bool, field: impl Into<String>, problem: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(Fault::new(field, problem())) }
}

impl Predicate {
    fn check(&self) -> Held {
        expect("predicate.program.name", &self.program.name, "patchwright")?;
        self.check_verdict()?;
        held(self.plan_digest == plan_digest(&self.plan), "predicate.plan_digest", || {
            "is not the digest of predicate.plan".to_owned()
        })?;
        self.runs.iter().enumerate().try_for_each(|(index, ran)| check_run(index, ran))?;
        if let Some(table) = &self.table {
            check_table(table)?;
            self.check_reproducers(table)?;
        }
        Ok(())
    }

    /// A verdict of `proven` has nothing against it, and the runs that it rests on.
    fn check_verdict(&self) -> Held {
        if self.verdict == Ruling::Unproven {
            return held(self.doubt.is_some(), "predicate.doubt", || "is missing where the verdict is `unproven`".to_owned());
        }
        let proven = |holds, problem: &str| held(holds, "predicate.verdict", || format!("is `proven`, and {problem}"));
        proven(self.doubt.is_none(), "there is a doubt")?;
        // What is only told speaks against no proof, and what wants the base's tests against none in which they ran with the code.
        let ran_bases_tests = self.runs.iter().any(|ran| ran.stand == Stand::Code && ran.colour == Colour::Green);
        let most = if ran_bases_tests { Weight::WantsTheBasesTests } else { Weight::Told };
        proven(self.findings.iter().all(|found| found.gate.weight() <= most), "something in the patch speaks against it")?;
        proven(self.is_runner_honest != Some(false), "the runner deceives")?;
        proven(self.plan.test.is_some(), "there is no test command")?;
        let has = |colour| self.runs.iter().any(|ran| ran.colour == colour);
        proven(has(Colour::Green), "no run passes")?;
        proven(self.table.is_some() || has(Colour::Red), "no run fails")?;
        proven(self.table.is_none() || !self.reproducers.is_empty(), "no test is mended")
    }

    fn check_reproducers(&self, table: &Table) -> Held {
        let is_mended = |test: &str| {
            let row = table.rows.iter().find(|row| row.test == test);
            row.is_some_and(|row| matches!(row.movement, Movement::Mended | Movement::New))
        };
        self.reproducers.iter().enumerate().try_for_each(|(index, test)| {
            held(is_mended(test), format!("predicate.reproducers[{index}]"), || {
                "is no test that predicate.table has as mended or new".to_owned()
            })
        })
    }
}

fn check_run(index: usize, ran: &Ran) -> Held {
    let fits = match (ran.colour, ran.exit) {
        (Colour::None, _) => true,
        // Tests of the harness's own that must fail may have been among them.
        (Colour::Green, exit) => matches!(exit, Exit::Code(_)),
        (Colour::Red, exit) => matches!(exit, Exit::Code(code) if code != 0),
    };
    held(fits, format!("predicate.runs[{index}].colour"), || format!("does not follow from `{}`", ran.exit))
}

fn check_table(table: &Table) -> Held {
    for (index, row) in table.rows.iter().enumerate() {
        held(row.follows(), format!("predicate.table.rows[{index}].movement"), || {
            "does not follow from what was seen on the two sides".to_owned()
        })?;
    }
    for row in &table.rows {
        let (listed, counted) = (table.moved(row.movement).count(), table.count(row.movement));
        held(listed <= counted, format!("predicate.table.counts.{}", row.movement.word()), || {
            format!("is {counted}, and {listed} rows are listed")
        })?;
    }
    Ok(())
}
