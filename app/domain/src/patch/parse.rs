//! From text to hunks: lenient where the meaning is certain, with the line number where it is not.

use crate::patch::{Chunk, Hint, Hunk, PatchError, PatchLine, path};

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File:";
const DELETE: &str = "*** Delete File:";
const UPDATE: &str = "*** Update File:";
const MOVE: &str = "*** Move to:";
const END_OF_FILE: &str = "*** End of File";
const HEADERS: &str = "'*** Add File: {path}', '*** Delete File: {path}', '*** Update File: {path}'";

/// How many wrappers around a patch are taken off.
const WRAPPERS_MAX: usize = 3;

/// The lines of a patch with a cursor.
struct Lines<'a> {
    lines: Vec<&'a str>,
    /// The same lines with the carriage returns that belong to the text and not to the way it was carried.
    with_returns: Vec<&'a str>,
    /// Index of the next line.
    at: usize,
    /// Index behind the last line.
    end: usize,
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a str> {
        (self.at < self.end).then(|| self.lines[self.at])
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.peek()?;
        self.at += 1;
        Some(line)
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(|line| line.trim().is_empty()) {
            self.at += 1;
        }
    }

    /// Skips blank lines only where they are no context: before a header or `@@`.
    fn skip_blank_before_marker(&mut self) {
        let n_blank = self.lines[self.at..self.end].iter().take_while(|line| line.trim().is_empty()).count();
        let next = self.lines[..self.end].get(self.at + n_blank).map_or("***", |line| line.trim_start());
        if next.starts_with("***") || next.starts_with("@@") {
            self.at += n_blank;
        }
    }

    fn malformed(&self, index: usize, reason: impl Into<String>) -> PatchError {
        PatchError::Malformed { line: index + 1, reason: reason.into() }
    }
}

/// Reads a whole patch.
pub(super) fn patch(text: &str) -> Result<Vec<Hunk>, PatchError> {
    let with_returns: Vec<&str> = text.split('\n').collect();
    let lines: Vec<&str> = with_returns.iter().map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let is_carried_in_crlf = with_returns[..with_returns.len() - 1].iter().all(|line| line.ends_with('\r'));
    let with_returns = if is_carried_in_crlf { lines.clone() } else { with_returns };
    let mut lines = Lines { at: 0, end: lines.len(), lines, with_returns };
    unwrap_envelope(&mut lines)?;
    let mut hunks = Vec::new();
    lines.skip_blank();
    while lines.peek().is_some() {
        hunks.push(hunk(&mut lines)?);
        lines.skip_blank();
    }
    if hunks.is_empty() {
        return Err(lines.malformed(lines.at.min(lines.lines.len() - 1), "the patch has no hunk"));
    }
    Ok(hunks)
}

/// Takes off blank lines, code fences, a heredoc and the two markers.
fn unwrap_envelope(lines: &mut Lines<'_>) -> Result<(), PatchError> {
    for _ in 0..WRAPPERS_MAX {
        trim_blank(lines);
        let (Some(first), Some(last)) = (lines.peek(), lines.end.checked_sub(1).map(|index| lines.lines[index])) else { break };
        let fenced = first.trim().starts_with("```");
        let heredoc = heredoc_word(first).is_some_and(|word| last.trim() == word);
        if !fenced && !heredoc {
            break;
        }
        lines.at += 1;
        if heredoc || last.trim() == "```" {
            lines.end -= 1;
        }
    }
    trim_blank(lines);
    match lines.peek().map(str::trim) {
        Some(BEGIN) => lines.at += 1,
        Some(line) if is_header(line) => {}
        _ => {
            return Err(
                lines.malformed(lines.at.min(lines.lines.len() - 1), format!("the first line of the patch must be '{BEGIN}'"))
            );
        }
    }
    if lines.end > lines.at && lines.lines[lines.end - 1].trim() == END {
        lines.end -= 1;
    }
    Ok(())
}

fn trim_blank(lines: &mut Lines<'_>) {
    lines.skip_blank();
    while lines.end > lines.at && lines.lines[lines.end - 1].trim().is_empty() {
        lines.end -= 1;
    }
}

