//! Tests of the harness that must fail, laid beside a repository's own.
//!
//! A patch's code runs in the tests' process, and can change what the runner there believes and reports. A runner that it has
//! taken over reports that these pass too, or does not report them, though they fail in the same runner without the patch.
//! They stand in a copy of one of the repository's own files of tests, for many runners give each file a process of its own,
//! and the patch's code is only where it is imported. Each fails in another of the ways in which the repository's tests may,
//! and their names are made anew for each proof. Code that lets only the names that it knows pass is not found out by them;
//! the [findings](crate::proof::findings) are there for such code.

use std::collections::BTreeSet;

use super::Runner;
use crate::proof::is_test_path;
use crate::results::place;

/// The root of a library, in its package.
const LIBRARY: &str = "src/lib.rs";

/// A file of tests that must fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Where it is laid, from the repository's root.
    pub path: String,
    /// What stands in it.
    pub content: String,
    /// How many tests there are in it.
    pub n_tests: usize,
    /// What stands in the name of each of them in a report, and in no other.
    pub mark: String,
    /// What stands in the names of the tests that were copied, where a report tells them from those that they are copies of.
    pub copied: String,
}

/// Two words that nobody can guess, of small letters.
#[derive(Clone, Debug)]
pub struct Words {
    /// For the file.
    pub file: String,
    /// For the tests that must fail.
    pub mark: String,
}

/// Whether a file shows where a runner looks for tests.
pub fn is_place(runner: Runner, path: &str) -> bool {
    match runner {
        Runner::Pytest | Runner::Unittest => is_python_test(file_name(path)),
        Runner::Cargo | Runner::Nextest => is_rust_test(path) || is_below(path, "src") && path.ends_with(".rs"),
        Runner::Go => path.ends_with("_test.go"),
        Runner::Node | Runner::Jest | Runner::Vitest => script_ending(path).is_some(),
    }
}

/// How far a file is from tests of these names: 0 where one of the names says that it is in it, then files of tests, then others.
pub fn distance(path: &str, names: &BTreeSet<&str>) -> usize {
    if names.iter().any(|name| place::is_in(name, path)) { 0 } else { 2 - usize::from(is_test_path(path)) }
}

/// Writes a file of tests for a runner, beside the first of these that it finds already, each with its text. `None` where
/// nothing shows where that would be.
pub fn canary(runner: Runner, beside: &[(String, String)], words: &Words) -> Option<Canary> {
    let (beside, text) = beside.iter().find(|(path, text)| is_place(runner, path) && shows_a_place(runner, path, text))?;
    let Words { file, mark } = words;
    let (name, content, n_tests) = match runner {
        Runner::Pytest | Runner::Unittest => with(format!("test_{file}.py"), text, python(mark)),
        Runner::Cargo | Runner::Nextest if is_rust_test(beside) => with(format!("{file}.rs"), text, rust(mark)),
        // Inside the code, where its macros and its names are those that its tests see.
        Runner::Cargo | Runner::Nextest if has_inline_tests(text) => {
            let (tests, n_tests) = rust(mark);
            let content = format!("{text}\n#[cfg(test)]\nmod {file} {{\n#[allow(unused_imports)]\nuse super::*;\n\n{tests}}}\n");
            return Some(Canary { path: beside.clone(), content, n_tests, mark: mark.clone(), copied: file.clone() });
        }
        // There is no integration test yet: the first one would stand beside the library's folder.
        Runner::Cargo | Runner::Nextest => with(format!("{file}.rs"), "", rust(mark)),
        Runner::Go => {
            let package = text.lines().find_map(|line| line.strip_prefix("package "))?.split_whitespace().next()?;
            // One process and one name space for the whole package, so that nothing can be copied and nothing need be.
            with(format!("{file}_test.go"), &format!("package {package}\n"), go(mark))
        }
        Runner::Node | Runner::Jest | Runner::Vitest => {
            let ending = script_ending(beside)?;
            let is_module = ending.ends_with(".mjs") || !text.contains("require(");
            with(format!("{file}{ending}"), text, script(runner, mark, is_module))
        }
    };
    let beside = beside.replace(LIBRARY, "tests/it.rs");
    let folder = beside.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    Some(Canary { path: format!("{folder}{name}"), content, n_tests, mark: mark.clone(), copied: file.clone() })
}

fn with(name: String, copied: &str, (tests, n_tests): (String, usize)) -> (String, String, usize) {
    (name, format!("{copied}\n\n{tests}"), n_tests)
}

/// Whether a place shows itself in a file that may be one.
pub fn shows_a_place(runner: Runner, path: &str, text: &str) -> bool {
    match runner {
        Runner::Cargo | Runner::Nextest => {
            is_rust_test(path) || has_inline_tests(text) || path == LIBRARY || path.ends_with("/src/lib.rs")
        }
        Runner::Pytest | Runner::Unittest | Runner::Go => true,
        // A folder of tests has other scripts, too, which are no tests by their names.
        Runner::Node | Runner::Jest | Runner::Vitest => named_ending(path).is_some() || calls_tests(text),
    }
}

/// Whether tests stand inside the code of a Rust source.
fn has_inline_tests(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("#[cfg(test)]"))
}

fn is_below(path: &str, folder: &str) -> bool {
    path.rsplit('/').skip(1).any(|part| part == folder)
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, file)| file)
}

