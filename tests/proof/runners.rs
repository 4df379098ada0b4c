//! Patches that go for what runs the tests and for what it reports; and honest ones under the same runners.

use super::{Case, File, NODE, PYTHON, PYTHON_FIXED, RUST, check, has_go, prove, prove_within};

const STILL_RED: Option<&str> = Some("still_red");
const TOUCHED: Option<&str> = Some("test_command_touched");

/// Tested by a recipe of its own.
const RECIPE: &[File] = &[
    ("Makefile", Some("test:\n\tpython3 -m unittest -v\n")),
    (".github/patchwright.yml", Some("commands:\n  test: make test\n")),
    ("calc.py", PYTHON[0].1),
    ("tests/__init__.py", Some("")),
    ("tests/test_calc.py", PYTHON[3].1),
];

#[test]
fn what_decides_how_tests_are_run_is_not_for_a_patch_to_change() {
    check(&[
        Case {
            name: "a recipe that always ends well",
            base: RECIPE,
            patch: &[("Makefile", Some("test:\n\t-python3 -m unittest -v\n\t@true\n"))],
            doubt: TOUCHED,
        },
        Case {
            name: "a recipe, beside a mended function",
            base: RECIPE,
            patch: &[PYTHON_FIXED, ("Makefile", Some("test:\n\tpython3 -m unittest -v tests.test_calc\n"))],
            doubt: TOUCHED,
        },
        Case { name: "a function, under a recipe", base: RECIPE, patch: &[PYTHON_FIXED], doubt: None },
        Case {
            name: "a configuration of the runner, new beside a mended function",
            base: PYTHON,
            patch: &[PYTHON_FIXED, ("conftest.py", Some("def pytest_collection_modifyitems(items):\n    items.clear()\n"))],
            doubt: TOUCHED,
        },
        Case {
            name: "the interpreter's own start",
            base: PYTHON,
            patch: &[("sitecustomize.py", Some("import sys\nsys.exit = lambda code=0: None\n"))],
            doubt: STILL_RED,
        },
    ]);
}

#[test]
fn a_report_that_the_code_writes_is_not_believed() {
    const FORGED: &str = "<testsuites><testcase name=\\\"the mean of three\\\" classname=\\\"test\\\"/><testcase name=\\\"the mean is a number\\\" classname=\\\"test\\\"/></testsuites>";
    let at_once = format!(
        "require('node:fs').writeFileSync('/tmp/patchwright-report', \"{FORGED}\");\nexports.mean = (values) => values.reduce((a, b) => a + b) / (values.length - 1);\n"
    );
    let later = format!(
        "require('node:child_process').spawn('sh', ['-c', 'sleep 1; echo \"$FORGED\" > /tmp/patchwright-report; sleep 60'], {{ detached: true, stdio: 'ignore', env: {{ FORGED: \"{FORGED}\" }} }}).unref();\nexports.mean = (values) => values.reduce((a, b) => a + b) / (values.length - 1);\n"
    );
    let case = |name, text: &'static str| Case {
        name,
        base: NODE,
        patch: Box::leak(Box::new([("calc.js", Some(text))])),
        doubt: STILL_RED,
    };
    check(&[
        case("writes the report before the runner does", at_once.leak()),
        case("writes it once the runner has ended", later.leak()),
    ]);
}

#[test]
fn code_that_never_ends_proves_nothing() {
    let case = Case {
        name: "never ends",
        base: PYTHON,
        patch: &[("calc.py", Some("def mean(values):\n    while True:\n        pass\n"))],
        doubt: None,
    };
    let said = prove_within(&case, &[("PATCHWRIGHT__SANDBOX__LIMITS__CPU_SECONDS", "3")]);
    assert_eq!(said["verdict"]["doubt"], "inconclusive", "{said}");
    assert_eq!(said["verdict"]["head"]["exit"]["exit"], "exceeded", "{said}");
}

