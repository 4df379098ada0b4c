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
}

impl Draft {
    /// The whole body for a prompt: what is new of it is added between the head and `closing`, or all is written anew
    /// where the head or an item that was sent before has changed.
    ///
    /// # Errors
    /// What `head` and `item` say; the draft is then empty.
    pub(super) fn write<E>(
        &mut self,
        prompt: &Prompt<'_>,
        closing: &str,
        // Ends with the bracket that the items stand in.
        head: impl FnOnce() -> Result<Vec<u8>, E>,
        item: impl Fn(&Item) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<&[u8], E> {
        let grows = self.revision == prompt.revision
            && self.output_tokens_max == prompt.output_tokens_max
            && !self.bytes.is_empty()
            && self.n_items <= prompt.items.len();
        let mut bytes = std::mem::take(&mut self.bytes);
        if grows {
            bytes.truncate(bytes.len() - closing.len());
        } else {
            bytes = head()?;
            self.n_items = 0;
        }
        for new in &prompt.items[self.n_items..] {
            if let Some(text) = item(new)? {
                if bytes.last() != Some(&b'[') {
                    bytes.push(b',');
                }
                bytes.extend_from_slice(&text);
            }
        }
        bytes.extend_from_slice(closing.as_bytes());
        *self =
            Self { bytes, n_items: prompt.items.len(), revision: prompt.revision, output_tokens_max: prompt.output_tokens_max };
        Ok(&self.bytes)
    }
}
