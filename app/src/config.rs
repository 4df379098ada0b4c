//! What the operator sets: defaults, then the file, then the environment.
//!
//! Every key can be given as a variable too: `github.app_id` is `PATCHWRIGHT__GITHUB__APP_ID`. A key that is not known
//! is refused with the nearest one that is. The example file is made from this struct and tested to load.

use std::path::{Path, PathBuf};
use std::time::Duration;

use patchwright_domain::policy::rates::COUNTED_MAX;
use patchwright_domain::turn::tools::EditForm;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::limits::{Limits, microusd};
pub use self::store::Store;

pub mod container;
pub mod egress;
pub mod example;
pub mod kubernetes;
mod limits;
pub mod mcp;
pub mod sandbox;
pub mod store;

/// The prefix of the environment's variables.
const PREFIX: &str = "PATCHWRIGHT";
/// How often a tree may be tested for a proof.
const PROOF_RUNS_MAX: u64 = 10;

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where webhooks arrive.
    pub server: Server,
    /// The GitHub App.
    pub github: GitHub,
    /// The model that the agent asks.
    pub model: Model,
    /// How the agent works.
    pub agent: Agent,
    /// Where deliveries, jobs and journals are kept.
    pub store: Store,
    /// Where repositories are mirrored and scratch trees are written.
    pub workspace: Workspace,
    /// What every command of an agent, a setup or a test is confined to.
    pub sandbox: sandbox::Sandbox,
    /// What a job may use, and what jobs may use together in a day.
    pub limits: Limits,
    /// What was executed for a proof, under a signature.
    pub attestation: Attestation,
    /// Servers of the Model Context Protocol whose tools the agent is offered beside its own; one such table for each.
    pub mcp: Vec<mcp::Mcp>,
}

/// Where webhooks arrive.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on.
    pub listen: String,
    /// How many jobs run at the same time.
    pub workers: u32,
}

impl Default for Server {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8080".into(), workers: 2 }
    }
}

/// The GitHub App.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GitHub {
    /// The App's number, from its settings page.
    pub app_id: u64,
    /// The file with the App's private key, in PEM form.
    pub private_key_file: Option<PathBuf>,
    /// The secret that webhooks are signed with. The server does not start without one.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub webhook_secret: Option<SecretString>,
    /// The secret before, while it is being changed: deliveries signed with either are taken.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub webhook_secret_previous: Option<SecretString>,
    /// The REST API's address; `https://HOST/api/v3` for GitHub Enterprise Server.
    pub api_url: String,
    /// The address of pages and repositories; `https://HOST` for GitHub Enterprise Server.
    pub web_url: String,
    /// What users write to call the bot.
    pub mention: String,
    /// The bots that repositories may let give commands, by GitHub's numbers (`id` of `GET /users/NAME[bot]`): those that a policy
    /// file's `triggers.bots` names too are heard as somebody who can push.
    pub bots: Vec<u64>,
    /// The pause between writes to the repositories of one installation, in milliseconds. GitHub asks for a second at least.
    pub write_spacing_ms: u64,
    /// The least pause between two edits of the comment that says how far a job has come, in seconds.
    pub progress_seconds: u64,
    /// What becomes of the commits of pull requests: `verified`, GitHub makes them again of the very files that were proven and signs
    /// them, and where it does not, they are pushed, which is told; `pushed`, they stay as they are, unsigned.
    pub commits: Commits,
    /// Every how many minutes deliveries are looked for that did not arrive, such as while this server was down, to have GitHub
    /// send them again; 0 for never.
    pub sweep_minutes: u64,
}

impl Default for GitHub {
    fn default() -> Self {
        Self {
            app_id: 0,
            private_key_file: None,
            webhook_secret: None,
            webhook_secret_previous: None,
            api_url: "https://api.github.com".into(),
            web_url: "https://github.com".into(),
            mention: "@codex".into(),
            bots: Vec::new(),
            write_spacing_ms: 1_000,
            progress_seconds: 5,
            commits: Commits::Verified,
            sweep_minutes: 5,
        }
    }
}

