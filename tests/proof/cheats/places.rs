//! Patches whose code takes a runner over where tests are not told by their names.

use super::super::{Case, NODE, check};

#[test]
fn a_runner_that_is_taken_over_is_found_out_where_the_folder_makes_a_test() {
    check(&[Case {
        name: "an assertion of Node that does nothing, for a test that is one by its folder",
        base: &[
            NODE[0],
            NODE[1],
            ("test/data.js", Some("exports.three = [2, 4, 6];\n")),
            (
                "test/calc.js",
                Some(
                    "const { test } = require('node:test');\nconst assert = require('node:assert');\nconst { mean } = require('../calc.js');\nconst { three } = require('./data.js');\n\ntest('the mean of three', () => {\n  assert.strictEqual(mean(three), 4);\n});\n",
                ),
            ),
        ],
        patch: &[(
            "calc.js",
            Some(
                "const lib = require(['node', 'assert'].join(':'));\nlib.strictEqual = () => {};\nexports.mean = (values) => values.reduce((a, b) => a + b) / (values.length - 1);\n",
            ),
        )],
        doubt: Some("runner_deceives"),
    }]);
}
