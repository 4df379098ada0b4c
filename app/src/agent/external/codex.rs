//! Drives `codex exec --json`: one process for one prompt, which ends when the work does.
//!
//! The prompt goes through standard input, since it can be longer than an argument may be. What is found missing is told
//! to another process, which has the files but not the conversation.

use patchwright_domain::proof::Exit;
use patchwright_domain::turn::Closing;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::agent::Ending;
use crate::agent::external::{Run, beginning, broke, say};

/// How much of a command is noted, in bytes.
const COMMAND_BYTES_MAX: usize = 200;

/// Works until the gate has nothing to say, or has said it often enough.
pub(super) async fn drive(run: &mut Run<'_>) -> Result<(Ending, Closing), Ending> {
    let task = run.task();
    let mut prompt = task.clone();
    let mut n_checks = 0;
    loop {
        run.prompted(&prompt);
        let closing = Closing::of(once(run, &prompt).await?);
        match run.check(&closing).await? {
            Some(missing) if n_checks < run.assignment.checks_max => prompt = format!("{task}\n\n{missing}"),
            Some(_) | None => return Ok((Ending::Finished, closing)),
        }
        n_checks += 1;
    }
}

/// Runs one process to its end; what it says at last.
async fn once(run: &mut Run<'_>, prompt: &str) -> Result<String, Ending> {
    let (mut input, mut lines) = run.spawn().await?;
    let told = async {
        input.write_all(prompt.as_bytes()).await?;
        input.shutdown().await
    };
    if let Err(error) = told.await {
        return Err(run.fail(&format!("it did not read its task: {error}")).await);
    }
    let mut seen = Seen::default();
    loop {
        match lines.next().await {
            Ok(Some(event)) => run_notes(run, seen.event(&event)),
            Ok(None) => break,
            Err(broken) => return Err(run.failed(&broken.0, &run.errors())),
        }
    }
    let Some(handle) = &mut run.handle else { return Err(run.failed("it is gone", "")) };
    match handle.wait().await {
        Ok(Exit::Code(0)) if seen.is_complete => {
            run.handle = None;
            Ok(seen.answer.trim().to_owned())
        }
        Err(error) => {
            run.handle = None;
            Err(broke(&error))
        }
        Ok(Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut | Exit::Exceeded(_)) => {
            let what = seen.failure.unwrap_or_else(|| "it ended in the middle of its turn".to_owned());
            Err(run.fail(&what).await)
        }
    }
}

fn run_notes(run: &Run<'_>, note: Option<String>) {
    if let Some(note) = note {
        run.notes.add(note);
    }
}

/// What the events have said so far.
#[derive(Default)]
struct Seen {
    answer: String,
    failure: Option<String>,
    is_complete: bool,
}

impl Seen {
    /// Takes an event; what was done in it, in a line.
    fn event(&mut self, event: &Value) -> Option<String> {
        let message = |value: &Value| value["message"].as_str().unwrap_or("no reason given").to_owned();
        match event["type"].as_str().unwrap_or_default() {
            "item.completed" => return self.item(&event["item"]),
            "turn.completed" => self.is_complete = true,
            "turn.failed" => {
                self.is_complete = false;
                self.failure = Some(message(&event["error"]));
            }
            "error" => self.failure = Some(message(event)),
            // Beginnings, updates and whatever comes later say nothing that we need.
            _ => {}
        }
        None
    }

    fn item(&mut self, item: &Value) -> Option<String> {
        match item["type"].as_str().unwrap_or_default() {
            "agent_message" => {
                self.answer.clear();
                say(&mut self.answer, item["text"].as_str().unwrap_or_default());
                None
            }
            "command_execution" => {
                let command = item["command"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
                Some(format!("ran `{}`", beginning(command, COMMAND_BYTES_MAX)))
            }
            "file_change" => {
                let changes = item["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
                let paths: Vec<&str> = changes.iter().filter_map(|change| change["path"].as_str()).collect();
                Some(format!("edited {}", paths.join(", ")))
            }
            // Thoughts, plans and whatever comes later.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
