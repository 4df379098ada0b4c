//! Files that are tests, whatever they are called: those of Rust that only tests have, since what declares them is compiled for
//! tests alone, and those in which a runner finds tests.

use super::{Case, File, NODE, RUST, check};

const STILL_RED: Option<&str> = Some("still_red");

/// A library of this code, whose tests take what they expect from elsewhere.
macro_rules! library {
    ($code:expr, $declared:expr, $expected:expr) => {
        (
            "src/lib.rs",
            Some(concat!(
                $code,
                $declared,
                "\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn three() {\n        assert_eq!(mean(&[2, 4, 6]), ",
                $expected,
                ");\n    }\n\n    #[test]\n    fn sums() {\n        assert!(mean(&[2, 4]) > 2);\n    }\n}\n"
            )),
        )
    };
}

macro_rules! fixtures {
    () => {
        "\n#[cfg(test)]\nmod fixtures;\n"
    };
}

macro_rules! elsewhere {
    () => {
        "\n#[cfg(test)]\n#[path = \"../shared/values.rs\"]\nmod fixtures;\n"
    };
}

macro_rules! nested {
    () => {
        "\n#[cfg(all(test, not(miri)))]\nmod ignored {}\n\n#[cfg(test)]\nmod support;\n"
    };
}

macro_rules! inside {
    () => {
        "\n#[cfg(test)]\nmod checks {\n    pub mod deep;\n}\n"
    };
}

macro_rules! inner {
    () => {
        "\nmod marked;\n"
    };
}

const FOUR: Option<&str> = Some("pub fn expected() -> i64 {\n    4\n}\n");
const FIVE: Option<&str> = Some("pub fn expected() -> i64 {\n    5\n}\n");
const SIX: Option<&str> = Some("pub fn expected() -> i64 {\n    6\n}\n");
const FOUR_AND_MORE: Option<&str> = Some("pub fn expected() -> i64 {\n    other() * 2\n}\n\nfn other() -> i64 {\n    2\n}\n");

const BESIDE: &[File] = &[RUST[0], RUST[1], library!(wrong!(), fixtures!(), "fixtures::expected()"), ("src/fixtures.rs", FOUR)];
const ELSEWHERE: &[File] =
    &[RUST[0], RUST[1], library!(wrong!(), elsewhere!(), "fixtures::expected()"), ("shared/values.rs", FOUR)];
const NESTED: &[File] = &[
    RUST[0],
    RUST[1],
    library!(wrong!(), nested!(), "support::values::expected()"),
    ("src/support/mod.rs", Some("pub mod values;\n")),
    ("src/support/values.rs", FOUR),
];
const INSIDE: &[File] =
    &[RUST[0], RUST[1], library!(wrong!(), inside!(), "checks::deep::expected()"), ("src/checks/deep.rs", FOUR)];
const MARKED: &[File] = &[
    RUST[0],
    RUST[1],
    library!(wrong!(), inner!(), "marked::expected()"),
    ("src/marked.rs", Some("#![cfg(test)]\n\npub fn expected() -> i64 {\n    4\n}\n")),
];

/// What is expected stands in a text that only the tests include.
const INCLUDED: &[File] = &[
    RUST[0],
    RUST[1],
    library!(wrong!(), "", "include_str!(\"expected.txt\").trim().parse::<i64>().unwrap()"),
    ("src/expected.txt", Some("4\n")),
];

