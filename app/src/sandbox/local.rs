//! The sandbox on this machine: namespaces and a system-call filter, made by the launcher once for each executor.
//!
//! It knows how the launcher is started and what it is told; how the walls are built is the launcher's business. There is
//! no weaker mode: where the machine cannot give a layer, there is a [`Refusal`] and nothing runs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use patchwright_domain::excerpt::search::{Found, Search};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::Exit;
use patchwright_launcher::spec::{self, HOME, Program, ReadOnly, Spec};
use tokio::sync::OnceCell;

use crate::sandbox::files::{Files, blocking};
use crate::sandbox::findings::holding;
use crate::sandbox::ground::Ground;
use crate::sandbox::live::Live;
use crate::sandbox::local::groups::Groups;
use crate::sandbox::local::launchers::Launchers;
use crate::sandbox::local::room::{Room, State};
use crate::sandbox::toolchains::{self, Toolchains};
use crate::sandbox::{
    Capabilities, Command, Executor, Isolation, Limits, OBJECTS, OUTLET_PORT, Outlet, Output, Process, Profile, Refusal, Running,
    Sandbox, SandboxError, Terms, Tree,
};
use crate::sandbox::{ownership, search, trials};

mod groups;
mod launch;
mod launchers;
mod process;
mod room;
mod session;
mod trial;

/// What to do about a layer that does not hold.
const REMEDY: &str = "run on a host whose kernel and container settings let every layer hold; no repository code runs until then";
/// Where an outlet's socket is inside.
const OUTLET: &str = "/run/outlet.sock";

/// The user id of sandboxed commands where the server runs as root; no account needs to exist for it.
pub const SANDBOX_UID: u32 = 65532;

/// What commands may use and see. All profiles get the same.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// What commands may use.
    pub limits: Limits,
    /// The user and group id of commands. As root it is their id on the host as well; it is never 0.
    pub uid: u32,
    /// Further host paths that commands see, at the same place and read only.
    pub read_only: Vec<PathBuf>,
    /// Environment variables, by name and value; nothing is ever inherited from the server.
    pub environment: Vec<(String, String)>,
    /// The `PATH` inside; toolchains that are found come before it.
    pub path: String,
    /// Where toolchains are looked for on the host, as in `PATH`; `None` mounts none but those in `/usr`.
    pub toolchain_path: Option<OsString>,
    /// Where limits are tried: on the file system of the workspaces, in a folder that is made if need be.
    pub trials: PathBuf,
}

impl Default for LocalSettings {
    fn default() -> LocalSettings {
        LocalSettings {
            limits: Limits::default(),
            uid: SANDBOX_UID,
            read_only: Vec::new(),
            environment: Vec::new(),
            path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            toolchain_path: std::env::var_os("PATH"),
            trials: std::env::temp_dir(),
        }
    }
}

/// Makes executors on this machine.
pub struct LocalSandbox {
    launchers: Launchers,
    settings: LocalSettings,
    toolchains: Discovery,
    can_layer: OnceCell<bool>,
}

/// The machine's toolchains, looked for once, by whoever needs them first.
#[derive(Clone)]
struct Discovery {
    found: Arc<OnceCell<Toolchains>>,
    path: Option<OsString>,
}

impl Discovery {
    async fn found(&self) -> &Toolchains {
        self.found.get_or_init(|| toolchains::discover(self.path.clone())).await
    }
}

impl LocalSandbox {
    /// Makes a sandbox whose launcher is the `patchwright` binary at `launcher` (`/proc/self/exe` when that is ourselves).
    pub fn new(launcher: PathBuf, settings: LocalSettings) -> LocalSandbox {
        let toolchains = Discovery { found: Arc::default(), path: settings.toolchain_path.clone() };
        LocalSandbox { launchers: Launchers::new(launcher), settings, toolchains, can_layer: OnceCell::new() }
    }

