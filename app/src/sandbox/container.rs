//! The sandbox of a container engine, Docker or Podman, over its socket: one container for each executor.
//!
//! It knows how containers are made and who their first process is: our launcher, carried into every image with its own
//! loader, which runs one command after another and leaves nothing behind between them. Whoever can use the socket is root
//! on that machine (or the engine's user, where it is rootless), so nothing of it is ever given to a command.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::excerpt::search::{Found, Search};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::resident::orders::Work;
use tokio::sync::OnceCell;

use crate::sandbox::carried::Carried;
use crate::sandbox::container::blueprint::Blueprint;
use crate::sandbox::container::engine::Engine;
use crate::sandbox::container::life::Container;
use crate::sandbox::files::{Files, blocking};
use crate::sandbox::live::Live;
use crate::sandbox::resident::Patience;
use crate::sandbox::{
    Capabilities, Command, Executor, Limits, Output, Process, Refusal, Running, Sandbox, SandboxError, Terms, Tree, ownership,
    resident, search,
};

mod blueprint;
mod engine;
pub mod image;
mod leftovers;
mod life;
mod probe;
mod process;

/// How containers are made.
#[derive(Clone, Debug)]
pub struct ContainerSettings {
    /// The engine's socket: the first of these behind which somebody answers.
    pub sockets: Vec<PathBuf>,
    /// The image for repositories that name none.
    pub image: Option<String>,
    /// Which images a repository may name; `*` stands for any characters.
    pub allowed_images: Vec<String>,
    /// When an image is fetched.
    pub pull: image::Pull,
    /// How long fetching one may take.
    pub pull_timeout: Duration,
    /// The engine's runtime, where it is not to be the usual one.
    pub runtime: Option<String>,
    /// How many processors one container may use; all without it.
    pub cpus: Option<f64>,
    /// Further host paths that commands see, at the same place and read only.
    pub read_only: Vec<PathBuf>,
    /// Environment variables, by name and value, beside those of the image; nothing is ever inherited from the server.
    pub environment: Vec<(String, String)>,
    /// What commands may use.
    pub limits: Limits,
    /// The user and group id of commands where the server runs as root; otherwise they have the server's.
    pub uid: u32,
    /// Where limits are tried: on the file system of the workspaces, in a folder that is made if need be.
    pub trials: PathBuf,
}

/// Makes executors in containers.
pub struct ContainerSandbox {
    launcher: PathBuf,
    settings: ContainerSettings,
    /// The engine and the launcher, looked for by whoever needs them first.
    found: OnceCell<(Arc<Engine>, Arc<Carried>)>,
}

impl ContainerSandbox {
    /// Makes a sandbox whose launcher is the `patchwright` binary at `launcher` (`/proc/self/exe` when that is ourselves).
    pub fn new(launcher: PathBuf, settings: ContainerSettings) -> ContainerSandbox {
        ContainerSandbox { launcher, settings, found: OnceCell::new() }
    }

    async fn found(&self) -> Result<&(Arc<Engine>, Arc<Carried>), Refusal> {
        self.found
            .get_or_try_init(|| async {
                let carried = Carried::packed(&self.launcher).await?;
                Ok((Arc::new(Engine::find(&self.settings.sockets).await?), Arc::new(carried)))
            })
            .await
    }

    /// Everything that a container needs but the engine: the image is there, the folders are the commands' to use.
    async fn blueprint(&self, engine: &Engine, tree: Tree<'_>, terms: Terms<'_>, limits: Limits) -> Result<Blueprint, Refusal> {
        let settings = &self.settings;
        let name = image::chosen(settings.image.as_deref(), terms.image, &settings.allowed_images)?;
        settings.runtime.as_deref().map_or(Ok(()), |runtime| engine.check_runtime(runtime))?;
        let user = blueprint::user(engine, settings.uid)?;
        let image = image::ensure(engine, &name, settings.pull, settings.pull_timeout).await?;
        let mut blueprint = Blueprint::new(engine, image, user, tree, terms, limits);
        let extra = settings.read_only.iter().map(|path| (path.clone(), path.to_string_lossy().into_owned()));
        blueprint.read_only.extend(extra);
        blueprint.environment.extend(settings.environment.iter().cloned());
        blueprint.runtime.clone_from(&settings.runtime);
        blueprint.cpus = settings.cpus;
        Ok(blueprint)
    }
}

/// Who must own what commands write: as root the sandbox's user, otherwise we are the owner already.
fn owner(blueprint: &Blueprint) -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(blueprint.user.uid)
}

fn unusable(folder: &Path, error: &io::Error) -> Refusal {
    Refusal {
        missing: format!("a usable folder: {}: {error}", folder.display()),
        remedy: "make it a directory that the server's user owns, on a file system with room".to_owned(),
    }
}

