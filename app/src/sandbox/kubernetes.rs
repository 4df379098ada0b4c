//! The sandbox of a Kubernetes cluster: one Pod for each executor, in a namespace where nothing can be reached.
//!
//! It knows how Pods are made and watched, and that what is in them is reached by starting a program there and talking to
//! it. A bare Pod and no Job: a Job would start another Pod in the place of one that failed, without the files that
//! commands have made, and what is wanted is exactly this one until we delete it. The workspace is carried in when an
//! executor is opened and carried out when it is collected; no folder of the host is mounted. Whoever may start programs
//! in the namespace's Pods can do what the commands can, so the namespace is for nothing else.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use patchwright_domain::excerpt::search::{Found, Search};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::resident::orders::{ATTACHED, Task, TaskLimits, Work};
use tokio::sync::OnceCell;

use crate::clock::{Clock as _, SystemClock};
use crate::sandbox::carried::Carried;
use crate::sandbox::errand::{Answer, Content, Errand, Place};
use crate::sandbox::kubernetes::beside::Beside;
use crate::sandbox::kubernetes::cluster::{Access, Cluster};
use crate::sandbox::kubernetes::errands::Errands;
use crate::sandbox::kubernetes::life::Life;
use crate::sandbox::kubernetes::maker::{Maker, chosen, environment};
use crate::sandbox::kubernetes::way_out::WayOut;
use crate::sandbox::live::Live;
use crate::sandbox::resident::{self, Patience, Session, machine};
use crate::sandbox::stamps::{Look, Stamps};
use crate::sandbox::tarball::Bounds;
use crate::sandbox::{
    Capabilities, Command, Executor, Limits, Output, Process, Profile, Refusal, Running, Sandbox, SandboxError, Terms, Tree,
};

mod beside;
pub mod cluster;
mod connection;
mod errands;
mod leftovers;
mod life;
mod maker;
mod pod;
mod probe;
pub mod template;
mod way_out;

/// How long the launcher in a Pod that runs may take to its first word.
const GREETING_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the commands' container is connected to. A launcher that learns late that its connection is gone ends everything
/// there, the next launcher too, and then itself; so one more attempt is enough for each that was left behind.
const ATTACHES_MAX: u32 = 3;
/// How often a Pod whose connection was lost is looked at, and the pause between.
const LOOKS_MAX: u32 = 4;
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// How Pods are made.
#[derive(Clone, Debug)]
pub struct KubernetesSettings {
    /// Which cluster.
    pub access: Access,
    /// The namespace of the Pods.
    pub namespace: String,
    /// A name for this installation, where several use one namespace.
    pub instance: String,
    /// The image that commands run in.
    pub image: Option<String>,
    /// Our own image, of this version.
    pub launcher_image: String,
    /// Where our program is in that image.
    pub launcher_program: String,
    /// Where Pods run, as far as [`template::read`] allows it.
    pub template: Pod,
    /// The cluster's RuntimeClass for the Pods.
    pub runtime_class: Option<String>,
    /// Secrets with which images are fetched.
    pub image_pull_secrets: Vec<String>,
    /// Whether Pods have the node's user namespace.
    pub host_users: bool,
    /// How many processors one Pod may use, as the cluster counts them.
    pub cpus: String,
    /// How long a Pod may take until it runs.
    pub start_timeout: Duration,
    /// How long a Pod may be there at all.
    pub lifetime: Duration,
    /// Environment variables of commands, by name and value; nothing is ever inherited from the server or the image.
    pub environment: Vec<(String, String)>,
    /// What commands may use.
    pub limits: Limits,
}

/// Makes executors in Pods.
pub struct KubernetesSandbox {
    launcher: PathBuf,
    settings: KubernetesSettings,
    /// The cluster and the launcher, looked for by whoever needs them first.
    found: OnceCell<(Arc<Cluster>, Arc<Carried>)>,
}

