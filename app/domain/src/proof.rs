//! From what was executed on base and head to a verdict.

use serde::{Deserialize, Serialize};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "exit", content = "value", rename_all = "snake_case")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// Its time ran out and it was killed.
    TimedOut,
}
