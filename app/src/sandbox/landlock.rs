//! Rules on files alone (Landlock), for machines that give no namespaces: the weakest walls that are any.
//!
//! Commands share the host's process numbers and paths; they open no file but those on a list, reach no process but their
//! own, and make no socket, so that a server's tests on the loopback fail. It is used where the operator's minimum allows it
//! and nothing stronger can be had, see `sandbox::fallback`.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use patchwright_domain::proof::Exit;
use patchwright_launcher::confined::attacks::N_FINDINGS;
use patchwright_launcher::confined::{Place, orphans};
use patchwright_launcher::spec::{HOME, Program, ReadOnly};
use tokio::sync::OnceCell;

use crate::private_folder::PrivateFolder;
use crate::sandbox::files::Files;
use crate::sandbox::findings::all_holding;
use crate::sandbox::ground::Ground;
use crate::sandbox::local::LocalSettings;
use crate::sandbox::plain::{PlainExecutor, Walls, borrow, unusable};
use crate::sandbox::toolchains::{self, Toolchains};
use crate::sandbox::{
    Capabilities, Executor, Isolation, Limits, Output, Profile, Refusal, Sandbox, Terms, Tree, ownership, trials,
};

mod trial;

const REMEDY: &str = "run on a kernel that keeps every one of these walls; no repository code runs until then";
const SAME_USER: &str = "run the server as root, which chooses a user for its commands, or let this machine give namespaces, which \
    `patchwright doctor` says how to do";

/// What an operator is told of walls that are no more than these.
const WEAKER: [&str; 3] = [
    "these are rules on files alone: numbers of processes are shared with the host, files outside cannot be opened but their \
     names be asked for, and there are no sockets, so tests on the loopback fail and setups have no way out \
     (`sandbox.egress.enabled = false`); nor are there semaphores and shared memory with names, which Python's \
     multiprocessing.Pool takes, nor a /proc/self",
    "of files that belong to the user of the commands, modes and times can be changed wherever they are, and of every folder \
     that this user can list, what happens in it can be watched",
    "processes are counted for the user and not for a command; let the machine give namespaces for walls and limits that are \
     stronger",
];

/// Makes executors behind rules on files.
pub struct LandlockSandbox {
    launcher: PathBuf,
    settings: LocalSettings,
    toolchains: OnceCell<Toolchains>,
    /// Holds what is the commands' user's own, see [`LandlockSandbox::pen`].
    pen: OnceLock<Arc<PrivateFolder>>,
    /// Whether it was said which toolchains are out of reach.
    is_told: AtomicBool,
}

/// The folders of one executor that are its commands' alone.
struct Own {
    private: PrivateFolder,
    temporary: PathBuf,
    home: PathBuf,
}

impl LandlockSandbox {
    /// Makes a sandbox whose launcher is the `patchwright` binary at `launcher`, with the settings of the local one.
    pub fn new(launcher: PathBuf, settings: LocalSettings) -> Self {
        Self { launcher, settings, toolchains: OnceCell::new(), pen: OnceLock::new(), is_told: AtomicBool::new(false) }
    }

    /// The commands' user. It is never the server's: whatever that owns, its key and its journal too, could be given another
    /// mode, for no rule on files keeps an owner from that.
    fn user(&self) -> Result<u32, Refusal> {
        let refused = |missing: &str| Refusal { missing: missing.to_owned(), remedy: SAME_USER.to_owned() };
        if !rustix::process::geteuid().is_root() {
            return Err(refused(
                "a user for commands that is not the server's own: behind rules on files alone (Landlock) they must differ",
            ));
        }
        if self.settings.uid == 0 {
            return Err(refused("a user for commands that is not root: the sandbox's uid is 0"));
        }
        Ok(self.settings.uid)
    }

    /// The folder for all private folders of commands. All commands are one user's, who could shut what is another's if its
    /// name were known; nobody but root can list this folder or watch it.
    fn pen(&self, user: u32) -> io::Result<Arc<PrivateFolder>> {
        if let Some(pen) = self.pen.get() {
            return Ok(Arc::clone(pen));
        }
        let made = self.new_pen(&self.settings.trials, user).or_else(|error| {
            let elsewhere = std::env::temp_dir();
            // What is wrong with the folder otherwise is for the operator to know.
            let is_shut = error.kind() == io::ErrorKind::PermissionDenied && elsewhere != self.settings.trials;
            if is_shut { self.new_pen(&elsewhere, user) } else { Err(error) }
        })?;
        Ok(Arc::clone(self.pen.get_or_init(|| Arc::new(made))))
    }

