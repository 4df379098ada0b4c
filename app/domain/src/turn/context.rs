//! How much room a conversation takes in the model's context, and what is left out of it when it gets too full.
//!
//! Tokens are counted by what the endpoint said of the last request; only what came after is estimated. Room is made in
//! rare, large batches, because every rewritten item costs the endpoint's cache: first old tool results are masked, then
//! the history is replaced by the model's own summary and the harness's ledger. Instructions, tools and task stay as
//! they are, so that the cached beginning holds.

use crate::turn::{Item, TokenUsage};

/// How many bytes make a token, where nobody has counted.
const BYTES_PER_TOKEN: u64 = 4;
/// How many of the newest tool results stay when older ones are masked.
pub(super) const RESULTS_KEPT: usize = 8;
/// A tool result that is shorter is not worth masking, in bytes.
const RESULT_MASKED_BYTES_MIN: usize = 400;
/// How much of the first line of a masked result stays, in bytes.
const FIRST_LINE_BYTES_MAX: usize = 120;
/// Room is made when so much of the context is taken, in hundredths: what is left is for the reply.
const FULL_PERCENT: u64 = 75;
/// Masking alone is enough if it brings the context down to this, in hundredths.
const ROOMY_PERCENT: u64 = 50;

const MASKED: &str = "[The rest of this output was left out to make room. Run the command again if you need it.]";

/// What is known of a conversation's size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// The most tokens that fit.
    context_tokens: u64,
    /// What the last request and its reply took, as the endpoint counted.
    counted: u64,
    /// Bytes that came after, in words that are one token for about four bytes.
    plain_bytes: u64,
    /// Bytes that came after, of characters beyond ASCII, which may take a token each.
    other_bytes: u64,
}

impl Size {
    pub(super) fn new(context_tokens: u64) -> Self {
        Self { context_tokens, counted: 0, plain_bytes: 0, other_bytes: 0 }
    }

    /// Counts a text that the endpoint has not counted yet.
    pub(super) fn add(&mut self, text: &str) {
        let other = text.bytes().filter(|byte| !byte.is_ascii()).count() as u64;
        self.other_bytes += other;
        self.plain_bytes += text.len() as u64 - other;
    }

    pub(super) fn add_item(&mut self, item: &Item) {
        match item {
            Item::User { text } | Item::Assistant { text } => self.add(text),
            Item::Reasoning { opaque, .. } => self.add(opaque),
            Item::Call { name, arguments, .. } => {
                self.add(name);
                self.add(arguments);
            }
            Item::Result { output, .. } => self.add(output),
        }
    }

    /// Takes what the endpoint has counted in the place of what was estimated before.
    pub(super) fn counted(&mut self, usage: &TokenUsage) {
        *self = Self { counted: usage.input.saturating_add(usage.output), ..Self::new(self.context_tokens) };
    }

    /// Begins anew with these items, which nobody has counted in this form.
    pub(super) fn recount(&mut self, instructions: &str, tools_bytes: u64, items: &[Item]) {
        *self = Self { plain_bytes: tools_bytes, ..Self::new(self.context_tokens) };
        self.add(instructions);
        items.iter().for_each(|item| self.add_item(item));
    }

    /// About how many tokens the next request takes.
    pub(super) fn estimate(&self) -> u64 {
        self.counted.saturating_add((self.plain_bytes + self.other_bytes).div_ceil(BYTES_PER_TOKEN))
    }

    /// What is reserved for the next request: an estimate on the safe side. No tokeniser is asked, so a text of nothing but
    /// digits may take more, which is then charged when it is known.
    pub(super) fn bound(&self) -> u64 {
        let since = self.plain_bytes.div_ceil(BYTES_PER_TOKEN - 1).saturating_add(self.other_bytes);
        self.counted.saturating_add(since)
    }

    /// The endpoint found the conversation too long, whatever was estimated: its context is smaller than was thought.
    pub(super) fn overflowed(&mut self) {
        self.context_tokens = self.context_tokens.min(self.estimate());
    }

    pub(super) fn is_full(&self) -> bool {
        self.estimate() > self.context_tokens.saturating_mul(FULL_PERCENT) / 100
    }

    pub(super) fn is_roomy(&self) -> bool {
        self.estimate() <= self.context_tokens.saturating_mul(ROOMY_PERCENT) / 100
    }
}

/// Leaves the newest tool results as they are and masks the older ones; whether there was anything to mask.
pub(super) fn mask(items: &mut [Item]) -> bool {
    let results = items.iter_mut().rev().filter_map(|item| match item {
        Item::Result { output, .. } => Some(output),
        Item::User { .. } | Item::Assistant { .. } | Item::Reasoning { .. } | Item::Call { .. } => None,
    });
    let mut masked = false;
    for output in results.skip(RESULTS_KEPT).filter(|output| output.len() >= RESULT_MASKED_BYTES_MIN) {
        let first_line = output.lines().next().unwrap_or_default();
        *output = format!("{}\n{MASKED}", crate::brief::beginning(first_line, FIRST_LINE_BYTES_MAX));
        masked = true;
    }
    masked
}

/// What is left of a conversation after a compaction: the task, and what a successor has to know.
pub(super) fn compacted(items: &[Item], summary: &str, ledger: &str) -> Vec<Item> {
    let task = items.first().cloned();
    let summary = if summary.trim().is_empty() { "(There is no summary.)" } else { summary.trim() };
    let text = format!(
        "The history of your work was too long for the context and was replaced by this note. The files are as you left \
         them. Go on from here, and do not repeat what is recorded as done.\n\n# Your own summary\n{summary}\n\n{ledger}"
    );
    task.into_iter().chain([Item::User { text }]).collect()
}

/// How the model is asked for its summary. The tools stay on offer, because they are in the cached beginning.
pub(super) const SUMMARISE: &str = "\
The context is nearly full. Call no tool now. Write a summary of your work for yourself, who will go on with nothing else \
but the task and this summary: what you found out (with file names and lines), what you changed and why, what you decided \
against, which tests you ran with what result, and what is left to do, in order. Be brief and exact.";