    /// The walls, but for the toolchains.
    fn spec(&self, tree: Tree<'_>) -> Result<Spec, Refusal> {
        let settings = &self.settings;
        if settings.uid == 0 {
            return Err(Refusal {
                missing: "a user for the commands: the sandbox's uid is 0".to_owned(),
                remedy: format!("set it to an id that nothing else on this machine uses, such as {SANDBOX_UID}"),
            });
        }
        let objects = tree.objects.map(|objects| ReadOnly { source: objects.to_owned(), target: OBJECTS.into() });
        let carried = tree.read_only.iter().map(|(source, target)| ReadOnly { source: source.clone(), target: target.clone() });
        let extra = settings.read_only.iter().map(|path| ReadOnly { source: path.clone(), target: path.clone() });
        Ok(Spec {
            workspace: tree.path.to_owned(),
            layer: tree.layer.map(|(lower, work)| spec::Layer { lower: lower.to_owned(), work: work.to_owned() }),
            is_workspace_read_only: false,
            refuses_set_id: !tree.is_owned,
            home: tree.home.map(Path::to_owned),
            read_only: extra.chain(objects).chain(carried).collect(),
            uid: settings.uid,
            gid: settings.uid,
            limits: spec::Limits {
                n_processes: settings.limits.n_processes,
                n_open_files: settings.limits.n_open_files,
                file_bytes: settings.limits.file_bytes,
                tmp_bytes: settings.limits.tmp_bytes,
                cpu_seconds: settings.limits.cpu_seconds,
                memory_bytes: settings.limits.memory_bytes,
                disk_bytes: settings.limits.disk_bytes,
                n_files: settings.limits.n_files,
                oom_score_adj: Some(500),
            },
            has_group: false,
        })
    }
}

fn shell() -> PathBuf {
    let bash = Path::new("/bin/bash");
    if bash.exists() { bash.to_owned() } else { PathBuf::from("/bin/sh") }
}

/// Gives the walls the toolchains.
fn equip(spec: &mut Spec, toolchains: &Toolchains, has_outlet: bool) {
    // Nothing is mounted below a home directory that lasts; there, and where there is a way out, tools keep what they fetch.
    let is_shown = |mount: &ReadOnly| !mount.target.starts_with(HOME) || (spec.home.is_none() && !has_outlet);
    let mounts: Vec<ReadOnly> = toolchains.read_only.iter().filter(|mount| is_shown(mount)).cloned().collect();
    spec.read_only.splice(0..0, mounts);
}

fn environment(settings: &LocalSettings, toolchains: &Toolchains) -> Vec<(String, String)> {
    let path = toolchains.path.iter().map(|directory| directory.display().to_string()).chain([settings.path.clone()]);
    let base = [("HOME", HOME), ("LANG", "C.UTF-8"), ("LOGNAME", "agent"), ("TMPDIR", "/tmp"), ("USER", "agent")];
    let mut all: BTreeMap<String, String> = base.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    all.insert("PATH".to_owned(), path.collect::<Vec<_>>().join(":"));
    all.extend(toolchains.environment.iter().cloned());
    all.extend(settings.environment.iter().cloned());
    all.into_iter().collect()
}

/// Who must own the workspace: as root the sandbox's user, otherwise we are the owner already.
fn owner(settings: &LocalSettings) -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(settings.uid)
}

fn unusable(workspace: &Path, error: &io::Error) -> Refusal {
    Refusal {
        missing: format!("a usable workspace: {}: {error}", workspace.display()),
        remedy: "make it a directory that the server's user owns, on a file system with room".to_owned(),
    }
}