/// The end word, if the line is `<<WORD` or that behind the name of the tool.
fn heredoc_word(line: &str) -> Option<&str> {
    let line = line.trim();
    let rest = ["apply_patch", "applypatch"].iter().find_map(|name| line.strip_prefix(name));
    end_word(rest.unwrap_or(line))
}

/// The word of `<<WORD`, quoted or not, if nothing else stands there.
pub(crate) fn end_word(opening: &str) -> Option<&str> {
    let word = opening.trim().strip_prefix("<<")?;
    let word = word.strip_prefix('-').unwrap_or(word).trim();
    let bare = ['\'', '"'].iter().find_map(|quote| word.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(word);
    (!bare.is_empty() && bare.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then_some(bare)
}

fn is_header(line: &str) -> bool {
    [ADD, DELETE, UPDATE].iter().any(|header| line.starts_with(header))
}

fn hunk(lines: &mut Lines<'_>) -> Result<Hunk, PatchError> {
    let index = lines.at;
    let line = lines.next().unwrap_or_default().trim();
    if let Some(name) = line.strip_prefix(ADD) {
        let path = path::normal(name)?;
        Ok(Hunk::Add { path, content: added(lines)? })
    } else if let Some(name) = line.strip_prefix(DELETE) {
        Ok(Hunk::Delete { path: path::normal(name)? })
    } else if let Some(name) = line.strip_prefix(UPDATE) {
        update(lines, index, path::normal(name)?)
    } else if line == END {
        Err(lines.malformed(index, format!("there is text behind '{END}'")))
    } else {
        Err(lines.malformed(index, format!("'{}' is not a valid hunk header; valid ones are {HEADERS}", excerpt(line))))
    }
}

/// The lines of a new file; an empty line between two added ones is one whose mark was forgotten.
///
/// A new file has no line endings to keep, so a carriage return at the end of its line is written, unless all lines of the
/// patch have one.
fn added(lines: &mut Lines<'_>) -> Result<String, PatchError> {
    let mut content = String::new();
    let mut n_blank = 0;
    while let Some(line) = lines.peek() {
        if line.starts_with('+') {
            let text = &lines.with_returns[lines.at][1..];
            content.extend(std::iter::repeat_n('\n', n_blank));
            n_blank = 0;
            content.push_str(text);
            content.push('\n');
        } else if line.is_empty() {
            n_blank += 1;
        } else if line.trim_start().starts_with("***") {
            break;
        } else {
            let reason = format!("'{}' has no '+': every line of an added file starts with it", excerpt(line));
            return Err(lines.malformed(lines.at, reason));
        }
        lines.at += 1;
    }
    Ok(content)
}

fn update(lines: &mut Lines<'_>, header: usize, path: String) -> Result<Hunk, PatchError> {
    let mut move_to = None;
    if let Some(name) = lines.peek().and_then(|line| line.trim().strip_prefix(MOVE)) {
        move_to = Some(path::normal(name)?);
        lines.at += 1;
    }
    skip_diff_header(lines);
    let mut chunks = Vec::new();
    let mut has_chunk = false;
    lines.skip_blank_before_marker();
    while lines.peek().is_some_and(|line| !is_header(line.trim()) && line.trim() != END) {
        let chunk = chunk(lines)?;
        has_chunk = true;
        if chunk.at_end {
            lines.skip_blank_before_marker();
            if let Some(line) = lines.peek().filter(|line| matches!(line.chars().next(), Some(' ' | '-' | '+'))) {
                let reason = format!("behind `{END_OF_FILE}` a chunk begins with `@@`, and not with '{}'", excerpt(line));
                return Err(lines.malformed(lines.at, reason));
            }
        }
        // Blank lines alone are the space between two chunks, whatever the file has.
        let has_text = chunk.lines.iter().any(|line| !matches!(line, PatchLine::Keep(text) if text.is_empty()));
        if has_text || !chunk.contexts.is_empty() {
            chunks.push(chunk);
        }
    }
    if !has_chunk && move_to.is_none() {
        return Err(lines.malformed(header, format!("the update of '{path}' is empty")));
    }
    Ok(Hunk::Update { path, move_to, chunks })
}

/// A model that thinks in `git diff` writes its file header here as well; it says nothing new.
fn skip_diff_header(lines: &mut Lines<'_>) {
    let git = |line: &str| line.starts_with("diff --git ") || line.starts_with("index ");
    while lines.peek().is_some_and(git) {
        lines.at += 1;
    }
    let next = lines.lines[..lines.end].get(lines.at + 1);
    if lines.peek().is_some_and(|line| line.starts_with("--- ")) && next.is_some_and(|line| line.starts_with("+++ ")) {
        lines.at += 2;
    }
}

fn chunk(lines: &mut Lines<'_>) -> Result<Chunk, PatchError> {
    let start = lines.at;
    let mut chunk = Chunk { line: start + 1, contexts: Vec::new(), hint: None, lines: Vec::new(), at_end: false };
    while let Some(rest) = lines.peek().and_then(|line| line.strip_prefix("@@")) {
        if let Some(hint) = unified_hint(rest) {
            chunk.hint = Some(hint);
        } else if rest.trim_matches(|c: char| c.is_whitespace() || matches!(c, '@' | '.' | '…')).is_empty() {
            // A bare `@@`, or one with an ellipsis, names no place.
        } else {
            chunk.contexts.push(rest.strip_prefix(' ').unwrap_or(rest).to_owned());
        }
        lines.at += 1;
    }
    body(lines, &mut chunk)?;
    if chunk.lines.is_empty() {
        return Err(lines.malformed(start, "the chunk has no lines"));
    }
    Ok(chunk)
}

fn body(lines: &mut Lines<'_>, chunk: &mut Chunk) -> Result<(), PatchError> {
    while let Some(line) = lines.peek() {
        if line.starts_with("@@") || is_header(line) || line.trim_end() == END {
            return Ok(());
        }
        if line.trim_end() == END_OF_FILE {
            chunk.at_end = true;
            lines.at += 1;
            return Ok(());
        }
        let mut chars = line.chars();
        match chars.next() {
            None => chunk.lines.push(PatchLine::Keep(String::new())),
            Some(' ') => chunk.lines.push(PatchLine::Keep(chars.as_str().to_owned())),
            Some('-') => chunk.lines.push(PatchLine::Remove(chars.as_str().to_owned())),
            Some('+') => chunk.lines.push(PatchLine::Add(chars.as_str().to_owned())),
            // "\ No newline at end of file": the file's own end is kept anyway.
            Some('\\') => {}
            Some('*') if line.starts_with("*** ") => {
                let reason = format!("'{}' is not a valid hunk header; valid ones are {HEADERS}", excerpt(line));
                return Err(lines.malformed(lines.at, reason));
            }
            Some(_) => {
                let reason = format!(
                    "unexpected line in an update: '{}'; every line starts with ' ' (unchanged), '+' (added) or '-' (removed)",
                    excerpt(line)
                );
                return Err(lines.malformed(lines.at, reason));
            }
        }
        lines.at += 1;
    }
    Ok(())
}

/// Reads ` -1,3 +1,3 @@ …`.
fn unified_hint(rest: &str) -> Option<Hint> {
    let mut words = rest.split_whitespace();
    let old = words.next()?.strip_prefix('-')?;
    let new = words.next()?.strip_prefix('+')?;
    let number = |text: &str| text.parse::<usize>().ok();
    let range = |text: &str| match text.split_once(',') {
        Some((line, n_lines)) => Some(Hint { line: number(line)?, n_lines: number(n_lines)? }),
        None => Some(Hint { line: number(text)?, n_lines: 1 }),
    };
    range(new.trim_end_matches('@'))?;
    range(old)
}

/// The start of a line, for a message.
fn excerpt(line: &str) -> String {
    const SHOWN_MAX: usize = 120;
    line.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect::<String>().replace("\\'", "'").replace("\\\"", "\"")
}
