//! The toolchains of this machine that are outside `/usr`, so that commands can use them: read only, found once.
//!
//! Each is asked where it lives, because what is on the `PATH` is often a shim. A home directory itself is never mounted,
//! nor anything that holds one.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use patchwright_launcher::spec::{HOME, ReadOnly};
use tokio::process::Command;
use tokio::time::timeout;
use tracing::debug;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What commands need to be given so that the host's toolchains work inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toolchains {
    /// What is mounted, and where.
    pub read_only: Vec<ReadOnly>,
    /// What comes before the usual `PATH`.
    pub path: Vec<PathBuf>,
    /// Environment variables by name and value.
    pub environment: Vec<(String, String)>,
}

/// Looks for Rust, Python, Node, Go and Java in the directories of `search`; `None` finds nothing.
pub async fn discover(search: Option<OsString>) -> Toolchains {
    let Some(search) = search else { return Toolchains::default() };
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let mut found = Found { toolchains: Toolchains::default(), home };
    found.rust(&search);
    let (python, node, go) = tokio::join!(
        asked(&search, "python3", &["-I", "-c", "import sys; print(sys.base_prefix)"]),
        asked(&search, "node", &["-p", "process.execPath"]),
        asked(&search, "go", &["env", "GOROOT"]),
    );
    python.iter().for_each(|prefix| found.prefix(prefix));
    node.iter().for_each(|program| found.prefix_of(program));
    if let Some(root) = go {
        found.prefix(&root);
        // Without a network another toolchain or module cannot be fetched; say so at once instead of after retries.
        found.set("GOTOOLCHAIN", "local");
        found.set("GOPROXY", "off");
    }
    found.java(&search);
    debug!(mounts = found.toolchains.read_only.len(), "toolchains outside /usr: {:?}", found.toolchains.path);
    found.toolchains
}

/// What a tool answers, if there is such a tool and it does.
async fn asked(search: &OsStr, name: &str, question: &[&str]) -> Option<PathBuf> {
    ask(&program(search, name)?, question).await
}

struct Found {
    toolchains: Toolchains,
    home: Option<PathBuf>,
}

impl Found {
    fn rust(&mut self, search: &OsStr) {
        let Some(cargo) = program(search, "cargo") else { return };
        let below_home = |variable: &str, name: &str| {
            std::env::var_os(variable).map(PathBuf::from).or_else(|| self.home.as_ref().map(|home| home.join(name)))
        };
        let (cargo_home, rustup_home) = (below_home("CARGO_HOME", ".cargo"), below_home("RUSTUP_HOME", ".rustup"));
        let bin = cargo.parent().map(Path::to_owned).unwrap_or_default();
        let is_rustup = bin.join("rustup").exists();
        if is_rustup && let Some(rustup_home) = rustup_home.filter(|path| path.is_dir()) {
            if self.mount(&bin) && self.mount(&rustup_home) {
                self.toolchains.path.push(bin);
                self.set("RUSTUP_HOME", &rustup_home.to_string_lossy());
            }
        } else if let Ok(program) = cargo.canonicalize() {
            self.prefix_of(&program);
        }
        let inside = Path::new(HOME).join(".cargo");
        self.set("CARGO_HOME", &inside.to_string_lossy());
        self.set("CARGO_NET_OFFLINE", "true");
        for part in ["registry", "git"] {
            if let Some(source) = cargo_home.as_ref().map(|home| home.join(part)).filter(|path| path.is_dir()) {
                self.toolchains.read_only.push(ReadOnly { source, target: inside.join(part) });
            }
        }
    }

    /// Java's links in `/usr` lead to settings in `/etc/java-*`, which are the same for everyone.
    fn java(&mut self, search: &OsStr) {
        let Some(program) = program(search, "java").and_then(|path| path.canonicalize().ok()) else { return };
        self.prefix_of(&program);
        for entry in fs::read_dir("/etc").into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b"java-") && entry.path().is_dir() {
                self.mount(&entry.path());
            }
        }
    }

    fn prefix_of(&mut self, program: &Path) {
        if let Some(prefix) = program.parent().and_then(Path::parent) {
            self.prefix(prefix);
        }
    }

    fn prefix(&mut self, prefix: &Path) {
        let bin = prefix.join("bin");
        if !prefix.starts_with("/usr") && bin.is_dir() && !self.toolchains.path.contains(&bin) && self.mount(prefix) {
            self.toolchains.path.push(bin);
        }
    }

    fn mount(&mut self, path: &Path) -> bool {
        if !is_narrow(path, self.home.as_deref()) {
            debug!("{} is too wide to be mounted", path.display());
            return false;
        }
        let mount = ReadOnly { source: path.to_owned(), target: path.to_owned() };
        if !self.toolchains.read_only.contains(&mount) {
            self.toolchains.read_only.push(mount);
        }
        true
    }

    fn set(&mut self, name: &str, value: &str) {
        self.toolchains.environment.push((name.to_owned(), value.to_owned()));
    }
}

/// Whether a directory may be shown: at least two levels deep, and no home directory or parent of one.
fn is_narrow(path: &Path, home: Option<&Path>) -> bool {
    let is_deep = path.is_absolute() && path.components().count() > 2;
    let is_users_home = path.parent() == Some(Path::new("/home"));
    is_deep && !is_users_home && !home.is_some_and(|home| home.starts_with(path))
}

fn program(search: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(search)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// Asks a host program for one path. It is the operator's own, so it runs as we do, but far from any repository.
async fn ask(program: &Path, question: &[&str]) -> Option<PathBuf> {
    let mut command = Command::new(program);
    command.args(question).current_dir("/").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let answer = timeout(ANSWER_TIMEOUT, command.output()).await.ok()?.ok()?;
    let path = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim());
    (answer.status.success() && path.is_absolute()).then(|| path.canonicalize().ok()).flatten()
}

#[cfg(test)]
mod tests;
