//! The agents that we know how to start, and how each finds its model: on a port of the sandbox's own loopback, with a key
//! that is none.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use patchwright_launcher::spec::HOME;
use serde_json::json;

/// The port of the sandbox's own loopback where the model is.
pub const PORT: u16 = 8377;
/// What stands where a program wants a key; the true one is added outside.
const NO_KEY: &str = "none-inside";
/// How far above a program its package is looked for.
const PACKAGE_DEPTH_MAX: usize = 6;

/// Which agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OpenAI's Codex, one process for a prompt.
    Codex,
    /// Codex behind its ACP adapter, `codex-acp`.
    CodexAcp,
    /// Claude Code behind its ACP adapter, `claude-agent-acp`.
    Claude,
    /// Gemini CLI.
    Gemini,
    /// OpenCode.
    OpenCode,
    /// Any other that speaks ACP: its command.
    Custom(Vec<String>),
}

/// How an agent is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The Agent Client Protocol, version 1.
    Acp,
    /// `codex exec --json`.
    CodexExec,
}

/// An agent that can be started.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its name, for people.
    pub name: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Its path and its arguments.
    pub command: Vec<String>,
    /// What its environment gets.
    pub environment: Vec<(String, String)>,
    /// A file that it finds in its home directory: the path below it, and the text.
    pub file: Option<(String, String)>,
    /// Host paths that it needs, at the same place inside.
    pub read_only: Vec<PathBuf>,
}

/// A program that cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresetError {
    /// The command is empty.
    #[error("`agent.command` names no program")]
    NoCommand,
    /// There is no such program.
    #[error("there is no program `{program}` on the PATH")]
    NotFound {
        /// Its name.
        program: String,
    },
    /// The path is none that can be passed on.
    #[error("the path of `{program}` is not UTF-8")]
    Path {
        /// Its name.
        program: String,
    },
}

