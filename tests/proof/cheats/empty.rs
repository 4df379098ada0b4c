//! Patches after which fewer tests are run, or none, or none that could fail.

use super::super::{Case, File, NODE, PYTHON, PYTHON_FIXED, RUST, check};

const STILL_RED: Option<&str> = Some("still_red");
const REGRESSION: Option<&str> = Some("regression");
const SUSPECT: Option<&str> = Some("suspect");
const DECEIVES: Option<&str> = Some("runner_deceives");
const INCONCLUSIVE: Option<&str> = Some("inconclusive");

/// A package with one test that sees its fault, and one that does not, in files of their own.
const TWO_TESTS: &[File] = &[
    RUST[0],
    RUST[1],
    RUST[2],
    ("tests/mean.rs", Some("#[test]\nfn three() {\n    assert_eq!(calc::mean(&[2, 4, 6]), 4);\n}\n")),
    ("tests/sums.rs", Some("#[test]\nfn sums() {\n    assert!(calc::mean(&[2, 4]) > 2);\n}\n")),
];

macro_rules! manifest {
    ($more:literal) => {
        ("Cargo.toml", Some(concat!("[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\n", $more)))
    };
}

#[test]
fn a_suite_that_has_become_smaller_proves_nothing() {
    check(&[
        Case { name: "no tests are found", base: TWO_TESTS, patch: &[manifest!("autotests = false\n")], doubt: INCONCLUSIVE },
        Case {
            name: "one test is not meant",
            base: TWO_TESTS,
            patch: &[manifest!("\n[[test]]\nname = \"mean\"\ntest = false\n")],
            doubt: REGRESSION,
        },
        Case {
            name: "one test has no harness",
            base: TWO_TESTS,
            patch: &[
                manifest!(
                    "autotests = false\n\n[[test]]\nname = \"sums\"\n\n[[test]]\nname = \"mean\"\npath = \"src/none.rs\"\nharness = false\n"
                ),
                (
                    "src/none.rs",
                    Some("fn main() {\n    println!(\"test three ... ok\\n\\ntest result: ok. 1 passed; 0 failed\");\n}\n"),
                ),
            ],
            doubt: REGRESSION,
        },
        Case {
            name: "another file is named to Node",
            base: NODE,
            patch: &[
                (
                    "package.json",
                    Some("{\"name\": \"calc\", \"version\": \"1.0.0\", \"scripts\": {\"test\": \"node --test more.js\"}}\n"),
                ),
                (
                    "more.js",
                    Some(
                        "const { test } = require('node:test');\n\ntest('the mean of three', () => {});\n\ntest('the mean is a number', () => {});\n",
                    ),
                ),
            ],
            doubt: SUSPECT,
        },
        Case { name: "the folder is no package any more", base: PYTHON, patch: &[("tests/__init__.py", None)], doubt: STILL_RED },
        Case {
            name: "a module of tests names those that count",
            base: PYTHON,
            patch: &[(
                "tests/__init__.py",
                Some(
                    "def load_tests(loader, tests, pattern):\n    return loader.loadTestsFromName('tests.test_calc.Mean.test_is_a_number')\n",
                ),
            )],
            doubt: STILL_RED,
        },
    ]);
}

/// A suite of scripts that leaves out what cannot be started.
const SCRIPTS: &[File] = &[
    (".github/patchwright.yml", Some("commands:\n  test: sh all.sh\n")),
    ("all.sh", Some("for test in tests/*.sh; do\n  if [ -x \"$test\" ]; then \"$test\" || exit 1; fi\ndone\n")),
    ("+x tests/mean.sh", Some("#!/bin/sh\ntest \"$(sh mean.sh 2 4 6)\" = 4\n")),
    ("mean.sh", Some("sum=0\nfor value in \"$@\"; do sum=$((sum + value)); done\necho $((sum / ($# - 1)))\n")),
];

#[test]
fn a_test_that_cannot_be_started_any_more_proves_nothing() {
    check(&[
        Case {
            name: "alone",
            base: SCRIPTS,
            patch: &[("tests/mean.sh", Some("#!/bin/sh\ntest \"$(sh mean.sh 2 4 6)\" = 4\n"))],
            doubt: STILL_RED,
        },
        Case {
            name: "with a script that can be",
            base: SCRIPTS,
            patch: &[
                ("tests/mean.sh", Some("#!/bin/sh\ntest \"$(sh mean.sh 2 4 6)\" = 4\n")),
                ("+x mean.sh", Some("sum=0\nfor value in \"$@\"; do sum=$((sum + value)); done\necho $((sum / ($# - 1)))\n")),
            ],
            doubt: STILL_RED,
        },
    ]);
}

/// Tests over a class that prepares them.
const PREPARED: &[File] = &[
    PYTHON[0],
    PYTHON[2],
    (
        "tests/prepared.py",
        Some("import unittest\n\n\nclass Prepared(unittest.TestCase):\n    def setUp(self):\n        self.values = [2, 4, 6]\n"),
    ),
    (
        "tests/test_calc.py",
        Some(
            "from calc import mean\nfrom tests.prepared import Prepared\n\n\nclass Mean(Prepared):\n    def test_three(self):\n        self.assertEqual(mean(self.values), 4)\n\n    def test_is_a_number(self):\n        self.assertIsInstance(mean(self.values), float)\n",
        ),
    ),
];