    /// Makes it in a folder to which the commands' user can pass.
    fn new_pen(&self, parent: &Path, user: u32) -> io::Result<PrivateFolder> {
        std::fs::create_dir_all(parent)?;
        let pen = PrivateFolder::new_in(&parent.canonicalize()?)?;
        pen.let_pass(user)?;
        if !is_passed(&pen.path().join("any"), user) {
            let shut = "the user of commands cannot pass to it, which takes mode o+x of every folder above";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, shut));
        }
        Ok(pen)
    }

    async fn toolchains(&self) -> &Toolchains {
        self.toolchains.get_or_init(|| toolchains::discover(self.settings.toolchain_path.clone())).await
    }

    /// What of the toolchains the commands' user cannot get to, for nothing is mounted.
    async fn hidden(&self) -> Option<String> {
        let user = self.settings.uid;
        let sources = self.toolchains().await.read_only.iter().map(|mount| &mount.source);
        let hidden: Vec<String> = sources.filter(|path| !is_passed(path, user)).map(|path| path.display().to_string()).collect();
        (!hidden.is_empty()).then(|| {
            format!(
                "commands are user {user}, who cannot get to {}: install these toolchains below /usr, or let others pass to them (mode o+x)",
                hidden.join(", ")
            )
        })
    }

    async fn executor(&self, tree: Tree<'_>, profile: Profile, limits: Limits) -> Result<PlainExecutor, Refusal> {
        let toolchains = self.toolchains().await;
        let user = self.user()?;
        self.executor_with(tree, profile, limits, toolchains, user).map_err(|error| unusable(tree.path, &error))
    }

    fn executor_with(
        &self,
        tree: Tree<'_>,
        profile: Profile,
        limits: Limits,
        toolchains: &Toolchains,
        user: u32,
    ) -> io::Result<PlainExecutor> {
        if !tree.is_owned {
            let owned = [Some(tree.path), tree.home].into_iter().flatten();
            owned.into_iter().try_for_each(|folder| ownership::ensure_owner(folder, user, user).map(drop))?;
        }
        let pen = self.pen(user)?;
        let own = own_folders(pen.path(), tree.home, user)?;
        let links = if tree.home.is_none() { link(toolchains, &own.home)? } else { Vec::new() };
        give(&own, tree.home, user)?;
        // A link in the path would be no folder to the rules, and none of the paths that programs work out.
        let workspace = tree.path.canonicalize()?;
        let files = Files::open(&workspace, Some(user))?;
        if let Some(objects) = tree.objects {
            borrow(&files, objects)?;
        }
        let is_read_only = matches!(profile, Profile::Reader);
        let in_place = toolchains.read_only.iter().filter(|mount| mount.source == mount.target).map(|mount| mount.source.clone());
        let mut read: Vec<PathBuf> = self.settings.read_only.iter().cloned().chain(in_place).chain(links).collect();
        read.extend(tree.objects.map(Path::to_owned));
        let mut write = vec![own.temporary.clone(), own.home.clone()];
        if is_read_only { &mut read } else { &mut write }.push(workspace.clone());
        let lasting = [Some(workspace.clone()), tree.home.map(Path::to_owned)].into_iter().flatten().collect();
        let passing =
            [Some(own.temporary.clone()), tree.home.is_none().then(|| own.home.clone())].into_iter().flatten().collect();
        let places = vec![
            Place { folders: lasting, bytes: limits.disk_bytes, n_files: limits.n_files },
            Place { folders: passing, bytes: limits.tmp_bytes, n_files: limits.n_files },
        ];
        Ok(PlainExecutor {
            launcher: self.launcher.clone(),
            limits,
            workspace,
            environment: environment(&self.settings, toolchains, &own, user),
            is_read_only,
            files: Arc::new(files),
            _private: own.private,
            _pen: Some(pen),
            walls: Some(Walls { user, read, write, places }),
        })
    }
}

/// Makes the folder for temporary files, and the home directory unless it is kept.
fn own_folders(parent: &Path, kept: Option<&Path>, user: u32) -> io::Result<Own> {
    let private = PrivateFolder::new_in(parent)?;
    private.let_pass(user)?;
    let inside = private.path().canonicalize()?;
    let (temporary, home) = (inside.join("tmp"), kept.map_or_else(|| inside.join("home"), Path::to_owned));
    std::fs::create_dir(&temporary)?;
    if kept.is_none() {
        std::fs::create_dir(&home)?;
    }
    Ok(Own { private, temporary, home })
}

/// Whether a user who is in no group but its own may pass through every folder above a path.
fn is_passed(path: &Path, user: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    path.ancestors().skip(1).all(|folder| {
        std::fs::metadata(folder).is_ok_and(|found| {
            let passed = match (found.uid() == user, found.gid() == user) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            found.mode() & passed != 0
        })
    })
}

/// Leads from the home directory to what toolchains keep in the host's; returns where that is.
fn link(toolchains: &Toolchains, home: &Path) -> io::Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for ReadOnly { source, target } in &toolchains.read_only {
        let Ok(below) = target.strip_prefix(HOME) else { continue };
        let at = home.join(below);
        at.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        symlink(source, &at)?;
        sources.push(source.clone());
    }
    Ok(sources)
}

fn give(own: &Own, kept: Option<&Path>, user: u32) -> io::Result<()> {
    let folders = [Some(own.temporary.as_path()), kept.is_none().then_some(own.home.as_path())];
    folders.into_iter().flatten().try_for_each(|folder| ownership::ensure_owner(folder, user, user).map(drop))
}

