//! What a workflow file says: its jobs, by the names under which GitHub shows them, and the commands that they run.
//!
//! The file is at the commit whose check is red, so that whoever made that commit may have written it: everything is a value that
//! is only compared, put together and quoted, and has a limit. The [matrix](matrix) says which runs a job has, the
//! [expression](expression) what stands in their texts, and the [reconstruction](reconstruction) what one of them ran.

use expression::Expression;

pub mod action;
pub mod expression;
pub mod matrix;
pub mod reconstruction;
pub mod script;
pub mod search;

/// A value as YAML and expressions have it. The fields of a map are in their order, for names are made of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number; GitHub has but one kind.
    Number(f64),
    /// A text.
    Text(String),
    /// Values one after the other.
    List(Vec<Value>),
    /// Values by name.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The field of a map; names are the same whatever their case.
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }
}

/// A text in which expressions may stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template(pub Vec<Piece>);

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// What stands between `${{` and `}}`.
    Expression(Expression),
    /// The same where it cannot be read, as it is written.
    Unreadable(String),
}

impl Template {
    /// A text without any expression.
    pub fn plain(text: impl Into<String>) -> Self {
        Self(vec![Piece::Text(text.into())])
    }

    /// Whether it is the same everywhere.
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }
}

/// Environment variables in their order, each of which may use those before it.
pub type Env = Vec<(String, Template)>;

/// One workflow file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workflow {
    /// Its path from the repository's root.
    pub path: String,
    /// What it is called, where it says so.
    pub name: Option<String>,
    /// The variables of all its jobs.
    pub env: Env,
    /// What holds for all its `run` steps.
    pub defaults: Defaults,
    /// Its jobs, in their order.
    pub jobs: Vec<Job>,
}

/// What holds for `run` steps that say nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    /// The shell.
    pub shell: Option<Template>,
    /// The working directory.
    pub directory: Option<Template>,
}

/// One job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// Its key in the file.
    pub id: String,
    /// What it is called, where it says so.
    pub name: Option<Template>,
    /// The labels of the runners that it takes.
    pub runs_on: Vec<Template>,
    /// The variables of all its steps.
    pub env: Env,
    /// What holds for its `run` steps.
    pub defaults: Defaults,
    /// How often it runs, and with which values.
    pub matrix: Option<matrix::Matrix>,
    /// Whether its steps run in a container that it names.
    pub has_container: bool,
    /// The services that run beside it.
    pub services: Vec<String>,
    /// The workflow that it calls instead of having steps.
    pub calls: Option<String>,
    /// What it does, in this order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it is called, where it says so.
    pub name: Option<Template>,
    /// On what it depends whether it runs.
    pub condition: Option<Piece>,
    /// Its own variables.
    pub env: Env,
    /// Whether the job goes on where it fails.
    pub may_fail: bool,
    /// What it does.
    pub does: Does,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Does {
    /// It runs a script.
    Run {
        /// The script.
        script: Template,
        /// The shell, where it says so.
        shell: Option<Template>,
        /// The working directory, where it says so.
        directory: Option<Template>,
    },
    /// It uses an action.
    Use {
        /// The action, with its version behind an `@`.
        action: String,
        /// What it is given.
        with: Env,
    },
    /// Something else, or what is no step.
    Other,
}

#[cfg(test)]
mod sample;
