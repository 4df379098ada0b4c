//! What the list of a patch's files says by itself.

use std::collections::BTreeSet;

use super::{Finding, Gate};
use crate::journal::{Change, ChangeKind};
use crate::proof::difference::{Difference, Mode, ModeChange};

/// In lower case; whatever folder they are in.
const PROTECTED_FILES: [&str; 8] = [
    "codeowners",
    "action.yml",
    "action.yaml",
    "renovate.json",
    "renovate.json5",
    ".renovaterc",
    "dependabot.yml",
    "jenkinsfile",
];
/// How the names of YAML files begin that say what is run for a commit, in lower case; whatever folder they are in.
const PIPELINES: [&str; 9] = [
    ".cirrus",
    ".drone",
    ".gitlab-ci",
    ".travis",
    ".woodpecker",
    "appveyor",
    ".appveyor",
    "azure-pipelines",
    "bitbucket-pipelines",
];
/// Folders of the root in which such things are, in lower case.
const PROTECTED_FOLDERS: [&str; 4] = [".buildkite", ".circleci", ".github", ".woodpecker"];
/// What agents are told to do, and what they are given to do it with, in lower case; whatever folder they are in.
const INSTRUCTIONS: [&str; 11] = [
    "agents.md",
    "agents.override.md",
    "claude.md",
    "claude.local.md",
    "gemini.md",
    "copilot-instructions.md",
    ".cursorrules",
    ".windsurfrules",
    ".clinerules",
    ".aider.conf.yml",
    ".mcp.json",
];
/// Folders with rules for agents, in lower case.
const INSTRUCTION_FOLDERS: [&str; 7] = [".agents", ".claude", ".clinerules", ".codex", ".cursor", ".gemini", ".windsurf"];
/// Each lock file, and what it is made from; a name that begins with a dot is the end of one.
const LOCK_FILES: [(&str, &[&str]); 20] = [
    ("Cargo.lock", &["Cargo.toml"]),
    ("package-lock.json", &["package.json"]),
    ("npm-shrinkwrap.json", &["package.json"]),
    ("yarn.lock", &["package.json"]),
    ("pnpm-lock.yaml", &["package.json", "pnpm-workspace.yaml"]),
    ("bun.lock", &["package.json"]),
    ("bun.lockb", &["package.json"]),
    ("deno.lock", &["deno.json", "deno.jsonc", "package.json"]),
    ("uv.lock", &["pyproject.toml", "uv.toml"]),
    ("poetry.lock", &["pyproject.toml"]),
    ("pdm.lock", &["pyproject.toml"]),
    ("Pipfile.lock", &["Pipfile"]),
    ("go.sum", &["go.mod"]),
    ("Gemfile.lock", &["Gemfile", ".gemspec"]),
    ("composer.lock", &["composer.json"]),
    ("mix.lock", &["mix.exs"]),
    ("pubspec.lock", &["pubspec.yaml"]),
    ("Podfile.lock", &["Podfile"]),
    ("gradle.lockfile", &["build.gradle", "build.gradle.kts", "libs.versions.toml"]),
    ("flake.lock", &["flake.nix"]),
];

/// Whether a file says what a setup fetches: a lock file, or what one is made from.
pub(super) fn names_dependencies(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_python = matches!(name, "setup.py" | "setup.cfg") || name.starts_with("requirements") && name.ends_with(".txt");
    let is_it = |known: &str| if known.starts_with('.') { name.ends_with(known) } else { name == known };
    is_python || LOCK_FILES.iter().any(|(lock, from)| name == *lock || from.iter().any(|known| is_it(known)))
}

/// `fallbacks` are names of further files with instructions.
pub(super) fn of_files(changes: &[Change], difference: &Difference, fallbacks: &[String]) -> Vec<Finding> {
    let by_name = changes.iter().filter_map(|change| of_file(change, changes, fallbacks));
    let modes = difference.modes.iter().filter_map(of_mode);
    let mut found: Vec<Finding> = by_name.chain(modes).collect();
    let has_nul = difference.added.iter().filter(|line| line.text.contains('\0'));
    let binary: BTreeSet<&str> = has_nul.map(|line| line.path.as_str()).collect();
    for change in changes.iter().filter(|change| change.kind != ChangeKind::Deleted) {
        if binary.contains(change.path.as_str()) {
            found.push(about(Gate::Binary, &change.path, added_or_changed(change)));
        }
    }
    found
}

