//! What to do about a model that gives no reply: how long to wait, or how the work ends.

use std::time::Duration;

use crate::agent::Ending;
use crate::agent::turns::Backoff;
use crate::model::ModelError;

/// How long to wait before the model is asked again; `None` where that has no point, or no time.
pub(super) fn wait(error: &ModelError, n_failures: u32, backoff: &Backoff, left: Duration) -> Option<Duration> {
    let wait = match error {
        ModelError::RateLimited { retry_after } => retry_after.unwrap_or_else(|| backoff.wait(n_failures)),
        ModelError::Unavailable(_) | ModelError::BrokenOff { .. } => backoff.wait(n_failures),
        ModelError::ContextOverflow(_) | ModelError::Unauthorized(_) | ModelError::Rejected(_) => return None,
    };
    (n_failures < backoff.attempts_max && wait < left).then_some(wait)
}

/// The ending for an error that asking again does not mend: a sentence without names, and the whole story.
pub(super) fn ending(error: &ModelError, n_failures: u32) -> Ending {
    let public = match error {
        ModelError::RateLimited { .. } => {
            "The model endpoint limits the rate of requests and did not let this run go on. Try again later, or have the \
             operator raise the limit."
        }
        ModelError::Unavailable(_) => {
            "The model endpoint was not available, and asking again did not help. Try again later; if it stays so, the \
             operator has to check the endpoint."
        }
        ModelError::BrokenOff { .. } => {
            "The model's replies broke off before they were whole, and asking again did not help. Try again later; if it \
             stays so, the operator has to check the endpoint and what lies before it."
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
