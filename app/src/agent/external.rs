//! Agents that we did not write, such as Codex, Claude Code or OpenCode, at work in our sandbox.
//!
//! The agent's program runs inside, with the workspace, without a network and without a key. The one thing that it reaches
//! is the [`proxy`] that asks the configured model for it, and keeps the budget. What it may do inside is all granted: the
//! sandbox is the boundary. Its work goes through the same gate as that of the built-in agent.

use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::turn::{Closing, Prices};
use tokio::sync::mpsc;

use crate::agent::{Agent, Assignment, Ending, Solution};
use crate::gateway::Gateway;
use crate::sandbox::{Bridge, Executor, Handle, Process, Running, SandboxError};

mod acp;
mod books;
mod codex;
mod lines;
pub mod presets;
mod proxy;
mod pulse;
mod record;

use books::{Books, Notes};
use presets::{PORT, Preset, Protocol};
use proxy::Proxy;
use pulse::Pulse;
use record::{Line, Record};

/// Where the proxy's socket is inside.
const SOCKET: &str = "/run/patchwright/model";
/// How long an agent may show no sign of life: neither a line nor a byte from its model. One of its commands may run as long.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long an agent whose output has ended may take to end itself.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many entries wait for the books.
const ENTRIES_MAX: usize = 16;
/// The longest answer that is kept, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The latest time that is a time: a budget may be larger than the clock.
const WALL_CLOCK_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// An agent that is another program.
#[derive(Clone, Debug)]
pub struct External {
    /// Which program, how it is spoken to, and how it finds its model.
    pub preset: Preset,
    /// The model that it gets.
    pub gateway: Gateway,
    /// What that costs.
    pub prices: Prices,
    /// How long it may show no sign of life.
    pub idle_timeout: Duration,
}

impl External {
    /// An agent with the usual patience and without prices.
    pub fn new(preset: Preset, gateway: Gateway) -> Self {
        Self { preset, gateway, prices: Prices::default(), idle_timeout: IDLE_TIMEOUT }
    }

    fn process(&self, proxy: &Proxy) -> Process {
        Process {
            argv: self.preset.argv(),
            environment: self.preset.environment.clone(),
            read_only: self.preset.read_only.iter().map(|path| (path.clone(), path.clone())).collect(),
            sockets: vec![(proxy.socket(), SOCKET.into())],
            bridge: Some(Bridge { port: PORT, socket: SOCKET.into() }),
        }
    }
}

#[async_trait]
impl Agent for External {
    async fn solve(&self, assignment: Assignment<'_>, executor: &mut dyn Executor) -> Solution {
        let (record, notes, pulse) = (Record::default(), Notes::default(), Pulse::start());
        let (agent, model) = (self.preset.name.clone(), self.gateway.model().to_owned());
        record.line(&Line::ExternalAgent { agent, model, mode: assignment.brief.mode });
        let (sender, entries) = mpsc::channel(ENTRIES_MAX);
        let mut books = Books::open(&assignment, self.prices, entries, notes.clone(), record.clone());
        let (mut ending, closing) = match Proxy::start(self.gateway.clone(), sender, pulse.clone()) {
            Ok(proxy) => {
                let process = self.process(&proxy);
                let (name, handle) = (&self.preset.name, None);
                let (record, pulse) = (record.clone(), pulse.clone());
                let mut run = Run { name, process, executor, assignment: &assignment, handle, notes, pulse, record };
                let ended = self.work(&mut run, &mut books).await;
                let killed = run.kill().await;
                proxy.stop();
                killed.map_or_else(|ending| (ending, Closing::default()), |()| ended)
            }
            Err(error) => (run_failed("starting the model's proxy", &error), Closing::default()),
        };
        let closed = books.close().await;
        let is_broken = matches!(ending, Ending::SandboxFailed { .. });
        if let (Some(limit), false) = (closed.exhausted, is_broken) {
            ending = Ending::BudgetExhausted { limit };
        } else if let Some(failure) = closed.last_failure {
            ending = blame_model(ending, &failure, closed.usage.tokens() > 0);
        }
        let answer = closing.text.clone();
        record.line(&Line::ExternalEnded { ending: format!("{ending:?}"), usage: closed.usage, answer });
        Solution { ending, closing, usage: closed.usage, transcript: record.take() }
    }
}

impl External {
    /// Drives the agent until it is done or until something else ends it.
    async fn work(&self, run: &mut Run<'_>, books: &mut Books<'_>) -> (Ending, Closing) {
        let time = Duration::from_millis(run.assignment.allowance.wall_clock_ms).min(WALL_CLOCK_MAX);
        let (name, pulse) = (self.preset.name.clone(), run.pulse.clone());
        let drive = async {
            match self.preset.protocol {
                Protocol::Acp => acp::drive(run).await,
                Protocol::CodexExec => codex::drive(run).await,
            }
        };
        let early = |ending| (ending, Closing::default());
        tokio::select! {
            biased;
            done = drive => done.unwrap_or_else(early),
            () = books.keep() => early(Ending::BudgetExhausted { limit: "The budget is used up.".to_owned() }),
            () = tokio::time::sleep(time) => {
                early(Ending::BudgetExhausted { limit: "The budget's time is used up.".to_owned() })
            }
            () = pulse.silence(self.idle_timeout) => early(Ending::ModelFailed {
                public: format!("The coding agent `{name}` showed no sign of life any more."),
                internal: format!("{name}: neither a line nor a byte of a reply for {:?}", self.idle_timeout),
            }),
        }
    }
}

