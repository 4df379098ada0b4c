//! What a repository wants: the values of its policy file. Each only narrows what the operator has set.

use std::collections::{BTreeMap, BTreeSet};

use crate::demands::Demands;
use crate::ecosystem::Commands;
use crate::event::{EventKind, Place, Role};
use crate::job::{Budget, Opening};
use crate::policy::schedule::Schedule;
use crate::scope::Scope;

/// What a repository wants, from `.github/patchwright.yml` on its default branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What starts a run.
    pub triggers: Triggers,
    /// The commands that the ecosystem's are replaced by.
    pub commands: Commands,
    /// How often the work may be begun anew, as far as the operator allows it.
    pub attempts: u32,
    /// What a job may use, as far as the operator allows it.
    pub limits: Limits,
    /// In what its code must run.
    pub demands: Demands,
    /// Which files an agent's patch may touch.
    pub scope: Scope,
    /// How the pull requests are opened that come of it.
    pub opening: Opening,
    /// What is done at certain times.
    pub schedule: Vec<Schedule>,
}

/// What starts a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triggers {
    /// The label that does, when somebody with the role puts it on an issue or pull request.
    pub label: String,
    /// The account that does, by its login, when somebody with the role assigns an issue or pull request to it, or asks it for a review.
    pub assignee: Option<String>,
    /// The bots that may ask for something as somebody may who can push, by GitHub's numbers, where the operator lets them.
    pub bots: BTreeSet<u64>,
    /// The least role that may give a command that `roles` does not name.
    pub minimum_role: Role,
    /// The least role for a command, by its name. The label and an assignment are a `fix`.
    pub roles: BTreeMap<&'static str, Role>,
    /// Where a run may be asked for.
    pub sources: BTreeSet<Source>,
    /// Globs for the branches that a pull request must go to for anything to be begun on it; where there are none, all.
    pub branches: Vec<String>,
    /// Whose pull requests have their red checks looked into.
    pub checks: Checks,
    /// Whether those that are red for the change itself are mended, in pull requests on top.
    pub repairs: bool,
    /// Whether a review that wants changes of a pull request of ours is answered without that it calls us.
    pub reviews: bool,
    /// Whether a plan is approved by somebody else than who asked for it.
    pub second_person: bool,
}

/// Whose pull requests have their red checks looked into, without that anybody asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// Nobody's: each costs several runs of its job, and nobody has asked for them.
    #[default]
    Off,
    /// Those that this App has opened.
    Own,
    /// Those of all branches of the repository. Forks are left out.
    All,
}

/// Where a run may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// In an issue's or pull request's own title and text.
    Description,
    /// In a comment.
    Comment,
    /// In a review of a pull request, as a whole or beside a line.
    Review,
    /// By the label.
    Label,
    /// By assigning an issue or pull request.
    Assignment,
    /// By asking the account of `assignee` for a review.
    ReviewRequest,
    /// By a `repository_dispatch` of a program, or among the inputs of a `workflow_dispatch`.
    Dispatch,
}

impl Source {
    /// All that there are.
    pub const ALL: [Self; 7] =
        [Self::Description, Self::Comment, Self::Review, Self::Label, Self::Assignment, Self::ReviewRequest, Self::Dispatch];

    /// Its name in the policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::Comment => "comment",
            Self::Review => "review",
            Self::Label => "label",
            Self::Assignment => "assignment",
            Self::ReviewRequest => "review_request",
            Self::Dispatch => "dispatch",
        }
    }

    /// Where an event asks, if it can ask for anything.
    pub(super) fn of(kind: &EventKind) -> Option<Self> {
        match kind {
            EventKind::Written { place: Place::Description, .. } => Some(Self::Description),
            EventKind::Written { place: Place::Comment(_), .. } => Some(Self::Comment),
            EventKind::Written { place: Place::Review(_) | Place::ReviewComment { .. }, .. } => Some(Self::Review),
            EventKind::IssueLabeled { .. } => Some(Self::Label),
            EventKind::IssueAssigned { .. } => Some(Self::Assignment),
            EventKind::ReviewRequested { .. } => Some(Self::ReviewRequest),
            EventKind::Dispatched { .. } => Some(Self::Dispatch),
            // The file that would name it as a source is what asks.
            EventKind::Scheduled { .. }
            | EventKind::Pushed { .. }
            | EventKind::IssueClosed { .. }
            | EventKind::CheckFailed { .. }
            | EventKind::CheckAsked { .. } => None,
        }
    }
}

/// What a job may use; where nothing is said, what the operator allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The time from the first claim on, in milliseconds.
    pub wall_clock_ms: Option<u64>,
    /// How often solve-and-verify may be done in one attempt.
    pub rounds: Option<u32>,
    /// How many model calls.
    pub turns: Option<u32>,
    /// Input and output tokens together.
    pub tokens: Option<u64>,
    /// What the model may cost, in millionths of a US dollar.
    pub cost_microusd: Option<u64>,
}

impl Limits {
    /// The operator's budget, or less.
    pub(super) fn narrow(&self, budget: Budget) -> Budget {
        let Self { wall_clock_ms, rounds, turns, tokens, cost_microusd } = *self;
        Budget {
            wall_clock_ms: least(wall_clock_ms, budget.wall_clock_ms),
            rounds: least(rounds, budget.rounds),
            turns: least(turns, budget.turns),
            tokens: least(tokens, budget.tokens),
            cost_microusd: least(cost_microusd, budget.cost_microusd),
            ..budget
        }
    }
}

fn least<N: Ord>(wanted: Option<N>, allowed: N) -> N {
    match wanted {
        Some(wanted) => wanted.min(allowed),
        None => allowed,
    }
}

/// The label that starts a run where the policy names no other.
pub const DEFAULT_LABEL: &str = "codex";

impl Default for Triggers {
    fn default() -> Self {
        Self {
            label: DEFAULT_LABEL.into(),
            assignee: None,
            bots: BTreeSet::new(),
            minimum_role: Role::Write,
            roles: BTreeMap::new(),
            sources: Source::ALL.into_iter().collect(),
            branches: Vec::new(),
            checks: Checks::Off,
            repairs: false,
            reviews: true,
            second_person: false,
        }
    }
}

impl Triggers {
    /// The least role that may give a command.
    pub(super) fn role_for(&self, command: &str) -> Role {
        self.roles.get(command).copied().unwrap_or(self.minimum_role)
    }

    /// The least role that may give any command at all: whoever has it is answered.
    pub(super) fn least_role(&self) -> Role {
        self.roles.values().copied().chain([self.minimum_role]).min().unwrap_or(self.minimum_role)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            triggers: Triggers::default(),
            commands: Commands::default(),
            attempts: 1,
            limits: Limits::default(),
            demands: Demands::default(),
            scope: Scope::default(),
            opening: Opening::default(),
            schedule: Vec::new(),
        }
    }
}
