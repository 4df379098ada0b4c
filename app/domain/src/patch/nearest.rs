//! What a file has that is most like the lines that were looked for; only for messages.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::patch::text::Text;

/// How many lines are shown.
const LINES_SHOWN_MAX: usize = 12;
/// How much of a line is shown, in characters.
const LINE_SHOWN_MAX: usize = 160;
/// A line that occurs more often says nothing about the place.
const OCCURRENCES_MAX: usize = 64;
/// Two lines are alike if they share at least this part of their character pairs, in percent.
const SHARED_PERCENT_MIN: u32 = 50;

/// The lines that were looked for, cut to what fits a message.
pub(super) fn wanted(lines: &[&str]) -> String {
    let mut shown = String::new();
    for line in lines.iter().take(LINES_SHOWN_MAX) {
        let _ = writeln!(shown, "    {}", cut(line));
    }
    if lines.len() > LINES_SHOWN_MAX {
        let _ = writeln!(shown, "    ... {} more lines", lines.len() - LINES_SHOWN_MAX);
    }
    shown
}

/// The place in the file that is most like `wanted`, with line numbers; empty if none is.
pub(super) fn describe(text: &Text<'_>, wanted: &[&str]) -> String {
    let Some(start) = by_equal_lines(text, wanted).or_else(|| by_similar_line(text, wanted)) else {
        return "nothing in the file is like it".to_owned();
    };
    let end = (start + wanted.len().clamp(1, LINES_SHOWN_MAX)).min(text.lines.len());
    let mut shown = "the nearest lines of the file are:\n".to_owned();
    for at in start..end {
        let _ = writeln!(shown, "{:>6}| {}", at + 1, cut(&text.shown(at)));
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// The offset at which most of the wanted lines stand in the file.
fn by_equal_lines(text: &Text<'_>, wanted: &[&str]) -> Option<usize> {
    let mut votes: HashMap<usize, usize> = HashMap::new();
    for (offset, line) in wanted.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let found = text.alike(line);
        if found.len() <= OCCURRENCES_MAX {
            for start in found.iter().filter_map(|at| at.checked_sub(offset)) {
                *votes.entry(start).or_default() += 1;
            }
        }
    }
    votes.into_iter().max_by_key(|(start, n)| (*n, std::cmp::Reverse(*start))).map(|(start, _)| start)
}

fn by_similar_line(text: &Text<'_>, wanted: &[&str]) -> Option<usize> {
    let (offset, line) = wanted.iter().enumerate().find(|(_, line)| !line.trim().is_empty())?;
    let sought = pairs(line);
    let scores = (0..text.lines.len()).map(|at| (shared_percent(&sought, &pairs(&text.shown(at))), at));
    let (score, at) = scores.max_by_key(|(score, at)| (*score, std::cmp::Reverse(*at)))?;
    (score >= SHARED_PERCENT_MIN).then(|| at.saturating_sub(offset))
}

/// The set of a line's character pairs, as bits.
fn pairs(line: &str) -> [u64; 4] {
    let mut bits = [0; 4];
    for pair in line.trim().as_bytes().windows(2) {
        let hash = (usize::from(pair[0]).wrapping_mul(31)).wrapping_add(usize::from(pair[1]).wrapping_mul(131)) % 256;
        bits[hash / 64] |= 1 << (hash % 64);
    }
    bits
}

fn shared_percent(a: &[u64; 4], b: &[u64; 4]) -> u32 {
    let count = |bits: &[u64; 4]| bits.iter().map(|word| word.count_ones()).sum::<u32>();
    let shared: u32 = a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum();
    (200 * shared).checked_div(count(a) + count(b)).unwrap_or(0)
}

/// A line of a file, cut to what fits a message.
pub(super) fn cut(line: &str) -> String {
    let mut shown: String = line.chars().take(LINE_SHOWN_MAX).collect();
    if shown.len() < line.len() {
        shown.push_str(" ...");
    }
    shown
}