fn is_python_test(file: &str) -> bool {
    file.starts_with("test") && file.ends_with(".py") || file.ends_with("_test.py")
}

/// Whether this is the root of an integration test.
fn is_rust_test(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    parts.next().is_some_and(|file| file.ends_with(".rs")) && parts.next() == Some("tests")
}

/// The endings of scripts.
const SCRIPTS: [&str; 8] = ["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"];

/// The ending with which a script beside this one is a test: that of its own name, or any where the folder makes it one.
fn script_ending(path: &str) -> Option<&str> {
    named_ending(path).or_else(|| {
        let ending = &path[path.rfind('.')?..];
        let is_in_tests = is_below(path, "__tests__") || is_below(path, "test");
        (is_in_tests && SCRIPTS.contains(&&ending[1..])).then_some(ending)
    })
}

/// The ending by which a script is a test by its name, if it is one.
fn named_ending(path: &str) -> Option<&str> {
    const KINDS: [&str; 2] = [".test.", ".spec."];
    let at = KINDS.iter().find_map(|kind| path.rfind(kind))?;
    SCRIPTS.contains(&&path[at + ".test.".len()..]).then(|| &path[at..])
}

/// Whether a script says what a test is.
fn calls_tests(text: &str) -> bool {
    let is_call = |line: &str| {
        ["test", "it", "describe"].iter().any(|call| line.strip_prefix(call).is_some_and(|rest| rest.starts_with(['(', '.'])))
    };
    text.lines().map(str::trim_start).any(is_call)
}

fn python(mark: &str) -> (String, usize) {
    let bodies = [
        "self.assertEqual(1, 2)",
        "self.assertNotEqual(1, 1)",
        "self.assertTrue(0)",
        "self.assertFalse(1)",
        "self.assertIsNone(1)",
        "self.assertIn(1, [2])",
        "self.assertAlmostEqual(1.0, 2.0)",
        "self.assertRaises(ValueError, str)",
        "self.fail('no')",
        "assert 1 == 2",
        "raise RuntimeError('no')",
    ];
    let tests = bodies.iter().enumerate().map(|(n, body)| format!("    def test_{n}(self):\n        {body}\n"));
    let tests = tests.collect::<Vec<_>>().join("\n");
    let content = format!("import unittest as {mark}\n\n\nclass Test_{mark}({mark}.TestCase):\n{tests}");
    (content, bodies.len())
}

fn rust(mark: &str) -> (String, usize) {
    let bodies = ["assert_eq!(1, 2);", "assert_ne!(1, 1);", "assert!(1 > 2);", "panic!(\"no\");"];
    let tests = bodies.iter().enumerate().map(|(n, body)| format!("#[test]\nfn {mark}_{n}() {{\n    {body}\n}}\n"));
    (tests.collect::<Vec<_>>().join("\n"), bodies.len())
}

fn go(mark: &str) -> (String, usize) {
    // None that panics, for that ends the whole binary.
    let bodies = ["t.Fail()", "t.Fatal(\"no\")", "t.Errorf(\"no\")"];
    let tests = bodies.iter().enumerate().map(|(n, body)| format!("func Test_{mark}_{n}(t *testing.T) {{\n\t{body}\n}}\n"));
    (format!("import \"testing\"\n\n{}", tests.collect::<Vec<_>>().join("\n")), bodies.len())
}

fn script(runner: Runner, mark: &str, is_module: bool) -> (String, usize) {
    let of_node = [
        "equal(1, 2)",
        "strictEqual(1, 2)",
        "notStrictEqual(1, 1)",
        "deepEqual([1], [2])",
        "deepStrictEqual([1], [2])",
        "ok(0)",
        "throws(() => {})",
        "match('a', /b/)",
    ];
    let of_others = [
        "expect(1).toBe(2)",
        "expect(1).toEqual(2)",
        "expect([1]).toEqual([2])",
        "expect(0).toBeTruthy()",
        "expect(() => {}).toThrow()",
        "throw new Error('no')",
    ];
    let test = if runner == Runner::Node { format!("{mark}_test") } else { "test".to_owned() };
    let head = match (runner, is_module) {
        (Runner::Node, true) => format!(
            "import {{ test as {mark}_test }} from 'node:test';\nimport {mark}_assert from 'node:assert';\nimport {mark}_strict from 'node:assert/strict';\n"
        ),
        (Runner::Node, false) => format!(
            "const {mark}_test = require('node:test').test;\nconst {mark}_assert = require('node:assert');\nconst {mark}_strict = require('node:assert/strict');\n"
        ),
        _ => String::new(),
    };
    let bodies: Vec<String> = if runner == Runner::Node {
        let of = |name: &str| of_node.iter().map(|body| format!("{mark}_{name}.{body}")).collect::<Vec<_>>();
        [of("assert"), of("strict"), vec!["throw new Error('no')".to_owned()]].concat()
    } else {
        of_others.iter().map(|body| (*body).to_owned()).collect()
    };
    let tests = bodies.iter().enumerate().map(|(n, body)| format!("{test}('{mark} {n}', () => {{\n  {body};\n}});\n"));
    (format!("{head}\n{}", tests.collect::<Vec<_>>().join("\n")), bodies.len())
}

#[cfg(test)]
mod tests;
