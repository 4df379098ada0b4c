use super::*;
use crate::journal::Digest;
use crate::proof::Exit;

fn run(side: Side, code: i32, failed: Option<&[&str]>) -> Rerun {
    let evidence = Evidence {
        command: "make test".into(),
        exit: Exit::Code(code),
        duration_ms: 1,
        output: Digest::of(b""),
        excerpt: "first\nlast".into(),
        results: None,
    };
    let failed = failed.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    Rerun { side, reached: true, colour: evidence.exit.colour(), evidence, failed }
}

fn told() -> Told {
    Told { failed_step: Some("Run make test".into()), has_steps: true, ..Told::default() }
}

fn inquiry(told: &Told) -> Inquiry<'_> {
    Inquiry { told, obstacle: None, differences: &[], has_base: true, is_own_step: false }
}

/// Plays the runs of each side in their order, and returns the verdict with how many were wanted of each.
#[track_caller]
fn judged(inquiry: &Inquiry<'_>, head: &[Rerun], base: &[Rerun]) -> (Verdict, usize, usize) {
    let mut runs: Vec<Rerun> = Vec::new();
    loop {
        let of = |side: Side| runs.iter().filter(|run| run.side == side).count();
        match inquiry.next(&runs) {
            Next::Judged(verdict) => return (verdict, of(Side::Head), of(Side::Base)),
            Next::Run(Side::Head) => runs.push(head[of(Side::Head)].clone()),
            Next::Run(Side::Base) => runs.push(base[of(Side::Base)].clone()),
        }
    }
}

fn sides(side: Side, codes: [i32; 3]) -> Vec<Rerun> {
    codes.iter().map(|code| run(side, *code, None)).collect()
}

#[test]
fn what_always_fails_and_not_on_the_base_is_for_repair() {
    let (head, base) = (sides(Side::Head, [1, 1, 1]), sides(Side::Base, [0, 0, 0]));
    let (verdict, n_head, n_base) = judged(&inquiry(&told()), &head, &base);
    assert_eq!((&verdict, n_head, n_base), (&Verdict::Red { tests: Vec::new(), is_base_green: true }, RUNS, RUNS));
    assert!(verdict.is_for_repair());
}

#[test]
fn a_base_that_fails_in_the_same_way_is_told() {
    let head = sides(Side::Head, [1, 1, 1]);
    let (verdict, ..) = judged(&inquiry(&told()), &head, &sides(Side::Base, [1, 1, 1]));
    assert_eq!(verdict, Verdict::BaseRed { tests: Vec::new() });
    assert!(!verdict.is_for_repair());
}

#[test]
fn a_test_that_fails_here_alone_is_for_repair_though_the_base_is_red() {
    let head = vec![run(Side::Head, 1, Some(&["a", "b"])); RUNS];
    let base = vec![run(Side::Base, 1, Some(&["a"])); RUNS];
    let (verdict, ..) = judged(&inquiry(&told()), &head, &base);
    assert_eq!(verdict, Verdict::Red { tests: vec!["b".into()], is_base_green: false });
    let (same, ..) =
        judged(&inquiry(&told()), &base.iter().map(|r| Rerun { side: Side::Head, ..r.clone() }).collect::<Vec<_>>(), &base);
    assert_eq!(same, Verdict::BaseRed { tests: vec!["a".into()] });
}

#[test]
fn what_does_not_always_fail_is_flaky() {
    let (verdict, _, n_base) = judged(&inquiry(&told()), &sides(Side::Head, [1, 0, 1]), &[]);
    assert_eq!((verdict, n_base), (Verdict::Flaky { side: Side::Head, n_red: 2, n_green: 1 }, 0));
    let (never, ..) = judged(&inquiry(&told()), &sides(Side::Head, [0, 0, 0]), &[]);
    assert_eq!(never, Verdict::Flaky { side: Side::Head, n_red: 0, n_green: 3 });
    let (base, ..) = judged(&inquiry(&told()), &sides(Side::Head, [1, 1, 1]), &sides(Side::Base, [1, 0, 1]));
    assert_eq!(base, Verdict::Flaky { side: Side::Base, n_red: 2, n_green: 1 });
}

/// A test that fails there now and then is not the change's.
#[test]
fn a_test_that_fails_on_the_base_now_and_then_is_flaky() {
    let head = vec![run(Side::Head, 1, Some(&["a"])); RUNS];
    let base = [run(Side::Base, 1, Some(&["a"])), run(Side::Base, 1, Some(&["a"])), run(Side::Base, 0, Some(&[]))];
    let (verdict, ..) = judged(&inquiry(&told()), &head, &base);
    assert_eq!(verdict, Verdict::Flaky { side: Side::Base, n_red: 2, n_green: 1 });
    let unsaid = [run(Side::Base, 1, Some(&["a"])), run(Side::Base, 1, None), run(Side::Base, 1, Some(&[]))];
    assert_eq!(judged(&inquiry(&told()), &head, &unsaid).0, Verdict::BaseRed { tests: vec!["a".into()] });
}

/// A job whose own tests never end has not failed for want of a machine.
#[test]
fn a_job_that_took_too_long_is_no_failure_of_its_machine() {
    let late = Told { conclusion: Ended::TimedOut, failed_step: None, ..told() };
    let (verdict, ..) = judged(&inquiry(&late), &[], &[]);
    assert_eq!(because(&verdict), "The job's time ran out, and GitHub does not say in which step.");
    assert!(matches!(verdict, Verdict::Unreproducible { .. }), "{verdict:?}");
}

