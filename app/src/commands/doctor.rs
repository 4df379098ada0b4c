//! `patchwright doctor`: tries everything for real and says what to do about what does not work.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use patchwright::clock::SystemClock;
use patchwright::config::{Config, Format};
use patchwright::forge::github::{GitHub, Identity};
use patchwright::guarded::Guarded;
use patchwright::http_client;
use patchwright::model::messages;
use patchwright::sandbox::toolchains;
use patchwright::sandbox::{Capabilities, Enforcement, Isolation, Profile, Sandbox};
use patchwright::sweep::Sweep;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::store::{self, Place};
use super::{ConfigArguments, Failure, assemble, terminal};

/// How long the model's endpoint may take to answer.
const ENDPOINT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// How the findings are shown.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Print the AppArmor profile that lets this program make user namespaces, as Ubuntu 24.04 and newer demand, and do
    /// nothing else
    #[arg(long, conflicts_with = "json")]
    apparmor: bool,
}

/// Whose fault it is that something does not work.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Works,
    /// The machine or a service lacks something.
    Broken,
    /// The configuration lacks something.
    NotConfigured,
}

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn works(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, status: Status::Works, detail: detail.into(), remedy: None }
    }

    fn broken(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, status: Status::Broken, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    fn not_configured(what: &'static str, error: &Failure) -> Self {
        let remedy = "set it in the configuration file or as a variable; `manifests/patchwright.example.toml` has all keys";
        Self { what, status: Status::NotConfigured, detail: format!("{:#}", error.error), remedy: Some(remedy.into()) }
    }
}

pub(super) async fn doctor(arguments: Arguments) -> Result<ExitCode, Failure> {
    if arguments.apparmor {
        terminal::say(apparmor()?);
        return Ok(ExitCode::SUCCESS);
    }
    let config = arguments.config.load()?;
    let executor = assemble::sandbox(&config).await?;
    let (walls, limits) = sandbox(executor.as_ref()).await;
    let findings = [
        walls,
        limits,
        trees(&config, executor.as_ref()).await,
        toolchains().await,
        egress(&config).await,
        secrets(&config),
        git().await,
        workspace(&config).await,
        self::store(&config).await,
        model(&config).await,
        app(&config).await,
    ];
    if arguments.json {
        terminal::say(serde_json::json!({ "findings": findings }));
    } else {
        for finding in &findings {
            let mark = match finding.status {
                Status::Works => "works     ",
                Status::Broken => "BROKEN    ",
                Status::NotConfigured => "not set   ",
            };
            terminal::say(format_args!("{mark} {:<11} {}", finding.what, finding.detail));
            if let Some(remedy) = &finding.remedy {
                terminal::say(format_args!("{:23}→ {remedy}", ""));
            }
        }
    }
    let has = |status| findings.iter().any(|finding| finding.status == status);
    Ok(ExitCode::from(if has(Status::Broken) {
        3
    } else if has(Status::NotConfigured) {
        2
    } else {
        0
    }))
}

/// A profile for this program alone, wherever it is; everything else on the machine stays as it was.
fn apparmor() -> Result<String, Failure> {
    let program = std::env::current_exe().context("finding this program").map_err(Failure::environment)?;
    Ok(format!(
        "# Save as /etc/apparmor.d/patchwright, then: apparmor_parser -r /etc/apparmor.d/patchwright\n\
         abi <abi/4.0>,\n\
         include <tunables/global>\n\n\
         profile patchwright {} flags=(unconfined) {{\n  userns,\n  include if exists <local/patchwright>\n}}",
        program.display()
    ))
}

/// What is said in the place of walls where there are none.
const NOTHING: &str = "NONE. Nothing is contained: the code of repositories and agents runs as this user and reaches its files, its \
    credentials, its processes and its network. Use it only on a machine that is thrown away after the run";

/// The walls, and how each limit is kept; both by trying.
async fn sandbox(sandbox: &dyn Sandbox) -> (Finding, Finding) {
    match sandbox.probe().await {
        Ok(found) => {
            let detail = if found.isolation == Isolation::None {
                NOTHING.to_owned()
            } else {
                format!("{}: {}", found.isolation, found.layers.join(", "))
            };
            (Finding::works("sandbox", detail), limits(&found))
        }
        Err(refusal) => {
            let unknown = Finding::broken("limits", "without a sandbox there are none", refusal.remedy.clone());
            (Finding::broken("sandbox", refusal.missing, refusal.remedy), unknown)
        }
    }
}

