//! A file, or a part of it, with numbered lines.

use std::fmt::Write as _;
use std::ops::Range;

use crate::excerpt::readable;
use crate::patch::FileState;

/// How many lines are shown where nobody says how many.
pub const LINES_DEFAULT: usize = 400;
/// The most lines that are shown at once.
pub const LINES_MAX: usize = 2_000;
/// How much is shown at once, in bytes.
pub const LISTING_BYTES_MAX: usize = 16_000;
/// Where a zero byte tells a binary file, in bytes from the beginning.
const BINARY_SEARCH_BYTES: usize = 8_000;

/// The part of a file that was asked for lies behind its end; the text is written for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} has {n_lines} lines; there is no line {line}")]
pub struct BeyondEnd {
    /// The file.
    pub path: String,
    /// How many lines it has.
    pub n_lines: usize,
    /// The first line that was asked for, counted from 1.
    pub line: usize,
}

/// The lines of a file from `first` (counted from 1; the first one unless told) on, `n_lines` of them unless they are too
/// much, under a line that says which they are and how many there are.
///
/// # Errors
/// [`BeyondEnd`] where the file has no line `first`.
pub fn of_file(path: &str, state: &FileState, first: Option<usize>, n_lines: Option<usize>) -> Result<String, BeyondEnd> {
    let content = match state {
        FileState::Regular { content, .. } => content,
        FileState::Symlink { target } => return Ok(format!("{path} is a symbolic link to {}", readable(target))),
    };
    if content.is_empty() {
        return Ok(format!("{path} is empty"));
    }
    if content.iter().take(BINARY_SEARCH_BYTES).any(|byte| *byte == 0) {
        return Ok(format!("{path} is a binary file of {} bytes", content.len()));
    }
    let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let line = first.unwrap_or(1).max(1);
    if line > lines.len() {
        return Err(BeyondEnd { path: path.to_owned(), n_lines: lines.len(), line });
    }
    let end = (line - 1).saturating_add(n_lines.unwrap_or(LINES_DEFAULT).clamp(1, LINES_MAX)).min(lines.len());
    let (body, end) = numbered(&lines, line - 1..end);
    let mut shown = format!("{path}: lines {line}-{end} of {}{}\n{body}", lines.len(), peculiarities(content, &lines));
    if end < lines.len() {
        let _ = writeln!(shown, "[{} more lines; read on from line {}]", lines.len() - end, end + 1);
    }
    Ok(shown)
}

/// The lines of the range that there is room for, and behind which one they end.
fn numbered(lines: &[&[u8]], range: Range<usize>) -> (String, usize) {
    let mut body = String::new();
    for at in range.clone() {
        let line = readable(bare(lines[at]));
        if at > range.start && body.len() + line.len() > LISTING_BYTES_MAX {
            return (body, at);
        }
        let _ = writeln!(body, "{:>6}|{line}", at + 1);
    }
    (body, range.end)
}

/// A line without its ending.
fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What the lines alone do not show.
fn peculiarities(content: &[u8], lines: &[&[u8]]) -> String {
    let n_crlf = lines.iter().filter(|line| line.ends_with(b"\r\n")).count();
    let mut said = String::new();
    if std::str::from_utf8(content).is_err() {
        said.push_str("; it is not UTF-8, other bytes are shown as \u{fffd}");
    }
    if n_crlf > 0 {
        let n_lf = lines.iter().filter(|line| line.ends_with(b"\n")).count() - n_crlf;
        said.push_str(if n_lf == 0 { "; lines end in CRLF" } else { "; some lines end in CRLF" });
    }
    if !content.ends_with(b"\n") {
        said.push_str("; no newline at the end");
    }
    said
}
