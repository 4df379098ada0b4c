//! Searches the files of one workspace in our own process, with ripgrep's engine.
//!
//! The tree is as hostile as what ran in it: directories and files are opened below the workspace's descriptor and never
//! through a link, and patterns, files, hits and the time are bounded. Only the tree's own `.gitignore` files count, not
//! git's configuration of this machine or what lies above the workspace.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use grep_matcher::LineTerminator;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::overrides::{Override, OverrideBuilder};
use patchwright_domain::excerpt::LINE_BYTES_MAX;
use patchwright_domain::excerpt::search::{CONTEXT_LINES_MAX, Found, HITS_MAX, Hit, Search};
use rustix::fs::OFlags;

use crate::sandbox::SandboxError;
use crate::sandbox::files::{Files, inside, refused};

/// How long one search may take.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;
/// What a compiled pattern may take, in bytes; it bounds the time for each byte that is searched.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;
/// The most globs, and the longest one in bytes.
const GLOBS_MAX: usize = 32;
const GLOB_BYTES_MAX: usize = 512;
/// Larger files are skipped, in bytes.
const SEARCHED_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Files with longer lines are skipped, in bytes.
const BUFFER_BYTES_MAX: usize = 256 * 1024;
/// How much is read before the time is looked at, in bytes.
const READ_BYTES_MAX: usize = 16 * 1024;
/// How many directory entries are looked at.
const ENTRIES_MAX: u64 = 500_000;
/// How deep directories are walked.
const DEPTH_MAX: usize = 64;
/// Of a longer `.gitignore` only the beginning counts, in bytes.
const GITIGNORE_BYTES_MAX: u64 = 256 * 1024;

/// Searches the workspace and returns what was found in the order of paths and lines.
///
/// # Errors
/// [`SandboxError::Path`] for a pattern, glob or directory that cannot be; what cannot be read on the way is counted.
pub(super) fn search(files: &Files, search: &Search) -> Result<Found, SandboxError> {
    let mut walk = Walk {
        matcher: matcher(search)?,
        searcher: searcher(search),
        globs: globs(&search.globs)?,
        ignores: Vec::new(),
        found: Found::default(),
        n_hits: 0,
        n_hits_max: search.n_hits_max.clamp(1, HITS_MAX),
        n_entries: 0,
        deadline: Instant::now() + SEARCH_TIMEOUT,
    };
    let start = Path::new(search.directory.trim_matches('/').trim_start_matches("./"));
    if start.as_os_str().is_empty() || start == Path::new(".") {
        walk.directory(files.root(), &PathBuf::new(), 0);
        return Ok(walk.found);
    }
    let asked = start.to_str().unwrap_or_default();
    inside(asked)?;
    walk.start_at(files.root(), start).map_err(|error| refused(asked, error))?;
    Ok(walk.found)
}

fn refusal(what: &str, reason: impl std::fmt::Display) -> SandboxError {
    SandboxError::Path { path: what.to_owned(), reason: reason.to_string() }
}

fn matcher(search: &Search) -> Result<RegexMatcher, SandboxError> {
    if search.pattern.is_empty() || search.pattern.len() > PATTERN_BYTES_MAX {
        return Err(refusal("pattern", format!("it must have 1 to {PATTERN_BYTES_MAX} bytes")));
    }
    let mut builder = RegexMatcherBuilder::new();
    builder.multi_line(true).crlf(true);
    builder.fixed_strings(search.is_literal).case_insensitive(search.ignore_case);
    builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX);
    builder.build(&search.pattern).map_err(|error| refusal("pattern", error))
}

fn searcher(search: &Search) -> Searcher {
    let n_context = search.n_context_lines.min(CONTEXT_LINES_MAX);
    SearcherBuilder::new()
        .line_terminator(LineTerminator::crlf())
        .binary_detection(BinaryDetection::quit(0))
        .before_context(n_context)
        .after_context(n_context)
        .heap_limit(Some(BUFFER_BYTES_MAX))
        .build()
}

fn globs(globs: &[String]) -> Result<Override, SandboxError> {
    if globs.len() > GLOBS_MAX {
        return Err(refusal("globs", format!("there may be {GLOBS_MAX} at most")));
    }
    let mut builder = OverrideBuilder::new("");
    for glob in globs {
        if glob.len() > GLOB_BYTES_MAX {
            return Err(refusal("glob", format!("it may have {GLOB_BYTES_MAX} bytes at most")));
        }
        builder.add(glob).map_err(|error| refusal("glob", error))?;
    }
    builder.build().map_err(|error| refusal("globs", error))
}

/// A walk through the tree, depth first, in the order of names.
struct Walk {
    matcher: RegexMatcher,
    searcher: Searcher,
    globs: Override,
    /// The `.gitignore` files from the root to where we are.
    ignores: Vec<Gitignore>,
    found: Found,
    n_hits: usize,
    n_hits_max: usize,
    n_entries: u64,
    deadline: Instant,
}

impl Walk {
    /// Begins at one directory or file; ignore files above it count, but what is named is searched itself.
    fn start_at(&mut self, root: &Dir, start: &Path) -> io::Result<()> {
        let mut directory = root.try_clone()?;
        let mut above = PathBuf::new();
        let mut parts = start.components().peekable();
        while let Some(part) = parts.next() {
            self.ignores.extend(gitignore(&directory, &above));
            let name = Path::new(&part);
            let found = directory.symlink_metadata(name)?;
            above.push(name);
            if found.is_dir() {
                directory = open_directory(&directory, name)?;
            } else if parts.peek().is_none() {
                self.file(&directory, name, &above);
                return Ok(());
            } else {
                return Err(io::ErrorKind::NotADirectory.into());
            }
        }
        self.directory(&directory, &above, 0);
        Ok(())
    }

