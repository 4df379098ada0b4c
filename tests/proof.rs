//! The proof, put to patches that are honest and to patches that would deceive it, by the command that everybody has.
//!
//! Every case is a small repository with a fault, and a patch. Nothing here is scripted but the patch: the trees, the sandbox,
//! the runners and what they say are real.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use git2::{Repository, Signature};
use serde_json::Value;

use crate::support::uml::is_required;

/// The code of a library with a fault; in front of the modules that put it together with tests.
macro_rules! wrong {
    () => {
        "pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / (values.len() as i64 - 1)\n}\n"
    };
}

/// The same, mended.
macro_rules! right {
    () => {
        "pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / values.len() as i64\n}\n"
    };
}

mod build;
mod cheats;
mod commits;
mod declared;
mod honest;
mod inline;
mod runners;

/// A file: its path and its text; without a text there is none. A path behind `+x ` can be started, a text behind `-> ` is where a
/// link leads to.
pub(crate) type File = (&'static str, Option<&'static str>);

/// A patch to a repository, and what must be found.
pub(crate) struct Case<'a> {
    /// What it tries, for whoever reads that it failed.
    pub(crate) name: &'a str,
    /// What is there before.
    pub(crate) base: &'a [File],
    /// What is changed.
    pub(crate) patch: &'a [File],
    /// The doubt; none where it is proven.
    pub(crate) doubt: Option<&'a str>,
}

/// What `patchwright prove --json` says of a case: `proven`, or the doubt.
fn judged(case: &Case<'_>) -> String {
    ended(case, &prove(case))
}

fn ended(case: &Case<'_>, said: &Value) -> String {
    let verdict = &said["verdict"];
    verdict["doubt"].as_str().or(verdict["verdict"].as_str()).unwrap_or_else(|| panic!("{}: {said}", case.name)).to_owned()
}

fn prove(case: &Case<'_>) -> Value {
    prove_within(case, &[])
}

/// The same with these settings of the program.
fn prove_within(case: &Case<'_>, settings: &[(&str, &str)]) -> Value {
    prove_as(case, settings, &[])
}

/// The same with these arguments as well.
fn prove_as(case: &Case<'_>, settings: &[(&str, &str)], arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let checkout = folder.path().join("checkout");
    let (base, head) = commits(&checkout, case);
    let done = Command::new(env!("CARGO_BIN_EXE_patchwright"))
        .args(["prove", "--json", "--base", &base, "--head", &head, "--repo"])
        .arg(&checkout)
        .args(arguments)
        .env("XDG_CACHE_HOME", folder.path().join("cache"))
        .env("PATCHWRIGHT__LIMITS__PROOF_RUNS", "2")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&done.stdout);
    let problem = String::from_utf8_lossy(&done.stderr);
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{}: {}\n{said}\n{problem}", case.name, done.status))
}

/// Makes the two commits.
fn commits(checkout: &Path, case: &Case<'_>) -> (String, String) {
    let repository = Repository::init(checkout).expect("a repository");
    let base = commit(&repository, case.base);
    let head = commit(&repository, case.patch);
    (base, head)
}

fn commit(repository: &Repository, files: &[File]) -> String {
    let folder = repository.workdir().expect("a checkout").to_owned();
    for (path, text) in files {
        let executable = path.strip_prefix("+x ");
        let place = folder.join(executable.unwrap_or(path));
        match text {
            None => std::fs::remove_file(&place).expect("the file is there"),
            Some(text) => {
                std::fs::create_dir_all(place.parent().expect("a folder")).expect("it can be made");
                match text.strip_prefix("-> ") {
                    Some(target) => std::os::unix::fs::symlink(target, &place).expect("a link"),
                    None => {
                        std::fs::write(&place, text).expect("it can be written");
                        let mode = if executable.is_some() { 0o755 } else { 0o644 };
                        std::fs::set_permissions(&place, Permissions::from_mode(mode)).expect("its mode can be set");
                    }
                }
            }
        }
    }
    let mut index = repository.index().expect("an index");
    index.add_all(["*"], git2::IndexAddOption::FORCE, None).expect("the files");
    index.update_all(["*"], None).expect("what is gone");
    let tree = repository.find_tree(index.write_tree().expect("a tree")).expect("the tree");
    let who = Signature::now("Mona", "mona@example.com").expect("a signature");
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    repository.commit(Some("HEAD"), &who, &who, "a step", &tree, &parents).expect("a commit").to_string()
}

