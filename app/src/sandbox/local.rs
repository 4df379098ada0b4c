//! The sandbox on this machine: namespaces and a system-call filter, made by the launcher for each command anew.
//!
//! It knows how the launcher is started and what it is told; how the walls are built is the launcher's business. There is
//! no weaker mode: where the machine cannot give a layer, there is a [`Refusal`] and nothing runs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::excerpt::search::{Found, Search};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::Exit;
use patchwright_launcher::probe::{Baits, Finding, N_FINDINGS};
use patchwright_launcher::spec::{self, HOME, Program, ReadOnly, Spec};
use tokio::sync::OnceCell;

use crate::sandbox::files::Files;
use crate::sandbox::toolchains::{self, Toolchains};
use crate::sandbox::{
    Capabilities, Command, Executor, Isolation, Limits, OBJECTS, OUTLET_PORT, Output, Process, Profile, Refusal, Running,
    Sandbox, SandboxError, Terms, Tree,
};
use crate::sandbox::{ownership, search};

mod launch;
mod process;

/// Where an outlet's socket is inside.
const OUTLET: &str = "/run/outlet.sock";
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
const PROBE_OUTPUT_BYTES_MAX: usize = 64 * 1024;

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
        }
    }
}

/// Makes executors on this machine.
pub struct LocalSandbox {
    launcher: PathBuf,
    settings: LocalSettings,
    toolchains: Discovery,
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
        LocalSandbox { launcher, settings, toolchains }
    }

    /// What every command gets but for the toolchains.
    fn template(&self, workspace: &Path) -> Result<Spec, Refusal> {
        let settings = &self.settings;
        if settings.uid == 0 {
            return Err(Refusal {
                missing: "a user for the commands: the sandbox's uid is 0".to_owned(),
                remedy: format!("set it to an id that nothing else on this machine uses, such as {SANDBOX_UID}"),
            });
        }
        let extra = settings.read_only.iter().map(|path| ReadOnly { source: path.clone(), target: path.clone() });
        Ok(Spec {
            program: Program::Script { shell: shell(), script: String::new() },
            directory: PathBuf::new(),
            environment: Vec::new(),
            workspace: workspace.to_owned(),
            is_workspace_read_only: false,
            read_only: extra.collect(),
            bridge: None,
            standard: None,
            uid: settings.uid,
            gid: settings.uid,
            limits: spec::Limits {
                n_processes: settings.limits.n_processes,
                n_open_files: settings.limits.n_open_files,
                file_bytes: settings.limits.file_bytes,
                tmp_bytes: settings.limits.tmp_bytes,
                oom_score_adj: Some(500),
            },
        })
    }
}

fn shell() -> PathBuf {
    let bash = Path::new("/bin/bash");
    if bash.exists() { bash.to_owned() } else { PathBuf::from("/bin/sh") }
}

/// Gives a template the toolchains and the environment in which they are found.
fn equip(spec: &mut Spec, settings: &LocalSettings, toolchains: &Toolchains) {
    spec.environment = environment(settings, toolchains);
    // With a way out, tools write what they fetch to where they keep it, so the host's own is not put there.
    let has_outlet = spec.bridge.is_some();
    let mounts = toolchains.read_only.iter().filter(|mount| !has_outlet || !mount.target.starts_with(HOME)).cloned();
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
    async fn probe(&self) -> Result<Capabilities, Refusal> {
        let no_room = |error: io::Error| unusable(&std::env::temp_dir(), &error);
        let workspace = tempfile::tempdir().map_err(no_room)?;
        let bait = tempfile::NamedTempFile::new().map_err(no_room)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(no_room)?;
        let port = listener.local_addr().map_err(no_room)?.port();
        if let Some(uid) = owner(&self.settings) {
            ownership::ensure_owner(workspace.path(), uid, uid).map_err(no_room)?;
        }
        let mut spec = self.template(workspace.path())?;
        equip(&mut spec, &self.settings, self.toolchains.found().await);
        spec.program = Program::Probe(Baits { file: bait.path().to_owned(), port });
        let layers = holding(&self.run(&spec).await?)?;
        spec.program = Program::Script { shell: shell(), script: "exit 0".to_owned() };
        let shell = self.run(&spec).await?;
        match shell.exit {
            Exit::Code(0) => Ok(Capabilities { isolation: Isolation::Namespaces, layers, limits: Vec::new() }),
            exit @ (Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut | Exit::Exceeded(_)) => Err(Refusal {
                missing: format!("a shell: `exit 0` ended with {exit:?}: {}", String::from_utf8_lossy(&shell.output)),
                remedy: "install a working /bin/sh below /usr on this machine".to_owned(),
            }),
        }
    }

    async fn open(&self, tree: Tree<'_>, terms: Terms<'_>) -> Result<Box<dyn Executor>, Refusal> {
        let workspace = tree.path;
        let mut template = self.template(workspace)?;
        // Asking the toolchains where they live takes longer than everything else here, and the first command is not yet
        // known: whoever is first, this task or that command, has the others wait.
        let discovery = self.toolchains.clone();
        tokio::spawn(async move {
            discovery.found().await;
        });
        let objects = tree.objects.map(|objects| ReadOnly { source: objects.to_owned(), target: OBJECTS.into() });
        template.read_only.extend(objects);
        let mut settings = self.settings.clone();
        if let Some(outlet) = terms.outlet {
            settings.environment.extend(outlet.environment.iter().cloned());
            template.read_only.push(ReadOnly { source: outlet.socket.clone(), target: OUTLET.into() });
            let files = outlet.read_only.iter().cloned();
            template.read_only.extend(files.map(|(source, target)| ReadOnly { source, target }));
            template.bridge = Some(spec::Bridge { port: OUTLET_PORT, socket: OUTLET.into() });
        }
        template.is_workspace_read_only = match terms.profile {
            Profile::Setup | Profile::Agent | Profile::Proof => false,
            Profile::Reader => true,
        };
        let (path, owner) = (workspace.to_owned(), owner(&self.settings));
        let opened = tokio::task::spawn_blocking(move || {
            if let Some(uid) = owner {
                ownership::ensure_owner(&path, uid, uid)?;
            }
            Files::open(&path, owner)
        });
        let files = opened.await.map_err(io::Error::other).flatten().map_err(|error| unusable(workspace, &error))?;
        Ok(Box::new(LocalExecutor {
            launcher: self.launcher.clone(),
            template,
            equipment: Some((settings, self.toolchains.clone())),
            files: Arc::new(files),
        }))
    }

    async fn sweep(&self) -> Result<(), Refusal> {
        Ok(())
    }
}

