//! By what the gates are known in each language.

/// A language whose signs are known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Script,
    Rust,
    Go,
}

/// By what a gate is known in one language.
pub(super) struct Signs {
    pub(super) runner: &'static [&'static str],
    pub(super) tested: &'static [&'static str],
    pub(super) ends: &'static [&'static str],
    pub(super) environment: &'static [&'static str],
}

impl Language {
    pub(super) fn of(path: &str) -> Option<Self> {
        let extension = path.rsplit_once('.')?.1;
        Some(match extension {
            "py" | "pyw" | "pyx" | "pyi" | "pth" => Self::Python,
            "js" | "cjs" | "mjs" | "ts" | "mts" | "cts" | "jsx" | "tsx" | "vue" | "svelte" | "astro" => Self::Script,
            "rs" => Self::Rust,
            "go" => Self::Go,
            _ => return None,
        })
    }

    /// A line without the comment that it begins with; nothing where it is no more than one.
    pub(super) fn without_comment(self, line: &str) -> &str {
        // In a literal of several lines it is text, and what stands in its braces is run.
        let may_be_run = match self {
            Self::Python => line.contains('{'),
            Self::Script => line.contains("${"),
            Self::Rust | Self::Go => false,
        };
        match (self, line.strip_prefix("/*")) {
            _ if may_be_run => line,
            (Self::Python, _) => line.strip_prefix('#').map_or(line, |_| ""),
            (_, Some(comment)) => comment.split_once("*/").map_or("", |(_, behind)| behind.trim()),
            (_, None) => line.strip_prefix("//").map_or(line, |_| ""),
        }
    }

    pub(super) fn signs(self) -> Signs {
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
                    "traceback.format_stack",
                    "traceback.walk_stack",
                    "sys._current_frames",
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
                environment: &[
                    "os.environ",
                    "os.getenv",
                    "posix.environ",
                    "getenv",
                    "environb",
                    "socket.gethostname",
                    "platform.node",
                    "getpass",
                ],
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
                    "globalThis.process",
                    "global.process",
                    "Reflect.get(process",
                ],
                ends: &["process.exit", "process.exitCode", "process.kill", "process.abort", "process.reallyExit"],
                environment: &["process.env", "import.meta.env", "Deno.env", "Bun.env", "os.hostname"],
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
                    "std::backtrace",
                    "thread::current",
                    // A macro that hands on what it is asked for.
                    "cfg!($",
                    "cfg($",
                ],
                ends: &["process::exit", "process::abort", "libc::_exit", "libc::exit", "intrinsics::abort", "ctor"],
                environment: &["env::var", "env::var_os", "env::vars", "env::vars_os", "option_env!", "env!"],
            },
            Self::Go => Signs {
                runner: &["\"testing\"", "go:linkname"],
                tested: &["testing.Testing", "flag.Lookup(\"test", "runtime.Caller", "debug.Stack", "os.Args"],
                ends: &["os.Exit", "syscall.Exit", "runtime.Goexit", "syscall.Kill", "log.Fatal"],
                environment: &[
                    "os.Getenv",
                    "os.LookupEnv",
                    "os.Environ",
                    "os.ExpandEnv",
                    "os.Hostname",
                    "syscall.Getenv",
                    "syscall.Environ",
                ],
            },
        }
    }
}

/// How the common test runners are told to leave a test out.
pub(super) const SKIPS: &[&str] = &[
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
