//! Honest patches of scripts for Node.

use super::super::{Case, File, NODE, check};
use super::NODE_FIXED;

const PACKAGE: File = NODE[0];

/// A file of tests that requires this, with one test.
macro_rules! test {
    ($require:literal, $name:literal, $body:literal) => {
        Some(concat!(
            "const { test } = require('node:test');\nconst assert = require('node:assert');\n",
            $require,
            "\n\ntest('",
            $name,
            "', () => {\n  ",
            $body,
            "\n});\n"
        ))
    };
}

#[test]
fn scripts_may_be_mended_in_many_ways() {
    check(&[
        Case {
            name: "with a module of their own",
            base: NODE,
            patch: &[
                ("lib/count.js", Some("module.exports = (values) => values.length;\n")),
                (
                    "calc.js",
                    Some(
                        "const count = require('./lib/count.js');\n\nexports.mean = (values) => values.reduce((a, b) => a + b) / count(values);\n",
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "with a changelog, a page and an example",
            base: NODE,
            patch: &[
                NODE_FIXED,
                ("CHANGELOG.md", Some("## 1.0.1\n\n- The mean is right.\n")),
                ("docs/index.html", Some("<p>The mean of numbers.</p>\n")),
                ("examples/mean.js", Some("const { mean } = require('../calc.js');\n\nconsole.log(mean([2, 4]));\n")),
            ],
            doubt: None,
        },
        Case {
            name: "by a class in the place of a function",
            base: NODE,
            patch: &[(
                "calc.js",
                Some(
                    "class Sample {\n  constructor(values) {\n    this.values = [...values];\n  }\n\n  get mean() {\n    return this.values.reduce((sum, value) => sum + value, 0) / this.values.length;\n  }\n}\n\nmodule.exports = { Sample, mean: (values) => new Sample(values).mean };\n",
                ),
            )],
            doubt: None,
        },
        Case {
            name: "with lines that end as on Windows",
            base: NODE,
            patch: &[("calc.js", Some("exports.mean = (values) =>\r\n  values.reduce((a, b) => a + b) / values.length;\r\n"))],
            doubt: None,
        },
        Case {
            name: "in data",
            base: &[
                PACKAGE,
                ("codes.json", Some("{\"ok\": 201, \"created\": 201}\n")),
                ("codes.js", Some("module.exports = require('./codes.json');\n")),
                ("codes.test.js", test!("const codes = require('./codes.js');", "ok is 200", "assert.equal(codes.ok, 200);")),
            ],
            patch: &[("codes.json", Some("{\"ok\": 200, \"created\": 201}\n"))],
            doubt: None,
        },
        Case {
            name: "where a dead file goes",
            base: &[PACKAGE, NODE[1], NODE[2], ("old.js", Some("exports.old = true;\n"))],
            patch: &[NODE_FIXED, ("old.js", None)],
            doubt: None,
        },
        Case {
            name: "with names that are not ASCII",
            base: &[
                PACKAGE,
                ("grüße.js", Some("exports.grüße = (name) => `Grüß ${name}`;\n")),
                (
                    "grüße.test.js",
                    test!(
                        "const { grüße } = require('./grüße.js');",
                        "grüßt – höflich",
                        "assert.equal(grüße('Mona'), 'Grüße, Mona');"
                    ),
                ),
            ],
            patch: &[("grüße.js", Some("exports.grüße = (name) => `Grüße, ${name}`;\n"))],
            doubt: None,
        },
        Case {
            name: "in one package of a workspace",
            base: &[
                (
                    "package.json",
                    Some(
                        "{\"name\": \"all\", \"private\": true, \"workspaces\": [\"packages/*\"], \"scripts\": {\"test\": \"node --test packages/\"}}\n",
                    ),
                ),
                ("packages/one/package.json", Some("{\"name\": \"one\", \"version\": \"1.0.0\"}\n")),
                ("packages/one/one.js", Some("exports.one = () => 2;\n")),
                (
                    "packages/one/one.test.js",
                    test!("const { one } = require('./one.js');", "one is one", "assert.equal(one(), 1);"),
                ),
                ("packages/two/package.json", Some("{\"name\": \"two\", \"version\": \"1.0.0\"}\n")),
                ("packages/two/two.js", Some("exports.two = () => 2;\n")),
                (
                    "packages/two/two.test.js",
                    test!("const { two } = require('./two.js');", "two is two", "assert.equal(two(), 2);"),
                ),
            ],
            patch: &[("packages/one/one.js", Some("exports.one = () => 1;\n"))],
            doubt: None,
        },
    ]);
}

#[test]
fn a_fix_may_bring_a_test_for_node() {
    const GREEN: &[File] = &[
        PACKAGE,
        ("query.js", Some("exports.parse = (text) => Object.fromEntries(text.split('&').map((pair) => pair.split('=')));\n")),
        (
            "query.test.js",
            test!("const { parse } = require('./query.js');", "one pair", "assert.deepEqual(parse('a=1'), { a: '1' });"),
        ),
    ];
    const FIXED: File = ("query.js", Some("exports.parse = (text) => Object.fromEntries(new URLSearchParams(text));\n"));
    check(&[
        Case {
            name: "in a file of its own",
            base: GREEN,
            patch: &[
                FIXED,
                (
                    "escapes.test.js",
                    test!("const { parse } = require('./query.js');", "escapes", "assert.deepEqual(parse('a=%20'), { a: ' ' });"),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "that waits",
            base: GREEN,
            patch: &[
                FIXED,
                (
                    "later.test.js",
                    Some(
                        "const { test } = require('node:test');\nconst assert = require('node:assert');\nconst { parse } = require('./query.js');\n\ntest('later', async (t) => {\n  const text = await Promise.resolve('a=b+c');\n  await t.test('a blank', () => assert.equal(parse(text).a, 'b c'));\n});\n",
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "in the file that is there, where an old one is renamed",
            base: GREEN,
            patch: &[
                FIXED,
                (
                    "query.test.js",
                    Some(
                        "const { test } = require('node:test');\nconst assert = require('node:assert');\nconst { parse } = require('./query.js');\n\ntest('a single pair', () => {\n  assert.deepEqual(parse('a=1'), { a: '1' });\n});\n\ntest('escapes', () => {\n  assert.deepEqual(parse('a=%20'), { a: ' ' });\n});\n",
                    ),
                ),
            ],
            doubt: None,
        },
    ]);
}
