//! The body of a conversation's requests as it grows: every item is written once, and each request's bytes are the
//! beginning of the next one's but for what closes the body.

use patchwright_domain::turn::Item;

use crate::model::Prompt;

/// The body of the last request of a conversation; empty before the first.
#[derive(Debug, Default)]
pub struct Draft {
    bytes: Vec<u8>,
    /// How many items are written.
    n_items: usize,
    /// The prompt's revision that they are from.
    revision: u32,
    /// The limit that the head names.
    output_tokens_max: u64,
    /// What the last message may still take.
    open: Open,
    /// How many bytes at the end close the body.
    n_closing: usize,
}

/// What the last message may still take, where a wire format puts several items into one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Open {
    /// Nothing: it is closed, or there is none.
    #[default]
    Nothing,
    /// More of what is told to the model.
    User,
    /// More of what the model says.
    Assistant,
    /// More of the model's calls.
    Calls,
}

/// How a wire format writes a conversation.
pub(super) trait Layout {
    /// The body up to its first item; ends with the bracket that the items stand in.
    ///
    /// # Errors
    /// What cannot be written as JSON.
    fn head(&self, prompt: &Prompt<'_>) -> Result<Vec<u8>, serde_json::Error>;

    /// Writes an item behind the body, of which the last message is `open`, and says what is open then.
    ///
    /// # Errors
    /// What cannot be written as JSON.
    fn item(&self, item: &Item, open: Open, body: &mut Vec<u8>) -> Result<Open, serde_json::Error>;

    /// What closes the body.
    fn closing(&self, open: Open) -> &'static str;
}

impl Draft {
    /// The whole body for a prompt: what is new of it is added before the closing, or all is written anew where the head
    /// or an item that was sent before has changed.
    ///
    /// # Errors
    /// What the layout says; the draft is then empty.
    pub(super) fn write(&mut self, prompt: &Prompt<'_>, layout: &impl Layout) -> Result<&[u8], serde_json::Error> {
        let grows = self.revision == prompt.revision
            && self.output_tokens_max == prompt.output_tokens_max
            && !self.bytes.is_empty()
            && self.n_items <= prompt.items.len();
        let mut last = std::mem::take(self);
        if grows {
            last.bytes.truncate(last.bytes.len() - last.n_closing);
        } else {
            last = Self { bytes: layout.head(prompt)?, ..Self::default() };
        }
        for new in &prompt.items[last.n_items..] {
            last.open = layout.item(new, last.open, &mut last.bytes)?;
        }
        let closing = layout.closing(last.open);
        last.bytes.extend_from_slice(closing.as_bytes());
        *self = Self {
            bytes: last.bytes,
            n_items: prompt.items.len(),
            revision: prompt.revision,
            output_tokens_max: prompt.output_tokens_max,
            open: last.open,
            n_closing: closing.len(),
        };
        Ok(&self.bytes)
    }
}

/// Puts a comma behind the last element, unless the body ends with the bracket that opens the list.
pub(super) fn separate(body: &mut Vec<u8>) {
    if body.last() != Some(&b'[') {
        body.push(b',');
    }
}
