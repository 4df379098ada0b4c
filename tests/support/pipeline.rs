//! A world for the whole pipeline: a rehearsed GitHub, a scripted model, and the real server, intake and worker between.
//!
//! Nothing happens by itself but the sending of webhooks: a test changes the world, lets the bot decide and work, and
//! reads what a person would. At the end of every test [`inspect`] looks for what should never be there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use patchwright::agent::toolbox::{NoTools, Toolbox};
use patchwright::agent::turns::{Backoff, Turns};
use patchwright::agent::{Agent, Assignment, Solution};
use patchwright::attestation::Attestor;
use patchwright::clock::SteadyClock;
use patchwright::egress::Egress;
use patchwright::forge::github::{GitHub, GitHubSettings};
use patchwright::intake::Intake;
use patchwright::model::endpoint::EndpointSettings;
use patchwright::model::responses::ResponsesModel;
use patchwright::model::scripted::{Fault, Script, ScriptedModel, Step};
use patchwright::rehearsal::scene::{Delivery, RepositoryId, Role};
use patchwright::rehearsal::{self, Rehearsal, WORTHLESS_PRIVATE_KEY};
use patchwright::replay::Replayer;
use patchwright::sandbox::Executor;
use patchwright::sandbox::local::SANDBOX_UID;
use patchwright::server::{self, Server};
use patchwright::store::ledger::Limits;
use patchwright::store::listing::{LISTED_MAX, Wanted};
use patchwright::store::sqlite::SqliteStore;
use patchwright::worker::{Settings, Tools};
use patchwright::workspace::Workspaces;
use patchwright_domain::event::DeliveryId;
use patchwright_domain::job::{Budget, JobSpec, Task};
use patchwright_domain::journal::{Entry, Outcome};
use patchwright_domain::policy::rates::Rates;
use patchwright_domain::policy::{Decision, Deployment};
use patchwright_domain::run::Run;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::github::APP_ID;
use clock::{Machine, TestClock, WallClock};

pub(crate) mod clock;
mod elsewhere;
mod inspect;
mod look;
pub(crate) mod post;
pub(crate) mod pull;
pub(crate) mod settings;
mod walls;
mod workers;

/// The secret that the rehearsed GitHub signs with.
pub(crate) const WEBHOOK_SECRET: &str = "webhook-secret-canary-61c1e9";
/// The secret that was in use before.
pub(crate) const PREVIOUS_SECRET: &str = "previous-secret-canary-0b7d42";
/// The model endpoint's key.
pub(crate) const MODEL_KEY: &str = "sk-model-key-canary-9f21a7";

/// Who opens issues, and may do nothing else.
const REPORTER: &str = "reporter";
/// Who may write to the repository.
pub(crate) const MAINTAINER: &str = "mona";
/// Who may not.
pub(crate) const READER: &str = "eve";
/// A bot that is at every GitHub.
pub(crate) const ACTIONS: &str = "github-actions[bot]";
/// The issue that is there from the beginning.
pub(crate) const ISSUE: u64 = 1;

/// How long a lease of the worker holds.
pub(crate) const LEASE_SECONDS: i64 = 60;

