//! The values of a policy file that have a form of their own. Each is checked where it is read, so that a mistake has a place.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::egress::name::Pattern;
use crate::policy_file::globs::Globs;
use crate::policy_file::schedule::Times;

/// The longest word or line, such as a label or an image, in characters.
pub(super) const LINE_CHARS_MAX: usize = 250;
/// The longest command, in characters.
pub(super) const COMMAND_CHARS_MAX: usize = 4_000;
/// The longest label, in characters: GitHub makes no longer one.
const LABEL_CHARS_MAX: usize = 50;
/// The longest login or name of a team, with what stands before it, in characters.
const REVIEWER_CHARS_MAX: usize = 150;
/// How many entries a list may have where nothing less is said.
pub(super) const ITEMS_MAX: usize = 100;
/// How much a policy may allow a job to cost, in US dollars: more than any operator does.
const USD_MAX: f64 = 1_000_000.0;

/// Gives a checked text its two ways in and out, and its schema.
macro_rules! text {
    ($name:ident, $max:expr, $check:expr) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let check: fn(&str) -> Result<(), String> = $check;
                bounded(&text, $max).and_then(|()| check(&text))?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "minLength": 1, "maxLength": $max })
            }
        }
    };
}

fn bounded(text: &str, chars_max: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("there is nothing in it".into());
    }
    let n_chars = text.chars().count();
    if n_chars > chars_max { Err(format!("it has {n_chars} characters, and at most {chars_max} are read")) } else { Ok(()) }
}

fn one_line(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) { Err("it has a control character".into()) } else { Ok(()) }
}

fn command(text: &str) -> Result<(), String> {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.chars().any(is_odd) { Err("it has a control character".into()) } else { Ok(()) }
}

/// A line of text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line(pub(super) String);

text!(Line, LINE_CHARS_MAX, one_line);

/// A shell command of one line or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShellCommand(pub(super) String);

text!(ShellCommand, COMMAND_CHARS_MAX, command);

/// Paths, as a line of `.gitignore` names them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(pub(super) String);

text!(Glob, LINE_CHARS_MAX, |text| one_line(text).and_then(|()| Globs::new([text]).map(drop)));

/// A host's name, or `*.` and a name for all hosts below it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hosts(pub(super) String);

text!(Hosts, LINE_CHARS_MAX, |text| Pattern::parse(text).map(drop).map_err(|why| format!("that is no host: {why}")));

/// Times: the five fields of cron, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron(pub(super) String);

text!(Cron, LINE_CHARS_MAX, |text| one_line(text).and_then(|()| Times::parse(text).map(drop)));

/// A command of ours in one line, without the mention.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Command(pub(super) String);

text!(Command, COMMAND_CHARS_MAX, |text| one_line(text.trim_end()));

/// A label's name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(pub(super) String);

text!(Label, LABEL_CHARS_MAX, one_line);

/// Somebody who reviews: a person, by login, or `team:` and what a team's address calls it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reviewer(String);

/// What a team's name stands behind.
const TEAM: &str = "team:";

text!(Reviewer, REVIEWER_CHARS_MAX, |text| {
    let name = text.strip_prefix(TEAM).unwrap_or(text);
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let told = "that is no reviewer: write a login, or `team:` and what the team's address ends with";
    if is_name { Ok(()) } else { Err(told.into()) }
});

impl Reviewer {
    /// The team's name, if it is one.
    pub(super) fn team(&self) -> Option<String> {
        self.0.strip_prefix(TEAM).map(str::to_owned)
    }

    /// The person's login, if it is one.
    pub(super) fn login(&self) -> Option<String> {
        (!self.0.starts_with(TEAM)).then(|| self.0.clone())
    }
}

/// A list with an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T, const N_MIN: usize, const N_MAX: usize = ITEMS_MAX>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const N_MIN: usize, const N_MAX: usize> Deserialize<'de> for List<T, N_MIN, N_MAX> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::deserialize(deserializer)?;
        let n = items.len();
        if n > N_MAX {
            return Err(serde::de::Error::custom(format!("it has {n} entries, and at most {N_MAX} are read")));
        }
        if n < N_MIN {
            return Err(serde::de::Error::custom("it must have an entry; leave it out to say nothing"));
        }
        Ok(Self(items))
    }
}

impl<T: JsonSchema, const N_MIN: usize, const N_MAX: usize> JsonSchema for List<T, N_MIN, N_MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("List_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        json_schema!({ "type": "array", "items": items, "minItems": N_MIN, "maxItems": N_MAX })
    }
}

/// US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "f64")]
pub struct Usd(pub(super) f64);

impl TryFrom<f64> for Usd {
    type Error = String;

    fn try_from(usd: f64) -> Result<Self, String> {
        if usd > 0.0 && usd <= USD_MAX { Ok(Self(usd)) } else { Err(format!("it must be more than 0 and at most {USD_MAX}")) }
    }
}

impl Usd {
    /// The same in millionths of a dollar.
    pub(super) fn microusd(self) -> u64 {
        crate::config::microusd(self.0)
    }
}

impl JsonSchema for Usd {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "exclusiveMinimum": 0, "maximum": USD_MAX })
    }
}
