//! The running text of what people write on GitHub.
//!
//! A mention inside a code block, a code span, a quote, a link, an image, an HTML block or comment, struck-through text or an
//! e-mail address calls nobody.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::brief::beginning;
use crate::event::Untrusted;

/// The most bytes of a text that are read for commands; GitHub's own limit is 65,536 characters.
pub(super) const TEXT_BYTES_MAX: usize = 4 * 65_536;
/// Stands for an `@` that calls nobody, because of where it was written.
const DEAF_AT: char = '\u{fffc}';

/// A part of a paragraph as it was written.
pub(super) fn heard(text: &str) -> String {
    text.replace(DEAF_AT, "@")
}

/// The running text of each paragraph, heading, list item and table cell; where no command may stand, `@` is deaf.
pub(super) fn paragraphs(text: &Untrusted) -> Vec<String> {
    let markdown = beginning(text.raw(), TEXT_BYTES_MAX);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_GFM;
    let mut paragraphs = vec![String::new()];
    let mut deaf_depth = 0_usize;
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        let text = match event {
            Event::Start(tag) => {
                deaf_depth += usize::from(is_deaf(&tag));
                if is_block(&tag.to_end()) { None } else { Some(String::new()) }
            }
            Event::End(tag) => {
                deaf_depth -= usize::from(is_deaf_end(tag));
                if is_block(&tag) { None } else { Some(String::new()) }
            }
            Event::Text(text) => {
                let is_escaped = range.start > 0 && markdown.as_bytes()[range.start - 1] == b'\\' && text.starts_with('@');
                Some(if deaf_depth > 0 || is_escaped { deafen(&text) } else { text.into_string() })
            }
            Event::Code(code) => Some(format!("`{}`", deafen(&code))),
            Event::SoftBreak | Event::HardBreak => Some(" ".into()),
            Event::Html(_) | Event::InlineHtml(_) | Event::Rule => Some(" ".into()),
            Event::FootnoteReference(_) | Event::TaskListMarker(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {
                Some(String::new())
            }
        };
        match (text, paragraphs.last_mut()) {
            (Some(text), Some(paragraph)) => paragraph.push_str(&text),
            (None, _) | (Some(_), None) => paragraphs.push(String::new()),
        }
    }
    paragraphs
}

fn deafen(text: &str) -> String {
    text.replace('@', DEAF_AT.encode_utf8(&mut [0; 4]))
}

fn is_deaf(tag: &Tag<'_>) -> bool {
    is_deaf_end(tag.to_end())
}

fn is_deaf_end(tag: TagEnd) -> bool {
    matches!(
        tag,
        TagEnd::BlockQuote(_) | TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::Link | TagEnd::Image | TagEnd::Strikethrough
    )
}

fn is_block(tag: &TagEnd) -> bool {
    !matches!(
        tag,
        TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Link
            | TagEnd::Image
            | TagEnd::Superscript
            | TagEnd::Subscript
    )
}