#[async_trait]
impl Sandbox for LocalSandbox {
    fn name(&self) -> &'static str {
        "local"
    }

    fn limits(&self) -> Limits {
        self.settings.limits.clone()
    }

    async fn probe(&self) -> Result<Capabilities, Refusal> {
        let ground = Ground::new(&self.settings.trials)?;
        let workspace = ground.workspace();
        let no_room = |error: io::Error| unusable(&workspace, &error);
        if let Some(uid) = owner(&self.settings) {
            ownership::ensure_owner(&workspace, uid, uid).map_err(no_room)?;
        }
        let mut room = self.room(Tree::alone(&workspace), None)?;
        let probe = Program::Probe(ground.baits().map_err(no_room)?);
        let layers = holding(&tried(&mut room, probe).await?, REMEDY)?;
        let shell = tried(&mut room, Program::Script { shell: shell(), script: "exit 0".to_owned() }).await?;
        match shell.exit {
            Exit::Code(0) => {
                let limits = self.limits(&ground).await?;
                let advice = trial::advice(&limits, ground.parent());
                Ok(Capabilities { isolation: Isolation::Namespaces, layers, limits, advice })
            }
            exit @ (Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut | Exit::Exceeded(_)) => Err(Refusal {
                missing: format!("a shell: `exit 0` ended with {exit:?}: {}", String::from_utf8_lossy(&shell.output)),
                remedy: "install a working /bin/sh below /usr on this machine".to_owned(),
            }),
        }
    }

    async fn open(&self, tree: Tree<'_>, terms: Terms<'_>) -> Result<Box<dyn Executor>, Refusal> {
        let workspace = tree.path;
        let mut room = self.room(tree, terms.outlet)?;
        room.spec.is_workspace_read_only = match terms.profile {
            Profile::Setup | Profile::Agent | Profile::Proof => false,
            Profile::Reader => true,
        };
        let owned: Vec<PathBuf> = [Some(workspace), tree.home].into_iter().flatten().map(Path::to_owned).collect();
        let (path, owner, is_layered, is_owned) =
            (workspace.to_owned(), owner(&self.settings), tree.layer.is_some(), tree.is_owned);
        let opened = tokio::task::spawn_blocking(move || {
            if let (Some(uid), false) = (owner, is_owned) {
                owned.iter().try_for_each(|path| ownership::ensure_owner(path, uid, uid).map(drop))?;
            }
            // What lies over another tree is seen as one only from within.
            if is_layered { Ok(None) } else { Files::open(&path, owner).map(|files| Some(Arc::new(files))) }
        });
        let opened = opened.await.map_err(io::Error::other).flatten().map_err(|error| unusable(workspace, &error))?;
        // The first command is not yet known; when it comes, the walls stand, or are what it waits for.
        room.begin();
        Ok(Box::new(LocalExecutor { room, files: opened, owner }))
    }

    async fn layers(&self, place: &Path, profile: Profile) -> bool {
        // Without being root, folders of the tree beneath cannot be renamed; agents do that, tests do not.
        let is_enough = match profile {
            Profile::Proof | Profile::Setup | Profile::Reader => true,
            Profile::Agent => rustix::process::geteuid().is_root(),
        };
        is_enough && *self.can_layer.get_or_init(|| self.try_to_layer(place)).await
    }

    async fn sweep(&self) -> Result<(), Refusal> {
        let swept = tokio::task::spawn_blocking(|| groups::of_this_process().map_or(Ok(()), Groups::sweep)).await;
        swept.map_err(io::Error::other).flatten().map_err(|error| Refusal {
            missing: format!("the removal of control groups that a killed server left: {error}"),
            remedy: "see what still runs in them (`cgroup.procs`) and end it".to_owned(),
        })
    }
}

impl LocalSandbox {
    /// How each limit is kept, by trying.
    async fn limits(&self, ground: &Ground) -> Result<trial::Kept, Refusal> {
        let small = LocalSandbox {
            launchers: self.launchers.clone(),
            settings: LocalSettings { limits: trials::limits(), ..self.settings.clone() },
            toolchains: self.toolchains.clone(),
            can_layer: OnceCell::new(),
        };
        trial::kept(ground, || small.room(Tree::alone(&ground.workspace()), None)).await
    }

    /// Lays one folder over another and looks through it.
    async fn try_to_layer(&self, place: &Path) -> bool {
        let tried = async {
            let folder = tempfile::Builder::new().prefix("try-").tempdir_in(place).ok()?;
            let [lower, upper, work] = ["lower", "upper", "work"].map(|name| folder.path().join(name));
            [&lower, &upper, &work].into_iter().try_for_each(std::fs::create_dir).ok()?;
            std::fs::write(lower.join("file"), "seen").ok()?;
            let tree = Tree { layer: Some((&lower, &work)), ..Tree::alone(&upper) };
            let mut executor = self.open(tree, Profile::Agent.into()).await.ok()?;
            matches!(executor.read("file").await, Ok(Some(_))).then_some(())
        };
        let can = tried.await.is_some();
        if !can {
            tracing::info!("trees cannot lie over others in {}: each run writes its own", place.display());
        }
        can
    }

