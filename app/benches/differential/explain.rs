//! Which of the differences that we chose explain that two trees differ.
//!
//! Each has a predicate of its own on the case; where both applied the patch, the trees must be equal once the differences
//! that can be there are taken out of both, and the fewest that do are the explanation.

use patchwright::sandbox::patching::PatchingError;
use patchwright_domain::patch::PatchError;

use crate::{Case, Outcome, Tree};

/// A difference that we chose; the table in `app/domain/src/patch.rs` says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// Both fail; theirs leaves half of the patch.
    AllOrNothing,
    /// Ours refuses a chunk that fits in several places.
    Ambiguous,
    /// Ours refuses a path that is absolute, leaves the tree or belongs to git.
    Path,
    /// Ours refuses new lines whose indentation in the file cannot be known.
    UnknownIndentation,
    /// Ours refuses two chunks that change the same line.
    Overlap,
    /// Ours refuses a context or an update that only blank lines follow.
    EmptyChunk,
    /// Ours refuses characters that the file's encoding lacks.
    Encoding,
    /// Ours takes fences off and does without the first or last line.
    Envelope,
    /// Ours reads the header of a unified diff.
    UnifiedHeader,
    /// Ours finds a context that is a part of a line.
    ContextPart,
    /// Ours finds a chunk or a context above the one before it.
    AnyOrder,
    /// Ours finds a chunk that begins in the line of its context.
    ContextInChunk,
    /// Ours finds the first line of a file with a byte order mark.
    ByteOrderMark,
    /// Ours updates a file that is not UTF-8.
    NotUtf8,
    /// Ours takes several `@@` lines as nested.
    NestedContexts,
    /// A second hunk on a file meets what the first made of it, which differs for a reason above.
    EarlierHunk,
    /// Ours renames a file that is not changed.
    PureMove,
    /// Ours lets blank lines stand between hunks and chunks.
    BlankLines,
    /// Ours refuses an empty line that is not in the file, where it is all that a chunk asks for.
    EmptyLine,
    /// The line endings of the file, or of a new file's lines in the patch, are kept.
    LineEndings,
    /// No newline is added at the end of a file that had none.
    FinalNewline,
    /// New lines get the indentation of the file.
    Indentation,
    /// A moved file keeps its mode.
    Mode,
    /// A move to itself keeps the file.
    MoveToItself,
    /// Lines that are only added follow their context.
    AdditionFollowsContext,
    /// Lines that are only added, without a context, come behind what other chunks add at the end; a blank line behind
    /// them is the space before the next mark, and not an empty line of the file to stand before.
    AdditionAtTheEnd,
}

/// The reasons for a difference between the trees; `None` if there is none that we know.
pub(crate) fn reasons(case: &Case, outcome: &Outcome) -> Option<Vec<Reason>> {
    let explained = match (&outcome.our_error, &outcome.their_error) {
        (Some(_), Some(_)) => (outcome.ours == case.before).then(|| vec![Reason::AllOrNothing]),
        (Some(error), None) => (outcome.ours == case.before).then(|| refused(error)).flatten().map(|reason| vec![reason]),
        (None, Some(error)) => accepted(case, error).map(|reason| vec![reason]),
        (None, None) => both(case, outcome),
    };
    explained.or_else(|| follows(case).then(|| vec![Reason::EarlierHunk]))
}

/// Whether a file is changed by two hunks, and the first may come out otherwise for a reason of its own: then the second
/// meets another file.
fn follows(case: &Case) -> bool {
    let headers = ["*** Update File: ", "*** Add File: ", "*** Delete File: ", "*** Move to: "];
    let mut paths: Vec<&str> =
        case.patch.lines().filter_map(|line| headers.iter().find_map(|header| line.trim().strip_prefix(header))).collect();
    paths.sort_unstable();
    let is_repeated = paths.windows(2).any(|pair| pair[0] == pair[1]);
    is_repeated && possible(case).iter().any(|reason| !matches!(reason, Reason::Mode))
}

