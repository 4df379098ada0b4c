//! How a container engine runs commands, as the operator sets it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When an image is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pull {
    /// When the engine does not have it.
    #[default]
    Missing,
    /// Never.
    Never,
}

/// How Docker or Podman runs commands. Whoever can use its socket is as good as root there, unless it is rootless.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Container {
    /// The engine's socket; without one `DOCKER_HOST`, and then the usual places: the user's Podman, the machine's Podman,
    /// Docker.
    pub socket: Option<PathBuf>,
    /// The image for repositories that name none: with a shell, and the toolchains that they need.
    pub image: Option<String>,
    /// Which images a repository may name; `*` stands for any characters.
    pub allowed_images: Vec<String>,
    /// When an image is fetched: `missing`, if the engine does not have it, or `never`.
    pub pull: Pull,
    /// How long fetching one may take, in seconds.
    pub pull_timeout_seconds: u64,
    /// The engine's runtime, such as `runsc` for gVisor, which gives every container a kernel of its own.
    pub runtime: Option<String>,
    /// How many processors one container may use, such as `1.5`; all without it.
    pub cpus: Option<f64>,
}

impl Default for Container {
    fn default() -> Self {
        Self {
            socket: None,
            image: None,
            allowed_images: Vec::new(),
            pull: Pull::default(),
            pull_timeout_seconds: 900,
            runtime: None,
            cpus: None,
        }
    }
}

impl Container {
    /// Where an engine is looked for, in this order; `variable` reads the environment.
    pub fn sockets(&self, variable: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        if let Some(socket) = &self.socket {
            return vec![without_scheme(&socket.to_string_lossy())];
        }
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(host) = set("DOCKER_HOST") {
            return vec![without_scheme(&host)];
        }
        let own = set("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("podman/podman.sock"));
        let usual = ["/run/podman/podman.sock", "/var/run/docker.sock"].map(PathBuf::from);
        own.into_iter().chain(usual).collect()
    }

    /// How long fetching an image may take.
    pub fn pull_timeout(&self) -> Duration {
        Duration::from_secs(self.pull_timeout_seconds)
    }
}

fn without_scheme(address: &str) -> PathBuf {
    PathBuf::from(address.strip_prefix("unix://").unwrap_or(address))
}