impl KubernetesSandbox {
    /// Makes a sandbox; `launcher` is the `patchwright` binary that the launcher's image has too (`/proc/self/exe` when that
    /// is ourselves).
    pub fn new(launcher: PathBuf, settings: KubernetesSettings) -> KubernetesSandbox {
        KubernetesSandbox { launcher, settings, found: OnceCell::new() }
    }

    async fn found(&self) -> Result<&(Arc<Cluster>, Arc<Carried>), Refusal> {
        self.found
            .get_or_try_init(|| async {
                let carried = Carried::packed(&self.launcher).await?;
                let cluster = Cluster::connect(&self.settings.access, &self.settings.namespace).await?;
                Ok((Arc::new(cluster), Arc::new(carried)))
            })
            .await
    }

    /// Makes a Pod, with nothing in it yet, and an executor that has no workspace.
    async fn start(
        &self,
        terms: Terms<'_>,
        beside: Beside,
        settings: &KubernetesSettings,
    ) -> Result<KubernetesExecutor, Refusal> {
        let (cluster, carried) = self.found().await?;
        let maker = Maker {
            cluster: Arc::clone(cluster),
            carried: Arc::clone(carried),
            settings: settings.clone(),
            profile: terms.profile,
            image: chosen(settings.image.as_deref(), terms.image)?.to_owned(),
            beside,
        };
        let life = maker.make().await?;
        let limits = &settings.limits;
        let bounds = Bounds { n_bytes: limits.disk_bytes, n_entries: limits.n_files };
        Ok(KubernetesExecutor {
            errands: Errands { program: settings.launcher_program.clone(), bounds },
            maker,
            life: Some(life),
            is_ended: false,
            session: None,
            kernel: String::new(),
            environment: environment(&settings.environment, terms.outlet),
            limits: limits.clone(),
            workspace: PathBuf::new(),
            home: None,
            objects: None,
            outlet: terms.outlet.map(|outlet| outlet.socket.clone()),
            way_out: None,
        })
    }
}

#[async_trait]
impl Sandbox for KubernetesSandbox {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn limits(&self) -> Limits {
        self.settings.limits.clone()
    }

    async fn probe(&self) -> Result<Capabilities, Refusal> {
        probe::probe(self).await
    }

    async fn open(&self, tree: Tree<'_>, terms: Terms<'_>) -> Result<Box<dyn Executor>, Refusal> {
        if terms.outlet.is_some() && terms.profile != Profile::Setup {
            return Err(Refusal {
                missing: "a reason to let a Pod reach out: only setups may".to_owned(),
                remedy: "run these commands without a way out".to_owned(),
            });
        }
        if tree.layer.is_some() {
            return Err(Refusal {
                missing: "the tree of this machine that the workspace is to lie over: no Pod sees it".to_owned(),
                remedy: "use the executor `local`".to_owned(),
            });
        }
        let files = tree.read_only.iter().chain(terms.outlet.iter().flat_map(|outlet| &outlet.read_only));
        let beside = Beside::of(files.cloned().collect()).await?;
        let mut executor = self.start(terms, beside, &self.settings).await?;
        executor.settle(tree).await.map_err(|error| match error {
            SandboxError::Refused(refusal) => refusal,
            error @ (SandboxError::Path { .. } | SandboxError::Machine { .. }) => Refusal {
                missing: format!("the workspace in a Pod: {}", told(&error)),
                remedy: "look whether the Pod was ended (`kubectl get events`), and whether `sandbox.limits` has room for the \
                         repository"
                    .to_owned(),
            },
        })?;
        Ok(Box::new(executor))
    }

    async fn sweep(&self) -> Result<(), Refusal> {
        let (cluster, _) = self.found().await?;
        let n_removed = leftovers::remove(cluster, &self.settings.instance, SystemClock.now().as_second()).await?;
        if n_removed > 0 {
            tracing::info!("{n_removed} Pods of servers that are gone were deleted");
        }
        Ok(())
    }
}