/// What becomes of the commits on the branches of pull requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Commits {
    /// GitHub makes them of what was proven and signs them, so that they show as verified; where it does not, they are pushed.
    #[default]
    Verified,
    /// They are pushed as they were proven, without a signature.
    Pushed,
}

/// A wire format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OpenAI's Responses API, streamed.
    #[default]
    Responses,
    /// OpenAI's Chat Completions API, streamed.
    Chat,
    /// Anthropic's Messages API, streamed.
    Messages,
}

impl Format {
    /// The form of edits that the models behind most such endpoints know.
    pub fn edit_form(self) -> EditForm {
        match self {
            Self::Responses => EditForm::Freeform,
            Self::Chat | Self::Messages => EditForm::Replace,
        }
    }
}

/// What an endpoint of the format `chat` calls the limit of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitField {
    /// Nearly all of them.
    #[default]
    MaxTokens,
    /// OpenAI's own, for models that reason.
    MaxCompletionTokens,
}

/// The model that the agent asks.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// The wire format of the endpoint: `responses` and `chat` (OpenAI's, and most others'), or `messages` (Anthropic's).
    pub format: Format,
    /// The endpoint's address, to which `/responses`, `/chat/completions` or `/messages` is added.
    pub base_url: String,
    /// The model's name, as the endpoint knows it.
    pub model: String,
    /// The key that goes into the header that the format has for it; none for a local endpoint that wants none.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub api_key: Option<SecretString>,
    /// How much a model that reasons should think, in the endpoint's words, such as `low` or `high`; as the endpoint likes
    /// where it is not set.
    pub reasoning_effort: Option<String>,
    /// Whether the endpoint's tools are used. Without, a model of the format `chat` writes its calls as text: for small
    /// local models whose server knows no tools.
    pub native_tools: bool,
    /// What the format `chat` calls the limit of a reply: `max_tokens`, or `max_completion_tokens` as OpenAI's own models
    /// that reason want it.
    pub limit_field: LimitField,
    /// How the model edits: `freeform` (a patch as plain text, for OpenAI's models behind `responses`), `function` (a patch
    /// as JSON) or `replace` (a text in the place of another); `freeform` for `responses` and `replace` for the other
    /// formats where it is not set.
    #[schemars(with = "Option<String>")]
    pub edit_form: Option<EditForm>,
    /// How many tokens the model's context holds.
    pub context_tokens: u64,
    /// The most tokens of one reply, and never more than a quarter of the context: many endpoints refuse a request whose
    /// reply might not fit.
    pub output_tokens: u64,
    /// US dollars for a million tokens read. Without prices `limits.max_cost_usd` cannot be kept.
    pub input_usd_per_million: Option<f64>,
    /// US dollars for a million tokens read from the endpoint's cache.
    pub cached_usd_per_million: Option<f64>,
    /// US dollars for a million tokens written.
    pub output_usd_per_million: Option<f64>,
    /// How many seconds the endpoint may be silent before a request counts as lost.
    pub idle_timeout_seconds: u64,
    /// The pause before a request is tried again, in milliseconds; it doubles each time.
    pub retry_pause_ms: u64,
    /// How often a request is tried.
    pub tries: u32,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            format: Format::Responses,
            base_url: "https://api.openai.com/v1".into(),
            model: "gpt-5.5".into(),
            api_key: None,
            reasoning_effort: None,
            native_tools: true,
            limit_field: LimitField::MaxTokens,
            edit_form: None,
            context_tokens: 200_000,
            output_tokens: 32_000,
            input_usd_per_million: None,
            cached_usd_per_million: None,
            output_usd_per_million: None,
            idle_timeout_seconds: 300,
            retry_pause_ms: 1_000,
            tries: 8,
        }
    }
}

/// Which agent works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgentKind {
    /// Patchwright's own.
    #[default]
    Builtin,
    /// OpenAI's Codex, as `codex exec`.
    Codex,
    /// Codex behind its ACP adapter.
    CodexAcp,
    /// Claude Code behind its ACP adapter.
    Claude,
    /// Gemini CLI.
    Gemini,
    /// OpenCode.
    #[serde(rename = "opencode")]
    OpenCode,
    /// Another that speaks ACP, started by `agent.command`.
    Custom,
}

