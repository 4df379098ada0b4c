//! The built-in agent: drives [`Conversation`] with a model and an executor.
//!
//! It waits and asks again where that may help, watches the time, and carries out the model's calls. What the model
//! wants is decided by the domain; what it may reach is decided by the executor.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::job::Usage;
use patchwright_domain::turn::tools::{self, PatchForm};
use patchwright_domain::turn::{Action, Conversation, Next, Prices, Reply};
use serde_json::json;
use tokio::time::Instant;

use crate::agent::{Agent, Assignment, Ending, OnTurn, Solution};
use crate::model::draft::Draft;
use crate::model::{Model, ModelError, Prompt};
use crate::sandbox::Executor;

mod calls;
mod transcript;

use transcript::Transcript;

/// How a model is asked again after a failure.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The first wait; each further one is twice as long.
    pub base: Duration,
    /// How often one reply is asked for in all.
    pub attempts_max: u32,
    /// The longest wait that is not asked for by the endpoint.
    pub wait_max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), attempts_max: 8, wait_max: Duration::from_secs(60) }
    }
}

impl Backoff {
    fn wait(&self, n_failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(n_failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(doubled).min(self.wait_max)
    }
}

/// How long the model's commands may take.
#[derive(Clone, Copy, Debug)]
pub struct ShellLimits {
    /// Where the model asks for nothing.
    pub timeout: Duration,
    /// Whatever the model asks for.
    pub timeout_max: Duration,
}

impl Default for ShellLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(120), timeout_max: Duration::from_secs(600) }
    }
}

/// The agent that takes turns with a model.
#[derive(Clone)]
pub struct Turns {
    /// Who is asked.
    pub model: Arc<dyn Model>,
    /// What that costs.
    pub prices: Prices,
    /// How the model takes the patch tool.
    pub patch_form: PatchForm,
    /// How it is asked again.
    pub backoff: Backoff,
    /// How long its commands may take.
    pub shell: ShellLimits,
}

impl Turns {
    /// An agent with the usual limits and without prices.
    pub fn new(model: Arc<dyn Model>) -> Self {
        Self {
            model,
            prices: Prices::default(),
            patch_form: PatchForm::default(),
            backoff: Backoff::default(),
            shell: ShellLimits::default(),
        }
    }
}

#[async_trait]
impl Agent for Turns {
    async fn solve(&self, assignment: Assignment<'_>, executor: &mut dyn Executor) -> Solution {
        let Assignment { brief, allowance, on_turn, .. } = assignment;
        let mut transcript = Transcript::default();
        transcript.line(&json!({ "kind": "opened", "model": self.model.name(), "instructions": brief.instructions }));
        let mut work = Work {
            turns: self,
            talk: Conversation::open(brief, allowance, self.prices),
            executor,
            on_turn,
            deadline: deadline(allowance.wall_clock_ms),
            transcript,
            n_recorded: 0,
            turn: None,
            draft: Draft::default(),
        };
        let (ending, answer) = work.converse().await;
        work.report_turn();
        work.record_new_items();
        work.transcript.line(&json!({ "kind": "ended", "ending": format!("{ending:?}"), "usage": work.talk.usage() }));
        Solution { ending, answer, usage: work.talk.usage(), transcript: work.transcript.into_bytes() }
    }
}

/// The latest time that is a time: a budget may be larger than the clock.
const WALL_CLOCK_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn deadline(wall_clock_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(wall_clock_ms).min(WALL_CLOCK_MAX)
}

/// A turn that is not over: what its reply used, and what was done.
struct OpenTurn {
    usage: Usage,
    done: Vec<String>,
}

/// One solve.
struct Work<'w> {
    turns: &'w Turns,
    talk: Conversation,
    executor: &'w mut dyn Executor,
    on_turn: OnTurn<'w>,
    deadline: Instant,
    transcript: Transcript,
    /// How many of the conversation's items the transcript has.
    n_recorded: usize,
    turn: Option<OpenTurn>,
    draft: Draft,
}

