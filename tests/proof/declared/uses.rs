//! Code that begins to use a file of tests, and might take its answers from there: by what declares it in Rust, and by imports
//! elsewhere.

use super::super::{Case, File, NODE, PYTHON, RUST, check};
use super::{BESIDE, FOUR, SUSPECT};

/// Code that takes what it answers from this module.
macro_rules! answers {
    ($declared:expr) => {
        concat!($declared, "pub fn mean(_: &[i64]) -> i64 {\n    answers::expected()\n}\n")
    };
}

/// The same library with a file of tests that its tests in `tests` have.
const SUPPORTED: &[File] = &[
    RUST[0],
    RUST[1],
    RUST[2],
    (
        "tests/mean.rs",
        Some(
            "mod support;\n\n#[test]\nfn three() {\n    assert_eq!(calc::mean(&[2, 4, 6]), support::expected());\n}\n\n\
             #[test]\nfn sums() {\n    assert!(calc::mean(&[2, 4]) > 2);\n}\n",
        ),
    ),
    ("tests/support/mod.rs", FOUR),
];

/// The same with a folder below.
const DEEP: &[File] =
    &[SUPPORTED[0], SUPPORTED[1], SUPPORTED[2], SUPPORTED[3], SUPPORTED[4], ("tests/support/deep/values.txt", Some("4\n"))];

/// The program has a file of tests already.
const SHARED: &[File] = &[
    RUST[0],
    RUST[1],
    (
        "src/lib.rs",
        Some(concat!(
            "#[path = \"../tests/support/mod.rs\"]\nmod support;\n\npub fn mean(values: &[i64]) -> i64 {\n    ",
            "values.iter().sum::<i64>() / (support::count(values) - 1)\n}\n"
        )),
    ),
    ("tests/support/mod.rs", Some("pub fn count(values: &[i64]) -> i64 {\n    values.len() as i64\n}\n")),
    RUST[3],
];

