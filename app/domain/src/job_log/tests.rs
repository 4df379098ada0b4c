use super::*;
use crate::proof::secrets::Own;

fn veil() -> Veil {
    Veil::over(&[Own { name: "webhook secret", value: "kingfisher-42-otter" }])
}

const LOG: &str = "\u{feff}2026-01-02T03:04:05.1234567Z Current runner version: '2.330.0'
2026-01-02T03:04:05.2000000Z ##[group]Runner Image
2026-01-02T03:04:05.2000000Z Image: ubuntu-24.04
2026-01-02T03:04:05.3000000Z ##[endgroup]
2026-01-02T03:04:06.0000000Z ##[group]Run npm ci
2026-01-02T03:04:06.0000000Z \u{1b}[36;1mnpm ci\u{1b}[0m
2026-01-02T03:04:06.0000000Z shell: /usr/bin/bash -e {0}
2026-01-02T03:04:06.0000000Z ##[endgroup]
2026-01-02T03:04:09.0000000Z added 3 packages
2026-01-02T03:04:10.0000000Z ##[group]Run npm test
2026-01-02T03:04:10.0000000Z \u{1b}[36;1mnpm test\u{1b}[0m
2026-01-02T03:04:10.0000000Z ##[endgroup]
2026-01-02T03:04:12.0000000Z ##[group]unit
2026-01-02T03:04:12.0000000Z \u{1b}[31mnot ok 1 - adds\u{1b}[0m with king\u{1b}[0mfisher-42-otter
expected 3
2026-01-02T03:04:12.0000000Z ##[endgroup]
2026-01-02T03:04:13.0000000Z ##[error]Process completed with exit code 1.
2026-01-02T03:04:14.0000000Z Post job cleanup.
2026-01-02T03:04:14.0000000Z [command]/usr/bin/git version
";

#[test]
fn a_log_is_cut_to_the_step_that_failed() {
    let failing = failing(LOG.as_bytes(), None, &veil());
    insta::assert_snapshot!(failing.text, @r#"
    unit
    not ok 1 - adds with king…
    expected 3
    "#);
    assert_eq!((failing.errors, failing.is_cut), (vec!["Process completed with exit code 1.".to_owned()], false));
}

#[test]
fn where_the_time_is_known_it_decides() {
    let at = |text: &str| text.parse::<Timestamp>().expect("it is a time");
    let span = |from, to| Some(Span { from: at(from), to: at(to) });
    let first = failing(LOG.as_bytes(), span("2026-01-02T03:04:06Z", "2026-01-02T03:04:09Z"), &veil());
    assert!(first.text.contains("added 3 packages") && !first.text.contains("not ok"), "{}", first.text);
    let second = failing(LOG.as_bytes(), span("2026-01-02T03:04:10Z", "2026-01-02T03:04:13Z"), &veil());
    assert!(second.text.contains("expected 3"), "a line without a time belongs to the one before: {}", second.text);
    let never = failing(LOG.as_bytes(), span("2020-01-02T03:04:10Z", "2020-01-02T03:04:13Z"), &veil());
    assert!(never.text.contains("expected 3"), "clocks that differ hide nothing");
}

#[test]
fn a_log_without_any_mark_is_shown_by_its_ends() {
    let failing = failing(b"first\nlast", None, &veil());
    assert_eq!((failing.text.as_str(), failing.errors.len()), ("first\nlast", 0));
}

#[test]
fn a_long_log_is_shown_in_part() {
    let long = format!("2026-01-02T03:04:05Z {}\n", "x".repeat(100)).repeat(120_000);
    let errors = "2026-01-02T03:04:05Z ##[error]again\n".repeat(50);
    let long = format!("{long}{errors}2026-01-02T03:04:05Z ##[error]{}", "y".repeat(5_000));
    let failing = failing(long.as_bytes(), None, &veil());
    assert!(failing.is_cut && failing.text.len() < SHOWN_BYTES_MAX + 200, "{}", failing.text.len());
    assert_eq!(failing.errors.len(), ERRORS_MAX);
    assert!(failing.errors.iter().all(|error| error.len() <= ERROR_BYTES_MAX + 10));
}
