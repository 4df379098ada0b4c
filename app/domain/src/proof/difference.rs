//! What a patch does to its files, line by line, as the gates look at it.

use super::paths::is_test_path;
use super::test_files::TestFiles;

/// How many lines of each side are looked at; a patch with more is not looked through.
pub const LINES_MAX: usize = 500_000;

/// A line that a patch adds or takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file.
    pub path: String,
    /// The line's number in it, from 1: in the head where it is added, in the base where it is taken away.
    pub line: u32,
    /// What it says.
    pub text: String,
    /// Whether it stands in a test inside the code, or in a file that only tests have, where that can be told.
    pub is_inline_test: bool,
    /// Whether it stands in a file of tests that the program has as well.
    pub is_of_program: bool,
    /// Whether the code is made another here where it is tested, where that can be told.
    pub depends_on_tests: bool,
}

impl Line {
    /// Whether it is part of a test, by its file or by its place in it.
    pub fn is_test(&self) -> bool {
        !self.is_of_program && (self.is_inline_test || is_test_path(&self.path))
    }
}

/// What kind of thing a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A file.
    Plain,
    /// A file that can be started.
    Executable,
    /// A symbolic link.
    Link,
    /// Something else, such as a submodule.
    Other,
}

/// A path that is another kind of thing than it was, or is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeChange {
    /// The path.
    pub path: String,
    /// What it was; none where it is new.
    pub before: Option<Mode>,
    /// What it is.
    pub after: Mode,
}

/// What a patch does beside the list of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The lines that it adds, file by file and in their order; those of files that are not text too.
    pub added: Vec<Line>,
    /// The lines that it takes away, in the same way.
    pub removed: Vec<Line>,
    /// The kinds of things that it changes.
    pub modes: Vec<ModeChange>,
    /// Which of its files are tests.
    pub test_files: TestFiles,
    /// Whether these are all its lines.
    pub is_whole: bool,
}

impl Default for Difference {
    fn default() -> Self {
        Self { added: Vec::new(), removed: Vec::new(), modes: Vec::new(), test_files: TestFiles::default(), is_whole: true }
    }
}
