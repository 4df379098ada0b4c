//! From a call's name and arguments to what is to be done, or to what the model is told instead.

use std::collections::BTreeSet;
use std::fmt::Display;

use serde_json::{Map, Value};

use crate::excerpt::search::Search;
use crate::job::Mode;
use crate::patch::Patch;
use crate::patch::replace::Replacement;
use crate::turn::{Action, Closing, Finding, Standing, heredoc, tools};

/// What a call means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Something is to be done in the workspace.
    Act(Action),
    /// The plan has changed.
    Plan(String),
    /// The model says that it is done.
    Done(Closing),
}

/// Reads a call of a tool on offer; the error is written for the model.
pub(super) fn understand(
    name: &str,
    arguments: &str,
    freeform: bool,
    mode: Mode,
    on_offer: &BTreeSet<String>,
) -> Result<Meaning, String> {
    // Models that were trained on another form of the edit tool may use theirs, where files may be edited at all.
    let is_edit = matches!(name, tools::APPLY_PATCH | tools::EDIT) && mode.edits();
    if !is_edit && !on_offer.contains(name) {
        let names: Vec<&str> = on_offer.iter().map(String::as_str).collect();
        return Err(format!("unsupported call: {}; the tools are {}", printable(name), names.join(", ")));
    }
    let action = match name {
        tools::SHELL => shell(&object(arguments)?, mode)?,
        tools::READ => read(&object(arguments)?)?,
        tools::SEARCH => search(&object(arguments)?)?,
        tools::EDIT => replace(&object(arguments)?)?,
        tools::APPLY_PATCH if freeform => patch(arguments, "")?,
        tools::APPLY_PATCH => patch_of_function(arguments)?,
        tools::PLAN => return Ok(Meaning::Plan(plan(&object(arguments)?)?)),
        tools::DONE => return Ok(Meaning::Done(done(&object(arguments)?)?)),
        external => Action::External { name: external.to_owned(), arguments: object(arguments)? },
    };
    Ok(Meaning::Act(action))
}

fn wrong(problem: impl Display) -> String {
    format!("failed to parse function arguments: {problem}")
}

/// A field that must be there.
fn text<'f>(fields: &'f Map<String, Value>, name: &str) -> Result<&'f str, String> {
    fields.get(name).and_then(Value::as_str).ok_or_else(|| wrong(format_args!("`{name}` must be a string")))
}

/// A field that may be left out.
fn text_or_none<'f>(fields: &'f Map<String, Value>, name: &str) -> Result<Option<&'f str>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(format_args!("`{name}` must be a string"))),
    }
}

fn number_or_none(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match whole(value) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(format_args!("`{name}` must be an integer of at least 0"))),
        },
    }
}

fn flag(fields: &Map<String, Value>, name: &str) -> bool {
    matches!(fields.get(name), Some(Value::Bool(true)))
}

fn read(fields: &Map<String, Value>) -> Result<Action, String> {
    let line = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let first_line = number_or_none(fields, "line")?.map_or(1, line).max(1);
    let n_lines = number_or_none(fields, "count")?.map(line);
    Ok(Action::Read { path: in_workspace(text(fields, "path")?), first_line, n_lines })
}

fn search(fields: &Map<String, Value>) -> Result<Action, String> {
    let pattern = text(fields, "pattern")?.to_owned();
    if pattern.is_empty() {
        return Err(wrong("`pattern` is empty"));
    }
    let n_context_lines = number_or_none(fields, "context")?.and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    Ok(Action::Search(Search {
        is_literal: flag(fields, "literal"),
        ignore_case: flag(fields, "ignore_case"),
        directory: in_workspace(text_or_none(fields, "path")?.unwrap_or_default()),
        globs: text_or_none(fields, "glob")?.map(str::to_owned).into_iter().collect(),
        n_context_lines,
        ..Search::for_pattern(pattern)
    }))
}

fn replace(fields: &Map<String, Value>) -> Result<Action, String> {
    let path = in_workspace(text(fields, "path")?);
    let old = text_or_none(fields, "old")?.unwrap_or_default();
    let replacement = Replacement::new(&path, old, text(fields, "new")?, flag(fields, "all"));
    replacement.map(Action::Replace).map_err(|miss| format!("edit failed, nothing was changed: {miss}"))
}

/// A path as the tools take it: some models give the place of the workspace as well.
fn in_workspace(path: &str) -> String {
    let below = path.strip_prefix("/workspace").filter(|below| below.is_empty() || below.starts_with('/'));
    let path = below.map_or(path, |below| below.trim_start_matches('/'));
    let path = path.strip_prefix("./").unwrap_or(path);
    if path == "." { String::new() } else { path.to_owned() }
}

