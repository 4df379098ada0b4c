//! A recording, taken apart: a model that says what was said, an executor whose commands print what was printed, and a
//! gate that finds missing what was missing. All three note where the replay differs.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use patchwright_domain::excerpt::search::{Found, Search};
use patchwright_domain::patch::FileState;
use patchwright_domain::turn::{Closing, Item, Reply};

use super::Divergence;
use crate::agent::toolbox::Toolbox;
use crate::agent::turns::transcript::{self, Failed, Line};
use crate::agent::{Ending, Gate};
use crate::model::draft::Draft;
use crate::model::{Model, ModelError, Prompt};
use crate::sandbox::{Command, Executor, Output, Process, Running, SandboxError};
use tools::Answered;

mod tools;

/// How much of two texts that differ is shown, in characters.
const SHOWN_CHARS_MAX: usize = 120;
/// How many bytes of output a replayed command may print before it is cut: what counts was recorded.
const OUTPUT_BYTES_MAX: usize = 1024;

/// What is left of a recording, and what was found so far.
#[derive(Default)]
struct State {
    /// Requests and what came of them.
    talk: VecDeque<Line>,
    /// Commands, in order.
    ran: VecDeque<(Command, Output)>,
    /// Calls of tools beside the built-in ones, in order.
    external: VecDeque<Line>,
    /// Checks: how many commands each ran, and what it found missing.
    checks: VecDeque<(usize, Option<String>)>,
    expected: Vec<Item>,
    n_replies: u32,
    divergence: Option<Divergence>,
}

impl State {
    /// Notes the first difference.
    fn differs(&mut self, what: String) {
        let turn = self.n_replies.max(1);
        self.divergence.get_or_insert(Divergence { turn, what });
    }
}

/// One solve's recording.
pub(super) struct Recording {
    opened: Line,
    task: Option<String>,
    state: Arc<Mutex<State>>,
}

impl Recording {
    /// Takes a transcript apart; `None` for one that is not the built-in agent's.
    pub(super) fn of(transcript: &[u8]) -> Option<Self> {
        let mut lines = transcript::lines(transcript);
        let opened = lines.next().filter(|line| matches!(line, Line::Opened { .. }))?;
        let (mut state, mut n_ran) = (State::default(), 0);
        for line in lines {
            match line {
                Line::Request { .. } | Line::Rewritten { .. } | Line::Reply { .. } | Line::Failure { .. } => {
                    state.talk.push_back(line);
                    n_ran = 0;
                }
                Line::Ran { .. } => {
                    state.ran.extend(ran(&line));
                    n_ran += 1;
                }
                Line::Result { .. } => n_ran = 0,
                Line::Checked { missing } => {
                    state.checks.push_back((n_ran, missing));
                    n_ran = 0;
                }
                Line::External { .. } => state.external.push_back(line),
                Line::Opened { .. } | Line::LeftOut { .. } | Line::Ended { .. } | Line::Cut { .. } => {}
            }
        }
        Some(Self { opened, task: super::task_of(transcript), state: Arc::new(Mutex::new(state)) })
    }

    pub(super) fn opened(&self) -> &Line {
        &self.opened
    }

    pub(super) fn task(&self) -> Option<String> {
        self.task.clone()
    }

    pub(super) fn model(&self) -> Arc<dyn Model> {
        Arc::new(Said { state: Arc::clone(&self.state) })
    }

    /// The tools beside the built-in ones, which answer what they answered then.
    pub(super) fn toolbox(&self) -> Arc<dyn Toolbox> {
        let declared = if let Line::Opened { external, .. } = &self.opened { external.clone() } else { Vec::new() };
        let tools = declared.into_iter().map(transcript::External::tool).collect();
        Arc::new(Answered { tools, state: Arc::clone(&self.state) })
    }

