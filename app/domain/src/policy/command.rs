//! Reads commands out of a comment's Markdown.
//!
//! ```text
//! command = mention [","|":"] ("fix" [request] | "prove" ["build"])
//! ```
//! The mention stands as a word of its own in running text. One inside a code block, a code span, a quote, a link, an
//! image, an HTML block or comment, struck-through text or an e-mail address is no command. The request is the rest of
//! its paragraph; "this" and "it" alone mean the issue itself. What else stands behind "prove" says nothing.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::brief::beginning;
use crate::event::Untrusted;

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Change the code.
    Fix {
        /// What was written behind the word, if it says anything.
        request: Option<Untrusted>,
    },
    /// Run the proof on what the pull request changes.
    Prove {
        /// Whether it mends what does not build or load.
        is_about_the_build: bool,
    },
    /// A word that is no command.
    Unknown {
        /// The word, shortened and in plain letters.
        word: String,
    },
}

/// The most bytes of a comment that are read for commands; GitHub's own limit is 65,536 characters.
const COMMENT_BYTES_MAX: usize = 4 * 65_536;
/// The longest unknown command that is repeated in a reason, in characters.
const WORD_CHARS_MAX: usize = 30;
/// Stands for an `@` that calls nobody, because of where it was written.
const DEAF_AT: char = '\u{fffc}';

/// Finds the first command to `mention` (with its `@`) in a comment.
pub fn parse(mention: &str, comment: &Untrusted) -> Option<Command> {
    let markdown = beginning(comment.raw(), COMMENT_BYTES_MAX);
    paragraphs(markdown).iter().find_map(|paragraph| in_paragraph(mention, paragraph))
}

fn in_paragraph(mention: &str, paragraph: &str) -> Option<Command> {
    let lower = paragraph.to_ascii_lowercase();
    let mention = mention.to_ascii_lowercase();
    let mut from = 0;
    while let Some(found) = lower[from..].find(&mention) {
        let start = from + found;
        let end = start + mention.len();
        from = end;
        let is_word = !paragraph[..start].ends_with(|c: char| c.is_alphanumeric() || "@/_-.".contains(c));
        let rest = paragraph[end..].strip_prefix([',', ':']).unwrap_or(&paragraph[end..]);
        if is_word && (rest.starts_with(char::is_whitespace)) {
            return Some(command(rest.trim_start()));
        }
    }
    None
}

fn command(text: &str) -> Command {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word.eq_ignore_ascii_case("prove") {
        let word = rest.trim_start().split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).next();
        return Command::Prove { is_about_the_build: word.is_some_and(|word| word.eq_ignore_ascii_case("build")) };
    }
    if !word.eq_ignore_ascii_case("fix") {
        let word = word.chars().take(WORD_CHARS_MAX).collect();
        return Command::Unknown { word };
    }
    let request = rest.trim_start_matches([',', ':', ' ']).trim().replace(DEAF_AT, "@");
    let says_something = request.split_whitespace().any(|word| !points_to_the_issue(word));
    Command::Fix { request: says_something.then(|| Untrusted::new(request)) }
}

/// Whether a word of a request says nothing that the issue does not say.
fn points_to_the_issue(word: &str) -> bool {
    let bare = word.trim_end_matches(['.', ',', '!', '?', ':', ';', ')']).to_lowercase();
    matches!(bare.as_str(), "" | "this" | "it" | "the" | "issue" | "please")
}

/// The running text of each paragraph, heading, list item and table cell; where no command may stand, `@` is deaf.
fn paragraphs(markdown: &str) -> Vec<String> {
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

#[cfg(test)]
mod tests;