/// How the agent works.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// Who works: `builtin`, or a program on this machine that runs in the sandbox and asks the same model: `codex`,
    /// `codex-acp`, `claude`, `gemini`, `opencode`, or `custom` for any other that speaks ACP. The endpoint must offer the
    /// program's wire format: Responses for Codex, Anthropic's Messages for Claude, Gemini's own for Gemini, chat
    /// completions for OpenCode.
    pub kind: AgentKind,
    /// The program and its arguments, where `kind` is `custom`.
    pub command: Vec<String>,
    /// Names of files with instructions that are read where a folder has no `AGENTS.md`, such as `CLAUDE.md`.
    pub instruction_fallbacks: Vec<String>,
    /// The models of the second attempt and those after it, at the same endpoint and counted at the same prices; behind the
    /// last one the first has its turn again. Without any, every attempt asks `model.model`.
    pub attempt_models: Vec<String>,
    /// How much the models of those attempts should think, in the same order; `model.reasoning_effort` where there is none.
    pub attempt_efforts: Vec<String>,
}

/// Where repositories are mirrored and scratch trees are written.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Workspace {
    /// A folder of this program's own.
    pub dir: PathBuf,
}

impl Default for Workspace {
    fn default() -> Self {
        Self { dir: "patchwright-workspace".into() }
    }
}

/// What was executed for a proof, under a signature.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Attestation {
    /// The file with the ed25519 key that signs, as PKCS#8 in PEM form, which only its owner may read (mode 0600). Where it is
    /// not set, `attestation-key.pem` beside the store's database is used, and made at the first start;
    /// beside PostgreSQL there is no such place, and without it nothing is signed.
    pub key_file: Option<PathBuf>,
}

impl GitHub {
    /// The secrets that deliveries may be signed with; empty ones are none.
    pub fn webhook_secrets(&self) -> Vec<SecretString> {
        let secrets = [&self.webhook_secret, &self.webhook_secret_previous].into_iter().flatten();
        secrets.filter(|secret| !secret.expose_secret().trim().is_empty()).cloned().collect()
    }

