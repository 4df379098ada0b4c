//! The apply_patch grammar and its application to text.
//!
//! A patch is parsed as leniently as its meaning is certain, and applied as strictly as possible: all of it or nothing.
//! This module knows no file system; the caller reads what [`Patch::paths`] names and writes what [`Patch::apply`]
//! returns.
//!
//! The format is that of openai/codex. These differences from its 0.169.0 are meant; `benches/differential.rs` checks that
//! there are no others, and names each as in brackets.
//!
//! | what | here | there |
//! |---|---|---|
//! | a hunk fails (`AllOrNothing`) | nothing is changed | what came before it stays |
//! | a chunk or `@@` line fits in several places (`Ambiguous`) | refused with the lines | the first is taken |
//! | an absolute path, `..`, `.git` (`Path`) | refused | written |
//! | the patch is indented otherwise than the file (`Indentation`, `UnknownIndentation`) | the file's indentation, or refused if it cannot be known | the patch's |
//! | two chunks change the same line (`Overlap`) | refused | the second searches further down |
//! | `@@` or an update without lines (`EmptyChunk`) | refused | ignored |
//! | several `@@` lines (`NestedContexts`) | outermost first | refused |
//! | `@@` with a part of a line (`ContextPart`) | found | not found |
//! | `@@` with the chunk's own first line (`ContextInChunk`) | found | not found |
//! | `@@ -1,3 +1,3 @@` (`UnifiedHeader`) | a hint between several places | a text to find |
//! | chunks out of order (`AnyOrder`) | found | not found |
//! | only added lines under `@@` (`AdditionFollowsContext`) | behind that line | at the end of the file |
//! | only added lines without `@@`, beside other chunks (`AdditionAtTheEnd`) | behind all of them | before what is added to the last line |
//! | code fences, a missing first or last line (`Envelope`) | taken | refused |
//! | a chunk that asks for nothing but an empty line (`EmptyLine`) | the line must be there | looked for again without it |
//! | blank lines between hunks and chunks (`BlankLines`) | ignored | refused, or taken as lines of the file |
//! | a move without changes (`PureMove`) | done | refused |
//! | a move of a file to itself (`MoveToItself`) | the file stays | the file is deleted |
//! | the mode of a moved file (`Mode`) | kept | lost |
//! | a byte order mark (`ByteOrderMark`) | kept and overlooked in matching | makes the first line another |
//! | a file that is not UTF-8 (`NotUtf8`, `Encoding`) | updated in its encoding, or refused | refused |
//! | line endings (`LineEndings`) | each replaced line keeps its own; a new file has those of its lines in the patch, unless the whole patch came in CRLF | the file's first one; `\n` for a new file |
//! | no newline at the end (`FinalNewline`) | stays so | one is added |
//!
//! Where a patch has two hunks for one file, the second meets what the first made of it (`EarlierHunk`).

use std::collections::{BTreeMap, BTreeSet};

mod edit;
mod indent;
mod nearest;
pub(crate) mod parse;
mod path;
pub mod replace;
mod text;

#[cfg(test)]
mod tests;

/// The largest patch that is read, in bytes.
pub const PATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much one patch may update, in bytes of the files before each update: no patch keeps a worker busy for long.
pub const UPDATED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A file's content and kind, as far as git keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// A regular file.
    Regular {
        /// Its bytes.
        content: Vec<u8>,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to.
        target: Vec<u8>,
    },
}

/// A parsed patch whose paths are relative, normal and inside the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    hunks: Vec<Hunk>,
}

/// What a patch does to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hunk {
    Add { path: String, content: String },
    Delete { path: String },
    Update { path: String, move_to: Option<String>, chunks: Vec<Chunk> },
}

/// One place in a file and what happens there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunk {
    /// Where the chunk begins in the patch, counted from 1.
    line: usize,
    /// The texts behind `@@`, outermost first.
    contexts: Vec<String>,
    /// What a unified diff's header says of the old file.
    hint: Option<Hint>,
    lines: Vec<PatchLine>,
    /// Whether `*** End of File` follows.
    at_end: bool,
}

/// The old half of a unified diff's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hint {
    /// Counted from 1.
    line: usize,
    n_lines: usize,
}

/// One line of a chunk, without its mark and line ending.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PatchLine {
    Keep(String),
    Remove(String),
    Add(String),
}

/// Where two readings of the format differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// Ambiguity is an error, and no newline is invented at the end of a file.
    Strict,
    /// The first match is taken, and an updated file ends in a newline.
    Codex,
}