/// Why ours refuses what theirs applies.
fn refused(error: &PatchingError) -> Option<Reason> {
    let PatchingError::Patch(error) = error else { return None };
    match error {
        PatchError::Ambiguous { .. } => Some(Reason::Ambiguous),
        PatchError::Path { .. } => Some(Reason::Path),
        PatchError::Chunk { reason, .. } if reason.contains("indented differently") => Some(Reason::UnknownIndentation),
        PatchError::Chunk { reason, .. } if reason.contains("another chunk") => Some(Reason::Overlap),
        PatchError::Chunk { reason, .. } if reason.contains("encoding") => Some(Reason::Encoding),
        PatchError::Malformed { reason, .. } if reason.contains("the chunk has no lines") || reason.ends_with("' is empty") => {
            Some(Reason::EmptyChunk)
        }
        // Theirs looks again without an empty line at the end of a chunk, whether it is removed or the only one.
        PatchError::NotFound { wanted, .. } if wanted.trim().is_empty() => Some(Reason::EmptyLine),
        PatchError::Malformed { .. } | PatchError::Chunk { .. } | PatchError::File { .. } | PatchError::NotFound { .. } => None,
    }
}

/// Why ours applies what theirs refuses with this message.
fn accepted(case: &Case, error: &str) -> Option<Reason> {
    let lines: Vec<&str> = case.patch.trim().lines().map(str::trim).collect();
    let is_bare = lines.first() != Some(&"*** Begin Patch") || lines.last() != Some(&"*** End Patch");
    if is_bare && (error.contains("The first line of the patch must be") || error.contains("The last line of the patch must be"))
    {
        return Some(Reason::Envelope);
    }
    if error.contains("Update file hunk for path") && error.contains("is empty") {
        return case.patch.contains("*** Move to: ").then_some(Reason::PureMove);
    }
    if error.contains("is not a valid hunk header") || error.contains("Unexpected line found in update hunk") {
        return match error.split_once(": '") {
            Some((_, line)) if line.starts_with("@@") => Some(Reason::NestedContexts),
            Some((_, line)) if line.starts_with('\'') => Some(Reason::BlankLines),
            Some(_) | None => error.contains(" '' is not").then_some(Reason::BlankLines),
        };
    }
    if error.contains("Failed to read file to update") {
        return any_file(case, |content| std::str::from_utf8(content).is_err()).then_some(Reason::NotUtf8);
    }
    if let Some((_, rest)) = error.split_once("Failed to find context '") {
        return context(case, rest.rsplit_once("' in ")?.0);
    }
    let (_, wanted) = error.split_once("Failed to find expected lines in ")?;
    let wanted: Vec<&str> = wanted.lines().skip(1).collect();
    chunk(case, &wanted)
}

fn context(case: &Case, context: &str) -> Option<Reason> {
    if context.starts_with('-') && context.contains(" +") {
        return Some(Reason::UnifiedHeader);
    }
    let bare = plain(context);
    if any_line(case, |line| plain(line) == bare) {
        Some(Reason::AnyOrder)
    } else if any_line(case, |line| plain(line) == format!("\u{feff}{bare}")) {
        Some(Reason::ByteOrderMark)
    } else {
        any_line(case, |line| line.contains(context.trim())).then_some(Reason::ContextPart)
    }
}

fn chunk(case: &Case, wanted: &[&str]) -> Option<Reason> {
    let wanted: Vec<String> = wanted.iter().map(|line| plain(line)).collect();
    let runs = |strip: bool| {
        any_file(case, |content| {
            let text = String::from_utf8_lossy(content);
            let text = if strip { text.trim_start_matches('\u{feff}') } else { &text };
            let lines: Vec<String> = text.lines().map(plain).collect();
            let n_blank = wanted.iter().rev().take_while(|line| line.is_empty()).count();
            (0..=n_blank).any(|n| lines.windows((wanted.len() - n).max(1)).any(|run| run == &wanted[..wanted.len() - n]))
        })
    };
    let is_of_context = |line: &str| line.strip_prefix("@@").is_some_and(|context| wanted.first() == Some(&plain(context)));
    if !runs(false) {
        runs(true).then_some(Reason::ByteOrderMark)
    } else if case.patch.lines().any(is_of_context) {
        Some(Reason::ContextInChunk)
    } else {
        Some(Reason::AnyOrder)
    }
}

