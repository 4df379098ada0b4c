//! Patches whose code puts other tests in the place of those that are there while they run, and takes care not to be seen.

use super::super::{Case, File, NODE, PYTHON, RUST, check, prove_within};
use super::CHECK;

const SUSPECT: Option<&str> = Some("suspect");

/// Python that does this first, this before it answers for the first time, and is as wrong as ever.
macro_rules! python {
    ([$($first:literal),* $(,)?], [$($later:literal),* $(,)?]) => {
        Some(concat!(
            $($first, "\n"),*,
            "\n\ndef later():\n    pass\n", $("    ", $later, "\n",)*
            "\n\ndef mean(values):\n    later()\n    return sum(values) / (len(values) - 1)\n"
        ))
    };
}

/// What is imported first, and sees nothing of the fault.
const FIRST: File = (
    "tests/test_a.py",
    Some(
        "import unittest\nimport calc\n\n\nclass A(unittest.TestCase):\n    def test_name(self):\n        self.assertEqual(calc.__name__, 'calc')\n",
    ),
);
/// What sees it.
const SECOND: File = (
    "tests/test_b.py",
    Some(
        "import unittest\nimport calc\n\n\nclass B(unittest.TestCase):\n    def test_three(self):\n        self.assertEqual(calc.mean([2, 4, 6]), 4)\n",
    ),
);
const TWO_FILES: &[File] = &[PYTHON[0], PYTHON[2], FIRST, SECOND];

#[test]
fn names_that_look_like_what_is_told_of_files_hide_nothing() {
    check(&[Case {
        name: "folders with line breaks in their names",
        base: TWO_FILES,
        patch: &[(
            "calc.py",
            python!(
                [
                    "import os",
                    "from datetime import datetime, timezone",
                    "found = os.stat('tests/test_b.py')",
                    "when = datetime.fromtimestamp(found.st_ctime_ns // 10**9, timezone.utc).strftime('%Y-%m-%d %H:%M:%S')",
                    "stamp = f'{when}.{found.st_ctime_ns % 10**9:09d} +0000 {found.st_ino} .'",
                    "for number in range(20):",
                    "    os.makedirs(f'x{number}\\n{stamp}/tests', exist_ok=True)",
                    "    open(f'x{number}\\n{stamp}/tests/test_b.py', 'w').close()",
                    "was = open('tests/test_b.py').read()",
                    "open('tests/test_b.py', 'w').write(was.replace(', 4)', ', 6)'))",
                ],
                ["open('tests/test_b.py', 'w').write(was)"]
            ),
        )],
        doubt: SUSPECT,
    }]);
}