/// Why a patch does nothing; the text is written for the model that made the patch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The text is not a patch.
    #[error("invalid patch, line {line}: {reason}")]
    Malformed {
        /// The line of the patch, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A path is refused, whatever the tree holds.
    #[error("path '{path}' is refused: {reason}")]
    Path {
        /// The path as the patch has it.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// The file that is to be changed cannot be.
    #[error("cannot {action} {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the patch wanted to do with it.
        action: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A chunk's lines are not in the file.
    #[error("{path}: {what} of the chunk at patch line {line} cannot be found:\n{wanted}{nearest}")]
    NotFound {
        /// The file.
        path: String,
        /// The line of the patch where the chunk begins.
        line: usize,
        /// Which part of the chunk was looked for.
        what: &'static str,
        /// The lines that were looked for.
        wanted: String,
        /// The most similar lines of the file with their numbers; empty if none is similar.
        nearest: String,
    },
    /// A chunk fits in several places.
    #[error(
        "{path}: {what} of the chunk at patch line {line} fit at file lines {}; add unchanged lines around the change, \
         or `@@` with the line of the enclosing definition",
        numbers(lines)
    )]
    Ambiguous {
        /// The file.
        path: String,
        /// The line of the patch where the chunk begins.
        line: usize,
        /// Which part of the chunk is ambiguous.
        what: &'static str,
        /// The first lines of the candidates, counted from 1.
        lines: Vec<usize>,
    },
    /// A chunk was found, and cannot be carried out there.
    #[error("{path}: the chunk at patch line {line} {reason}")]
    Chunk {
        /// The file.
        path: String,
        /// The line of the patch where the chunk begins.
        line: usize,
        /// Why not.
        reason: &'static str,
    },
}

impl PatchError {
    /// The cause alone, without the place in the patch.
    fn reason(&self) -> &str {
        match self {
            Self::Malformed { reason, .. } => reason,
            Self::Path { reason, .. } | Self::File { reason, .. } | Self::Chunk { reason, .. } => reason,
            Self::NotFound { what, .. } | Self::Ambiguous { what, .. } => what,
        }
    }
}

/// How many candidates an error names.
const CANDIDATES_SHOWN_MAX: usize = 8;

fn numbers(lines: &[usize]) -> String {
    let shown: Vec<String> = lines.iter().take(CANDIDATES_SHOWN_MAX).map(ToString::to_string).collect();
    let rest = lines.len().saturating_sub(CANDIDATES_SHOWN_MAX);
    if rest > 0 { format!("{} and {rest} more", shown.join(", ")) } else { shown.join(", ") }
}

/// A path and what it is afterwards; `None` where the file is gone.
pub type Change = (String, Option<FileState>);

impl Patch {
    /// Reads a patch.
    ///
    /// # Errors
    /// [`PatchError::Malformed`] and [`PatchError::Path`].
    pub fn parse(text: &str) -> Result<Self, PatchError> {
        if text.len() > PATCH_BYTES_MAX {
            return Err(PatchError::Malformed { line: 1, reason: "the patch is larger than 16 MiB".to_owned() });
        }
        parse::patch(text).map(|hunks| Self { hunks })
    }

    /// Reads the paths as relative to a directory of the tree; an empty directory is the root.
    ///
    /// # Errors
    /// [`PatchError::Path`] if the directory is not inside the tree.
    pub fn under(mut self, directory: &str) -> Result<Self, PatchError> {
        let directory = Self::directory(directory)?;
        if directory.is_empty() {
            return Ok(self);
        }
        for hunk in &mut self.hunks {
            match hunk {
                Hunk::Add { path, .. } | Hunk::Delete { path } => *path = format!("{directory}/{path}"),
                Hunk::Update { path, move_to, .. } => {
                    *path = format!("{directory}/{path}");
                    if let Some(target) = move_to {
                        *target = format!("{directory}/{target}");
                    }
                }
            }
        }
        Ok(self)
    }

    /// Brings the name of a directory of the tree to its normal form; empty for the root.
    ///
    /// # Errors
    /// [`PatchError::Path`] if it is not inside the tree.
    pub(crate) fn directory(name: &str) -> Result<String, PatchError> {
        let is_root = !name.trim().starts_with('/') && name.split('/').all(|part| matches!(part.trim(), "" | "."));
        if is_root { Ok(String::new()) } else { path::normal(name.trim_end().trim_end_matches('/')) }
    }

