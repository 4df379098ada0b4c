//! The tools that the model is offered: few, stable, and in a stable order, because they head the cached prefix.

use crate::turn::Tool;

/// The name of the tool that runs a script.
pub const SHELL: &str = "shell";
/// The name of the tool that applies a patch.
pub const APPLY_PATCH: &str = "apply_patch";

/// In which form a model takes the patch tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatchForm {
    /// As plain text that follows a grammar: what OpenAI's models are trained on.
    #[default]
    Freeform,
    /// As a JSON string: for endpoints that know functions only.
    Function,
}

/// The tools, with the patch tool in the form that the model takes.
pub fn on_offer(form: PatchForm) -> &'static [Tool] {
    match form {
        PatchForm::Freeform => &FREEFORM,
        PatchForm::Function => &FUNCTION,
    }
}

static FREEFORM: [Tool; 2] =
    [SHELL_TOOL, Tool::Freeform { name: APPLY_PATCH, description: PATCH_DESCRIPTION, grammar: PATCH_GRAMMAR }];
static FUNCTION: [Tool; 2] =
    [SHELL_TOOL, Tool::Function { name: APPLY_PATCH, description: PATCH_DESCRIPTION, parameters: PATCH_PARAMETERS }];

const SHELL_TOOL: Tool = Tool::Function {
    name: SHELL,
    description: "Runs a shell script in the repository and returns its exit code and output. Every call starts afresh in \
                  the repository's root; processes do not outlive the call. There is no network.",
    parameters: r#"{"type":"object","properties":{"command":{"type":"string","description":"The script."},"workdir":{"type":"string","description":"The directory to start in, relative to the repository's root."},"timeout_ms":{"type":"integer","description":"The time limit in milliseconds; 120000 unless told."}},"required":["command"],"additionalProperties":false}"#,
};

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
