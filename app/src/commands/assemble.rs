//! From the configuration to the parts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use patchwright::agent::Agent;
use patchwright::agent::external::External;
use patchwright::agent::external::presets::{Kind, Preset};
use patchwright::agent::mcp::{McpServer, McpServers, Reach};
use patchwright::agent::turns::{Backoff, Turns};
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::config::container::Container;
use patchwright::config::sandbox::ExecutorKind;
use patchwright::config::{self, AgentKind, Config, microusd};
use patchwright::egress::dial::Upstream;
use patchwright::egress::ecosystems::Sources;
use patchwright::egress::resolve::SystemResolver;
use patchwright::egress::rules::Credential;
use patchwright::egress::{self, Carried, Egress};
use patchwright::forge::github::{GitHub, GitHubSettings, read_private_key};
use patchwright::forge::local::LocalCheckout;
use patchwright::gateway::{Endpoint, Gateway};
use patchwright::guarded::Guarded;
use patchwright::http_client;
use patchwright::model::Model;
use patchwright::model::chat::{ChatDialect, ChatModel, LimitField};
use patchwright::model::endpoint::EndpointSettings;
use patchwright::model::messages::MessagesModel;
use patchwright::model::responses::ResponsesModel;
use patchwright::private_folder;
use patchwright::sandbox::bare::BareSandbox;
use patchwright::sandbox::container::image::Pull;
use patchwright::sandbox::container::{ContainerSandbox, ContainerSettings};
use patchwright::sandbox::fallback::Fallback;
use patchwright::sandbox::kubernetes::cluster::Access;
use patchwright::sandbox::kubernetes::{KubernetesSandbox, KubernetesSettings, template};
use patchwright::sandbox::landlock::LandlockSandbox;
use patchwright::sandbox::local::{LocalSandbox, LocalSettings, SANDBOX_UID};
use patchwright::sandbox::minimum::Minimum;
use patchwright::sandbox::{Isolation, Sandbox};
use patchwright::store::ledger::Limits;
use patchwright::store::memory::MemoryStore;
use patchwright::worker::{Settings, Tools};
use patchwright::workspace::Workspaces;
use patchwright_domain::event::{Actor, DeliveryId, RepoRef, Role};
use patchwright_domain::job::{Budget, JobKey, JobSpec, Opening, Task};
use patchwright_domain::policy::Deployment;
use patchwright_domain::turn::Prices;
use tracing::warn;

use super::{Failure, signing};

/// This program, even where its file was replaced while it runs.
pub(super) fn launcher() -> PathBuf {
    "/proc/self/exe".into()
}

/// The sandbox, once what killed processes left of theirs is removed.
pub(super) async fn sandbox(config: &Config) -> Result<Arc<dyn Sandbox>, Failure> {
    let sandbox: Arc<dyn Sandbox> = Arc::new(Minimum::new(executors(config)?, config.sandbox.isolation));
    // Trials are made where workspaces are, other things where temporary files are.
    [std::env::temp_dir(), config.workspace.dir.clone()].iter().for_each(|folder| private_folder::sweep(folder));
    if let Err(refusal) = sandbox.sweep().await {
        warn!("what killed processes left behind is still there: {refusal}; {}", refusal.remedy);
    }
    Ok(sandbox)
}

fn executors(config: &Config) -> Result<Arc<dyn Sandbox>, Failure> {
    let (trials, config) = (config.workspace.dir.clone(), &config.sandbox);
    Ok(match config.executor {
        ExecutorKind::Local => {
            let (limits, read_only) = (config.limits.limits(), config.read_only.clone());
            let settings = LocalSettings { limits, read_only, trials, ..LocalSettings::default() };
            let local = LocalSandbox::new(launcher(), settings.clone());
            // Nothing weaker is even tried, unless the operator has said that it is enough.
            if config.isolation == Isolation::Landlock {
                Arc::new(Fallback::new(local, LandlockSandbox::new(launcher(), settings)))
            } else {
                Arc::new(local)
            }
        }
        ExecutorKind::Container => Arc::new(ContainerSandbox::new(launcher(), containers(config, trials))),
        ExecutorKind::None => {
            let environment = BareSandbox::tools_of_this_machine();
            Arc::new(BareSandbox::new(launcher(), config.limits.limits(), environment))
        }
        ExecutorKind::Kubernetes => Arc::new(KubernetesSandbox::new(launcher(), pods(config)?)),
    })
}

