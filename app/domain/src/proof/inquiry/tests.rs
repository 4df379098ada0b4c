use super::*;
use crate::ecosystem::runner::Runner;
use crate::proof::findings::Gate;
use crate::results::Status::{Errored, Failed, Passed, Skipped};
use crate::results::table::Movement;
use crate::sample::{changed, ended, plan};

const GREEN: Exit = Exit::Code(0);
const RED: Exit = Exit::Code(1);

/// What a tree says when its tests are run for the n-th time.
type Says = fn(Stand, usize) -> Said;

/// The exit code, and what was reported of each test.
type Said = (Exit, Option<&'static [(&'static str, Status)]>);

struct Patch {
    changes: Vec<Change>,
    mixed: Vec<Mixed>,
    n_runs: usize,
    canaries: Option<fn(Stand) -> usize>,
    is_about_the_build: bool,
    findings: Vec<Finding>,
    known_flaky: BTreeSet<String>,
    runner: Runner,
    rewrites: Option<fn(Stand) -> bool>,
}

const N_CANARIES: usize = 3;

impl Patch {
    fn of(paths: &[&str]) -> Self {
        let changes = paths.iter().map(|path| changed(path, ChangeKind::Modified)).collect();
        Self {
            changes,
            mixed: Vec::new(),
            n_runs: 2,
            canaries: None,
            is_about_the_build: false,
            findings: Vec::new(),
            known_flaky: BTreeSet::new(),
            runner: Runner::Cargo,
            rewrites: None,
        }
    }

    /// Runs what is asked for until there is a verdict, and says in which order that was.
    fn judged(&self, says: Says) -> (Verdict, Vec<Stand>) {
        let plan = Plan { runner: Some(self.runner), ..plan() };
        let mut census = Census::default();
        census.add(self.runner, "tests/it.rs", "#[test]\nfn names() {}\n");
        let inquiry = Inquiry {
            plan: &plan,
            changes: &self.changes,
            n_runs: self.n_runs,
            has_canaries: self.canaries.is_some(),
            build: self.is_about_the_build.then_some(&census),
            mixed: &self.mixed,
            test_files: &TestFiles::default(),
            has_inline_tests: false,
            findings: &self.findings,
            known_flaky: &self.known_flaky,
        };
        let mut runs: Vec<Ran> = Vec::new();
        for _ in 0..20 {
            match inquiry.next(&runs) {
                Next::Judged(verdict) => return (*verdict, runs.iter().map(|ran| ran.stand).collect()),
                Next::Run { stand, has_canaries } => {
                    let n_before = runs.iter().filter(|ran| ran.stand == stand).count();
                    let ran = self.ran(stand, has_canaries, says(stand, n_before));
                    // The first run on the base is that of the preparation, which nobody looks at.
                    let rewritten = ran.rewritten.clone().filter(|_| !runs.is_empty());
                    runs.push(Ran { rewritten, ..ran });
                }
            }
        }
        panic!("it goes on for ever: {:?}", runs.iter().map(|ran| ran.stand).collect::<Vec<_>>());
    }

    fn ran(&self, stand: Stand, has_canaries: bool, (exit, tests): Said) -> Ran {
        let results = tests.map(|tests| Results {
            tests: tests.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect(),
            is_complete: true,
        });
        let canaries = self.canaries.filter(|_| has_canaries);
        let canaries = canaries.map(|n_failed| Canaries { n_laid: N_CANARIES, n_failed: n_failed(stand) });
        let exit = if canaries.is_some_and(|canaries| canaries.n_failed > 0) { RED } else { exit };
        let is_rewriting = self.rewrites.is_some_and(|rewrites| rewrites(stand));
        let rewritten = ["tests/", "tests/it.rs"].into_iter().filter(|_| is_rewriting).map(str::to_owned).collect();
        Ran { stand, evidence: ended(exit), results, canaries, rewritten: Some(rewritten) }
    }

    fn doubt(&self, says: Says) -> Option<Doubt> {
        match self.judged(says).0 {
            Verdict::Proven { .. } => None,
            Verdict::Unproven { doubt, .. } => Some(doubt),
        }
    }
}