impl LocalSandbox {
    async fn run(&self, spec: &Spec) -> Result<Output, Refusal> {
        match launch::run(&self.launcher, spec, PROBE_TIMEOUT, PROBE_OUTPUT_BYTES_MAX).await {
            Ok(output) => Ok(output),
            Err(SandboxError::Refused(refusal)) => Err(refusal),
            Err(error @ (SandboxError::Path { .. } | SandboxError::Machine { .. })) => Err(Refusal {
                missing: format!("a sandbox that stays up: {error}"),
                remedy: "look into the machine's log: something ends the launcher's processes".to_owned(),
            }),
        }
    }
}

/// Returns the layers of a probe that all hold.
fn holding(probe: &Output) -> Result<Vec<String>, Refusal> {
    let text = String::from_utf8_lossy(&probe.output);
    let findings: Vec<Finding> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let broken: Vec<String> = findings
        .iter()
        .filter_map(|finding| finding.broken.as_ref().map(|broken| format!("{} ({broken})", finding.layer)))
        .collect();
    if broken.is_empty() && findings.len() == N_FINDINGS {
        return Ok(findings.into_iter().map(|finding| finding.layer).collect());
    }
    let unfinished = || format!("the whole probe: {} of {N_FINDINGS} checks answered, {:?}", findings.len(), probe.exit);
    Err(Refusal {
        missing: if broken.is_empty() { unfinished() } else { broken.join("; ") },
        remedy: "run on a host whose kernel and container settings let every layer hold; no repository code runs until then"
            .to_owned(),
    })
}

/// Runs commands and touches files in one workspace.
struct LocalExecutor {
    launcher: PathBuf,
    template: Spec,
    /// What the template still has to be given, before the first command.
    equipment: Option<(LocalSettings, Discovery)>,
    files: Arc<Files>,
}

impl LocalExecutor {
    async fn template(&mut self) -> Spec {
        if let Some((settings, toolchains)) = &self.equipment {
            equip(&mut self.template, settings, toolchains.found().await);
            self.equipment = None;
        }
        self.template.clone()
    }
}

#[async_trait]
impl Executor for LocalExecutor {
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError> {
        let (files, directory) = (Arc::clone(&self.files), command.directory.clone());
        blocking("looking for the directory", move || files.directory(&directory)).await?;
        let mut spec = self.template().await;
        spec.program = Program::Script { shell: shell(), script: command.script.clone() };
        spec.directory = PathBuf::from(&command.directory);
        launch::run(&self.launcher, &spec, command.timeout, command.output_bytes_max).await
    }

    async fn spawn(&mut self, process: &Process) -> Result<Running, SandboxError> {
        let spec = process::spec(&self.template().await, process)?;
        process::spawn(&self.launcher, spec).await
    }

    async fn read(&mut self, path: &str) -> Result<Option<FileState>, SandboxError> {
        let (files, path) = (Arc::clone(&self.files), path.to_owned());
        blocking("reading a file of the workspace", move || files.read(&path)).await
    }

    async fn write(&mut self, changes: &[(String, Option<FileState>)]) -> Result<(), SandboxError> {
        if let (true, Some((path, _))) = (self.template.is_workspace_read_only, changes.first()) {
            return Err(SandboxError::Path { path: path.clone(), reason: "nothing can be changed here".to_owned() });
        }
        let (files, changes) = (Arc::clone(&self.files), changes.to_vec());
        blocking("writing files of the workspace", move || {
            changes.iter().try_for_each(|(path, state)| files.write(path, state.as_ref()))
        })
        .await
    }

    async fn collect(&mut self) -> Result<PathBuf, SandboxError> {
        Ok(self.template.workspace.clone())
    }

    async fn search(&mut self, search: &Search) -> Result<Found, SandboxError> {
        let (files, search) = (Arc::clone(&self.files), search.clone());
        blocking("searching the workspace", move || search::search(&files, &search)).await
    }
}

async fn blocking<T: Send + 'static>(
    context: &str,
    work: impl FnOnce() -> Result<T, SandboxError> + Send + 'static,
) -> Result<T, SandboxError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(SandboxError::Machine { context: context.to_owned(), source: io::Error::other(error) }),
    }
}
