//! What may stand in a policy file. What is written here is what the schema says to whoever writes one.

use std::num::{NonZeroU32, NonZeroU64};

use patchwright_domain::demands::{Demands, Isolation};
use patchwright_domain::ecosystem::Commands;
use patchwright_domain::event::Role;
use patchwright_domain::policy::wanted::{self, Checks, DEFAULT_LABEL, Policy, Source};
use patchwright_domain::scope::Scope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy_file::pull_requests::PullRequests;
use crate::policy_file::schedule::{Entry, SCHEDULES_MAX};
use crate::policy_file::values::{Glob, Hosts, Line, List, ShellCommand, Usd};

/// How this repository wants to be treated. Every key only narrows what the server's operator allows.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// What starts a run, and who may start one.
    pub triggers: Triggers,
    /// The commands of this repository, in the place of those that are found by themselves.
    pub commands: CommandLines,
    /// Which files an agent's patch may touch.
    pub paths: Paths,
    /// What one job may use, within the operator's limits.
    pub limits: Limits,
    /// How often the work may be begun anew, within the operator's `limits.attempts`. The best attempt counts.
    pub attempts: NonZeroU32,
    /// In what this repository's code is run.
    pub sandbox: Sandbox,
    /// How the pull requests are opened that come of it.
    pub pull_requests: PullRequests,
    /// What is done at certain times. It takes no role: whoever may change this file on the default branch may ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<List<Entry, 0, SCHEDULES_MAX>>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            triggers: Triggers::default(),
            commands: CommandLines::default(),
            paths: Paths::default(),
            limits: Limits::default(),
            attempts: NonZeroU32::MIN,
            sandbox: Sandbox::default(),
            pull_requests: PullRequests::default(),
            schedule: None,
        }
    }
}

/// What starts a run, and who may start one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Triggers {
    /// The label that starts a run when it is put on an issue or pull request.
    pub label: Line,
    /// The login of the account that starts a run when an issue or pull request is assigned to it, or a review is asked of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<Line>,
    /// The bots that may give commands as somebody may who can push, by GitHub's numbers (`id` of
    /// `GET /users/NAME[bot]`), as far as the operator's `github.bots` names them too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bots: Option<List<u64, 0>>,
    /// The least role that may give a command which `roles` does not name.
    pub minimum_role: LeastRole,
    /// The least role for single commands.
    pub roles: Roles,
    /// Where a run may be asked for. `stop`, `status` and `help` are heard everywhere.
    pub sources: List<SourceName, 1>,
    /// The branches that a pull request must go to for anything to be begun on it, as globs from the beginning of their names: `main`,
    /// `release/*`. Without, all. `stop`, `status` and `help` are heard everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branches: Option<List<Glob, 1>>,
    /// Whose pull requests have their red checks looked into, without that anybody asks for it.
    pub checks: Whose,
    /// Whether those of them that are red for the change itself are mended by an agent, in pull requests on top; those of the App's own
    /// pull requests, on their branches.
    pub repairs: bool,
    /// Whether a review that requests changes of a pull request which this App has opened is worked on as if it called us.
    pub reviews: bool,
    /// Whether `approve` is for somebody else than who has asked for the plan.
    pub second_person: bool,
}

impl Default for Triggers {
    fn default() -> Self {
        Self {
            label: Line(DEFAULT_LABEL.into()),
            assignee: None,
            bots: None,
            minimum_role: LeastRole::Write,
            roles: Roles::default(),
            sources: List(SourceName::ALL.to_vec()),
            branches: None,
            checks: Whose::Off,
            repairs: false,
            reviews: true,
            second_person: false,
        }
    }
}

/// Whose pull requests have their red checks looked into. Each costs several runs of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Nobody's.
    Off,
    /// Those that this App has opened.
    Own,
    /// Those of all branches of the repository. Forks are left out.
    All,
}

impl Whose {
    fn checks(self) -> Checks {
        match self {
            Self::Off => Checks::Off,
            Self::Own => Checks::Own,
            Self::All => Checks::All,
        }
    }
}

/// A role that may be needed: nobody can let everybody start a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeastRole {
    /// May sort issues.
    Triage,
    /// May push.
    Write,
    /// May manage without the dangerous parts.
    Maintain,
    /// May do all.
    Admin,
}

impl LeastRole {
    fn role(self) -> Role {
        match self {
            Self::Triage => Role::Triage,
            Self::Write => Role::Write,
            Self::Maintain => Role::Maintain,
            Self::Admin => Role::Admin,
        }
    }
}

/// The least role for single commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Roles {
    /// For `fix`, for a request in free words, for the label, and for an assignment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<LeastRole>,
    /// For `ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<LeastRole>,
    /// For `review`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<LeastRole>,
    /// For `plan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<LeastRole>,
    /// For `approve`, which takes that for `fix` as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approve: Option<LeastRole>,
    /// For `prove`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prove: Option<LeastRole>,
    /// For `stop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<LeastRole>,
}

/// Where a run may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceName {
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

impl SourceName {
    const ALL: [Self; 7] =
        [Self::Description, Self::Comment, Self::Review, Self::Label, Self::Assignment, Self::ReviewRequest, Self::Dispatch];
}

