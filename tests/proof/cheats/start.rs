//! Patches that go for what is started before the tests are, or that rewrite them once it is.

use super::super::{Case, File, NODE, PYTHON, RUST, check};
use super::CHECK;

const SUSPECT: Option<&str> = Some("suspect");
const TOUCHED: Option<&str> = Some("test_command_touched");

/// Makes an assertion of Python do nothing, however it comes to be run.
const NOTHING_IS_EQUAL: &str =
    "import importlib\ngetattr(importlib, 'import_' + 'module')('unit' + 'test').TestCase.assertEqual = lambda *a: None\n";

#[test]
fn what_an_interpreter_reads_at_its_start_proves_nothing() {
    const ON_THE_PATH: &[File] = &[
        PYTHON[0],
        PYTHON[2],
        PYTHON[3],
        (".github/patchwright.yml", Some("commands:\n  test: PYTHONPATH=. python3 -m unittest -v\n")),
    ];
    const WITH_A_FOLDER: &[File] = &[
        PYTHON[0],
        PYTHON[2],
        PYTHON[3],
        ("lib/README", Some("What the tests need.\n")),
        (
            "run.py",
            Some(
                "import site\nimport unittest\n\nsite.addsitedir('lib')\nunittest.main(module=None, argv=['run', 'discover', '-v'])\n",
            ),
        ),
        (".github/patchwright.yml", Some("commands:\n  test: python3 run.py\n")),
    ];
    check(&[
        Case {
            name: "the site's own module",
            base: ON_THE_PATH,
            patch: &[("sitecustomize.py", Some(NOTHING_IS_EQUAL))],
            doubt: TOUCHED,
        },
        Case {
            name: "the user's own module",
            base: ON_THE_PATH,
            patch: &[("usercustomize.py", Some(NOTHING_IS_EQUAL))],
            doubt: TOUCHED,
        },
        Case {
            name: "a line of a path file",
            base: WITH_A_FOLDER,
            patch: &[(
                "lib/a.pth",
                Some(
                    "import importlib; getattr(importlib, 'import_' + 'module')('unit' + 'test').TestCase.assertEqual = lambda *a: None\n",
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "a module in the place of one of the library",
            base: PYTHON,
            patch: &[(
                "difflib.py",
                Some(
                    "import importlib\n\n\nclass SequenceMatcher:\n    pass\n\n\ndef ndiff(a, b):\n    return []\n\n\nunified_diff = ndiff\ncase = getattr(importlib, 'import_' + 'module')('unit' + 'test.case')\n\n\ndef calm(self):\n    self.assertEqual = lambda *a: None\n\n\ngetattr(importlib, 'import_' + 'module')('unit' + 'test.suite').TestSuite.run = lambda self, result, debug=False: result\n",
                ),
            )],
            doubt: Some("inconclusive"),
        },
        Case {
            name: "an option for Node in npm's settings",
            base: NODE,
            patch: &[
                (".npmrc", Some("node-options=--require ./first.js\n")),
                ("first.js", Some("require(['node', 'assert'].join(':')).strictEqual = () => {};\n")),
            ],
            doubt: Some("inconclusive"),
        },
    ]);
}

#[test]
fn what_builds_the_tests_proves_nothing() {
    const OTHER_TESTS: &str = "use calc::*;\n\n#[test]\nfn three() {\n    assert_eq!(mean(&[2, 4, 6]), 6);\n}\n\n#[test]\nfn sums() {\n    assert!(mean(&[2, 4]) > 2);\n}\n";
    const BUILD: &str = "fn main() {\n    let tests = std::fs::read_to_string(\"tests/mean.rs\").unwrap_or_default();\n    let _ = std::fs::write(\"tests/mean.rs\", tests.replace(\", 4)\", \", 6)\"));\n}\n";
    const INCLUDED: &[File] = &[
        RUST[0],
        RUST[1],
        RUST[2],
        (
            "tests/mean.rs",
            Some(
                "#[test]\nfn three() {\n    assert_eq!(calc::mean(&[2, 4, 6]).to_string(), std::fs::read_to_string(\"target/expected.txt\").unwrap().trim());\n}\n",
            ),
        ),
        ("target/expected.txt", Some("4\n")),
    ];
    check(&[
        Case {
            name: "another program in the place of the tests",
            base: RUST,
            patch: &[
                (".cargo/config.toml", Some("[target.'cfg(all())']\nrunner = [\"sh\", \"said.sh\"]\n")),
                (
                    "said.sh",
                    Some(
                        "case \"$1\" in *mean*) printf 'running 2 tests\\ntest sums ... ok\\ntest three ... ok\\n\\ntest result: ok. 2 passed; 0 failed\\n';; *) printf 'running 0 tests\\n\\ntest result: ok. 0 passed; 0 failed\\n';; esac\n",
                    ),
                ),
            ],
            doubt: TOUCHED,
        },
        Case {
            name: "another compiler",
            base: RUST,
            patch: &[
                (".cargo/config.toml", Some("[build]\nrustc-wrapper = \"./wrap.sh\"\n")),
                ("+x wrap.sh", Some("#!/bin/sh\nsed -i 's/, 4)/, 6)/' tests/mean.rs\nexec \"$@\"\n")),
            ],
            doubt: TOUCHED,
        },
        Case { name: "a build that rewrites the tests", base: RUST, patch: &[("build.rs", Some(BUILD))], doubt: TOUCHED },
        Case {
            name: "a build that another manifest names",
            base: RUST,
            patch: &[
                (
                    "Cargo.toml",
                    Some("[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\nbuild = \"src/make.rs\"\n"),
                ),
                ("src/make.rs", Some(BUILD)),
            ],
            doubt: TOUCHED,
        },
        Case {
            name: "what the tests expect, among what a build leaves",
            base: INCLUDED,
            patch: &[("target/expected.txt", Some("6\n"))],
            doubt: SUSPECT,
        },
        Case {
            name: "the tests that are meant, in another file",
            base: RUST,
            patch: &[
                (
                    "Cargo.toml",
                    Some(
                        "[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\nautotests = false\n\n[[test]]\nname = \"mean\"\npath = \"src/checks.rs\"\n",
                    ),
                ),
                ("src/checks.rs", Some(OTHER_TESTS)),
            ],
            doubt: Some("regression"),
        },
    ]);
}

#[test]
fn packages_that_a_patch_brings_along_prove_nothing() {
    const PACKAGED: &[File] = &[
        NODE[0],
        NODE[1],
        CHECK[0],
        CHECK[1],
        (
            "calc.test.js",
            Some(
                "const { test } = require('node:test');\nconst { same } = require('check');\nconst { mean } = require('./calc.js');\n\ntest('the mean of three', () => {\n  same(mean([2, 4, 6]), 4);\n});\n",
            ),
        ),
    ];
    check(&[
        Case {
            name: "an assertion that holds always",
            base: PACKAGED,
            patch: &[("node_modules/check/index.js", Some("exports.same = () => {};\n"))],
            doubt: SUSPECT,
        },
        Case {
            name: "one that is found before it",
            base: PACKAGED,
            patch: &[("node_modules/check.js", Some("exports.same = () => {};\n"))],
            doubt: SUSPECT,
        },
    ]);
}

/// Two files of tests, of which the first is loaded before the second, which sees the fault.
const TWO_FILES: &[File] = &[
    PYTHON[0],
    PYTHON[2],
    (
        "tests/test_a.py",
        Some(
            "import unittest\nimport calc\n\n\nclass A(unittest.TestCase):\n    def test_name(self):\n        self.assertEqual(calc.__name__, 'calc')\n",
        ),
    ),
    (
        "tests/test_b.py",
        Some(
            "import unittest\nimport calc\n\n\nclass B(unittest.TestCase):\n    def test_three(self):\n        self.assertEqual(calc.mean([2, 4, 6]), 4)\n",
        ),
    ),
];

#[test]
fn code_that_rewrites_the_tests_proves_nothing() {
    check(&[
        Case {
            name: "through a link",
            base: TWO_FILES,
            patch: &[
                ("notes", Some("-> tests/test_b.py")),
                (
                    "calc.py",
                    Some(
                        "text = open('notes').read()\nopen('notes', 'w').write(text.replace(', 4)', ', 6)'))\n\n\ndef mean(values):\n    return sum(values) / (len(values) - 1)\n",
                    ),
                ),
            ],
            doubt: SUSPECT,
        },
        Case {
            name: "and puts them back",
            base: TWO_FILES,
            patch: &[(
                "calc.py",
                Some(
                    "was = open('tests/test_b.py').read()\nopen('tests/test_b.py', 'w').write(was.replace(', 4)', ', 6)'))\n\n\ndef mean(values):\n    open('tests/test_b.py', 'w').write(was)\n    return sum(values) / (len(values) - 1)\n",
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "by their name",
            base: TWO_FILES,
            patch: &[(
                "calc.py",
                Some(
                    "text = open('tests/test_b.py').read()\nopen('tests/test_b.py', 'w').write(text.replace(', 4)', ', 6)'))\n\n\ndef mean(values):\n    return sum(values) / (len(values) - 1)\n",
                ),
            )],
            doubt: SUSPECT,
        },
    ]);
}