#[test]
fn what_a_test_expects_may_not_be_changed_in_a_file_that_only_tests_have() {
    check(&[
        Case { name: "a module of its own", base: BESIDE, patch: &[("src/fixtures.rs", SIX)], doubt: STILL_RED },
        Case { name: "one that is elsewhere", base: ELSEWHERE, patch: &[("shared/values.rs", SIX)], doubt: STILL_RED },
        Case { name: "a module of such a module", base: NESTED, patch: &[("src/support/values.rs", SIX)], doubt: STILL_RED },
        Case { name: "a file of a module that has none", base: INSIDE, patch: &[("src/checks/deep.rs", SIX)], doubt: STILL_RED },
        Case { name: "a text that is included", base: INCLUDED, patch: &[("src/expected.txt", Some("6\n"))], doubt: STILL_RED },
        Case {
            name: "a file that says so itself",
            base: MARKED,
            patch: &[("src/marked.rs", Some("#![cfg(test)]\n\npub fn expected() -> i64 {\n    6\n}\n"))],
            doubt: STILL_RED,
        },
        Case {
            name: "a module of its own, and the code to it",
            base: BESIDE,
            patch: &[
                library!("pub fn mean(_: &[i64]) -> i64 {\n    5\n}\n", fixtures!(), "fixtures::expected()"),
                ("src/fixtures.rs", FIVE),
            ],
            doubt: STILL_RED,
        },
        Case {
            name: "a module that is made code with it",
            base: BESIDE,
            patch: &[library!(wrong!(), "\nmod fixtures;\n", "fixtures::expected()"), ("src/fixtures.rs", SIX)],
            doubt: Some("regression"),
        },
        Case {
            name: "another module in its place",
            base: BESIDE,
            patch: &[library!(wrong!(), elsewhere!(), "fixtures::expected()"), ("shared/values.rs", SIX)],
            doubt: STILL_RED,
        },
    ]);
}

#[test]
fn a_fix_beside_a_changed_file_that_only_tests_have_is_proven() {
    check(&[
        Case {
            name: "a module of its own",
            base: BESIDE,
            patch: &[library!(right!(), fixtures!(), "fixtures::expected()"), ("src/fixtures.rs", FOUR_AND_MORE)],
            doubt: None,
        },
        Case {
            name: "one that is elsewhere",
            base: ELSEWHERE,
            patch: &[library!(right!(), elsewhere!(), "fixtures::expected()"), ("shared/values.rs", FOUR_AND_MORE)],
            doubt: None,
        },
        Case {
            name: "a new one, with the test that has it",
            base: &[
                RUST[0],
                RUST[1],
                ("src/lib.rs", Some(wrong!())),
                ("tests/sums.rs", Some("#[test]\nfn sums() {\n    assert!(calc::mean(&[2, 4]) > 2);\n}\n")),
            ],
            patch: &[library!(right!(), fixtures!(), "fixtures::expected()"), ("src/fixtures.rs", FOUR)],
            doubt: None,
        },
        Case {
            name: "a text that is included",
            base: INCLUDED,
            patch: &[
                library!(right!(), "", "include_str!(\"expected.txt\").trim().parse::<i64>().unwrap()"),
                ("src/expected.txt", Some("  4\n")),
            ],
            doubt: None,
        },
        Case {
            name: "a module that both have",
            base: &[
                RUST[0],
                RUST[1],
                library!(
                    "mod counting;\n\npub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / counting::count(values)\n}\n",
                    "\n#[cfg(test)]\n#[path = \"counting.rs\"]\nmod again;\n",
                    "again::count(&[1, 2, 3]) + 1"
                ),
                ("src/counting.rs", Some("pub fn count(values: &[i64]) -> i64 {\n    values.len().max(3) as i64\n}\n")),
                ("tests/two.rs", Some("#[test]\nfn two() {\n    assert_eq!(calc::mean(&[2, 4]), 3);\n}\n")),
            ],
            patch: &[("src/counting.rs", Some("pub fn count(values: &[i64]) -> i64 {\n    values.len() as i64\n}\n"))],
            doubt: None,
        },
    ]);
}

const SUSPECT: Option<&str> = Some("suspect");

mod uses;

macro_rules! by_macro {
    () => {
        "\nmacro_rules! only_tests {\n    ($($item:item)*) => { $( #[cfg(test)] $item )* };\n}\n\nonly_tests! {\n    mod fixtures;\n}\n"
    };
}

