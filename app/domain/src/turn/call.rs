//! From a call's name and arguments to what is to be done, or to what the model is told instead.

use serde_json::{Map, Value};

use crate::patch::Patch;
use crate::turn::{Action, heredoc, tools};

/// Reads a call; the error is written for the model.
pub(super) fn understand(name: &str, arguments: &str, freeform: bool) -> Result<Action, String> {
    match name {
        tools::SHELL => shell(&object(arguments)?),
        tools::APPLY_PATCH if freeform => patch(arguments, ""),
        tools::APPLY_PATCH => patch_of_function(arguments),
        other => {
            Err(format!("unsupported call: {}; the tools are {} and {}", printable(other), tools::SHELL, tools::APPLY_PATCH))
        }
    }
}

fn object(arguments: &str) -> Result<Map<String, Value>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("failed to parse function arguments: {error}");
    match serde_json::from_str(arguments).map_err(|error| wrong(&error))? {
        Value::Object(fields) => Ok(fields),
        _ => Err(wrong(&"they are no JSON object")),
    }
}

fn shell(fields: &Map<String, Value>) -> Result<Action, String> {
    let command = fields.get("command").or_else(|| fields.get("cmd"));
    let script = match command {
        Some(Value::String(script)) => script.clone(),
        Some(Value::Array(words)) => script_of_words(words)?,
        _ => return Err("failed to parse function arguments: `command` must be a string".to_owned()),
    };
    if script.trim().is_empty() {
        return Err("failed to parse function arguments: `command` is empty".to_owned());
    }
    let directory = match fields.get("workdir") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(directory)) => directory.clone(),
        Some(_) => return Err("failed to parse function arguments: `workdir` must be a string".to_owned()),
    };
    let timeout_ms = match fields.get("timeout_ms") {
        None | Some(Value::Null) => None,
        Some(value) => Some(milliseconds(value).ok_or("failed to parse function arguments: `timeout_ms` must be an integer")?),
    };
    match heredoc::patch_of(&script) {
        Some((below, text)) => patch(text, &joined(&directory, &below)),
        None => Ok(started_in(directory, script, timeout_ms)),
    }
}

/// A directory of the tree is the executor's business; any other is the script's own, which meets the sandbox's walls.
fn started_in(directory: String, script: String, timeout_ms: Option<u64>) -> Action {
    let (directory, script) = match Patch::directory(&directory) {
        Ok(directory) => (directory, script),
        Err(_) => (String::new(), format!("cd -- {} || exit\n{script}", quoted(&directory))),
    };
    Action::Shell { script, directory, timeout_ms }
}

fn milliseconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Some models give the words of a command instead of a script, often with a shell in front.
fn script_of_words(words: &[Value]) -> Result<String, String> {
    let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
    let words = words.ok_or("failed to parse function arguments: `command` must be a string")?;
    match words.as_slice() {
        ["bash" | "sh" | "/bin/bash" | "/bin/sh", "-c" | "-lc", script] => Ok((*script).to_owned()),
        ["apply_patch", text] => Ok(format!("apply_patch <<'PATCH_ENDS_HERE'\n{text}\nPATCH_ENDS_HERE")),
        words => Ok(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")),
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn joined(directory: &str, below: &str) -> String {
    match (directory.trim_end_matches('/'), below) {
        (_, below) if below.starts_with('/') => below.to_owned(),
        ("" | ".", below) if !directory.starts_with('/') => below.to_owned(),
        (directory, "") => directory.to_owned(),
        (directory, below) => format!("{directory}/{below}"),
    }
}

/// The JSON form, or plain text from a model that was taught the other form.
fn patch_of_function(arguments: &str) -> Result<Action, String> {
    if arguments.trim_start().starts_with("***") {
        return patch(arguments, "");
    }
    let fields = object(arguments)?;
    match ["input", "patch"].iter().find_map(|field| fields.get(*field)) {
        Some(Value::String(text)) => patch(text, ""),
        _ => Err("failed to parse function arguments: `input` must be a string".to_owned()),
    }
}

fn patch(text: &str, directory: &str) -> Result<Action, String> {
    let patch = Patch::parse(text).and_then(|patch| patch.under(directory));
    patch.map(Action::Patch).map_err(|error| format!("apply_patch failed, nothing was changed: {error}"))
}

fn printable(name: &str) -> String {
    const SHOWN_MAX: usize = 64;
    name.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect()
}
