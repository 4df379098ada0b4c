//! Carries out one call of the model and says what it is told.

use std::time::Duration;

use patchwright_domain::excerpt::listing;
use patchwright_domain::excerpt::search::Search;
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::Exit;
use patchwright_domain::turn::{Action, output};

use crate::agent::Ending;
use crate::agent::turns::ShellLimits;
use crate::agent::turns::outside::Outside;
use crate::sandbox::{Command, Executor, SandboxError};

mod edit;

/// How much of a command's output the executor keeps, in bytes: more than is shown, since escape sequences are taken out.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// How many outputs that were shown in part are kept for the model to read on.
const OUTPUTS_KEPT_MAX: usize = 16;
/// How long an executor may take beyond a command's own limit before it counts as broken.
const EXECUTOR_GRACE: Duration = Duration::from_secs(60);
/// How long a search may take beyond its own limit before the executor counts as broken.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(120);
/// How much of a script is shown in the line about a turn, in characters.
const SCRIPT_SHOWN_MAX: usize = 80;

/// Why a file operation did not happen: a sentence for the model, or the end.
enum Refused {
    Told(String),
    Ended(Ending),
}

/// What came of a call.
pub(super) struct Told {
    /// What the model is told.
    pub(super) text: String,
    /// One line on what was done.
    pub(super) note: String,
}

impl Told {
    fn of(text: impl Into<String>, note: impl Into<String>) -> Self {
        Self { text: text.into(), note: note.into() }
    }
}

/// Outputs that were shown in part, for the model to read on.
#[derive(Default)]
pub(super) struct Outputs(Vec<Vec<u8>>);

impl Outputs {
    fn next_number(&self) -> usize {
        self.0.len() + 1
    }

    /// Keeps an output under the next number; beyond the bound the oldest is forgotten.
    fn keep(&mut self, output: Vec<u8>) {
        self.0.push(output);
        if let Some(forgotten) = self.0.len().checked_sub(OUTPUTS_KEPT_MAX + 1) {
            self.0[forgotten] = Vec::new();
        }
    }

    fn by_name(&self, name: &str) -> Option<&[u8]> {
        let number: usize = name.strip_prefix('@')?.parse().ok()?;
        self.0.get(number.checked_sub(1)?).map(Vec::as_slice).filter(|output| !output.is_empty())
    }
}

/// Carries out a call; an error ends the work.
pub(super) async fn carry_out(
    executor: &mut dyn Executor,
    outside: &mut Outside,
    outputs: &mut Outputs,
    action: &Action,
    limits: &ShellLimits,
    time_left: Duration,
) -> Result<Told, Ending> {
    let told = match action {
        Action::Shell { script, directory, timeout_ms } => {
            let wanted =
                timeout_ms.map_or(limits.timeout, Duration::from_millis).clamp(Duration::from_millis(1), limits.timeout_max);
            let (script, directory) = (script.clone(), directory.clone());
            let command = Command { script, directory, timeout: wanted.min(time_left), output_bytes_max: OUTPUT_BYTES_MAX };
            return run(executor, outputs, &command).await;
        }
        Action::Patch(patch) => edit::patch(executor, patch.clone()).await,
        Action::Read { path, first_line, n_lines } => read(executor, outputs, path, *first_line, *n_lines).await,
        Action::Search(query) => search(executor, query).await,
        Action::Replace(replacement) => edit::replace(executor, replacement.clone()).await,
        Action::External { name, arguments } => {
            Ok(Told::of(outside.call(name, arguments, time_left).await, format!("called {name}")))
        }
    };
    told.or_else(|refused| match refused {
        Refused::Told(reason) => Ok(Told::of(reason.clone(), reason)),
        Refused::Ended(ending) => Err(ending),
    })
}

async fn run(executor: &mut dyn Executor, outputs: &mut Outputs, command: &Command) -> Result<Told, Ending> {
    let ran = one_line(&command.script);
    let outcome = tokio::time::timeout(command.timeout + EXECUTOR_GRACE, executor.execute(command)).await;
    let done = match outcome {
        Err(_) => return Err(silent("a command")),
        Ok(Ok(done)) => done,
        Ok(Err(error)) => match refused(error) {
            Refused::Told(reason) => {
                return Ok(Told::of(format!("the command was not run: {reason}"), format!("could not run `{ran}`")));
            }
            Refused::Ended(ending) => return Err(ending),
        },
    };
    let duration_ms = u64::try_from(done.duration.as_millis()).unwrap_or(u64::MAX);
    let number = outputs.next_number();
    let shown = output::of_command(done.exit, duration_ms, &done.output, done.omitted_bytes, number);
    let note = match done.exit {
        Exit::Code(0) => format!("ran `{ran}`"),
        exit @ (Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut | Exit::Exceeded(_)) => {
            format!("ran `{ran}`, which ended with {exit}")
        }
    };
    if shown.is_cut {
        outputs.keep(done.output);
    }
    Ok(Told { text: shown.text, note })
}

/// Shows lines of a file, or of an output that was shown in part.
async fn read(
    executor: &mut dyn Executor,
    outputs: &Outputs,
    path: &str,
    first_line: u32,
    n_lines: Option<u32>,
) -> Result<Told, Refused> {
    let note = format!("read {} from line {first_line}", one_line(path));
    let state = match outputs.by_name(path) {
        Some(output) => Some(FileState::Regular { content: output::plain(output).into_bytes(), executable: false }),
        None => edit::read(executor, path).await?,
    };
    let Some(state) = state else { return Ok(Told::of(format!("{path}: there is no such file"), note)) };
    let n_lines = n_lines.map(|n| n as usize);
    let listed = listing::of_file(path, &state, Some(first_line as usize), n_lines);
    Ok(Told::of(listed.unwrap_or_else(|beyond| beyond.to_string()), note))
}

async fn search(executor: &mut dyn Executor, query: &Search) -> Result<Told, Refused> {
    let note = format!("searched for `{}`", one_line(&query.pattern));
    let found = match tokio::time::timeout(SEARCH_TIMEOUT, executor.search(query)).await {
        Err(_) => return Err(Refused::Ended(silent("a search"))),
        Ok(found) => found.map_err(refused)?,
    };
    Ok(Told::of(found.told(), note))
}

fn refused(error: SandboxError) -> Refused {
    match error {
        SandboxError::Path { path, reason } => Refused::Told(format!("{path}: {reason}")),
        SandboxError::Refused(refusal) => Refused::Ended(Ending::SandboxFailed {
            public: "The sandbox for the agent's commands cannot be made on this machine; the operator has to see to it."
                .to_owned(),
            internal: format!("{refusal}; {}", refusal.remedy),
        }),
        SandboxError::Machine { context, source } => Refused::Ended(broken(format!("{context}: {source}"))),
    }
}

fn silent(what: &str) -> Ending {
    broken(format!("{what} did not come to an end in the sandbox"))
}

fn broken(internal: String) -> Ending {
    let public = "The machine that runs the agent's commands failed. Try again; if it stays so, the operator has to see to it.";
    Ending::SandboxFailed { public: public.to_owned(), internal }
}

/// The first line of a script with words in it, cut to what fits a log line.
fn one_line(script: &str) -> String {
    let plain = output::plain(script.as_bytes());
    let line = plain.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut shown: String = line.chars().take(SCRIPT_SHOWN_MAX).collect();
    if shown.len() < plain.trim().len() {
        shown.push_str(" ...");
    }
    shown
}
