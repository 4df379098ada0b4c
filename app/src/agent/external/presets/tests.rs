use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn program(path: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
    fs::write(path, "#!/bin/sh\n").expect("a file can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn a_program_is_found_behind_its_links_with_its_package() {
    let host = tempfile::tempdir().expect("a folder");
    let root = host.path().canonicalize().expect("it is there");
    let package = root.join("lib/node_modules/@agentclientprotocol/claude-agent-acp");
    program(&package.join("dist/index.js"));
    fs::write(package.join("package.json"), "{}").expect("a file can be written");
    fs::create_dir(root.join("bin")).expect("a folder");
    symlink(package.join("dist/index.js"), root.join("bin/claude-agent-acp")).expect("a link");
    let found = Preset::find(&Kind::Claude, "m", root.join("bin").as_os_str()).expect("it is on the path");
    assert_eq!(found.command, [package.join("dist/index.js").display().to_string()]);
    assert_eq!(found.read_only, [root.join("lib/node_modules")]);
    assert_eq!((found.name.as_str(), found.protocol), ("claude-agent-acp", Protocol::Acp));

    let vendored = root.join("package/vendor/x86_64/bin/codex");
    program(&vendored);
    fs::write(root.join("package/package.json"), "{}").expect("a file can be written");
    let path = vendored.parent().expect("a folder").as_os_str();
    let found = Preset::find(&Kind::Codex, "m", path).expect("it is on the path");
    assert_eq!((found.read_only, found.protocol), (vec![root.join("package")], Protocol::CodexExec));
}

#[test]
fn a_program_without_a_package_brings_nothing_but_itself() {
    let host = tempfile::tempdir().expect("a folder");
    let alone = host.path().canonicalize().expect("it is there").join("bin/opencode");
    program(&alone);
    let found = Preset::find(&Kind::OpenCode, "m", alone.parent().expect("a folder").as_os_str()).expect("it is on the path");
    assert_eq!(found.read_only, [alone]);
    assert_eq!(mount(Path::new("/usr/bin/env")), None);
}

#[test]
fn what_is_not_there_is_said() {
    let find = |kind| Preset::find(&kind, "m", OsStr::new("/nonexistent:relative")).map(drop).map_err(|e| e.to_string());
    assert_eq!(find(Kind::Gemini), Err("there is no program `gemini` on the PATH".to_owned()));
    assert_eq!(find(Kind::Custom(Vec::new())), Err("`agent.command` names no program".to_owned()));
}

#[test]
fn a_model_of_any_name_is_quoted() {
    let config: toml::Value = toml::from_str(&codex_config("a\"b\nc")).expect("TOML");
    assert_eq!(config["model"].as_str(), Some("a\"b\nc"));
    let config: serde_json::Value = serde_json::from_str(&opencode_config("a\"b", "http://x/v1")).expect("JSON");
    assert_eq!(config["provider"]["patchwright"]["models"]["a\"b"]["name"], "a\"b");
}
