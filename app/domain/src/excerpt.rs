//! What the model is shown of a repository's files: numbered lines and the hits of a search, bounded and readable.
//!
//! It takes bytes and values and knows no file system; what looked into the files is the sandbox's business.

use std::fmt::Write as _;

pub mod listing;
pub mod search;

#[cfg(test)]
mod tests;

/// How much of one line is shown, in bytes.
pub const LINE_BYTES_MAX: usize = 500;

/// A line as the model can read and repeat it: characters that cannot be seen are written as `\u{…}`, the rest of a long
/// line is counted.
fn readable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown = String::with_capacity(text.len().min(LINE_BYTES_MAX));
    for (at, c) in text.char_indices() {
        if shown.len() >= LINE_BYTES_MAX {
            let _ = write!(shown, " [... {} more bytes in this line]", text.len() - at);
            break;
        }
        if is_hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// Whether a character moves the cursor, turns the direction of the text, or is not there to be seen. The joiners that
/// scripts and emoji need are let through.
fn is_hidden(c: char) -> bool {
    let is_format = matches!(c,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    is_format || c.is_control() && c != '\t'
}