#[async_trait]
impl Sandbox for ContainerSandbox {
    fn name(&self) -> &'static str {
        "container"
    }

    fn limits(&self) -> Limits {
        self.settings.limits.clone()
    }

    async fn probe(&self) -> Result<Capabilities, Refusal> {
        let (engine, carried) = self.found().await?;
        probe::probe(self, engine, carried).await
    }

    async fn open(&self, tree: Tree<'_>, terms: Terms<'_>) -> Result<Box<dyn Executor>, Refusal> {
        let (engine, carried) = self.found().await?;
        let blueprint = self.blueprint(engine, tree, terms, self.settings.limits.clone()).await?;
        let owner = owner(&blueprint);
        let (workspace, home, is_owned) = (tree.path.to_owned(), tree.home.map(Path::to_owned), tree.is_owned);
        let opened = tokio::task::spawn_blocking(move || {
            if let (Some(uid), false) = (owner, is_owned) {
                ownership::ensure_owner(&workspace, uid, uid)?;
                home.map_or(Ok(0), |home| ownership::ensure_owner(&home, uid, uid))?;
            }
            Files::open(&workspace, owner)
        });
        let files = opened.await.map_err(io::Error::other).flatten().map_err(|error| unusable(tree.path, &error))?;
        let (container, _) = Container::start(engine, carried, &blueprint, false).await?;
        Ok(Box::new(ContainerExecutor {
            engine: Arc::clone(engine),
            carried: Arc::clone(carried),
            blueprint,
            container: Some(container),
            files: Arc::new(files),
        }))
    }

    async fn sweep(&self) -> Result<(), Refusal> {
        let (engine, _) = self.found().await?;
        let n_removed = leftovers::remove(engine).await?;
        if n_removed > 0 {
            tracing::info!("{n_removed} containers of servers that are gone were removed");
        }
        Ok(())
    }
}

/// Runs commands in one container and touches files of the workspace from outside.
struct ContainerExecutor {
    engine: Arc<Engine>,
    carried: Arc<Carried>,
    blueprint: Blueprint,
    /// Not there while a command runs, and after one that was not awaited to its end: the next command gets another.
    container: Option<Container>,
    files: Arc<Files>,
}

impl ContainerExecutor {
    async fn run(&mut self, command: &Command, live: Option<&Live>) -> Result<Output, SandboxError> {
        let (files, directory) = (Arc::clone(&self.files), command.directory.clone());
        blocking("looking for the directory", move || files.directory(&directory)).await?;
        let mut container = match self.container.take() {
            Some(container) => container,
            None => Container::start(&self.engine, &self.carried, &self.blueprint, false).await?.0,
        };
        let task = process::task(&self.blueprint, Work::Script(command.script.clone()), &command.directory);
        let patience = Patience {
            time: command.timeout,
            grace: self.blueprint.limits.grace,
            kept_bytes_max: command.output_bytes_max,
            output_bytes_max: self.blueprint.limits.output_bytes,
        };
        let ran = container.run(task, patience, live).await;
        match &ran {
            Ok(_) | Err(SandboxError::Refused(_)) => self.container = Some(container),
            Err(SandboxError::Path { .. } | SandboxError::Machine { .. }) => container.remove().await,
        }
        ran
    }
}

#[async_trait]
impl Executor for ContainerExecutor {
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError> {
        self.run(command, None).await
    }

    async fn execute_live(&mut self, command: &Command, live: &Live) -> Result<Output, SandboxError> {
        self.run(command, Some(live)).await
    }

    async fn spawn(&mut self, process: &Process) -> Result<Running, SandboxError> {
        let blueprint = process::blueprint(&self.blueprint, process)?;
        let (container, standard) = Container::start(&self.engine, &self.carried, &blueprint, true).await?;
        let standard = standard.ok_or_else(|| resident::machine("starting a process", io::ErrorKind::NotConnected.into()))?;
        let task = process::task(&blueprint, Work::Program(process.argv.clone()), "");
        process::spawn(container, standard, task).await
    }

    async fn read(&mut self, path: &str) -> Result<Option<FileState>, SandboxError> {
        let (files, path) = (Arc::clone(&self.files), path.to_owned());
        blocking("reading a file of the workspace", move || files.read(&path)).await
    }

    async fn write(&mut self, changes: &[(String, Option<FileState>)]) -> Result<(), SandboxError> {
        if let (true, Some((path, _))) = (self.blueprint.is_workspace_read_only, changes.first()) {
            return Err(SandboxError::Path { path: path.clone(), reason: "nothing can be changed here".to_owned() });
        }
        let (files, changes) = (Arc::clone(&self.files), changes.to_vec());
        blocking("writing files of the workspace", move || {
            changes.iter().try_for_each(|(path, state)| files.write(path, state.as_ref()))
        })
        .await
    }

    async fn collect(&mut self) -> Result<PathBuf, SandboxError> {
        Ok(self.blueprint.workspace.clone())
    }

    async fn search(&mut self, search: &Search) -> Result<Found, SandboxError> {
        let (files, search) = (Arc::clone(&self.files), search.clone());
        blocking("searching the workspace", move || search::search(&files, &search)).await
    }
}

impl Container {
    /// Runs one command; a container that its memory has ended is told apart from one that broke.
    async fn run(
        &mut self,
        task: patchwright_launcher::resident::orders::Task,
        patience: Patience,
        live: Option<&Live>,
    ) -> Result<Output, SandboxError> {
        let started = std::time::Instant::now();
        let gone = || resident::machine("keeping the container up", io::ErrorKind::NotConnected.into());
        let ran = resident::run(self.session.as_mut().ok_or_else(gone)?, task, patience, live).await;
        match ran {
            Err(SandboxError::Machine { .. }) if self.is_out_of_memory().await => Ok(Output {
                exit: Exit::Exceeded(Limit::Memory),
                output: Vec::new(),
                omitted_bytes: 0,
                duration: started.elapsed(),
            }),
            ran => ran,
        }
    }
}
