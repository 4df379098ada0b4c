//! Ordinary suites: what honest programs and their tests do runs inside the sandbox, unchanged.
//!
//! `sh`, `perl`, `git` and `cc` have to be there; where another tool is missing, that is said and the rest goes on.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::{Command, Limits, Profile, Sandbox, Tree};
use patchwright_domain::proof::Exit;
use tempfile::TempDir;

mod landlock;
mod languages;
mod system;

/// Longer than any of them takes, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Something that works everywhere: files, and a script that exits with 0.
struct Suite {
    name: &'static str,
    /// The program that it is about; without it the suite is not tried.
    tool: Tool,
    files: &'static [(&'static str, &'static str)],
    script: &'static str,
}

/// What a suite needs.
#[derive(Clone, Copy)]
enum Tool {
    /// A program that every machine with the tests has.
    Required(&'static str),
    /// A program that may be missing.
    Optional(&'static str),
}

/// Runs suites one after another in workspaces of their own, and fails with all that went wrong.
async fn check(sandbox: &dyn Sandbox, suites: &[Suite]) {
    check_but(sandbox, suites, &[]).await;
}

/// As [`check`], where some are known not to work, and why; one that does is as wrong as any other that does not.
async fn check_but(sandbox: &dyn Sandbox, suites: &[Suite], known: &[(&str, &str)]) {
    let mut wrong = String::new();
    for suite in suites {
        match suite.tool {
            Tool::Optional(tool) if !is_here(tool) => {
                let _ = writeln!(std::io::stderr(), "ordinary: not tried, there is no {tool}: {}", suite.name);
                continue;
            }
            Tool::Required(tool) => assert!(is_here(tool), "install {tool}"),
            Tool::Optional(_) => {}
        }
        let tree = TempDir::with_prefix("patchwright-ordinary-").expect("there is room");
        for (path, text) in suite.files {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("there is room");
            std::fs::write(path, text).expect("there is room");
        }
        let opened = sandbox.open(Tree::alone(tree.path()), Profile::Proof.into()).await;
        let script = format!("set -eu\n{}", suite.script);
        let command = Command { script, directory: String::new(), timeout: TIMEOUT, output_bytes_max: 64 * 1024 };
        let output = opened.expect("the sandbox can be made").execute(&command).await.expect("the sandbox stays up");
        let is_known = known.iter().any(|(name, _)| *name == suite.name);
        if (output.exit == Exit::Code(0)) == is_known {
            let _ = writeln!(wrong, "{}: {}\n{}", suite.name, output.exit, String::from_utf8_lossy(&output.output));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn is_here(tool: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search).any(|folder| folder.join(tool).is_file())
}

fn local() -> LocalSandbox {
    let binary = std::env::var_os("PATCHWRIGHT_BINARY");
    let launcher = binary.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_patchwright")), PathBuf::from);
    LocalSandbox::new(launcher, LocalSettings { limits: Limits::default(), ..LocalSettings::default() })
}

#[tokio::test]
async fn what_programs_ask_of_the_system_works() {
    check(&local(), system::SUITES).await;
}

#[tokio::test]
async fn what_languages_bring_works() {
    check(&local(), languages::SUITES).await;
}