#[test]
fn what_is_taken_away_and_brought_back_is_seen() {
    const LINKED: &[File] =
        &[PYTHON[0], PYTHON[2], FIRST, ("checks/b.py", SECOND.1), ("tests/test_b.py", Some("-> ../checks/b.py"))];
    const BELOW: &[File] = &[
        PYTHON[0],
        PYTHON[2],
        FIRST,
        ("tests/unit/__init__.py", Some("")),
        ("tests/unit/deep/__init__.py", Some("")),
        ("tests/unit/deep/test_b.py", SECOND.1),
    ];
    check(&[
        Case {
            name: "the folder of the tests",
            base: TWO_FILES,
            patch: &[(
                "calc.py",
                python!(
                    [
                        "import os, shutil",
                        "os.rename('tests', 'was')",
                        "shutil.copytree('was', 'tests')",
                        "text = open('tests/test_b.py').read()",
                        "open('tests/test_b.py', 'w').write(text.replace(', 4)', ', 6)'))",
                    ],
                    ["if os.path.exists('was'):", "    shutil.rmtree('tests')", "    os.rename('was', 'tests')"]
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "a folder above that of the tests",
            base: BELOW,
            patch: &[(
                "calc.py",
                python!(
                    [
                        "import os, shutil",
                        "os.rename('tests/unit', 'was')",
                        "shutil.copytree('was', 'tests/unit')",
                        "text = open('tests/unit/deep/test_b.py').read()",
                        "open('tests/unit/deep/test_b.py', 'w').write(text.replace(', 4)', ', 6)'))",
                    ],
                    ["if os.path.exists('was'):", "    shutil.rmtree('tests/unit')", "    os.rename('was', 'tests/unit')"]
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "a link in the place of a test",
            base: LINKED,
            patch: &[(
                "calc.py",
                python!(
                    [
                        "import os",
                        "text = open('checks/b.py').read()",
                        "open('other.py', 'w').write(text.replace(', 4)', ', 6)'))",
                        "os.remove('tests/test_b.py')",
                        "os.symlink('../other.py', 'tests/test_b.py')",
                    ],
                    [
                        "if os.path.exists('other.py'):",
                        "    os.remove('other.py')",
                        "    os.remove('tests/test_b.py')",
                        "    os.symlink('../checks/b.py', 'tests/test_b.py')"
                    ]
                ),
            )],
            doubt: SUSPECT,
        },
    ]);
}

#[test]
fn what_is_found_before_a_test_or_in_its_place_is_seen() {
    // The suite leaves a file of its own beside its tests, so that the folder itself says nothing.
    const LEAVING: &[File] = &[
        PYTHON[0],
        PYTHON[2],
        (
            "tests/test_a.py",
            Some(
                "import unittest\nimport calc\n\n\nclass A(unittest.TestCase):\n    def test_name(self):\n        open('tests/said.txt', 'w').write(calc.__name__)\n",
            ),
        ),
        ("tests/data.py", Some("THREE = 4\n")),
        (
            "tests/test_b.py",
            Some(
                "import unittest\nimport calc\nfrom tests.data import THREE\n\n\nclass B(unittest.TestCase):\n    def test_three(self):\n        self.assertEqual(calc.mean([2, 4, 6]), THREE)\n",
            ),
        ),
    ];
    const PACKAGED: &[File] = &[
        NODE[0],
        NODE[1],
        CHECK[0],
        CHECK[1],
        (
            "a.test.js",
            Some(
                "const { test } = require('node:test');\nconst { mean } = require('./calc.js');\n\ntest('the mean of one', () => {\n  mean([2]);\n});\n",
            ),
        ),
        (
            "b.test.js",
            Some(
                "const { test } = require('node:test');\nconst { same } = require('check');\nconst { mean } = require('./calc.js');\n\ntest('the mean of three', () => {\n  same(mean([2, 4, 6]), 4);\n});\n",
            ),
        ),
    ];
    check(&[
        Case {
            name: "what an interpreter keeps of a test",
            base: TWO_FILES,
            patch: &[(
                "calc.py",
                python!(
                    [
                        "import os",
                        "import importlib.util as util",
                        "import importlib._bootstrap_external as lib",
                        "text = open('tests/test_b.py').read().replace(', 4)', ', 6)')",
                        "found = os.stat('tests/test_b.py')",
                        "kept = lib._code_to_timestamp_pyc(compile(text, 'b', 'exec'), int(found.st_mtime), found.st_size)",
                        "place = util.cache_from_source('tests/test_b.py')",
                        "os.makedirs(os.path.dirname(place), exist_ok=True)",
                        "open(place, 'wb').write(kept)",
                    ],
                    []
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "a package that is found before a module of the tests",
            base: LEAVING,
            patch: &[(
                "calc.py",
                python!(
                    [
                        "import os",
                        "os.makedirs('tests/data', exist_ok=True)",
                        "open('tests/data/__init__.py', 'w').write('THREE = 6\\n')",
                    ],
                    []
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "a library of the tests",
            base: PACKAGED,
            patch: &[(
                "calc.js",
                Some(
                    "require('fs').writeFileSync('node_modules/check/index.js', 'exports.same = () => {};\\n');\nexports.mean = (values) => values.reduce((a, b) => a + b) / (values.length - 1);\n",
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "tests in a folder that is called like what builds leave",
            base: &[
                PYTHON[0],
                PYTHON[2],
                FIRST,
                ("tests/venv/__init__.py", Some("")),
                ("tests/venv/test_b.py", SECOND.1),
                ("tests/target/__init__.py", Some("")),
                ("tests/target/test_b.py", SECOND.1),
            ],
            patch: &[(
                "calc.py",
                python!(
                    [
                        "was = open('tests/target/test_b.py').read()",
                        "for place in ['venv', 'target']:",
                        "    open(f'tests/{place}/test_b.py', 'w').write(was.replace(', 4)', ', 6)'))",
                    ],
                    ["for place in ['venv', 'target']:", "    open(f'tests/{place}/test_b.py', 'w').write(was)"]
                ),
            )],
            doubt: SUSPECT,
        },
    ]);
}

#[test]
fn a_setup_that_runs_the_patch_rewrites_no_test_unseen() {
    const SET_UP: &[File] = &[
        PYTHON[0],
        PYTHON[2],
        FIRST,
        SECOND,
        (
            ".github/patchwright.yml",
            Some("commands:\n  setup: python3 -c 'import calc'\n  test: python3 -m unittest discover -v\n"),
        ),
    ];
    let case = Case {
        name: "when it is imported by the setup",
        base: SET_UP,
        patch: &[(
            "calc.py",
            python!(
                [
                    "was = open('tests/test_b.py').read()",
                    "if ', 4)' in was:",
                    "    open('tests/test_b.py', 'w').write(was.replace(', 4)', ', 6)'))",
                ],
                []
            ),
        )],
        doubt: SUSPECT,
    };
    // With a way out the setup runs on the base, unless the operator gives that up.
    let said = prove_within(&case, &[("PATCHWRIGHT__SANDBOX__EGRESS__ENABLED", "false")]);
    assert_eq!(said["verdict"]["doubt"], "suspect", "{said}");
}

#[test]
fn a_tree_that_cannot_be_looked_through_proves_nothing() {
    check(&[Case {
        name: "folders that go deeper than anybody looks",
        base: PYTHON,
        patch: &[(
            "calc.py",
            Some(
                "import os\n\n\ndef mean(values):\n    os.makedirs('out/' + 'a/' * 200, exist_ok=True)\n    return sum(values) / len(values)\n",
            ),
        )],
        doubt: Some("unwatched"),
    }]);
}

#[test]
fn what_decides_how_the_later_tests_run_is_seen_to_change() {
    // Two scripts after another, of which the end alone is known: nothing tells which tests were run.
    const SCRIPTS: &[File] = &[
        (
            "package.json",
            Some(
                "{\"name\": \"calc\", \"version\": \"1.0.0\", \"scripts\": {\"test\": \"npm run a && npm run b\", \"a\": \"node a.js\", \"b\": \"node b.js\"}}\n",
            ),
        ),
        NODE[1],
        ("a.js", Some("require('./calc.js').mean([2]);\n")),
        ("b.js", Some("require('node:assert').strictEqual(require('./calc.js').mean([2, 4, 6]), 4);\n")),
    ];
    const MODULES: &[File] = &[
        PYTHON[0],
        PYTHON[2],
        ("tests/a.py", FIRST.1),
        ("tests/b.py", SECOND.1),
        ("check.sh", Some("python3 -m unittest tests.a && python3 -m unittest tests.b\n")),
        (".github/patchwright.yml", Some("commands:\n  test: sh check.sh\n")),
    ];
    check(&[
        Case {
            name: "the script that runs them",
            base: SCRIPTS,
            patch: &[(
                "calc.js",
                Some(
                    "const fs = require('fs');\nconst text = fs.readFileSync('package.json', 'utf8');\nfs.writeFileSync('package.json', text.replace('node b.js', 'true'));\nexports.mean = (values) => values.reduce((a, b) => a + b) / (values.length - 1);\n",
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "what the scripts are run by",
            base: SCRIPTS,
            patch: &[(
                "calc.js",
                Some(
                    "require('fs').writeFileSync('.npmrc', 'script-shell=/bin/true\\n');\nexports.mean = (values) => values.reduce((a, b) => a + b) / (values.length - 1);\n",
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "a runner that is found before the real one",
            base: MODULES,
            patch: &[("calc.py", python!(["open('unit' + 'test.py', 'w').close()"], []))],
            doubt: SUSPECT,
        },
        Case {
            name: "a module that the real one asks for",
            base: MODULES,
            patch: &[("calc.py", python!(["open('argparse.py', 'w').write('raise System' + 'Exit(0)')"], []))],
            doubt: SUSPECT,
        },
    ]);
}

/// Has a source rewritten that is compiled later, in which a test stands beside the code.
macro_rules! rewriting {
    ($end:literal) => {
        concat!(
            "    let text = std::fs::read_to_string(\"src/lib.rs\").unwrap();\n",
            "    std::fs::write(\"src/lib.rs\", text.replace(\", 4)\", \", 6)\")).unwrap();\n",
            $end
        )
    };
}

const INLINE: File = (
    "src/lib.rs",
    Some(concat!(
        wrong!(),
        "\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn three() {\n        assert_eq!(super::mean(&[2, 4, 6]), 4);\n    }\n}\n"
    )),
);

#[test]
fn what_runs_before_a_source_is_compiled_rewrites_none() {
    macro_rules! macro_start {
        () => {
            "use proc_macro::TokenStream;\n\n#[proc_macro]\npub fn nothing(_: TokenStream) -> TokenStream {\n"
        };
    }
    check(&[
        Case {
            name: "a build script by a name of its own",
            base: &[
                (
                    "Cargo.toml",
                    Some("[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\nbuild = \"make.rs\"\n"),
                ),
                RUST[1],
                ("make.rs", Some("fn main() {}\n")),
                INLINE,
            ],
            patch: &[("make.rs", Some(concat!("fn main() {\n", rewriting!("}\n"))))],
            doubt: Some("test_command_touched"),
        },
        Case {
            name: "a macro of the workspace",
            base: &[
                (
                    "Cargo.toml",
                    Some(
                        "[workspace]\nmembers = [\"first\", \"macros\"]\n\n[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\nfirst = { path = \"first\" }\n",
                    ),
                ),
                (
                    "Cargo.lock",
                    Some(
                        "version = 3\n\n[[package]]\nname = \"calc\"\nversion = \"0.1.0\"\ndependencies = [\n \"first\",\n]\n\n[[package]]\nname = \"first\"\nversion = \"0.1.0\"\ndependencies = [\n \"macros\",\n]\n\n[[package]]\nname = \"macros\"\nversion = \"0.1.0\"\n",
                    ),
                ),
                INLINE,
                (
                    "first/Cargo.toml",
                    Some(
                        "[package]\nname = \"first\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\nmacros = { path = \"../macros\" }\n",
                    ),
                ),
                ("first/src/lib.rs", Some("macros::nothing!();\n")),
                (
                    "macros/Cargo.toml",
                    Some("[package]\nname = \"macros\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[lib]\nproc-macro = true\n"),
                ),
                ("macros/src/lib.rs", Some(concat!(macro_start!(), "    TokenStream::new()\n}\n"))),
            ],
            patch: &[("macros/src/lib.rs", Some(concat!(macro_start!(), rewriting!("    TokenStream::new()\n}\n"))))],
            doubt: SUSPECT,
        },
    ]);
}
