//! The part of a job's log that shows why it failed, as GitHub writes logs.
//!
//! Each line begins with its time; steps begin with a group, and what went wrong is marked as an error. Whoever's code runs in a
//! job can print all of that as well: what is found here is shown to people and to the agent, and at most a patch is forgone by it.

use jiff::Timestamp;

use crate::proof::secrets::Veil;
use crate::turn::output;

/// How much of a log is looked at, in bytes: the end of a longer one.
pub const LOG_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How much of it is shown, in bytes: the beginning and the end of the step that failed.
pub const SHOWN_BYTES_MAX: usize = 8 * 1024;
/// How many of the errors are shown that are marked as such, and how much of each, in bytes.
const ERRORS_MAX: usize = 10;
const ERROR_BYTES_MAX: usize = 300;

/// Begins a part of a log that can be folded away; a step's first one says what it runs.
const GROUP: &str = "##[group]";
const STEP: &str = "##[group]Run ";
const END_OF_GROUP: &str = "##[endgroup]";
const ERROR: &str = "##[error]";

/// What a log shows of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// What the step printed, as far as it is shown.
    pub text: String,
    /// What is marked as an error, the last ones.
    pub errors: Vec<String>,
    /// Whether something was left out.
    pub is_cut: bool,
}

/// When a step ran, as GitHub says, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
}

/// Cuts a log down to the step that failed: to what was printed in this time, where it is known, and there to the last step with an
/// error. What the server's own secrets are is taken out first, for the end of one that is cut would not be known any more.
pub fn failing(log: &[u8], during: Option<Span>, veil: &Veil) -> Failing {
    let tail = &log[log.len().saturating_sub(LOG_BYTES_MAX)..];
    let text = output::plain(tail);
    let lines: Vec<(Option<Timestamp>, &str)> = text.lines().map(line).collect();
    let within: Vec<&str> = match during {
        Some(span) => within(&lines, span),
        None => Vec::new(),
    };
    let all: Vec<&str> = if within.is_empty() { lines.iter().map(|(_, text)| *text).collect() } else { within };
    let step = step(&all);
    let (marked, printed): (Vec<&str>, Vec<&str>) = step.iter().partition(|line| line.starts_with(ERROR));
    let printed = printed.iter().map(|line| line.strip_prefix(GROUP).unwrap_or(line)).filter(|line| *line != END_OF_GROUP);
    let printed = veil.text(&printed.collect::<Vec<_>>().join("\n"));
    let shown = output::excerpt(printed.trim().as_bytes(), 0, SHOWN_BYTES_MAX);
    let error = |line: &&str| {
        let told = veil.text(line.strip_prefix(ERROR).unwrap_or(line));
        crate::brief::beginning(&told, ERROR_BYTES_MAX).to_owned()
    };
    Failing {
        text: shown.text,
        errors: marked[marked.len().saturating_sub(ERRORS_MAX)..].iter().map(error).collect(),
        is_cut: shown.is_cut || tail.len() < log.len(),
    }
}

/// A line's time, where it begins with one, and what stands behind it.
fn line(line: &str) -> (Option<Timestamp>, &str) {
    let line = line.trim_start_matches('\u{feff}');
    let timed = line.split_once(' ').or(Some((line, "")));
    match timed.and_then(|(time, rest)| Some((time.parse::<Timestamp>().ok()?, rest))) {
        Some((at, rest)) => (Some(at), rest),
        None => (None, line),
    }
}

/// The lines of this time. One without a time belongs to the line before it.
fn within<'l>(lines: &[(Option<Timestamp>, &'l str)], span: Span) -> Vec<&'l str> {
    let mut is_within = false;
    let mut found = Vec::new();
    for (at, text) in lines {
        if let Some(at) = at {
            is_within = (span.from.as_second()..=span.to.as_second()).contains(&at.as_second());
        }
        if is_within {
            found.push(*text);
        }
    }
    found
}

/// The last step with an error, without what it says of itself at its beginning; everything where there is none.
fn step<'l>(lines: &'l [&'l str]) -> &'l [&'l str] {
    let Some(error) = lines.iter().rposition(|line| line.starts_with(ERROR)) else { return lines };
    let start = lines[..error].iter().rposition(|line| line.starts_with(STEP)).unwrap_or(0);
    let header = lines[start..error].iter().position(|line| *line == END_OF_GROUP);
    let begun = header.filter(|_| lines[start].starts_with(STEP)).map_or(start, |header| start + header + 1);
    let end = lines[error..].iter().position(|line| line.starts_with(STEP)).map_or(lines.len(), |next| error + next);
    // What is said behind the last error is about what comes after the step.
    let last = lines[..end].iter().rposition(|line| line.starts_with(ERROR)).unwrap_or(error);
    &lines[begun..=last]
}

#[cfg(test)]
mod tests;