const CODE: &[&str] = &["src/lib.rs"];
const BOTH: &[&str] = &["src/lib.rs", "tests/it.rs"];

/// A test of the base fails without the code and passes with it.
fn mends_an_old_test(stand: Stand, _: usize) -> Said {
    match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("adds", Failed), ("names", Passed)])),
        Stand::Code | Stand::Head => (GREEN, Some(&[("adds", Passed), ("names", Passed)])),
    }
}

/// The base's tests pass; one that the patch brings fails without its code.
fn brings_a_test(stand: Stand, _: usize) -> Said {
    match stand {
        Stand::Base | Stand::Code => (GREEN, Some(&[("names", Passed)])),
        Stand::Tests => (RED, Some(&[("adds", Failed), ("names", Passed)])),
        Stand::Head => (GREEN, Some(&[("adds", Passed), ("names", Passed)])),
    }
}

#[test]
fn a_test_of_the_base_that_the_code_turns_green_is_a_proof() {
    let (verdict, runs) = Patch::of(CODE).judged(mends_an_old_test);
    assert_eq!(runs, [Stand::Base, Stand::Code, Stand::Base, Stand::Code]);
    let Verdict::Proven { account: Some(account), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!((account.reproducers, account.runs.len()), (vec!["adds".to_owned()], 4));
    assert_eq!(account.table.map(|table| table.count(Movement::Mended)), Some(1));
}

#[test]
fn a_test_that_the_patch_brings_is_a_proof_if_it_fails_without_the_code() {
    let (verdict, runs) = Patch::of(BOTH).judged(brings_a_test);
    assert_eq!(runs, [Stand::Base, Stand::Code, Stand::Tests, Stand::Head, Stand::Tests, Stand::Head]);
    let Verdict::Proven { account: Some(account), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(account.reproducers, ["adds"]);
}

#[test]
fn a_test_that_passes_without_the_code_shows_nothing() {
    let passes = |stand: Stand, _| match stand {
        Stand::Base | Stand::Code => (GREEN, Some(&[("names", Passed)][..])),
        Stand::Tests | Stand::Head => (GREEN, Some(&[("adds", Passed), ("names", Passed)][..])),
    };
    assert_eq!(Patch::of(BOTH).doubt(passes), Some(Doubt::GreenBefore));
    assert_eq!(Patch::of(CODE).doubt(|_, _| (GREEN, Some(&[("names", Passed)]))), Some(Doubt::GreenBefore));
    assert_eq!(Patch::of(&["tests/it.rs"]).doubt(brings_a_test), Some(Doubt::GreenBefore), "nothing but tests");
}

#[test]
fn a_test_that_cannot_be_built_without_the_code_shows_nothing_unless_the_build_is_what_it_is_about() {
    let imports = |stand: Stand, _| match stand {
        Stand::Base | Stand::Code => (GREEN, Some(&[("names", Passed)][..])),
        Stand::Tests => (RED, Some(&[("the build", Errored), ("names", Passed)][..])),
        Stand::Head => (GREEN, Some(&[("adds", Passed), ("names", Passed)][..])),
    };
    let about_the_build = || Patch { is_about_the_build: true, ..Patch::of(BOTH) };
    assert_eq!(Patch::of(BOTH).doubt(imports), Some(Doubt::DoesNotBuild));
    assert_eq!(about_the_build().doubt(imports), Some(Doubt::DoesNotBuild), "the base itself is built");
    let mends: Says = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("the build", Errored)])),
        Stand::Code | Stand::Head => (GREEN, Some(&[("names", Passed)])),
    };
    assert_eq!(Patch::of(CODE).doubt(mends), Some(Doubt::DoesNotBuild));
    assert_eq!(Patch { is_about_the_build: true, ..Patch::of(CODE) }.doubt(mends), None);
    // What is built is run, all of it, and passes.
    let fails: Says = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("the build", Errored)])),
        Stand::Code | Stand::Head => (RED, Some(&[("names", Passed), ("counts", Failed)])),
    };
    assert_eq!(about_the_build().doubt(fails), Some(Doubt::StillRed));
    let loses: Says = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("the build", Errored)])),
        Stand::Code | Stand::Head => (GREEN, Some(&[("adds", Passed)])),
    };
    assert_eq!(about_the_build().doubt(loses), Some(Doubt::Suspect));
    let silenced = Patch { canaries: Some(|_| 0), ..about_the_build() };
    assert_eq!(silenced.doubt(mends), Some(Doubt::RunnerDeceives));
}