/// An error with its cause, in one line.
fn told(error: &SandboxError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Runs commands in one Pod, and has its files read and written there.
struct KubernetesExecutor {
    maker: Maker,
    errands: Errands,
    /// Not there once the Pod is over: with it went the workspace.
    life: Option<Life>,
    /// Whether the commands' container is over while that of the files still runs.
    is_ended: bool,
    /// Not there before the first command, while one runs, and after one that was not awaited to its end.
    session: Option<Session>,
    /// What the kernel inside calls itself.
    kernel: String,
    environment: BTreeMap<String, String>,
    limits: Limits,
    workspace: PathBuf,
    home: Option<PathBuf>,
    objects: Option<PathBuf>,
    /// The socket of the proxy to which commands have a way out, if they may have one.
    outlet: Option<PathBuf>,
    /// That way, from the Pod that there is.
    way_out: Option<WayOut>,
}

impl KubernetesExecutor {
    /// Carries a tree in.
    async fn settle(&mut self, tree: Tree<'_>) -> Result<(), SandboxError> {
        self.workspace = tree.path.to_owned();
        self.home = tree.home.map(Path::to_owned);
        self.objects = tree.objects.map(Path::to_owned);
        let life = self.life()?;
        self.fill(life, tree.path, tree.home).await?;
        self.way_out = self.way_out(life).await?;
        Ok(())
    }

    /// Opens the way out of a Pod, if commands may have one.
    async fn way_out(&self, life: &Life) -> Result<Option<WayOut>, SandboxError> {
        match &self.outlet {
            Some(socket) => Ok(Some(WayOut::open(life, &self.errands.program, socket).await?)),
            None => Ok(None),
        }
    }

    /// Carries a workspace, a home, the objects of git and what is beside them into a Pod.
    async fn fill(&self, life: &Life, workspace: &Path, home: Option<&Path>) -> Result<(), SandboxError> {
        let trees = [(Some(workspace), Place::Workspace), (home, Place::Home), (self.objects.as_deref(), Place::Objects)];
        for (folder, place) in trees {
            if let Some(folder) = folder {
                self.errands.send(life, folder, place).await?;
            }
        }
        for (number, content) in self.maker.beside.contents() {
            self.errands.send(life, &content, Place::Beside(number)).await?;
        }
        Ok(())
    }

    /// Moves the files into another Pod: a container that a limit has ended is not started again.
    async fn move_on(&mut self) -> Result<(), SandboxError> {
        let broken = |error| machine("moving the workspace to another Pod", error);
        let old = self.life()?;
        let beside = self.workspace.parent().unwrap_or(Path::new("/"));
        let folder = tempfile::Builder::new().prefix(".patchwright-").tempdir_in(beside).map_err(broken)?;
        let [workspace, home] = ["workspace", "home"].map(|name| folder.path().join(name));
        for (place, into) in [(Place::Workspace, &workspace), (Place::Home, &home)] {
            std::fs::create_dir(into).map_err(broken)?;
            self.errands.fetch(old, place, into).await?;
        }
        let new = self.maker.make().await?;
        self.fill(&new, &workspace, Some(&home)).await?;
        self.way_out = self.way_out(&new).await?;
        if let Some(old) = self.life.replace(new) {
            old.end().await;
        }
        self.is_ended = false;
        Ok(())
    }

    fn life(&self) -> Result<&Life, SandboxError> {
        self.life.as_ref().ok_or_else(|| machine("looking for the Pod", io::Error::other("it is over, and the files with it")))
    }

    async fn errand(&self, context: &str, errand: Errand) -> Result<Answer, SandboxError> {
        self.errands.run(self.life()?, context, errand).await
    }

    /// Connects to the commands' container. What an earlier connection left running there is ended first.
    async fn attach(&mut self) -> Result<Session, SandboxError> {
        if self.is_ended {
            self.move_on().await?;
        }
        let life = self.life()?;
        let mut n_attaches = 1;
        loop {
            let program = self.maker.carried.command(ATTACHED);
            let mut session = Session::new(life.cluster.execute(&life.name, pod::COMMANDS, program).await?);
            match resident::greet(&mut session, GREETING_TIMEOUT).await {
                Ok(kernel) => {
                    self.kernel = kernel;
                    return Ok(session);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && n_attaches < ATTACHES_MAX => n_attaches += 1,
                Err(error) => {
                    let missing = format!("the launcher in Pod `{}`: {error}", life.name);
                    let remedy =
                        "use a launcher image of this version (`patchwright --version`), for the nodes' kind of processor";
                    return Err(Refusal { missing, remedy: remedy.to_owned() }.into());
                }
            }
        }
    }

    async fn run(&mut self, command: &Command, live: Option<&Live>) -> Result<Output, SandboxError> {
        if !command.directory.is_empty() {
            self.errand("looking for the directory", Errand::Look { directory: command.directory.clone() }).await?;
        }
        let patience = Patience {
            time: command.timeout,
            grace: self.limits.grace,
            kept_bytes_max: command.output_bytes_max,
            output_bytes_max: self.limits.output_bytes,
        };
        let ran = self.work(Work::Script(command.script.clone()), &command.directory, patience, live).await?;
        if let (Profile::Setup, Some(home), Some(life)) = (self.maker.profile, &self.home, &self.life) {
            // The next executor finds there what this one has fetched.
            self.errands.fetch(life, Place::Home, home).await?;
        }
        Ok(ran)
    }

    async fn work(
        &mut self,
        work: Work,
        directory: &str,
        patience: Patience,
        live: Option<&Live>,
    ) -> Result<Output, SandboxError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.attach().await?,
        };
        let limits = TaskLimits {
            // Counted for the user, so only where no other Pod has the same one.
            n_processes: (!self.maker.settings.host_users).then_some(self.limits.n_processes),
            n_open_files: self.limits.n_open_files,
            cpu_seconds: self.limits.cpu_seconds,
            file_bytes: self.limits.file_bytes,
            polled_memory_bytes: None,
            disk_bytes: self.limits.disk_bytes,
            n_files: self.limits.n_files,
            // A volume in every Pod.
            is_home_kept: true,
        };
        let environment = self.environment.clone();
        // What is carried out of a Pod loses these bits on the way.
        let refuses_set_id = false;
        let task = Task { work, directory: PathBuf::from(directory), environment, bridge: None, refuses_set_id, limits };
        let started = std::time::Instant::now();
        let ran = resident::run(&mut session, task, patience, live).await;
        match ran {
            Err(SandboxError::Machine { context, source }) => {
                drop(session);
                let exit = self.end_of_pod().await;
                let output = |exit| Output { exit, output: Vec::new(), omitted_bytes: 0, duration: started.elapsed() };
                exit.map(output).ok_or(SandboxError::Machine { context, source })
            }
            ran => {
                self.session = Some(session);
                ran
            }
        }
    }

    /// What limit has ended the Pod, if one has. A Pod that is over is of no use any more.
    async fn end_of_pod(&mut self) -> Option<Exit> {
        let life = self.life.as_ref()?;
        let mut status = life.cluster.pod(&life.name).await.ok()?.status?;
        for _ in 0..LOOKS_MAX {
            let is_ended = status
                .container_statuses
                .iter()
                .flatten()
                .any(|container| container.state.as_ref().is_some_and(|state| state.terminated.is_some()));
            if is_ended || status.phase.as_deref() != Some("Running") {
                break;
            }
            // The node tells of an end a little after it.
            tokio::time::sleep(LOOK_PAUSE).await;
            status = life.cluster.pod(&life.name).await.ok()?.status?;
        }
        let containers = status.container_statuses.unwrap_or_default();
        self.is_ended = containers.iter().any(|container| {
            container.name == pod::COMMANDS && container.state.as_ref().is_some_and(|state| state.terminated.is_some())
        });
        let ended = containers.iter().filter_map(|container| container.state.as_ref()?.terminated.as_ref());
        let is_out_of_memory = ended.into_iter().any(|ended| ended.reason.as_deref() == Some("OOMKilled"));
        let reason = status.reason.unwrap_or_default();
        let is_over = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"));
        if is_over {
            self.life = None;
        }
        match reason.as_str() {
            _ if is_out_of_memory => Some(Exit::Exceeded(Limit::Memory)),
            "Evicted" => Some(Exit::Exceeded(Limit::Disk)),
            "DeadlineExceeded" => Some(Exit::TimedOut),
            _ => None,
        }
    }
}

