//! A file as lines, and where in it a run of lines occurs.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How many line comparisons one file may cost, so that no patch keeps a worker busy.
const COMPARISONS_MAX: u64 = 20_000_000;

/// One line of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) content: &'a [u8],
    /// `\n`, `\r\n`, or nothing at the end of a file.
    pub(super) eol: &'a [u8],
}

/// How loosely a line was taken for another; a smaller one is a better match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    Exact,
    TrailingSpace,
    Indentation,
    Punctuation,
}

/// A place where a run of lines occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) likeness: Likeness,
}

/// A file as lines, with an index from folded line to line numbers.
pub(super) struct Text<'a> {
    pub(super) bom: &'a [u8],
    pub(super) lines: Vec<Line<'a>>,
    encoding: Encoding,
    index: HashMap<String, Vec<usize>>,
    n_comparisons: Cell<u64>,
}

/// How the bytes of a file are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    /// Some lines are no UTF-8; they are kept as they are, and what is added is UTF-8.
    Mixed,
    /// Every line that is not ASCII is no UTF-8: what is added is written in ISO 8859-1.
    Latin1,
}

impl<'a> Text<'a> {
    pub(super) fn of(content: &'a [u8]) -> Self {
        let (bom, rest) = if content.starts_with(BOM) { content.split_at(BOM.len()) } else { content.split_at(0) };
        let lines: Vec<Line<'a>> = rest.split_inclusive(|byte| *byte == b'\n').map(line).collect();
        let encoding = encoding(rest, &lines);
        let mut index: HashMap<String, Vec<usize>> = HashMap::with_capacity(lines.len());
        for (at, line) in lines.iter().enumerate() {
            index.entry(fold(&decode(line.content), encoding)).or_default().push(at);
        }
        Self { bom, lines, encoding, index, n_comparisons: Cell::new(0) }
    }

    /// The lines that are equal to this one but for white space and the kind of quotes and dashes, in order.
    pub(super) fn alike(&self, line: &str) -> &[usize] {
        self.index.get(&fold(line, self.encoding)).map_or(&[], Vec::as_slice)
    }

    /// Every place where `wanted` occurs, in order; `None` if that is too much work.
    pub(super) fn places(&self, wanted: &[&str]) -> Option<Vec<Place>> {
        let rarest = wanted.iter().enumerate().min_by_key(|(_, line)| self.alike(line).len());
        let Some((offset, line)) = rarest else { return Some(Vec::new()) };
        let folded: Vec<String> = wanted.iter().map(|line| fold(line, self.encoding)).collect();
        let mut places = Vec::new();
        for at in self.alike(line) {
            let Some(start) = at.checked_sub(offset) else { continue };
            if start + wanted.len() > self.lines.len() {
                continue;
            }
            if let Some(likeness) = self.likeness_of_run(start, wanted, &folded)? {
                places.push(Place { at: start, likeness });
            }
        }
        Some(places)
    }

    /// The worst likeness of a run; the outer option is empty where the work is too much, the inner where a line differs.
    fn likeness_of_run(&self, start: usize, wanted: &[&str], folded: &[String]) -> Option<Option<Likeness>> {
        let mut worst = Likeness::Exact;
        for ((line, wanted), folded) in self.lines[start..].iter().zip(wanted).zip(folded) {
            self.n_comparisons.set(self.n_comparisons.get() + 1);
            if self.n_comparisons.get() > COMPARISONS_MAX {
                return None;
            }
            match self.likeness(line.content, wanted, folded) {
                Some(likeness) => worst = worst.max(likeness),
                None => return Some(None),
            }
        }
        Some(Some(worst))
    }

    fn likeness(&self, content: &[u8], wanted: &str, folded: &str) -> Option<Likeness> {
        if content == wanted.as_bytes() {
            return Some(Likeness::Exact);
        }
        let content = decode(content);
        if content == wanted {
            Some(Likeness::Exact)
        } else if content.trim_end() == wanted.trim_end() {
            Some(Likeness::TrailingSpace)
        } else if content.trim() == wanted.trim() {
            Some(Likeness::Indentation)
        } else if fold(&content, self.encoding) == folded {
            Some(Likeness::Punctuation)
        } else {
            None
        }
    }

    /// The lines that hold `part`, for a context that is cut short.
    pub(super) fn containing(&self, part: &str) -> Vec<usize> {
        let part = part.trim();
        let holds = |line: &Line<'_>| decode(line.content).contains(part);
        self.lines.iter().enumerate().filter(|(_, line)| holds(line)).map(|(at, _)| at).collect()
    }

    /// A new line's bytes in the file's encoding; `None` if it has characters that the encoding lacks.
    pub(super) fn encode(&self, line: &str) -> Option<Vec<u8>> {
        let damaged = self.encoding != Encoding::Utf8 && line.contains('\u{fffd}');
        match self.encoding {
            _ if damaged => None,
            Encoding::Utf8 | Encoding::Mixed => Some(line.as_bytes().to_vec()),
            Encoding::Latin1 => line.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
        }
    }

    /// The first line ending of the file.
    pub(super) fn eol(&self) -> &'a [u8] {
        self.lines.first().map(|line| line.eol).filter(|eol| !eol.is_empty()).unwrap_or(b"\n")
    }

    /// A line as text, for a message.
    pub(super) fn shown(&self, at: usize) -> Cow<'a, str> {
        decode(self.lines[at].content)
    }
}

fn line(bytes: &[u8]) -> Line<'_> {
    let n_eol = if bytes.ends_with(b"\r\n") { 2 } else { usize::from(bytes.ends_with(b"\n")) };
    let (content, eol) = bytes.split_at(bytes.len() - n_eol);
    Line { content, eol }
}

fn encoding(content: &[u8], lines: &[Line<'_>]) -> Encoding {
    if std::str::from_utf8(content).is_ok() {
        return Encoding::Utf8;
    }
    let wide = |line: &Line<'_>| !line.content.is_ascii() && std::str::from_utf8(line.content).is_ok();
    if lines.iter().any(wide) { Encoding::Mixed } else { Encoding::Latin1 }
}

/// UTF-8, or else each byte as the character of ISO 8859-1 that it is.
fn decode(content: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(content) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(content.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// Brings lines that should count as equal to one form: no outer white space, plain quotes, dashes and spaces. In a file
/// that is not UTF-8 the model saw replacement characters, so there every run of characters outside ASCII is one.
fn fold(line: &str, encoding: Encoding) -> String {
    let mut folded = String::with_capacity(line.len());
    for c in line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').chars() {
        match plain(c) {
            c if c.is_ascii() || encoding == Encoding::Utf8 => folded.push(c),
            _ if folded.ends_with('\u{fffd}') => {}
            _ => folded.push('\u{fffd}'),
        }
    }
    folded
}

fn plain(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        other => other,
    }
}
