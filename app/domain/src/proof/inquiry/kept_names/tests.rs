use super::*;
use crate::proof::Exit;
use crate::sample::ended;

const FILES: &[&str] = &["tests/test_a.py", "tests/test_b.py"];

/// Where each test is told to be gone from, after these pass on the base and those with the whole patch.
fn told(base: &[&str], head: &[&str]) -> Vec<(String, String)> {
    let ran = |stand, tests: &[&str]| Ran {
        stand,
        evidence: ended(Exit::Code(0)),
        results: Some(Results {
            tests: tests.iter().map(|test| ((*test).to_owned(), Status::Passed)).collect(),
            is_complete: true,
        }),
        canaries: None,
        rewritten: None,
    };
    let runs = [ran(Stand::Base, base), ran(Stand::Tests, head), ran(Stand::Head, head)];
    gone(&runs, FILES).into_iter().map(|found| (found.path, found.told.replace(" is not run any more", ""))).collect()
}

#[track_caller]
fn check(base: &[&str], head: &[&str], expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> = expected.iter().map(|(path, test)| ((*path).into(), (*test).into())).collect();
    assert_eq!(told(base, head), expected);
}

#[test]
fn new_tests_of_one_file_stand_for_none_that_is_gone_from_another() {
    let base = ["tests.test_a > one", "tests.test_a > two", "tests.test_b > three"];
    let head = ["tests.test_a > one", "tests.test_b > three", "tests.test_b > four", "tests.test_b > five"];
    check(&base, &head, &[("tests/test_a.py", "tests.test_a > two")]);
    check(&base, &["tests.test_a > one", "tests.test_a > both", "tests.test_b > three"], &[]);
}

#[test]
fn a_test_that_stands_in_another_file_is_not_gone() {
    let base = ["tests.test_a > one[1.5]", "tests.test_b > three"];
    check(&base, &["tests.test_b > one[1.5]", "tests.test_b > three"], &[]);
    check(&base, &["tests.test_b > one[2.5]", "tests.test_b > three"], &[("tests/test_a.py", "tests.test_a > one[1.5]")]);
}

#[test]
fn a_test_whose_name_tells_no_file_is_told_of_none() {
    check(&["one", "two"], &["one"], &[("", "two")]);
    check(&["one", "tests.test_c > two"], &["one"], &[("", "tests.test_c > two")]);
    check(&["one", "two"], &["one", "second"], &[]);
}
