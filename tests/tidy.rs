//! The walls of the house: who may not know whom, and how the tree is kept.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below a folder whose name ends like this, with its path from the root.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() && !path.ends_with("fixtures") {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let name = path.strip_prefix(root()).expect("it is below the root").to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).expect("it is text")));
            }
        }
    }
    assert!(!found.is_empty(), "there are `{ending}` files below {folder}");
    found
}

/// The lines of code, without comments and documentation.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

/// Fails if a file of `folder` says one of `words` in its code.
#[track_caller]
fn never(folder: &str, words: &[&str]) {
    for (name, text) in files(folder, ".rs") {
        for line in code(&text) {
            let word = words.iter().find(|word| line.contains(*word));
            assert!(word.is_none(), "{name} may not know `{}`: {line}", word.unwrap_or(&""));
        }
    }
}

#[test]
fn the_domain_does_no_input_or_output() {
    never(
        "app/domain/src",
        &["std::fs", "std::net", "std::process", "std::env", "std::time::Instant", "SystemTime", "Timestamp::now", "tokio"],
    );
    let manifest = fs::read_to_string(root().join("app/domain/Cargo.toml")).expect("the manifest is there");
    let dependencies =
        manifest.split("[dependencies]").nth(1).and_then(|rest| rest.split("[dev-").next()).expect("it has dependencies");
    let names: Vec<&str> =
        dependencies.lines().filter_map(|line| line.split('.').next()).filter(|name| !name.trim().is_empty()).collect();
    let allowed = [
        "aho-corasick",
        "base64",
        "hex",
        "jiff",
        "percent-encoding",
        "pulldown-cmark",
        "pulldown-cmark-to-cmark",
        "regex",
        "serde",
        "serde_json",
        "sha2",
        "strsim",
        "thiserror",
        "unicode-normalization",
    ];
    let unknown: Vec<_> = names.iter().filter(|name| !allowed.contains(*name) && !name.starts_with('[')).collect();
    assert!(unknown.is_empty(), "nothing new enters the domain without discussion: {unknown:?}");
}

#[test]
fn server_and_worker_meet_only_in_the_store() {
    never("app/src/server", &["crate::worker", "crate::agent", "crate::sandbox", "crate::workspace"]);
    never("app/src/worker", &["crate::server", "crate::intake"]);
}

#[test]
fn the_agent_knows_no_forge_no_store_and_no_token() {
    never("app/src/agent", &["crate::forge", "crate::store", "crate::workspace", "SecretString"]);
}

#[test]
fn an_adapter_knows_its_own_port_alone() {
    let ports = ["forge", "model", "sandbox", "store", "agent"];
    for port in ports {
        let others = ports.iter().filter(|other| **other != port);
        // The agent is made of a model and an executor; their ports are its tools.
        let allowed: &[&str] = if port == "agent" { &["model", "sandbox"] } else { &[] };
        for other in others {
            if allowed.contains(other) {
                never(&format!("app/src/{port}"), &adapters(other));
            } else {
                never(&format!("app/src/{port}"), &[&format!("crate::{other}::")]);
            }
        }
    }
}

fn adapters(port: &str) -> Vec<&'static str> {
    match port {
        "model" => vec!["model::chat", "model::messages", "model::responses", "model::scripted"],
        "sandbox" => vec!["sandbox::bare", "sandbox::container", "sandbox::kubernetes", "sandbox::local", "sandbox::toolchains"],
        "store" => vec!["store::sqlite", "store::postgres", "store::memory"],
        "forge" => vec!["forge::github", "forge::local"],
        _ => vec!["agent::turns"],
    }
}

#[test]
fn only_the_command_line_names_adapters() {
    let all: Vec<&str> = ["model", "sandbox", "store", "forge", "agent"].iter().flat_map(|port| adapters(port)).collect();
    for folder in ["app/src/server", "app/src/worker"] {
        never(folder, &all);
    }
    for file in ["server.rs", "worker.rs", "intake.rs", "service.rs", "workspace.rs"] {
        let text = fs::read_to_string(root().join("app/src").join(file)).expect("the file is there");
        let named = code(&text).find(|line| all.iter().any(|adapter| line.contains(adapter)));
        assert_eq!(named, None, "{file}");
    }
}

#[test]
fn git_stays_in_the_workspace() {
    for (name, text) in files("app/src", ".rs") {
        let is_at_home = name.starts_with("app/src/workspace") || name.starts_with("app/src/rehearsal");
        assert!(is_at_home || !code(&text).any(|line| line.contains("git2::")), "{name} may not know git2");
    }
}

#[test]
fn unsafe_code_stays_in_the_launcher() {
    for folder in ["app/src", "app/domain/src", "tests", "app/benches"] {
        for (name, text) in files(folder, ".rs") {
            let is_here = name.ends_with("tidy.rs");
            assert!(is_here || !code(&text).any(|line| line.contains("unsafe ")), "{name}");
        }
    }
}

#[test]
fn every_module_says_what_it_is() {
    for folder in ["app/src", "app/domain/src", "app/launcher/src", "app/benches", "tests"] {
        for (name, text) in files(folder, ".rs") {
            let is_tests = name.ends_with("/tests.rs") || name.contains("/tests/") && folder != "tests";
            assert!(is_tests || text.starts_with("//! "), "{name} does not begin with `//!`");
        }
    }
}

#[test]
fn no_file_is_a_drawer_for_everything() {
    for folder in ["app/src", "app/domain/src", "app/launcher/src", "tests"] {
        for (name, text) in files(folder, ".rs") {
            let stem = Path::new(&name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            assert!(!["util", "utils", "helpers", "common", "misc", "mod"].contains(&stem.as_str()), "{name}");
            let n_lines = text.lines().count();
            assert!(n_lines <= 600, "{name} has {n_lines} lines: it is probably two things");
        }
    }
}

#[test]
fn versions_are_named_in_one_place() {
    for manifest in ["app/Cargo.toml", "app/domain/Cargo.toml", "app/launcher/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).expect("the manifest is there");
        let dependencies =
            text.lines().skip_while(|line| !line.starts_with("[dependencies]")).take_while(|line| !line.starts_with("[lints"));
        for line in dependencies.filter(|line| line.contains('=')) {
            assert!(line.contains("workspace = true") || line.starts_with('['), "{manifest}: {line}");
        }
    }
}

#[test]
fn no_test_is_ignored_and_none_sleeps() {
    for (name, text) in files("tests", ".rs").into_iter().chain(files("app/domain/src", ".rs")) {
        if name.ends_with("tidy.rs") {
            continue;
        }
        for line in code(&text) {
            assert!(!line.starts_with("#[ignore"), "{name}: {line}");
            assert!(!line.contains("sleep(") || line.contains('"'), "{name}: {line}");
        }
    }
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    for document in ["README.md", "app/ARCHITECTURE.md", "app/CHANGELOG.md"] {
        let path = root().join(document);
        let text = fs::read_to_string(&path).expect("the document is there");
        let folder = path.parent().expect("a file has a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let is_local = !link.contains("://") && !link.starts_with('#');
            assert!(!is_local || folder.join(link.split('#').next().unwrap_or(link)).exists(), "{document} links to {link}");
        }
    }
}

#[test]
fn the_readme_has_the_table_of_commands() {
    let readme = fs::read_to_string(root().join("README.md")).expect("it is there");
    let table = patchwright_domain::policy::command::table("@codex");
    assert!(readme.contains(&table), "README.md should hold this table:\n\n{table}");
}
