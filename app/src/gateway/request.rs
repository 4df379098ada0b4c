//! A request that another program has written, narrowed to what may go out.
//!
//! A model's provider can do more than to answer: it fetches addresses, runs hosted tools, and keeps what it is told for
//! later. Whoever is inside a sandbox must reach nobody that way, so that only what is known to do no such thing is let
//! through, field by field. What programs ask for by themselves and can do without is left out; what a request makes no
//! sense without is refused.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::gateway::wire::Wire;

mod anthropic;
mod gemini;
mod openai;

/// A request that may go out.
#[derive(Clone, Debug)]
pub struct Request {
    wire: Wire,
    body: Map<String, Value>,
}

/// A request that may not go out, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl Request {
    /// Reads a request and narrows it.
    ///
    /// # Errors
    /// [`Refused`] for what is no JSON object, and for content that names what the provider would have to fetch or to have
    /// kept.
    pub fn read(wire: Wire, bytes: &[u8]) -> Result<Self, Refused> {
        let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
            return Err(Refused("the request is no JSON object".to_owned()));
        };
        let body = match wire {
            Wire::Responses => openai::responses(body),
            Wire::Chat => openai::chat(body),
            Wire::Messages => anthropic::messages(body),
            Wire::Generate | Wire::StreamGenerate => gemini::generate(body),
        }?;
        Ok(Self { wire, body })
    }

    /// The kind of request.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// The most tokens of output that it asks for, if it says so.
    pub fn output_asked(&self) -> Option<u64> {
        self.wire.output_asked(&self.body)
    }

    /// The request as it is sent: for our model, and for no more output than was granted. It is always written anew: of a
    /// field that is there twice, the provider might read the other one.
    pub fn into_bytes(self, model: &str, output_tokens_max: Option<u64>) -> Bytes {
        Value::Object(self.wire.adapt(self.body, model, output_tokens_max)).to_string().into()
    }
}

fn remote(key: &str) -> Refused {
    Refused(format!(
        "the request has `{key}`, which the model's provider would have to fetch or to have kept: send the content itself"
    ))
}

fn unknown(kind: &str, name: &str) -> Refused {
    let name: String = name.chars().take(64).collect();
    Refused(format!("the request has {kind} `{name}`, which is not let through from inside the sandbox"))
}

/// The fields of these names.
fn only(mut object: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    object.retain(|name, _| names.contains(&name.as_str()));
    object
}

/// The fields of these names of a field that is an object; without it, if it is none.
fn only_in(object: &mut Map<String, Value>, field: &str, names: &[&str]) {
    if let Some(Value::Object(inner)) = object.remove(field) {
        object.insert(field.to_owned(), only(inner, names).into());
    }
}

/// Refuses an object that has one of these, unless it is null.
fn refuse(object: &Map<String, Value>, names: &[&str]) -> Result<(), Refused> {
    match names.iter().find(|name| object.get(**name).is_some_and(|value| !value.is_null())) {
        Some(name) => Err(remote(name)),
        None => Ok(()),
    }
}

/// The members of a list, each narrowed; a single object is a list of one, a text stays what it is.
fn each(value: Value, narrow: impl Fn(Map<String, Value>) -> Result<Map<String, Value>, Refused>) -> Result<Value, Refused> {
    let members = match value {
        Value::String(_) | Value::Null => return Ok(value),
        Value::Object(_) => vec![value],
        Value::Array(members) => members,
        Value::Bool(_) | Value::Number(_) => return Err(unknown("content of the form", &value.to_string())),
    };
    let narrowed = members.into_iter().map(|member| match member {
        Value::Object(member) => narrow(member).map(Value::Object),
        // Some formats have texts among their parts.
        Value::String(text) => Ok(Value::String(text)),
        member => Err(unknown("content of the form", &member.to_string())),
    });
    narrowed.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// The same for a field, if it is there.
fn each_in(
    object: &mut Map<String, Value>,
    field: &str,
    narrow: impl Fn(Map<String, Value>) -> Result<Map<String, Value>, Refused>,
) -> Result<(), Refused> {
    if let Some(value) = object.remove(field) {
        object.insert(field.to_owned(), each(value, narrow)?);
    }
    Ok(())
}

/// Keeps of the tools those that `narrow` keeps, and no list without members, which some endpoints refuse.
fn keep_tools(body: &mut Map<String, Value>, about: &[&str], narrow: impl Fn(Map<String, Value>) -> Option<Map<String, Value>>) {
    let tools: Vec<Value> = match body.remove("tools") {
        Some(Value::Array(tools)) => {
            let objects = tools.into_iter().filter_map(|tool| if let Value::Object(tool) = tool { Some(tool) } else { None });
            objects.filter_map(narrow).map(Value::Object).collect()
        }
        Some(_) | None => Vec::new(),
    };
    if tools.is_empty() {
        about.iter().for_each(|name| drop(body.remove(*name)));
    } else {
        body.insert("tools".to_owned(), tools.into());
    }
}

/// Keeps a choice of tool that is a word or of one of these types.
fn keep_choice(body: &mut Map<String, Value>, types: &[&str]) {
    let is_kept = |choice: &Value| choice.is_string() || choice["type"].as_str().is_some_and(|kind| types.contains(&kind));
    if !body.get("tool_choice").is_some_and(is_kept) {
        body.remove("tool_choice");
    }
}

/// Keeps a field only if it is of the form that we read.
fn keep_if(body: &mut Map<String, Value>, field: &str, is_kept: impl Fn(&Value) -> bool) {
    if !body.get(field).is_some_and(is_kept) {
        body.remove(field);
    }
}

/// A field that is a text; nothing for anything else.
fn text<'a>(object: &'a Map<String, Value>, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether an address holds what it names, so that nobody fetches it.
fn is_data(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

#[cfg(test)]
mod tests;