/// Puts every case to the proof, two at a time, and names all that were judged otherwise.
pub(crate) fn check(cases: &[Case<'_>]) {
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let halves =
            cases.chunks(cases.len().div_ceil(2)).map(|cases| scope.spawn(|| cases.iter().filter_map(wrong).collect::<Vec<_>>()));
        let halves: Vec<_> = halves.collect();
        halves.into_iter().flat_map(|half| half.join().expect("it goes through")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn wrong(case: &Case<'_>) -> Option<String> {
    let (found, expected) = (judged(case), case.doubt.unwrap_or("proven"));
    (found != expected).then(|| format!("{}: {found}, and not {expected}", case.name))
}

/// Whether there is Go on this machine; `go` in `PATCHWRIGHT_REQUIRE` makes it a failure that there is none.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tried")]
pub(crate) fn has_go() -> bool {
    let has_go = Command::new("go").arg("version").output().is_ok_and(|said| said.status.success());
    if !has_go {
        assert!(!is_required("go"), "there is no `go`, and PATCHWRIGHT_REQUIRE names it");
        eprintln!("no Go: patches of Go are not put to the proof");
    }
    has_go
}

pub(crate) const PYTHON: &[File] = &[
    ("calc.py", Some("def mean(values):\n    return sum(values) / (len(values) - 1)\n")),
    ("setup.cfg", Some("[metadata]\nname = calc\n")),
    ("tests/__init__.py", Some("")),
    (
        "tests/test_calc.py",
        Some(
            "import unittest\nfrom calc import mean\n\n\nclass Mean(unittest.TestCase):\n    def test_three(self):\n        \
             self.assertEqual(mean([2, 4, 6]), 4)\n\n    def test_is_a_number(self):\n        \
             self.assertIsInstance(mean([2, 4]), float)\n",
        ),
    ),
];

pub(crate) const PYTHON_FIXED: File = ("calc.py", Some("def mean(values):\n    return sum(values) / len(values)\n"));

pub(crate) const NODE: &[File] = &[
    ("package.json", Some("{\"name\": \"calc\", \"version\": \"1.0.0\", \"scripts\": {\"test\": \"node --test\"}}\n")),
    ("calc.js", Some("exports.mean = (values) => values.reduce((a, b) => a + b) / (values.length - 1);\n")),
    (
        "calc.test.js",
        Some(
            "const { test } = require('node:test');\nconst assert = require('node:assert');\nconst { mean } = \
             require('./calc.js');\n\ntest('the mean of three', () => {\n  assert.strictEqual(mean([2, 4, 6]), 4);\n});\n\n\
             test('the mean is a number', () => {\n  assert.strictEqual(typeof mean([2, 4]), 'number');\n});\n",
        ),
    ),
];

pub(crate) const RUST: &[File] = &[
    ("Cargo.toml", Some("[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")),
    ("Cargo.lock", Some("version = 3\n\n[[package]]\nname = \"calc\"\nversion = \"0.1.0\"\n")),
    ("src/lib.rs", Some("pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / (values.len() as i64 - 1)\n}\n")),
    (
        "tests/mean.rs",
        Some(
            "use calc::*;\n\n#[test]\nfn three() {\n    assert_eq!(mean(&[2, 4, 6]), 4);\n}\n\n#[test]\nfn sums() {\n    assert!(mean(&[2, 4]) > 2);\n}\n",
        ),
    ),
];