#[async_trait]
impl Executor for KubernetesExecutor {
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError> {
        self.run(command, None).await
    }

    async fn execute_live(&mut self, command: &Command, live: &Live) -> Result<Output, SandboxError> {
        self.run(command, Some(live)).await
    }

    async fn spawn(&mut self, process: &Process) -> Result<Running, SandboxError> {
        let program = process.argv.first().map(String::as_str).unwrap_or_default();
        // Beside commands it would be ended with what they leave, for that is told from nothing else in there; a Pod of its
        // own, as containers have it, would not see the workspace, and no socket of this machine is in any.
        Err(Refusal {
            missing: format!("a process that is talked to in a Pod (`{program}`)"),
            remedy:
                "use `agent.kind = \"builtin\"` without MCP servers that are programs, or the executor `local` or `container`"
                    .to_owned(),
        }
        .into())
    }

    async fn read(&mut self, path: &str) -> Result<Option<FileState>, SandboxError> {
        const CONTEXT: &str = "reading a file of the workspace";
        match self.errand(CONTEXT, Errand::Read { path: path.to_owned() }).await? {
            Answer::File(content) => content.map(FileState::try_from).transpose().map_err(|error| machine(CONTEXT, error)),
            other => Err(unexpected(CONTEXT, &other)),
        }
    }

