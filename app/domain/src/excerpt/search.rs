//! A search in the files of a tree: what is asked, what was found, and how that is told.

use std::fmt::Write as _;

use crate::excerpt::readable;

/// How many hits are shown where nobody says how many.
pub const HITS_DEFAULT: usize = 100;
/// The most hits that are kept.
pub const HITS_MAX: usize = 500;
/// The most lines that are kept above and below a hit.
pub const CONTEXT_LINES_MAX: usize = 10;
/// How much of what was found is shown, in bytes.
pub const FOUND_BYTES_MAX: usize = 16_000;

/// What is looked for, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// A regular expression that is tried on each line; plain text if `is_literal`.
    pub pattern: String,
    /// Whether the pattern's characters mean themselves.
    pub is_literal: bool,
    /// Whether upper and lower case are the same.
    pub ignore_case: bool,
    /// The directory or file to search, relative to the root; empty for the whole tree.
    pub directory: String,
    /// Which files to search, in the syntax of .gitignore and relative to the root; `!` in front leaves files out. All if
    /// empty.
    pub globs: Vec<String>,
    /// How many lines to show above and below each hit; at most [`CONTEXT_LINES_MAX`].
    pub n_context_lines: usize,
    /// After how many hits the rest is only counted; at most [`HITS_MAX`].
    pub n_hits_max: usize,
}

impl Search {
    /// A search for a regular expression in the whole tree, within the usual bounds.
    pub fn for_pattern(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            is_literal: false,
            ignore_case: false,
            directory: String::new(),
            globs: Vec::new(),
            n_context_lines: 0,
            n_hits_max: HITS_DEFAULT,
        }
    }
}

/// One line that was found, or a neighbour of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The file, relative to the root.
    pub path: String,
    /// Counted from 1.
    pub line: u64,
    /// The line without its ending; long ones may be cut already.
    pub text: Vec<u8>,
    /// Whether the line is only shown because it stands beside one that was found.
    pub is_context: bool,
}

/// What a search found, in the order of paths and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The lines.
    pub hits: Vec<Hit>,
    /// How many further lines match.
    pub n_hits_omitted: u64,
    /// How many files were searched to their end.
    pub n_files_searched: u64,
    /// How many files were left out: binary, too large, with lines that are too long, or not to be read.
    pub n_files_skipped: u64,
    /// Whether the search ended before it saw the whole tree: it took too long, or the tree is too large.
    pub is_cut_short: bool,
}

impl Found {
    /// What was found as the model reads it: `path:line: text`, and `path-line- text` for the neighbours.
    pub fn told(&self) -> String {
        let mut told = String::new();
        let mut n_hits_shown = 0;
        let mut above: Option<&Hit> = None;
        let has_context = self.hits.iter().any(|hit| hit.is_context);
        for hit in &self.hits {
            let line = line_of(hit);
            if told.len() + line.len() > FOUND_BYTES_MAX && n_hits_shown > 0 {
                break;
            }
            if has_context && above.is_some_and(|above| above.path != hit.path || above.line + 1 != hit.line) {
                told.push_str("--\n");
            }
            told.push_str(&line);
            n_hits_shown += u64::from(!hit.is_context);
            above = Some(hit);
        }
        self.summarize(&mut told, n_hits_shown);
        told
    }

    fn summarize(&self, told: &mut String, n_shown: u64) {
        let n_kept = self.hits.iter().filter(|hit| !hit.is_context).count() as u64;
        let n_omitted = n_kept - n_shown + self.n_hits_omitted;
        let all = n_shown + n_omitted;
        let _ = write!(told, "[{} in {}", counted(all, "matching line"), counted(self.n_files_searched, "file searched"));
        if n_omitted > 0 {
            let _ = write!(told, "; {n_omitted} not shown: narrow the pattern, the directory or the globs");
        }
        if self.n_files_skipped > 0 {
            let _ = write!(told, "; {} skipped as binary or too large", counted(self.n_files_skipped, "file"));
        }
        if self.is_cut_short {
            told.push_str("; the search was cut short before it saw every file: name a directory");
        }
        told.push_str("]\n");
    }
}

fn line_of(hit: &Hit) -> String {
    let mark = if hit.is_context { '-' } else { ':' };
    format!("{}{mark}{}{mark} {}\n", readable(hit.path.as_bytes()), hit.line, readable(&hit.text))
}

fn counted(n: u64, what: &str) -> String {
    match (n, what.split_once(' ')) {
        (1, _) => format!("1 {what}"),
        (n, Some(("file", rest))) => format!("{n} files {rest}"),
        (n, _) => format!("{n} {what}s"),
    }
}
