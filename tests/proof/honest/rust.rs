//! Honest patches of Rust.

use super::super::{Case, File, RUST, check};
use super::RUST_FIXED;

const MANIFEST: File = RUST[0];
const LOCK: File = RUST[1];

#[test]
fn a_crate_may_be_mended_in_many_ways() {
    check(&[
        Case {
            name: "with a module of its own and a changelog",
            base: RUST,
            patch: &[
                (
                    "src/lib.rs",
                    Some(
                        "mod count;\n\npub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / count::of(values)\n}\n",
                    ),
                ),
                (
                    "src/count.rs",
                    Some(
                        "/// How many there are; no fewer than one.\npub(crate) fn of(values: &[i64]) -> i64 {\n    i64::try_from(values.len()).unwrap_or(i64::MAX).max(1)\n}\n",
                    ),
                ),
                ("CHANGELOG.md", Some("- `mean` is right, and does not panic.\n")),
            ],
            doubt: None,
        },
        Case {
            name: "by a module that is renamed, where a dead one goes",
            base: &[
                MANIFEST,
                LOCK,
                ("src/lib.rs", Some("mod average;\nmod dead;\n\npub use average::mean;\npub use dead::unused;\n")),
                (
                    "src/average.rs",
                    Some("pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / (values.len() as i64 - 1)\n}\n"),
                ),
                ("src/dead.rs", Some("pub fn unused() {}\n")),
                RUST[3],
            ],
            patch: &[
                ("src/lib.rs", Some("mod mean;\n\npub use mean::mean;\n")),
                ("src/average.rs", None),
                ("src/dead.rs", None),
                (
                    "src/mean.rs",
                    Some("pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / values.len() as i64\n}\n"),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "in a table that is included",
            base: &[
                MANIFEST,
                LOCK,
                (
                    "src/lib.rs",
                    Some(
                        "pub fn name(code: &str) -> Option<&'static str> {\n    let table = include_str!(\"../data/names.csv\");\n    table.lines().filter_map(|line| line.split_once(',')).find(|(key, _)| *key == code).map(|(_, name)| name)\n}\n",
                    ),
                ),
                ("data/names.csv", Some("de,Germany\nfr,Frnace\n")),
                (
                    "tests/names.rs",
                    Some(
                        "#[test]\nfn of_france() {\n    assert_eq!(calc::name(\"fr\"), Some(\"France\"));\n}\n\n#[test]\nfn of_nowhere() {\n    assert_eq!(calc::name(\"xx\"), None);\n}\n",
                    ),
                ),
            ],
            patch: &[("data/names.csv", Some("de,Germany\nfr,France\n"))],
            doubt: None,
        },
        Case {
            name: "with an example and a benchmark",
            base: RUST,
            patch: &[RUST_FIXED, ("examples/mean.rs", Some("fn main() {\n    println!(\"{}\", calc::mean(&[2, 4]));\n}\n"))],
            doubt: None,
        },
        Case {
            name: "with documentation that is an example",
            base: RUST,
            patch: &[(
                "src/lib.rs",
                Some(
                    "/// The mean.\n///\n/// ```\n/// assert_eq!(calc::mean(&[2, 4]), 3);\n/// ```\npub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / values.len() as i64\n}\n",
                ),
            )],
            doubt: None,
        },
        Case {
            name: "with a test and what tests share",
            base: &[
                MANIFEST,
                LOCK,
                ("src/lib.rs", Some("pub fn words(text: &str) -> Vec<&str> {\n    text.split(' ').collect()\n}\n")),
                ("tests/words.rs", Some("#[test]\nfn two() {\n    assert_eq!(calc::words(\"a b\"), [\"a\", \"b\"]);\n}\n")),
            ],
            patch: &[
                ("src/lib.rs", Some("pub fn words(text: &str) -> Vec<&str> {\n    text.split_whitespace().collect()\n}\n")),
                ("tests/common/mod.rs", Some("pub fn text() -> &'static str {\n    \" a \\t b \"\n}\n")),
                (
                    "tests/blanks.rs",
                    Some(
                        "mod common;\n\n#[test]\nfn blanks() {\n    assert_eq!(calc::words(common::text()), [\"a\", \"b\"]);\n}\n",
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "with a trait, generics and lines that end as on Windows",
            base: RUST,
            patch: &[(
                "src/lib.rs",
                Some(
                    "pub trait Mean {\r\n    fn mean(&self) -> i64;\r\n}\r\n\r\nimpl<T: AsRef<[i64]> + ?Sized> Mean for T {\r\n    fn mean(&self) -> i64 {\r\n        let values = self.as_ref();\r\n        values.iter().sum::<i64>() / values.len() as i64\r\n    }\r\n}\r\n\r\npub fn mean(values: &[i64]) -> i64 {\r\n    values.mean()\r\n}\r\n",
                ),
            )],
            doubt: None,
        },
        Case {
            name: "in a program, and not in a library",
            base: &[
                MANIFEST,
                LOCK,
                ("src/main.rs", Some("mod shout;\n\nfn main() {\n    println!(\"{}\", shout::shout(\"ünï\"));\n}\n")),
                (
                    "src/shout.rs",
                    Some(
                        "pub fn shout(text: &str) -> String {\n    text.to_ascii_uppercase()\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn shouts_umlauts() {\n        assert_eq!(super::shout(\"ü\"), \"Ü\");\n    }\n}\n",
                    ),
                ),
            ],
            patch: &[(
                "src/shout.rs",
                Some(
                    "pub fn shout(text: &str) -> String {\n    text.to_uppercase()\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn shouts_umlauts() {\n        assert_eq!(super::shout(\"ü\"), \"Ü\");\n    }\n}\n",
                ),
            )],
            doubt: None,
        },
    ]);
}