/// A line without what both of us tolerate.
fn plain(line: &str) -> String {
    let plain = |c: char| match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        other => other,
    };
    line.trim().chars().map(plain).collect()
}

fn any_file(case: &Case, is_so: impl Fn(&[u8]) -> bool) -> bool {
    case.before.values().any(|(content, _)| is_so(content))
}

fn any_line(case: &Case, is_so: impl Fn(&str) -> bool) -> bool {
    any_file(case, |content| String::from_utf8_lossy(content).lines().any(&is_so))
}

/// Why two trees differ that both made on purpose.
fn both(case: &Case, outcome: &Outcome) -> Option<Vec<Reason>> {
    let possible = possible(case);
    let n_subsets = 1_u32 << possible.len();
    let mut subsets: Vec<Vec<Reason>> = (1..n_subsets)
        .map(|bits| possible.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, reason)| *reason).collect())
        .collect();
    subsets.sort_by_key(Vec::len);
    subsets.into_iter().find(|reasons| without(&outcome.ours, reasons, case) == without(&outcome.theirs, reasons, case))
}

/// The differences that can be there, by what the patch and the files hold.
fn possible(case: &Case) -> Vec<Reason> {
    let mut possible = Vec::new();
    let mut push = |is_possible: bool, reason: Reason| possible.extend(is_possible.then_some(reason));
    let has_moves = case.patch.contains("*** Move to: ");
    push(any_file(case, |content| content.contains(&b'\r')) || case.patch.contains('\r'), Reason::LineEndings);
    let is_shifted = |line: &str| {
        let old = line.strip_prefix([' ', '-']);
        old.is_some_and(|old| !old.trim().is_empty() && !any_line(case, |line| line.trim_end() == old.trim_end()))
    };
    push(case.patch.lines().any(is_shifted), Reason::Indentation);
    push(has_moves && case.before.values().any(|(_, executable)| *executable), Reason::Mode);
    push(!moved_to_themselves(case).is_empty(), Reason::MoveToItself);
    push(any_file(case, |content| content == BYTE_ORDER_MARK), Reason::ByteOrderMark);
    push(!additions(case, is_context).is_empty(), Reason::AdditionFollowsContext);
    let has_others = case.patch.contains("@@") || is_blank_before_a_mark(&case.patch);
    push(!additions(case, is_no_context).is_empty() && has_others, Reason::AdditionAtTheEnd);
    // The last one, since the others may uncover the end of a file.
    push(any_file(case, |content| !content.ends_with(b"\n")), Reason::FinalNewline);
    possible
}

fn is_blank_before_a_mark(patch: &str) -> bool {
    let lines: Vec<&str> = patch.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| pair[0].is_empty() && pair[1].starts_with("*** "))
}

