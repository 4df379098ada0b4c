//! How a runner is asked for a report of each test, and where that is found.
//!
//! A runner is asked by its own options: in the command where that calls it, in the environment where something else does.

use serde::{Deserialize, Serialize};

use super::Runner;
use crate::results::Format;

/// Where a report that is a file is written, inside the sandbox and outside the workspace.
pub const PATH: &str = "/tmp/patchwright-report";

/// A test command that reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reporting {
    /// What is run.
    pub command: String,
    /// How the report is read.
    pub format: Format,
    /// Whether it is at [`PATH`]; otherwise it is what the command prints.
    pub is_file: bool,
}

impl Reporting {
    /// Asks the runner that a command starts for a report; `None` where it has no way that reaches it.
    pub fn of(runner: Runner, command: &str) -> Option<Self> {
        let printed = |command: String, format| Some(Self { command, format, is_file: false });
        let written = |command: String, format| Some(Self { command, format, is_file: true });
        match runner {
            // It would stop at the first binary with a failure, and the rest would seem gone.
            Runner::Cargo => printed(with(command, "cargo test", "--no-fail-fast"), Format::Libtest),
            Runner::Nextest => printed(with(command, "cargo nextest run", "--no-fail-fast"), Format::Nextest),
            Runner::Unittest if command.contains("-m unittest") => {
                // Options stand behind the subcommand, or that would be the name of a test.
                let call = if command.contains("-m unittest discover") { "-m unittest discover" } else { "-m unittest" };
                printed(with(command, call, "-v"), Format::Unittest)
            }
            // A recipe's options are out of reach.
            Runner::Unittest => None,
            Runner::Go if command.contains("go test") => printed(with(command, "go test", "-json"), Format::Go),
            Runner::Go => printed(environment(command, "GOFLAGS", "-json"), Format::Go),
            Runner::Pytest => {
                let options = format!("-o junit_family=xunit2 --junitxml={PATH}");
                written(environment(command, "PYTEST_ADDOPTS", &options), Format::Junit)
            }
            Runner::Node => {
                let options = format!(
                    "--test-reporter=spec --test-reporter-destination=stdout --test-reporter=junit --test-reporter-destination={PATH}"
                );
                written(environment(command, "NODE_OPTIONS", &options), Format::Junit)
            }
            Runner::Jest => {
                passed_on(command, &format!("--json --outputFile={PATH}")).and_then(|command| written(command, Format::Jest))
            }
            Runner::Vitest => {
                let options = format!("--reporter=default --reporter=json --outputFile.json={PATH}");
                passed_on(command, &options).and_then(|command| written(command, Format::Jest))
            }
        }
    }
}

/// Puts an option behind each call of a runner, unless it stands there.
fn with(command: &str, call: &str, option: &str) -> String {
    if command.contains(option) { command.to_owned() } else { command.replace(call, &format!("{call} {option}")) }
}

/// Adds options to a variable that a runner reads.
fn environment(command: &str, variable: &str, options: &str) -> String {
    format!("export {variable}=\"${{{variable}-}} {options}\"\n{command}")
}

/// Hands options to what a script calls. Where the command is more than one call, they would reach another program.
fn passed_on(command: &str, options: &str) -> Option<String> {
    let is_one_call = !command.contains(['&', ';', '|', '\n', '#']);
    let through = ["npm test", "npm run ", "pnpm test", "pnpm run "].iter().any(|call| command.starts_with(call));
    let separator = if through && !command.contains(" -- ") { " --" } else { "" };
    is_one_call.then(|| format!("{command}{separator} {options}"))
}

#[cfg(test)]
mod tests;