    async fn write(&mut self, changes: &[(String, Option<FileState>)]) -> Result<(), SandboxError> {
        if let (Profile::Reader, Some((path, _))) = (self.maker.profile, changes.first()) {
            return Err(SandboxError::Path { path: path.clone(), reason: "nothing can be changed here".to_owned() });
        }
        let changes = changes.iter().map(|(path, state)| (path.clone(), state.as_ref().map(Content::from))).collect();
        self.errand("writing files of the workspace", Errand::Write { changes }).await.map(drop)
    }

    async fn collect(&mut self) -> Result<PathBuf, SandboxError> {
        self.errands.fetch(self.life()?, Place::Workspace, &self.workspace).await?;
        Ok(self.workspace.clone())
    }

    async fn stamps(&mut self, look: &Look) -> Result<Stamps, SandboxError> {
        const CONTEXT: &str = "looking at the workspace";
        match self.errand(CONTEXT, Errand::Stamp(look.clone())).await? {
            Answer::Stamped(stamps) => Ok(stamps),
            other => Err(unexpected(CONTEXT, &other)),
        }
    }

    async fn search(&mut self, search: &Search) -> Result<Found, SandboxError> {
        const CONTEXT: &str = "searching the workspace";
        match self.errand(CONTEXT, Errand::Search(search.into())).await? {
            Answer::Found(found) => Found::try_from(*found).map_err(|error| machine(CONTEXT, error)),
            other => Err(unexpected(CONTEXT, &other)),
        }
    }
}

fn unexpected(context: &str, answer: &Answer) -> SandboxError {
    let kind = io::ErrorKind::InvalidData;
    let said: String = format!("{answer:?}").chars().take(80).collect();
    machine(context, io::Error::new(kind, format!("this is no answer to what was asked: {said}")))
}
