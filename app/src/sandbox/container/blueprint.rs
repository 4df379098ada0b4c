//! What a container is made of: everything that the engine is told about it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, ResourcesUlimits};
use patchwright_launcher::resident::orders::TaskLimits;
use patchwright_launcher::spec::{Bridge, HOME, WORKSPACE};
use rustix::process::{Resource, getegid, geteuid, getrlimit};

use crate::sandbox::carried::{Carried, LOADED};
use crate::sandbox::container::engine::{Engine, Kind};
use crate::sandbox::container::image::Image;
use crate::sandbox::container::leftovers;
use crate::sandbox::kernels;
use crate::sandbox::{Limits, OBJECTS, OUTLET_PORT, Outlet, Profile, Refusal, Terms, Tree};

/// Where the folder with the launcher's sockets is inside.
const SESSION: &str = "/opt/patchwright/session";
/// Where an outlet's socket is inside.
const OUTLET: &str = "/opt/patchwright/outlet";
/// The bridge, and two threads for each of its connections.
const BRIDGE_PROCESSES_MAX: u64 = 1 + 2 * 64;
const KERNEL_PROCESSES_MAX: u64 = 512;
const KERNEL_MEMORY_BYTES: u64 = 256 << 20;
/// The size of the places that nobody writes much to.
const SMALL_BYTES: u64 = 16 << 20;

/// Who the commands are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether the engine must be told to leave this user's id as it is.
    is_kept: bool,
}

/// A container that could be made any number of times.
#[derive(Clone)]
pub(super) struct Blueprint {
    pub(super) image: Image,
    pub(super) user: User,
    pub(super) workspace: PathBuf,
    pub(super) is_workspace_read_only: bool,
    /// Whether setuid and setgid bits are refused, for a tree that stays after the executor.
    pub(super) refuses_set_id: bool,
    home: Option<PathBuf>,
    /// Host files and folders and where they are inside, read only.
    pub(super) read_only: Vec<(PathBuf, String)>,
    pub(super) bridge: Option<Bridge>,
    /// What every command finds in its environment.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) limits: Limits,
    pub(super) runtime: Option<String>,
    pub(super) cpus: Option<f64>,
    keeps_limits: bool,
    /// The runtime that the engine uses where none is named.
    default_runtime: String,
}

/// Who the commands are, so that what they write is ours: as root the sandbox's own user, otherwise we.
pub(super) fn user(engine: &Engine, uid: u32) -> Result<User, Refusal> {
    let own = geteuid();
    match (engine.is_rootless, engine.kind, own.is_root()) {
        (false, _, true) if uid == 0 => Err(Refusal {
            missing: "a user for the commands: the sandbox's uid is 0".to_owned(),
            remedy: "set it to an id that nothing else on this machine uses, such as 65532".to_owned(),
        }),
        (false, _, true) => Ok(User { uid, gid: uid, is_kept: false }),
        (false, _, false) => Ok(User { uid: own.as_raw(), gid: getegid().as_raw(), is_kept: false }),
        (true, Kind::Podman, false) => Ok(User { uid: own.as_raw(), gid: getegid().as_raw(), is_kept: true }),
        (true, Kind::Podman, true) => Err(Refusal {
            missing: format!("an engine of this user: {} at {} is another user's", engine.version, engine.socket.display()),
            remedy: "run the server as the user whose rootless engine it is, or name root's own socket in \
                     `sandbox.container.socket`"
                .to_owned(),
        }),
        (true, Kind::Docker, _) => Err(Refusal {
            missing: format!("a plain user in containers whose files are the server's: rootless {} has none", engine.version),
            remedy: "use rootless Podman, whose containers can keep the user's id, or Docker that runs as root".to_owned(),
        }),
    }
}