#[test]
fn what_the_base_could_do_the_patch_can() {
    let breaks = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("adds", Failed), ("names", Passed)][..])),
        Stand::Code | Stand::Head => (RED, Some(&[("adds", Passed), ("names", Failed)][..])),
    };
    assert_eq!(Patch::of(CODE).doubt(breaks), Some(Doubt::Regression));
    let loses = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("adds", Failed), ("names", Passed)][..])),
        Stand::Code | Stand::Head => (GREEN, Some(&[("adds", Passed)][..])),
    };
    assert_eq!(Patch::of(CODE).doubt(loses), Some(Doubt::Regression));
    assert_eq!(Patch::of(CODE).doubt(|stand, _| (if stand == Stand::Base { GREEN } else { RED }, None)), Some(Doubt::Regression));
}

#[test]
fn what_failed_for_other_reasons_may_go_on_failing() {
    let elsewhere = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("adds", Failed), ("names", Failed)][..])),
        Stand::Code | Stand::Head => (RED, Some(&[("adds", Passed), ("names", Failed)][..])),
    };
    assert_eq!(Patch::of(CODE).doubt(elsewhere), None);
    assert_eq!(Patch::of(BOTH).doubt(elsewhere), None);
    assert_eq!(Patch::of(CODE).doubt(|_, _| (RED, Some(&[("names", Failed)]))), Some(Doubt::StillRed));
    assert_eq!(Patch::of(CODE).doubt(|_, _| (RED, None)), Some(Doubt::StillRed));
}

#[test]
fn a_test_that_changes_its_mind_shows_nothing() {
    let flips = |stand: Stand, n| match (stand, n) {
        (Stand::Base | Stand::Tests, 0) => (RED, Some(&[("adds", Failed)][..])),
        _ => (GREEN, Some(&[("adds", Passed)][..])),
    };
    assert_eq!(Patch::of(CODE).doubt(flips), Some(Doubt::Flaky));
    let flips_with = |stand: Stand, n| match (stand, n) {
        (Stand::Code | Stand::Head, 0) => (GREEN, Some(&[("adds", Passed)][..])),
        _ => (RED, Some(&[("adds", Failed)][..])),
    };
    assert_eq!(Patch::of(CODE).doubt(flips_with), Some(Doubt::Flaky));
    let coarse = |stand: Stand, n| (if stand == Stand::Base && n == 0 { RED } else { GREEN }, None);
    assert_eq!(Patch::of(CODE).doubt(coarse), Some(Doubt::Flaky));
    let breaks_once = |stand: Stand, n| match (stand, n) {
        (Stand::Base, _) => (RED, Some(&[("adds", Failed), ("names", Passed)][..])),
        (_, 0) => (RED, Some(&[("adds", Passed), ("names", Failed)][..])),
        _ => (GREEN, Some(&[("adds", Passed), ("names", Passed)][..])),
    };
    assert_eq!(Patch::of(CODE).doubt(breaks_once), Some(Doubt::Flaky), "it was steady on the base");
}

#[test]
fn tests_of_the_patch_that_do_not_see_the_fault_any_more_are_told() {
    let weakens = |stand: Stand, _| match stand {
        Stand::Base => (RED, Some(&[("adds", Failed)][..])),
        Stand::Code | Stand::Head | Stand::Tests => (GREEN, Some(&[("adds", Passed)][..])),
    };
    assert_eq!(Patch::of(BOTH).doubt(weakens), Some(Doubt::TestsWeakened));
    let fails = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("adds", Failed)][..])),
        Stand::Code => (GREEN, Some(&[("adds", Passed)][..])),
        Stand::Head => (RED, Some(&[("adds", Passed), ("new", Failed)][..])),
    };
    assert_eq!(Patch::of(BOTH).doubt(fails), Some(Doubt::OwnTestsFail));
}

