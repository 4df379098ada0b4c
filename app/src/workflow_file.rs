//! Reads workflow files, as strangers wrote them, into what the domain knows of workflows.
//!
//! A part that cannot be read is left out or kept as unreadable, so that it hides none of the others: only a file that is no YAML is
//! read not at all. What it all means is `domain::workflow`'s business.

use patchwright_domain::workflow::expression::{Expression, Known, shown};
use patchwright_domain::workflow::matrix::Matrix;
use patchwright_domain::workflow::{Defaults, Does, Env, Job, Piece, Step, Template, Value, Workflow};

use tree::Tree;

mod expression;
mod tree;

/// Where workflow files are, from the repository's root.
pub const FOLDER: &str = ".github/workflows/";
/// The longest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 256 * 1024;
/// How many values a file has at most, those counted again that it repeats by a name.
const VALUES_MAX: usize = 20_000;
/// How many bytes its values have together, counted like this.
const VALUE_BYTES_MAX: usize = 2 * FILE_BYTES_MAX;
/// How deep its values are.
const DEPTH_MAX: usize = 32;

/// Whether a path is a workflow file's.
pub fn is_path(path: &str) -> bool {
    path.strip_prefix(FOLDER).is_some_and(|name| !name.contains('/') && (name.ends_with(".yml") || name.ends_with(".yaml")))
}

/// Reads a file's text.
///
/// # Errors
/// Why it cannot be read, for people.
pub fn read(path: &str, text: &[u8]) -> Result<Workflow, String> {
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("`{path}` is longer than {FILE_BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(text).map_err(|_| format!("`{path}` is no text"))?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: VALUES_MAX, max_total_scalar_bytes: VALUE_BYTES_MAX, max_depth: DEPTH_MAX },
    };
    let Tree(root) =
        serde_saphyr::from_str_with_options(text, options).map_err(|_| format!("`{path}` cannot be read as YAML"))?;
    let jobs = fields(root.field("jobs"));
    Ok(Workflow {
        path: path.to_owned(),
        name: root.field("name").filter(|name| **name != Value::Null).map(shown),
        env: env(root.field("env")),
        defaults: defaults(&root),
        jobs: jobs.iter().filter_map(|(id, job)| self::job(id, job)).collect(),
    })
}

fn job(id: &str, job: &Value) -> Option<Job> {
    let Value::Map(_) = job else { return None };
    Some(Job {
        id: id.to_owned(),
        name: job.field("name").map(template),
        runs_on: labels(job.field("runs-on")),
        env: env(job.field("env")),
        defaults: defaults(job),
        matrix: job.field("strategy").and_then(|strategy| strategy.field("matrix")).map(matrix),
        has_container: job.field("container").is_some_and(|container| *container != Value::Null),
        services: fields(job.field("services")).iter().map(|(name, _)| name.clone()).collect(),
        calls: job.field("uses").and_then(text_of),
        steps: list(job.field("steps")).iter().map(step).collect(),
    })
}

fn step(step: &Value) -> Step {
    let does = match (step.field("run"), step.field("uses").and_then(text_of)) {
        (Some(script), _) => {
            let of = |name: &str| step.field(name).map(template);
            Does::Run { script: template(script), shell: of("shell"), directory: of("working-directory") }
        }
        (None, Some(action)) => Does::Use { action, with: env(step.field("with")) },
        (None, None) => Does::Other,
    };
    Step {
        name: step.field("name").map(template),
        condition: step.field("if").map(condition),
        env: env(step.field("env")),
        may_fail: step.field("continue-on-error") == Some(&Value::Bool(true)),
        does,
    }
}

fn defaults(holder: &Value) -> Defaults {
    let run = holder.field("defaults").and_then(|defaults| defaults.field("run"));
    let of = |name: &str| run.and_then(|run| run.field(name)).map(template);
    Defaults { shell: of("shell"), directory: of("working-directory") }
}

fn env(env: Option<&Value>) -> Env {
    match env {
        // All of it is computed, so that no name is known.
        Some(Value::Text(computed)) => vec![("env".into(), Template(vec![Piece::Unreadable(computed.clone())]))],
        env => fields(env).iter().map(|(name, value)| (name.clone(), template(value))).collect(),
    }
}

fn labels(runs_on: Option<&Value>) -> Vec<Template> {
    match runs_on {
        Some(Value::List(all)) => all.iter().map(template).collect(),
        Some(Value::Map(_)) => {
            runs_on.and_then(|on| on.field("labels").or(on.field("group"))).map(template).into_iter().collect()
        }
        Some(label @ (Value::Text(_) | Value::Number(_) | Value::Bool(_))) => vec![template(label)],
        Some(Value::Null) | None => Vec::new(),
    }
}

fn matrix(matrix: &Value) -> Matrix {
    let mut read = Matrix::default();
    if let Value::Text(text) = matrix {
        read.computed = Some(Expression::Unread(text.clone()));
    }
    for (name, value) in fields(Some(matrix)) {
        let values = match known(value) {
            Ok(values) => values,
            Err(computed) => {
                read.computed.get_or_insert(computed);
                continue;
            }
        };
        match (name.as_str(), values) {
            ("include", Value::List(all)) => read.include = all,
            ("exclude", Value::List(all)) => read.exclude = all,
            (_, values) => read.values.push((name.clone(), values)),
        }
    }
    read
}

/// Values in which nothing depends on what only GitHub knows.
fn known(value: &Value) -> Result<Value, Expression> {
    match value {
        Value::Text(text) => match expression::template(text).0.as_slice() {
            [Piece::Expression(expression)] => Known::default().value(expression).map_err(|_| expression.clone()),
            [] | [Piece::Text(_)] => Ok(value.clone()),
            [..] => Err(Expression::Unread(text.clone())),
        },
        Value::List(all) => Ok(Value::List(all.iter().map(known).collect::<Result<_, _>>()?)),
        Value::Map(fields) => {
            let known = |(name, value): &(String, Value)| Ok((name.clone(), known(value)?));
            Ok(Value::Map(fields.iter().map(known).collect::<Result<_, _>>()?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value.clone()),
    }
}

fn condition(condition: &Value) -> Piece {
    let Value::Text(text) = condition else {
        let holds = patchwright_domain::workflow::expression::is_true(condition);
        return Piece::Text(if holds { "true".into() } else { String::new() });
    };
    match expression::template(text).0.as_slice() {
        [whole @ Piece::Expression(_)] => whole.clone(),
        [Piece::Text(bare)] => expression::piece(bare),
        [..] => Piece::Unreadable(text.clone()),
    }
}

fn template(value: &Value) -> Template {
    match value {
        Value::Text(text) => expression::template(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => Template::plain(shown(value)),
        Value::List(_) | Value::Map(_) => Template(vec![Piece::Unreadable("a list or a map".into())]),
    }
}

fn text_of(value: &Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text.clone()) } else { None }
}

fn fields(value: Option<&Value>) -> &[(String, Value)] {
    if let Some(Value::Map(fields)) = value { fields } else { &[] }
}

fn list(value: Option<&Value>) -> &[Value] {
    if let Some(Value::List(all)) = value { all } else { &[] }
}

#[cfg(test)]
mod tests;
