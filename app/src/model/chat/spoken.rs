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

/// Blocks of one text that are looked at.
const BLOCKS_MAX: usize = 128;

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
    /// The words before the first call.
    pub(super) words: String,
    /// The calls' names and arguments, in their order.
    pub(super) calls: Vec<(String, String)>,
}

/// Finds the calls in a text. What stands between and behind them is dropped, and so are calls behind a result: there the
/// model makes it up. A call that was `cut` is left out.
pub(super) fn parse(text: &str, names: &[String], is_cut: bool) -> Parsed {
    let (mut words, mut calls, mut from) = (None, Vec::new(), 0);
    for _ in 0..BLOCKS_MAX {
        let Some((start, mark)) = next_mark(text, from) else { break };
        if words.is_some() && text[from..start].contains(RESULT) {
            break;
        }
        from = start + mark.len();
        let behind = &text[from..];
        let is_certain = mark != "```json" && mark != "```\n";
        let is_object = is_certain || behind.trim_start().starts_with('{');
        let object = if is_object { object(behind) } else { None };
        let call = object.as_ref().and_then(|(object, _)| named(object, if is_certain { &[] } else { names }));
        if call.is_none() && !is_certain {
            continue;
        }
        words.get_or_insert(&text[..start]);
        from += match (&object, &call) {
            (Some((_, end)), Some(_)) => closed(behind, *end),
            (_, _) => end_of_broken(behind),
        };
        calls.extend(call.or_else(|| (!is_cut).then(|| broken(behind))));
    }
    Parsed { words: words.unwrap_or(text).trim().to_owned(), calls }
}

/// Where the text goes on whose block's object ends at `end`: behind what closes the block, which else would open another.
fn closed(block: &str, end: usize) -> usize {
    let rest = block[end..].trim_start();
    let behind = ["```", "</tool_call>"].iter().find_map(|mark| rest.strip_prefix(mark)).unwrap_or(rest);
    block.len() - behind.len()
}

/// Where the text goes on behind a block that is no JSON.
fn end_of_broken(block: &str) -> usize {
    let ends = ["```", "</tool_call>"].iter().filter_map(|mark| Some(block.find(mark)? + mark.len()));
    ends.min().unwrap_or(block.len())
}

fn next_mark(text: &str, from: usize) -> Option<(usize, &'static str)> {
    let marks = ["```tool", "<tool_call>", "```json", "```\n"];
    let found = marks.into_iter().filter_map(|mark| Some((from + text[from..].find(mark)?, mark)));
    found.min_by_key(|(start, _)| *start)
}

/// The object that a block begins with, whether or not the block was closed, and where it ends.
fn object(block: &str) -> Option<(Value, usize)> {
    // One behind the block's end is another block's.
    let start = block.find('{').filter(|start| *start < end_of_broken(block))?;
    let text = &block[start..];
    let first = |text: &str| {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let value = values.next()?.ok()?;
        Some((value, values.byte_offset()))
    };
    if let Some((value, end)) = first(text) {
        return Some((value, start + end));
    }
    let (mended, places) = mended(text);
    let (value, end) = first(&mended)?;
    Some((value, start + end - places.iter().filter(|place| **place < end).count()))
}

/// Line breaks and tabs inside strings, which small models write as they are, in the form that JSON wants; and where there is
/// a byte more for it.
fn mended(text: &str) -> (String, Vec<usize>) {
    let (mut mended, mut places) = (String::with_capacity(text.len() + 16), Vec::new());
    let (mut in_string, mut is_escaped) = (false, false);
    for c in text.chars() {
        let escape = match c {
            '\n' if in_string => Some("\\n"),
            '\r' if in_string => Some("\\r"),
            '\t' if in_string => Some("\\t"),
            _ => None,
        };
        match escape {
            Some(escape) => {
                places.push(mended.len());
                mended.push_str(escape);
            }
            None => mended.push(c),
        }
        in_string ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
    }
    (mended, places)
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
    let block = block.split("```").next().unwrap_or_default();
    let block = block.trim_start_matches(|c: char| c != '{' && c != '\n').trim();
    let name = block.split_once("\"name\"").and_then(|(_, rest)| rest.split('"').nth(1)).unwrap_or_default();
    (name.to_owned(), block.to_owned())
}
