//! Egress: the way out of a sandbox for a setup, a forward proxy outside that leads to the hosts on a list.
//!
//! A sandbox has no network. While a setup runs, a [`Gate`] listens on a Unix socket that is mounted inside; names are held
//! against the list before anything is resolved, addresses are checked after it, and every request is written down. It
//! fails closed: what cannot be read, matched or checked is refused. It knows no job, no store and no agent.
//!
//! A list of names keeps no secret in: whoever may write to an allowed host can write anything there. So only setups get
//! a gate, and nothing that an agent has touched runs with one.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::UnixListener;
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::private_folder::PrivateFolder;
use crate::sandbox::Outlet;

pub mod address;
pub mod dial;
pub mod ecosystems;
mod environment;
mod forward;
pub mod log;
mod meter;
pub mod name;
mod proxy;
pub mod resolve;
pub mod rules;
mod tunnel;

use dial::{Dialler, Upstream};
use ecosystems::{Found, Sources};
use forward::Clients;
use log::{Journal, Log};
use meter::Meter;
use name::Pattern;
use resolve::Resolve;
use rules::{Host, Rules};

/// What one gate lets through, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes out of the sandbox, all requests together.
    pub up_bytes: u64,
    /// Bytes into it.
    pub down_bytes: u64,
    /// Connections at a time; a further one waits.
    pub n_connections: usize,
    /// How long a request's head may take.
    pub head: Duration,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long nothing may move.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            up_bytes: 64 << 20,
            down_bytes: 4 << 30,
            n_connections: 64,
            head: Duration::from_secs(20),
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(120),
        }
    }
}

/// What is to be reached, and how.
#[derive(Clone)]
pub struct Settings {
    /// The hosts; of several entries for a name, the first with the port counts.
    pub hosts: Vec<Host>,
    /// What one gate lets through.
    pub limits: Limits,
    /// Finds addresses.
    pub resolver: Arc<dyn Resolve>,
    /// Tells the time for the log.
    pub clock: Arc<dyn Clock>,
    /// A proxy that the server itself has to go through.
    pub upstream: Option<Upstream>,
    /// Authorities beside the machine's own that hosts may be certified by, where the proxy speaks TLS itself.
    pub certificates: Vec<reqwest::Certificate>,
    /// A bundle of authorities, in PEM form, that the tools inside are to trust in the place of their own.
    pub ca_bundle: Option<String>,
    /// Where the host's tools say which registries they use; none are asked without it. They are asked once, when the first
    /// gate is opened.
    pub sources: Option<Sources>,
    /// What is carried in beside that.
    pub carried: Carried,
    /// Whether the setup of a tree that an agent has changed gets a gate too.
    pub for_patches: bool,
}

/// What is carried in of the configuration of the host's tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Variables, by name and value.
    pub environment: Vec<(String, String)>,
    /// Files, by their path inside and their content; none of it is secret.
    pub files: Vec<(PathBuf, String)>,
}

/// The egress of a server, from which every setup gets a gate of its own.
pub struct Egress {
    settings: Settings,
    found: OnceCell<Found>,
}

/// What the connections of one gate share.
struct Shared {
    rules: Rules,
    limits: Limits,
    dialler: Dialler,
    clients: Clients,
    meter: Arc<Meter>,
    journal: Journal,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    stopped: CancellationToken,
}

/// A way out that is open. Dropping it closes it and breaks off what is under way.
pub struct Gate {
    outlet: Outlet,
    journal: Journal,
    tasks: TaskTracker,
    stopped: CancellationToken,
    /// The private folder that holds the socket and what is carried in.
    _folder: PrivateFolder,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

impl Egress {
    /// An egress of these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, found: OnceCell::new() }
    }

    /// Whether the setup of a tree that an agent has changed gets a gate too, with the agent's own code in it.
    pub fn is_for_patches(&self) -> bool {
        self.settings.for_patches
    }

    /// What the host's tools use.
    pub async fn found(&self) -> &Found {
        let discovering = async {
            match &self.settings.sources {
                Some(sources) => ecosystems::discover(sources).await,
                None => Found::default(),
            }
        };
        self.found.get_or_init(|| discovering).await
    }

    /// Every host that a setup may reach.
    pub async fn hosts(&self) -> Vec<Host> {
        ecosystems::merge(&self.settings.hosts, &self.found().await.hosts)
    }

    /// Registries that the host's tools are configured to by an address, so that no setup reaches them.
    pub async fn skipped(&self) -> &[String] {
        &self.found().await.skipped
    }

