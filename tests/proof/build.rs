//! Patches that mend what does not build or load, as whoever asks for them says: what the base's files name is run with them and
//! passes.

use super::honest::{NODE_FIXED, RUST_FIXED};
use super::{Case, File, NODE, PYTHON, PYTHON_FIXED, RUST, ended, judged, prove_as};

/// Rust that is not compiled, for its types are not alike.
const UNTYPED: File =
    ("src/lib.rs", Some("pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / values.len()\n}\n"));
const RUST_BROKEN: &[File] = &[RUST[0], RUST[1], UNTYPED, RUST[3]];
/// Python that is not loaded, for it imports what there is not.
const UNLOADED: File =
    ("calc.py", Some("from counting import count\n\n\ndef mean(values):\n    return sum(values) / count(values)\n"));
const PYTHON_BROKEN: &[File] = &[UNLOADED, PYTHON[1], PYTHON[2], PYTHON[3]];

/// A script that is not loaded, with tests whose titles have signs that stand for something in other languages' names.
const NODE_BROKEN: &[File] = &[
    NODE[0],
    (
        "calc.js",
        Some(
            "const { count } = require('./counting');\nexports.mean = (values) => values.reduce((a, b) => a + b) / count(values);\n",
        ),
    ),
    ("test/calc.test.js", Some(TITLED)),
];
const TITLED: &str = "const { test, describe } = require('node:test');\nconst assert = require('node:assert');\nconst { mean } = require('../calc');\n\ntest('mean of 1.5', () => {\n  assert.equal(mean([1, 2]), 1.5);\n});\n\ndescribe('of /means', () => {\n  test('GET /means: a[0] > 0', () => {\n    assert.equal(mean([2, 4, 6]), 4);\n  });\n});\n";

/// A crate of two modules of which one is not compiled; both have tests.
const RUST_OF_TWO: &[File] = &[
    RUST[0],
    RUST[1],
    ("src/lib.rs", Some("mod mean;\nmod spread;\n\npub use mean::mean;\n")),
    (
        "src/mean.rs",
        Some(
            "pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / values.len() as i64\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn three() {\n        assert_eq!(super::mean(&[2, 4, 6]), 4);\n    }\n}\n",
        ),
    ),
    (
        "src/spread.rs",
        Some(
            "fn spread(values: &[i64]) -> i64 {\n    values.iter().max()\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn of_two() {\n        assert_eq!(super::spread(&[2, 5]), 3);\n    }\n}\n",
        ),
    ),
];

/// A package of two modules of which one is not loaded; both have tests.
const PYTHON_OF_TWO: &[File] = &[
    PYTHON_FIXED,
    ("spread.py", Some("from counting import count\n\n\ndef spread(values):\n    return max(values) - min(values)\n")),
    PYTHON[1],
    PYTHON[2],
    PYTHON[3],
    (
        "tests/test_spread.py",
        Some(
            "import unittest\nfrom spread import spread\n\n\nclass Spread(unittest.TestCase):\n    def test_of_two(self):\n        self.assertEqual(spread([2, 5]), 3)\n",
        ),
    ),
];

fn as_a_build(case: &Case<'_>) -> String {
    ended(case, &prove_as(case, &[], &["--build"]))
}

#[test]
fn a_patch_that_mends_the_build_is_proven_where_that_is_asked_for() {
    let named = "src/spread.rs";
    let mended = "fn spread(values: &[i64]) -> i64 {\n    values.iter().max().unwrap_or(&0) - values.iter().min().unwrap_or(&0)\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn of_two() {\n        assert_eq!(super::spread(&[2, 5]), 3);\n    }\n}\n";
    for (name, base, patch) in [
        ("Rust", RUST_BROKEN, &[RUST_FIXED][..]),
        ("Rust, one of two modules", RUST_OF_TWO, &[(named, Some(mended))]),
        ("Python", PYTHON_BROKEN, &[PYTHON_FIXED]),
        ("Node", NODE_BROKEN, &[NODE_FIXED]),
    ] {
        let case = Case { name, base, patch, doubt: None };
        assert_eq!(judged(&case), "does_not_build", "{name}");
        assert_eq!(as_a_build(&case), "proven", "{name}");
    }
}

