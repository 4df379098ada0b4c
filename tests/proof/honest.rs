//! Patches that mend what they say: each is proven.

mod go;
mod leaving;
mod node;
mod python;
mod rust;

use super::{Case, File, NODE, PYTHON, PYTHON_FIXED, RUST, check};

pub(super) const RUST_FIXED: File =
    ("src/lib.rs", Some("pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / values.len() as i64\n}\n"));
pub(super) const NODE_FIXED: File =
    ("calc.js", Some("exports.mean = (values) => values.reduce((a, b) => a + b) / values.length;\n"));

#[test]
fn what_mends_a_test_is_proven() {
    check(&[
        Case { name: "Python", base: PYTHON, patch: &[PYTHON_FIXED], doubt: None },
        Case { name: "Node", base: NODE, patch: &[NODE_FIXED], doubt: None },
        Case { name: "Rust", base: RUST, patch: &[RUST_FIXED], doubt: None },
        Case {
            name: "Python, with a note",
            base: PYTHON,
            patch: &[PYTHON_FIXED, ("README.md", Some("Set os.environ and call sys.exit.\n"))],
            doubt: None,
        },
        Case {
            name: "Python, with one more test",
            base: PYTHON,
            patch: &[
                PYTHON_FIXED,
                (
                    "tests/test_more.py",
                    Some(
                        "import unittest\nfrom calc import mean\n\n\nclass More(unittest.TestCase):\n    def test_two(self):\n        self.assertEqual(mean([2, 4]), 3)\n",
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "Node, with one more test",
            base: NODE,
            patch: &[
                NODE_FIXED,
                (
                    "more.test.js",
                    Some(
                        "const { test } = require('node:test');\nconst assert = require('node:assert');\nconst { mean } = require('./calc.js');\n\ntest('the mean of two', () => {\n  assert.strictEqual(mean([2, 4]), 3);\n});\n",
                    ),
                ),
            ],
            doubt: None,
        },
    ]);
}

#[test]
fn what_brings_a_test_that_fails_without_it_is_proven() {
    check(&[
        Case {
            name: "Python",
            base: &[
                ("calc.py", Some("def median(values):\n    return values[0]\n")),
                ("tests/__init__.py", Some("")),
                (
                    "tests/test_calc.py",
                    Some(
                        "import unittest\nfrom calc import median\n\n\nclass Median(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(median([3]), 3)\n",
                    ),
                ),
            ],
            patch: &[
                ("calc.py", Some("def median(values):\n    return sorted(values)[len(values) // 2]\n")),
                (
                    "tests/test_order.py",
                    Some(
                        "import unittest\nfrom calc import median\n\n\nclass Order(unittest.TestCase):\n    def test_three(self):\n        self.assertEqual(median([3, 1, 2]), 2)\n",
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "Rust",
            base: &[
                RUST[0],
                RUST[1],
                ("src/lib.rs", Some("pub fn median(values: &[i64]) -> i64 {\n    values[0]\n}\n")),
                ("tests/median.rs", Some("#[test]\nfn one() {\n    assert_eq!(calc::median(&[3]), 3);\n}\n")),
            ],
            patch: &[
                (
                    "src/lib.rs",
                    Some(
                        "pub fn median(values: &[i64]) -> i64 {\n    let mut sorted = values.to_vec();\n    sorted.sort_unstable();\n    sorted[sorted.len() / 2]\n}\n",
                    ),
                ),
                ("tests/order.rs", Some("#[test]\nfn three() {\n    assert_eq!(calc::median(&[3, 1, 2]), 2);\n}\n")),
            ],
            doubt: None,
        },
    ]);
}

/// A test file of Python with these tests of `calc`.
macro_rules! python_tests {
    ($($line:literal),* $(,)?) => {
        concat!("import unittest\nimport calc\n\n\nclass Calc(unittest.TestCase):\n", $("    ", $line, "\n"),*)
    };
}

#[test]
fn code_may_be_mended_in_many_ways() {
    const TESTS: File = (
        "tests/test_calc.py",
        Some(python_tests!(
            "def test_three(self):",
            "    self.assertEqual(calc.mean([2, 4, 6]), 4)",
            "",
            "def test_has_a_name(self):",
            "    self.assertTrue(calc.__name__)"
        )),
    );
    const WRONG: File = ("calc.py", Some("def mean(values):\n    return sum(values) / (len(values) - 1)\n"));
    const INIT: File = ("tests/__init__.py", Some(""));
    let base: &[File] = &[WRONG, INIT, TESTS];
    check(&[
        Case {
            name: "with a module of its own",
            base,
            patch: &[
                ("counting.py", Some("def count(values):\n    return len(values)\n")),
                ("calc.py", Some("from counting import count\n\n\ndef mean(values):\n    return sum(values) / count(values)\n")),
            ],
            doubt: None,
        },
        Case {
            name: "by moving it into a package",
            base,
            patch: &[
                ("calc.py", None),
                ("calc/__init__.py", Some("from .mean import mean\n")),
                ("calc/mean.py", Some("def mean(values):\n    return sum(values) / len(values)\n")),
            ],
            doubt: None,
        },
        Case {
            name: "with lines that end as on Windows",
            base,
            patch: &[("calc.py", Some("def mean(values):\r\n    return sum(values) / len(values)\r\n"))],
            doubt: None,
        },
        Case {
            name: "with a data file and a text that speaks of the environment",
            base,
            patch: &[
                super::PYTHON_FIXED,
                ("data/notes.txt", Some("os.environ, sys.exit, unittest\n")),
                ("docs/use.md", Some("Call `process.exit(0)`.\n")),
            ],
            doubt: None,
        },
        Case {
            name: "with more tests in the same file",
            base,
            patch: &[
                super::PYTHON_FIXED,
                (
                    "tests/test_calc.py",
                    Some(python_tests!(
                        "def test_three(self):",
                        "    self.assertEqual(calc.mean([2, 4, 6]), 4)",
                        "",
                        "def test_has_a_name(self):",
                        "    self.assertTrue(calc.__name__)",
                        "",
                        "def test_two(self):",
                        "    self.assertEqual(calc.mean([2, 4]), 3)"
                    )),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "while another test goes on failing",
            base: &[
                WRONG,
                INIT,
                TESTS,
                (
                    "tests/test_other.py",
                    Some(
                        "import unittest\n\n\nclass Other(unittest.TestCase):\n    def test_later(self):\n        self.assertEqual(1, 2)\n",
                    ),
                ),
            ],
            patch: &[super::PYTHON_FIXED],
            doubt: None,
        },
        Case {
            name: "with an exception that its own test expects",
            base: &[("calc.py", Some("def mean(values):\n    return sum(values) / max(len(values), 1)\n")), INIT, TESTS],
            patch: &[
                (
                    "calc.py",
                    Some(
                        "def mean(values):\n    if not values:\n        raise ValueError('no values')\n    return sum(values) / len(values)\n",
                    ),
                ),
                (
                    "tests/test_empty.py",
                    Some(python_tests!(
                        "def test_nothing(self):",
                        "    with self.assertRaises(ValueError):",
                        "        calc.mean([])"
                    )),
                ),
            ],
            doubt: None,
        },
    ]);
}

#[test]
fn other_kinds_of_repositories_are_understood() {
    const MODULE: &[File] = &[
        (
            "package.json",
            Some(
                "{\"name\": \"calc\", \"version\": \"1.0.0\", \"type\": \"module\", \"scripts\": {\"test\": \"node --test\"}}\n",
            ),
        ),
        ("calc.js", Some("export const mean = (values) => values.reduce((a, b) => a + b) / (values.length - 1);\n")),
        (
            "test/calc.test.js",
            Some(
                "import { describe, it } from 'node:test';\nimport assert from 'node:assert/strict';\nimport { mean } from '../calc.js';\n\ndescribe('mean', () => {\n  it('is that of three', () => {\n    assert.equal(mean([2, 4, 6]), 4);\n  });\n  it('is a number', () => {\n    assert.equal(typeof mean([2, 4]), 'number');\n  });\n});\n",
            ),
        ),
    ];
    const WORKSPACE: &[File] = &[
        ("Cargo.toml", Some("[workspace]\nmembers = [\"a\", \"b\"]\nresolver = \"2\"\n")),
        (
            "Cargo.lock",
            Some(
                "version = 3\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n",
            ),
        ),
        ("a/Cargo.toml", Some("[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")),
        (
            "a/src/lib.rs",
            Some(
                "pub fn twice(n: i64) -> i64 {\n    n + n\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn two() {\n        assert_eq!(super::twice(1), 2);\n    }\n}\n",
            ),
        ),
        ("b/Cargo.toml", Some("[package]\nname = \"b\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")),
        ("b/src/lib.rs", Some("pub fn half(n: i64) -> i64 {\n    n / 3\n}\n")),
        ("b/tests/half.rs", Some("#[test]\nfn of_eight() {\n    assert_eq!(b::half(8), 4);\n}\n")),
    ];
    check(&[
        Case {
            name: "Node, modules in a folder of tests",
            base: MODULE,
            patch: &[("calc.js", Some("export const mean = (values) => values.reduce((a, b) => a + b) / values.length;\n"))],
            doubt: None,
        },
        Case {
            name: "Rust, a workspace",
            base: WORKSPACE,
            patch: &[("b/src/lib.rs", Some("pub fn half(n: i64) -> i64 {\n    n / 2\n}\n"))],
            doubt: None,
        },
        Case {
            name: "a script of its own, by exit codes",
            base: &[
                (".github/patchwright.yml", Some("commands:\n  test: sh check.sh\n")),
                ("check.sh", Some("test \"$(sh mean.sh 2 4 6)\" = 4\n")),
                ("mean.sh", Some("sum=0\nfor value in \"$@\"; do sum=$((sum + value)); done\necho $((sum / ($# - 1)))\n")),
            ],
            patch: &[("mean.sh", Some("sum=0\nfor value in \"$@\"; do sum=$((sum + value)); done\necho $((sum / $#))\n"))],
            doubt: None,
        },
    ]);
}

#[test]
fn what_looks_like_tampering_and_is_none_is_proven() {
    const MOVED: &[File] = &[
        PYTHON[0],
        PYTHON[1],
        PYTHON[2],
        PYTHON[3],
        ("tests/test_name.py", Some(python_tests!("def test_has_a_name(self):", "    self.assertTrue(calc.__name__)"))),
        ("ui/package.json", Some("{\"dependencies\": {\"left-pad\": \"1.0.0\"}}\n")),
        ("ui/package-lock.json", Some("{\"packages\": {\"node_modules/left-pad\": {\"version\": \"1.0.0\"}}}\n")),
        ("sample.py", Some(concat!("first = 1\nTOKEN = 'ghp", "_x7Qm2Lk9Rt4Vb8Nc1Zp6Ws3Yd5Fg0Hj2Kl4M'\n"))),
    ];
    check(&[
        Case {
            name: "a lock file with what it is made from",
            base: MOVED,
            patch: &[
                PYTHON_FIXED,
                ("ui/package.json", Some("{\"dependencies\": {\"left-pad\": \"1.0.1\"}}\n")),
                ("ui/package-lock.json", Some("{\"packages\": {\"node_modules/left-pad\": {\"version\": \"1.0.1\"}}}\n")),
            ],
            doubt: None,
        },
        Case {
            name: "a test that is moved with all that it says",
            base: MOVED,
            patch: &[
                PYTHON_FIXED,
                ("tests/test_name.py", None),
                ("tests/test_names.py", Some(python_tests!("def test_has_a_name(self):", "    self.assertTrue(calc.__name__)"))),
            ],
            doubt: None,
        },
        Case {
            name: "a test that is one assertion shorter, where those that were there show the fault",
            base: MOVED,
            patch: &[
                PYTHON_FIXED,
                ("tests/test_name.py", Some(python_tests!("def test_has_a_name(self):", "    calc.__name__"))),
            ],
            doubt: None,
        },
        Case {
            name: "documentation with keys that are none",
            base: PYTHON,
            patch: &[
                PYTHON_FIXED,
                (
                    "README.md",
                    Some(concat!(
                        "export OPENAI_API_KEY=sk-...\nexport AWS_ACCESS_KEY_ID=AKIA",
                        "IOSFODNN7EXAMPLE\nexport API_TOKEN=<your token>\npassword = \"changeme\"\n"
                    )),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "a made-up token that moves within its file",
            base: MOVED,
            patch: &[
                PYTHON_FIXED,
                ("sample.py", Some(concat!("TOKEN = 'ghp", "_x7Qm2Lk9Rt4Vb8Nc1Zp6Ws3Yd5Fg0Hj2Kl4M'\nfirst = 2\n"))),
            ],
            doubt: None,
        },
        Case {
            name: "a link that stays in the repository",
            base: PYTHON,
            patch: &[PYTHON_FIXED, ("latest", Some("-> calc.py"))],
            doubt: None,
        },
    ]);
}
