//! Reads `.github/patchwright.yml`: what a repository wants, of what the operator allows.
//!
//! Only the default branch's file is obeyed, or that of the branch that a pull request goes to. Whoever reads one from anywhere
//! else may check it, and must not obey it. [`format`] is what may stand in it, and the schema is made of the same types.

use patchwright_domain::policy::wanted::Policy;
use serde_saphyr::DuplicateKeyPolicy;

pub mod format;
pub mod globs;
pub mod problem;
mod pull_requests;
pub mod schedule;
pub mod schema;
mod values;

use format::File;
use problem::Problem;

/// Where the file is, from the repository's root.
pub const PATH: &str = ".github/patchwright.yml";

/// The largest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 64 * 1024;
/// How deep lists and tables may stand inside each other.
const DEPTH_MAX: usize = 16;
/// How many values there may be.
const NODES_MAX: usize = 5_000;
/// How often a value may be named again; the format has no use for it.
const ALIASES_MAX: usize = 16;

/// Reads the file's bytes.
///
/// # Errors
/// What is wrong and where, for people.
pub fn parse(bytes: &[u8]) -> Result<Policy, Problem> {
    read(bytes).map(File::into_policy)
}

/// Reads the file's bytes, with the defaults of what does not stand in them.
///
/// # Errors
/// What is wrong and where, for people.
pub fn read(bytes: &[u8]) -> Result<File, Problem> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Problem::of_file(format!("the file is larger than {FILE_BYTES_MAX} bytes, and no larger one is read")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Problem::of_encoding(bytes, error.valid_up_to()))?;
    let is_nothing = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.trim_start_matches('\u{feff}').lines().all(is_nothing) {
        return Ok(File::default());
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| Problem::of_yaml(text, &error))
}

/// A file has a few dozen values; what needs more than these limits was not written to be read.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_merge_keys: ALIASES_MAX,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
    }
}

#[cfg(test)]
mod tests;
