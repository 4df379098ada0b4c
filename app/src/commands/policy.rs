//! `patchwright policy check`: whether a policy file can be read, and what it says, before it is on the default branch.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use patchwright::policy_file::format::File;
use patchwright::policy_file::problem::{self, Problem};
use patchwright::policy_file::{self, FILE_BYTES_MAX};
use serde_json::Value;

use super::{Failure, NEGATIVE, terminal};

/// What `--help` says behind the options.
pub(super) const HELP: &str = "\
A file that is good is printed whole, with the defaults of what it does not say. All that it says only narrows what the operator
of a server allows, and is obeyed from the default branch alone:

  triggers:
    label: codex              # putting it on an issue starts a run
    assignee: our-bot         # so does assigning one to this account
    minimum_role: write       # triage, write, maintain or admin
    roles: {fix: maintain}    # for single commands: fix, ask, plan, prove, stop
    sources: [comment]        # where a run is asked for: description, comment, review, label, assignment
    checks: own               # whose red checks are looked into: off, own or all
  commands: {setup: npm ci, test: npm test, format: npx prettier --check ., lint: npx eslint .}
  paths:
    allowed: [/src/, /tests/] # a patch touches no other files; globs as in .gitignore
    protected: ['*.sql']      # nor these
  limits: {wall_clock_minutes: 20, rounds: 2, turns: 40, max_tokens: 1000000, max_cost_usd: 1.5}
  attempts: 2
  sandbox: {isolation: kernel, image: 'node:22', hosts: [packages.example]}

Editors check it by the JSON schema in manifests/policy.schema.json.

Exit codes: 0 it is good, 1 it is not, and the first mistake is named as FILE:LINE:COLUMN, 2 usage, such as a file that is not there.";

/// What is done with policy files.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Check a policy file, and print what it comes to
    ///
    /// Asks nobody and runs nothing. Whether an operator's server has walls, images and hosts as they are named is not seen here.
    #[command(after_help = HELP)]
    Check(CheckArguments),
}

/// What is checked.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// The file, such as `.github/patchwright.yml`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn policy(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Arguments::Check(CheckArguments { file, json }) = arguments;
    let name = if is_standard_input(file) { "<stdin>".to_owned() } else { file.display().to_string() };
    // Who gave a repository's file its name is not who looks at the terminal.
    let shown = problem::plain(&name);
    let bytes = bytes(file).with_context(|| format!("reading `{shown}`")).map_err(Failure::usage)?;
    let read = policy_file::read(&bytes);
    terminal::say(if *json { self::json(&name, &read).to_string() } else { text(&shown, &read) });
    Ok(if read.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(NEGATIVE) })
}

fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// What is more than any file that is good has is not read to its end.
fn bytes(file: &Path) -> std::io::Result<Vec<u8>> {
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    let mut bytes = Vec::new();
    if is_standard_input(file) {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(file)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn json(name: &str, read: &Result<File, Problem>) -> Value {
    let problem = read.as_ref().err();
    serde_json::json!({
        "file": name,
        "is_good": problem.is_none(),
        "line": problem.map(|problem| problem.line),
        "column": problem.map(|problem| problem.column),
        "problem": problem.map(|problem| &problem.what),
        "hint": problem.and_then(|problem| problem.hint.as_ref()),
        "policy": read.as_ref().ok(),
    })
}

fn text(name: &str, read: &Result<File, Problem>) -> String {
    let problem = match read {
        Ok(file) => {
            let value = serde_json::to_value(file).expect("a policy holds only what JSON can hold");
            let mut lines = format!("# {name} is good, and comes to this:\n");
            yaml(&value, 0, &mut lines);
            return lines.trim_end().to_owned();
        }
        Err(problem) => problem,
    };
    let Problem { line, column, what, hint, picture } = problem;
    let picture = picture.iter().flat_map(|picture| picture.lines()).map(|line| format!("\n  {line}"));
    let hint = hint.iter().map(|hint| format!("\nhint: {hint}"));
    format!("{name}:{line}:{column}: {what}{}", picture.chain(hint).collect::<String>())
}

/// Writes tables line by line, and what is in them as JSON, which is YAML as well. Tables stand inside each other as deep as the
/// format has them.
fn yaml(value: &Value, depth: usize, lines: &mut String) {
    let indent = "  ".repeat(depth);
    for (key, value) in value.as_object().into_iter().flatten() {
        if value.as_object().is_some_and(|table| !table.is_empty()) {
            lines.push_str(&format!("{indent}{key}:\n"));
            yaml(value, depth + 1, lines);
        } else {
            lines.push_str(&format!("{indent}{key}: {value}\n"));
        }
    }
}