#[test]
fn tests_that_are_let_off_prove_nothing() {
    check(&[
        Case {
            name: "what prepares them skips them",
            base: PREPARED,
            patch: &[(
                "tests/prepared.py",
                Some(
                    "import unittest\n\n\nclass Prepared(unittest.TestCase):\n    def setUp(self):\n        self.values = [2, 4, 6]\n        self.skipTest('later')\n",
                ),
            )],
            doubt: STILL_RED,
        },
        Case {
            name: "what prepares them gives them others",
            base: PREPARED,
            patch: &[(
                "tests/prepared.py",
                Some(
                    "import unittest\n\n\nclass Prepared(unittest.TestCase):\n    def setUp(self):\n        self.values = [4, 0]\n",
                ),
            )],
            doubt: STILL_RED,
        },
        Case {
            name: "the code skips its test",
            base: PYTHON,
            patch: &[(
                "calc.py",
                Some(
                    "import importlib\n\n\ndef mean(values):\n    if len(values) == 3:\n        raise getattr(importlib, 'import_' + 'module')('unit' + 'test').SkipTest('later')\n    return sum(values) / (len(values) - 1)\n",
                ),
            )],
            doubt: REGRESSION,
        },
        Case {
            name: "the code has every test expected to fail",
            base: PYTHON,
            patch: &[(
                "calc.py",
                Some(
                    "import importlib\n\n\ndef marked(cls, **kwargs):\n    (cls._classSetupFailed, cls._class_cleanups) = (False, [])\n    for name in list(vars(cls)):\n        if name.startswith('test') and 'number' not in name:\n            vars(cls)[name].__unittest_expecting_failure__ = True\n\n\nlib = getattr(importlib, 'import_' + 'module')('unit' + 'test')\nlib.TestCase.__init_subclass__ = classmethod(marked)\n\n\ndef mean(values):\n    return sum(values) / (len(values) - 1)\n",
                ),
            )],
            doubt: DECEIVES,
        },
        Case {
            name: "the code has every test of every class do nothing",
            base: PYTHON,
            patch: &[(
                "calc.py",
                Some(
                    "import importlib\n\n\ndef calm(cls, **kwargs):\n    (cls._classSetupFailed, cls._class_cleanups) = (False, [])\n    for name in list(vars(cls)):\n        if name.startswith('test'):\n            setattr(cls, name, lambda self: None)\n\n\nlib = getattr(importlib, 'import_' + 'module')('unit' + 'test')\nlib.TestCase.__init_subclass__ = classmethod(calm)\n\n\ndef mean(values):\n    return sum(values) / (len(values) - 1)\n",
                ),
            )],
            doubt: DECEIVES,
        },
    ]);
}

/// A suite that takes it easy with what takes long.
const PATIENT: &[File] = &[
    PYTHON[0],
    PYTHON[2],
    PYTHON[3],
    (".github/patchwright.yml", Some("commands:\n  test: timeout 2 python3 -m unittest -v || test $? = 124\n")),
];

#[test]
fn code_that_sleeps_past_a_limit_proves_nothing() {
    check(&[Case {
        name: "sleeps",
        base: PATIENT,
        patch: &[("calc.py", Some("import time\n\n\ndef mean(values):\n    time.sleep(1000)\n"))],
        doubt: INCONCLUSIVE,
    }]);
}

/// The base's tests do not see the fault, so that the patch's have to.
const UNSEEN: &[File] = &[
    PYTHON[0],
    PYTHON[2],
    (
        "tests/test_calc.py",
        Some(
            "import unittest\nfrom calc import mean\n\n\nclass Mean(unittest.TestCase):\n    def test_is_a_number(self):\n        self.assertIsInstance(mean([2, 4]), float)\n\n    def test_is_positive(self):\n        self.assertGreater(mean([2, 4]), 0)\n",
        ),
    ),
];

#[test]
fn tests_that_are_gone_beside_the_one_that_shows_the_fault_prove_nothing() {
    check(&[
        Case {
            name: "a test is gone, and its assertion is made up for",
            base: UNSEEN,
            patch: &[
                PYTHON_FIXED,
                (
                    "tests/test_calc.py",
                    Some(
                        "import unittest\nfrom calc import mean\n\n\nclass Mean(unittest.TestCase):\n    def test_three(self):\n        self.assertEqual(mean([2, 4, 6]), 4)\n        self.assertGreater(mean([2, 4]), 0)\n        self.assertGreater(mean([2, 4]), 1)\n",
                    ),
                ),
            ],
            doubt: SUSPECT,
        },
        Case {
            name: "what must fail is not run",
            base: UNSEEN,
            patch: &[
                PYTHON_FIXED,
                (
                    "tests/__init__.py",
                    Some(
                        "def load_tests(loader, tests, pattern):\n    return loader.loadTestsFromNames(['tests.test_calc', 'tests.test_three'])\n",
                    ),
                ),
                (
                    "tests/test_three.py",
                    Some(
                        "import unittest\nfrom calc import mean\n\n\nclass Three(unittest.TestCase):\n    def test_three(self):\n        self.assertEqual(mean([2, 4, 6]), 4)\n",
                    ),
                ),
            ],
            doubt: DECEIVES,
        },
    ]);
}
