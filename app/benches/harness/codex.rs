//! The Codex CLI, where it is at hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

/// The version that the published figures were taken with.
const PACKAGE: &str = "@openai/codex@0.169.0";
/// Where npm puts the program itself, on x86-64.
const PROGRAM: &str = "node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex";

/// The program, and a home of its own.
pub(crate) struct Codex {
    program: PathBuf,
    home: PathBuf,
}

impl Codex {
    /// Finds it, or says why there is none.
    pub(crate) async fn find(folder: &Path) -> Result<Self, String> {
        let named = std::env::var_os("PATCHWRIGHT_BENCH_CODEX").map(PathBuf::from);
        let program = match named.or_else(on_path) {
            Some(program) => program,
            None => installed()?,
        };
        // It refuses a home below the folder for temporary files.
        let home = target_folder().join("harness-codex-home");
        std::fs::create_dir_all(&home).map_err(|e| e.to_string())?;
        let version = Command::new(&program).arg("--version").env("CODEX_HOME", &home).current_dir(folder).output();
        match version {
            Ok(output) if output.status.success() => Ok(Self { program, home }),
            Ok(output) => Err(format!("`{} --version` ended with {}", program.display(), output.status)),
            Err(error) => Err(format!("`{}` cannot be started: {error}", program.display())),
        }
    }

    /// How it is started on a repository.
    pub(crate) fn command(&self, base_url: &str, folder: &Path, is_sandboxed: bool) -> anyhow::Result<Command> {
        let config = format!(
            "model = \"mock-model\"\nmodel_provider = \"mock\"\ncheck_for_update_on_startup = false\n[analytics]\nenabled = false\n\
             [model_providers.mock]\nname = \"Mock\"\nbase_url = \"{base_url}\"\nwire_api = \"responses\"\n"
        );
        std::fs::write(self.home.join("config.toml"), config).context("writing Codex's configuration")?;
        let mut command = Command::new(&self.program);
        command.args(["exec", "--json", "--skip-git-repo-check", "--ephemeral", "-C"]).arg(folder);
        if is_sandboxed {
            command.args(["--sandbox", "workspace-write"]);
        } else {
            command.arg("--dangerously-bypass-approvals-and-sandbox");
        }
        command.arg("mean() gives wrong results; fix it.").env("CODEX_HOME", &self.home).stdin(Stdio::null());
        Ok(command)
    }
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("codex")).find(|program| program.is_file())
}

/// Where this workspace's builds are.
fn target_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

/// The program as npm installs it, kept between runs.
fn installed() -> Result<PathBuf, String> {
    let folder = target_folder().join("harness-codex");
    let program = folder.join(PROGRAM);
    if !program.is_file() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg(PACKAGE);
        let status = npm.stdin(Stdio::null()).stdout(Stdio::null()).status().map_err(|e| format!("there is no npm: {e}"))?;
        if !status.success() {
            return Err(format!("`npm install {PACKAGE}` ended with {status}"));
        }
    }
    if program.is_file() { Ok(program) } else { Err("npm has no build of it for this machine".to_owned()) }
}
