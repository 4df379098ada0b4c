//! The tools that the model is offered: few, stable, and in a stable order, because they head the cached prefix.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::brief;
use crate::job::Mode;
use crate::turn::Tool;

/// The name of the tool that runs a script.
pub const SHELL: &str = "shell";
/// The name of the tool that shows lines of a file.
pub const READ: &str = "read";
/// The name of the tool that looks for a pattern.
pub const SEARCH: &str = "search";
/// The name of the tool that applies a patch.
pub const APPLY_PATCH: &str = "apply_patch";
/// The name of the tool that puts a text in the place of another.
pub const EDIT: &str = "edit";
/// The name of the tool that writes down the plan.
pub const PLAN: &str = "plan";
/// The name of the tool that says that the work is done.
pub const DONE: &str = "done";
/// How the names of tools that the operator has connected begin.
pub const EXTERNAL_PREFIX: &str = "mcp__";

/// The longest name that endpoints take, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// How much of a connected tool's description is told, in characters.
const EXTERNAL_DESCRIPTION_CHARS_MAX: usize = 1_000;
/// How large the schema of a connected tool's arguments may be, in bytes.
const EXTERNAL_PARAMETERS_BYTES_MAX: usize = 16 * 1024;

/// In which form a model edits best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditForm {
    /// A patch as plain text that follows a grammar: what OpenAI's models are trained on.
    #[default]
    Freeform,
    /// A patch as a JSON string: for models that know it, behind endpoints that know functions only.
    Function,
    /// A text in the place of another: for all other models.
    Replace,
}

/// The tools of a mode, with the edit tool in the form that the model takes.
pub fn on_offer(mode: Mode, form: EditForm) -> Vec<Tool> {
    let edit = match form {
        EditForm::Freeform => Tool::Freeform {
            name: Cow::Borrowed(APPLY_PATCH),
            description: Cow::Borrowed(PATCH_DESCRIPTION),
            grammar: Cow::Borrowed(PATCH_GRAMMAR),
        },
        EditForm::Function => function(APPLY_PATCH, PATCH_DESCRIPTION, PATCH_PARAMETERS),
        EditForm::Replace => function(EDIT, EDIT_DESCRIPTION, EDIT_PARAMETERS),
    };
    let done = match mode {
        Mode::Fix => function(DONE, DONE_DESCRIPTION, DONE_PARAMETERS),
        Mode::Ask | Mode::Plan => function(DONE, ANSWER_DESCRIPTION, ANSWER_PARAMETERS),
        Mode::Review => function(DONE, REVIEW_DESCRIPTION, REVIEW_PARAMETERS),
    };
    let mut tools = vec![
        function(SHELL, SHELL_DESCRIPTION, SHELL_PARAMETERS),
        function(READ, READ_DESCRIPTION, READ_PARAMETERS),
        function(SEARCH, SEARCH_DESCRIPTION, SEARCH_PARAMETERS),
    ];
    if mode.edits() {
        tools.push(edit);
    }
    tools.extend([function(PLAN, PLAN_DESCRIPTION, PLAN_PARAMETERS), done]);
    tools
}

fn function(name: &'static str, description: &'static str, parameters: &'static str) -> Tool {
    Tool::Function { name: name.into(), description: description.into(), parameters: parameters.into() }
}

/// The declaration of a tool that the operator has connected, from what its server says about it. All of that was written
/// outside: it is cut, and what people would not see is taken out of it.
///
/// # Errors
/// Says why the tool cannot be offered: its name is too long, or its schema is too large or describes no object.
pub fn external(server: &str, tool: &str, description: &str, schema: &Map<String, Value>) -> Result<Tool, String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = format!("{EXTERNAL_PREFIX}{server}__{tool}").chars().map(plain).collect();
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("its name has more than {NAME_BYTES_MAX} characters"));
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("its schema describes no object".to_owned());
    }
    let parameters = visible(Value::Object(schema.clone())).to_string();
    if parameters.len() > EXTERNAL_PARAMETERS_BYTES_MAX {
        return Err(format!("its schema has more than {EXTERNAL_PARAMETERS_BYTES_MAX} bytes"));
    }
    let (description, _) = brief::visible(description);
    let description: String = description.trim().chars().take(EXTERNAL_DESCRIPTION_CHARS_MAX).collect();
    Ok(Tool::Function { name: name.into(), description: description.into(), parameters: parameters.into() })
}