#[test]
fn exit_codes_alone_are_a_coarser_proof() {
    let coarse: Says = |stand, _| (if stand == Stand::Base { RED } else { GREEN }, None);
    let (verdict, _) = Patch { canaries: Some(|_| 0), ..Patch::of(CODE) }.judged(coarse);
    let Verdict::Proven { account: Some(account), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!((account.table, account.is_runner_honest, account.reproducers), (None, None, Vec::new()));
}

#[test]
fn a_report_that_contradicts_the_exit_code_says_nothing() {
    let lies = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("adds", Failed)][..])),
        Stand::Code | Stand::Head => (RED, Some(&[("adds", Passed)][..])),
    };
    assert_eq!(Patch::of(CODE).doubt(lies), Some(Doubt::StillRed));
    let ends_early = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("adds", Failed)][..])),
        Stand::Code | Stand::Head => (GREEN, Some(&[][..])),
    };
    assert_eq!(Patch::of(CODE).doubt(ends_early), Some(Doubt::Inconclusive));
    let failing_zero = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("adds", Failed)][..])),
        Stand::Code | Stand::Head => (GREEN, Some(&[("adds", Passed), ("names", Failed)][..])),
    };
    assert_eq!(Patch::of(CODE).doubt(failing_zero), Some(Doubt::Inconclusive));
}

#[test]
fn a_run_without_result_proves_nothing() {
    for nothing in [Exit::TimedOut, Exit::Signal(9), Exit::Code(126), Exit::Code(127)] {
        assert_eq!(nothing.colour(), Colour::None);
    }
    assert_eq!(
        Patch::of(CODE).doubt(|stand, _| (if stand == Stand::Base { RED } else { Exit::TimedOut }, None)),
        Some(Doubt::Inconclusive)
    );
    assert_eq!(
        Patch::of(CODE).doubt(|stand, _| (if stand == Stand::Base { Exit::TimedOut } else { GREEN }, None)),
        Some(Doubt::Inconclusive)
    );
}

#[test]
fn a_run_that_ends_well_without_a_report_where_others_have_one_says_nothing() {
    let ends = |stand: Stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("adds", Failed)][..])),
        Stand::Code | Stand::Head => (GREEN, None),
    };
    assert_eq!(Patch::of(CODE).doubt(ends), Some(Doubt::Inconclusive));
}

#[test]
fn a_runner_that_does_not_report_what_must_fail_deceives() {
    let patch = |canaries: fn(Stand) -> usize| Patch { canaries: Some(canaries), ..Patch::of(CODE) };
    let account = |verdict: Verdict| match verdict {
        Verdict::Proven { account, .. } => (None, account.expect("an account").is_runner_honest),
        Verdict::Unproven { doubt, account, .. } => (Some(doubt), account.expect("an account").is_runner_honest),
    };
    assert_eq!(account(patch(|_| N_CANARIES).judged(mends_an_old_test).0), (None, Some(true)));
    let some = |stand| if stand == Stand::Base { N_CANARIES } else { N_CANARIES - 1 };
    assert_eq!(account(patch(some).judged(mends_an_old_test).0), (Some(Doubt::RunnerDeceives), Some(false)));
    let none = |stand| if stand == Stand::Base { N_CANARIES } else { 0 };
    assert_eq!(account(patch(none).judged(mends_an_old_test).0), (Some(Doubt::RunnerDeceives), Some(false)));
    // Where they are not found on the base either, they are of no use.
    assert_eq!(account(patch(|_| 0).judged(mends_an_old_test).0), (None, None));
}

#[test]
fn a_patch_that_decides_how_the_tests_run_is_not_proven_by_them() {
    for (path, kind) in [
        ("Cargo.toml", ChangeKind::Modified),
        ("crates/a/Cargo.toml", ChangeKind::Modified),
        ("Cargo.toml", ChangeKind::Deleted),
        ("jest.config.js", ChangeKind::Added),
        ("tests/conftest.py", ChangeKind::Added),
        ("web/.mocharc.json", ChangeKind::Added),
    ] {
        let changes = vec![changed("src/lib.rs", ChangeKind::Modified), changed(path, kind)];
        let patch = Patch { changes, ..Patch::of(CODE) };
        assert_eq!(patch.doubt(mends_an_old_test), Some(Doubt::TestCommandTouched), "{path}");
        assert_eq!(patch.doubt(|_, _| (RED, None)), Some(Doubt::StillRed), "{path}");
    }
    assert_eq!(
        Patch::of(&["src/lib.rs", "jest.config.js"]).doubt(mends_an_old_test),
        None,
        "the base's configuration is put back"
    );
}