impl Blueprint {
    pub(super) fn new(engine: &Engine, image: Image, user: User, tree: Tree<'_>, terms: Terms<'_>, limits: Limits) -> Blueprint {
        let objects = tree.objects.map(|objects| (absolute(objects), OBJECTS.to_owned()));
        let outlet = terms.outlet.map(|outlet| (absolute(&outlet.socket), OUTLET.to_owned()));
        let brought = tree.read_only.iter().chain(terms.outlet.iter().flat_map(|outlet| &outlet.read_only));
        let brought = brought.map(|(source, target)| (absolute(source), target.display().to_string()));
        let is_workspace_read_only = match terms.profile {
            Profile::Setup | Profile::Agent | Profile::Proof => false,
            Profile::Reader => true,
        };
        Blueprint {
            environment: environment(&image, terms.outlet),
            image,
            user,
            workspace: absolute(tree.path),
            is_workspace_read_only,
            refuses_set_id: !tree.is_owned,
            home: tree.home.map(absolute),
            read_only: objects.into_iter().chain(outlet).chain(brought).collect(),
            bridge: terms.outlet.map(|_| Bridge { port: OUTLET_PORT, socket: OUTLET.into() }),
            limits,
            runtime: None,
            cpus: None,
            keeps_limits: engine.keeps_limits,
            default_runtime: engine.default_runtime.clone(),
        }
    }

    /// Checks that what is to be mounted is there: some engines make folders of what is not.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let sources = self.read_only.iter().map(|(source, _)| source).chain([&self.workspace]).chain(&self.home);
        for source in sources {
            std::fs::symlink_metadata(source).map_err(|error| Refusal {
                missing: format!("{}: {error}", source.display()),
                remedy: "make the path exist, or take it out of the sandbox's read-only paths".to_owned(),
            })?;
        }
        Ok(())
    }

    /// What the launcher is told about each command.
    pub(super) fn task_limits(&self) -> TaskLimits {
        TaskLimits {
            // Counted for the user, so only where each container has a user or a kernel of its own.
            n_processes: (self.has_own_kernel() || (!self.keeps_limits && self.user.is_kept)).then_some(self.limits.n_processes),
            n_open_files: self.limits.n_open_files,
            cpu_seconds: self.limits.cpu_seconds,
            file_bytes: self.limits.file_bytes,
            // A kernel of its own is ended whole by the machine's, so the launcher comes first.
            polled_memory_bytes: (self.has_own_kernel() || !self.keeps_limits).then_some(self.limits.memory_bytes),
            disk_bytes: self.limits.disk_bytes,
            n_files: self.limits.n_files,
            is_home_kept: self.home.is_some(),
        }
    }

    /// What the engine is told; `session` is the host's folder with the launcher's sockets.
    pub(super) fn body(&self, carried: &Carried, session: &Path, name: &str) -> ContainerCreateBody {
        let mut mounts = vec![mount(&self.workspace, WORKSPACE, self.is_workspace_read_only), mount(session, SESSION, true)];
        mounts.extend(self.home.iter().map(|home| mount(home, HOME, false)));
        let further = carried.instead.iter().chain(&carried.files).chain(&self.read_only);
        mounts.extend(further.map(|(source, target)| mount(source, target, true)));
        // The variables of the image are for the commands, which get them from the launcher. The launcher itself gets none:
        // some have its loader load what the image wants.
        let names = LOADED.into_iter().chain(self.image.environment.keys().map(String::as_str));
        let environment = names.collect::<BTreeSet<_>>().into_iter().map(|name| format!("{name}=")).collect();
        ContainerCreateBody {
            image: Some(self.image.name.clone()),
            entrypoint: Some(carried.arguments.clone()),
            cmd: Some(Vec::new()),
            env: Some(environment),
            user: Some(format!("{}:{}", self.user.uid, self.user.gid)),
            working_dir: Some("/".to_owned()),
            hostname: Some("sandbox".to_owned()),
            labels: Some(leftovers::labels(name)),
            host_config: Some(self.host(mounts)),
            ..ContainerCreateBody::default()
        }
    }

    fn host(&self, mounts: Vec<Mount>) -> HostConfig {
        let own_kernel = if self.has_own_kernel() { KERNEL_MEMORY_BYTES } else { 0 };
        let memory = signed(self.limits.memory_bytes.saturating_add(own_kernel));
        HostConfig {
            mounts: Some(mounts),
            tmpfs: Some(self.places_in_memory()),
            shm_size: Some(signed(self.limits.tmp_bytes)),
            readonly_rootfs: Some(true),
            network_mode: Some("none".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            // A label would keep the launcher from its socket, and the workspace from everybody.
            security_opt: Some(vec!["no-new-privileges".to_owned(), "label=disable".to_owned()]),
            userns_mode: self.user.is_kept.then(|| "keep-id".to_owned()),
            memory: Some(memory),
            memory_swap: Some(memory),
            pids_limit: Some(signed(self.n_pids())),
            nano_cpus: self.cpus.map(|cpus| (cpus * 1e9) as i64),
            ulimits: Some(vec![
                ulimit("nofile", Some(self.limits.n_open_files), Resource::Nofile),
                ulimit("nproc", pid_max(), Resource::Nproc),
            ]),
            // What commands print comes by the launcher's connection; a log of it would fill the disk.
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            runtime: self.runtime.clone(),
            ..HostConfig::default()
        }
    }

    /// The runtime that makes the container.
    pub(super) fn runtime_name(&self) -> &str {
        self.runtime.as_ref().unwrap_or(&self.default_runtime)
    }

    /// Whether the container is to have a kernel of its own, which then takes processes and memory of the machine for itself,
    /// and more than one process for one inside.
    fn has_own_kernel(&self) -> bool {
        kernels::are_of(self.runtime_name())
    }

    /// The processes of the machine that the container may take.
    fn n_pids(&self) -> u64 {
        let inside = self.limits.n_processes.saturating_add(self.n_own_processes());
        if self.has_own_kernel() { inside.saturating_mul(2).saturating_add(KERNEL_PROCESSES_MAX) } else { inside }
    }

    /// The processes that are ours: the launcher, and the bridge if there is one.
    fn n_own_processes(&self) -> u64 {
        1 + self.bridge.as_ref().map_or(0, |_| BRIDGE_PROCESSES_MAX)
    }

    fn places_in_memory(&self) -> HashMap<String, String> {
        let place = |path: &str, options: &str, bytes: u64| (path.to_owned(), format!("rw,nosuid,nodev,{options},size={bytes}"));
        let tmp_bytes = self.limits.tmp_bytes;
        let home = self.home.is_none().then(|| place(HOME, "exec,mode=1777", tmp_bytes));
        let others = [
            place("/tmp", "exec,mode=1777", tmp_bytes),
            place("/var/tmp", "exec,mode=1777", tmp_bytes),
            place("/run", "noexec,mode=755", SMALL_BYTES),
        ];
        others.into_iter().chain(home).collect()
    }
}