    /// The pause between looking for deliveries that did not arrive.
    pub fn sweep_interval(&self) -> Option<Duration> {
        (self.sweep_minutes > 0).then(|| Duration::from_secs(self.sweep_minutes.saturating_mul(60)))
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// Loads defaults, the file if there is one, and the environment's variables.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, key or variable and what to write instead.
    pub fn load(file: Option<&Path>, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let variables: std::collections::HashMap<String, String> =
            variables.into_iter().filter(|(name, _)| name.starts_with(&format!("{PREFIX}__"))).collect();
        let mut builder = config::Config::builder();
        if let Some(file) = file {
            if !file.is_file() {
                return Err(ConfigError(format!("there is no configuration file `{}`", file.display())));
            }
            builder = builder.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        let environment = config::Environment::with_prefix(PREFIX).prefix_separator("__").separator("__").source(Some(variables));
        // Only the first line: what follows repeats the file, and a secret may stand there.
        let first_line = |e: config::ConfigError| ConfigError(e.to_string().lines().next().unwrap_or_default().to_owned());
        let merged = builder.add_source(environment).build().map_err(first_line)?;
        let given: Value = merged.clone().try_deserialize().map_err(|e| ConfigError(e.to_string()))?;
        refuse_unknown(&given)?;
        let config: Self = merged.try_deserialize().map_err(|e| told(&e.to_string(), &given))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let mention = self.github.mention.strip_prefix('@').unwrap_or_default();
        if mention.is_empty() || !mention.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(ConfigError(
                "`github.mention` must be an `@` followed by letters, digits and hyphens, such as `@codex`".into(),
            ));
        }
        let is_custom = self.agent.kind == AgentKind::Custom;
        if is_custom == self.agent.command.is_empty() {
            return Err(ConfigError("`agent.command` goes with `agent.kind = \"custom\"`, and with nothing else".into()));
        }
        let positive = [
            ("limits.wall_clock_minutes", self.limits.wall_clock_minutes),
            ("limits.turns", self.limits.turns.into()),
            ("limits.rounds", self.limits.rounds.into()),
            ("limits.attempts", self.limits.attempts.into()),
            ("limits.max_tokens", self.limits.max_tokens),
            ("limits.test_minutes", self.limits.test_minutes),
            ("limits.proof_runs", self.limits.proof_runs),
            ("limits.patch_files", self.limits.patch_files),
            ("limits.patch_lines", self.limits.patch_lines),
            ("limits.claims", self.limits.claims.into()),
            ("server.workers", self.server.workers.into()),
            ("model.tries", self.model.tries.into()),
            ("limits.repository_tokens_per_day", self.limits.repository_tokens_per_day.unwrap_or(u64::MAX)),
            ("limits.user_tokens_per_day", self.limits.user_tokens_per_day.unwrap_or(u64::MAX)),
            ("limits.tokens_per_day", self.limits.tokens_per_day.unwrap_or(u64::MAX)),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError(format!("`{key}` must be at least 1")));
        }
        self.store.check().map_err(ConfigError)?;
        if self.limits.proof_runs > PROOF_RUNS_MAX {
            return Err(ConfigError(format!("`limits.proof_runs` must be at most {PROOF_RUNS_MAX}")));
        }
        let rates = [
            ("limits.user_jobs_per_hour", self.limits.user_jobs_per_hour),
            ("limits.repository_jobs_per_hour", self.limits.repository_jobs_per_hour),
        ];
        if let Some((key, _)) = rates.iter().find(|(_, rate)| *rate > COUNTED_MAX) {
            return Err(ConfigError(format!("`{key}` must be at most {COUNTED_MAX}, or 0 for no limit")));
        }
        mcp::check(&self.mcp).map_err(ConfigError)?;
        self.sandbox.check().map_err(ConfigError)?;
        let is_none = |dollars: Option<f64>| dollars.is_some_and(|dollars| dollars.is_nan() || dollars <= 0.0);
        match self.limits.dollars().into_iter().find(|(_, dollars)| is_none(*dollars)) {
            Some((key, _)) => Err(ConfigError(format!("`{key}` must be above 0"))),
            None => Ok(()),
        }
    }
}

/// An error as it is told. Where a value is none of those that there are, they are listed.
fn told(error: &str, given: &Value) -> ConfigError {
    let key = error.split_once("for key `").and_then(|(_, rest)| rest.split_once('`')).map(|(key, _)| key);
    let named = key.filter(|_| error.contains("variant")).and_then(|key| {
        let value = given.pointer(&format!("/{}", key.replace('.', "/")))?;
        // Alone, so that nothing else that is given as text stands in the way.
        let alone = key.rsplit('.').fold(value.clone(), |inner, name| serde_json::json!({ name: inner }));
        let error = serde_json::from_value::<Config>(alone).err()?;
        Some(format!("`{key}`: {}", error.to_string().replace("unknown variant ", "there is no ")))
    });
    ConfigError(named.unwrap_or_else(|| error.to_owned()))
}

/// Names the first key that the configuration does not have.
fn refuse_unknown(given: &Value) -> Result<(), ConfigError> {
    let known = example::keys();
    for key in flatten(given, "") {
        if known.iter().any(|known| known.name == key) {
            continue;
        }
        let nearest = known.iter().max_by(|a, b| {
            let (a, b) = (strsim::jaro_winkler(&a.name, &key), strsim::jaro_winkler(&b.name, &key));
            a.total_cmp(&b)
        });
        let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean `{}`?", nearest.name));
        return Err(ConfigError(format!("there is no configuration key `{key}`{hint}")));
    }
    Ok(())
}

/// The dotted names of all values; an empty table has none.
fn flatten(value: &Value, prefix: &str) -> Vec<String> {
    match value {
        Value::Object(table) => table
            .iter()
            .flat_map(|(key, value)| flatten(value, &if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") }))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => vec![prefix.to_owned()],
    }
}

#[cfg(test)]
mod tests;