fn limits(found: &Capabilities) -> Finding {
    let named = |wanted: Enforcement| {
        let limits = found.limits.iter().filter(|(_, kept)| *kept == wanted);
        let names: Vec<String> = limits.map(|(limit, _)| limit.to_string()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let kinds =
        [(Enforcement::Exact, "exactly"), (Enforcement::Polled, "by looking again and again"), (Enforcement::Missing, "NOT")];
    let detail: Vec<String> =
        kinds.into_iter().filter_map(|(kept, how)| named(kept).map(|names| format!("kept {how}: {names}"))).collect();
    let detail = detail.join("; ");
    let advice = (!found.advice.is_empty()).then(|| found.advice.join("; "));
    match named(Enforcement::Missing) {
        None => Finding { remedy: advice, ..Finding::works("limits", detail) },
        // The operator has said twice that this is what he wants.
        Some(_) if found.isolation == Isolation::None => Finding::works("limits", detail),
        Some(missing) => {
            let engines = || {
                format!(
                    "the engine keeps no limit of {missing}: give it control groups of version 2, or use the executor `local`"
                )
            };
            Finding::broken("limits", detail, advice.unwrap_or_else(engines))
        }
    }
}

/// Whether trees share what they have in common.
async fn trees(config: &Config, sandbox: &dyn Sandbox) -> Finding {
    let Ok(workspaces) = assemble::workspaces(config).await else {
        return Finding::broken(
            "trees",
            "there is no folder for them",
            "name a folder that this user may write to in `workspace.dir`",
        );
    };
    let what = "trees";
    let (agent, proof) =
        (sandbox.layers(&workspaces.folder(), Profile::Agent).await, sandbox.layers(&workspaces.folder(), Profile::Proof).await);
    Finding::works(
        what,
        match (agent, proof) {
            (true, true) => "laid over one shared tree per commit",
            (_, true) => {
                "laid over one shared tree per commit for tests; agents have their own, since folders could not be renamed"
            }
            (_, false) => "written whole for every run: this executor, kernel or file system has no overlay mounts for us",
        },
    )
}

/// What setups reach, as the machine's tools are configured now.
async fn egress(config: &Config) -> Finding {
    let keys = "see `sandbox.egress` in the configuration";
    match assemble::egress(&config.sandbox.egress) {
        Ok(Some(egress)) => match egress.open().await {
            Ok(gate) => {
                drop(gate);
                let hosts: Vec<String> = egress.hosts().await.iter().map(|host| host.pattern.to_string()).collect();
                let detail = if hosts.is_empty() {
                    "setups reach no host".to_owned()
                } else {
                    format!("setups reach {}", hosts.join(", "))
                };
                match egress.skipped().await {
                    [] => Finding::works("egress", detail),
                    skipped => Finding::broken(
                        "egress",
                        format!("{detail}; not the registries that are configured by an address: {}", skipped.join(", ")),
                        "give them names, in DNS or in `/etc/hosts`, and configure the tools to those; see `sandbox.egress.host`",
                    ),
                }
            }
            Err(error) => Finding::broken("egress", error.to_string(), "see that the temporary folder can be written to"),
        },
        Ok(None) => Finding::works("egress", "off: setups reach nothing"),
        Err(failure) => Finding::broken("egress", format!("{:#}", failure.error), keys),
    }
}

/// Whether what people are told can be kept free of the secrets of the configuration.
fn secrets(config: &Config) -> Finding {
    let weak = Guarded::new(config, None).weaknesses();
    if weak.is_empty() {
        return Finding::works("secrets", "those of the configuration are taken out of what people are told");
    }
    let remedy = "set others there, long and made by chance; where a service takes any key, give it such a one";
    Finding { remedy: Some(remedy.to_owned()), ..Finding::works("secrets", weak.join("; ")) }
}

async fn toolchains() -> Finding {
    let found = toolchains::discover(std::env::var_os("PATH")).await;
    let paths: Vec<String> = found.path.iter().map(|path| path.display().to_string()).collect();
    let detail = if paths.is_empty() { "only what is in /usr".into() } else { format!("/usr and {}", paths.join(", ")) };
    Finding::works("toolchains", detail)
}

/// git itself is needed by the demo alone.
async fn git() -> Finding {
    match tokio::process::Command::new("git").arg("--version").output().await {
        Ok(output) if output.status.success() => Finding::works("git", String::from_utf8_lossy(&output.stdout).trim()),
        Ok(_) | Err(_) => {
            Finding::broken("git", "there is no `git` on the PATH", "install git; `patchwright demo` serves a repository with it")
        }
    }
}

async fn workspace(config: &Config) -> Finding {
    let folder = config.workspace.dir.display().to_string();
    match assemble::workspaces(config).await {
        Ok(_) => Finding::works("workspace", folder),
        Err(failure) => Finding::broken(
            "workspace",
            format!("{:#}", failure.error),
            "name a folder that this user may write to in `workspace.dir`",
        ),
    }
}

async fn store(config: &Config) -> Finding {
    let remedy = match store::place(&config.store) {
        Ok(Place::Database(_)) => "mend that first: nothing is accepted without the store",
        Ok(Place::File(_) | Place::Memory) => "name a file in a folder that this user may write to in `store.url`",
        Err(failure) => return Finding::not_configured("store", &failure),
    };
    match store::diagnosis(&config.store).await {
        Ok(detail) => Finding::works("store", detail),
        Err(failure) => Finding::broken("store", format!("{:#}", failure.error), remedy),
    }
}

/// Asks for the list of models, which costs nothing. An endpoint without such a list still shows that it is there.
async fn model(config: &Config) -> Finding {
    let what = "model";
    if let Err(failure) = assemble::model(&config.model) {
        return Finding::not_configured(what, &failure);
    }
    let address = format!("{}/models", config.model.base_url.trim_end_matches('/'));
    let client = match http_client::builder().timeout(ENDPOINT_TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => return Finding::broken(what, error.to_string(), "install the `ca-certificates` package"),
    };
    let mut request = client.get(&address);
    if let Some(key) = &config.model.api_key {
        let key = key.expose_secret().trim();
        request = match config.model.format {
            Format::Responses | Format::Chat => request.bearer_auth(key),
            Format::Messages => request.header("x-api-key", key),
        };
    }
    request = match config.model.format {
        Format::Responses | Format::Chat => request,
        Format::Messages => request.header("anthropic-version", messages::VERSION),
    };
    match request.send().await {
        Ok(answer) if matches!(answer.status().as_u16(), 401 | 403) => {
            let detail = format!("{address} answered {}", answer.status());
            Finding {
                status: Status::NotConfigured,
                ..Finding::broken(what, detail, "set `model.api_key` to a key that this endpoint takes")
            }
        }
        Ok(answer) if answer.status().is_server_error() => {
            Finding::broken(what, format!("{address} answered {}", answer.status()), "look at the endpoint's own log")
        }
        Ok(answer) if !answer.status().is_success() => {
            let detail = format!("{} is there; it has no list of models, so name and key were not tried", config.model.base_url);
            Finding::works(what, detail)
        }
        Ok(_) => Finding::works(what, format!("{} at {}", config.model.model, config.model.base_url)),
        Err(error) => {
            let remedy = "check `model.base_url`, this machine's network and its proxy variables";
            Finding::broken(what, format!("{address} cannot be reached: {}", error.without_url()), remedy)
        }
    }
}

/// How many deliveries did not arrive. Nothing is asked for here: the server does that.
async fn missed(config: &Config, github: GitHub) -> String {
    let Ok(store) = store::kept(config).await else { return "whether deliveries arrived is not known".into() };
    match Sweep::new(store, Arc::new(github), Arc::new(SystemClock)).look(None).await {
        Ok(found) => {
            let n_missed = found.missed.len() + found.given_up.len();
            format!("of {} deliveries in the last three days {n_missed} did not arrive", found.n_sent)
        }
        Err(error) => format!("whether deliveries arrived cannot be asked: {error}"),
    }
}

/// An App that sets no check runs does all else.
fn without_checks(what: &'static str, told: &str) -> Finding {
    let detail = format!("{told}; it may set no check runs, so that none says how far a proof is and what came of it");
    let remedy =
        "let it write checks in the App's settings, under \"Permissions & events\", and accept that where it is installed";
    Finding { remedy: Some(remedy.into()), ..Finding::works(what, detail) }
}

async fn app(config: &Config) -> Finding {
    let what = "GitHub App";
    let github = match assemble::github(&config.github) {
        Ok(github) => github,
        Err(failure) => return Finding::not_configured(what, &failure),
    };
    match github.whoami().await {
        Ok(Identity { slug, unheard, .. }) if !unheard.is_empty() => {
            let told = format!("{slug} is not subscribed to {}, so that nobody tells it of them", unheard.join(", "));
            Finding::broken(what, told, "tick them in the App's settings, under \"Permissions & events\"")
        }
        Ok(Identity { slug, sets_checks, .. }) => {
            let missed = missed(config, github).await;
            let told = format!("{slug}, number {}, at {}; {missed}", config.github.app_id, config.github.api_url);
            if sets_checks { Finding::works(what, told) } else { without_checks(what, &told) }
        }
        Err(error) => {
            let remedy = match &error {
                patchwright::forge::ForgeError::Denied { remedy, .. } => remedy.clone(),
                _ => "check `github.api_url` and this machine's network".into(),
            };
            Finding::broken(what, error.to_string(), remedy)
        }
    }
}
