//! A tool as a function, for wire formats that know no tools of plain text.

use patchwright_domain::turn::Tool;
use serde_json::{Value, json};

/// What a tool does, and the schema of its arguments; plain text becomes an argument of its own.
///
/// # Errors
/// For a schema that is no JSON.
pub(super) fn described(tool: &Tool) -> Result<(String, Value), serde_json::Error> {
    Ok(match tool {
        Tool::Function { description, parameters, .. } => (description.to_string(), serde_json::from_str(parameters)?),
        Tool::Freeform { description, grammar, .. } => {
            let input = json!({ "type": "string", "description": "The plain text." });
            let parameters = json!({ "type": "object", "properties": { "input": input }, "required": ["input"] });
            (format!("{description}\n\n`input` follows this grammar:\n{grammar}"), parameters)
        }
    })
}
