//! What an expression comes to, where that can be known here.
//!
//! GitHub knows more than we do: secrets, outputs of other jobs, the event. What depends on any of that is [unknown](Unknown),
//! with its reason, and is never guessed.

use std::cell::Cell;
use std::rc::Rc;

use super::{Piece, Template, Value};

/// The longest text that is put together, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// How much is looked at for one check, in bytes, however many runs of jobs there are.
const LOOKED_AT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What any value counts for, however short it is.
const VALUE_BYTES_MIN: usize = 16;

/// Something to be worked out, as deep as the parser lets it be.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A value that stands there.
    Value(Value),
    /// A part of what GitHub knows, such as `matrix.os`.
    Path {
        /// Of what, in lower case.
        root: String,
        /// Which part, and which part of that.
        parts: Vec<Expression>,
    },
    /// A function of some values.
    Call {
        /// Its name, in lower case.
        function: String,
        /// What it is given.
        arguments: Vec<Expression>,
    },
    /// The contrary.
    Not(Box<Expression>),
    /// Two, joined.
    Binary {
        /// How.
        operator: Operator,
        /// The left one.
        left: Box<Expression>,
        /// The right one.
        right: Box<Expression>,
    },
    /// Something that is not read here, in words.
    Unread(String),
}

/// How two values are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The right one, if the left one holds.
    And,
    /// The left one, if it holds.
    Or,
    /// Whether they are the same.
    Equal,
    /// Whether they differ.
    NotEqual,
    /// Whether the left one is more.
    Greater,
    /// Whether it is no less.
    GreaterOrEqual,
    /// Whether it is less.
    Less,
    /// Whether it is no more.
    LessOrEqual,
}

/// It cannot be known here what something comes to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

/// How much may still be looked at; those who share it use it up together.
#[derive(Clone, Debug)]
pub struct Fuel(Rc<Cell<usize>>);

impl Default for Fuel {
    fn default() -> Self {
        Self(Rc::new(Cell::new(LOOKED_AT_BYTES_MAX)))
    }
}

