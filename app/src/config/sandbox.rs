//! What every command of an agent, a setup or a test is confined to, as the operator sets it.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::container::Container;
use crate::config::egress::Egress;
use crate::config::kubernetes::Kubernetes;
use crate::sandbox::{self, Isolation};

const MIB: u64 = 1024 * 1024;

/// What runs the commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutorKind {
    /// Namespaces of this machine's kernel; nothing has to be installed.
    #[default]
    Local,
    /// Docker or Podman, behind their socket.
    Container,
    /// A Kubernetes cluster.
    Kubernetes,
    /// Nothing: commands are run as the server's own user.
    None,
}

impl ExecutorKind {
    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Container => "container",
            Self::Kubernetes => "kubernetes",
            Self::None => "none",
        }
    }
}

/// What every command of an agent, a setup or a test is confined to.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// What runs the commands: `local`, namespaces of this machine's kernel, `container`, Docker or Podman, or `kubernetes`.
    /// `none` contains nothing: it is for machines that are thrown away after the run, and has to be wanted twice, here and
    /// with `--without-sandbox`; every pull request then says so.
    pub executor: ExecutorKind,
    /// The weakest walls with which a repository's code is run: `landlock`, `namespaces`, `container` or `kernel`; `none` for
    /// the executor `none` alone. With `landlock` the executor `local` takes rules on files alone (Linux 6.12) where the kernel
    /// gives no namespaces, as in containers started with defaults: commands then make no socket, so that tests on the loopback
    /// fail, setups have no way out (`sandbox.egress.enabled = false`) and no agent but the built-in one works.
    #[schemars(with = "String")]
    pub isolation: Isolation,
    /// Whether containers run the image that a repository's `devcontainer.json` names, where its policy names none. It
    /// is read from the base alone, and `sandbox.container.allowed_images` holds for it: an image is code of strangers, and
    /// fetching one costs time and reaches a registry.
    pub devcontainer: bool,
    /// Further host folders that commands may read, such as a toolchain outside of `/usr`.
    pub read_only: Vec<PathBuf>,
    /// What commands may use.
    pub limits: Limits,
    /// What a repository's setup may reach; everything else runs without a network.
    pub egress: Egress,
    /// How Docker or Podman runs commands. Whoever can use its socket is as good as root there, unless it is rootless.
    pub container: Container,
    /// How a Kubernetes cluster runs commands: one Pod for each executor, in a namespace of their own.
    pub kubernetes: Kubernetes,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            executor: ExecutorKind::default(),
            isolation: Isolation::Namespaces,
            devcontainer: false,
            read_only: Vec::new(),
            limits: Limits::default(),
            egress: Egress::default(),
            container: Container::default(),
            kubernetes: Kubernetes::default(),
        }
    }
}

impl Sandbox {
    /// Whether `devcontainer.json` is read: wanted, and of use to the executor.
    pub fn reads_devcontainer(&self) -> bool {
        let runs_images = match self.executor {
            ExecutorKind::Container => true,
            // Pods run the operator's image alone.
            ExecutorKind::Kubernetes | ExecutorKind::Local | ExecutorKind::None => false,
        };
        self.devcontainer && runs_images
    }

    /// No minimum would be kept by what has walls, and looked at by whoever reads the file.
    fn check_walls(&self) -> Result<(), String> {
        if self.isolation != Isolation::None {
            return Ok(());
        }
        Err(format!(
            "`sandbox.isolation` is `none`, which is for the executor `none` alone, and `sandbox.executor` is `{}`: demand what it \
             gives, such as `namespaces`",
            self.executor.as_str()
        ))
    }

    /// The images that a repository's `devcontainer.json` may name, where it is read: the allowed ones and the operator's own.
    pub fn devcontainer_images(&self) -> Option<Vec<String>> {
        let images = self.container.allowed_images.iter().chain(&self.container.image);
        self.reads_devcontainer().then(|| images.cloned().collect())
    }