/// What a run is driven with.
struct Run<'r> {
    name: &'r str,
    process: Process,
    executor: &'r mut dyn Executor,
    assignment: &'r Assignment<'r>,
    /// The agent's process; it is here so that it can be ended whoever ends the run.
    handle: Option<Box<dyn Handle>>,
    notes: Notes,
    pulse: Pulse,
    record: Record,
}

/// The two ends of a process that runs.
type Ends = (Box<dyn tokio::io::AsyncWrite + Send + Unpin>, lines::Lines);

impl Run<'_> {
    async fn spawn(&mut self) -> Result<Ends, Ending> {
        let Running { input, output, handle } = self.executor.spawn(&self.process).await.map_err(|error| broke(&error))?;
        self.handle = Some(handle);
        Ok((input, lines::Lines::new(output, self.pulse.clone())))
    }

    /// Ends whatever still runs; nothing changes the workspace behind this.
    async fn kill(&mut self) -> Result<(), Ending> {
        match self.handle.take() {
            Some(mut handle) => handle.kill().await.map(drop).or_else(|error| match error {
                // It never ran, or it is known to be over: what matters is that nothing is left.
                SandboxError::Refused(_) | SandboxError::Path { .. } => Ok(()),
                SandboxError::Machine { .. } => Err(broke(&error)),
            }),
            None => Ok(()),
        }
    }

    /// The agent has ended without having said that it is done, or says what it must not say.
    async fn fail(&mut self, what: &str) -> Ending {
        let Some(handle) = &mut self.handle else { return self.failed(what, "") };
        let ended = match tokio::time::timeout(EXIT_TIMEOUT, handle.wait()).await {
            Ok(Ok(exit)) => format!("it ended with {exit:?}"),
            Ok(Err(error)) => {
                self.handle = None;
                return broke(&error);
            }
            Err(_) => "it is still running".to_owned(),
        };
        let errors = handle.errors();
        self.failed(&format!("{what}; {ended}"), &errors)
    }

    fn failed(&self, what: &str, errors: &str) -> Ending {
        let errors = if errors.is_empty() { "nothing" } else { errors.trim_end() };
        Ending::ModelFailed {
            public: format!("The coding agent `{}` stopped working.", self.name),
            internal: format!("{}: {what}; its last errors: {errors}", self.name),
        }
    }

    /// The standard error of the agent so far.
    fn errors(&self) -> String {
        self.handle.as_ref().map(|handle| handle.errors()).unwrap_or_default()
    }

    /// Has the harness look at what the agent calls done.
    async fn check(&mut self, closing: &Closing) -> Result<Option<String>, Ending> {
        let missing = self.assignment.gate.missing(self.executor, closing).await?;
        self.pulse.beat();
        self.record.line(&Line::GateChecked { missing: missing.clone() });
        if missing.is_some() {
            self.notes.add("said that it is done, and was told what is missing".to_owned());
        }
        Ok(missing)
    }

    /// What the agent is told first.
    fn task(&self) -> String {
        let brief = self.assignment.brief;
        let feedback = self.assignment.continued.map(|continued| format!("\n\n{}", continued.feedback)).unwrap_or_default();
        format!("{}\n\n{}{feedback}", brief.instructions, brief.task)
    }

    fn prompted(&self, text: &str) {
        self.pulse.beat();
        self.record.line(&Line::Prompted { text: text.to_owned() });
    }
}

/// As much of a text as fits into so many bytes.
fn beginning(text: &str, bytes_max: usize) -> &str {
    let mut ends = (0..=bytes_max.min(text.len())).rev();
    ends.find_map(|end| text.get(..end)).unwrap_or_default()
}

/// Adds to an answer as far as it is kept.
fn say(answer: &mut String, text: &str) {
    answer.push_str(beginning(text, ANSWER_BYTES_MAX.saturating_sub(answer.len())));
}

fn broke(error: &SandboxError) -> Ending {
    run_failed("running the agent in its sandbox", error)
}

fn run_failed(what: &str, error: &dyn std::error::Error) -> Ending {
    let internal = format!("{what}: {}", crate::http_client::chain(error));
    Ending::SandboxFailed { public: "The sandbox could not run the coding agent.".to_owned(), internal }
}

/// Whose fault a bad ending is: where the last request to the model failed, it is told. An agent that calls the work done
/// without ever having had a reply has done nothing.
fn blame_model(ending: Ending, failure: &str, was_answered: bool) -> Ending {
    match ending {
        Ending::ModelFailed { public, internal } => {
            Ending::ModelFailed { public, internal: format!("{internal}; its last request to the model: {failure}") }
        }
        Ending::Finished if !was_answered => Ending::ModelFailed {
            public: "The model's endpoint did not answer.".to_owned(),
            internal: format!("no request to the model was answered; the last: {failure}"),
        },
        Ending::Finished
        | Ending::Refused
        | Ending::Stuck { .. }
        | Ending::BudgetExhausted { .. }
        | Ending::SandboxFailed { .. } => ending,
    }
}
