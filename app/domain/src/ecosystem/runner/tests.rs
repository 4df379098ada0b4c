use super::*;
use crate::sample;

#[track_caller]
fn check(command: &str, code: i32, output: &str, expected: Colour) {
    let evidence = Evidence { command: command.into(), ..sample::ran(code, output) };
    assert_eq!(colour(&evidence), expected, "{command}: {code} {output}");
}

#[test]
fn a_runner_that_does_not_say_that_it_passed_has_not() {
    check("cargo test", 0, "running 1 test\n", Colour::None);
    check("cargo test", 0, "test result: ok. 1 passed; 0 failed", Colour::Green);
    check("python3 -m pytest -q", 0, "", Colour::None);
    check("python3 -m pytest -q", 0, "3 passed in 0.1s", Colour::Green);
    check("python3 -m unittest discover", 0, "", Colour::None);
    check("python3 -m unittest discover", 0, "Ran 3 tests in 0.1s\n\nOK", Colour::Green);
    check("go test ./...", 0, "ok  \texample/x\t0.1s", Colour::Green);
    check("sh tests/run.sh", 0, "", Colour::Green);
}

#[test]
fn a_runner_that_could_not_test_has_found_nothing() {
    check("python3 -m pytest -q", 1, "1 failed", Colour::Red);
    check("python3 -m pytest -q", 1, "/usr/bin/python3: No module named pytest", Colour::None);
    check("python3 -m pytest -q", 5, "no tests ran in 0.1s", Colour::None);
    check("cargo test", 101, "test result: FAILED. 0 passed; 1 failed", Colour::Red);
    check("cargo test", 101, "error: no matching package named `x` found", Colour::None);
}