impl Preset {
    /// Finds the agent's program in `path`, which is as the variable `PATH`, and points it at `model`.
    ///
    /// # Errors
    /// [`PresetError`] where there is no such program.
    pub fn find(kind: &Kind, model: &str, path: &OsStr) -> Result<Self, PresetError> {
        let words: Vec<String> = match kind {
            Kind::Codex => ["codex", "exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
                .into_iter()
                .chain(["-C", "/workspace", "-"])
                .map(str::to_owned)
                .collect(),
            Kind::CodexAcp => vec!["codex-acp".to_owned()],
            Kind::Claude => vec!["claude-agent-acp".to_owned()],
            Kind::Gemini => vec!["gemini".to_owned(), "--acp".to_owned()],
            Kind::OpenCode => vec!["opencode".to_owned(), "acp".to_owned()],
            Kind::Custom(command) => command.clone(),
        };
        let (program, arguments) =
            words.split_first().filter(|(program, _)| !program.is_empty()).ok_or(PresetError::NoCommand)?;
        let found = find(program, path).ok_or_else(|| PresetError::NotFound { program: program.clone() })?;
        let text = found.to_str().ok_or_else(|| PresetError::Path { program: program.clone() })?.to_owned();
        let name = Path::new(program).file_name().map_or_else(|| program.clone(), |name| name.to_string_lossy().into_owned());
        Ok(Self {
            name,
            protocol: if *kind == Kind::Codex { Protocol::CodexExec } else { Protocol::Acp },
            command: std::iter::once(text).chain(arguments.iter().cloned()).collect(),
            environment: environment(kind, model),
            file: matches!(kind, Kind::Codex | Kind::CodexAcp).then(|| (".codex/config.toml".to_owned(), codex_config(model))),
            read_only: mount(&found).into_iter().collect(),
        })
    }

    /// What is started inside: the program, behind the writing of its file if it has one.
    pub fn argv(&self) -> Vec<String> {
        const WRITE: &str = "mkdir -p \"$(dirname \"$1\")\" && printf %s \"$2\" > \"$1\" && shift 2 && exec \"$@\"";
        let Some((path, text)) = &self.file else { return self.command.clone() };
        let wrapper = ["/bin/sh", "-c", WRITE, "sh"].map(str::to_owned).into_iter();
        wrapper.chain([format!("{HOME}/{path}"), text.clone()]).chain(self.command.iter().cloned()).collect()
    }
}

fn environment(kind: &Kind, model: &str) -> Vec<(String, String)> {
    let root = format!("http://127.0.0.1:{PORT}");
    let v1 = format!("{root}/v1");
    let openai = [("OPENAI_BASE_URL", v1.clone()), ("OPENAI_API_KEY", NO_KEY.to_owned())];
    let anthropic = [
        ("ANTHROPIC_BASE_URL", root.clone()),
        ("ANTHROPIC_API_KEY", NO_KEY.to_owned()),
        ("ANTHROPIC_MODEL", model.to_owned()),
        ("ANTHROPIC_SMALL_FAST_MODEL", model.to_owned()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
        ("DISABLE_AUTOUPDATER", "1".to_owned()),
        ("IS_SANDBOX", "1".to_owned()),
    ];
    let gemini = [
        ("GOOGLE_GEMINI_BASE_URL", root),
        ("GEMINI_API_KEY", NO_KEY.to_owned()),
        ("GEMINI_MODEL", model.to_owned()),
        ("GEMINI_CLI_TRUST_WORKSPACE", "true".to_owned()),
    ];
    let all: Vec<(&str, String)> = match kind {
        // Not below /tmp, where it refuses to make its helpers.
        Kind::Codex | Kind::CodexAcp => vec![("CODEX_HOME", format!("{HOME}/.codex"))],
        Kind::Claude => anthropic.into(),
        Kind::Gemini => gemini.into(),
        Kind::OpenCode => vec![("OPENCODE_CONFIG_CONTENT", opencode_config(model, &v1))],
        Kind::Custom(_) => {
            let model = ("PATCHWRIGHT_MODEL", model.to_owned());
            openai.into_iter().chain(anthropic).chain(gemini).chain([model]).collect()
        }
    };
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn codex_config(model: &str) -> String {
    let model = json!(model);
    // A string of JSON is one of TOML too.
    format!(
        "model = {model}\nmodel_provider = \"patchwright\"\ncheck_for_update_on_startup = false\n\
         approval_policy = \"never\"\nsandbox_mode = \"danger-full-access\"\n\n\
         [analytics]\nenabled = false\n\n\
         [model_providers.patchwright]\nname = \"Patchwright\"\nbase_url = \"http://127.0.0.1:{PORT}/v1\"\nwire_api = \"responses\"\n"
    )
}

fn opencode_config(model: &str, base_url: &str) -> String {
    json!({
        "model": format!("patchwright/{model}"),
        "small_model": format!("patchwright/{model}"),
        "autoupdate": false,
        "share": "disabled",
        "permission": { "edit": "allow", "bash": "allow", "webfetch": "allow" },
        "provider": { "patchwright": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Patchwright",
            "options": { "baseURL": base_url, "apiKey": NO_KEY },
            "models": { model: { "name": model } },
        } },
    })
    .to_string()
}

/// The program's true place: the first that can be executed, behind all links.
fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    let is_program =
        |path: &PathBuf| std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    let candidates: Vec<PathBuf> = if program.contains('/') {
        vec![PathBuf::from(program)]
    } else {
        std::env::split_paths(path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(program)).collect()
    };
    candidates.into_iter().find(is_program)?.canonicalize().ok()
}

/// What of the host a program needs: the folder that packages lie in together, its own package's, or nothing but itself. A
/// folder that holds more than packages, such as somebody's home, is never given.
fn mount(program: &Path) -> Option<PathBuf> {
    if program.starts_with("/usr") || program.starts_with("/bin") {
        return None;
    }
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
    let is_private = |folder: &Path| {
        folder.parent().is_none() || home.as_deref().is_some_and(|home| home.starts_with(folder)) || folder.join(".git").exists()
    };
    let above = || program.ancestors().skip(1);
    let together = above().filter(|folder| folder.file_name().is_some_and(|name| name == "node_modules")).last();
    let own = || above().take(PACKAGE_DEPTH_MAX).find(|folder| folder.join("package.json").is_file());
    let package = together.or_else(own).filter(|folder| !is_private(folder));
    Some(package.unwrap_or(program).to_owned())
}

#[cfg(test)]
mod tests;