    /// Every path that the patch reads or writes, each once: what `apply` must be given.
    pub fn paths(&self) -> BTreeSet<&str> {
        let mut paths = BTreeSet::new();
        for hunk in &self.hunks {
            match hunk {
                Hunk::Add { path, .. } | Hunk::Delete { path } => paths.extend([path.as_str()]),
                Hunk::Update { path, move_to, .. } => {
                    paths.extend([path.as_str()]);
                    paths.extend(move_to.as_deref());
                }
            }
        }
        paths
    }

    /// Applies the whole patch and returns what changes: deletions first, then the files to write.
    ///
    /// # Errors
    /// Any [`PatchError`]; nothing is changed then. A path that `files` does not hold counts as absent.
    pub fn apply(&self, files: &BTreeMap<String, Option<FileState>>) -> Result<Vec<Change>, PatchError> {
        let mut tree = Tree::over(files);
        for hunk in &self.hunks {
            tree.perform(hunk, Dialect::Strict)?;
        }
        Ok(tree.changes())
    }

    /// Applies the patch as openai/codex does: an updated file always ends in a newline, the first of several matches is
    /// taken, and what came before an error stays changed.
    pub fn apply_like_codex(&self, files: &BTreeMap<String, Option<FileState>>) -> (Vec<Change>, Option<PatchError>) {
        let mut tree = Tree::over(files);
        let error = self.hunks.iter().find_map(|hunk| tree.perform(hunk, Dialect::Codex).err());
        (tree.changes(), error)
    }
}

/// The files as given, under what the hunks so far made of them.
struct Tree<'a> {
    before: &'a BTreeMap<String, Option<FileState>>,
    after: BTreeMap<String, Option<FileState>>,
    updated_bytes: usize,
}

impl<'a> Tree<'a> {
    fn over(before: &'a BTreeMap<String, Option<FileState>>) -> Self {
        Self { before, after: BTreeMap::new(), updated_bytes: 0 }
    }

    fn state(&self, path: &str) -> Option<&FileState> {
        self.after.get(path).or_else(|| self.before.get(path)).and_then(Option::as_ref)
    }

    fn perform(&mut self, hunk: &Hunk, dialect: Dialect) -> Result<(), PatchError> {
        match hunk {
            Hunk::Add { path, content } => {
                let executable = self.writable(path, "add")?.unwrap_or(false);
                self.put(path, Some(FileState::Regular { content: content.clone().into_bytes(), executable }));
            }
            Hunk::Delete { path } => {
                if self.state(path).is_none() {
                    return Err(refusal(path, "delete", "there is no such file"));
                }
                self.put(path, None);
            }
            Hunk::Update { path, move_to, chunks } => {
                let (before, executable) = match self.state(path) {
                    Some(FileState::Regular { content, executable }) => (content, *executable),
                    Some(FileState::Symlink { .. }) => return Err(refusal(path, "update", IS_LINK)),
                    None => return Err(refusal(path, "update", "there is no such file")),
                };
                let updated_bytes = self.updated_bytes + before.len();
                if updated_bytes > UPDATED_BYTES_MAX {
                    return Err(refusal(path, "update", "the patch updates more than 64 MiB; send smaller patches"));
                }
                let content = edit::apply(path, before, chunks, dialect)?;
                self.updated_bytes = updated_bytes;
                let target = move_to.as_deref().unwrap_or(path);
                self.writable(target, "move to")?;
                if target != path {
                    self.put(path, None);
                }
                self.put(target, Some(FileState::Regular { content, executable }));
            }
        }
        Ok(())
    }

    /// Whether the file is executable, if there is one; refuses what is no regular file.
    fn writable(&self, path: &str, action: &'static str) -> Result<Option<bool>, PatchError> {
        match self.state(path) {
            Some(FileState::Regular { executable, .. }) => Ok(Some(*executable)),
            Some(FileState::Symlink { .. }) => Err(refusal(path, action, IS_LINK)),
            None => Ok(None),
        }
    }

    fn put(&mut self, path: &str, state: Option<FileState>) {
        self.after.insert(path.to_owned(), state);
    }

    fn changes(self) -> Vec<Change> {
        let absent = None;
        let before = self.before;
        let changed = self.after.into_iter().filter(|(path, state)| before.get(path).unwrap_or(&absent) != state);
        let (written, deleted): (Vec<_>, Vec<_>) = changed.partition(|(_, state)| state.is_some());
        deleted.into_iter().chain(written).collect()
    }
}

const IS_LINK: &str = "it is a symbolic link, and a patch does not write through links";

fn refusal(path: &str, action: &'static str, reason: &'static str) -> PatchError {
    PatchError::File { path: path.to_owned(), action, reason }
}
