//! Tools for models whose server knows none: the calls stand in the model's text, and their results are told to it.
//!
//! Messages of one role in a row are put into one, because many small models' templates want the roles to alternate.

use patchwright_domain::turn::Item;
use serde_json::{Value, json};

use crate::model::Prompt;
use crate::model::chat::wire::Head;
use crate::model::draft::{Layout, Open, separate};
use crate::model::function::described;

/// How a call is written.
const HOW_TO: &str = "# Tools\n\nYou have the tools below. To call one, end your reply with one block like this, and with \
                      nothing behind it:\n\n```tool\n{\"name\": \"<tool>\", \"arguments\": {\"<argument>\": \"<value>\"}}\n\
                      ```\n\nThe block holds one JSON object; line breaks inside its strings are written as \\n. One call per \
                      reply: the next message holds its result. Never write a result yourself.";

/// How the message begins that holds a result.
const RESULT: &str = "[result of ";

/// The conversation in messages of plain text.
pub(super) struct Spoken<'a>(pub(super) Head<'a>);

impl Layout for Spoken<'_> {
    fn head(&self, prompt: &Prompt<'_>) -> Result<Vec<u8>, serde_json::Error> {
        let mut words = prompt.instructions.to_owned();
        for (n, tool) in prompt.tools.iter().enumerate() {
            if n == 0 {
                words.push_str("\n\n");
                words.push_str(HOW_TO);
            }
            let (description, parameters) = described(tool)?;
            words.push_str(&format!("\n\n## {}\n\n{description}\n\nArguments, as JSON schema: {parameters}", tool.name()));
        }
        self.0.write(prompt, &words, &[])
    }

    fn item(&self, item: &Item, open: Open, body: &mut Vec<u8>) -> Result<Open, serde_json::Error> {
        let (role, name, text) = match item {
            Item::Reasoning { .. } => return Ok(open),
            Item::User { text } => (Open::User, "user", text.clone()),
            Item::Assistant { text } => (Open::Assistant, "assistant", text.clone()),
            Item::Call { name, arguments, .. } => (Open::Assistant, "assistant", call(name, arguments)),
            Item::Result { call_id, output, .. } => (Open::User, "user", format!("{RESULT}{call_id}]\n{output}")),
        };
        let text = serde_json::to_vec(&text)?;
        if open == role {
            body.extend_from_slice(br"\n\n");
        } else {
            if open != Open::Nothing {
                body.extend_from_slice(br#""}"#);
            }
            separate(body);
            body.extend_from_slice(format!(r#"{{"role":"{name}","content":""#).as_bytes());
        }
        // Without its quotes, so that more can follow.
        body.extend_from_slice(&text[1..text.len() - 1]);
        Ok(role)
    }

    fn closing(&self, open: Open) -> &'static str {
        if open == Open::Nothing { "]}" } else { r#""}]}"# }
    }
}

/// A call as the model would write it.
fn call(name: &str, arguments: &str) -> String {
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments));
    format!("```tool\n{}\n```", json!({ "name": name, "arguments": arguments }))
}

/// What a text comes to.
pub(super) struct Parsed {
    /// The words before the call.
    pub(super) words: String,
    /// The call's name and arguments.
    pub(super) call: Option<(String, String)>,
}

/// Finds the first call in a text. What stands behind it is dropped: there the model makes up the result. A call that
/// was `cut` is left out.
pub(super) fn parse(text: &str, names: &[String], is_cut: bool) -> Parsed {
    let mut from = 0;
    while let Some((start, mark)) = next_mark(text, from) {
        let behind = &text[start + mark.len()..];
        let is_certain = mark != "```json" && mark != "```\n";
        let is_object = is_certain || behind.trim_start().starts_with('{');
        let object = if is_object { object(behind) } else { None };
        let call = object.as_ref().and_then(|object| named(object, if is_certain { &[] } else { names }));
        let call = match call {
            None if is_certain && !is_cut => Some(broken(behind)),
            call => call,
        };
        if call.is_some() || is_certain {
            return Parsed { words: text[..start].trim().to_owned(), call };
        }
        from = start + mark.len();
    }
    Parsed { words: text.trim().to_owned(), call: None }
}

fn next_mark(text: &str, from: usize) -> Option<(usize, &'static str)> {
    let marks = ["```tool", "<tool_call>", "```json", "```\n"];
    let found = marks.into_iter().filter_map(|mark| Some((from + text[from..].find(mark)?, mark)));
    found.min_by_key(|(start, _)| *start)
}

/// The object that a block begins with, whether or not the block was closed.
fn object(block: &str) -> Option<Value> {
    let text = &block[block.find('{')?..];
    let first = |text: &str| serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok();
    first(text).or_else(|| first(&mended(text)))
}

/// Line breaks and tabs inside strings, which small models write as they are, in the form that JSON wants.
fn mended(text: &str) -> String {
    let (mut mended, mut in_string, mut is_escaped) = (String::with_capacity(text.len() + 16), false, false);
    for c in text.chars() {
        match c {
            '\n' if in_string => mended.push_str("\\n"),
            '\r' if in_string => mended.push_str("\\r"),
            '\t' if in_string => mended.push_str("\\t"),
            c => mended.push(c),
        }
        in_string ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
    }
    mended
}

/// The call that an object describes; with `names`, only one of those.
fn named(object: &Value, names: &[String]) -> Option<(String, String)> {
    // Some models repeat the form that the native field has.
    let object = if object["function"].is_object() { &object["function"] } else { object };
    let name = object["name"].as_str().or_else(|| object["tool"].as_str())?;
    let arguments = ["arguments", "parameters", "args"].iter().map(|key| &object[*key]).find(|value| !value.is_null());
    if !names.is_empty() && (arguments.is_none() || !names.iter().any(|known| known == name)) {
        return None;
    }
    let arguments = arguments.map_or_else(|| "{}".to_owned(), |value| value.as_str().map_or(value.to_string(), str::to_owned));
    Some((name.to_owned(), arguments))
}

/// What can be made of a block that is no JSON: the tool's name if there is one, so that the model hears what is wrong.
fn broken(block: &str) -> (String, String) {
    let block = block.trim_start_matches(|c: char| c != '{' && c != '\n').trim();
    let name = block.split_once("\"name\"").and_then(|(_, rest)| rest.split('"').nth(1)).unwrap_or_default();
    (name.to_owned(), block.split("```").next().unwrap_or_default().trim().to_owned())
}