    /// Says what does not go together, naming the keys.
    pub(super) fn check(&self) -> Result<(), String> {
        self.egress.check()?;
        self.limits.check()?;
        if self.devcontainer && self.executor != ExecutorKind::Container {
            return Err(format!(
                "`sandbox.devcontainer` is of use to the executor `container` alone, and `sandbox.executor` is `{}`: take one of \
                 the two back",
                self.executor.as_str()
            ));
        }
        if self.devcontainer && self.container.allowed_images.is_empty() {
            return Err(
                "`sandbox.devcontainer` is true, and `sandbox.container.allowed_images` allows no image: name those that \
                 repositories may have, such as `[\"node:*\"]`"
                    .to_owned(),
            );
        }
        if self.executor != ExecutorKind::None {
            return self.check_walls();
        }
        if self.isolation != Isolation::None {
            let isolation = self.isolation;
            return Err(format!(
                "`sandbox.executor` is `none`, which contains nothing, and `sandbox.isolation` demands `{isolation}`: on a \
                 machine that is thrown away after the run set `sandbox.isolation` to `none` too, otherwise use another executor"
            ));
        }
        if self.egress.enabled {
            return Err("`sandbox.executor` is `none`, which keeps nobody to the hosts of `sandbox.egress`: set \
                 `sandbox.egress.enabled` to false, or use another executor"
                .to_owned());
        }
        Ok(())
    }
}

impl Limits {
    /// Says what nothing could run with, or no machine could keep, naming the key.
    fn check(&self) -> Result<(), String> {
        /// More than any machine has, in MiB, and far from what overflows.
        const MIB_MAX: u64 = 1 << 30;
        /// As long as a processor is waited for, in seconds: a year.
        const CPU_SECONDS_MAX: u64 = 365 * 24 * 3600;
        /// The most numbers of processes that Linux has.
        const PROCESSES_MAX: u64 = 1 << 22;
        let bounds = [
            ("processes", self.processes, 8, PROCESSES_MAX),
            ("open_files", self.open_files, 32, 1 << 20),
            ("memory_mib", self.memory_mib, 64, MIB_MAX),
            ("cpu_seconds", self.cpu_seconds, 1, CPU_SECONDS_MAX),
            ("file_mib", self.file_mib, 1, MIB_MAX),
            ("tmp_mib", self.tmp_mib, 1, MIB_MAX),
            ("disk_mib", self.disk_mib, 1, MIB_MAX),
            ("files", self.files, 64, 1 << 40),
            ("output_mib", self.output_mib, 1, MIB_MAX),
            ("grace_ms", self.grace_ms, 0, 600_000),
        ];
        let wrong = bounds.iter().find(|(_, value, least, most)| value < least || value > most);
        wrong.map_or(Ok(()), |(key, value, least, most)| {
            Err(format!("`sandbox.limits.{key}` is {value}, and must be between {least} and {most}"))
        })
    }
}

/// What one sandbox may use; `patchwright doctor` says how each of these is kept on this machine.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Processes and threads at a time.
    pub processes: u64,
    /// Open files of each process.
    pub open_files: u64,
    /// Memory of all processes together with `/tmp`, in MiB.
    pub memory_mib: u64,
    /// Processor time that a command may use in total, all of its processes together, in seconds; without a sandbox that of
    /// each process.
    pub cpu_seconds: u64,
    /// The largest file that can be written, in MiB.
    pub file_mib: u64,
    /// The size of the private `/tmp`, in MiB.
    pub tmp_mib: u64,
    /// What workspace and home directory may take on the disk, in MiB.
    pub disk_mib: u64,
    /// How many files and directories they may have.
    pub files: u64,
    /// What a command may print before it is killed, in MiB.
    pub output_mib: u64,
    /// How long a command has to end after it was asked to, in milliseconds; then it is killed.
    pub grace_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = sandbox::Limits::default();
        Self {
            processes: limits.n_processes,
            open_files: limits.n_open_files,
            memory_mib: limits.memory_bytes / MIB,
            cpu_seconds: limits.cpu_seconds,
            file_mib: limits.file_bytes / MIB,
            tmp_mib: limits.tmp_bytes / MIB,
            disk_mib: limits.disk_bytes / MIB,
            files: limits.n_files,
            output_mib: limits.output_bytes / MIB,
            grace_ms: u64::try_from(limits.grace.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Limits {
    /// As the sandbox counts them.
    pub fn limits(&self) -> sandbox::Limits {
        sandbox::Limits {
            n_processes: self.processes,
            n_open_files: self.open_files,
            memory_bytes: self.memory_mib.saturating_mul(MIB),
            cpu_seconds: self.cpu_seconds,
            file_bytes: self.file_mib.saturating_mul(MIB),
            tmp_bytes: self.tmp_mib.saturating_mul(MIB),
            disk_bytes: self.disk_mib.saturating_mul(MIB),
            n_files: self.files,
            output_bytes: self.output_mib.saturating_mul(MIB),
            grace: Duration::from_millis(self.grace_ms),
        }
    }
}