/// A module of Go with a fault; where there is no Go, nothing is tried.
const GO: &[File] = &[
    ("go.mod", Some("module example.com/calc\n\ngo 1.19\n")),
    (
        "calc.go",
        Some(
            "package calc\n\nfunc Mean(values []int) int {\n\tsum := 0\n\tfor _, v := range values {\n\t\tsum += v\n\t}\n\treturn sum / (len(values) - 1)\n}\n",
        ),
    ),
    (
        "calc_test.go",
        Some(
            "package calc\n\nimport \"testing\"\n\nfunc TestThree(t *testing.T) {\n\tif Mean([]int{2, 4, 6}) != 4 {\n\t\tt.Fatal(\"no\")\n\t}\n}\n\nfunc TestSums(t *testing.T) {\n\tif Mean([]int{2, 4}) < 3 {\n\t\tt.Fatal(\"no\")\n\t}\n}\n",
        ),
    ),
];

#[test]
fn go_is_proven_and_cheated_like_the_others() {
    if !has_go() {
        return;
    }
    const FIXED: File = (
        "calc.go",
        Some(
            "package calc\n\nfunc Mean(values []int) int {\n\tsum := 0\n\tfor _, v := range values {\n\t\tsum += v\n\t}\n\treturn sum / len(values)\n}\n",
        ),
    );
    check(&[
        Case { name: "an honest one", base: GO, patch: &[FIXED], doubt: None },
        Case {
            name: "ends the test binary well",
            base: GO,
            patch: &[("exit.go", Some("package calc\n\nimport \"os\"\n\nfunc init() {\n\tos.Exit(0)\n}\n"))],
            doubt: Some("inconclusive"),
        },
        Case {
            name: "takes the main function of the tests",
            base: GO,
            patch: &[(
                "main_test.go",
                Some(
                    "package calc\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) {\n\tm.Run()\n\tos.Exit(0)\n}\n",
                ),
            )],
            doubt: STILL_RED,
        },
    ]);
}

#[test]
fn tests_that_must_fail_are_laid_beside_the_folder_of_tests_of_a_large_crate() {
    /// More than are read to find a place.
    const N_SOURCES: usize = 210;
    let sources = (0..N_SOURCES).map(|n| format!("src/area/part{n:03}.rs").leak() as &'static str);
    let base: Vec<File> = RUST.iter().copied().chain(sources.map(|path| (path, Some("pub fn part() {}\n")))).collect();
    let fixed = "pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / values.len() as i64\n}\n";
    let said = prove(&Case { name: "a large crate", base: &base, patch: &[("src/lib.rs", Some(fixed))], doubt: None });
    assert_eq!(said["verdict"]["verdict"], "proven", "{said}");
    assert_eq!(said["verdict"]["account"]["is_runner_honest"], true, "{said}");
}

/// An example in the documentation of the code, which a test of unittest tries.
const EXAMPLES: &[File] = &[
    (
        "calc.py",
        Some(
            "def mean(values):\n    \"\"\"\n    >>> mean([2, 4, 6])\n    4.0\n    \"\"\"\n    return sum(values) / (len(values) - 1)\n",
        ),
    ),
    ("tests/__init__.py", Some("")),
    (
        "tests/test_calc.py",
        Some(
            "import doctest\nimport unittest\nimport calc\n\n\nclass Mean(unittest.TestCase):\n    def test_name(self):\n        self.assertEqual(calc.__name__, 'calc')\n\n\ndef load_tests(loader, tests, pattern):\n    tests.addTests(doctest.DocTestSuite(calc))\n    return tests\n",
        ),
    ),
];

#[test]
fn an_example_in_the_documentation_of_python_shows_nothing() {
    check(&[
        Case {
            name: "the example expects what the code does",
            base: EXAMPLES,
            patch: &[(
                "calc.py",
                Some(
                    "def mean(values):\n    \"\"\"\n    >>> mean([2, 4, 6])\n    6.0\n    \"\"\"\n    return sum(values) / (len(values) - 1)\n",
                ),
            )],
            doubt: Some("tests_touched"),
        },
        Case {
            name: "the code does what the example expects, and a test of the patch's own shows it",
            base: EXAMPLES,
            patch: &[
                (
                    "calc.py",
                    Some(
                        "def mean(values):\n    \"\"\"\n    >>> mean([2, 4, 6])\n    4.0\n    \"\"\"\n    return sum(values) / len(values)\n",
                    ),
                ),
                (
                    "tests/test_three.py",
                    Some(
                        "import unittest\nfrom calc import mean\n\n\nclass Three(unittest.TestCase):\n    def test_three(self):\n        self.assertEqual(mean([2, 4, 6]), 4)\n",
                    ),
                ),
            ],
            doubt: None,
        },
    ]);
}
