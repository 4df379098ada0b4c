//! What a response says that it used, read as it passes: server-sent events or one JSON object, in any of the formats.

use patchwright_domain::turn::TokenUsage;
use serde_json::Value;

/// The longest line that is read for its usage, in bytes; one event can hold a whole response.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many bytes make a token where nobody says.
const BYTES_PER_TOKEN: u64 = 4;

/// Counts one response.
#[derive(Default)]
pub(super) struct Counter {
    line: Vec<u8>,
    is_too_long: bool,
    n_bytes: u64,
    said: Option<TokenUsage>,
    /// Whether nothing was said but at the very beginning.
    has_only_begun: bool,
    /// Whether what was said is all that was used, and not a count on the way.
    is_final: bool,
}

impl Counter {
    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.n_bytes += piece.len() as u64;
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() > LINE_BYTES_MAX {
                self.is_too_long = true;
                self.line.clear();
            }
            if !self.is_too_long {
                self.line.extend_from_slice(part);
            }
            // A response that is no stream may have lines too; it is read as a whole at its end.
            if part.ends_with(b"\n") && (self.is_too_long || !self.line.starts_with(b"{")) {
                self.read();
            }
        }
    }

    /// Takes the end, which the response came to by itself.
    pub(super) fn end(&mut self) {
        self.read();
        // Nobody who only begins knows how much it will be.
        self.is_final |= !self.has_only_begun;
    }

    fn read(&mut self) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_too_long) {
            return;
        }
        let data = line.strip_prefix(b"data:").unwrap_or(&line);
        let is_telling = |word: &[u8]| data.windows(word.len()).any(|window| window == word);
        if !is_telling(b"sage") {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
        let is_beginning = event["type"] == "message_start";
        let is_end = event["type"] == "message_delta" || event["response"]["usage"].is_object();
        let places = [&event["response"]["usage"], &event["message"]["usage"], &event["usage"], &event["usageMetadata"]];
        for usage in places.into_iter().filter_map(said) {
            // Counts grow while a response goes on, and some formats say the input first and the output last.
            let known = self.said.get_or_insert_default();
            known.input = known.input.max(usage.input);
            known.cached = known.cached.max(usage.cached);
            known.output = known.output.max(usage.output);
            self.has_only_begun = is_beginning;
            self.is_final |= is_end;
        }
    }

    /// What was used: what the endpoint says, and otherwise a guess from the bytes. Of a response that was broken off, the
    /// larger of both counts, as what was said so far is not what is charged in the end: some formats begin with an output of
    /// one token. Nothing where there was no answer.
    pub(super) fn tokens(&self, request_bytes: usize, is_answered: bool) -> TokenUsage {
        let guess = TokenUsage {
            input: (request_bytes as u64).div_ceil(BYTES_PER_TOKEN),
            cached: 0,
            output: self.n_bytes.div_ceil(BYTES_PER_TOKEN),
        };
        match self.said {
            Some(said) if self.is_final || !is_answered => said,
            Some(said) => {
                TokenUsage { input: said.input.max(guess.input), cached: said.cached, output: said.output.max(guess.output) }
            }
            None if !is_answered => TokenUsage::default(),
            None => guess,
        }
    }
}

fn said(usage: &Value) -> Option<TokenUsage> {
    let usage = usage.as_object()?;
    let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or_default();
    let detail = |name: &str| usage.get(name).and_then(|details| details["cached_tokens"].as_u64()).unwrap_or_default();
    // Anthropic counts what comes from and goes into the cache beside the input, the others within it.
    let (read, written) = (count("cache_read_input_tokens"), count("cache_creation_input_tokens"));
    let input = count("input_tokens") + count("prompt_tokens") + count("promptTokenCount") + read + written;
    let cached = detail("input_tokens_details") + detail("prompt_tokens_details") + count("cachedContentTokenCount") + read;
    let output =
        count("output_tokens") + count("completion_tokens") + count("candidatesTokenCount") + count("thoughtsTokenCount");
    (input + output > 0).then_some(TokenUsage { input, cached, output })
}

#[cfg(test)]
mod tests;
