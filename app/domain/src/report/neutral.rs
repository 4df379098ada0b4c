//! Makes text from outside harmless in a comment of ours.
//!
//! Nobody is mentioned, no issue is closed or linked, no HTML is raw, no image is loaded, and a link leads to the forge
//! itself or nowhere. The Markdown is parsed, the parts that could act are turned into code spans, and it is written
//! anew; what cannot be shown to be harmless after that is shown as it is in a code block.

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, TextMergeStream};
use pulldown_cmark_to_cmark::cmark;

use crate::brief::{is_hidden, visible};
use crate::effect::MARKER_START;

/// The longest address that is shown beside the text of a link that was taken out, in characters.
const ADDRESS_CHARS_MAX: usize = 200;
/// How many times longer Markdown may become by being written anew; nested quotes and lists grow.
const GROWTH_MAX: usize = 3;
/// The longest run of backticks that is shown as such.
const BACKTICKS_MAX: usize = 20;
/// The longest text that is shown in a code span of ours, in characters.
const CODE_CHARS_MAX: usize = 1_000;
/// Languages that GitHub does not show as text.
const ACTIVE_LANGUAGES: [&str; 6] = ["mermaid", "geojson", "topojson", "stl", "suggestion", "math"];

/// Writes somebody's Markdown anew without what could act; links stay only to `https://{host}/`. What is written is at
/// most three times as long as `chars_max`.
pub fn markdown(text: &str, host: &str, chars_max: usize) -> String {
    let (shown, _) = visible(text);
    let text = clip(&shown, chars_max);
    let events = harmless(&text, host);
    let mut written = String::new();
    let is_written = cmark(events.iter(), &mut written).is_ok();
    let is_short = written.chars().count() <= chars_max.saturating_mul(GROWTH_MAX);
    if is_written && is_short && is_harmless(&written, host) { written.trim().to_owned() } else { fence(&text) }
}

fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH
}

fn harmless<'a>(text: &'a str, host: &str) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    let mut addresses = Vec::new();
    let mut in_code_block = false;
    for event in TextMergeStream::new(Parser::new_ext(text, options())) {
        match event {
            Event::Start(Tag::Link { ref dest_url, .. }) if leads_home(dest_url, host) => {
                addresses.push(None);
                events.push(event);
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => addresses.push(Some(dest_url)),
            Event::End(TagEnd::Link | TagEnd::Image) => match addresses.pop().flatten() {
                Some(address) => {
                    events.extend([Event::Text(" (".into()), span(&address, ADDRESS_CHARS_MAX), Event::Text(")".into())])
                }
                None => events.push(event),
            },
            Event::Start(Tag::Heading { .. }) => events.extend([Event::Start(Tag::Paragraph), Event::Start(Tag::Strong)]),
            Event::End(TagEnd::Heading(_)) => events.extend([Event::End(TagEnd::Strong), Event::End(TagEnd::Paragraph)]),
            Event::Start(Tag::HtmlBlock) => events.push(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => events.push(Event::End(TagEnd::Paragraph)),
            Event::Html(html) | Event::InlineHtml(html) => events.push(span(html.trim(), usize::MAX)),
            Event::Start(Tag::CodeBlock(kind)) => {
                in_code_block = true;
                events.push(Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language(&kind)))));
            }
            Event::End(TagEnd::CodeBlock) => {
                in_code_block = false;
                events.push(event);
            }
            Event::Text(text) if !in_code_block => words(&text, &mut events),
            event => events.push(event),
        }
    }
    events
}

fn leads_home(address: &str, host: &str) -> bool {
    let rest = address.strip_prefix("https://").and_then(|rest| rest.strip_prefix(host));
    rest.is_some_and(|rest| rest.starts_with('/')) && !address.contains(char::is_whitespace)
}

fn language(kind: &CodeBlockKind<'_>) -> CowStr<'static> {
    let CodeBlockKind::Fenced(info) = kind else { return "".into() };
    let word = info.split_whitespace().next().unwrap_or_default().to_lowercase();
    let is_plain = word.len() <= 15 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-#".contains(&b));
    if is_plain && !ACTIVE_LANGUAGES.contains(&word.as_str()) { word.into() } else { "text".into() }
}

fn span(text: &str, chars_max: usize) -> Event<'static> {
    let line = clip(&text.split_whitespace().collect::<Vec<_>>().join(" "), chars_max);
    if line.is_empty() { Event::Text("".into()) } else { Event::Code(line.into()) }
}

