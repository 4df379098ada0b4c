//! Which tests sources say that they have, for a base on which no runner can say it because it does not build or load.
//!
//! A patch that mends a build could do so by leaving out what does not build, tests too. It is held against the names that stand
//! in the base's own files: each must be run. They are found line by line and not by a parser, so that a name in a comment counts as
//! well; what a macro makes is not known. Where a name is missing for no bad reason, the patch is not proven, and said why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::ecosystem::runner::{Runner, canary};
use crate::proof::findings::{Finding, Gate};
use crate::results::{Results, Status, own_name};

/// How many tests are named that are not run.
const MISSING_SHOWN_MAX: usize = 10;
/// At how many places in a name a title may begin.
const TITLES_MAX: usize = 20;

/// A Rust test: its attribute, others behind it, and the function. Here as below classes are spelled out, for this crate's regex has
/// no tables of Unicode's.
static RUST: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"#\[(?:[A-Za-z0-9_]+::)*test[ \t\r\n]*(?:\([^)\]]*\))?[ \t\r\n]*\](?:[ \t\r\n]|//[^\n]*\n|#\[[^\]]*\])*(?:pub(?:\([^)]*\))?[ \t]+)?(?:async[ \t]+)?(?:unsafe[ \t]+)?fn[ \t]+([^ \t\r\n(<]+)",
    )
});
static PYTHON: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^[ \t]*(?:async[ \t]+)?def[ \t]+(test[^ \t\r\n(\[]*)"));
static GO: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^func[ \t]+(Test[^ \t\r\n(]*)[ \t]*\("));
static SCRIPT: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"(?m)^[ \t]*(?:it|test)[ \t]*\([ \t\r\n]*(?:'([^'\\\n]+)'|"([^"\\\n]+)"|`([^`\\\n$]+)`)"#));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("it is one of ours and tested")
}

/// The tests of a base by what its sources say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    tests: Vec<Test>,
    /// Whether tests are called by titles, which may have any sign.
    is_of_scripts: bool,
    /// Whether all of its sources were read.
    is_whole: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    path: String,
    name: String,
    /// Whether its file speaks of tests that are left out.
    may_be_skipped: bool,
}

impl Default for Census {
    fn default() -> Self {
        Self { tests: Vec::new(), is_of_scripts: false, is_whole: true }
    }
}

impl Census {
    /// Adds a file's.
    pub fn add(&mut self, runner: Runner, path: &str, text: &str) {
        if !canary::is_place(runner, path) {
            return;
        }
        let (pattern, is_of_scripts) = match runner {
            Runner::Cargo | Runner::Nextest => (&RUST, false),
            Runner::Pytest | Runner::Unittest => (&PYTHON, false),
            Runner::Go => (&GO, false),
            Runner::Node | Runner::Jest | Runner::Vitest => (&SCRIPT, true),
        };
        self.is_of_scripts |= is_of_scripts;
        let may_be_skipped = ["skip", "Skip", "#[ignore"].iter().any(|word| text.contains(word));
        let names = pattern.captures_iter(text).filter_map(|found| found.iter().skip(1).flatten().next());
        self.tests.extend(names.map(|name| Test { path: path.to_owned(), name: name.as_str().to_owned(), may_be_skipped }));
    }

    /// Says that there was more than could be read.
    pub fn break_off(&mut self) {
        self.is_whole = false;
    }

    /// Those that are not run with the patch. Of several by one name as many are wanted.
    pub(super) fn missing(&self, with: &Results) -> Vec<Finding> {
        let finding = |path: &str, told: String| Finding { gate: Gate::TestWeakened, path: path.to_owned(), line: None, told };
        if !self.is_whole {
            return vec![finding("", "there are more files of tests than are read to know which tests the base has".to_owned())];
        }
        let mut run: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
        for (test, status) in &with.tests {
            let is_run = *status != Status::Skipped;
            for (name, whole) in self.names(test) {
                *run.entry(name).or_default().entry(whole).or_default() |= is_run;
            }
        }
        // One that was run stands for one in the sources, under whichever of its names.
        let (mut missing, mut taken) = (Vec::new(), BTreeSet::new());
        for test in &self.tests {
            let found = run.get_mut(test.name.as_str()).and_then(|of_name| {
                let counts = |(whole, is_run): &(&&str, &bool)| (**is_run || test.may_be_skipped) && !taken.contains(**whole);
                let whole = of_name.iter().find(counts).map(|(whole, _)| *whole)?;
                taken.insert(whole);
                of_name.remove(whole)
            });
            if found.is_none() {
                missing.push(finding(&test.path, format!("{} is not run, though the patch has it built", test.name)));
            }
        }
        missing.truncate(MISSING_SHOWN_MAX);
        missing
    }

    /// What a test that was run may be called in the sources, each with the whole of its name there.
    fn names<'a>(&self, test: &'a str) -> Vec<(&'a str, &'a str)> {
        if self.is_of_scripts {
            // A title may have the sign itself that stands between titles.
            let titles = test.rmatch_indices(" > ").map(|(at, sign)| &test[at + sign.len()..]).take(TITLES_MAX);
            return [test].into_iter().chain(titles).map(|title| (title, test)).collect();
        }
        // Of one test with several sets of parameters there is one in the sources.
        let whole = test.split('[').next().unwrap_or(test);
        vec![(own_name(whole), whole)]
    }
}

#[cfg(test)]
mod tests;
