//! Suites that leave things beside their tests, with the patch as without it.

use super::super::{Case, PYTHON, PYTHON_FIXED, RUST, check};
use super::RUST_FIXED;

#[test]
fn what_a_suite_writes_beside_its_tests_is_its_own() {
    check(&[
        Case {
            name: "snapshots and temporary files",
            base: &[
                PYTHON[0],
                PYTHON[2],
                (
                    "tests/test_calc.py",
                    Some(
                        "import os\nimport unittest\nfrom calc import mean\n\n\nclass Mean(unittest.TestCase):\n    def setUp(self):\n        os.makedirs('tests/__snapshots__', exist_ok=True)\n        open('tests/__snapshots__/mean.snap', 'w').write('4')\n        open('tests/scratch.tmp', 'w').write('x')\n        os.remove('tests/scratch.tmp')\n\n    def test_three(self):\n        self.assertEqual(str(int(mean([2, 4, 6]))), open('tests/__snapshots__/mean.snap').read())\n",
                    ),
                ),
            ],
            patch: &[PYTHON_FIXED],
            doubt: None,
        },
        Case {
            name: "a folder among the tests",
            base: &[
                PYTHON[0],
                PYTHON[2],
                (
                    "tests/test_calc.py",
                    Some(
                        "import os\nimport shutil\nimport unittest\nfrom calc import mean\n\n\nclass Mean(unittest.TestCase):\n    def setUp(self):\n        os.makedirs('tests/out/deep')\n        self.addCleanup(shutil.rmtree, 'tests/out')\n\n    def test_three(self):\n        self.assertEqual(mean([2, 4, 6]), 4)\n",
                    ),
                ),
            ],
            patch: &[PYTHON_FIXED],
            doubt: None,
        },
        Case {
            name: "a file beside them that only code which works comes to write",
            base: &[
                (
                    "keep.py",
                    Some(
                        "def keep(path, values):\n    text = ','.join(values)\n    with open(path, 'w') as file:\n        file.write(text)\n",
                    ),
                ),
                PYTHON[2],
                ("tests/out/.gitkeep", Some("")),
                (
                    "tests/test_keep.py",
                    Some(
                        "import unittest\nfrom keep import keep\n\n\nclass Keep(unittest.TestCase):\n    def test_numbers(self):\n        keep('tests/out/kept.txt', [1, 2])\n        self.assertEqual(open('tests/out/kept.txt').read(), '1,2')\n",
                    ),
                ),
            ],
            patch: &[(
                "keep.py",
                Some(
                    "def keep(path, values):\n    text = ','.join(str(value) for value in values)\n    with open(path, 'w') as file:\n        file.write(text)\n",
                ),
            )],
            doubt: None,
        },
    ]);
}

#[test]
fn what_a_build_makes_is_its_own() {
    check(&[
        Case {
            name: "a folder in the workspace, and a file among the tests where they pass",
            base: &[
                RUST[0],
                RUST[1],
                RUST[2],
                (
                    "tests/mean.rs",
                    Some(
                        "use calc::*;\n\n#[test]\nfn three() {\n    let found = mean(&[2, 4, 6]);\n    assert_eq!(found, 4);\n    std::fs::write(\"tests/out.csv\", found.to_string()).unwrap();\n}\n",
                    ),
                ),
            ],
            patch: &[RUST_FIXED],
            doubt: None,
        },
        Case {
            name: "a source that the build script writes each time",
            base: &[
                RUST[0],
                RUST[1],
                (
                    "build.rs",
                    Some("fn main() {\n    std::fs::write(\"src/table.rs\", \"pub const ONE: i64 = 1;\\n\").unwrap();\n}\n"),
                ),
                ("src/table.rs", Some("pub const ONE: i64 = 1;\n")),
                ("src/lib.rs", Some(concat!("mod table;\n\npub fn one() -> i64 {\n    table::ONE\n}\n\n", wrong!()))),
                RUST[3],
            ],
            patch: &[("src/lib.rs", Some(concat!("mod table;\n\npub fn one() -> i64 {\n    table::ONE\n}\n\n", right!())))],
            doubt: None,
        },
    ]);
}
