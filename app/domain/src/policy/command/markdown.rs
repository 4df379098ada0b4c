//! The running text of what people write on GitHub.
//!
//! A mention inside a code block, a code span, a quote, a link, an image, an HTML block or comment, struck-through text or an
//! e-mail address calls nobody; nor does what stands in an answer by mail below the answer.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::brief::beginning;
use crate::event::Untrusted;

/// The most bytes of a text that are read for commands; GitHub's own limit is 65,536 characters.
pub(super) const TEXT_BYTES_MAX: usize = 4 * 65_536;
/// Stands for an `@` that calls nobody, because of where it was written.
const DEAF_AT: char = '\u{fffc}';

/// A part of a paragraph as it was written, in one line.
pub(super) fn heard(text: &str) -> String {
    text.replace(DEAF_AT, "@").replace('\n', " ")
}

/// A paragraph, heading, list item or table cell.
#[derive(Default)]
pub(super) struct Paragraph {
    /// Its running text; where no command may stand, `@` is deaf.
    pub(super) text: String,
    /// Whether it is part of no list or table.
    pub(super) is_apart: bool,
}

/// Elements whose content is not the writer's own words to us, or shown as an example or taken back.
const DEAF_ELEMENTS: &[&str] = &["blockquote", "code", "del", "kbd", "pre", "s", "samp", "strike"];

/// Reads the writer's paragraphs.
pub(super) fn paragraphs(text: &Untrusted) -> Vec<Paragraph> {
    let markdown = written(beginning(text.raw(), TEXT_BYTES_MAX));
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_GFM;
    let mut paragraphs = vec![Paragraph { is_apart: true, ..Paragraph::default() }];
    let (mut deaf_depth, mut listed_depth) = (0_usize, 0_usize);
    let mut elements = Elements::default();
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        let text = match event {
            Event::Start(tag) => {
                deaf_depth += usize::from(is_deaf(&tag));
                listed_depth += usize::from(is_listed(tag.to_end()));
                if is_block(&tag.to_end()) { None } else { Some(String::new()) }
            }
            Event::End(tag) => {
                deaf_depth -= usize::from(is_deaf_end(tag));
                listed_depth -= usize::from(is_listed(tag));
                if is_block(&tag) {
                    elements.end_block();
                }
                if is_block(&tag) { None } else { Some(String::new()) }
            }
            Event::Text(text) => {
                let is_escaped = range.start > 0 && markdown.as_bytes()[range.start - 1] == b'\\' && text.starts_with('@');
                let is_deaf = deaf_depth > 0 || is_escaped || elements.are_open();
                Some(if is_deaf { deafen(&text) } else { text.into_string() })
            }
            Event::Code(code) => Some(format!("`{}`", deafen(&code))),
            Event::SoftBreak | Event::HardBreak => Some("\n".into()),
            Event::Rule => Some(" ".into()),
            Event::Html(html) => {
                elements.read_block(&html);
                Some(" ".into())
            }
            Event::InlineHtml(html) => {
                elements.read_inline(&html);
                Some(" ".into())
            }
            Event::FootnoteReference(_) | Event::TaskListMarker(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {
                Some(String::new())
            }
        };
        match (text, paragraphs.last_mut()) {
            (Some(text), Some(paragraph)) => paragraph.text.push_str(&text),
            (None, _) | (Some(_), None) => {
                paragraphs.push(Paragraph { text: String::new(), is_apart: listed_depth == 0 });
            }
        }
    }
    paragraphs
}

/// How many elements are open whose content is deaf.
#[derive(Default)]
struct Elements {
    /// Around paragraphs.
    n_blocks: usize,
    /// Within this one; what is not closed there, such as `Parser<S>`, ends with it.
    n_inline: usize,
    /// Whether a comment is open that began in an earlier line.
    in_comment: bool,
}

impl Elements {
    fn are_open(&self) -> bool {
        self.n_blocks + self.n_inline > 0
    }

    fn read_block(&mut self, html: &str) {
        let tags = self.without_comments(html);
        self.n_blocks = counted(self.n_blocks, &tags);
    }

    fn read_inline(&mut self, html: &str) {
        if !html.starts_with("<!--") {
            self.n_inline = counted(self.n_inline, html);
        }
    }

    fn end_block(&mut self) {
        self.n_inline = 0;
    }

    fn without_comments(&mut self, html: &str) -> String {
        let (mut tags, mut rest) = (String::new(), html);
        loop {
            let mark = if self.in_comment { "-->" } else { "<!--" };
            let Some((before, behind)) = rest.split_once(mark) else { break };
            if !self.in_comment {
                tags.push_str(before);
            }
            self.in_comment = !self.in_comment;
            rest = behind;
        }
        if !self.in_comment {
            tags.push_str(rest);
        }
        tags
    }
}

/// How many are open behind these tags.
fn counted(n_open: usize, html: &str) -> usize {
    html.split('<').skip(1).fold(n_open, |n_open, tag| {
        let (is_end, name) = match tag.strip_prefix('/') {
            Some(name) => (true, name),
            None => (false, tag),
        };
        let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_ascii_lowercase();
        match (DEAF_ELEMENTS.contains(&name.as_str()), is_end) {
            (false, _) => n_open,
            (true, true) => n_open.saturating_sub(1),
            (true, false) => n_open.saturating_add(1),
        }
    })
}

/// How many lines below `From:` a quoted mail says when it was sent.
const HEADER_LINES_MAX: usize = 4;
/// How long Outlook's line above a quoted mail is, in underscores.
const RULE_CHARS: usize = 32;

/// What stands above the mail that an answer by mail repeats, where it is not marked as a quote.
fn written(markdown: &str) -> &str {
    let (mut at, mut in_code) = (0, false);
    let mut lines = markdown.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let bare = line.trim();
        if bare.starts_with("```") || bare.starts_with("~~~") {
            in_code = !in_code;
        }
        if !in_code && !line.starts_with("    ") && begins_mail(bare, lines.clone()) {
            return &markdown[..at];
        }
        at += line.len();
    }
    markdown
}

fn begins_mail<'a>(line: &str, below: impl Iterator<Item = &'a str>) -> bool {
    let bare = line.trim_matches(|c| c == '*' || c == ' ');
    let is_sent = |line: &str| {
        let bare = line.trim().trim_start_matches('*');
        ["Sent:", "Date:"].iter().any(|header| bare.starts_with(header))
    };
    let is_rule = bare.len() == RULE_CHARS && bare.bytes().all(|b| b == b'_');
    let is_header = bare.starts_with("From:") && below.take(HEADER_LINES_MAX).any(is_sent);
    let is_named = bare.starts_with("-----Original Message") || bare.starts_with("Reply to this email directly");
    is_rule || is_header || is_named
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

fn is_listed(tag: TagEnd) -> bool {
    matches!(tag, TagEnd::Item | TagEnd::TableCell)
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