    fn directory(&mut self, directory: &Dir, path: &Path, depth: usize) {
        let n_ignores = self.ignores.len();
        self.ignores.extend(gitignore(directory, path));
        for (name, is_directory) in self.entries(directory) {
            if self.is_over() {
                break;
            }
            let below = path.join(&name);
            if name.as_os_str() == ".git" || self.is_ignored(&below, is_directory) {
                continue;
            }
            if !is_directory {
                self.file(directory, &name, &below);
            } else if depth == DEPTH_MAX {
                self.found.is_cut_short = true;
            } else if let Ok(inner) = open_directory(directory, &name) {
                self.directory(&inner, &below, depth + 1);
            }
        }
        self.ignores.truncate(n_ignores);
    }

    /// The directories and regular files here, sorted by name; links and devices are nothing to search.
    fn entries(&mut self, directory: &Dir) -> Vec<(PathBuf, bool)> {
        let mut entries = Vec::new();
        for entry in directory.entries().into_iter().flatten().flatten() {
            self.n_entries += 1;
            if self.is_over() {
                break;
            }
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() || kind.is_file() {
                entries.push((PathBuf::from(entry.file_name()), kind.is_dir()));
            }
        }
        entries.sort();
        entries
    }

    fn is_over(&mut self) -> bool {
        let is_over = self.n_entries > ENTRIES_MAX || Instant::now() >= self.deadline;
        self.found.is_cut_short |= is_over;
        is_over
    }

    fn is_ignored(&self, path: &Path, is_directory: bool) -> bool {
        let chosen = self.globs.matched(path, is_directory);
        if !chosen.is_none() {
            return chosen.is_ignore();
        }
        let told = self.ignores.iter().rev().map(|ignore| ignore.matched(path, is_directory)).find(|told| !told.is_none());
        told.is_some_and(|told| told.is_ignore())
    }

    fn file(&mut self, directory: &Dir, name: &Path, path: &Path) {
        let (Ok(file), Some(path)) = (open_file(directory, name), path.to_str()) else {
            self.found.n_files_skipped += 1;
            return;
        };
        let n_kept = self.found.hits.len();
        let before = (self.n_hits, self.found.n_hits_omitted);
        let reader = Timed { file, deadline: self.deadline };
        let mut kept = Kept { path, is_binary: false, n_hits: &mut self.n_hits, n_max: self.n_hits_max, found: &mut self.found };
        let searched = self.searcher.search_reader(&self.matcher, reader, &mut kept);
        let is_binary = kept.is_binary;
        match searched {
            Ok(()) if !is_binary => self.found.n_files_searched += 1,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => self.found.is_cut_short = true,
            Ok(()) | Err(_) => {
                self.found.hits.truncate(n_kept);
                (self.n_hits, self.found.n_hits_omitted) = before;
                self.found.n_files_skipped += 1;
            }
        }
    }
}

/// What a file has for us goes here.
struct Kept<'w> {
    path: &'w str,
    is_binary: bool,
    n_hits: &'w mut usize,
    n_max: usize,
    found: &'w mut Found,
}

impl Kept<'_> {
    fn keep(&mut self, line: Option<u64>, bytes: &[u8], is_context: bool) {
        let bare = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        // One character more than is shown, so that the cut is seen as one.
        let text = bare[..bare.len().min(4 * LINE_BYTES_MAX)].to_vec();
        self.found.hits.push(Hit { path: self.path.to_owned(), line: line.unwrap_or_default(), text, is_context });
    }
}

impl Sink for Kept<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, hit: &SinkMatch<'_>) -> io::Result<bool> {
        if *self.n_hits < self.n_max {
            *self.n_hits += 1;
            self.keep(hit.line_number(), hit.bytes(), false);
        } else {
            self.found.n_hits_omitted += 1;
        }
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, line: &SinkContext<'_>) -> io::Result<bool> {
        if *self.n_hits < self.n_max {
            self.keep(line.line_number(), line.bytes(), true);
        }
        Ok(true)
    }

    fn binary_data(&mut self, _: &Searcher, _: u64) -> io::Result<bool> {
        self.is_binary = true;
        Ok(false)
    }
}

/// A file that cannot be read any more when the time is over, a little at a time.
struct Timed {
    file: File,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let n_bytes = buffer.len().min(READ_BYTES_MAX);
        self.file.read(&mut buffer[..n_bytes])
    }
}

/// Opens a directory that is no link.
pub(super) fn open_directory(parent: &Dir, name: &Path) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(parent, name, flags, rustix::fs::Mode::empty())?;
    Ok(Dir::from_std_file(opened.into()))
}

/// Opens a regular file that is no link and not too large.
fn open_file(parent: &Dir, name: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = parent.open_with(name, OpenOptions::new().read(true).custom_flags(flags))?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > SEARCHED_FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(file)
}

/// The `.gitignore` of a directory, if it has a readable one; lines that are no globs say nothing.
fn gitignore(directory: &Dir, path: &Path) -> Option<Gitignore> {
    let mut text = Vec::new();
    open_file(directory, Path::new(".gitignore")).ok()?.take(GITIGNORE_BYTES_MAX).read_to_end(&mut text).ok()?;
    let mut builder = GitignoreBuilder::new(path);
    for line in String::from_utf8_lossy(&text).trim_start_matches('\u{feff}').lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().ok()
}