fn environment(image: &Image, outlet: Option<&Outlet>) -> BTreeMap<String, String> {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut all = BTreeMap::from([("LANG".to_owned(), "C.UTF-8".to_owned()), ("PATH".to_owned(), PATH.to_owned())]);
    all.extend(image.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
    let fixed = [("HOME", HOME), ("LOGNAME", "agent"), ("TMPDIR", "/tmp"), ("USER", "agent")];
    all.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all.extend(outlet.into_iter().flat_map(|outlet| outlet.environment.iter().cloned()));
    all
}

fn absolute(path: &Path) -> PathBuf {
    // The engine has a working directory of its own; where there is no such path, it says so.
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn mount(source: &Path, target: &str, is_read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(is_read_only),
        ..Mount::default()
    }
}

/// A limit of each process, no higher than our own: neither we nor an engine of our user may raise that.
fn ulimit(name: &str, most: Option<u64>, resource: Resource) -> ResourcesUlimits {
    /// As engines write it.
    const NONE: i64 = -1;
    let least = most.into_iter().chain(getrlimit(resource).maximum).min().map_or(NONE, signed);
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(least), hard: Some(least) }
}

/// How many processes the machine can number. Podman lowers its own limit to that, and may then raise no container's above.
fn pid_max() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/kernel/pid_max").ok()?.trim().parse().ok()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
