//! Who works on the task: an agent gets a model, an executor and a brief, and proposes files.
//!
//! It knows no forge, no store and no token. Whatever it says is hearsay; what counts is the tree that it leaves.

use async_trait::async_trait;
use patchwright_domain::brief::Brief;
use patchwright_domain::job::{Allowance, Usage};

use crate::sandbox::Executor;

pub mod turns;

/// How an agent's work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It says that it is done.
    Finished,
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
    /// The model's closing words; hearsay.
    pub answer: String,
    /// What the solving used.
    pub usage: Usage,
    /// Every request's new items and every reply, as JSON lines.
    pub transcript: Vec<u8>,
}

/// Told after every turn: the usage of that turn and one line on what was done.
pub type OnTurn<'a> = &'a (dyn Fn(&Usage, &str) + Send + Sync);

/// Works on a task.
#[async_trait]
pub trait Agent: Send + Sync {
    /// Works until done or until `allowance` is used up; every ending is a value.
    async fn solve(&self, brief: &Brief, allowance: Allowance, executor: &mut dyn Executor, on_turn: OnTurn<'_>) -> Solution;
}
