//! The files of a large repository, the same every time, and git.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

const N_FILES: usize = 2_300;
const FILE_BYTES_MEAN: usize = 9_600;
const WORDS: [&str; 16] = [
    "let", "match", "return", "delivery", "journal", "lease", "worker", "effect", "proof", "branch", "commit", "tree", "fn",
    "self", "policy", "queue",
];

/// Runs git and waits for it to end well.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    // The repository of the rehearsal and its user's settings must not mix.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let status = command.status().context("running git; this benchmark needs it")?;
    ensure!(status.success(), "`git {}` ended with {status}", arguments.join(" "));
    Ok(())
}

/// Paths of up to five folders, and lines of words; file sizes are spread between nothing and twice the mean.
pub(crate) fn contents() -> Vec<(String, Vec<u8>)> {
    let mut state = 0x7265_6865_6172_7361_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or_default() % below
    };
    let file = |number: usize| {
        let path = match number % 5 {
            0 => format!("docs/part_{}/page_{number}.md", number % 37),
            1 => format!("crates/c{}/src/file_{number}.rs", number % 23),
            2 => format!("crates/c{}/src/m{}/file_{number}.rs", number % 23, number % 7),
            3 => format!("crates/c{}/tests/it/m{}/case_{number}.rs", number % 23, number % 11),
            _ => format!("scripts/s{}/run_{number}.sh", number % 13),
        };
        let length = random(2 * FILE_BYTES_MEAN);
        let mut bytes = Vec::with_capacity(length + 32);
        while bytes.len() < length {
            bytes.extend_from_slice(WORDS[random(WORDS.len())].as_bytes());
            bytes.extend_from_slice(format!("_{}{}", random(1_000), if random(9) == 0 { '\n' } else { ' ' }).as_bytes());
        }
        (path, bytes)
    };
    (0..N_FILES).map(file).collect()
}