#[test]
fn each_stand_has_its_part_of_the_patch() {
    let changes = [
        changed("src/lib.rs", ChangeKind::Modified),
        changed("tests/changed.rs", ChangeKind::Modified),
        changed("tests/deleted.rs", ChangeKind::Deleted),
        changed("tests/added.rs", ChangeKind::Added),
        changed("src/old.rs", ChangeKind::Deleted),
        changed("conftest.py", ChangeKind::Modified),
    ];
    let tests = ["tests/changed.rs", "tests/deleted.rs", "tests/added.rs", "conftest.py"];
    assert_eq!(Stand::Code.restored(&changes, &TestFiles::default()), tests);
    assert_eq!(Stand::Tests.restored(&changes, &TestFiles::default()), ["src/lib.rs", "src/old.rs"]);
    assert_eq!(Stand::Head.restored(&changes, &TestFiles::default()), Vec::<String>::new());
    assert_eq!(Stand::Base.restored(&changes, &TestFiles::default()).len(), changes.len());
}

#[test]
fn tests_inside_the_code_are_a_part_of_their_own() {
    let mixed = |has_code, has_tests| vec![Mixed { path: "src/lib.rs".into(), has_code, has_tests }];
    // A test that the patch brings fails without its code and passes with it, in one file.
    let brings: Says = |stand, _| match stand {
        Stand::Base | Stand::Code => (GREEN, Some(&[("names", Passed)])),
        Stand::Tests => (RED, Some(&[("adds", Failed), ("names", Passed)])),
        Stand::Head => (GREEN, Some(&[("adds", Passed), ("names", Passed)])),
    };
    assert_eq!(Patch { mixed: mixed(true, true), ..Patch::of(CODE) }.doubt(brings), None);
    assert_eq!(Patch::of(CODE).doubt(brings), Some(Doubt::GreenBefore));
    // Where only its tests are changed, the code's tree is the base.
    let (_, runs) = Patch { mixed: mixed(false, true), ..Patch::of(CODE) }.judged(mends_an_old_test);
    assert!(!runs.contains(&Stand::Code), "{runs:?}");
}

/// Runners find tests in files that no convention knows; there a patch can change what is expected together with the code.
#[test]
fn a_test_in_a_file_that_is_changed_as_code_proves_nothing() {
    let says: Says = |stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("testcalc.Mean.test_three", Failed), ("pkg/calc.ts > mean", Failed)])),
        Stand::Code | Stand::Head => (GREEN, Some(&[("testcalc.Mean.test_three", Passed), ("pkg/calc.ts > mean", Passed)])),
    };
    let of = |runner, paths: &[&str]| Patch { runner, ..Patch::of(paths) }.doubt(says);
    assert_eq!(of(Runner::Unittest, &["lib/testcalc.py", "calc.py"]), None, "the other one is enough");
    let only: Says = |stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("testcalc.Mean.test_three", Failed)])),
        Stand::Code | Stand::Head => (GREEN, Some(&[("testcalc.Mean.test_three", Passed)])),
    };
    let of = |runner, paths: &[&str]| Patch { runner, ..Patch::of(paths) }.doubt(only);
    assert_eq!(of(Runner::Unittest, &["lib/testcalc.py"]), Some(Doubt::TestsTouched));
    assert_eq!(of(Runner::Pytest, &["testcalc.py", "calc.py"]), Some(Doubt::TestsTouched));
    assert_eq!(of(Runner::Unittest, &["calc.py"]), None);
    let script: Says = |stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("src/calc.ts > calc.js > mean", Failed)])),
        Stand::Code | Stand::Head => (GREEN, Some(&[("src/calc.ts > calc.js > mean", Passed)])),
    };
    let of = |runner, paths: &[&str]| Patch { runner, ..Patch::of(paths) }.doubt(script);
    assert_eq!(of(Runner::Vitest, &["src/calc.ts"]), Some(Doubt::TestsTouched));
    assert_eq!(of(Runner::Vitest, &["calc.js"]), None, "that is what the test is called");
}

