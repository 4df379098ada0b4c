//! What a repository tells agents about working in it: `AGENTS.md` files, one for each directory.
//!
//! Only the base commit's files are ever given to this module; what a patch or a fork's branch says is no instruction.
//! Where they are more than fit, the deeper file wins, because it speaks of fewer files and more closely; what was left
//! out is said.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::brief::beginning;

/// The names that every repository may use, the first of a directory winning: an override hides what stands beside it,
/// even an empty one.
pub const NAMES: [&str; 2] = ["AGENTS.override.md", "AGENTS.md"];
/// How much of all files together is told, in bytes.
pub const BYTES_MAX: usize = 32 * 1024;
/// A file of which less than this would be left is left out whole, in bytes.
const PART_BYTES_MIN: usize = 256;

/// A file with instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path from the repository's root.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl File {
    fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    fn depth(&self) -> usize {
        if self.directory().is_empty() { 0 } else { self.directory().split('/').count() }
    }
}

/// Renders the instructions, the root's first; nothing where there are none. `fallbacks` are further names, tried in their
/// order where a directory has none of [`NAMES`].
pub fn told(files: &[File], fallbacks: &[String]) -> String {
    let mut chosen = one_for_each_directory(files, fallbacks);
    chosen.retain(|file| !file.text.trim().is_empty());
    let (shown, cut) = within_limit(&chosen);
    let mut told = String::new();
    for file in &chosen {
        let Some(text) = shown.get(file.path.as_str()) else { continue };
        let scope =
            if file.directory().is_empty() { "the whole repository".to_owned() } else { format!("{}/", file.directory()) };
        let _ = writeln!(told, "## {} (for {scope})\n{}\n", file.path, text.trim());
    }
    for line in cut {
        let _ = writeln!(told, "({line})");
    }
    told
}

fn one_for_each_directory(files: &[File], fallbacks: &[String]) -> Vec<File> {
    let rank = |name: &str| NAMES.iter().copied().chain(fallbacks.iter().map(String::as_str)).position(|known| known == name);
    let mut by_directory: BTreeMap<&str, (usize, &File)> = BTreeMap::new();
    for file in files {
        let Some(rank) = rank(file.name()) else { continue };
        let best = by_directory.entry(file.directory()).or_insert((rank, file));
        if rank < best.0 {
            *best = (rank, file);
        }
    }
    by_directory.into_values().map(|(_, file)| file.clone()).collect()
}

/// The texts that fit, by path, and a line for each that does not, wholly or in part.
fn within_limit(files: &[File]) -> (BTreeMap<&str, &str>, Vec<String>) {
    let mut deepest_first: Vec<&File> = files.iter().collect();
    deepest_first.sort_by_key(|file| (std::cmp::Reverse(file.depth()), file.path.clone()));
    let (mut shown, mut cut, mut left) = (BTreeMap::new(), Vec::new(), BYTES_MAX);
    for file in deepest_first {
        let text = beginning(&file.text, left);
        let omitted = file.text.len() - text.len();
        if omitted > 0 && text.len() < PART_BYTES_MIN {
            cut.push(format!(
                "{} is left out for want of room: {} bytes. Read it before you work where it applies.",
                file.path,
                file.text.len()
            ));
            continue;
        }
        if omitted > 0 {
            cut.push(format!("The last {omitted} bytes of {} are left out for want of room.", file.path));
        }
        left -= text.len();
        shown.insert(file.path.as_str(), text);
    }
    (shown, cut)
}

#[cfg(test)]
mod tests;