/// The commands of this repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandLines {
    /// Run once in a fresh tree. It alone may reach registries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup: Option<ShellCommand>,
    /// Runs the tests: red on the base and green on the patch is the proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<ShellCommand>,
    /// What the agent's work must pass before it counts as done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<ShellCommand>,
    /// What it must pass behind that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lint: Option<ShellCommand>,
}

/// Which files an agent's patch may touch. Globs are read as in `.gitignore`: `/docs/`, `*.sql`, `src/**`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// If it is there, a patch touches no other files than these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<List<Glob, 1>>,
    /// No patch touches these, beside those that none ever does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected: Option<List<Glob, 0>>,
}

/// What one job may use. A value that is greater than the operator's changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Minutes from the first worker's start on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_clock_minutes: Option<NonZeroU64>,
    /// How often solve-and-verify may be done in one attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<NonZeroU32>,
    /// Model calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<NonZeroU32>,
    /// Tokens, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<NonZeroU64>,
    /// US dollars; kept where the operator has configured prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<Usd>,
}

/// In what this repository's code is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// The weakest walls for it. On a server that has none that are as strong, nothing is run.
    pub isolation: Walls,
    /// What it runs in, where the server runs images and allows this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Line>,
    /// If it is there, the setup reaches these hosts alone, and of these only those that the operator lets it reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<List<Hosts, 0>>,
}

/// How strong walls are, the weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Walls {
    /// Whatever the operator takes.
    #[default]
    None,
    /// Rules on files alone.
    Landlock,
    /// Namespaces and a system-call filter.
    Namespaces,
    /// A container engine's.
    Container,
    /// A kernel of its own.
    Kernel,
}

impl File {
    /// What it says, for those who decide by it.
    pub fn into_policy(self) -> Policy {
        let CommandLines { setup, test, format, lint } = self.commands;
        let text = |command: Option<ShellCommand>| command.map(|command| command.0);
        let checks = format.into_iter().chain(lint).map(|command| command.0).collect();
        let globs = |globs: Vec<Glob>| globs.into_iter().map(|glob| glob.0).collect();
        Policy {
            triggers: self.triggers.into_wanted(),
            commands: Commands { setup: text(setup), test: text(test), checks },
            attempts: self.attempts.get(),
            limits: self.limits.into_wanted(),
            demands: self.sandbox.into_demands(),
            scope: Scope {
                allowed: self.paths.allowed.map(|list| globs(list.0)).unwrap_or_default(),
                protected: self.paths.protected.map(|list| globs(list.0)).unwrap_or_default(),
            },
            opening: self.pull_requests.into_opening(),
            schedule: self.schedule.map(|list| list.0.into_iter().map(Entry::into_schedule).collect()).unwrap_or_default(),
        }
    }
}

impl Triggers {
    fn into_wanted(self) -> wanted::Triggers {
        let Roles { fix, ask, plan, review, approve, prove, stop } = self.roles;
        let named = [
            ("fix", fix),
            ("ask", ask),
            ("plan", plan),
            ("review", review),
            ("approve", approve),
            ("prove", prove),
            ("stop", stop),
        ];
        let source = |name: &SourceName| match name {
            SourceName::Description => Source::Description,
            SourceName::Comment => Source::Comment,
            SourceName::Review => Source::Review,
            SourceName::Label => Source::Label,
            SourceName::Assignment => Source::Assignment,
            SourceName::ReviewRequest => Source::ReviewRequest,
            SourceName::Dispatch => Source::Dispatch,
        };
        wanted::Triggers {
            label: self.label.0,
            assignee: self.assignee.map(|assignee| assignee.0),
            bots: self.bots.map(|bots| bots.0.into_iter().collect()).unwrap_or_default(),
            minimum_role: self.minimum_role.role(),
            roles: named.into_iter().filter_map(|(name, role)| Some((name, role?.role()))).collect(),
            sources: self.sources.0.iter().map(source).collect(),
            branches: self.branches.map(|list| list.0.into_iter().map(|glob| glob.0).collect()).unwrap_or_default(),
            checks: self.checks.checks(),
            repairs: self.repairs,
            reviews: self.reviews,
            second_person: self.second_person,
        }
    }
}

impl Limits {
    fn into_wanted(self) -> wanted::Limits {
        wanted::Limits {
            wall_clock_ms: self.wall_clock_minutes.map(|minutes| minutes.get().saturating_mul(60_000)),
            rounds: self.rounds.map(NonZeroU32::get),
            turns: self.turns.map(NonZeroU32::get),
            tokens: self.max_tokens.map(NonZeroU64::get),
            cost_microusd: self.max_cost_usd.map(Usd::microusd),
        }
    }
}

impl Sandbox {
    fn into_demands(self) -> Demands {
        let isolation = match self.isolation {
            Walls::None => Isolation::None,
            Walls::Landlock => Isolation::Landlock,
            Walls::Namespaces => Isolation::Namespaces,
            Walls::Container => Isolation::Container,
            Walls::Kernel => Isolation::Kernel,
        };
        let hosts = self.hosts.map(|hosts| hosts.0.into_iter().map(|host| host.0).collect());
        Demands { isolation, image: self.image.map(|image| image.0), hosts }
    }
}
