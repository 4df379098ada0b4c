//! What a job may use, what it has used, and what is left.

use serde::{Deserialize, Serialize};

/// A limit on everything that a job may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// From the first claim to the end of the last solve or proof, in milliseconds.
    pub wall_clock_ms: u64,
    /// How often solve-and-verify may be done in one attempt.
    pub rounds: u32,
    /// How often the work may be begun anew from the base; the best attempt counts, and the first proof ends it.
    #[serde(default = "one")]
    pub attempts: u32,
    /// How many model calls, over all rounds.
    pub turns: u32,
    /// How many workers may die of it.
    pub claims: u32,
    /// Input and output tokens together, over all rounds.
    pub tokens: u64,
    /// What the model may cost, in millionths of a US dollar.
    pub cost_microusd: u64,
}

/// What jobs had that were written before there were attempts.
fn one() -> u32 {
    1
}

impl Budget {
    /// The same time, and no model call, for work that is done once and without a model.
    pub fn without_model(self) -> Self {
        Self { rounds: 1, attempts: 1, turns: 0, tokens: 0, cost_microusd: 0, ..self }
    }
}

/// What has been used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Model calls.
    pub turns: u32,
    /// Tokens read by the model, cached ones included.
    pub input_tokens: u64,
    /// Of those, tokens that the endpoint had in its cache.
    pub cached_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
    /// Cost in millionths of a US dollar; 0 where no price is configured.
    pub cost_microusd: u64,
}

impl Usage {
    /// Adds another usage to this one.
    pub fn add(&mut self, other: &Self) {
        self.turns = self.turns.saturating_add(other.turns);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cost_microusd = self.cost_microusd.saturating_add(other.cost_microusd);
    }

    /// Input and output tokens together.
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// What one solve may still use: the budget less what was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Model calls left.
    pub turns: u32,
    /// Tokens left.
    pub tokens: u64,
    /// Cost left, in millionths of a US dollar.
    pub cost_microusd: u64,
    /// Time left, in milliseconds.
    pub wall_clock_ms: u64,
}

impl Budget {
    /// What is left of the budget.
    pub fn less(&self, spent: &Usage, elapsed_ms: u64) -> Allowance {
        Allowance {
            turns: self.turns.saturating_sub(spent.turns),
            tokens: self.tokens.saturating_sub(spent.tokens()),
            cost_microusd: self.cost_microusd.saturating_sub(spent.cost_microusd),
            wall_clock_ms: self.wall_clock_ms.saturating_sub(elapsed_ms),
        }
    }
}

impl Allowance {
    /// Names the limit that is used up, as the end of the sentence "the budget's …".
    pub fn exhausted(&self) -> Option<&'static str> {
        if self.turns == 0 {
            Some("limit of model calls is reached")
        } else if self.tokens == 0 {
            Some("limit of tokens is reached")
        } else if self.cost_microusd == 0 {
            Some("limit of cost is reached")
        } else {
            None
        }
    }
}
