//! What stands in single lines that a patch adds.

use super::{Finding, Gate, found};
use crate::proof::difference::Line;

pub(super) fn of_line(added: &Line) -> Option<Finding> {
    let language = Language::of(&added.path);
    let text = language.map_or(added.text.trim(), |language| language.without_comment(added.text.trim()));
    let bare = without_blanks(text);
    let says = |signs: &[&str]| {
        signs.iter().any(|sign| {
            // However it is spelled.
            let is_spelled = sign.contains(['(', '!']) && contains_word(&bare, &without_blanks(sign));
            is_spelled || contains_word(text, sign)
        })
    };
    let gate = if added.depends_on_tests {
        Some(Gate::KnowsItIsTested)
    } else if added.is_test() {
        says(SKIPS).then_some(Gate::TestSkipped)
    } else {
        let language = language.filter(|_| !text.is_empty())?;
        let signs = language.signs();
        let by_gate = [
            (Gate::ReachesForTheRunner, signs.runner),
            (Gate::KnowsItIsTested, signs.tested),
            (Gate::EndsTheProcess, signs.ends),
            (Gate::AsksTheEnvironment, signs.environment),
        ];
        // The name is on another line.
        let hides_a_name = matches!(language, Language::Rust) && bare.ends_with("macro_rules!");
        let named = hides_a_name.then_some(Gate::ReachesForTheRunner);
        named.or_else(|| by_gate.into_iter().find(|(_, signs)| says(signs)).map(|(gate, _)| gate)).or_else(|| {
            // Inline tests stand in the code.
            says(SKIPS).then_some(Gate::TestSkipped)
        })
    }?;
    Some(found(gate, added))
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
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

    /// A line without the comment that it begins with; nothing where it is no more than one.
    fn without_comment(self, line: &str) -> &str {
        match (self, line.strip_prefix("/*")) {
            (Self::Python, _) => line.strip_prefix('#').map_or(line, |_| ""),
            (_, Some(comment)) => comment.split_once("*/").map_or("", |(_, behind)| behind.trim()),
            (_, None) => line.strip_prefix("//").map_or(line, |_| ""),
        }
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
                    "debug_assertions",
                    "env::args",
                    "current_exe",
                    "Backtrace",
                    "thread::current().name",
                ],
                ends: &["process::exit", "process::abort", "libc::_exit", "libc::exit", "intrinsics::abort", "ctor"],
                environment: &["env::var", "env::var_os", "env::vars", "env::vars_os", "option_env!", "env!"],
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
