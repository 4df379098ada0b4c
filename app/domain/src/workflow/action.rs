//! What the actions are for that workflows prepare their runners with.
//!
//! None of them is run. Those that install a tool are taken as a wish for that tool, which the machine has or not; those that only
//! save time or carry results away are not needed; what is left may change the outcome, and is told.

use super::expression::{Known, plain};
use super::{Env, Template};

/// A tool that a job wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// What it is called.
    pub name: &'static str,
    /// The version as the job names it, where it does.
    pub version: Option<String>,
}

impl std::fmt::Display for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} {version}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// What becomes of an action here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The job goes the same without it.
    Nothing,
    /// It gives the job a tool.
    Tool(Tool),
    /// It does something that is not done here, for this reason.
    Missing(String),
}

/// Actions that give a tool, with the tool and the input that names its version.
const TOOLS: [(&str, &str, &str); 9] = [
    ("actions/setup-python", "python", "python-version"),
    ("actions/setup-node", "node", "node-version"),
    ("actions/setup-go", "go", "go-version"),
    ("actions/setup-java", "java", "java-version"),
    ("actions-rs/toolchain", "rust", "toolchain"),
    ("actions-rust-lang/setup-rust-toolchain", "rust", "toolchain"),
    ("dtolnay/rust-toolchain", "rust", "toolchain"),
    ("astral-sh/setup-uv", "uv", "version"),
    ("pnpm/action-setup", "pnpm", "version"),
];

/// Actions that save time, or carry away what a job has made.
const NEEDLESS: [&str; 9] = [
    "actions/cache",
    "actions/cache/restore",
    "actions/cache/save",
    "actions/upload-artifact",
    "codecov/codecov-action",
    "coverallsapp/github-action",
    "mozilla-actions/sccache-action",
    "step-security/harden-runner",
    "swatinem/rust-cache",
];

/// The action by which a job gets the repository's files.
const CHECKOUT: &str = "actions/checkout";
/// What that may be told which brings other files than the commit's, or puts them elsewhere.
const OTHER_FILES: [&str; 3] = ["repository", "ref", "path"];

/// What an action means for a job.
pub fn meaning(action: &str, with: &Env, known: &Known<'_>) -> Meaning {
    let (name, at) = action.split_once('@').unwrap_or((action, ""));
    let name = name.to_ascii_lowercase();
    let input = |wanted: &str| with.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    if name == CHECKOUT {
        let other = OTHER_FILES.into_iter().find(|wanted| input(wanted).is_some());
        return match other {
            Some(other) => Meaning::Missing(format!("it checks out other files, or elsewhere (`{other}`)")),
            None => Meaning::Nothing,
        };
    }
    if NEEDLESS.contains(&name.as_str()) {
        return Meaning::Nothing;
    }
    let Some((_, tool, version)) = TOOLS.iter().find(|(known, _, _)| *known == name) else {
        return Meaning::Missing(format!("the action `{}` is not run here", plain(action)));
    };
    let text = |template: &Template| known.text(template).ok().map(|text| plain(&text)).filter(|text| !text.is_empty());
    // What stands behind the `@` of this one is the version that it installs.
    let of_action = (name == "dtolnay/rust-toolchain" && !matches!(at, "master" | "v1")).then(|| plain(at));
    Meaning::Tool(Tool { name: tool, version: input(version).and_then(text).or(of_action) })
}