    /// What is needed for commands on a tree.
    fn room(&self, tree: Tree<'_>, outlet: Option<&Outlet>) -> Result<Room, Refusal> {
        let mut spec = self.spec(tree)?;
        let mut settings = self.settings.clone();
        if let Some(outlet) = outlet {
            settings.environment.extend(outlet.environment.iter().cloned());
            spec.read_only.push(ReadOnly { source: outlet.socket.clone(), target: OUTLET.into() });
            let files = outlet.read_only.iter().cloned();
            spec.read_only.extend(files.map(|(source, target)| ReadOnly { source, target }));
        }
        let bridge = outlet.map(|_| spec::Bridge { port: OUTLET_PORT, socket: OUTLET.into() });
        Ok(Room {
            launchers: self.launchers.clone(),
            toolchains: self.toolchains.clone(),
            spec,
            settings,
            bridge,
            state: State::Shut,
        })
    }
}

/// Runs one of our own programs of the probe.
async fn tried(room: &mut Room, program: Program) -> Result<Output, Refusal> {
    trials::outcome(room.run(program, &trials::command(), None).await)
}

/// Runs commands and touches files in one workspace.
struct LocalExecutor {
    room: Room,
    /// The workspace as seen from outside, once it can be.
    files: Option<Arc<Files>>,
    owner: Option<u32>,
}

impl LocalExecutor {
    async fn files(&mut self) -> Result<Arc<Files>, SandboxError> {
        if let Some(files) = &self.files {
            return Ok(Arc::clone(files));
        }
        let workspace = self.room.workspace().await?;
        let files = Arc::new(Files::of(workspace, self.owner));
        self.files = Some(Arc::clone(&files));
        Ok(files)
    }

    /// A view into a sandbox that broke would keep its mounts beside those of the next.
    fn unless_broken<T>(&mut self, done: Result<T, SandboxError>) -> Result<T, SandboxError> {
        if let (Err(SandboxError::Machine { .. }), true) = (&done, self.room.spec.layer.is_some()) {
            self.files = None;
        }
        done
    }

    async fn run(&mut self, command: &Command, live: Option<&Live>) -> Result<Output, SandboxError> {
        let (files, directory) = (self.files().await?, command.directory.clone());
        blocking("looking for the directory", move || files.directory(&directory)).await?;
        let program = Program::Script { shell: shell(), script: command.script.clone() };
        let done = self.room.run(program, command, live).await;
        self.unless_broken(done)
    }
}

#[async_trait]
impl Executor for LocalExecutor {
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError> {
        self.run(command, None).await
    }

    async fn execute_live(&mut self, command: &Command, live: &Live) -> Result<Output, SandboxError> {
        self.run(command, Some(live)).await
    }

    async fn spawn(&mut self, process: &Process) -> Result<Running, SandboxError> {
        let spawned = self.room.spawn(process).await;
        self.unless_broken(spawned)
    }

    async fn read(&mut self, path: &str) -> Result<Option<FileState>, SandboxError> {
        let (files, path) = (self.files().await?, path.to_owned());
        blocking("reading a file of the workspace", move || files.read(&path)).await
    }

    async fn write(&mut self, changes: &[(String, Option<FileState>)]) -> Result<(), SandboxError> {
        if let (true, Some((path, _))) = (self.room.spec.is_workspace_read_only, changes.first()) {
            return Err(SandboxError::Path { path: path.clone(), reason: "nothing can be changed here".to_owned() });
        }
        let (files, changes) = (self.files().await?, changes.to_vec());
        blocking("writing files of the workspace", move || {
            changes.iter().try_for_each(|(path, state)| files.write(path, state.as_ref()))
        })
        .await
    }

    async fn collect(&mut self) -> Result<PathBuf, SandboxError> {
        let files = self.files().await?;
        let is_layered = self.room.spec.layer.is_some();
        Ok(if is_layered { files.path() } else { self.room.spec.workspace.clone() })
    }

    async fn search(&mut self, search: &Search) -> Result<Found, SandboxError> {
        let (files, search) = (self.files().await?, search.clone());
        blocking("searching the workspace", move || search::search(&files, &search)).await
    }
}