/// Splits running text so that each word that GitHub would act on stands in a code span.
fn words(text: &str, events: &mut Vec<Event<'_>>) {
    let mut pending = String::new();
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        if acts(word) {
            let before = std::mem::take(&mut pending);
            events.extend([Event::Text(before.into()), Event::Code(word.to_owned().into())]);
            pending.push_str(&piece[word.len()..]);
        } else {
            pending.push_str(piece);
        }
    }
    events.push(Event::Text(pending.into()));
}

/// Whether GitHub would make a mention, a reference or a link of this word.
fn acts(word: &str) -> bool {
    let lower = word.to_lowercase();
    let follows =
        |mark: &str| lower.match_indices(mark).any(|(at, _)| lower[at + mark.len()..].starts_with(|c: char| c.is_ascii_digit()));
    lower.contains('@')
        || ["://", "www.", "mailto:", "xmpp:"].iter().any(|mark| lower.contains(mark))
        || follows("#")
        || follows("gh-")
}

/// Reads what was written as GitHub will.
fn is_harmless(written: &str, host: &str) -> bool {
    let mut in_code_block = false;
    TextMergeStream::new(Parser::new_ext(written, options())).all(|event| match event {
        Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::HtmlBlock | Tag::Image { .. } | Tag::Heading { .. }) => false,
        Event::Start(Tag::Link { dest_url, .. }) => leads_home(&dest_url, host),
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
            in_code_block = true;
            !ACTIVE_LANGUAGES.contains(&info.as_ref())
        }
        Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => {
            in_code_block = true;
            true
        }
        Event::End(TagEnd::CodeBlock) => {
            in_code_block = false;
            true
        }
        Event::Text(text) => in_code_block || !text.split_whitespace().any(acts),
        _ => true,
    })
}

/// A code block that nothing inside it can end, without characters that people do not see.
pub fn fence(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    let (shown, n_backticks) = backticks(&shown);
    fenced("text", shown.trim_end(), n_backticks)
}

/// Lines that the forge offers to put in the place of those that they stand beside, as they are or not at all: where a person would
/// not see all of them, or where they look like a mark of ours, there are none.
pub fn suggestion(lines: &str) -> Option<String> {
    let lines = lines.replace("\r\n", "\n");
    let lines = lines.strip_suffix('\n').unwrap_or(&lines);
    let (shown, n_backticks) = backticks(lines);
    let is_seen = shown == lines && !lines.chars().any(is_hidden) && !lines.contains(MARKER_START);
    is_seen.then(|| fenced("suggestion", lines, n_backticks))
}

fn fenced(language: &str, text: &str, n_backticks: usize) -> String {
    let fence = "`".repeat(n_backticks.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}")
}

/// One line of plain text for places where no Markdown is read, such as titles.
pub fn plain(text: &str, chars_max: usize) -> String {
    let (shown, _) = visible(text);
    clip(&shown.split_whitespace().collect::<Vec<_>>().join(" "), chars_max)
}

/// One line of plain text that also does nothing where GitHub looks for mentions and references in plain text, as it does
/// in commit messages: a space stands in each.
pub fn inert(text: &str, chars_max: usize) -> String {
    let line = plain(text, chars_max);
    let lower = line.to_ascii_lowercase();
    let mut written = String::with_capacity(line.len());
    for (at, c) in line.char_indices() {
        let (before, behind) = (&lower[..at + c.len_utf8()], &line[at + c.len_utf8()..]);
        written.push(c);
        let is_number = behind.starts_with(|c: char| c.is_ascii_digit()) && (c == '#' || before.ends_with("gh-"));
        if c == '@' || is_number || (c == ':' && behind.starts_with("//")) {
            written.push(' ');
        }
    }
    clip(&written, chars_max)
}

/// A code span in the cell of a table. A backslash before a pipe is read differently by different readers.
pub fn cell(text: &str, chars_max: usize) -> String {
    code(&clip(text, chars_max)).replace("\\|", "\\¦").replace('|', "\\|")
}

/// A code span that nothing inside it can end.
pub fn code(text: &str) -> String {
    let line = plain(text, CODE_CHARS_MAX);
    let (line, n_backticks) = backticks(&line);
    let fence = "`".repeat(n_backticks + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') || line.is_empty() { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// The text and the length of its longest run of backticks; where that is absurd, they become apostrophes.
fn backticks(text: &str) -> (String, usize) {
    match text.split(|c| c != '`').map(str::len).max().unwrap_or(0) {
        n_longest @ 0..=BACKTICKS_MAX => (text.to_owned(), n_longest),
        _ => (text.replace('`', "'"), 0),
    }
}

/// Cuts by characters, and says so with an ellipsis.
pub fn clip(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests;