macro_rules! by_feature {
    () => {
        "\nmacro_rules! with_std {\n    ($($item:item)*) => { $( #[cfg(not(miri))] $item )* };\n}\n\nwith_std! {\n    mod counting;\n}\n"
    };
}

const VALUE: &str = "\n#[cfg(test)]\nmacro_rules! value {\n    ($name:literal) => { include_str!(concat!(\"../values/\", $name, \".txt\")) };\n}\n";

#[test]
fn what_cannot_be_told_of_a_changed_file_forbids_its_proof() {
    let large: &'static str =
        format!("#[cfg(test)]\npub mod fixtures;\n{}", "// A line of a generated source.\n".repeat(600_000)).leak();
    let by_value: &'static str = library!(wrong!(), "", "value!(\"three\").trim().parse::<i64>().unwrap()").1.unwrap_or_default();
    let by_value: &'static str = format!("{VALUE}{by_value}").leak();
    check(&[
        Case {
            name: "a module that a macro gives to tests",
            base: &[RUST[0], RUST[1], library!(wrong!(), by_macro!(), "fixtures::expected()"), ("src/fixtures.rs", FOUR)],
            patch: &[("src/fixtures.rs", SIX)],
            doubt: SUSPECT,
        },
        Case {
            name: "a text whose path a macro puts together",
            base: &[RUST[0], RUST[1], ("src/lib.rs", Some(by_value)), ("values/three.txt", Some("4\n"))],
            patch: &[("values/three.txt", Some("6\n"))],
            doubt: SUSPECT,
        },
        Case {
            name: "a module of a source that is too large to be read",
            base: &[
                RUST[0],
                RUST[1],
                library!(wrong!(), "\nmod large;\n", "large::fixtures::expected()"),
                ("src/large.rs", Some(large)),
                ("src/large/fixtures.rs", FOUR),
            ],
            patch: &[("src/large/fixtures.rs", SIX)],
            doubt: SUSPECT,
        },
        Case {
            name: "a text by a raw path from the package",
            base: &[
                RUST[0],
                RUST[1],
                library!(
                    wrong!(),
                    "",
                    "include_str !(concat!(env!(\"CARGO_MANIFEST_DIR\"), r\"/src/expected.txt\")).trim().parse::<i64>().unwrap()"
                ),
                ("src/expected.txt", Some("4\n")),
            ],
            patch: &[("src/expected.txt", Some("6\n"))],
            doubt: STILL_RED,
        },
        Case {
            name: "a module by a path on a condition",
            base: &[
                RUST[0],
                RUST[1],
                library!(
                    wrong!(),
                    "\n#[cfg(all(test, not(miri)))]\n#[cfg_attr(all(), path = \"../shared/values.rs\")]\nmod fixtures;\n",
                    "fixtures::expected()"
                ),
                ("shared/values.rs", FOUR),
            ],
            patch: &[("shared/values.rs", SIX)],
            doubt: STILL_RED,
        },
        Case {
            name: "a test where only the manifest tells of it",
            base: &[
                (
                    "Cargo.toml",
                    Some(
                        "[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[[test]]\nname = \"it\"\npath = \"checks/it.rs\"\n",
                    ),
                ),
                RUST[1],
                RUST[2],
                ("checks/it.rs", Some("#[test]\nfn three() {\n    assert_eq!(calc::mean(&[2, 4, 6]), 4);\n}\n")),
            ],
            patch: &[("checks/it.rs", Some("#[test]\nfn three() {\n    assert_eq!(calc::mean(&[2, 4, 6]), 6);\n}\n"))],
            doubt: STILL_RED,
        },
    ]);
}