/// Mends the sample repository.
pub(crate) const FIX: &str = "*** Begin Patch
*** Update File: mean.sh
@@
-echo $((sum / ($# - 1)))
+echo $((sum / $#))
*** End Patch
";

/// A file of a repository: path, content, and whether it may be executed.
pub(crate) type File = (&'static str, &'static str, bool);

const POLICY: File = (".github/patchwright.yml", "commands:\n  test: sh tests/run.sh\n", false);
const MEAN: File =
    ("mean.sh", "#!/bin/sh\nsum=0\nfor value in \"$@\"; do sum=$((sum + value)); done\necho $((sum / ($# - 1)))\n", true);
const RUN: File = ("tests/run.sh", "for test in tests/t_*.sh; do sh \"$test\" || exit 1; done\n", false);
const TEST: File =
    ("tests/t_mean.sh", "test \"$(sh mean.sh 2 4 6)\" = 4 || { echo 'the mean of 2, 4 and 6 is not 4'; exit 1; }\n", false);

/// A small repository in shell with a bug and a test that shows it.
pub(crate) const SAMPLE: [File; 4] = [POLICY, MEAN, RUN, TEST];

/// What a world begins with.
pub(crate) struct Setup {
    pub(crate) files: Vec<File>,
    /// Title and text of the issue.
    pub(crate) issue: (&'static str, &'static str),
    pub(crate) script: Script,
    /// Where the model is, if not where the scripted one listens.
    pub(crate) model_url: Option<String>,
    pub(crate) budget: Budget,
    /// How much may be asked for within an hour.
    pub(crate) rates: Rates,
    /// What jobs may use together in a day.
    pub(crate) limits_of_day: Limits,
    pub(crate) launcher: PathBuf,
    /// What the second attempt's model does; the first one's again where there is none.
    pub(crate) second: Option<Script>,
    /// How many tokens the model's context holds.
    pub(crate) context_tokens: u64,
    /// Tools beside the built-in ones.
    pub(crate) toolbox: Arc<dyn Toolbox>,
    /// Where setups may reach out; nowhere without it.
    pub(crate) egress: Option<Arc<Egress>>,
    /// Whether commands have this machine's toolchains, as those of a server have.
    pub(crate) has_toolchains: bool,
    /// Whether commands run without a sandbox.
    pub(crate) is_bare: bool,
    /// Whether commands run behind rules on files alone, as on a machine without namespaces.
    pub(crate) is_landlock: bool,
    /// Whether `devcontainer.json` is read, as for an executor that runs images.
    pub(crate) reads_devcontainer: bool,
    /// Whether its runs, driven again, must come to the same trees: the model's commands do the same each time.
    pub(crate) is_replayed: bool,
    /// Who signs what was executed.
    pub(crate) attestor: Option<Attestor>,
    /// What the operator has set as the key of the model, which nobody is told.
    pub(crate) operators_secret: &'static str,
    /// Whether GitHub makes the commits of pull requests, and signs them.
    pub(crate) signs_commits: bool,
    /// Whether a patch is published that there was no time to test.
    pub(crate) publishes_untested: bool,
    /// Whether the operator lets repositories hear the bot of [`ACTIONS`].
    pub(crate) lets_bots: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            files: SAMPLE.to_vec(),
            issue: ("The mean of a list is wrong", "`mean.sh 2 4 6` prints 6, and I expected 4."),
            script: Script::of(mends()),
            model_url: None,
            rates: Rates::default(),
            budget: Budget {
                wall_clock_ms: 600_000,
                attempts: 1,
                rounds: 2,
                turns: 20,
                claims: 3,
                tokens: 10_000_000,
                cost_microusd: 1_000_000,
            },
            limits_of_day: Limits::default(),
            launcher: env!("CARGO_BIN_EXE_patchwright").into(),
            second: None,
            context_tokens: 200_000,
            toolbox: Arc::new(NoTools),
            egress: None,
            has_toolchains: false,
            is_bare: false,
            is_landlock: false,
            reads_devcontainer: false,
            is_replayed: true,
            attestor: None,
            operators_secret: settings::OPERATORS_SECRET,
            signs_commits: false,
            publishes_untested: false,
            lets_bots: false,
        }
    }
}

/// Looks, mends, tests, and says so.
pub(crate) fn mends() -> Vec<Step> {
    vec![
        Step::Shell("cat mean.sh".into()),
        Step::ApplyPatch(FIX.into()),
        Step::Shell("sh tests/run.sh".into()),
        Step::Message("It divided by one too few. Now it divides by the number of values.".into()),
    ]
}

/// Runs one script in the shell and says that it is done.
pub(crate) fn does(script: &str) -> Vec<Step> {
    vec![Step::Shell(script.into()), Step::Message("Done as asked.".into())]
}

impl Setup {
    /// With a model that does this.
    pub(crate) fn model(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { script: Script::of(steps), ..Self::default() }
    }

    /// With a model that mends the sample, and faults in front.
    pub(crate) fn faulty_model(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { script: Script::of(mends()).with_faults(faults), ..Self::default() }
    }

    /// With a file in place of the sample's, or beside them.
    pub(crate) fn file(mut self, file: File) -> Self {
        self.files.retain(|(path, ..)| *path != file.0);
        self.files.push(file);
        self
    }

    /// Without a file of the sample's.
    pub(crate) fn without(mut self, path: &str) -> Self {
        self.files.retain(|(present, ..)| *present != path);
        self
    }

    /// Makes the world, plays the test in it, and inspects what it left behind.
    pub(crate) async fn play<R>(self, test: impl AsyncFnOnce(&World) -> R) -> R {
        let world = World::make(self).await;
        let result = test(&world).await;
        inspect::inspect(&world).await;
        world.stop.cancel();
        world.serving.await.expect("the server does not panic").expect("the server ends well");
        result
    }
}

impl Setup {
    /// Plays one `@codex fix this` to this end, and gives the page that a person then sees.
    pub(crate) async fn ends(self, outcome: Outcome) -> String {
        self.play(async |world| {
            assert_eq!(world.fix_this().await, outcome);
            world.page().await
        })
        .await
    }
}

/// Where a solve waits, once, until the test lets it go on.
#[derive(Default)]
struct Gate {
    is_armed: AtomicBool,
    reached: Notify,
    opened: Notify,
}

/// The real agent, behind a gate.
struct Gated {
    agent: Turns,
    gate: Arc<Gate>,
}

#[async_trait]
impl Agent for Gated {
    async fn solve(&self, assignment: Assignment<'_>, executor: &mut dyn Executor) -> Solution {
        if self.gate.is_armed.swap(false, Ordering::SeqCst) {
            self.gate.reached.notify_one();
            self.gate.opened.notified().await;
        }
        self.agent.solve(assignment, executor).await
    }
}

/// Everything, wired as `serve` wires it.
pub(crate) struct World {
    pub(crate) github: Rehearsal,
    pub(crate) model: ScriptedModel,
    pub(crate) repo: RepositoryId,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) tools: Arc<Tools>,
    /// The server's address, without a slash at the end.
    pub(crate) url: String,
    client: reqwest::Client,
    intake: Intake,
    gate: Arc<Gate>,
    pub(crate) folder: TempDir,
    is_replayed: bool,
    /// The second attempt's model, which listens as long as the world is there.
    _second: Option<ScriptedModel>,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl World {
    async fn make(setup: Setup) -> Self {
        let folder = TempDir::with_prefix("pipeline-").expect("there is room for a folder");
        if setup.is_landlock {
            // Commands get to their trees by the host's own paths.
            std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).expect("it is ours");
        }
        let (clock, gate) = (Arc::new(TestClock::default()), Arc::new(Gate::default()));
        let github = rehearse(&clock).await;
        let files: Vec<_> = setup.files.iter().map(|(path, text, executable)| (*path, text.as_bytes(), *executable)).collect();
        let repo = github.create_repository("octo", "rocket", &files).await.expect("the names are fine");
        github.set_role(repo, MAINTAINER, Role::Write).expect("the repository is there");
        github.set_role(repo, READER, Role::Read).expect("the repository is there");
        let model = ScriptedModel::start(setup.script.clone()).await.expect("loopback has a free port");
        let agent = Gated {
            agent: Turns {
                toolbox: Arc::clone(&setup.toolbox),
                ..agent(setup.model_url.clone().unwrap_or_else(|| model.base_url()), setup.context_tokens)
            },
            gate: Arc::clone(&gate),
        };
        let store = SqliteStore::open(folder.path().join("patchwright.db")).await.expect("the file can be made");
        let sandbox = walls::sandbox(&setup);
        let mut agents: Vec<Arc<dyn Agent>> = vec![Arc::new(agent)];
        let mut second = None;
        if let Some(script) = setup.second {
            let model = ScriptedModel::start(script).await.expect("loopback has a free port");
            agents.push(Arc::new(self::agent(model.base_url(), setup.context_tokens)));
            second = Some(model);
        }
        let tools = Arc::new(Tools {
            store: Arc::new(store),
            forge: Arc::new(forge(&github, &clock, setup.signs_commits)),
            workspaces: Arc::new(
                Workspaces::open(folder.path().join("workspace"), (!setup.is_bare).then_some(SANDBOX_UID))
                    .await
                    .expect("the folder can be made"),
            ),
            sandbox: Arc::new(sandbox),
            egress: setup.egress,
            agents,
            clock: Arc::new(SteadyClock::over(Machine(clock.clone()))),
            attestor: setup.attestor.map(Arc::new),
            settings: Settings {
                publishes_untested: setup.publishes_untested,
                devcontainer_images: setup.reads_devcontainer.then(|| ["node:*".to_owned()].into()),
                ..settings::settings(github.web_url(), setup.limits_of_day, setup.operators_secret)
            },
        });
        let listener = server::listen(([127, 0, 0, 1], 0).into()).expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let stop = CancellationToken::new();
        let attestation_key = tools.attestor.as_ref().map(|attestor| attestor.key.public().to_pem().into());
        let (store, forge) = (tools.store.clone(), tools.forge.clone());
        let server = Server { store, forge, clock: tools.clock.clone(), attestation_key };
        let serving = tokio::spawn(server::serve(listener, server, stop.clone()));
        let bots = github.account(ACTIONS).into_iter().filter(|_| setup.lets_bots).collect();
        let deployment = Deployment { app_id: APP_ID, mention: "@codex".into(), bots, budget: setup.budget, rates: setup.rates };
        let client = reqwest::Client::builder().no_proxy().build().expect("the client needs nothing");
        let intake = Intake::new(tools.store.clone(), tools.forge.clone(), tools.clock.clone(), deployment);
        github.send_webhooks_to(&format!("{url}/webhooks/github"));
        let (title, text) = setup.issue;
        assert_eq!(github.open_issue(repo, REPORTER, title, text).expect("the repository is there"), ISSUE);
        Self {
            github,
            model,
            repo,
            clock,
            tools,
            url,
            client,
            intake,
            gate,
            folder,
            is_replayed: setup.is_replayed,
            _second: second,
            stop,
            serving,
        }
    }

    /// Opens another issue.
    pub(crate) fn open_issue(&self, title: &str) -> u64 {
        self.github.open_issue(self.repo, REPORTER, title, "It is wrong.").expect("the repository is there")
    }

    /// Comments on the issue.
    pub(crate) fn comment(&self, user: &str, text: &str) -> u64 {
        self.github.comment(self.repo, ISSUE, user, text).expect("the issue is there")
    }

    /// Decides on everything that GitHub has told.
    pub(crate) async fn decide(&self) -> u32 {
        self.github.settle().await;
        let n_decided = self.intake.drain().await.expect("the store can be asked");
        self.intake.finish_reactions().await;
        n_decided
    }

    /// What drives runs of this world again.
    pub(crate) fn replayer(&self) -> Replayer {
        Replayer {
            store: Arc::clone(&self.tools.store),
            workspaces: Arc::clone(&self.tools.workspaces),
            sandbox: Arc::clone(&self.tools.sandbox),
            egress: self.tools.egress.clone(),
            setup_timeout: self.tools.settings.test_timeout,
        }
    }

    /// All jobs that are work, oldest first; short replies are not.
    pub(crate) async fn jobs(&self) -> Vec<JobSpec> {
        let mut jobs = self.started().await;
        jobs.retain(|spec| !matches!(spec.task, Task::Reply { .. }));
        jobs
    }

    /// All jobs, oldest first.
    pub(super) async fn started(&self) -> Vec<JobSpec> {
        let listed = self.tools.store.jobs(&Wanted::default(), LISTED_MAX, self.clock.time()).await;
        let newest_first = listed.expect("the store can be asked").into_iter();
        newest_first.rev().map(|listed| listed.job.expect("it can be read").0).collect()
    }

    async fn decision(&self, guid: &str) -> Option<Decision> {
        let id = DeliveryId::new(guid).expect("the rehearsal names them well");
        self.tools.store.decision(&id).await.expect("the delivery is stored")
    }

    /// Why a delivery was decided as it was, by its name.
    pub(crate) async fn reason_of(&self, guid: &str) -> String {
        self.decision(guid).await.expect("it is decided").because().into_owned()
    }

    /// Why the last delivery was decided as it was; edits of our own comment come whenever they come.
    pub(crate) async fn reason(&self) -> String {
        let is_edit = |delivery: &Delivery| delivery.event == "issue_comment" && delivery.payload["action"] == "edited";
        let is_own = |delivery: &Delivery| delivery.payload["sender"]["login"] == "patchwright[bot]";
        let mut deliveries = self.github.deliveries().into_iter();
        let last = deliveries.rfind(|delivery| !(is_edit(delivery) && is_own(delivery))).expect("something happened");
        self.reason_of(&last.guid).await
    }

    /// What was decided on what GitHub told, and why.
    pub(crate) async fn decisions(&self) -> String {
        let mut lines = Vec::new();
        for delivery in self.github.deliveries() {
            let action = delivery.payload["action"].as_str().map(|action| format!(" {action}")).unwrap_or_default();
            let sender = delivery.payload["sender"]["login"].as_str().unwrap_or("nobody");
            let decision = self.decision(&delivery.guid).await.expect("it is decided");
            lines.push(format!("{}{action} by {sender}: {}", delivery.event, decision.because()));
        }
        lines.join("\n")
    }

    /// What was written through the API, as methods and paths; tokens are none of it.
    pub(crate) fn writes(&self) -> Vec<String> {
        let exchanges = self.github.exchanges();
        let writes = exchanges.iter().filter(|exchange| exchange.method != "GET" && !exchange.path.ends_with("/access_tokens"));
        writes.map(|exchange| format!("{} {}", exchange.method, exchange.path)).collect()
    }

    /// What the model was told outside of its calls, in order: the task, and what the harness found.
    pub(crate) fn briefs(&self) -> Vec<String> {
        let mut briefs: Vec<String> = Vec::new();
        for request in self.model.requests() {
            let items = request.body["input"].as_array().cloned().unwrap_or_default();
            for item in items.iter().filter(|item| item["role"] == "user") {
                let brief = item["content"][0]["text"].as_str().unwrap_or_default().to_owned();
                if !briefs.contains(&brief) {
                    briefs.push(brief);
                }
            }
        }
        briefs
    }

    /// The branches of the bot's.
    pub(crate) fn own_branches(&self) -> Vec<String> {
        self.github.branches(self.repo).into_keys().filter(|branch| branch.starts_with("codex/")).collect()
    }

    /// The only job.
    pub(crate) async fn job(&self) -> JobSpec {
        let mut jobs = self.jobs().await;
        assert_eq!(jobs.len(), 1, "one job");
        jobs.remove(0)
    }

    /// The only job's journal.
    pub(crate) async fn journal(&self) -> Vec<Entry> {
        self.tools.store.journal(&self.job().await.id(), 0).await.expect("the journal holds together")
    }

    /// The only job's run.
    pub(crate) async fn run(&self) -> Run {
        Run::fold(&self.job().await, &self.journal().await).expect("the journal folds")
    }

    /// The only job's outcome.
    pub(crate) async fn outcome(&self) -> Outcome {
        self.run().await.outcome().expect("the run has ended")
    }
}

/// A GitHub that signs with [`WEBHOOK_SECRET`].
pub(crate) async fn rehearse(clock: &Arc<TestClock>) -> Rehearsal {
    let clock = Arc::clone(clock);
    let mut settings = rehearsal::Settings::new(Arc::new(move || clock.time()));
    settings.webhook_secret = SecretString::from(WEBHOOK_SECRET);
    Rehearsal::start(settings).await.expect("loopback has a free port")
}

fn forge(github: &Rehearsal, clock: &Arc<TestClock>, signs_commits: bool) -> GitHub {
    let settings = GitHubSettings {
        app_id: APP_ID,
        private_key: SecretString::from(WORTHLESS_PRIVATE_KEY),
        webhook_secrets: vec![SecretString::from(WEBHOOK_SECRET), SecretString::from(PREVIOUS_SECRET)],
        api_url: github.api_url(),
        web_url: github.web_url().to_owned(),
        write_spacing: Duration::ZERO,
        signs_commits,
        clock: Arc::new(WallClock(Arc::clone(clock))),
    };
    GitHub::new(settings).expect("the key is a key")
}

fn agent(base_url: String, context_tokens: u64) -> Turns {
    let settings =
        EndpointSettings { api_key: Some(SecretString::from(MODEL_KEY)), ..EndpointSettings::new(base_url, "scripted") };
    let model = ResponsesModel::new(settings).expect("the settings are right");
    let backoff = Backoff { base: Duration::from_millis(1), attempts_max: 3, wait_max: Duration::from_millis(4) };
    Turns { backoff, context_tokens, ..Turns::new(Arc::new(model)) }
}