fn pods(config: &config::sandbox::Sandbox) -> Result<KubernetesSettings, Failure> {
    let kubernetes = config.kubernetes.clone();
    let launcher_image = kubernetes.launcher_image.ok_or_else(|| {
        Failure::usage(anyhow!("`sandbox.kubernetes.launcher_image` is not set: name Patchwright's own image, of this version"))
    })?;
    let template = kubernetes.pod_template.as_deref().map(template::read).transpose();
    Ok(KubernetesSettings {
        access: Access { kubeconfig: kubernetes.kubeconfig, context: kubernetes.context, ..Access::default() },
        namespace: kubernetes.namespace,
        instance: kubernetes.instance,
        image: kubernetes.image,
        launcher_image,
        launcher_program: kubernetes.launcher_program,
        template: template.map_err(|refusal| Failure::usage(anyhow!("{refusal}; {}", refusal.remedy)))?.unwrap_or_default(),
        runtime_class: kubernetes.runtime_class,
        image_pull_secrets: kubernetes.image_pull_secrets,
        host_users: kubernetes.host_users,
        cpus: kubernetes.cpus.to_string(),
        start_timeout: Duration::from_secs(kubernetes.start_timeout_seconds),
        lifetime: Duration::from_secs(kubernetes.lifetime_seconds),
        environment: Vec::new(),
        limits: config.limits.limits(),
    })
}

fn containers(config: &config::sandbox::Sandbox, trials: PathBuf) -> ContainerSettings {
    let Container { image, allowed_images, pull, runtime, cpus, .. } = config.container.clone();
    ContainerSettings {
        sockets: config.container.sockets(|name| std::env::var(name).ok()),
        image,
        allowed_images,
        pull: match pull {
            config::container::Pull::Missing => Pull::Missing,
            config::container::Pull::Never => Pull::Never,
        },
        pull_timeout: config.container.pull_timeout(),
        runtime,
        cpus,
        read_only: config.read_only.clone(),
        environment: Vec::new(),
        limits: config.limits.limits(),
        uid: SANDBOX_UID,
        trials,
    }
}

/// What setups may reach; none where the operator wants none.
pub(super) fn egress(config: &config::egress::Egress) -> Result<Option<Arc<Egress>>, Failure> {
    if !config.enabled {
        return Ok(None);
    }
    let ca_bundle = match &config.ca_file {
        Some(file) => {
            let read =
                std::fs::read_to_string(file).with_context(|| format!("reading `sandbox.egress.ca_file`, {}", file.display()));
            Some(read.map_err(Failure::usage)?)
        }
        None => None,
    };
    let certificates = match &ca_bundle {
        Some(bundle) => reqwest::Certificate::from_pem_bundle(bundle.as_bytes()),
        None => Ok(Vec::new()),
    };
    let settings = egress::Settings {
        hosts: config.hosts().map_err(|reason| Failure::usage(anyhow!(reason)))?,
        limits: config.limits(),
        resolver: Arc::new(SystemResolver),
        clock: Arc::new(SystemClock),
        upstream: upstream()?,
        certificates: certificates.context("reading `sandbox.egress.ca_file`").map_err(Failure::usage)?,
        ca_bundle,
        sources: config.ecosystems.then(Sources::of_this_process),
        carried: Carried::default(),
        for_patches: config.patched,
    };
    Ok(Some(Arc::new(Egress::new(settings))))
}

/// The proxy that this server itself has to go through, by the variables that say so everywhere.
fn upstream() -> Result<Option<Upstream>, Failure> {
    let first = |names: &[&str]| names.iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
    let Some(address) = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) else { return Ok(None) };
    let direct = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
    let upstream = Upstream::parse(&address, &direct).map_err(|reason| {
        Failure::usage(anyhow!("the server's `https_proxy`: {reason}; change it, or set `sandbox.egress.enabled = false`"))
    });
    upstream.map(Some)
}

pub(super) async fn workspaces(config: &Config) -> Result<Arc<Workspaces>, Failure> {
    // Without a sandbox there is no user of its own.
    let user = (config.sandbox.executor != ExecutorKind::None).then_some(SANDBOX_UID);
    let workspaces = Workspaces::open(config.workspace.dir.clone(), user).await;
    workspaces.map(Arc::new).map_err(|e| Failure::environment(e.into()))
}

pub(super) fn model(config: &config::Model) -> Result<Arc<dyn Model>, Failure> {
    let settings = EndpointSettings {
        api_key: config.api_key.clone(),
        reasoning_effort: config.reasoning_effort.clone(),
        idle_timeout: Duration::from_secs(config.idle_timeout_seconds),
        ..EndpointSettings::new(config.base_url.clone(), config.model.clone())
    };
    if !config.native_tools && config.format != config::Format::Chat {
        return Err(Failure::usage(anyhow!("`model.native_tools = false` is for the format `chat` alone")));
    }
    let limit_field = match config.limit_field {
        config::LimitField::MaxTokens => LimitField::MaxTokens,
        config::LimitField::MaxCompletionTokens => LimitField::MaxCompletionTokens,
    };
    let dialect = ChatDialect { limit_field, native_tools: config.native_tools };
    let model = match config.format {
        config::Format::Responses => ResponsesModel::new(settings).map(|model| Arc::new(model) as Arc<dyn Model>),
        config::Format::Chat => ChatModel::new(settings, dialect).map(|model| Arc::new(model) as Arc<dyn Model>),
        config::Format::Messages => MessagesModel::new(settings).map(|model| Arc::new(model) as Arc<dyn Model>),
    };
    model.context("setting up the model").map_err(Failure::usage)
}