    pub(super) fn executor<'e>(&self, inner: &'e mut dyn Executor) -> Again<'e> {
        Again { inner, state: Arc::clone(&self.state) }
    }

    pub(super) fn gate(&self) -> Missed {
        Missed { state: Arc::clone(&self.state) }
    }

    pub(super) fn n_replies(&self) -> u32 {
        lock(&self.state).n_replies
    }

    pub(super) fn divergence(&self) -> Option<Divergence> {
        lock(&self.state).divergence.clone()
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ran(line: &Line) -> Option<(Command, Output)> {
    let Line::Ran { script, directory, timeout_ms, exit, duration_ms, output, is_base64, omitted_bytes } = line else {
        return None;
    };
    let bytes = if *is_base64 { BASE64_STANDARD.decode(output).ok()? } else { output.clone().into_bytes() };
    let timeout = Duration::from_millis(*timeout_ms);
    let command = Command { script: script.clone(), directory: directory.clone(), timeout, output_bytes_max: OUTPUT_BYTES_MAX };
    let duration = Duration::from_millis(*duration_ms);
    Some((command, Output { exit: *exit, output: bytes, omitted_bytes: *omitted_bytes, duration }))
}

/// The model: says what was said.
struct Said {
    state: Arc<Mutex<State>>,
}

#[async_trait]
impl Model for Said {
    async fn complete(&self, prompt: &Prompt<'_>, _draft: &mut Draft) -> Result<Reply, ModelError> {
        let mut state = lock(&self.state);
        let mut is_asked = false;
        while let Some(line) = state.talk.pop_front() {
            match line {
                Line::Request { items, .. } => state.expected.extend(items),
                Line::Rewritten { items } => state.expected = items,
                Line::Reply { reply, .. } => {
                    compare(&mut state, prompt.items);
                    state.n_replies += 1;
                    state.expected.extend(reply.items.iter().cloned());
                    return Ok(reply);
                }
                Line::Failure { failure, error, .. } => {
                    compare(&mut state, prompt.items);
                    return Err(failed(failure, error));
                }
                Line::Opened { .. } | Line::Ran { .. } | Line::Result { .. } | Line::Checked { .. } => {}
                Line::External { .. } | Line::LeftOut { .. } | Line::Ended { .. } | Line::Cut { .. } => {}
            }
            is_asked = true;
        }
        // A run that was out of time had asked and got no reply.
        if !is_asked {
            state.differs("the model is asked where the recorded run had ended".to_owned());
        }
        Err(ModelError::Rejected("the recording ends here".to_owned()))
    }

    fn name(&self) -> &str {
        "recorded"
    }
}

fn failed(failure: Failed, error: String) -> ModelError {
    match failure {
        Failed::RateLimited => ModelError::RateLimited { retry_after: Some(Duration::ZERO) },
        Failed::Unavailable => ModelError::Unavailable(error),
        Failed::BrokenOff { output_bytes } => ModelError::BrokenOff { reason: error, output_bytes },
        Failed::Unauthorized => ModelError::Unauthorized(error),
        Failed::ContextOverflow => ModelError::ContextOverflow(error),
        Failed::Rejected => ModelError::Rejected(error),
    }
}

/// Compares a request with the recorded one.
fn compare(state: &mut State, items: &[Item]) {
    let expected = &state.expected;
    let first = (0..items.len().max(expected.len())).find(|index| items.get(*index) != expected.get(*index));
    let Some(index) = first else { return };
    let shown = |item: Option<&Item>| item.map_or_else(|| "nothing".to_owned(), |item| format!("{item:?}"));
    let (was, is) = (shown(expected.get(index)), shown(items.get(index)));
    let (was, is) = from_difference(&was, &is);
    state.differs(format!("item {index} of the request was {was} and is {is}"));
}

/// Two texts from shortly before the place where they differ.
fn from_difference(was: &str, is: &str) -> (String, String) {
    const BEFORE: usize = 20;
    let same = was.chars().zip(is.chars()).take_while(|(a, b)| a == b).count();
    let part = |text: &str| -> String { text.chars().skip(same.saturating_sub(BEFORE)).take(SHOWN_CHARS_MAX).collect() };
    (format!("`{}`", part(was)), format!("`{}`", part(is)))
}

/// The executor: runs every command for what it does to the files, and gives what it printed then.
pub(super) struct Again<'e> {
    inner: &'e mut dyn Executor,
    state: Arc<Mutex<State>>,
}

#[async_trait]
impl Executor for Again<'_> {
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError> {
        let Some((recorded, then)) = lock(&self.state).ran.pop_front() else {
            lock(&self.state).differs(format!("a command is run that was not: `{}`", command.script));
            return self.inner.execute(command).await;
        };
        if recorded.script != command.script || recorded.directory != command.directory {
            let (was, is) = from_difference(&recorded.script, &command.script);
            lock(&self.state).differs(format!("the command was {was} and is {is}"));
        }
        let now = self.inner.execute(&Command { timeout: recorded.timeout, ..command.clone() }).await?;
        if now.exit != then.exit {
            lock(&self.state).differs(format!("`{}` ended with {} and ends with {}", command.script, then.exit, now.exit));
        }
        Ok(then)
    }

    async fn read(&mut self, path: &str) -> Result<Option<FileState>, SandboxError> {
        self.inner.read(path).await
    }

    async fn write(&mut self, changes: &[(String, Option<FileState>)]) -> Result<(), SandboxError> {
        self.inner.write(changes).await
    }

    async fn search(&mut self, search: &Search) -> Result<Found, SandboxError> {
        self.inner.search(search).await
    }

    async fn collect(&mut self) -> Result<PathBuf, SandboxError> {
        self.inner.collect().await
    }

    async fn spawn(&mut self, process: &Process) -> Result<Running, SandboxError> {
        self.inner.spawn(process).await
    }
}

/// The gate: finds missing what was missing, and runs the commands that it ran.
pub(super) struct Missed {
    state: Arc<Mutex<State>>,
}

#[async_trait]
impl Gate for Missed {
    async fn missing(&self, executor: &mut dyn Executor, _closing: &Closing) -> Result<Option<String>, Ending> {
        let Some((n_ran, missing)) = lock(&self.state).checks.pop_front() else {
            lock(&self.state).differs("the work is looked at where it was not".to_owned());
            return Ok(None);
        };
        for _ in 0..n_ran {
            let Some((command, _)) = lock(&self.state).ran.front().cloned() else { break };
            if let Err(error) = executor.execute(&command).await {
                lock(&self.state).differs(format!("a check cannot be run: {error}"));
            }
        }
        Ok(missing)
    }
}