#[test]
fn a_test_that_was_flaky_before_proves_nothing() {
    let known_flaky = BTreeSet::from(["adds".to_owned()]);
    assert_eq!(Patch { known_flaky, ..Patch::of(CODE) }.doubt(mends_an_old_test), Some(Doubt::Flaky));
    let known_flaky = BTreeSet::from(["names".to_owned()]);
    assert_eq!(Patch { known_flaky, ..Patch::of(CODE) }.doubt(mends_an_old_test), None);
}

#[test]
fn without_a_test_command_nothing_is_run() {
    let plan = Plan { test: None, ..plan() };
    let changes = [changed("src/lib.rs", ChangeKind::Modified)];
    let inquiry = Inquiry {
        plan: &plan,
        changes: &changes,
        n_runs: 2,
        has_canaries: false,
        build: None,
        mixed: &[],
        test_files: &TestFiles::default(),
        has_inline_tests: false,
        findings: &[],
        known_flaky: &BTreeSet::new(),
    };
    let Next::Judged(verdict) = inquiry.next(&[]) else { panic!("a run without a command") };
    assert_eq!(*verdict, Verdict::Unproven { doubt: Doubt::NoTestCommand, base: None, head: None, account: None });
}

#[test]
fn what_stands_in_the_patch_against_it_keeps_it_from_being_proven() {
    let finding =
        Finding { gate: Gate::EndsTheProcess, path: "src/lib.rs".into(), line: Some(3), told: "process::exit(0)".into() };
    let patch = Patch { findings: vec![finding.clone()], ..Patch::of(CODE) };
    let (verdict, runs) = patch.judged(mends_an_old_test);
    let Verdict::Unproven { doubt: Doubt::Suspect, account: Some(account), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!((account.findings, runs.len()), (vec![finding], 2), "no more is run than shows that it would be one");
}

#[test]
fn a_patch_whose_tests_keep_what_must_fail_from_being_reported_is_not_proven() {
    let patch = |canaries: fn(Stand) -> usize| Patch { canaries: Some(canaries), ..Patch::of(BOTH) };
    let silenced = |stand| if matches!(stand, Stand::Base | Stand::Code) { N_CANARIES } else { 0 };
    let (verdict, runs) = patch(silenced).judged(brings_a_test);
    let Verdict::Unproven { doubt: Doubt::RunnerDeceives, account: Some(account), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!((account.is_runner_honest, runs.last()), (Some(false), Some(&Stand::Base)));
    let fewer = |stand| if matches!(stand, Stand::Base | Stand::Code) { N_CANARIES } else { N_CANARIES - 1 };
    assert_eq!(patch(fewer).doubt(brings_a_test), Some(Doubt::RunnerDeceives));
    // A runner that leaves files out which it does not know does so on the base, too.
    let (verdict, _) = patch(|_| 0).judged(brings_a_test);
    let Verdict::Proven { account: Some(account), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(account.is_runner_honest, None);
    assert_eq!(patch(|_| N_CANARIES).doubt(brings_a_test), None);
}

#[test]
fn a_test_that_is_gone_keeps_the_patchs_own_tests_from_proving_it() {
    let loses: Says = |stand, _| match stand {
        Stand::Base | Stand::Code => (GREEN, Some(&[("it tests/it.rs > names", Passed), ("it tests/it.rs > counts", Passed)])),
        Stand::Tests => (RED, Some(&[("it tests/it.rs > adds", Failed), ("it tests/it.rs > names", Passed)])),
        Stand::Head => (GREEN, Some(&[("it tests/it.rs > adds", Passed), ("it tests/it.rs > names", Passed)])),
    };
    let patch = Patch::of(&["src/lib.rs", "tests/a.rs", "tests/it.rs"]);
    let (verdict, _) = patch.judged(loses);
    let Verdict::Unproven { doubt: Doubt::Suspect, account: Some(account), .. } = verdict else { panic!("{verdict:?}") };
    let told = "it tests/it.rs > counts is not run any more".to_owned();
    assert_eq!(account.findings, [Finding { gate: Gate::TestWeakened, path: "tests/it.rs".into(), line: None, told }]);
    let renames: Says = |stand, _| match stand {
        Stand::Base | Stand::Code => (GREEN, Some(&[("names", Passed), ("counts", Passed)])),
        Stand::Tests => (RED, Some(&[("adds", Failed), ("names", Passed), ("counts all", Passed)])),
        Stand::Head => (GREEN, Some(&[("adds", Passed), ("names", Passed), ("counts all", Passed)])),
    };
    assert_eq!(patch.doubt(renames), None);
    let skips: Says = |stand, _| match stand {
        Stand::Base | Stand::Code => (GREEN, Some(&[("names", Passed), ("counts", Passed)])),
        Stand::Tests => (RED, Some(&[("adds", Failed), ("names", Passed), ("counts", Skipped)])),
        Stand::Head => (GREEN, Some(&[("adds", Passed), ("names", Passed), ("counts", Skipped)])),
    };
    assert_eq!(patch.doubt(skips), Some(Doubt::Suspect));
}

#[test]
fn a_test_that_is_gone_is_told_where_those_of_the_base_show_the_fault() {
    let loses: Says = |stand, _| match stand {
        Stand::Base => (RED, Some(&[("adds", Failed), ("names", Passed)])),
        Stand::Code => (GREEN, Some(&[("adds", Passed), ("names", Passed)])),
        Stand::Tests => (RED, Some(&[("adds", Failed)])),
        Stand::Head => (GREEN, Some(&[("adds", Passed)])),
    };
    let (verdict, _) = Patch::of(BOTH).judged(loses);
    let Verdict::Proven { account: Some(account), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(
        account.findings.iter().map(|found| (found.gate, found.told.as_str())).collect::<Vec<_>>(),
        [(Gate::TestWeakened, "names is not run any more")]
    );
}

#[test]
fn an_example_in_the_documentation_of_code_shows_nothing() {
    let mends: Says = |stand, _| match stand {
        Stand::Base | Stand::Tests => (RED, Some(&[("calc > calc.mean", Failed), ("tests.test_calc > test_one", Passed)])),
        Stand::Code | Stand::Head => (GREEN, Some(&[("calc > calc.mean", Passed), ("tests.test_calc > test_one", Passed)])),
    };
    assert_eq!(Patch { runner: Runner::Pytest, ..Patch::of(CODE) }.doubt(mends), Some(Doubt::TestsTouched));
    assert_eq!(Patch { runner: Runner::Jest, ..Patch::of(CODE) }.doubt(mends), None);
}

#[test]
fn code_that_changes_tests_while_they_run_is_not_proven() {
    let patch = |rewrites: fn(Stand) -> bool| Patch { rewrites: Some(rewrites), ..Patch::of(BOTH) };
    assert_eq!(patch(|stand| stand == Stand::Code).doubt(mends_an_old_test), Some(Doubt::Suspect));
    assert_eq!(patch(|stand| stand == Stand::Head).doubt(brings_a_test), Some(Doubt::Suspect));
    let (verdict, _) = patch(|stand| stand == Stand::Code).judged(mends_an_old_test);
    let findings = &verdict.account().expect("an account").findings;
    assert_eq!(
        findings.iter().map(|found| (found.gate, found.path.as_str())).collect::<Vec<_>>(),
        [(Gate::FolderMoved, "tests"), (Gate::TestsRewritten, "tests/it.rs")]
    );
    // A suite that writes into its own folder does so without the code, too.
    assert_eq!(patch(|_| true).doubt(mends_an_old_test), None);
    let (verdict, runs) = patch(|stand| stand != Stand::Code).judged(brings_a_test);
    assert!(matches!(verdict, Verdict::Proven { .. }), "{verdict:?}");
    assert_eq!(runs.iter().filter(|stand| **stand == Stand::Base).count(), 2, "the base is run once more, to be looked at");
    // What the patch's own tests change without its code is not the base's doing.
    assert_eq!(patch(|stand| matches!(stand, Stand::Tests | Stand::Head)).doubt(brings_a_test), Some(Doubt::Suspect));
}