/// What a text in UTF-8 may begin with.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The paths that are moved to where they are.
fn moved_to_themselves(case: &Case) -> Vec<&str> {
    let lines: Vec<&str> = case.patch.lines().map(str::trim).collect();
    let moved = |pair: &[&'_ str]| pair[0].strip_prefix("*** Update File: ") == pair[1].strip_prefix("*** Move to: ");
    let is_move = |pair: &&[&str]| pair[1].starts_with("*** Move to: ") && moved(pair);
    lines.windows(2).filter(is_move).filter_map(|pair| pair[1].strip_prefix("*** Move to: ")).collect()
}

fn is_context(line: &str) -> bool {
    line.starts_with("@@ ")
}

fn is_no_context(line: &str) -> bool {
    line == "@@" || line.starts_with("*** Update File: ") || line.starts_with("*** Move to: ")
}

/// The lines of chunks that only add, behind a line of this kind.
fn additions(case: &Case, is_behind: fn(&str) -> bool) -> Vec<&str> {
    let lines: Vec<&str> = case.patch.lines().collect();
    let mut added = Vec::new();
    for at in 0..lines.len() {
        if is_behind(lines[at].trim()) {
            let run: Vec<&str> = lines[at + 1..].iter().copied().take_while(|line| line.starts_with('+')).collect();
            // A blank line may be the space before the next mark, or an empty line of the file.
            let next = lines[at + 1 + run.len()..].iter().copied().find(|line| !line.trim().is_empty()).unwrap_or("***");
            if next.trim_start().starts_with("***") || next.starts_with("@@") {
                added.extend(run.iter().filter_map(|line| line.strip_prefix('+')));
            }
        }
    }
    added
}

/// The tree without what differs for these reasons.
fn without(tree: &Tree, reasons: &[Reason], case: &Case) -> Tree {
    let mut plain = tree.clone();
    for reason in reasons {
        match reason {
            Reason::LineEndings => each(&mut plain, |text| text.retain(|byte| *byte != b'\r')),
            Reason::FinalNewline => each(&mut plain, |text| text.truncate(text.trim_suffix_newlines().len())),
            Reason::Indentation => each(&mut plain, |text| *text = unindented(text)),
            Reason::Mode => plain.values_mut().for_each(|(_, executable)| *executable = false),
            Reason::MoveToItself => plain.retain(|path, _| !moved_to_themselves(case).contains(&path.as_str())),
            Reason::AdditionFollowsContext => {
                let added = additions(case, is_context);
                each(&mut plain, |text| *text = lines_but(text, &added));
            }
            Reason::AdditionAtTheEnd => {
                let added = additions(case, is_no_context);
                each(&mut plain, |text| *text = lines_but(text, &added));
            }
            // A file of nothing but the mark has no line to end.
            Reason::ByteOrderMark => each(&mut plain, |text| {
                let rest = text.strip_prefix(BYTE_ORDER_MARK).map(|rest| rest.trim_ascii_start().to_vec());
                rest.into_iter().for_each(|rest| *text = rest);
            }),
            Reason::AllOrNothing
            | Reason::Ambiguous
            | Reason::Path
            | Reason::UnknownIndentation
            | Reason::Overlap
            | Reason::EmptyChunk
            | Reason::EmptyLine
            | Reason::Encoding
            | Reason::Envelope
            | Reason::UnifiedHeader
            | Reason::ContextPart
            | Reason::AnyOrder
            | Reason::ContextInChunk
            | Reason::NotUtf8
            | Reason::NestedContexts
            | Reason::PureMove
            | Reason::EarlierHunk
            | Reason::BlankLines => {}
        }
    }
    plain
}

fn each(tree: &mut Tree, change: impl Fn(&mut Vec<u8>)) {
    tree.values_mut().for_each(|(content, _)| change(content));
}

fn unindented(text: &[u8]) -> Vec<u8> {
    text.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.trim_ascii_start_but_newline()).copied().collect()
}

fn lines_but(text: &[u8], left_out: &[&str]) -> Vec<u8> {
    // Whatever its indentation, which another reason may have taken off.
    let is_kept = |line: &&[u8]| !left_out.iter().any(|out| out.trim().as_bytes() == line.trim_ascii());
    text.split_inclusive(|byte| *byte == b'\n').filter(is_kept).flatten().copied().collect()
}

/// What the functions above take off a line.
trait Trimmed {
    fn trim_ascii_start_but_newline(&self) -> &[u8];
    /// All of them, since a blank line that is added at the end looks like one.
    fn trim_suffix_newlines(&self) -> &[u8];
}

impl Trimmed for [u8] {
    fn trim_ascii_start_but_newline(&self) -> &[u8] {
        let n_blank = self.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        &self[n_blank..]
    }

    fn trim_suffix_newlines(&self) -> &[u8] {
        let n_newlines = self.iter().rev().take_while(|byte| **byte == b'\n').count();
        &self[..self.len() - n_newlines]
    }
}