#[test]
fn a_step_of_the_file_is_none_of_the_runners_whatever_it_is_called() {
    let told = Told { failed_step: Some("Post deploy tests".into()), ..told() };
    let own = Inquiry { is_own_step: true, ..inquiry(&told) };
    assert_eq!(own.next(&[]), Next::Run(Side::Head));
    assert!(matches!(inquiry(&told).next(&[]), Next::Judged(Verdict::Infrastructure { .. })));
}

#[test]
fn what_passes_on_another_machine_shows_nothing() {
    let (told, differences) = (told(), vec!["The job runs on `macos-latest`, and this machine is another one.".to_owned()]);
    let inquiry = Inquiry { differences: &differences, ..inquiry(&told) };
    let (verdict, ..) = judged(&inquiry, &sides(Side::Head, [0, 0, 0]), &[]);
    insta::assert_snapshot!(because(&verdict), @"It passes here each time, and here is different: The job runs on `macos-latest`, and this machine is another one.");
    let (red, ..) = judged(&inquiry, &sides(Side::Head, [1, 1, 1]), &sides(Side::Base, [0, 0, 0]));
    assert!(red.is_for_repair(), "it fails here as well");
}

fn because(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Infrastructure { because } | Verdict::Unreproducible { because } => because,
        Verdict::Flaky { .. } | Verdict::BaseRed { .. } | Verdict::Red { .. } => "",
    }
}

#[test]
fn what_gives_no_result_cannot_be_seen_here() {
    let missing = run(Side::Head, 127, None);
    let (verdict, n_head, _) = judged(&inquiry(&told()), std::slice::from_ref(&missing), &[]);
    assert_eq!((because(&verdict), n_head), ("What failed there gives no result here: exit code 127. Its last line is: last", 1));
    let before = Rerun { reached: false, ..run(Side::Head, 1, None) };
    let (verdict, ..) = judged(&inquiry(&told()), &[before], &[]);
    assert!(matches!(verdict, Verdict::Unreproducible { .. }) && because(&verdict).starts_with("A step before"));
    let (verdict, ..) = judged(&Inquiry { obstacle: Some("No job is called so."), ..inquiry(&told()) }, &[], &[]);
    assert_eq!(verdict, Verdict::Unreproducible { because: "No job is called so.".into() });
}

#[test]
fn what_could_not_begin_is_told_by_a_base_that_could() {
    let doubtful = |side| Rerun { colour: Colour::None, ..run(side, 2, None) };
    let head = vec![doubtful(Side::Head); RUNS];
    let (verdict, ..) = judged(&inquiry(&told()), &head, &sides(Side::Base, [0, 0, 0]));
    assert_eq!(verdict, Verdict::Red { tests: Vec::new(), is_base_green: true });
    let (verdict, n_head, n_base) = judged(&inquiry(&told()), &head, &[doubtful(Side::Base)]);
    assert_eq!(
        (because(&verdict), n_head, n_base),
        ("What failed there gives no result here: exit code 2. Its last line is: last", 3, 1)
    );
    let (verdict, ..) = judged(&Inquiry { has_base: false, ..inquiry(&told()) }, &head, &[]);
    assert!(matches!(verdict, Verdict::Unreproducible { .. }), "{verdict:?}");
}

#[test]
fn a_base_that_says_nothing_excuses_nothing() {
    let (verdict, _, n_base) = judged(&inquiry(&told()), &sides(Side::Head, [1, 1, 1]), &sides(Side::Base, [127, 0, 0]));
    assert_eq!((verdict, n_base), (Verdict::Red { tests: Vec::new(), is_base_green: false }, 1));
    let (verdict, _, n_base) = judged(&Inquiry { has_base: false, ..inquiry(&told()) }, &sides(Side::Head, [1, 1, 1]), &[]);
    assert_eq!((verdict, n_base), (Verdict::Red { tests: Vec::new(), is_base_green: false }, 0));
}

#[test]
fn where_nothing_of_the_repository_failed_nothing_is_run() {
    let of = |told: Told| judged(&inquiry(&told), &[], &[]).0;
    let none = || told();
    for told in [
        Told { conclusion: Ended::Cancelled, ..none() },
        Told { failed_step: None, ..none() },
        Told { failed_step: Some("Set up job".into()), ..none() },
        Told { failed_step: Some("Post Run actions/cache@v4".into()), ..none() },
        Told { failed_step: Some("Run actions/checkout@v5".into()), ..none() },
        Told { errors: vec!["The runner has received a shutdown signal. @everyone".into()], ..none() },
    ] {
        let verdict = of(told.clone());
        assert!(matches!(verdict, Verdict::Infrastructure { .. }) && !verdict.is_for_repair(), "{told:?}: {verdict:?}");
    }
    let unsaid = Told { failed_step: None, has_steps: false, ..none() };
    assert_eq!(inquiry(&unsaid).next(&[]), Next::Run(Side::Head), "where GitHub tells of no steps it is tried");
    let late = Told { conclusion: Ended::TimedOut, ..none() };
    assert_eq!(inquiry(&late).next(&[]), Next::Run(Side::Head));
}