impl Work<'_> {
    /// Does what the conversation asks for until it asks for nothing; the ending and the model's closing words.
    async fn converse(&mut self) -> (Ending, String) {
        loop {
            let step = match self.talk.next() {
                Next::Ask { output_tokens_max } => {
                    self.report_turn();
                    self.take_turn(output_tokens_max).await
                }
                Next::Call(call) => self.carry_out(&call.call_id, call.action).await,
                Next::Finished { answer } => return (Ending::Finished, answer),
                Next::Exhausted { limit } => Err(Ending::BudgetExhausted { limit: format!("The budget's {limit}.") }),
                Next::Stuck { reason } => Err(Ending::ModelFailed { public: reason.clone(), internal: reason }),
            };
            if let Err(ending) = step {
                return (ending, String::new());
            }
        }
    }

    fn time_left(&self) -> Result<Duration, Ending> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(out_of_time()) } else { Ok(left) }
    }

    async fn take_turn(&mut self, output_tokens_max: u64) -> Result<(), Ending> {
        self.record_new_items();
        let reply = self.ask(output_tokens_max).await?;
        let turn = self.talk.usage().turns + 1;
        self.transcript.line(&json!({ "kind": "reply", "turn": turn, "items": reply.items, "usage": reply.usage }));
        self.n_recorded = self.talk.items().len() + reply.items.len();
        let usage = self.talk.reply(reply.items, &reply.usage.unwrap_or_default());
        tracing::debug!(turn, usage.input_tokens, usage.output_tokens, "turn {turn} has its reply");
        self.turn = Some(OpenTurn { usage, done: Vec::new() });
        Ok(())
    }

    /// Asks until there is a reply, or until asking again has no point.
    async fn ask(&mut self, output_tokens_max: u64) -> Result<Reply, Ending> {
        let mut n_failures = 0;
        loop {
            let left = self.time_left()?;
            let prompt = Prompt {
                instructions: self.talk.instructions(),
                tools: tools::on_offer(self.turns.patch_form),
                items: self.talk.items(),
                revision: 0,
                cache_key: self.talk.cache_key(),
                output_tokens_max,
            };
            let reply = tokio::time::timeout(left, self.turns.model.complete(&prompt, &mut self.draft)).await;
            let error = match reply.map_err(|_| out_of_time())? {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            n_failures += 1;
            let retry = self.after(&error, n_failures);
            let wait_ms = retry.as_ref().ok().map(Duration::as_millis);
            self.transcript.line(&json!({ "kind": "failure", "error": error.to_string(), "wait_ms": wait_ms }));
            let wait = retry?;
            tracing::warn!(n_failures, ?wait, "the model is asked again: {error}");
            tokio::time::sleep(wait).await;
        }
    }

    /// How long to wait before the model is asked again, or how the work ends.
    fn after(&mut self, error: &ModelError, n_failures: u32) -> Result<Duration, Ending> {
        let backoff = &self.turns.backoff;
        let wait = match error {
            ModelError::RateLimited { retry_after } => retry_after.unwrap_or_else(|| backoff.wait(n_failures)),
            ModelError::Unavailable(_) | ModelError::BrokenOff { .. } => backoff.wait(n_failures),
            ModelError::ContextOverflow(_) if self.talk.shed() => return Ok(Duration::ZERO),
            ModelError::ContextOverflow(_) | ModelError::Unauthorized(_) | ModelError::Rejected(_) => {
                return Err(failed(error, n_failures));
            }
        };
        let fits = wait < self.deadline.saturating_duration_since(Instant::now());
        if n_failures < backoff.attempts_max && fits { Ok(wait) } else { Err(failed(error, n_failures)) }
    }

    async fn carry_out(&mut self, call_id: &str, action: Action) -> Result<(), Ending> {
        let left = self.time_left()?;
        let (done, output) = calls::carry_out(self.executor, action, &self.turns.shell, left).await?;
        if let Some(turn) = &mut self.turn {
            turn.done.push(done);
        }
        self.talk.result(call_id, output);
        Ok(())
    }

    fn record_new_items(&mut self) {
        let items = self.talk.items();
        let new = &items[self.n_recorded.min(items.len())..];
        if !new.is_empty() {
            self.transcript.line(&json!({ "kind": "request", "turn": self.talk.usage().turns + 1, "items": new }));
        }
        self.n_recorded = items.len();
    }

    fn report_turn(&mut self) {
        if let Some(turn) = self.turn.take() {
            let done = if turn.done.is_empty() { "replied without a call".to_owned() } else { turn.done.join("; ") };
            (self.on_turn)(&turn.usage, &done);
        }
    }
}

fn out_of_time() -> Ending {
    Ending::BudgetExhausted { limit: "The budget's time is used up.".to_owned() }
}

/// The ending for an error that asking again does not mend: a sentence without names, and the whole story.
fn failed(error: &ModelError, n_failures: u32) -> Ending {
    let public = match error {
        ModelError::RateLimited { .. } => {
            "The model endpoint limits the rate of requests and did not let this run go on. Try again later, or have the \
             operator raise the limit."
        }
        ModelError::Unavailable(_) | ModelError::BrokenOff { .. } => {
            "The model endpoint was not available, and asking again did not help. Try again later; if it stays so, the \
             operator has to check the endpoint."
        }
        ModelError::Unauthorized(_) => {
            "The model endpoint refused the credentials. The operator has to check the model's API key and what it may use."
        }
        ModelError::ContextOverflow(_) => {
            "The work no longer fits into the model's context. Ask for a smaller change, or have the operator choose a \
             model with a larger context."
        }
        ModelError::Rejected(_) => {
            "The model endpoint rejected the request. The operator has to check the model's name, the endpoint's address \
             and the account's quota."
        }
    };
    Ending::ModelFailed { public: public.to_owned(), internal: format!("after {n_failures} attempts: {error}") }
}