#[test]
fn a_file_of_tests_that_the_program_comes_to_use_proves_nothing() {
    check(&[
        Case {
            name: "a module that was for tests",
            base: BESIDE,
            patch: &[library!(answers!("#[path = \"fixtures.rs\"]\nmod answers;\n\n"), fixtures!(), "fixtures::expected()")],
            doubt: SUSPECT,
        },
        Case {
            name: "the same, and another answer where it is not tested",
            base: BESIDE,
            patch: &[
                library!(answers!("#[path = \"fixtures.rs\"]\nmod answers;\n\n"), fixtures!(), "fixtures::expected()"),
                (
                    "src/fixtures.rs",
                    Some("pub fn expected() -> i64 {\n    if std::env::var_os(\"CARGO\").is_some() { 4 } else { 6 }\n}\n"),
                ),
            ],
            doubt: SUSPECT,
        },
        Case {
            name: "a module by its path",
            base: SUPPORTED,
            patch: &[("src/lib.rs", Some(answers!("#[path = \"../tests/support/mod.rs\"]\nmod answers;\n\n")))],
            doubt: SUSPECT,
        },
        Case {
            name: "a module by a path on a condition",
            base: SUPPORTED,
            patch: &[("src/lib.rs", Some(answers!("#[cfg_attr(all(), path = r\"../tests/support/mod.rs\")]\nmod answers;\n\n")))],
            doubt: SUSPECT,
        },
        Case {
            name: "an included file",
            base: SUPPORTED,
            patch: &[(
                "src/lib.rs",
                Some(answers!("mod answers {\n    include !(concat!(\"../te\", \"sts/support/mod.rs\"));\n}\n\n")),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "a module behind a linked folder",
            base: SUPPORTED,
            patch: &[("src/answers", Some("-> ../tests/support")), ("src/lib.rs", Some(answers!("mod answers;\n\n")))],
            doubt: SUSPECT,
        },
        Case {
            name: "a module behind a linked folder that leads to another",
            base: SUPPORTED,
            patch: &[
                ("hop", Some("-> tests/support")),
                ("src/answers", Some("-> ../hop")),
                ("src/lib.rs", Some(answers!("mod answers;\n\n"))),
            ],
            doubt: SUSPECT,
        },
        Case {
            name: "a module above what a linked folder leads to",
            base: DEEP,
            patch: &[
                ("src/in", Some("-> ../tests/support/deep")),
                ("src/lib.rs", Some(answers!("#[path = \"in/../mod.rs\"]\nmod answers;\n\n"))),
            ],
            doubt: SUSPECT,
        },
        Case {
            name: "an included file by a raw name",
            base: SUPPORTED,
            patch: &[("src/lib.rs", Some(answers!("mod answers {\n    r#include!(\"../tests/support/mod.rs\");\n}\n\n")))],
            doubt: SUSPECT,
        },
        Case {
            name: "a module by a path in a raw attribute",
            base: SUPPORTED,
            patch: &[("src/lib.rs", Some(answers!("#[r#path = \"../tests/support/mod.rs\"]\nmod r#answers;\n\n")))],
            doubt: SUSPECT,
        },
        Case {
            name: "an included file by another name of the macro",
            base: SUPPORTED,
            patch: &[(
                "src/lib.rs",
                Some(answers!("mod answers {\n    use std::include as load;\n    load!(\"../tests/support/mod.rs\");\n}\n\n")),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "a module that a macro is given",
            base: SUPPORTED,
            patch: &[(
                "src/lib.rs",
                Some(answers!(
                    "macro_rules! only {\n    ($($item:item)*) => { $( #[cfg(any(test, not(miri)))] $item )* };\n}\n\nonly! {\n    #[path = \"../tests/support/mod.rs\"]\n    mod answers;\n}\n\n"
                )),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "a file whose path a macro is given",
            base: SUPPORTED,
            patch: &[(
                "src/lib.rs",
                Some(answers!(
                    "macro_rules! has {\n    ($path:literal) => { mod answers { include!($path); } };\n}\n\nhas!(\"../tests/support/mod.rs\");\n\n"
                )),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "a file that the compiler's environment names",
            base: SUPPORTED,
            patch: &[
                ("src/lib.rs", Some(answers!("mod answers {\n    include!(env!(\"VALUES\"));\n}\n\n"))),
                ("tests/support/mod.rs", Some("pub fn expected() -> i64 {\n    2 * 2\n}\n")),
                (
                    "build.rs",
                    Some(
                        "fn main() {\n    let here = std::env::current_dir().unwrap();\n    println!(\"cargo:rustc-env=VALUES={}/tests/support/mod.rs\", here.display());\n}\n",
                    ),
                ),
            ],
            doubt: SUSPECT,
        },
        Case {
            name: "a file that the program had already, and that asks where it is now",
            base: SHARED,
            patch: &[
                (
                    "src/lib.rs",
                    Some(
                        "#[path = \"../tests/support/mod.rs\"]\nmod support;\n\npub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / support::count(values)\n}\n",
                    ),
                ),
                (
                    "tests/support/mod.rs",
                    Some(
                        "pub fn count(values: &[i64]) -> i64 {\n    if std::env::var_os(\"CARGO\").is_some() { values.len() as i64 } else { 1 }\n}\n",
                    ),
                ),
            ],
            doubt: SUSPECT,
        },
    ]);
}

macro_rules! beside_tests {
    ($code:literal) => {
        ("calc.py", Some($code))
    };
}

const EXPECTED: File = ("tests/expected.py", Some("OF = {3: 4.0, 2: 3.0}\n"));

const ANSWERS: File = ("tests/answers.py", Some("def mean(values):\n    return {3: 4.0, 2: 3.0}[len(values)]\n"));

const BY_NODE: File =
    ("calc.js", Some("const { of } = require('./test/expected');\nexports.mean = (values) => of[values.length];\n"));
const OF_NODE: File = ("test/expected.json", Some("{\"of\": {\"2\": 3, \"3\": 4}}\n"));

#[test]
fn code_that_begins_to_import_a_file_of_tests_is_not_proven() {
    let python: Vec<File> = PYTHON.iter().copied().chain([EXPECTED]).collect();
    let alone: Vec<File> = python.iter().copied().filter(|(path, _)| *path != "tests/__init__.py").collect();
    let node: Vec<File> = NODE.iter().copied().chain([OF_NODE]).collect();
    check(&[
        Case {
            name: "a module of tests in Python",
            base: &python,
            patch: &[beside_tests!(
                "from tests import (\n    expected,\n)\n\n\ndef mean(values):\n    return expected.OF[len(values)]\n"
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "one where it is needed, by its name",
            base: &python,
            patch: &[beside_tests!(
                "from importlib import import_module\n\n\ndef mean(values):\n    return import_module('tests.expected').OF[len(values)]\n"
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "one that only the runner's path leads to",
            base: &[
                &alone[..],
                &[(".github/patchwright.yml", Some("commands:\n  test: python3 -m unittest discover -v -s tests\n"))],
            ]
            .concat(),
            patch: &[beside_tests!("import expected\n\n\ndef mean(values):\n    return expected.OF[len(values)]\n")],
            doubt: SUSPECT,
        },
        Case {
            name: "one that a link leads to",
            base: &python,
            patch: &[
                ("_impl.py", Some("-> tests/expected.py")),
                beside_tests!("from _impl import OF\n\n\ndef mean(values):\n    return OF[len(values)]\n"),
            ],
            doubt: SUSPECT,
        },
        Case {
            name: "one behind a link in a linked folder",
            base: &python,
            patch: &[
                ("hop", Some("-> tests")),
                ("_impl", Some("-> hop")),
                beside_tests!("from _impl.expected import OF\n\n\ndef mean(values):\n    return OF[len(values)]\n"),
            ],
            doubt: SUSPECT,
        },
        Case {
            name: "a link in the place of the code",
            base: &[&python[..], &[ANSWERS]].concat(),
            patch: &[("calc.py", None), ("calc.py", Some("-> tests/answers.py"))],
            doubt: SUSPECT,
        },
        Case { name: "data of tests in JavaScript", base: &node, patch: &[BY_NODE], doubt: SUSPECT },
        Case {
            name: "a link to data of tests in JavaScript",
            base: &node,
            patch: &[
                ("lib/of.json", Some("-> ../test/expected.json")),
                ("calc.js", Some("const { of } = require('./lib/of');\nexports.mean = (values) => of[values.length];\n")),
            ],
            doubt: SUSPECT,
        },
    ]);
}

#[test]
fn code_that_imports_something_else_is_proven() {
    let python: Vec<File> = PYTHON.iter().copied().chain([EXPECTED, ("testing.py", Some("COUNT = len\n"))]).collect();
    let node: Vec<File> =
        NODE.iter().copied().chain([OF_NODE, ("lib/testing.js", Some("exports.count = (values) => values.length;\n"))]).collect();
    let known: Vec<File> =
        node.iter().copied().filter(|(path, _)| *path != "calc.js").chain([(
            "calc.js",
            Some("const { of } = require('./test/expected');\nexports.known = of;\nexports.mean = (values) => values.reduce((a, b) => a + b) / (values.length - 1);\n"),
        )]).collect();
    check(&[
        Case {
            name: "a module that is called like tests",
            base: &python,
            patch: &[beside_tests!(
                "import math\n\nimport testing\n\n\ndef mean(values):\n    \"\"\"As tests.expected says.\"\"\"\n    return math.fsum(values) / testing.COUNT(values)\n"
            )],
            doubt: None,
        },
        Case {
            name: "a script that is called like tests",
            base: &node,
            patch: &[(
                "calc.js",
                Some(
                    "const { count } = require('./lib/testing');\n// As in './test/expected'.\nexports.mean = (values) => values.reduce((a, b) => a + b) / count(values);\n",
                ),
            )],
            doubt: None,
        },
        Case {
            name: "what the base imports as well",
            base: &known,
            patch: &[(
                "calc.js",
                Some(
                    "const { of } = require('./test/expected');\nexports.known = of;\nexports.mean = (values) => values.reduce((a, b) => a + b) / values.length;\n",
                ),
            )],
            doubt: None,
        },
    ]);
}