/// A schema without characters that people do not see.
fn visible(value: Value) -> Value {
    let shown = |text: String| -> String { text.chars().filter(|c| !brief::is_hidden(*c)).collect() };
    match value {
        Value::String(text) => Value::String(shown(text)),
        Value::Array(values) => values.into_iter().map(visible).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (shown(name), visible(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

const SHELL_DESCRIPTION: &str = "Runs a shell script in the repository and returns its exit code and output. Every call \
    starts afresh in the repository's root; processes do not outlive the call. There is no network.";
const SHELL_PARAMETERS: &str = r#"{"type":"object","properties":{"command":{"type":"string","description":"The script."},"workdir":{"type":"string","description":"The directory to start in, relative to the repository's root."},"timeout_ms":{"type":"integer","description":"The time limit in milliseconds; 120000 unless told."}},"required":["command"],"additionalProperties":false}"#;

const READ_DESCRIPTION: &str = "Shows lines of a file with their numbers. Prefer it to the shell for reading.";
const READ_PARAMETERS: &str = r#"{"type":"object","properties":{"path":{"type":"string","description":"The file, relative to the repository's root."},"line":{"type":"integer","description":"The first line; 1 unless told."},"count":{"type":"integer","description":"How many lines; 400 unless told."}},"required":["path"],"additionalProperties":false}"#;

const SEARCH_DESCRIPTION: &str = "Finds lines that match a regular expression in the repository's files, ignored files left \
    out. Returns path:line: text. Prefer it to grep.";
const SEARCH_PARAMETERS: &str = r#"{"type":"object","properties":{"pattern":{"type":"string","description":"A regular expression (Rust syntax)."},"path":{"type":"string","description":"The directory to look in; the whole repository unless told."},"glob":{"type":"string","description":"Only files whose paths fit, such as *.rs or src/**/test_*.py."},"literal":{"type":"boolean","description":"Take the pattern as plain text."},"ignore_case":{"type":"boolean"},"context":{"type":"integer","description":"How many lines to show around each hit."}},"required":["pattern"],"additionalProperties":false}"#;

const EDIT_DESCRIPTION: &str = "Replaces a text in a file by another. `old` must be copied from the file, with enough lines \
    around it to occur only once. To create a file, leave `old` empty.";
const EDIT_PARAMETERS: &str = r#"{"type":"object","properties":{"path":{"type":"string","description":"The file, relative to the repository's root."},"old":{"type":"string","description":"The text that is there now."},"new":{"type":"string","description":"The text that takes its place."},"all":{"type":"boolean","description":"Replace every place instead of the only one."}},"required":["path","old","new"],"additionalProperties":false}"#;

const PLAN_DESCRIPTION: &str = "Writes down your plan, whole, in place of the one before. Use it for work of more than a few \
    steps; you are reminded of it when the history gets too long.";
const PLAN_PARAMETERS: &str = r#"{"type":"object","properties":{"steps":{"type":"array","items":{"type":"object","properties":{"step":{"type":"string"},"status":{"type":"string","enum":["pending","in_progress","completed"]}},"required":["step","status"],"additionalProperties":false}}},"required":["steps"],"additionalProperties":false}"#;

const DONE_DESCRIPTION: &str = "Ends your work. The harness then looks at your files and runs the tests, and tells you if \
    something is missing.";
const DONE_PARAMETERS: &str = r#"{"type":"object","properties":{"summary":{"type":"string","description":"What was wrong, what you changed and how you checked it, in a few plain sentences; or what is missing."},"outcome":{"type":"string","enum":["done","not_possible","needs_input"],"description":"done unless the task cannot be done, or a person has to answer a question first."}},"required":["summary","outcome"],"additionalProperties":false}"#;

const ANSWER_DESCRIPTION: &str = "Ends your work with its result.";
const ANSWER_PARAMETERS: &str = r#"{"type":"object","properties":{"summary":{"type":"string","description":"The whole result as Markdown. Name the places in the files that it rests on as path:line."},"outcome":{"type":"string","enum":["done","not_possible","needs_input"]}},"required":["summary","outcome"],"additionalProperties":false}"#;

const REVIEW_DESCRIPTION: &str = "Ends the review with its findings; none is a good result too.";
const REVIEW_PARAMETERS: &str = r#"{"type":"object","properties":{"summary":{"type":"string","description":"Whether the code is correct, and why, in a few sentences."},"findings":{"type":"array","items":{"type":"object","properties":{"title":{"type":"string","description":"One line, at most 80 characters."},"body":{"type":"string","description":"What is wrong, when it shows, and why it matters."},"priority":{"type":"integer","description":"0: fix at once, 1: fix soon, 2: fix some day, 3: nice to have."},"confidence":{"type":"number","description":"From 0 to 1."},"path":{"type":"string"},"line":{"type":"integer","description":"The first line."},"last_line":{"type":"integer"},"suggestion":{"type":"string","description":"Left out, but where other lines in the place of exactly these mend it: those lines whole, with their indentation."}},"required":["title","body","priority","confidence","path","line","last_line"],"additionalProperties":false}}},"required":["summary","findings"],"additionalProperties":false}"#;

const PATCH_DESCRIPTION: &str = "Edits files. The patch begins with `*** Begin Patch` and ends with `*** End Patch`; between \
    them stand `*** Add File: path`, `*** Delete File: path` and `*** Update File: path` (with `*** Move to: path` for a \
    rename). An update is made of chunks: `@@` with the line of the enclosing definition, then lines that start with a \
    space (unchanged), `-` (removed) or `+` (added). Give about three unchanged lines on each side. Paths are relative to \
    the repository's root. A patch is applied whole or not at all.";

const PATCH_PARAMETERS: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The whole patch."}},"required":["input"],"additionalProperties":false}"#;

const PATCH_GRAMMAR: &str = r#"start: begin_patch hunk+ end_patch
begin_patch: "*** Begin Patch" LF
end_patch: "*** End Patch" LF?

hunk: add_hunk | delete_hunk | update_hunk
add_hunk: "*** Add File: " filename LF add_line+
delete_hunk: "*** Delete File: " filename LF
update_hunk: "*** Update File: " filename LF change_move? change?

filename: /(.+)/
add_line: "+" /(.*)/ LF -> line

change_move: "*** Move to: " filename LF
change: (change_context | change_line)+ eof_line?
change_context: ("@@" | "@@ " /(.+)/) LF
change_line: ("+" | "-" | " ") /(.*)/ LF
eof_line: "*** End of File" LF

%import common.LF
"#;
