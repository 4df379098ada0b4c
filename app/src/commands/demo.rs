//! `patchwright demo`: the whole pipeline on this machine, with nothing left out but the internet.
//!
//! The GitHub is the rehearsal on loopback and the model is scripted; the webhook and its signature, the queue, octocrab,
//! git, the sandbox, the tests and the proof are what `serve` uses.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::config::{self, Config};
use patchwright::forge::github::{GitHub, GitHubSettings};
use patchwright::model::scripted::{Script, ScriptedModel};
use patchwright::rehearsal::scene::{RepositoryId, Role};
use patchwright::rehearsal::{DEFAULT_BRANCH, Rehearsal, Settings, WORTHLESS_PRIVATE_KEY};
use patchwright::server;
use patchwright::service::{Service, Staffing};
use patchwright::worker::Tools;
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::job::{JobId, JobKey};
use patchwright_domain::policy::Deployment;
use patchwright_domain::policy::rates::Rates;
use secrecy::SecretString;

use super::{ConfigArguments, Failure, assemble, interruption, signing, store, story, terminal};

mod ending;
mod sample;

/// How long a demo may take before something is wrong.
const DEMO_TIMEOUT: Duration = Duration::from_secs(300);
/// The number of the rehearsal's App.
const APP_ID: u64 = 726_568;
const OWNER: &str = "octo-org";
const MAINTAINER: &str = "mona";
const REPORTER: &str = "reporter";

/// How the demo is shown, and in what its commands run.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
    /// Keep everything up at the end to look around, until interrupted
    #[arg(long)]
    hold: bool,
}

pub(super) async fn demo(arguments: Arguments) -> Result<ExitCode, Failure> {
    terminal::log("error");
    let sandbox = arguments.config.load_named()?.sandbox;
    let folder = tempfile::Builder::new().prefix("patchwright-demo-").tempdir();
    let folder = folder.context("making a temporary folder").map_err(Failure::environment)?;
    let tell = |line: String| {
        if !arguments.json {
            terminal::say(line);
        }
    };
    let stage = Stage::set().await.map_err(Failure::environment)?;
    let (web, model) = (stage.github.web_url(), stage.model.base_url());
    let tools = Arc::new(stage.tools(folder.path(), sandbox).await?);
    let (service, address) = start(&stage, Arc::clone(&tools)).map_err(Failure::environment)?;
    tell(format!("A GitHub on loopback is at {web}, with the repository {}.", stage.repository));
    tell(format!("Patchwright is at http://{address}, a scripted model at {model}."));

    let called = stage.call_the_bot().map_err(Failure::environment)?;
    tell(format!("{MAINTAINER} wrote `@codex fix this` on {web}/{}/issues/{}.\n", stage.repository, called.issue));
    let told = story::tell(tools.store.as_ref(), &called.job, !arguments.json);
    tokio::time::timeout(DEMO_TIMEOUT, told).await.map_err(|_| {
        Failure::environment(anyhow!("the demo did not end within {} s; run `patchwright doctor`", DEMO_TIMEOUT.as_secs()))
    })?;
    let result = ending::read(&stage, tools.store.as_ref(), &called).await.map_err(Failure::environment)?;
    stage.github.settle().await;
    terminal::say(if arguments.json { result.to_json(stage.github.deliveries().len()).to_string() } else { result.to_text() });
    if arguments.hold {
        tell(format!("\nEverything stays up; look around at {web}/{}. Interrupt to end.", stage.repository));
        interruption::wait().await.context("waiting for signals").map_err(Failure::environment)?;
    }
    service.stop().await;
    stage.model.shutdown().await;
    stage.github.stop().await;
    Ok(story::exit_code(result.outcome))
}

/// The world around the program: a GitHub with a repository, and a model.
struct Stage {
    github: Rehearsal,
    model: ScriptedModel,
    /// `OWNER/NAME`.
    repository: String,
    id: RepositoryId,
}