fn of_file(change: &Change, changes: &[Change], fallbacks: &[String]) -> Option<Finding> {
    let path = change.path.as_str();
    let told = if change.kind == ChangeKind::Deleted { "deleted" } else { added_or_changed(change) };
    let gate = if is_protected(path) {
        Gate::Protected
    } else if is_instruction(path, fallbacks) {
        Gate::Instructions
    } else if is_lock_file_alone(path, changes) {
        Gate::LockFileAlone
    } else if change.kind != ChangeKind::Deleted && is_artefact(path) {
        Gate::Artefact
    } else {
        return None;
    };
    Some(about(gate, path, told))
}

fn of_mode(change: &ModeChange) -> Option<Finding> {
    let told = match (change.before, change.after) {
        (Some(Mode::Link), Mode::Link) => "a link that leads elsewhere now",
        (Some(_), Mode::Link) => "a link in the place of a file",
        (None, Mode::Link) => "a new link",
        (Some(Mode::Link), Mode::Plain | Mode::Executable) => "a file in the place of a link",
        (Some(_), Mode::Executable) => "can be started now",
        (None, Mode::Executable) => "new, and can be started",
        (_, Mode::Plain | Mode::Other) => return None,
    };
    Some(about(Gate::ModeChanged, &change.path, told))
}

fn about(gate: Gate, path: &str, told: &str) -> Finding {
    Finding { gate, path: path.to_owned(), line: None, told: told.to_owned() }
}

fn added_or_changed(change: &Change) -> &'static str {
    if change.kind == ChangeKind::Added { "added" } else { "changed" }
}

fn is_protected(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let file = path.rsplit('/').next().unwrap_or(&path);
    let is_yaml = file.ends_with(".yml") || file.ends_with(".yaml");
    let root = path.split('/').next().unwrap_or_default();
    PROTECTED_FOLDERS.contains(&root)
        || PROTECTED_FILES.contains(&file)
        || is_yaml && PIPELINES.iter().any(|begin| file.starts_with(begin))
}

fn is_instruction(path: &str, fallbacks: &[String]) -> bool {
    let path = path.to_ascii_lowercase();
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", &path));
    INSTRUCTIONS.contains(&file)
        || fallbacks.iter().any(|name| name.eq_ignore_ascii_case(file))
        || folder.split('/').any(|part| INSTRUCTION_FOLDERS.contains(&part))
}

fn is_lock_file_alone(path: &str, changes: &[Change]) -> bool {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let file = name(path);
    let Some((_, sources)) = LOCK_FILES.iter().find(|(lock, _)| *lock == file) else { return false };
    let is_source = |change: &Change| {
        let changed = name(&change.path);
        sources.iter().any(|source| if source.starts_with('.') { changed.ends_with(source) } else { changed == *source })
    };
    // In a workspace the lock file stands elsewhere than what it is made from.
    !changes.iter().any(is_source)
}

/// Whether a file is what a build makes, or somebody else's code, by where it is and what it is called.
fn is_artefact(path: &str) -> bool {
    const FOLDERS: [&str; 9] =
        ["__pycache__", "node_modules", "target", "site-packages", "vendor", "third_party", ".venv", ".tox", "dist"];
    const ENDINGS: [&str; 22] = [
        ".pyc",
        ".pyo",
        ".pyd",
        ".so",
        ".dylib",
        ".dll",
        ".a",
        ".o",
        ".rlib",
        ".rmeta",
        ".class",
        ".jar",
        ".wasm",
        ".exe",
        ".node",
        ".min.js",
        ".min.css",
        ".pth",
        ".pb.go",
        "_pb2.py",
        "_pb2.pyi",
        "_pb2_grpc.py",
    ];
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    folders.split('/').any(|folder| FOLDERS.contains(&folder)) || ENDINGS.iter().any(|ending| file.ends_with(ending))
}
