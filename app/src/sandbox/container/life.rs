//! One container from its making to its removal.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::query_parameters::WaitContainerOptions;
use futures_util::StreamExt as _;
use patchwright_launcher::resident::orders;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::private_folder::PrivateFolder;
use crate::sandbox::Refusal;
use crate::sandbox::carried::Carried;
use crate::sandbox::container::blueprint::Blueprint;
use crate::sandbox::container::engine::Engine;
use crate::sandbox::resident::{self, Session};

/// How often an engine is asked how a container ended, and how long it is between two times.
const LOOKS_MAX: u32 = 200;
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// How often it is asked for the reason after it has said that the container is over: Podman knows that a little later.
const LOOKS_BEHIND_END: u32 = 20;
/// How long the launcher may take from the container's start to its first word.
const START_TIMEOUT: Duration = Duration::from_secs(60);

static N_MADE: AtomicU64 = AtomicU64::new(0);

/// A running container, whose launcher waits for orders. Dropping it ends everything inside and removes it.
pub(super) struct Container {
    engine: Arc<Engine>,
    name: String,
    pub(super) session: Option<Session>,
    /// What the kernel inside calls itself.
    pub(super) kernel: String,
}

impl Container {
    /// Makes a container and waits until its launcher is there; with `is_talked_to`, the second value is the connection
    /// that becomes the standard input and output of the first task.
    pub(super) async fn start(
        engine: &Arc<Engine>,
        carried: &Carried,
        blueprint: &Blueprint,
        is_talked_to: bool,
    ) -> Result<(Container, Option<UnixStream>), Refusal> {
        blueprint.check()?;
        let folder = Sockets::make(is_talked_to).map_err(|error| Refusal {
            missing: format!("a folder for the launcher's sockets: {error}"),
            remedy: "let the server's user write to its temporary folder (TMPDIR), on a file system with room".to_owned(),
        })?;
        let number = N_MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("patchwright-{}-{}", std::process::id(), salt(&folder.folder, number));
        // From here on there may be a container of this name, which is removed whatever comes.
        let mut container = Container { engine: Arc::clone(engine), name, session: None, kernel: String::new() };
        engine.start(&container.name, blueprint.body(carried, &folder.inside(), &container.name)).await?;
        let accepted = tokio::select! {
            accepted = timeout(START_TIMEOUT, folder.accept()) => accepted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            ended = container.ended() => Err(io::Error::other(format!("it ended with code {ended}"))),
        };
        let (control, standard) = accepted.map_err(|error| mute(engine, blueprint, &error))?;
        let mut session = Session::new(control);
        container.kernel = resident::greet(&mut session, START_TIMEOUT).await.map_err(|error| mute(engine, blueprint, &error))?;
        container.session = Some(session);
        Ok((container, standard))
    }

    /// Waits until the container is over by itself.
    async fn ended(&self) -> i64 {
        let mut waiting = self.engine.docker.wait_container(&self.name, None::<WaitContainerOptions>);
        match waiting.next().await {
            Some(Ok(response)) => response.status_code,
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
            // The engine does not say; what was waited for besides is all that there is.
            Some(Err(_)) | None => std::future::pending().await,
        }
    }

    /// Whether the engine says that the container was ended for the memory that it took.
    pub(super) async fn is_out_of_memory(&self) -> bool {
        // The connection ends first, and the engine takes notice a little later.
        let mut n_behind_end = 0;
        for _ in 0..LOOKS_MAX {
            let Ok(found) = self.engine.look(&format!("/containers/{}/json", self.name)).await else { return false };
            if found["State"]["OOMKilled"] == true {
                return true;
            }
            n_behind_end += u32::from(found["State"]["Running"] == false);
            if n_behind_end > LOOKS_BEHIND_END {
                return false;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        false
    }

    /// Ends everything inside; the container is gone when this returns.
    pub(super) async fn remove(mut self) {
        let name = std::mem::take(&mut self.name);
        self.engine.remove(&name).await;
    }
}

impl Drop for Container {
    /// The engine ends it behind us, within its time. The connection is held until then, for Podman may wait for ever for
    /// a container that ends by itself while it is being removed; where nobody is left to wait, its closing is the end.
    fn drop(&mut self) {
        let (name, session) = (std::mem::take(&mut self.name), self.session.take());
        if let (false, Ok(runtime)) = (name.is_empty(), tokio::runtime::Handle::try_current()) {
            let engine = Arc::clone(&self.engine);
            runtime.spawn(async move {
                engine.remove(&name).await;
                drop(session);
            });
        }
    }
}

fn mute(engine: &Engine, blueprint: &Blueprint, error: &io::Error) -> Refusal {
    let remedy = if blueprint.runtime.is_some() {
        "let the runtime pass Unix sockets into containers (for gVisor register it with `--host-uds=open`); the image must be \
         for this machine's kind of processor"
    } else {
        "run the server on the engine's own machine and as a user whose temporary folder (TMPDIR) the engine sees, with an \
         image for this machine's kind of processor"
    };
    Refusal {
        missing: format!("the launcher in a container of {} made of `{}`: {error}", engine.version, blueprint.image.name),
        remedy: remedy.to_owned(),
    }
}

/// A part of a name that no other container has, from the random name of the folder.
fn salt(folder: &PrivateFolder, number: u64) -> String {
    let name = folder.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let random: String = name.chars().rev().take_while(char::is_ascii_alphanumeric).collect();
    format!("{number}-{random}")
}

/// The sockets on which the launcher is awaited. Each takes one connection, before anything else runs inside, and is gone.
struct Sockets {
    folder: PrivateFolder,
    control: UnixListener,
    standard: Option<UnixListener>,
}

impl Sockets {
    /// The outer folder is ours alone; the inner one, which is mounted, may be entered by whoever the commands are.
    fn make(is_talked_to: bool) -> io::Result<Sockets> {
        let folder = PrivateFolder::new()?;
        let inside = folder.path().join("session");
        std::fs::create_dir(&inside)?;
        std::fs::set_permissions(&inside, PermissionsExt::from_mode(0o755))?;
        let listen = |path: &str| {
            let path = inside.join(Path::new(path).file_name().unwrap_or_default());
            let listener = UnixListener::bind(&path)?;
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666))?;
            Ok::<_, io::Error>(listener)
        };
        let standard = is_talked_to.then(|| listen(orders::STANDARD)).transpose()?;
        Ok(Sockets { control: listen(orders::CONTROL)?, standard, folder })
    }

    fn inside(&self) -> std::path::PathBuf {
        self.folder.path().join("session")
    }

    async fn accept(&self) -> io::Result<(UnixStream, Option<UnixStream>)> {
        let (control, _) = self.control.accept().await?;
        let standard = match &self.standard {
            Some(listener) => Some(listener.accept().await?.0),
            None => None,
        };
        Ok((control, standard))
    }
}