/// The request, as the demo made it.
struct Called {
    issue: u64,
    job: JobId,
    at: Timestamp,
}

impl Stage {
    async fn set() -> anyhow::Result<Self> {
        let sample = sample::for_this_machine();
        let script = Script::of(sample.steps());
        let model = ScriptedModel::start(script).await.context("starting the scripted model")?;
        let github =
            Rehearsal::start(Settings::new(Arc::new(|| SystemClock.now()))).await.context("starting the rehearsal GitHub")?;
        let id = github.create_repository(OWNER, sample.name, sample.files).await.context("making the demo's repository")?;
        github.set_role(id, MAINTAINER, Role::Write)?;
        Ok(Self { github, model, repository: format!("{OWNER}/{}", sample.name), id })
    }

    /// The very parts that `serve` uses, pointed at the stage.
    async fn tools(&self, folder: &Path, sandbox: config::sandbox::Sandbox) -> Result<Tools, Failure> {
        let mut config = Config { sandbox, ..Config::default() };
        config.github.app_id = APP_ID;
        config.github.api_url = self.github.api_url();
        config.github.web_url = self.github.web_url().to_owned();
        config.model.base_url = self.model.base_url();
        config.model.model = "scripted".into();
        config.store.url = format!("sqlite:{}", folder.join("patchwright.db").display());
        config.workspace.dir = folder.join("workspace");
        let github = GitHub::new(GitHubSettings {
            app_id: APP_ID,
            private_key: SecretString::from(WORTHLESS_PRIVATE_KEY),
            webhook_secrets: vec![Settings::new(Arc::new(|| SystemClock.now())).webhook_secret],
            api_url: config.github.api_url.clone(),
            web_url: config.github.web_url.clone(),
            write_spacing: Duration::ZERO,
            signs_commits: true,
            clock: Arc::new(SystemClock),
        });
        Ok(Tools {
            store: store::open(&config.store).await?,
            forge: Arc::new(github.context("setting up the App").map_err(Failure::environment)?),
            workspaces: assemble::workspaces(&config).await?,
            sandbox: assemble::sandbox(&config).await?,
            // Everything is on loopback, and so is what its setup needs: nothing.
            egress: None,
            agents: assemble::agents(&config)?,
            clock: Arc::new(SystemClock),
            attestor: signing::of_server(&config)?.map(Arc::new),
            settings: assemble::settings(&config, "patchwright"),
        })
    }

    /// A user reports a bug, and a maintainer calls the bot: the rehearsal GitHub sends the signed webhooks.
    fn call_the_bot(&self) -> anyhow::Result<Called> {
        let issue = self.github.open_issue(self.id, REPORTER, sample::ISSUE_TITLE, sample::ISSUE_BODY)?;
        let at = SystemClock.now();
        let comment = self.github.comment(self.id, issue, MAINTAINER, "@codex fix this")?;
        let (owner, name) = self.repository.split_once('/').context("a repository has an owner")?;
        let repo = RepoRef::new(self.id.0, 0, owner, name, DEFAULT_BRANCH)?;
        Ok(Called { issue, job: JobId::of(&JobKey::of_comment(&repo, IssueNumber(issue), comment)), at })
    }
}

fn start(stage: &Stage, tools: Arc<Tools>) -> anyhow::Result<(Service, SocketAddr)> {
    let listener = server::listen(([127, 0, 0, 1], 0).into()).context("listening on loopback")?;
    let mention = Config::default().github.mention;
    let deployment = Deployment {
        app_id: APP_ID,
        mention,
        bots: BTreeSet::new(),
        budget: Config::default().limits.budget(),
        rates: Rates::default(),
    };
    let address = listener.local_addr()?;
    let staffing = Staffing { deployment, n_workers: 1, sweep_interval: None, keeps_schedules: false, kept_for: None };
    let service = Service::start(listener, tools, staffing);
    stage.github.send_webhooks_to(&format!("http://{address}/webhooks/github"));
    Ok((service, address))
}