    /// Every password and token that was read so far: those of the host's tools once these were asked, whether a setup can
    /// reach what they are for or not, and that of the proxy which the server goes through.
    pub fn secrets(&self) -> Vec<(&'static str, SecretString)> {
        let own = self.settings.upstream.iter().filter_map(|upstream| upstream.login.as_ref());
        let own = own.flat_map(|(username, password)| {
            rules::Credential::Password { username: username.clone(), password: password.clone() }.secrets()
        });
        let own = own.map(|secret| ("password of the server's own proxy", secret));
        let of_tools = self.found.get().into_iter().flat_map(Found::secrets);
        own.chain(of_tools.map(|secret| ("credential of a registry", secret))).collect()
    }

    /// Opens a gate for one setup.
    ///
    /// # Errors
    /// What the system says where there is no room for a socket, or why no connection could be made safely.
    pub async fn open(&self) -> io::Result<Gate> {
        self.open_by(Rules { hosts: self.hosts().await, only: None }).await
    }

    /// Opens a gate for one setup that leads, of all hosts, to these alone: what the repository wants widens nothing.
    ///
    /// # Errors
    /// As for [`Egress::open`].
    pub async fn open_to(&self, only: Vec<Pattern>) -> io::Result<Gate> {
        self.open_by(Rules { hosts: self.hosts().await, only: Some(only) }).await
    }

    async fn open_by(&self, rules: Rules) -> io::Result<Gate> {
        let settings = &self.settings;
        let found = self.found().await;
        // Only we can enter the folder; who is given the socket itself must be able to write to it, whoever that is inside.
        let folder = PrivateFolder::new()?;
        let socket = folder.path().join("outlet");
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666))?;
        let outlet = outlet(settings, &found.carried, &folder, socket)?;
        let shared = Arc::new(Shared {
            rules,
            limits: settings.limits.clone(),
            dialler: Dialler {
                resolver: Arc::clone(&settings.resolver),
                upstream: settings.upstream.clone().map(Arc::new),
                connect_timeout: settings.limits.connect,
            },
            clients: Clients::new(settings).map_err(io::Error::other)?,
            meter: Arc::new(Meter::new(settings.limits.up_bytes, settings.limits.down_bytes)),
            journal: Journal::default(),
            clock: Arc::clone(&settings.clock),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
        });
        let gate = Gate {
            outlet,
            journal: shared.journal.clone(),
            tasks: shared.tasks.clone(),
            stopped: shared.stopped.clone(),
            _folder: folder,
        };
        let (tasks, stopped) = (shared.tasks.clone(), shared.stopped.clone());
        tasks.spawn(async move {
            let _ = stopped.run_until_cancelled(accept(listener, shared)).await;
        });
        Ok(gate)
    }
}

impl Gate {
    /// What a sandbox is given.
    pub fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// Closes the gate, breaks off what is under way, and returns what was asked of it.
    pub async fn close(self) -> Log {
        self.stopped.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.journal.take()
    }
}

/// The socket, the variables and the files that a sandbox is given.
fn outlet(settings: &Settings, found: &Carried, folder: &PrivateFolder, socket: PathBuf) -> io::Result<Outlet> {
    let mut environment = environment::proxy();
    let mut read_only = Vec::new();
    let mut files: Vec<(PathBuf, &str)> = Vec::new();
    for carried in [found, &settings.carried] {
        environment.extend(carried.environment.iter().cloned());
        files.extend(carried.files.iter().map(|(target, content)| (target.clone(), content.as_str())));
    }
    // Last, so that what the operator says goes before what the tools say.
    if let Some(bundle) = &settings.ca_bundle {
        files.push((environment::CA_FILE.into(), bundle));
        environment.extend(environment::authority(environment::CA_FILE));
    }
    for (index, (target, content)) in files.into_iter().enumerate() {
        let source = folder.path().join(index.to_string());
        std::fs::write(&source, content)?;
        std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o644))?;
        read_only.push((source, target));
    }
    Ok(Outlet { socket, environment, read_only })
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(shared.limits.n_connections));
    loop {
        // A place first, so that what waits does so in the kernel's queue, which is bounded too.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, for one: a connection that ends gives one back.
                tracing::warn!(error = %error, "a setup's proxy cannot take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (serving, stopped) = (Arc::clone(&shared), shared.stopped.clone());
        shared.tasks.spawn(async move {
            let _ = stopped.run_until_cancelled(proxy::serve(stream, serving, place)).await;
        });
    }
}
