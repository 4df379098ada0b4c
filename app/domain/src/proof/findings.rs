//! What stands in the patch itself against its proof, with the place of each.
//!
//! Code under test runs in the tests' process, so no run can show that it behaves elsewhere as it does there. What these gates
//! look for is code that asks whether it is being tested, or reaches for the runner: honest patches have next to no use for
//! it, and a person decides about those that do. They are a list of known ways and no proof that there is no other.

use serde::{Deserialize, Serialize};

use crate::journal::{Change, ChangeKind};
use crate::proof::paths::is_test_path;

/// How many findings are kept.
pub const FINDINGS_MAX: usize = 100;
/// How much of a line is told, in characters.
const LINE_CHARS_MAX: usize = 120;

/// A line that a patch adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The file.
    pub path: String,
    /// The line's number in it, from 1.
    pub line: u32,
    /// What it says.
    pub text: String,
}

/// Something in the patch that speaks against its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked for.
    pub gate: Gate,
    /// The file.
    pub path: String,
    /// The line's number in it, where it is about a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The line itself, or what became of the file.
    pub told: String,
}

/// What is looked for in a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// A test that was there is deleted.
    TestDeleted,
    /// A test is told not to run.
    TestSkipped,
    /// Code asks whether it is being tested, or by whom it is called.
    KnowsItIsTested,
    /// Code asks for the environment, which differs between a test and its use.
    AsksTheEnvironment,
    /// Code reaches for the test runner or its assertions.
    ReachesForTheRunner,
    /// Code ends its process, which would end the tests'.
    EndsTheProcess,
    /// A file that building makes, or somebody else's code.
    Artefact,
}

impl Gate {
    /// The sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::TestDeleted => "An existing test is deleted.",
            Self::TestSkipped => "A test is told not to run.",
            Self::KnowsItIsTested => "The code asks whether it is being tested.",
            Self::AsksTheEnvironment => "The code asks for its environment, which differs between a test and its use.",
            Self::ReachesForTheRunner => "The code reaches for the test runner.",
            Self::EndsTheProcess => "The code ends its process, and with it the tests'.",
            Self::Artefact => "This is made by a build, or is somebody else's code; no test speaks about where it comes from.",
        }
    }
}

/// Looks through a patch.
pub fn findings(changes: &[Change], added: &[Added]) -> Vec<Finding> {
    let files = changes.iter().filter_map(of_file);
    let lines = added.iter().filter_map(of_line);
    files.chain(lines).take(FINDINGS_MAX).collect()
}

fn of_file(change: &Change) -> Option<Finding> {
    let found = |gate, told: &str| Some(Finding { gate, path: change.path.clone(), line: None, told: told.to_owned() });
    if change.kind == ChangeKind::Deleted {
        return if is_test_path(&change.path) { found(Gate::TestDeleted, "deleted") } else { None };
    }
    if is_artefact(&change.path) { found(Gate::Artefact, "added or changed") } else { None }
}

fn of_line(added: &Added) -> Option<Finding> {
    let text = added.text.trim();
    let says = |signs: &[&str]| signs.iter().any(|sign| contains_word(text, sign));
    let language = Language::of(&added.path);
    let gate = if is_test_path(&added.path) {
        says(SKIPS).then_some(Gate::TestSkipped)
    } else {
        let language = language.filter(|_| !is_comment(text))?;
        let signs = language.signs();
        let by_gate = [
            (Gate::ReachesForTheRunner, signs.runner),
            (Gate::KnowsItIsTested, signs.tested),
            (Gate::EndsTheProcess, signs.ends),
            (Gate::AsksTheEnvironment, signs.environment),
        ];
        by_gate.into_iter().find(|(_, signs)| says(signs)).map(|(gate, _)| gate).or_else(|| {
            // Inline tests stand in the code.
            says(SKIPS).then_some(Gate::TestSkipped)
        })
    }?;
    let told: String = text.chars().take(LINE_CHARS_MAX).collect();
    Some(Finding { gate, path: added.path.clone(), line: Some(added.line), told })
}

/// Whether a text has these characters, and where they begin or end like a name, not as a part of a longer one.
fn contains_word(text: &str, sign: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let (begins, ends) = (sign.starts_with(is_part), sign.ends_with(is_part));
    text.match_indices(sign).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(is_part);
        let after = text[at + sign.len()..].chars().next().is_some_and(is_part);
        !(begins && before || ends && after)
    })
}

fn is_comment(text: &str) -> bool {
    ["//", "# ", "* ", "/*"].iter().any(|sign| text.starts_with(sign))
}

#[derive(Clone, Copy)]
enum Language {
    Python,
    Script,
    Rust,
    Go,
}

/// By what a gate is known in one language.
struct Signs {
    runner: &'static [&'static str],
    tested: &'static [&'static str],
    ends: &'static [&'static str],
    environment: &'static [&'static str],
}

