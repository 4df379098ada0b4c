//! Parts of workflows for tests.

use super::expression::Expression;
use super::{Does, Job, Piece, Step, Template, Value};

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub(super) fn map(fields: &[(&str, Value)]) -> Value {
    Value::Map(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

/// `root.name`, as in `matrix.os`.
pub(super) fn path(root: &str, name: &str) -> Expression {
    Expression::Path { root: root.into(), parts: vec![Expression::Value(text(name))] }
}

/// `${{ root.name }}` alone.
pub(super) fn of(root: &str, name: &str) -> Template {
    Template(vec![Piece::Expression(path(root, name))])
}

pub(super) fn run(script: &str) -> Step {
    let does = Does::Run { script: Template::plain(script), shell: None, directory: None };
    Step { name: None, condition: None, env: Vec::new(), may_fail: false, does }
}

pub(super) fn job(steps: Vec<Step>) -> Job {
    Job { id: "test".into(), runs_on: vec![Template::plain("ubuntu-latest")], steps, ..Job::default() }
}