impl Fuel {
    fn burn(&self, n_bytes: usize) -> Result<(), Unknown> {
        let left = self.0.get().checked_sub(n_bytes);
        self.0.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(|| Unknown("working it out takes too long".into()))
    }
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// The values of the matrix; what is none of them is empty.
    pub matrix: Vec<(&'a str, &'a Value)>,
    /// The variables; others may be the runner's own.
    pub env: Vec<(String, String)>,
    /// Other things by their whole name in lower case, such as `runner.os`.
    pub others: Vec<(&'static str, String)>,
    /// How much may still be looked at.
    pub fuel: Fuel,
}

impl Known<'_> {
    /// The text that a template comes to.
    ///
    /// # Errors
    /// [`Unknown`], with the first reason.
    pub fn text(&self, template: &Template) -> Result<String, Unknown> {
        let mut text = String::new();
        for piece in &template.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Expression(expression) => text.push_str(&shown(&self.value(expression)?)),
                Piece::Unreadable(written) => return Err(unread(written)),
            }
            if text.len() > TEXT_BYTES_MAX {
                return Err(too_long());
            }
        }
        Ok(text)
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// [`Unknown`], with the first reason.
    pub fn holds(&self, condition: &Piece) -> Result<bool, Unknown> {
        match condition {
            Piece::Text(text) => Ok(!text.is_empty()),
            Piece::Expression(expression) => Ok(is_true(&self.value(expression)?)),
            Piece::Unreadable(written) => Err(unread(written)),
        }
    }

    /// What an expression comes to.
    ///
    /// # Errors
    /// [`Unknown`], with the first reason.
    pub fn value(&self, expression: &Expression) -> Result<Value, Unknown> {
        let value = match expression {
            Expression::Value(value) => value.clone(),
            Expression::Path { root, parts } => self.path(root, parts)?,
            Expression::Call { function, arguments } => self.call(function, arguments)?,
            Expression::Not(inner) => Value::Bool(!is_true(&self.value(inner)?)),
            Expression::Binary { operator, left, right } => self.joined(*operator, left, right)?,
            Expression::Unread(written) => return Err(unread(written)),
        };
        self.fuel.burn(n_bytes(&value))?;
        Ok(value)
    }

    fn joined(&self, operator: Operator, left: &Expression, right: &Expression) -> Result<Value, Unknown> {
        let left = self.value(left);
        let holds = match operator {
            Operator::And | Operator::Or => {
                let left = left?;
                let is_decided = is_true(&left) == (operator == Operator::Or);
                return if is_decided { Ok(left) } else { self.value(right) };
            }
            Operator::Equal => is_same(&left?, &self.value(right)?),
            Operator::NotEqual => !is_same(&left?, &self.value(right)?),
            Operator::Greater => compared(&left?, &self.value(right)?).is_some_and(|order| order.is_gt()),
            Operator::GreaterOrEqual => compared(&left?, &self.value(right)?).is_some_and(|order| order.is_ge()),
            Operator::Less => compared(&left?, &self.value(right)?).is_some_and(|order| order.is_lt()),
            Operator::LessOrEqual => compared(&left?, &self.value(right)?).is_some_and(|order| order.is_le()),
        };
        Ok(Value::Bool(holds))
    }

    fn path(&self, root: &str, parts: &[Expression]) -> Result<Value, Unknown> {
        let mut names = Vec::with_capacity(parts.len());
        for part in parts {
            names.push(self.value(part)?);
        }
        if root == "matrix" {
            let [Value::Text(first), rest @ ..] = names.as_slice() else { return Err(unread("`matrix` as a whole")) };
            let found = self.matrix.iter().find(|(name, _)| name.eq_ignore_ascii_case(first)).map(|(_, value)| *value);
            return Ok(found.and_then(|value| inside(value, rest)).cloned().unwrap_or(Value::Null));
        }
        let whole = names.iter().fold(root.to_owned(), |whole, name| format!("{whole}.{}", shown(name).to_ascii_lowercase()));
        self.fuel.burn(self.env.len())?;
        if let [Value::Text(name)] = names.as_slice()
            && root == "env"
            // The last one counts, as it does in a process.
            && let Some((_, value)) = self.env.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            return Ok(Value::Text(value.clone()));
        }
        let other = self.others.iter().find(|(known, _)| *known == whole).map(|(_, value)| Value::Text(value.clone()));
        other.ok_or_else(|| not_known(root, &whole))
    }

    fn call(&self, function: &str, arguments: &[Expression]) -> Result<Value, Unknown> {
        // What is asked for is the step that failed, and everything before it went well.
        match function {
            "success" | "always" => return Ok(Value::Bool(true)),
            "failure" | "cancelled" => return Ok(Value::Bool(false)),
            _ => {}
        }
        let mut given = Vec::with_capacity(arguments.len());
        for argument in arguments {
            given.push(self.value(argument)?);
        }
        match (function, given.as_slice()) {
            ("contains", [Value::List(all), one]) => Ok(Value::Bool(all.iter().any(|value| is_same(value, one)))),
            ("contains", [all, one]) => Ok(Value::Bool(folded(all).contains(&folded(one)))),
            ("startswith", [all, one]) => Ok(Value::Bool(folded(all).starts_with(&folded(one)))),
            ("endswith", [all, one]) => Ok(Value::Bool(folded(all).ends_with(&folded(one)))),
            ("join", [Value::List(all), rest @ ..]) if rest.len() <= 1 => {
                let between = rest.first().map_or_else(|| ",".to_owned(), shown);
                bounded(all.iter().map(shown).collect::<Vec<_>>().join(&between))
            }
            ("format", [Value::Text(pattern), values @ ..]) => formatted(pattern, values),
            ("fromjson", [Value::Text(json)]) => {
                let read = serde_json::from_str(json).map_err(|_| Unknown("a text that is no JSON is read as JSON".into()))?;
                Ok(of_json(read))
            }
            _ => Err(Unknown(format!("what `{}` gives there is not known here", plain(function)))),
        }
    }
}