/// The environment of commands, in which the home directory is where it is.
fn environment(settings: &LocalSettings, toolchains: &Toolchains, own: &Own, user: u32) -> Vec<(String, String)> {
    let text = |path: &Path| path.display().to_string();
    // A program that cannot be got to would be in the way of one that can.
    let reached = toolchains.path.iter().filter(|folder| is_passed(&folder.join("any"), user));
    let path = reached.map(|folder| text(folder)).chain([settings.path.clone()]);
    let agent = "agent".to_owned();
    let base = [
        ("HOME", text(&own.home)),
        ("LANG", "C.UTF-8".to_owned()),
        ("LOGNAME", agent.clone()),
        ("PATH", path.collect::<Vec<_>>().join(":")),
        ("TMPDIR", text(&own.temporary)),
        ("USER", agent),
    ];
    let mut all: BTreeMap<String, String> = base.map(|(name, value)| (name.to_owned(), value)).into();
    let at_home = |value: &String| match Path::new(value).strip_prefix(HOME) {
        Ok(below) => text(&own.home.join(below)),
        Err(_) => value.clone(),
    };
    all.extend(toolchains.environment.iter().map(|(name, value)| (name.clone(), at_home(value))));
    all.extend(settings.environment.iter().cloned());
    all.into_iter().collect()
}

#[async_trait]
impl Sandbox for LandlockSandbox {
    fn name(&self) -> &'static str {
        "local"
    }

    fn limits(&self) -> Limits {
        self.settings.limits.clone()
    }

    async fn probe(&self) -> Result<Capabilities, Refusal> {
        let user = self.user()?;
        // Limits are tried where workspaces are, and nowhere else.
        drop(Ground::new(&self.settings.trials)?);
        let pen = self.new_pen(&self.settings.trials, user).map_err(|error| unusable(&self.settings.trials, &error))?;
        let ground = Ground::new(pen.path())?;
        let tree = ground.workspace();
        let no_room = |error: io::Error| unusable(&tree, &error);
        // Whoever gets to the bait could read and write it, but for the rules.
        ground.give_way(user).map_err(no_room)?;
        let baits = ground.baits().map_err(no_room)?;
        let executor = self.executor(Tree::alone(&tree), Profile::Proof, self.limits()).await?;
        let probe = tried(&executor, Program::Probe(baits)).await?;
        let layers = all_holding(&probe, N_FINDINGS, REMEDY)?;
        let shell = tried(&executor, Program::Script { shell: "/bin/sh".into(), script: "exit 0".to_owned() }).await?;
        match shell.exit {
            Exit::Code(0) => {
                let small = self.executor(Tree::alone(&tree), Profile::Proof, trial::limits()).await?;
                let mut advice = WEAKER.map(str::to_owned).to_vec();
                advice.extend(self.hidden().await);
                Ok(Capabilities { isolation: Isolation::Landlock, layers, limits: trial::kept(&ground, &small).await?, advice })
            }
            exit @ (Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut | Exit::Exceeded(_)) => Err(Refusal {
                missing: format!("a shell: `exit 0` ended with {exit:?}: {}", String::from_utf8_lossy(&shell.output)),
                remedy: "install a working /bin/sh below /usr on this machine".to_owned(),
            }),
        }
    }

    async fn open(&self, tree: Tree<'_>, terms: Terms<'_>) -> Result<Box<dyn Executor>, Refusal> {
        if terms.outlet.is_some() {
            return Err(Refusal {
                missing: "a way out for setups: behind rules on files alone (Landlock) there are no sockets".to_owned(),
                remedy: "set `sandbox.egress.enabled` to false, so that setups run without a network, or let this machine give \
                         namespaces, which `patchwright doctor` says how to do"
                    .to_owned(),
            });
        }
        if tree.layer.is_some() || !tree.read_only.is_empty() {
            return Err(Refusal {
                missing: "mounts: behind rules on files alone (Landlock) everything is where it is on the host".to_owned(),
                remedy: "let this machine give namespaces, which `patchwright doctor` says how to do".to_owned(),
            });
        }
        let executor = self.executor(tree, terms.profile, self.limits()).await?;
        if !self.is_told.swap(true, Ordering::Relaxed)
            && let Some(hidden) = self.hidden().await
        {
            tracing::warn!("{hidden}; until then they are not found");
        }
        Ok(Box::new(executor))
    }

    async fn sweep(&self) -> Result<(), Refusal> {
        let Ok(user) = self.user() else { return Ok(()) };
        match tokio::task::spawn_blocking(move || orphans::end(user)).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Refusal {
                missing: format!("the end of commands whose launcher was killed: processes of user {user} go on"),
                remedy: format!("end them (`pkill -9 -U {user}`) while no server runs commands, and start it again"),
            }),
        }
    }
}

/// Runs one of our own programs of the probe.
async fn tried(executor: &PlainExecutor, program: Program) -> Result<Output, Refusal> {
    trials::outcome(executor.run(program, &trials::command(), None).await)
}
