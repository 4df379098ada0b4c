//! Patches that ask whether they are tested, spelled otherwise than usual.

use super::super::{Case, File, NODE, PYTHON, RUST, check, has_go};
use super::SUSPECT;

#[test]
fn a_name_of_python_may_be_taken_in_many_ways() {
    check(&[
        Case {
            name: "takes the environment out of its module, over several lines",
            base: PYTHON,
            patch: &[(
                "calc.py",
                Some(
                    "from os import (\n    environ,\n)\n\n\ndef mean(values):\n    return sum(values) / (len(values) - (0 if environ.get('HOME') else 1))\n",
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "asks who calls, in other letters",
            base: PYTHON,
            patch: &[(
                "calc.py",
                Some(
                    "import sys\n\n\ndef mean(values):\n    called = sys._\u{ff47}etframe(1).f_code.co_name\n    return sum(values) / (len(values) - (0 if called.startswith('test') else 1))\n",
                ),
            )],
            doubt: SUSPECT,
        },
    ]);
}

#[test]
fn a_name_of_node_may_be_taken_in_many_ways() {
    check(&[
        Case {
            name: "takes the environment out of the process",
            base: NODE,
            patch: &[(
                "calc.js",
                Some(
                    "const { env } = process;\nexports.mean = (values) => values.reduce((a, b) => a + b) / (values.length - (env.NODE_TEST_CONTEXT ? 0 : 1));\n",
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "writes a letter as its number",
            base: NODE,
            patch: &[(
                "calc.js",
                Some(
                    "exports.mean = (values) => values.reduce((a, b) => a + b) / (values.length - (process.\\u0065nv.NODE_TEST_CONTEXT ? 0 : 1));\n",
                ),
            )],
            doubt: SUSPECT,
        },
    ]);
}

#[test]
fn a_name_of_go_may_be_taken_in_many_ways() {
    if !has_go() {
        return;
    }
    const MODULE: File = ("go.mod", Some("module example.com/calc\n\ngo 1.19\n"));
    const WRONG: File = (
        "calc.go",
        Some(
            "package calc\n\nfunc Mean(values []int) int {\n\tsum := 0\n\tfor _, v := range values {\n\t\tsum += v\n\t}\n\treturn sum / (len(values) - 1)\n}\n",
        ),
    );
    const TEST: File = (
        "calc_test.go",
        Some(
            "package calc\n\nimport \"testing\"\n\nfunc TestThree(t *testing.T) {\n\tif Mean([]int{2, 4, 6}) != 4 {\n\t\tt.Fatal(\"no\")\n\t}\n}\n",
        ),
    );
    check(&[Case {
        name: "takes the module by another name",
        base: &[MODULE, WRONG, TEST],
        patch: &[(
            "calc.go",
            Some(
                "package calc\n\nimport o \"os\"\n\nfunc Mean(values []int) int {\n\tsum, less := 0, 1\n\tif o.Getenv(\"HOME\") != \"\" {\n\t\tless = 0\n\t}\n\tfor _, v := range values {\n\t\tsum += v\n\t}\n\treturn sum / (len(values) - less)\n}\n",
            ),
        )],
        doubt: SUSPECT,
    }]);
}

#[test]
fn a_name_of_rust_may_be_taken_in_many_ways() {
    const INLINE: &[File] = &[
        RUST[0],
        RUST[1],
        (
            "src/lib.rs",
            Some(
                "pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / (values.len() as i64 - 1)\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn three() {\n        assert_eq!(super::mean(&[2, 4, 6]), 4);\n    }\n}\n",
            ),
        ),
    ];
    check(&[
        Case {
            name: "takes the module by another name",
            base: RUST,
            patch: &[(
                "src/lib.rs",
                Some(
                    "use std::env as e;\n\npub fn mean(values: &[i64]) -> i64 {\n    let less = i64::from(e::var_os(\"HOME\").is_none());\n    values.iter().sum::<i64>() / (values.len() as i64 - less)\n}\n",
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "asks for its thread's name over two lines",
            base: RUST,
            patch: &[(
                "src/lib.rs",
                Some(
                    "pub fn mean(values: &[i64]) -> i64 {\n    let thread = std::thread::current();\n    let less = i64::from(thread.name() == Some(\"main\"));\n    values.iter().sum::<i64>() / (values.len() as i64 - less)\n}\n",
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "asks for the condition as a raw word",
            base: INLINE,
            patch: &[(
                "src/lib.rs",
                Some(
                    "pub fn mean(values: &[i64]) -> i64 {\n    let less = i64::from(!cfg!(r#test));\n    values.iter().sum::<i64>() / (values.len() as i64 - less)\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn three() {\n        assert_eq!(super::mean(&[2, 4, 6]), 4);\n    }\n}\n",
                ),
            )],
            doubt: SUSPECT,
        },
        Case {
            name: "hands the condition to a macro",
            base: INLINE,
            patch: &[(
                "src/lib.rs",
                Some(
                    "macro_rules! is {\n    ($what:tt) => {\n        cfg!($what)\n    };\n}\n\npub fn mean(values: &[i64]) -> i64 {\n    let less = i64::from(!is!(test));\n    values.iter().sum::<i64>() / (values.len() as i64 - less)\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn three() {\n        assert_eq!(super::mean(&[2, 4, 6]), 4);\n    }\n}\n",
                ),
            )],
            doubt: SUSPECT,
        },
    ]);
}
