//! The books of an external agent's run: what may be asked, what was used, and the record of both.
//!
//! The proxy's tasks send entries; the run that borrows the meter and the listener of turns keeps them. An entry that
//! cannot be answered is a request that is not sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use patchwright_domain::job::Usage;
use patchwright_domain::turn::conversation::OUTPUT_TOKENS_MAX;
use patchwright_domain::turn::{Prices, TokenUsage};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::agent::external::record::{Line, Record};
use crate::agent::{Assignment, Reservation};

/// How long an agent may take to end by itself once the budget is used up.
const GRACE: Duration = Duration::from_secs(5);
/// How long the last requests may take to be settled.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// About how many bytes of a request are one token, on the safe side, for what is reserved.
const BYTES_PER_TOKEN: u64 = 3;
/// With less left to write, a request is not worth sending; some endpoints refuse a smaller limit.
const OUTPUT_TOKENS_MIN: u64 = 16;
/// How many notes of a turn are kept.
const NOTES_MAX: usize = 50;

/// What is asked of the books and told to them.
pub(super) enum Entry {
    /// May this be sent?
    Reserve {
        /// The request's length.
        request_bytes: usize,
        /// The most tokens of output that it asks for.
        output_asked: Option<u64>,
        /// What may be used, or the limit that forbids it.
        answer: oneshot::Sender<Result<Granted, String>>,
    },
    /// This was used.
    Settle(Box<Used>),
}

/// A request that may be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    reserved: Reservation,
    /// The most tokens of output, where the request must be told.
    pub(super) output_tokens_max: Option<u64>,
}

/// A request that is over.
pub(super) struct Used {
    pub(super) granted: Granted,
    pub(super) tokens: TokenUsage,
    pub(super) path: &'static str,
    /// The response's status, if there was one.
    pub(super) status: Option<u16>,
    /// What went wrong, if something did.
    pub(super) failure: Option<String>,
    pub(super) request: String,
    pub(super) response: String,
}

/// What an agent did since its last request, in lines; copies are the same.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    /// Adds a line.
    pub(super) fn add(&self, note: String) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES_MAX {
            notes.push(note);
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The books of one run.
pub(super) struct Books<'b> {
    assignment: &'b Assignment<'b>,
    prices: Prices,
    entries: mpsc::Receiver<Entry>,
    notes: Notes,
    record: Record,
    usage: Usage,
    /// Requests that were sent and are not settled.
    n_open: u32,
    open: Reservation,
    /// What the last reply used, and has not been reported yet.
    turn: Option<Usage>,
    exhausted: Option<(String, Instant)>,
    last_failure: Option<String>,
}

impl<'b> Books<'b> {
    pub(super) fn open(
        assignment: &'b Assignment<'b>,
        prices: Prices,
        entries: mpsc::Receiver<Entry>,
        notes: Notes,
        record: Record,
    ) -> Self {
        Self {
            assignment,
            prices,
            entries,
            notes,
            record,
            usage: Usage::default(),
            n_open: 0,
            open: Reservation { tokens: 0, cost_microusd: 0 },
            turn: None,
            exhausted: None,
            last_failure: None,
        }
    }

