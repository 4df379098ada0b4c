//! What a run's code was confined by, as it was found by trying: written into the journal before any of it ran.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::demands::Isolation;
use crate::proof::Limit;

/// How a limit is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// The kernel refuses what is over it.
    Exact,
    /// It is looked at again and again, and what is over it is killed; the peak is somewhat higher.
    Polled,
    /// Not at all.
    Missing,
}

/// The walls that were in force while a repository's code ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walls {
    /// What ran the commands, by its name in the configuration.
    pub executor: String,
    /// How strong they were.
    pub isolation: Isolation,
    /// The layers that held when they were attacked, one line for each.
    pub layers: Vec<String>,
    /// Each limit, and how it was kept.
    pub limits: Vec<KeptLimit>,
}

/// A limit of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLimit {
    /// Of what.
    pub limit: Limit,
    /// How much there may be, in the limit's own unit.
    pub most: u64,
    /// How that was kept.
    pub kept: Enforcement,
}

/// What the setup could reach while it ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The first of the hosts on the list.
    pub hosts: Vec<String>,
    /// How many more there were.
    pub n_more: u32,
    /// Whether the setup of a tree that the agent had changed could reach them too.
    pub is_for_patches: bool,
}

/// How many hosts of a list are written down.
const HOSTS_MAX: usize = 20;
/// How much of a host's name is, in characters.
const HOST_CHARS_MAX: usize = 255;

/// What people are told where there was no sandbox.
pub const MARK: &str = "This ran without a sandbox.";
/// What stands before the title of a pull request of such a run.
pub const TITLE_MARK: &str = "[no sandbox] ";

impl Walls {
    /// Whether there were none.
    pub fn are_missing(&self) -> bool {
        self.isolation == Isolation::None
    }

    /// All in a line: what ran the commands, how strong the walls were, and how each limit was kept.
    pub fn line(&self) -> String {
        let mut line = if self.are_missing() {
            format!("none, by the executor `{}`", self.executor)
        } else {
            format!("`{}`, by the executor `{}`", self.isolation, self.executor)
        };
        let ways = [
            (Enforcement::Exact, "limits kept exactly"),
            (Enforcement::Polled, "limits looked at again and again"),
            (Enforcement::Missing, "limits NOT kept"),
        ];
        for (way, how) in ways {
            let names: Vec<String> =
                self.limits.iter().filter(|kept| kept.kept == way).map(|kept| kept.limit.to_string()).collect();
            if !names.is_empty() {
                let _ = write!(line, "; {how}: {}", names.join(", "));
            }
        }
        line
    }
}

impl Reach {
    /// The beginning of a list of hosts.
    pub fn of(hosts: impl IntoIterator<Item = String>, is_for_patches: bool) -> Self {
        let mut hosts: Vec<String> = hosts.into_iter().map(|host| host.chars().take(HOST_CHARS_MAX).collect()).collect();
        let n_more = u32::try_from(hosts.len().saturating_sub(HOSTS_MAX)).unwrap_or(u32::MAX);
        hosts.truncate(HOSTS_MAX);
        Self { hosts, n_more, is_for_patches }
    }

    /// All in a line: the hosts, and for whose code.
    pub fn line(&self) -> String {
        if self.hosts.is_empty() {
            return "no host".to_owned();
        }
        let mut line = self.hosts.join(", ");
        if self.n_more > 0 {
            let _ = write!(line, " and {} more", self.n_more);
        }
        line.push_str(if self.is_for_patches { ", with the agent's changes too" } else { ", on the base alone" });
        line
    }
}
