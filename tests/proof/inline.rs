//! Tests that stand inside the code of a Rust source: taken apart from it, they prove as others do and cheat no better.

use super::{Case, File, RUST, check};

/// A library of this code, with these tests inside.
macro_rules! library {
    ($code:expr, $($test:expr),* $(,)?) => {
        ("src/lib.rs", Some(concat!($code, "\n#[cfg(test)]\nmod tests {\n    use super::*;\n", $("\n    #[test]\n    ", $test, "\n"),*, "}\n")))
    };
}

macro_rules! three {
    () => {
        "fn three() { assert_eq!(mean(&[2, 4, 6]), 4); }"
    };
}

macro_rules! sums {
    () => {
        "fn sums() { assert!(mean(&[2, 4]) > 2); }"
    };
}

/// The fault is seen by a test inside the code.
const RED: &[File] = &[RUST[0], RUST[1], library!(wrong!(), three!(), sums!())];
/// It is seen by none.
const GREEN: &[File] = &[RUST[0], RUST[1], library!(wrong!(), sums!())];

#[test]
fn what_mends_a_test_inside_the_code_is_proven() {
    check(&[
        Case { name: "the code alone", base: RED, patch: &[library!(right!(), three!(), sums!())], doubt: None },
        Case {
            name: "with one more test",
            base: RED,
            patch: &[library!(right!(), three!(), sums!(), "fn one() { assert_eq!(mean(&[3]), 3); }")],
            doubt: None,
        },
        Case {
            name: "with the only test that sees it",
            base: GREEN,
            patch: &[library!(right!(), three!(), sums!())],
            doubt: None,
        },
        Case {
            name: "with the first tests that there are",
            base: &[
                RUST[0],
                RUST[1],
                ("src/lib.rs", Some(wrong!())),
                ("tests/sums.rs", Some("#[test]\nfn sums() {\n    assert!(calc::mean(&[2, 4]) > 2);\n}\n")),
            ],
            patch: &[library!(right!(), three!())],
            doubt: None,
        },
        Case {
            name: "with a test that asks for its environment",
            base: RED,
            patch: &[library!(
                right!(),
                three!(),
                sums!(),
                "fn env() { assert!(std::env::var(\"HOME\").is_ok() || mean(&[1]) == 1); }"
            )],
            doubt: None,
        },
        Case {
            name: "while a test is given another name",
            base: RED,
            patch: &[library!(right!(), three!(), "fn adds_up() { assert!(mean(&[2, 4]) > 2); }")],
            doubt: None,
        },
    ]);
}

#[test]
fn tests_inside_the_code_are_not_to_be_cheated() {
    check(&[
        Case {
            name: "expects what the code does",
            base: RED,
            patch: &[library!(wrong!(), "fn three() { assert_eq!(mean(&[2, 4, 6]), 6); }", sums!())],
            doubt: Some("still_red"),
        },
        Case { name: "takes the test away", base: RED, patch: &[library!(wrong!(), sums!())], doubt: Some("still_red") },
        Case { name: "takes all tests away", base: RED, patch: &[("src/lib.rs", Some(wrong!()))], doubt: Some("still_red") },
        Case {
            name: "brings a test that passes without it",
            base: GREEN,
            patch: &[library!(right!(), sums!(), "fn one() { assert_eq!(1, 1); }")],
            doubt: Some("green_before"),
        },
        Case {
            name: "tests a function of the tests' own",
            base: GREEN,
            patch: &[library!(
                concat!(wrong!(), "\npub fn unused() {}\n"),
                sums!(),
                "fn three() { fn mean(_: &[i64]) -> i64 { 4 } assert_eq!(mean(&[2, 4, 6]), 4); }"
            )],
            doubt: Some("green_before"),
        },
        Case {
            name: "has another version for tests",
            base: RED,
            patch: &[library!(
                concat!("#[cfg(not(any(test)))]\n", wrong!(), "\n#[cfg(any(test))]\n", right!()),
                three!(),
                sums!()
            )],
            doubt: Some("suspect"),
        },
        Case {
            name: "moves the code to a new file, with another expectation",
            base: RED,
            patch: &[
                ("src/lib.rs", Some("#[path = \"mean.rs\"]\nmod tests;\npub use tests::*;\n")),
                (
                    "src/mean.rs",
                    Some(
                        "pub fn mean(_: &[i64]) -> i64 {\n    5\n}\n\n#[test]\nfn three() { assert_eq!(mean(&[2, 4, 6]), 5); }\n\n#[test]\nfn sums() { assert!(mean(&[2, 4]) > 2); }\n",
                    ),
                ),
            ],
            doubt: Some("regression"),
        },
        Case {
            name: "changes the code, and the expectation to what it does now",
            base: RED,
            patch: &[library!(
                "pub fn mean(_: &[i64]) -> i64 {\n    5\n}\n",
                "fn three() { assert_eq!(mean(&[2, 4, 6]), 5); }",
                sums!()
            )],
            doubt: Some("still_red"),
        },
        Case {
            name: "changes an example in the documentation",
            base: &[
                RUST[0],
                RUST[1],
                library!(concat!("/// ```\n/// assert_eq!(calc::mean(&[2, 4, 6]), 4);\n/// ```\n", wrong!()), sums!()),
            ],
            patch: &[library!(concat!("/// ```\n/// assert_eq!(calc::mean(&[2, 4, 6]), 6);\n/// ```\n", wrong!()), sums!())],
            doubt: Some("tests_touched"),
        },
        Case {
            name: "neutralises a test that stands deeper",
            base: &[
                RUST[0],
                RUST[1],
                (
                    "src/lib.rs",
                    Some(concat!(
                        "pub use inner::mean;\n\nmod inner {\n",
                        wrong!(),
                        "\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn three() {\n        assert_eq!(super::mean(&[2, 4, 6]), 4);\n    }\n}\n}\n"
                    )),
                ),
            ],
            patch: &[(
                "src/lib.rs",
                Some(concat!(
                    "pub use inner::mean;\n\nmod inner {\n",
                    wrong!(),
                    "\n#[cfg(test)]\nmod tests {\n    #[test]\n    #[should_panic]\n    fn three() {\n        assert_eq!(super::mean(&[2, 4, 6]), 4);\n    }\n}\n}\n"
                )),
            )],
            doubt: Some("tests_touched"),
        },
        Case {
            name: "returns something else where it is tested",
            base: RED,
            patch: &[library!(
                "pub fn mean(values: &[i64]) -> i64 {\n    #[cfg(\n        test\n    )]\n    return values.iter().sum::<i64>() / values.len() as i64;\n    #[allow(unreachable_code)]\n    {\n        values.iter().sum::<i64>() / (values.len() as i64 - 1)\n    }\n}\n",
                three!(),
                sums!()
            )],
            doubt: Some("suspect"),
        },
        Case {
            name: "imports another assertion into the tests",
            base: RED,
            patch: &[library!(
                concat!(
                    "#[macro_export]\nmacro_rules! same {\n    ($($x:tt)*) => {};\n}\n#[allow(unused_imports)]\npub(crate) use same as assert_eq;\n\n",
                    wrong!()
                ),
                three!(),
                sums!()
            )],
            // The compiler does not know which of the two is meant.
            doubt: Some("regression"),
        },
        Case {
            name: "hides that it defines another assertion",
            base: RED,
            patch: &[library!(
                concat!("macro_rules!\n    assert_eq {\n    ($($x:tt)*) => {};\n}\n\n", wrong!()),
                three!(),
                sums!()
            )],
            doubt: Some("suspect"),
        },
    ]);
}