/// Where the base is built, nothing else is asked of a patch than without the option.
#[test]
fn a_base_that_builds_is_no_other_for_being_asked_about_its_build() {
    let case = Case { name: "Python", base: PYTHON, patch: &[PYTHON_FIXED], doubt: None };
    assert_eq!(as_a_build(&case), "proven");
    let own = "import unittest\nfrom calc import half\n\n\nclass Half(unittest.TestCase):\n    def test_half(self):\n        self.assertEqual(half(2), 1)\n";
    let more = "def mean(values):\n    return sum(values) / len(values)\n\n\ndef half(value):\n    return value // 2\n";
    let base = &[PYTHON_FIXED, PYTHON[1], PYTHON[2], PYTHON[3]];
    let patch = &[("calc.py", Some(more)), ("tests/test_half.py", Some(own))];
    let case = Case { name: "a test that needs the patch to be loaded", base, patch, doubt: None };
    assert_eq!(as_a_build(&case), "does_not_build");
}

#[test]
fn a_build_that_is_mended_by_leaving_tests_out_is_never_proven() {
    let dropped = ("src/lib.rs", Some("mod mean;\n\npub use mean::mean;\n"));
    let broken_test = ("tests/spread.rs", Some("#[test]\nfn spreads() {\n    assert_eq!(calc::spread(&[2, 5]), 3);\n}\n"));
    let rust_test: &[File] = &[RUST[0], RUST[1], RUST_FIXED, RUST[3], broken_test];
    let noted = (
        "src/lib.rs",
        Some("//! Means.\n\npub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / values.len() as i64\n}\n"),
    );
    let skips = "import unittest\n\nraise unittest.SkipTest('later')\n";
    for (name, base, patch) in [
        ("Rust: the module is not declared any more", RUST_OF_TWO, &[dropped][..]),
        ("Rust: the module is gone", RUST_OF_TWO, &[dropped, ("src/spread.rs", None)]),
        ("Rust: its tests alone are gone", RUST_OF_TWO, &[("src/spread.rs", Some("fn spread() {}\n"))]),
        ("Rust: the test that is not built is gone", rust_test, &[noted, ("tests/spread.rs", None)]),
        (
            "Rust: no test is looked for",
            RUST_BROKEN,
            &[
                RUST_FIXED,
                ("Cargo.toml", Some("[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\nautotests = false\n")),
            ],
        ),
        ("Rust: what is built is wrong", RUST_BROKEN, &[RUST[2]]),
        (
            "Python: the test that is not loaded is gone",
            PYTHON_OF_TWO,
            &[
                ("calc.py", Some("def mean(values):\n    return sum(values) / max(len(values), 1)\n")),
                ("tests/test_spread.py", None),
            ],
        ),
        (
            "Python: the test is emptied",
            PYTHON_OF_TWO,
            &[("spread.py", Some("def spread(values):\n    return 0\n")), ("tests/test_spread.py", Some(""))],
        ),
        ("Python: the code has its tests skipped", PYTHON_OF_TWO, &[("spread.py", Some(skips))]),
        ("Python: what is loaded is wrong", PYTHON_OF_TWO, &[("spread.py", Some("def spread(values):\n    return 0\n"))]),
        ("Python: the suite is emptied", PYTHON_BROKEN, &[PYTHON_FIXED, ("tests/test_calc.py", None)]),
    ] {
        let found = as_a_build(&Case { name, base, patch, doubt: None });
        assert_ne!(found, "proven", "{name}");
    }
}

/// The job that fails is the command, whatever it is; where no runner reports anything, its exit codes speak.
#[test]
fn the_command_of_a_job_that_fails_is_what_shows_it() {
    let case = Case { name: "Rust", base: RUST_BROKEN, patch: &[RUST_FIXED], doubt: None };
    let said = prove_as(&case, &[], &["--build", "--test", "cargo check --offline"]);
    assert_eq!(ended(&case, &said), "proven", "{said}");
    let commands = said["verdict"]["account"]["runs"].as_array().expect("it was run");
    assert!(commands.iter().all(|run| run["command"] == "cargo check --offline"), "{said}");
}