    /// Keeps the books until the budget has been used up for a while; otherwise it never returns.
    pub(super) async fn keep(&mut self) {
        loop {
            let over = self.exhausted.as_ref().map(|(_, since)| *since + GRACE);
            let grace = async {
                match over {
                    Some(over) => sleep_until(over).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                entry = self.entries.recv() => match entry {
                    Some(entry) => self.enter(entry).await,
                    None => std::future::pending().await,
                },
                () = grace => return,
            }
        }
    }

    /// Enters what is left, reports the last turn, and closes.
    pub(super) async fn close(mut self) -> Closed {
        let rest = async {
            while let Some(entry) = self.entries.recv().await {
                self.enter(entry).await;
            }
        };
        if tokio::time::timeout(SETTLE_TIMEOUT, rest).await.is_err() {
            tracing::warn!(n_open = self.n_open, "requests of an external agent were never settled");
        }
        // Nobody knows what these used, so they used what was reserved, and the meter keeps it.
        self.usage.output_tokens = self.usage.output_tokens.saturating_add(self.open.tokens);
        self.usage.cost_microusd = self.usage.cost_microusd.saturating_add(self.open.cost_microusd);
        self.report_turn(true);
        let exhausted = self.exhausted.map(|(limit, _)| limit);
        Closed { usage: self.usage, exhausted, last_failure: self.last_failure }
    }

    async fn enter(&mut self, entry: Entry) {
        match entry {
            Entry::Reserve { request_bytes, output_asked, answer } => {
                self.report_turn(false);
                let granted = self.reserve(request_bytes, output_asked).await;
                if let Err(limit) = &granted {
                    self.exhausted.get_or_insert_with(|| (limit.clone(), Instant::now()));
                }
                if let Err(Ok(unheard)) = answer.send(granted) {
                    // Whoever asked is gone, so nothing is sent.
                    self.release(unheard.reserved);
                    self.assignment.meter.settle(unheard.reserved, Reservation { tokens: 0, cost_microusd: 0 }).await;
                }
            }
            Entry::Settle(used) => self.settle(*used).await,
        }
    }

    async fn reserve(&mut self, request_bytes: usize, output_asked: Option<u64>) -> Result<Granted, String> {
        let allowance = &self.assignment.allowance;
        let used_up = |what: &str| format!("The budget's {what} are used up.");
        if self.usage.turns.saturating_add(self.n_open) >= allowance.turns {
            return Err(used_up("turns"));
        }
        let input = (request_bytes as u64).div_ceil(BYTES_PER_TOKEN);
        let tokens_left = allowance.tokens.saturating_sub(self.usage.tokens().saturating_add(self.open.tokens));
        if tokens_left <= input {
            return Err(used_up("tokens"));
        }
        // A reply without a limit could use more than what is reserved, so each gets one.
        let wanted = output_asked.unwrap_or(OUTPUT_TOKENS_MAX);
        let cost_left = allowance.cost_microusd.saturating_sub(self.usage.cost_microusd.saturating_add(self.open.cost_microusd));
        let output = wanted.min(tokens_left - input).min(self.affordable(input, cost_left));
        if output < OUTPUT_TOKENS_MIN.min(wanted) || cost_left == 0 {
            return Err("What is left of the budget is too little for another reply.".to_owned());
        }
        let cost_microusd = self.prices.cost_microusd(&TokenUsage { input, cached: 0, output });
        let reserved = Reservation { tokens: input.saturating_add(output), cost_microusd };
        self.assignment.meter.reserve(reserved).await.map_err(|exceeded| exceeded.limit)?;
        self.n_open += 1;
        self.open.tokens = self.open.tokens.saturating_add(reserved.tokens);
        self.open.cost_microusd = self.open.cost_microusd.saturating_add(reserved.cost_microusd);
        Ok(Granted { reserved, output_tokens_max: (output_asked != Some(output)).then_some(output) })
    }

    /// How many tokens can be written for what is left behind the input.
    fn affordable(&self, input: u64, cost_left: u64) -> u64 {
        let reading = self.prices.cost_microusd(&TokenUsage { input, cached: 0, output: 0 });
        match (cost_left.checked_sub(reading), self.prices.output) {
            (None, _) => 0,
            (Some(_), None | Some(0)) => u64::MAX,
            (Some(left), Some(price)) => left.saturating_sub(1).saturating_mul(1_000_000) / price,
        }
    }

    fn release(&mut self, reserved: Reservation) {
        self.n_open = self.n_open.saturating_sub(1);
        self.open.tokens = self.open.tokens.saturating_sub(reserved.tokens);
        self.open.cost_microusd = self.open.cost_microusd.saturating_sub(reserved.cost_microusd);
    }

    async fn settle(&mut self, used: Used) {
        let usage = Usage {
            turns: 1,
            input_tokens: used.tokens.input,
            cached_tokens: used.tokens.cached,
            output_tokens: used.tokens.output,
            cost_microusd: self.prices.cost_microusd(&used.tokens),
        };
        self.release(used.granted.reserved);
        self.assignment.meter.settle(used.granted.reserved, Reservation::of(&usage)).await;
        self.usage.add(&usage);
        self.turn.get_or_insert_default().add(&usage);
        self.last_failure = used.failure.map(|failure| match used.status {
            Some(status) => format!("{status} {failure}"),
            None => failure,
        });
        self.record.line(&Line::ModelRequest { turn: self.usage.turns, path: used.path.to_owned(), body: used.request });
        let failure = self.last_failure.clone();
        self.record.line(&Line::ModelResponse { turn: self.usage.turns, failure, body: used.response, usage });
    }

    /// Tells of the last reply and of what was done with it.
    fn report_turn(&mut self, is_last: bool) {
        if self.turn.is_none() && !is_last {
            return;
        }
        let notes = self.notes.take();
        for note in &notes {
            self.record.line(&Line::Done { note: note.clone() });
        }
        if self.turn.is_none() && notes.is_empty() {
            return;
        }
        let done = if notes.is_empty() { "replied without a call".to_owned() } else { notes.join("; ") };
        (self.assignment.on_turn)(&self.turn.take().unwrap_or_default(), &done);
    }
}

/// What the books say at the end.
pub(super) struct Closed {
    pub(super) usage: Usage,
    /// The limit that was reached, if one was.
    pub(super) exhausted: Option<String>,
    /// Why the last request failed, if it did.
    pub(super) last_failure: Option<String>,
}
