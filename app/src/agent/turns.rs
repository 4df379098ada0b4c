//! The built-in agent: drives [`Conversation`] with a model and an executor.
//!
//! It waits and asks again where that may help, watches the time, reserves what every request may use, and carries out
//! the model's calls. What the model wants is decided by the domain; what it may reach is decided by the executor.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::delay;
use patchwright_domain::job::Usage;
use patchwright_domain::turn::conversation::{Conversation, OUTPUT_TOKENS_MAX, Terms};
use patchwright_domain::turn::tools::{self, EditForm};
use patchwright_domain::turn::{Closing, Item, Next, Prices, Reply, Tool, ToolCall};
use tokio::time::Instant;

use crate::agent::toolbox::{NoTools, Toolbox};
use crate::agent::{Agent, Assignment, Ending, Reservation, Solution};
use crate::model::draft::Draft;
use crate::model::{Model, ModelError, Prompt};
use crate::sandbox::Executor;

mod calls;
mod failure;
mod outside;
mod recorder;
pub mod transcript;

use calls::Outputs;
use outside::Outside;
use recorder::Recorder;
use transcript::{Failed, Line, Transcript};

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
        Self { base: Duration::from_secs(1), attempts_max: 20, wait_max: Duration::from_secs(60) }
    }
}

impl Backoff {
    fn wait(&self, n_failures: u32) -> Duration {
        delay::growing(self.base, n_failures.saturating_sub(1), self.wait_max)
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

/// How many tokens a model's context holds where nobody says: that of most models in use.
pub const CONTEXT_TOKENS: u64 = 200_000;

/// The agent that takes turns with a model.
#[derive(Clone)]
pub struct Turns {
    /// Who is asked.
    pub model: Arc<dyn Model>,
    /// What that costs.
    pub prices: Prices,
    /// In which form the model edits best.
    pub edit_form: EditForm,
    /// How many tokens the model's context holds.
    pub context_tokens: u64,
    /// The most tokens of one reply.
    pub output_tokens_max: u64,
    /// How it is asked again.
    pub backoff: Backoff,
    /// How long its commands may take.
    pub shell: ShellLimits,
    /// Where the tools beside the built-in ones come from.
    pub toolbox: Arc<dyn Toolbox>,
}

impl Turns {
    /// An agent with the usual limits and without prices.
    pub fn new(model: Arc<dyn Model>) -> Self {
        Self {
            model,
            prices: Prices::default(),
            edit_form: EditForm::default(),
            context_tokens: CONTEXT_TOKENS,
            output_tokens_max: OUTPUT_TOKENS_MAX,
            backoff: Backoff::default(),
            shell: ShellLimits::default(),
            toolbox: Arc::new(NoTools),
        }
    }

    /// Tools from outside stand behind the built-in ones, so that the prefix that all requests share stays the same.
    fn terms(&self, assignment: &Assignment<'_>, outside: &[Tool]) -> Terms {
        let mut tools = tools::on_offer(assignment.brief.mode, self.edit_form);
        tools.extend_from_slice(outside);
        Terms {
            mode: assignment.brief.mode,
            tools,
            allowance: assignment.allowance,
            prices: self.prices,
            context_tokens: self.context_tokens,
            output_tokens_max: self.output_tokens_max,
            checks_max: assignment.checks_max,
        }
    }
}

#[async_trait]
impl Agent for Turns {
    async fn solve(&self, assignment: Assignment<'_>, executor: &mut dyn Executor) -> Solution {
        let deadline = deadline(assignment.allowance.wall_clock_ms);
        let time_left = deadline.saturating_duration_since(Instant::now());
        let mut outside = Outside::open(self.toolbox.as_ref(), assignment.brief.mode, executor, time_left).await;
        let terms = self.terms(&assignment, outside.on_offer());
        let mut transcript = Transcript::default();
        transcript.line(&Line::opened(self.model.name(), assignment.brief, &terms, self.edit_form, outside.on_offer()));
        outside.take().iter().for_each(|line| transcript.line(line));
        let brief = assignment.brief.keyed(self.model.name(), &terms.tools);
        let assignment = Assignment { brief: &brief, ..assignment };
        let talk = open(&assignment, terms);
        let mut work = Work {
            turns: self,
            talk,
            executor: Recorder::new(executor),
            outside,
            assignment,
            deadline,
            transcript,
            recorded: Recorded { n_items: 0, revision: 0 },
            turn: None,
            lost: Usage::default(),
            n_failures: 0,
            draft: Draft::default(),
            outputs: Outputs::default(),
        };
        let (ending, closing) = work.converse().await;
        work.report_turn();
        work.record_items();
        work.transcript.line(&Line::Ended { ending: format!("{ending:?}"), usage: work.talk.usage() });
        work.outside.close().await;
        Solution { ending, closing, usage: work.talk.usage(), transcript: work.transcript.into_bytes() }
    }
}

/// Goes on where the round before ended, or opens with the task, and with what was found missing, if there was one.
fn open(assignment: &Assignment<'_>, terms: Terms) -> Conversation {
    let brief = assignment.brief;
    let Some(continued) = assignment.continued else { return Conversation::open(brief, terms) };
    let (mut items, notes) = transcript::last_state(continued.transcript);
    if !matches!(items.first(), Some(Item::User { .. })) {
        items = vec![Item::User { text: brief.task.clone() }];
    }
    items.push(Item::User { text: continued.feedback.to_owned() });
    Conversation::resume(brief, terms, items, &notes)
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

/// How much of the conversation the transcript has.
struct Recorded {
    n_items: usize,
    revision: u32,
}

/// One solve.
struct Work<'w> {
    turns: &'w Turns,
    talk: Conversation,
    executor: Recorder<'w>,
    outside: Outside,
    assignment: Assignment<'w>,
    deadline: Instant,
    transcript: Transcript,
    recorded: Recorded,
    turn: Option<OpenTurn>,
    /// What replies used that broke off, and that no turn has reported yet.
    lost: Usage,
    /// How often in a row the model gave no reply.
    n_failures: u32,
    draft: Draft,
    outputs: Outputs,
}

impl Work<'_> {
    /// Does what the conversation asks for until it asks for nothing; the ending and the model's closing words.
    async fn converse(&mut self) -> (Ending, Closing) {
        loop {
            let step = match self.talk.next() {
                Next::Ask { output_tokens_max, most } => {
                    self.report_turn();
                    self.take_turn(output_tokens_max, &most).await
                }
                Next::Call(call) => self.carry_out(call).await,
                Next::Check(closing) => self.check(&closing).await,
                Next::Finished(closing) => return (Ending::Finished, closing),
                Next::Refused { words } => return (Ending::Refused, Closing::of(words)),
                Next::Exhausted { limit } => Err(Ending::BudgetExhausted { limit: format!("The budget's {limit}.") }),
                Next::Stuck { reason } => Err(Ending::Stuck { reason }),
            };
            if let Err(ending) = step {
                return (ending, Closing::default());
            }
        }
    }

    fn time_left(&self) -> Result<Duration, Ending> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(out_of_time()) } else { Ok(left) }
    }

    async fn take_turn(&mut self, output_tokens_max: u64, most: &Usage) -> Result<(), Ending> {
        self.record_items();
        let Some(reply) = self.ask(output_tokens_max, most).await? else { return Ok(()) };
        let turn = self.talk.usage().turns + 1;
        self.transcript.line(&Line::Reply { turn, reply: reply.clone() });
        self.recorded.n_items = self.talk.items().len() + reply.items.len();
        let mut usage = self.talk.reply(reply);
        tracing::debug!(turn, usage.input_tokens, usage.output_tokens, "turn {turn} has its reply");
        usage.add(&std::mem::take(&mut self.lost));
        self.turn = Some(OpenTurn { usage, done: Vec::new() });
        Ok(())
    }

    /// Asks once. None where there is no reply yet: after a wait, or with a shorter conversation, it is to be asked again,
    /// within what is left then.
    async fn ask(&mut self, output_tokens_max: u64, most: &Usage) -> Result<Option<Reply>, Ending> {
        let (meter, reserved) = (self.assignment.meter, Reservation::of(most));
        let left = self.time_left()?;
        let reserving = meter.reserve(reserved).await;
        reserving.map_err(|exceeded| Ending::BudgetExhausted { limit: exceeded.limit })?;
        let prompt = Prompt {
            instructions: self.talk.instructions(),
            tools: self.talk.tools(),
            items: self.talk.items(),
            revision: self.talk.revision(),
            cache_key: self.talk.cache_key(),
            output_tokens_max,
        };
        // Where the time runs out nobody knows what it used, so it used what was reserved.
        let asked = tokio::time::timeout(left, self.turns.model.complete(&prompt, &mut self.draft)).await;
        let error = match asked.map_err(|_| out_of_time())? {
            Ok(reply) => {
                let used = self.talk.used_by(&reply);
                meter.settle(reserved, Reservation::of(&used)).await;
                self.n_failures = 0;
                return Ok(Some(reply));
            }
            Err(error) => error,
        };
        let used = match &error {
            ModelError::BrokenOff { output_bytes, .. } => self.talk.broke_off(*output_bytes),
            ModelError::RateLimited { .. }
            | ModelError::Unavailable(_)
            | ModelError::Unauthorized(_)
            | ModelError::ContextOverflow(_)
            | ModelError::Rejected(_) => Usage::default(),
        };
        self.lost.add(&used);
        meter.settle(reserved, Reservation::of(&used)).await;
        self.wait_after(&error).await?;
        Ok(None)
    }

    /// Makes room or waits, where asking again may help.
    async fn wait_after(&mut self, error: &ModelError) -> Result<(), Ending> {
        self.n_failures += 1;
        let n_failures = self.n_failures;
        let wait = if matches!(error, ModelError::ContextOverflow(_)) && self.talk.overflowed() {
            Some(Duration::ZERO)
        } else {
            failure::wait(error, n_failures, &self.turns.backoff, self.time_left()?)
        };
        let wait_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self.transcript.line(&Line::Failure { error: error.to_string(), failure: Failed::from(error), wait_ms });
        let wait = wait.ok_or_else(|| failure::ending(error, n_failures))?;
        tracing::warn!(n_failures, ?wait, "the model is asked again: {error}");
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn carry_out(&mut self, call: ToolCall) -> Result<(), Ending> {
        let left = self.time_left()?;
        let (executor, outside) = (&mut self.executor, &mut self.outside);
        let told = calls::carry_out(executor, outside, &mut self.outputs, &call.action, &self.turns.shell, left).await;
        self.record_commands();
        let told = told?;
        if let Some(turn) = &mut self.turn {
            turn.done.push(told.note.clone());
        }
        self.transcript.line(&Line::Result { call_id: call.call_id.clone(), told: told.text.clone(), note: told.note.clone() });
        self.talk.result(&call.call_id, told.text, &told.note);
        Ok(())
    }

    /// Has the harness look at what the model calls done.
    async fn check(&mut self, closing: &Closing) -> Result<(), Ending> {
        let left = self.time_left()?;
        let looking = self.assignment.gate.missing(&mut self.executor, closing);
        let looked = tokio::time::timeout(left, looking).await;
        self.record_commands();
        let missing = looked.map_err(|_| out_of_time())??;
        let told = self.talk.checked(missing);
        if let (Some(turn), Some(_)) = (&mut self.turn, &told) {
            turn.done.push("said that it is done, and was told what is missing".to_owned());
        }
        self.transcript.line(&Line::Checked { missing: told });
        Ok(())
    }

    fn record_commands(&mut self) {
        let lines = self.executor.take().into_iter().chain(self.outside.take());
        lines.for_each(|line| self.transcript.line(&line));
    }

    /// Writes down what was added to the conversation, or all of it where it was rewritten.
    fn record_items(&mut self) {
        let (items, revision) = (self.talk.items(), self.talk.revision());
        let turn = self.talk.usage().turns + 1;
        if self.recorded.revision != revision {
            self.transcript.line(&Line::Rewritten { items: items.to_vec() });
        } else {
            let new = &items[self.recorded.n_items.min(items.len())..];
            if !new.is_empty() {
                self.transcript.line(&Line::Request { turn, items: new.to_vec() });
            }
        }
        self.recorded = Recorded { n_items: items.len(), revision };
    }

    fn report_turn(&mut self) {
        if let Some(turn) = self.turn.take() {
            let done = if turn.done.is_empty() { "replied without a call".to_owned() } else { turn.done.join("; ") };
            (self.assignment.on_turn)(&turn.usage, &done);
        }
        if self.lost != Usage::default() {
            (self.assignment.on_turn)(&std::mem::take(&mut self.lost), "a reply broke off");
        }
    }
}

fn out_of_time() -> Ending {
    Ending::BudgetExhausted { limit: "The budget's time is used up.".to_owned() }
}
