//! The texts that a few lines can be read as: as they stand, joined where a text goes on in the next line, backwards, and
//! decoded.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode;

/// How often what was decoded is decoded again.
const DEPTH_MAX: usize = 2;
/// The shortest text that is decoded as base64, in characters.
const BASE64_CHARS_MIN: usize = 20;
/// The shortest text that is decoded as hexadecimal digits, in characters.
const HEX_CHARS_MIN: usize = 32;
/// How many bytes a word must have in percent signs to be decoded.
const PERCENTS_MIN: usize = 3;

/// One text, and where its parts come from.
pub(super) struct Layer {
    pub(super) bytes: Vec<u8>,
    /// From which byte on it comes from which line.
    origins: Vec<(usize, u32)>,
    /// Whether what stands around a secret in it is what stands around it in the file.
    pub(super) has_surroundings: bool,
}

impl Layer {
    fn new(has_surroundings: bool) -> Self {
        Self { bytes: Vec::new(), origins: Vec::new(), has_surroundings }
    }

    fn push(&mut self, bytes: &[u8], line: u32) {
        self.origins.push((self.bytes.len(), line));
        self.bytes.extend_from_slice(bytes);
    }

    /// The line that a byte comes from.
    pub(super) fn line_at(&self, offset: usize) -> u32 {
        let next = self.origins.partition_point(|(start, _)| *start <= offset);
        next.checked_sub(1).map_or(0, |index| self.origins[index].1)
    }
}

/// All that these lines can be read as.
pub(super) fn layers(lines: &[(u32, &str)]) -> Vec<Layer> {
    let joined = joined(lines);
    let mut layers = vec![plain(lines), backwards(lines)];
    let mut decoded = decoded(&joined);
    layers.push(joined);
    for depth in 1..=DEPTH_MAX {
        if decoded.bytes.is_empty() {
            break;
        }
        let next = if depth < DEPTH_MAX { self::decoded(&decoded) } else { Layer::new(false) };
        layers.push(std::mem::replace(&mut decoded, next));
    }
    layers
}

fn plain(lines: &[(u32, &str)]) -> Layer {
    let mut plain = Layer::new(true);
    for (line, text) in lines {
        plain.push(text.as_bytes(), *line);
        plain.bytes.push(b'\n');
    }
    plain
}

fn backwards(lines: &[(u32, &str)]) -> Layer {
    let mut backwards = Layer::new(false);
    for (line, text) in lines.iter().rev() {
        let text: Vec<u8> = text.bytes().rev().collect();
        backwards.push(&text, *line);
        backwards.bytes.push(b'\n');
    }
    backwards
}

/// The lines with the joints taken out at which the parts of one text meet: quotes with an operator between them, and the
/// ends of lines.
fn joined(lines: &[(u32, &str)]) -> Layer {
    let mut joined = Layer::new(false);
    let mut before = End::default();
    for (line, text) in lines {
        let text = without_sign(text.trim());
        let goes_on = text.ends_with('\\');
        let text = text.trim_end_matches('\\').trim_end();
        let is_bare = !text.is_empty() && text.trim_end_matches('=').bytes().all(is_base64);
        let opens = text.starts_with(is_quote);
        let meets = before.goes_on || before.closes && opens || before.is_bare && is_bare;
        if !meets && !joined.bytes.is_empty() {
            joined.bytes.push(b'\n');
        }
        let whole = without_joints(text);
        let end = whole.trim_end_matches(is_operator).strip_suffix(is_quote);
        let inner = end.unwrap_or(&whole);
        let inner = if meets && before.closes { inner.strip_prefix(is_quote).unwrap_or(inner) } else { inner };
        joined.push(inner.as_bytes(), *line);
        before = End { goes_on, closes: end.is_some(), is_bare };
    }
    joined
}

/// How a line ends.
#[derive(Default)]
struct End {
    goes_on: bool,
    closes: bool,
    is_bare: bool,
}

/// A line without the sign of a comment or an operator before its text.
fn without_sign(text: &str) -> &str {
    ["// ", "# ", "* ", "+ ", ". ", "& ", "-- "].iter().find_map(|sign| text.strip_prefix(sign)).unwrap_or(text).trim_start()
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`')
}

/// What may stand between two parts of a text that belong together.
fn is_operator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '+' | '.' | ',' | '&')
}

/// A line in which `"ab" + "cd"` has become `"abcd"`.
fn without_joints(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_quote) {
        let (before, quote) = rest.split_at(at);
        whole.push_str(before);
        let behind = &quote[1..];
        let next = behind.trim_start_matches(is_operator);
        match next.strip_prefix(is_quote) {
            Some(next) if !whole.is_empty() => rest = next,
            Some(_) | None => {
                whole.push_str(&quote[..1]);
                rest = behind;
            }
        }
    }
    whole.push_str(rest);
    whole
}

/// All that stands encoded in a text, one after the other.
fn decoded(layer: &Layer) -> Layer {
    let mut decoded = Layer::new(false);
    let mut keep = |bytes: Vec<u8>, at: usize| {
        decoded.push(&bytes, layer.line_at(at));
        decoded.bytes.push(b'\n');
    };
    for (at, run) in runs(&layer.bytes, is_base64, BASE64_CHARS_MIN) {
        // What stands before it in the same run shifts it.
        for shift in 0..4 {
            keep(base64(&run[shift..]), at);
        }
    }
    for (at, run) in runs(&layer.bytes, |byte| byte.is_ascii_hexdigit(), HEX_CHARS_MIN) {
        for shift in 0..2 {
            let digits = &run[shift..];
            keep(hex::decode(&digits[..digits.len() / 2 * 2]).unwrap_or_default(), at);
        }
    }
    let is_of_word = |byte: u8| byte.is_ascii_graphic() && !is_quote(char::from(byte));
    for (at, word) in runs(&layer.bytes, is_of_word, PERCENTS_MIN * 3) {
        if word.iter().filter(|byte| **byte == b'%').count() >= PERCENTS_MIN {
            keep(percent_decode(word).collect(), at);
        }
    }
    decoded
}

/// The longest stretches of such bytes, and where each begins.
fn runs(bytes: &[u8], is_in: impl Fn(u8) -> bool, least: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    let pieces = bytes.split(move |byte| !is_in(*byte)).map(move |piece| {
        let start = at;
        at += piece.len() + 1;
        (start, piece)
    });
    pieces.filter(move |(_, piece)| piece.len() >= least)
}

/// Of either alphabet.
fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn base64(run: &[u8]) -> Vec<u8> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    let standard = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => *byte,
    };
    let whole = if run.len() % 4 == 1 { &run[..run.len() - 1] } else { run };
    let digits: Vec<u8> = whole.iter().map(standard).collect();
    GeneralPurpose::new(&STANDARD, config).decode(digits).unwrap_or_default()
}
