//! Reads `.github/patchwright.yml`.
//!
//! ```yaml
//! triggers:
//!   label: codex          # putting it on an issue starts a run
//!   minimum_role: write   # who may start one: triage, write, maintain, admin
//! commands:
//!   setup: npm ci         # run once in a fresh tree
//!   test: npm test        # red on the base and green on the patch is the proof
//!   format: npx prettier --check .   # what the agent's work must pass before it counts as done
//!   lint: npx eslint .
//! attempts: 3             # how often the work may be begun anew; the best attempt counts
//! sandbox:
//!   isolation: kernel     # the weakest walls for this code: landlock, namespaces, container, kernel
//!   image: our/image:1    # what it runs in, where the server runs images
//! ```

use patchwright_domain::demands::{Demands, Isolation};
use patchwright_domain::ecosystem::Commands;
use patchwright_domain::event::Role;
use patchwright_domain::policy::{DEFAULT_LABEL, Policy, Triggers};
use serde::Deserialize;

/// Where the file is, from the repository's root.
pub const PATH: &str = ".github/patchwright.yml";

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    triggers: TriggersSection,
    commands: CommandsSection,
    attempts: Option<u32>,
    sandbox: SandboxSection,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TriggersSection {
    label: String,
    minimum_role: Role,
}

impl Default for TriggersSection {
    fn default() -> Self {
        Self { label: DEFAULT_LABEL.into(), minimum_role: Role::Write }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CommandsSection {
    setup: Option<String>,
    test: Option<String>,
    format: Option<String>,
    lint: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SandboxSection {
    isolation: Isolation,
    image: Option<String>,
}

/// Reads the file's text.
///
/// # Errors
/// What is wrong and in which line, for people.
pub fn parse(text: &str) -> Result<Policy, String> {
    if text.trim().is_empty() {
        return Ok(Policy::default());
    }
    let file: File = serde_saphyr::from_str(text).map_err(|e| first_line(&e.to_string()))?;
    if file.triggers.minimum_role < Role::Triage {
        return Err("`triggers.minimum_role` must be triage, write, maintain or admin: not everybody may start a run".into());
    }
    let TriggersSection { label, minimum_role } = file.triggers;
    if file.attempts == Some(0) {
        return Err("`attempts` must be at least 1".into());
    }
    let CommandsSection { setup, test, format, lint } = file.commands;
    let checks = format.into_iter().chain(lint).collect();
    let attempts = file.attempts.unwrap_or(1);
    let SandboxSection { isolation, image } = file.sandbox;
    let demands = Demands { isolation, image };
    Ok(Policy { triggers: Triggers { label, minimum_role }, commands: Commands { setup, test, checks }, attempts, demands })
}

/// What is wrong, without the picture of the line that the parser draws below it.
fn first_line(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests;
