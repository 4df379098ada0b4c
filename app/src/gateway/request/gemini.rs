//! Gemini's format, which knows every name in two spellings; here it is only one.

use serde_json::{Map, Value};

use super::{Refused, each_in, keep_if, keep_tools, only, only_in, refuse, unknown};

const FIELDS: &[&str] = &["contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "generationConfig"];
const GENERATION: &[&str] = &[
    "temperature",
    "topP",
    "topK",
    "maxOutputTokens",
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "thinkingConfig",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
];
const PART: &[&str] = &["text", "thought", "thoughtSignature", "inlineData", "functionCall", "functionResponse"];

pub(super) fn generate(body: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    let body = camel(body);
    refuse(&body, &["cachedContent"])?;
    let mut body = only(body, FIELDS);
    keep_tools(&mut body, &["toolConfig"], |tool| {
        let tool = only(camel(tool), &["functionDeclarations"]);
        (!tool.is_empty()).then_some(tool)
    });
    camel_in(&mut body, "toolConfig");
    only_in(&mut body, "toolConfig", &["functionCallingConfig"]);
    camel_in(&mut body, "generationConfig");
    only_in(&mut body, "generationConfig", GENERATION);
    if let Some(Value::Object(generation)) = body.get_mut("generationConfig") {
        keep_if(generation, "maxOutputTokens", Value::is_u64);
        camel_in(generation, "thinkingConfig");
        only_in(generation, "thinkingConfig", &["thinkingBudget", "thinkingLevel", "includeThoughts"]);
    }
    for field in ["contents", "systemInstruction"] {
        let is_one = body.get(field).is_some_and(Value::is_object);
        each_in(&mut body, field, |content| {
            let mut content = only(camel(content), &["role", "parts"]);
            each_in(&mut content, "parts", part)?;
            Ok(content)
        })?;
        if let (true, Some(Value::Array(only_one))) = (is_one, body.get_mut(field)) {
            let content = only_one.pop().unwrap_or_default();
            body.insert(field.to_owned(), content);
        }
    }
    Ok(body)
}

fn part(part: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    let mut part = camel(part);
    refuse(&part, &["fileData"])?;
    part.retain(|_, value| !value.is_null());
    if let Some(name) = part.keys().find(|name| !PART.contains(&name.as_str()) && *name != "videoMetadata") {
        return Err(unknown("a content part with", name));
    }
    let mut part = only(part, PART);
    camel_in(&mut part, "inlineData");
    only_in(&mut part, "inlineData", &["mimeType", "data", "displayName"]);
    only_in(&mut part, "functionCall", &["id", "name", "args"]);
    only_in(&mut part, "functionResponse", &["id", "name", "response", "parts"]);
    if let Some(Value::Object(response)) = part.get_mut("functionResponse") {
        each_in(response, "parts", self::part)?;
    }
    Ok(part)
}

fn camel_in(object: &mut Map<String, Value>, field: &str) {
    if let Some(Value::Object(inner)) = object.remove(field) {
        object.insert(field.to_owned(), camel(inner).into());
    }
}

/// With `such_names` as `suchNames`.
fn camel(object: Map<String, Value>) -> Map<String, Value> {
    let respelled = |name: String| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |whole, word| {
            let mut letters = word.chars();
            let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
            whole.chars().chain(initial).chain(letters).collect()
        })
    };
    object.into_iter().map(|(name, value)| (respelled(name), value)).collect()
}
