use patchwright_domain::results::NAME_CHARS_MAX;

use super::*;

fn shown(results: &Results) -> String {
    let mut lines: Vec<String> = results.tests.iter().map(|(name, status)| format!("{status:?}: {name}")).collect();
    lines.push(if results.is_complete { "complete".into() } else { "not complete".into() });
    lines.join("\n")
}

fn read(format: Format, report: &str) -> String {
    shown(&super::read(format, report.as_bytes()).expect("a report"))
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/results/", $name))
    };
}

#[test]
fn pytest() {
    insta::assert_snapshot!(read(Format::Junit, fixture!("pytest.xml")), @r"
    Errored: tests.test_a > test_f
    Passed: tests.test_a > test_p[1]
    Failed: tests.test_a > test_p[2]
    Skipped: tests.test_a > test_s
    Skipped: tests.test_a > test_x
    Failed: tests.test_a.TestX > test_bad
    Passed: tests.test_a.TestX > test_ok
    complete
    ");
}

#[test]
fn node() {
    insta::assert_snapshot!(read(Format::Junit, fixture!("node.xml")), @r"
    Errored: /workspace/m.test.mjs
    Passed: adds
    Failed: outer > inner > fails
    Skipped: outer > inner > sk
    Skipped: outer > inner > td
    complete
    ");
}

#[test]
fn cargo_test() {
    insta::assert_snapshot!(read(Format::Libtest, fixture!("cargo-test.txt")), @r"
    Passed: calc src/lib.rs > tests::adds
    Skipped: calc src/lib.rs > tests::later
    Passed: calc src/lib.rs > tests::panics
    Failed: calc src/lib.rs > tests::wrong
    Passed: doc-tests calc > src/lib.rs - add
    Passed: whole tests/whole.rs > whole
    complete
    ");
}

#[test]
fn nextest() {
    insta::assert_snapshot!(read(Format::Nextest, fixture!("nextest.txt")), @r"
    Passed: calc tests::adds
    Passed: calc tests::panics
    Failed: calc tests::wrong
    Passed: calc::whole whole
    complete
    ");
}

#[test]
fn unittest() {
    insta::assert_snapshot!(read(Format::Unittest, fixture!("unittest.txt")), @r"
    Failed: test_u.T.test_bad
    Passed: test_u.T.test_doc
    Failed: test_u.T.test_err
    Passed: test_u.T.test_ok
    Skipped: test_u.T.test_sk
    Failed: test_u.T.test_sub
    Passed: test_u.T.test_xf
    Errored: unittest.loader._FailedTest.test_v
    complete
    ");
}

#[test]
fn examples_in_documentation_under_unittest() {
    let said = "f (calc)\nDoctest: calc.f ... FAIL\ng (pkg.mod)\nDoctest: pkg.mod.g ... ok\n\n======\nFAIL: f (calc)\nDoctest: \
                 calc.f\n------\nok\n\nRan 2 tests in 0.001s\n\nFAILED (failures=1)\n";
    insta::assert_snapshot!(read(Format::Unittest, said), @r"
    Failed: Doctest: calc.f
    Passed: Doctest: pkg.mod.g
    complete
    ");
}

#[test]
fn go() {
    insta::assert_snapshot!(read(Format::Go, fixture!("go.jsonl")), @r"
    Passed: example.com/calc > TestAdd
    Skipped: example.com/calc > TestSlow
    Failed: example.com/calc > TestSub
    Failed: example.com/calc > TestSub/negative
    Errored: example.com/calc/broken
    complete
    ");
}

#[test]
fn jest() {
    insta::assert_snapshot!(read(Format::Jest, fixture!("jest.json")), @r"
    Passed: j.spec.cjs > calc > adds
    Skipped: j.spec.cjs > calc > later
    Skipped: j.spec.cjs > calc > more
    Failed: j.spec.cjs > calc > subs
    complete
    ");
}

#[test]
fn vitest() {
    insta::assert_snapshot!(read(Format::Jest, fixture!("vitest.json")), @r"
    Passed: a.test.js > calc > adds
    Skipped: a.test.js > calc > later
    Failed: a.test.js > calc > subs
    Errored: b.test.js
    complete
    ");
}

#[test]
fn a_test_that_is_reported_twice_ended_as_the_worse_of_both() {
    let xml = |first: &str, second: &str| {
        format!(
            r#"<testsuite><testcase classname="a" name="b">{first}</testcase><testcase classname="a" name="b">{second}</testcase></testsuite>"#
        )
    };
    for (first, second) in [("", "<failure/>"), ("<failure/>", ""), ("<failure/>", "<skipped/>")] {
        assert_eq!(read(Format::Junit, &xml(first, second)), "Failed: a > b\ncomplete");
    }
}

#[test]
fn what_breaks_off_is_not_complete() {
    let cargo = fixture!("cargo-test.txt");
    let until = |text: &str, mark: &str| text[..text.find(mark).expect("the mark")].to_owned();
    for (format, report) in [
        (Format::Libtest, until(cargo, "test result: ok")),
        (Format::Libtest, String::new()),
        (Format::Nextest, until(fixture!("nextest.txt"), "     Summary")),
        (Format::Unittest, until(fixture!("unittest.txt"), "Ran ")),
        (Format::Go, r#"{"Action":"start","Package":"a"}"#.to_owned()),
    ] {
        assert!(!super::read(format, report.as_bytes()).expect("lines").is_complete, "{format:?}");
    }
}

#[test]
fn what_is_no_report_is_unreadable() {
    for (format, report) in [
        (Format::Junit, ""),
        (Format::Junit, "<html></html>"),
        (Format::Junit, "<testsuite><testcase name='a'></testsuite>"),
        (Format::Junit, "<testsuite><testcase name='&undefined;'/></testsuite>"),
        (Format::Jest, ""),
        (Format::Jest, "[]"),
        (Format::Jest, "{\"testResults\": 1}"),
    ] {
        let read = super::read(format, report.as_bytes());
        assert!(matches!(read, Err(Unreadable::Malformed(_))), "{format:?} {report}: {read:?}");
    }
    let nested = "<testsuite name='a'>".repeat(100);
    assert!(matches!(super::read(Format::Junit, nested.as_bytes()), Err(Unreadable::Malformed(_))));
}

#[test]
fn entities_are_not_expanded() {
    let bomb =
        r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>"#;
    assert!(matches!(super::read(Format::Junit, bomb.as_bytes()), Err(Unreadable::Malformed(_))));
}

#[test]
fn a_report_beyond_the_limits_is_refused() {
    let large = vec![b' '; REPORT_BYTES_MAX + 1];
    assert_eq!(super::read(Format::Go, &large), Err(Unreadable::TooLarge(large.len())));
    let many: String = (0..=TESTS_MAX).map(|n| format!("<testcase name='{n}'/>")).collect();
    let many = format!("<testsuite>{many}</testsuite>");
    assert_eq!(super::read(Format::Junit, many.as_bytes()), Err(Unreadable::TooMany(TooMany)));
    let long = format!("<testsuite><testcase name='{}'/></testsuite>", "é".repeat(10_000));
    let read = super::read(Format::Junit, long.as_bytes()).expect("a report");
    assert_eq!(read.told(str::to_owned).tests.keys().next().expect("a test").chars().count(), NAME_CHARS_MAX);
}

/// What is left of a secret that a name is cut in would be known to nobody.
#[test]
fn a_long_name_is_cut_behind_what_takes_secrets_out() {
    let name = format!("{}hunter-2-and-more", "x".repeat(NAME_CHARS_MAX - 5));
    let report = format!("<testsuite><testcase name='{name}'/></testsuite>");
    let read = super::read(Format::Junit, report.as_bytes()).expect("a report");
    let told = read.told(|name| name.replace("hunter-2-and-more", "…"));
    let told = told.tests.keys().next().expect("a test");
    assert!(told.ends_with("x…") && told.chars().count() <= NAME_CHARS_MAX, "{told}");
}