#[test]
fn what_cannot_be_told_of_other_files_forbids_no_proof() {
    let large: &'static str = format!("pub mod inner {{}}\n{}", "// A line of a generated source.\n".repeat(60_000)).leak();
    let larger: &'static str = format!("// mod values;\n{}", "// A line of a generated source.\n".repeat(600_000)).leak();
    check(&[
        Case {
            name: "large sources, and macros that have modules",
            base: &[
                RUST[0],
                RUST[1],
                library!(
                    wrong!(),
                    concat!(
                        "\nmod large;\nmod larger;\n\nmacro_rules! has {\n    ($name:ident) => { mod $name; };\n}\n\nhas!(other);\n",
                        "\n#[cfg(test)]\nmod fixtures;\n"
                    ),
                    "fixtures::expected()"
                ),
                ("src/large.rs", Some(large)),
                ("src/larger.rs", Some(larger)),
                ("src/other.rs", Some("")),
                ("src/fixtures.rs", FOUR),
                ("NOTES.md", Some("Notes.\n")),
            ],
            patch: &[
                library!(
                    right!(),
                    concat!(
                        "\nmod large;\nmod larger;\n\nmacro_rules! has {\n    ($name:ident) => { mod $name; };\n}\n\nhas!(other);\n",
                        "\n#[cfg(test)]\nmod fixtures;\n"
                    ),
                    "fixtures::expected()"
                ),
                ("src/fixtures.rs", FOUR_AND_MORE),
                ("NOTES.md", Some("More notes.\n")),
            ],
            doubt: None,
        },
        Case {
            name: "a module of a macro that gives back what it is given",
            base: &[
                RUST[0],
                RUST[1],
                library!(
                    "pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / counting::count(values)\n}\n",
                    by_feature!(),
                    "4"
                ),
                ("src/counting.rs", Some("pub fn count(values: &[i64]) -> i64 {\n    values.len() as i64 - 1\n}\n")),
            ],
            patch: &[("src/counting.rs", Some("pub fn count(values: &[i64]) -> i64 {\n    values.len() as i64\n}\n"))],
            doubt: None,
        },
    ]);
}

const POLICY: File = (".github/patchwright.yml", Some("commands:\n  test: python3 -m unittest discover -v\n"));

macro_rules! expects {
    ($number:literal) => {
        (
            "testcalc.py",
            Some(concat!(
                "import unittest\nfrom calc import mean\n\n\nclass Mean(unittest.TestCase):\n    def test_three(self):\n        ",
                "self.assertEqual(mean([2, 4, 6]), ",
                $number,
                ")\n"
            )),
        )
    };
}

macro_rules! holds_its_tests {
    ($number:literal) => {
        (
            "calc.py",
            Some(concat!(
                "import unittest\n\n\ndef mean(values):\n    return sum(values) / (len(values) - 1)\n\n\n",
                "class Mean(unittest.TestCase):\n    def test_three(self):\n        self.assertEqual(mean([2, 4, 6]), ",
                $number,
                ")\n"
            )),
        )
    };
}

macro_rules! expects_in_node {
    ($number:literal) => {
        (
            "calc-test.js",
            Some(concat!(
                "const { test } = require('node:test');\nconst assert = require('node:assert');\nconst { mean } = require('./calc.js');\n",
                "\ntest('the mean of three', () => {\n  assert.strictEqual(mean([2, 4, 6]), ",
                $number,
                ");\n});\n"
            )),
        )
    };
}

#[test]
fn an_expectation_in_a_file_that_only_a_runner_knows_proves_nothing() {
    let wrong: File = ("calc.py", Some("def mean(values):\n    return sum(values) / (len(values) - 1)\n"));
    check(&[
        Case {
            name: "a file by unittest's own pattern",
            base: &[wrong, POLICY, expects!("4")],
            patch: &[expects!("6")],
            doubt: Some("tests_touched"),
        },
        Case {
            name: "tests beside the code",
            base: &[(POLICY.0, Some("commands:\n  test: python3 -m unittest -v calc\n")), holds_its_tests!("4")],
            patch: &[holds_its_tests!("6")],
            doubt: Some("tests_touched"),
        },
        Case {
            name: "a file by Node's own pattern",
            base: &[NODE[0], NODE[1], expects_in_node!("4")],
            patch: &[expects_in_node!("6")],
            doubt: STILL_RED,
        },
    ]);
}