impl Language {
    fn of(path: &str) -> Option<Self> {
        let extension = path.rsplit_once('.')?.1;
        Some(match extension {
            "py" | "pyx" | "pyi" | "pth" => Self::Python,
            "js" | "cjs" | "mjs" | "ts" | "mts" | "cts" | "jsx" | "tsx" => Self::Script,
            "rs" => Self::Rust,
            "go" => Self::Go,
            _ => return None,
        })
    }

    fn signs(self) -> Signs {
        match self {
            Self::Python => Signs {
                runner: &[
                    "unittest",
                    "pytest",
                    "_pytest",
                    "doctest",
                    "pluggy",
                    "builtins",
                    "__builtins__",
                    "AssertionError.__",
                    "gc.get_objects",
                    "gc.get_referrers",
                    "ctypes",
                    "sys.settrace",
                    "sys.setprofile",
                    "sys.meta_path",
                    "sys.path_hooks",
                    "excepthook",
                    "sys.stdout",
                    "sys.stderr",
                    "__subclasses__",
                ],
                tested: &[
                    "inspect.stack",
                    "inspect.currentframe",
                    "_getframe",
                    "traceback.extract_stack",
                    "f_back",
                    "sys.modules",
                    "sys.argv",
                    "__main__",
                    "orig_argv",
                ],
                ends: &[
                    "os._exit",
                    "sys.exit",
                    "atexit",
                    "SystemExit",
                    "os.kill",
                    "os.abort",
                    "signal.raise_signal",
                    "exit()",
                    "quit()",
                ],
                environment: &["os.environ", "os.getenv", "getenv", "environb", "socket.gethostname", "platform.node", "getpass"],
            },
            Self::Script => Signs {
                runner: &[
                    "node:test",
                    "node:assert",
                    "require('assert",
                    "require(\"assert",
                    "from 'assert",
                    "from \"assert",
                    "jest",
                    "vitest",
                    "mocha",
                    "expect.extend",
                    "process.stdout.write",
                    "process.on",
                    "process.once",
                    "Module._load",
                    "require.cache",
                    "globalThis.test",
                    "globalThis.expect",
                    "global.test",
                    "global.expect",
                ],
                tested: &[
                    "new Error().stack",
                    ".stack",
                    "captureStackTrace",
                    "prepareStackTrace",
                    "process.argv",
                    "require.main",
                    "execArgv",
                ],
                ends: &["process.exit", "process.exitCode", "process.kill", "process.abort", "process.reallyExit"],
                environment: &["process.env", "import.meta.env", "os.hostname"],
            },
            Self::Rust => Signs {
                runner: &[
                    "macro_rules! assert",
                    "macro_rules! assert_eq",
                    "macro_rules! assert_ne",
                    "macro_rules! panic",
                    "as assert",
                    "as assert_eq",
                    "as assert_ne",
                    "as panic",
                    "panic::set_hook",
                    "panic::catch_unwind",
                    "global_allocator",
                ],
                tested: &[
                    "cfg!(test)",
                    "not(test)",
                    "any(test",
                    "all(test",
                    "cfg_attr(test",
                    "env::args",
                    "current_exe",
                    "Backtrace",
                    "thread::current().name",
                ],
                ends: &["process::exit", "process::abort", "libc::_exit", "libc::exit", "intrinsics::abort", "ctor"],
                environment: &["env::var", "env::vars", "option_env!", "env!"],
            },
            Self::Go => Signs {
                runner: &["\"testing\"", "go:linkname"],
                tested: &["testing.Testing", "flag.Lookup(\"test", "runtime.Caller", "debug.Stack", "os.Args"],
                ends: &["os.Exit", "syscall.Exit", "runtime.Goexit", "syscall.Kill", "log.Fatal"],
                environment: &["os.Getenv", "os.LookupEnv", "os.Environ", "os.Hostname"],
            },
        }
    }
}

/// How the common test runners are told to leave a test out.
const SKIPS: &[&str] = &[
    "#[ignore",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "pytest.mark.xfail",
    "pytest.skip",
    "pytest.importorskip",
    "unittest.skip",
    "unittest.skipIf",
    "unittest.expectedFailure",
    "skipTest",
    "SkipTest",
    "it.skip",
    "test.skip",
    "test.todo",
    "describe.skip",
    "xit(",
    "xdescribe(",
    "it.only",
    "test.only",
    "describe.only",
    "t.Skip",
    "t.SkipNow",
    "@Disabled",
    "@Ignore",
];

/// Whether a file is what a build makes, or somebody else's code, by where it is and what it is called.
fn is_artefact(path: &str) -> bool {
    const FOLDERS: [&str; 8] =
        ["__pycache__", "node_modules", "target", "site-packages", "vendor", "third_party", ".venv", ".tox"];
    const ENDINGS: [&str; 17] = [
        ".pyc", ".pyo", ".pyd", ".so", ".dylib", ".dll", ".a", ".o", ".rlib", ".rmeta", ".class", ".jar", ".wasm", ".exe",
        ".node", ".min.js", ".pth",
    ];
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    folders.split('/').any(|folder| FOLDERS.contains(&folder)) || ENDINGS.iter().any(|ending| file.ends_with(ending))
}

#[cfg(test)]
mod tests;