/// Steps as lines, whatever form the model gives them in.
fn plan(fields: &Map<String, Value>) -> Result<String, String> {
    let step = |step: &Value| match step {
        Value::String(step) => Some(format!("- {step}")),
        Value::Object(fields) => {
            let what = ["step", "text", "content"].iter().find_map(|name| fields.get(*name)?.as_str())?;
            let status = fields.get("status").and_then(Value::as_str);
            Some(status.map_or_else(|| format!("- {what}"), |status| format!("- [{status}] {what}")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    };
    match fields.get("steps").or_else(|| fields.get("plan")) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(steps)) => Ok(steps.iter().filter_map(step).collect::<Vec<_>>().join("\n")),
        Some(_) | None => Err(wrong("`steps` must be an array of strings")),
    }
}

fn done(fields: &Map<String, Value>) -> Result<Closing, String> {
    let standing = match text_or_none(fields, "outcome")? {
        None | Some("done") => Standing::Done,
        Some("not_possible") => Standing::NotPossible,
        Some("needs_input") => Standing::NeedsInput,
        Some(_) => return Err(wrong("`outcome` must be done, not_possible or needs_input")),
    };
    let findings = match fields.get("findings") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(findings)) => {
            let findings = findings.iter().take(FINDINGS_MAX).enumerate();
            findings
                .map(|(index, value)| finding(value).map_err(|e| format!("finding {}: {e}", index + 1)))
                .collect::<Result<_, _>>()?
        }
        Some(_) => return Err(wrong("`findings` must be an array")),
    };
    Ok(Closing { text: text(fields, "summary")?.to_owned(), standing, findings })
}

/// How many findings of a review are taken.
const FINDINGS_MAX: usize = 50;
/// The longest title of a finding, in characters.
const TITLE_CHARS_MAX: usize = 80;
/// The longest suggestion that is taken, in bytes; more is a patch, and nobody reads it beside a line.
const SUGGESTION_BYTES_MAX: usize = 4_000;

fn finding(value: &Value) -> Result<Finding, String> {
    let fields = value.as_object().ok_or_else(|| wrong("a finding must be an object"))?;
    let line = |name| Ok::<_, String>(number_or_none(fields, name)?.map(|line| u32::try_from(line).unwrap_or(u32::MAX)));
    let first_line = line("line")?.unwrap_or(1).max(1);
    let percent = match fields.get("confidence") {
        Some(Value::Number(number)) => number.as_f64().unwrap_or_default().clamp(0.0, 1.0) * 100.0,
        Some(_) | None => return Err(wrong("`confidence` must be a number from 0 to 1")),
    };
    let priority = number_or_none(fields, "priority")?.and_then(|priority| u8::try_from(priority).ok());
    Ok(Finding {
        title: text(fields, "title")?.chars().take(TITLE_CHARS_MAX).collect(),
        body: text(fields, "body")?.to_owned(),
        priority: priority.filter(|priority| *priority <= 3).ok_or_else(|| wrong("`priority` must be 0, 1, 2 or 3"))?,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 100")]
        confidence_percent: percent.round() as u8,
        path: in_workspace(text(fields, "path")?),
        first_line,
        last_line: line("last_line")?.unwrap_or(first_line).max(first_line),
        suggestion: text_or_none(fields, "suggestion")?.filter(|text| text.len() <= SUGGESTION_BYTES_MAX).map(str::to_owned),
    })
}

fn object(arguments: &str) -> Result<Map<String, Value>, String> {
    // A tool without arguments is called with nothing by some models.
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(arguments).map_err(wrong)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(wrong("they are no JSON object")),
    }
}

fn shell(fields: &Map<String, Value>, mode: Mode) -> Result<Action, String> {
    let command = fields.get("command").or_else(|| fields.get("cmd"));
    let script = match command {
        Some(Value::String(script)) => script.clone(),
        Some(Value::Array(words)) => script_of_words(words)?,
        _ => return Err(wrong("`command` must be a string")),
    };
    if script.trim().is_empty() {
        return Err(wrong("`command` is empty"));
    }
    let directory = text_or_none(fields, "workdir")?.unwrap_or_default().to_owned();
    let timeout_ms = number_or_none(fields, "timeout_ms")?;
    match heredoc::patch_of(&script) {
        Some((below, text)) if mode.edits() => patch(text, &joined(&directory, &below)),
        Some(_) | None => Ok(started_in(directory, script, timeout_ms)),
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

/// A number, also where a model has put it into quotes.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Some models give the words of a command instead of a script, often with a shell in front.
fn script_of_words(words: &[Value]) -> Result<String, String> {
    let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
    let words = words.ok_or_else(|| wrong("`command` must be a string"))?;
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
        _ => Err(wrong("`input` must be a string")),
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
