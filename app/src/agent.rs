//! Who works on the task: an agent gets a model, an executor and a brief, and proposes files.
//!
//! It knows no forge, no store and no token. Whatever it says is hearsay; what counts is the tree that it leaves.

use async_trait::async_trait;
use patchwright_domain::brief::Brief;
use patchwright_domain::job::{Allowance, Usage};
use patchwright_domain::turn::Closing;

use crate::sandbox::Executor;

pub mod external;
pub mod mcp;
pub mod toolbox;
pub mod turns;

/// How an agent's work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It says that it is done.
    Finished,
    /// The model, or its endpoint, does not want to do it.
    Refused,
    /// The model does the same over and over, or nothing.
    Stuck {
        /// What, as a sentence for the user.
        reason: String,
    },
    /// The turns, tokens, cost or time of the budget are used up.
    BudgetExhausted {
        /// Which limit, as a sentence for the user.
        limit: String,
    },
    /// The model cannot be asked any more.
    ModelFailed {
        /// A sentence for the user, free of internals.
        public: String,
        /// The chain for the operator.
        internal: String,
    },
    /// The sandbox broke or was refused.
    SandboxFailed {
        /// A sentence for the user.
        public: String,
        /// The chain for the operator.
        internal: String,
    },
}

/// What an agent leaves behind beside the tree.
#[derive(Clone, Debug)]
pub struct Solution {
    /// How it ended.
    pub ending: Ending,
    /// What the model says at the end; hearsay.
    pub closing: Closing,
    /// What the solving used.
    pub usage: Usage,
    /// Every request's new items and every reply, as JSON lines.
    pub transcript: Vec<u8>,
}

/// Told after every turn: the usage of that turn and one line on what was done.
pub type OnTurn<'a> = &'a (dyn Fn(&Usage, &str) + Send + Sync);

/// The most that one request may use; what was really used is settled afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Input and output tokens together.
    pub tokens: u64,
    /// Cost, in millionths of a US dollar.
    pub cost_microusd: u64,
}

impl Reservation {
    /// What a usage comes to.
    pub fn of(usage: &Usage) -> Self {
        Self { tokens: usage.tokens(), cost_microusd: usage.cost_microusd }
    }
}

/// A limit that others share: a repository's, a user's or a day's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which limit, as a sentence for the user.
    pub limit: String,
}

/// Keeps the limits that runs share. Every request is reserved before it is sent, so that no two can overspend together.
#[async_trait]
pub trait Meter: Send + Sync {
    /// Takes the most that a request may use off what is left, or says which limit forbids it.
    ///
    /// # Errors
    /// [`Exceeded`]: the request must not be sent.
    async fn reserve(&self, most: Reservation) -> Result<(), Exceeded>;

    /// Puts what was used in place of what was reserved last.
    async fn settle(&self, reserved: Reservation, used: Reservation);
}

/// A meter without limits, for work that nobody shares.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmetered;

#[async_trait]
impl Meter for Unmetered {
    async fn reserve(&self, _most: Reservation) -> Result<(), Exceeded> {
        Ok(())
    }

    async fn settle(&self, _reserved: Reservation, _used: Reservation) {}
}

/// Looks at the files when the agent says that it is done, before anybody believes it.
#[async_trait]
pub trait Gate: Send + Sync {
    /// What is missing, in words for the model; `None` if nothing is. The executor is the agent's own.
    ///
    /// # Errors
    /// The [`Ending`] where it cannot be found out.
    async fn missing(&self, executor: &mut dyn Executor, closing: &Closing) -> Result<Option<String>, Ending>;
}

/// A gate that lets everything through: for answers and plans, where nothing is changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

#[async_trait]
impl Gate for Open {
    async fn missing(&self, _executor: &mut dyn Executor, _closing: &Closing) -> Result<Option<String>, Ending> {
        Ok(None)
    }
}

/// The round before, for an agent that goes on.
#[derive(Clone, Copy, Debug)]
pub struct Continued<'a> {
    /// What was said in it.
    pub transcript: &'a [u8],
    /// What the harness found then, in words for the model.
    pub feedback: &'a str,
}

/// One piece of work for an agent.
#[derive(Clone, Copy)]
pub struct Assignment<'a> {
    /// What it is told.
    pub brief: &'a Brief,
    /// The round that it goes on from, if this is not the first.
    pub continued: Option<Continued<'a>>,
    /// What it may use.
    pub allowance: Allowance,
    /// The limits that it shares with others.
    pub meter: &'a dyn Meter,
    /// What looks at its work.
    pub gate: &'a dyn Gate,
    /// How often it is told that something is missing, before its work is taken as it is.
    pub checks_max: u32,
    /// Who is told after every turn.
    pub on_turn: OnTurn<'a>,
}

/// Works on a task.
#[async_trait]
pub trait Agent: Send + Sync {
    /// Works until done or until the allowance is used up; every ending is a value.
    async fn solve(&self, assignment: Assignment<'_>, executor: &mut dyn Executor) -> Solution;
}