/// A part of a value, by names and by places in lists.
fn inside<'v>(value: &'v Value, names: &[Value]) -> Option<&'v Value> {
    names.iter().try_fold(value, |value, name| match (value, name) {
        (Value::List(all), Value::Number(index)) => all.iter().enumerate().find(|(at, _)| *at as f64 == *index).map(|(_, v)| v),
        (value, Value::Text(name)) => value.field(name),
        (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_)) => None,
    })
}

fn unread(written: &str) -> Unknown {
    Unknown(format!("`{}` cannot be read", plain(written)))
}

fn not_known(root: &str, whole: &str) -> Unknown {
    match root {
        "secrets" => Unknown(format!("it needs the secret `{}`, and there are none here", plain(whole))),
        "github" if whole == "github.token" => Unknown("it needs the workflow's token, and there is none here".into()),
        _ => Unknown(format!("`{}` is not known here", plain(whole))),
    }
}

fn too_long() -> Unknown {
    Unknown(format!("a text becomes longer than {TEXT_BYTES_MAX} bytes"))
}

/// How much of what somebody has written is told in a reason, in characters.
const TOLD_CHARS_MAX: usize = 100;

/// What may be told of what somebody has written, in one line.
pub(super) fn plain(text: &str) -> String {
    crate::report::neutral::plain(text, TOLD_CHARS_MAX).replace('`', "'")
}

fn bounded(text: String) -> Result<Value, Unknown> {
    if text.len() > TEXT_BYTES_MAX { Err(too_long()) } else { Ok(Value::Text(text)) }
}

/// `{0}` and the like replaced; doubled braces stand for themselves.
fn formatted(pattern: &str, values: &[Value]) -> Result<Value, Unknown> {
    let odd = || Unknown("a `format` whose pattern cannot be read".into());
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = behind;
        } else {
            let (number, behind) = rest.split_once('}').filter(|_| brace == "{").ok_or_else(odd)?;
            let value = number.parse::<usize>().ok().and_then(|number| values.get(number)).ok_or_else(odd)?;
            text.push_str(&shown(value));
            rest = behind;
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(too_long());
        }
    }
    text.push_str(rest);
    bounded(text)
}

fn of_json(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(is) => Value::Bool(is),
        serde_json::Value::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(all) => Value::List(all.into_iter().map(of_json).collect()),
        serde_json::Value::Object(fields) => Value::Map(fields.into_iter().map(|(key, value)| (key, of_json(value))).collect()),
    }
}

/// How large a value is, roughly: as much is looked at where it is copied or compared.
fn n_bytes(value: &Value) -> usize {
    VALUE_BYTES_MIN
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::Text(text) => text.len(),
            Value::List(all) => all.iter().map(n_bytes).sum(),
            Value::Map(fields) => fields.iter().map(|(name, value)| name.len() + n_bytes(value)).sum(),
        }
}

/// The text that a value becomes within a text.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(_) => "Array".into(),
        Value::Map(_) => "Object".into(),
    }
}

fn folded(value: &Value) -> String {
    shown(value).to_lowercase()
}

/// Whether a value counts as true.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => *number != 0.0 && !number.is_nan(),
        Value::Text(text) => !text.is_empty(),
        Value::List(_) | Value::Map(_) => true,
    }
}

/// Whether two values are the same to GitHub: texts whatever their case, values of different kinds as numbers.
pub fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.to_lowercase() == right.to_lowercase(),
        (Value::Map(_) | Value::List(_), _) | (_, Value::Map(_) | Value::List(_)) => left == right,
        (left, right) => number(left) == number(right),
    }
}

fn compared(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => Some(left.to_lowercase().cmp(&right.to_lowercase())),
        (left, right) => number(left).partial_cmp(&number(right)),
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(is) => f64::from(u8::from(*is)),
        Value::Number(number) => *number,
        Value::Text(text) if text.trim().is_empty() => 0.0,
        Value::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
        Value::List(_) | Value::Map(_) => f64::NAN,
    }
}

#[cfg(test)]
mod tests;