/// Who works on the tasks: the first attempt's agent first, and one for each further model that the operator names.
pub(super) fn agents(config: &Config) -> Result<Vec<Arc<dyn Agent>>, Failure> {
    let (models, efforts) = (&config.agent.attempt_models, &config.agent.attempt_efforts);
    let further = (0..models.len().max(efforts.len())).map(|index| {
        let mut config = config.clone();
        models.get(index).iter().for_each(|model| config.model.model.clone_from(model));
        config.model.reasoning_effort = efforts.get(index).cloned().or(config.model.reasoning_effort);
        agent(&config)
    });
    std::iter::once(agent(config)).chain(further).collect()
}

/// Our own agent, or a program on this machine.
fn agent(config: &Config) -> Result<Arc<dyn Agent>, Failure> {
    let kind = match config.agent.kind {
        AgentKind::Builtin => return Ok(Arc::new(builtin(config)?)),
        AgentKind::Codex => Kind::Codex,
        AgentKind::CodexAcp => Kind::CodexAcp,
        AgentKind::Claude => Kind::Claude,
        AgentKind::Gemini => Kind::Gemini,
        AgentKind::OpenCode => Kind::OpenCode,
        AgentKind::Custom => Kind::Custom(config.agent.command.clone()),
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = Preset::find(&kind, &config.model.model, &path).context("finding the agent of `agent.kind`");
    let endpoint = Endpoint {
        base_url: config.model.base_url.clone(),
        model: config.model.model.clone(),
        api_key: config.model.api_key.clone(),
        idle_timeout: Duration::from_secs(config.model.idle_timeout_seconds),
    };
    let gateway = Gateway::new(endpoint).map_err(|error| Failure::usage(anyhow!(error)))?;
    let external = External::new(found.map_err(Failure::usage)?, gateway);
    Ok(Arc::new(External { prices: prices(&config.model), ..external }))
}

fn prices(config: &config::Model) -> Prices {
    Prices {
        input: config.input_usd_per_million.map(microusd),
        cached: config.cached_usd_per_million.map(microusd),
        output: config.output_usd_per_million.map(microusd),
    }
}

fn builtin(config: &Config) -> Result<Turns, Failure> {
    let toolbox = Arc::new(mcp(&config.mcp)?);
    let config = &config.model;
    let prices = prices(config);
    let base = Duration::from_millis(config.retry_pause_ms);
    let backoff = Backoff { base, attempts_max: config.tries, ..Backoff::default() };
    let edit_form = config.edit_form.unwrap_or_else(|| config.format.edit_form());
    let (context_tokens, output_tokens_max) = (config.context_tokens, config.output_tokens.min(config.context_tokens / 4));
    Ok(Turns { prices, backoff, toolbox, edit_form, context_tokens, output_tokens_max, ..Turns::new(model(config)?) })
}

fn mcp(servers: &[config::mcp::Mcp]) -> Result<McpServers, Failure> {
    let server = |config: &config::mcp::Mcp| {
        let wrong = |reason| Failure::usage(anyhow!("the MCP server `{}`: {reason}", config.name));
        let reach = match &config.url {
            Some(url) => {
                let client = http_client::for_address(url, config.token.as_ref()).map_err(wrong)?;
                Reach::Address { url: url.clone(), client }
            }
            None => Reach::Program(config.command.clone()),
        };
        let (name, tools) = (config.name.clone(), config.tools.clone());
        Ok(McpServer { name, reach, tools, read_only: config.read_only, timeout: config.timeout() })
    };
    servers.iter().map(server).collect::<Result<_, _>>().map(McpServers)
}

pub(super) fn github(config: &config::GitHub) -> Result<GitHub, Failure> {
    let missing = |key: &str, where_from: &str| {
        let variable = key.replace('.', "__").to_uppercase();
        Failure::usage(anyhow!("`{key}` is not set (or PATCHWRIGHT__{variable}): {where_from}"))
    };
    if config.app_id == 0 {
        return Err(missing("github.app_id", "it is on the App's settings page"));
    }
    let Some(file) = &config.private_key_file else {
        return Err(missing("github.private_key_file", "generate a private key on the App's settings page"));
    };
    let webhook_secrets = config.webhook_secrets();
    if webhook_secrets.is_empty() {
        return Err(missing("github.webhook_secret", "without it anybody could send orders, so the server does not start"));
    }
    let settings = GitHubSettings {
        app_id: config.app_id,
        private_key: read_private_key(file).map_err(|e| Failure::usage(anyhow!(e)))?,
        webhook_secrets,
        api_url: config.api_url.clone(),
        web_url: config.web_url.clone(),
        write_spacing: Duration::from_millis(config.write_spacing_ms),
        signs_commits: match config.commits {
            config::Commits::Verified => true,
            config::Commits::Pushed => false,
        },
        clock: Arc::new(SystemClock),
    };
    GitHub::new(settings).map_err(|e| Failure::usage(e.into()))
}

pub(super) fn deployment(config: &Config) -> Deployment {
    let (budget, rates) = (config.limits.budget(), config.limits.rates());
    Deployment {
        app_id: config.github.app_id,
        mention: config.github.mention.clone(),
        bots: config.github.bots.iter().copied().collect(),
        budget,
        rates,
    }
}

/// The parts for a checkout of the user's own, with nobody who solves; `test` goes before what the repository says of itself.
pub(super) async fn tools_of_user(
    config: &Config,
    checkout: PathBuf,
    test: Option<String>,
    is_attested: bool,
) -> Result<Tools, Failure> {
    // The store knows of this one job only, so there is nobody to share a limit with.
    let settings = Settings { test_command: test, limits_of_day: Limits::default(), ..settings(config, "patchwright") };
    Ok(Tools {
        store: Arc::new(MemoryStore::default()),
        forge: Arc::new(LocalCheckout { path: checkout }),
        workspaces: workspaces(config).await?,
        sandbox: sandbox(config).await?,
        egress: egress(&config.sandbox.egress)?,
        agents: Vec::new(),
        clock: Arc::new(SystemClock),
        attestor: is_attested.then(|| signing::of_user(config)).transpose()?.map(Arc::new),
        settings,
    })
}

/// A task of the command line, which `name` is the command of; `subject` and `words` tell it from others.
pub(super) fn spec_of_user(
    name: &str,
    (subject, words): (&str, &str),
    repo: RepoRef,
    task: Task,
    budget: Budget,
) -> Result<JobSpec, Failure> {
    let now = SystemClock.now();
    let login = std::env::var("USER").unwrap_or_else(|_| "operator".into());
    Ok(JobSpec {
        key: JobKey::of_command_line(subject, words, now),
        repo,
        task,
        requested_by: Actor { id: 0, login, is_bot: false },
        role: Role::Admin,
        needed: Role::None,
        delivery: DeliveryId::new(format!("{name}-{}", now.as_millisecond())).map_err(|e| Failure::usage(e.into()))?,
        requested_at: now,
        budget,
        described: None,
        plan: None,
        opening: Opening::default(),
        schedule: None,
    })
}

/// What the workers need to know; `slug` is the App's name in addresses.
pub(super) fn settings(config: &Config, slug: &str) -> Settings {
    // Where it cannot be read, nothing here can use it either.
    let app_key = config.github.private_key_file.as_deref().and_then(|file| read_private_key(file).ok());
    // The server goes through it, whether setups do or not; what is wrong with it is said where it is used.
    let proxy = upstream().ok().flatten().and_then(|upstream| upstream.login);
    let proxy = proxy.into_iter().flat_map(|(username, password)| Credential::Password { username, password }.secrets());
    let proxy = proxy.map(|secret| ("password of the server's own proxy", secret));
    let host = config.github.web_url.split("://").nth(1).unwrap_or_default().trim_end_matches('/').to_owned();
    Settings {
        test_timeout: config.limits.test_timeout(),
        proof_runs: usize::try_from(config.limits.proof_runs).unwrap_or(1),
        publishes_untested: config.limits.untested_drafts,
        progress_spacing: Duration::from_secs(config.github.progress_seconds),
        model: config.model.model.clone(),
        is_priced: config.model.input_usd_per_million.is_some() && config.model.output_usd_per_million.is_some(),
        author: format!("{slug}[bot]"),
        email: format!("{slug}[bot]@users.noreply.{}", host.split(':').next().unwrap_or_default()),
        host,
        instruction_fallbacks: config.agent.instruction_fallbacks.clone(),
        test_command: None,
        devcontainer_images: config.sandbox.devcontainer_images(),
        lanes: config.limits.lanes(),
        limits_of_day: config.limits.of_day(),
        patch_size: config.limits.patch_size(),
        guarded: Guarded::new(config, app_key).with(proxy),
    }
}
