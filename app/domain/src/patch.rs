//! The apply_patch grammar and its application to text.

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
