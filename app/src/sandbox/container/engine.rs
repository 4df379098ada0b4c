//! The engine behind the socket: finding it, what kind it is, and a container's start and end.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions, StartContainerOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::sandbox::Refusal;

/// How long the engine may take for one answer, in seconds.
const ANSWER_SECONDS: u64 = 120;
/// How long it may take to answer whether it is there.
const GREETING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long removing a container may take.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(60);

/// An engine that answers.
#[derive(Clone)]
pub(super) struct Engine {
    pub(super) docker: Docker,
    pub(super) socket: PathBuf,
    pub(super) kind: Kind,
    /// Its name and version.
    pub(super) version: String,
    /// Whether it runs as a plain user, so that a container's root is none.
    pub(super) is_rootless: bool,
    /// Whether it says that it keeps limits on memory and processes. A rootless engine on control groups of version 1
    /// says so and keeps none.
    pub(super) keeps_limits: bool,
}

/// What is behind a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Podman.
    Podman,
    /// Docker, or something that speaks like it.
    Docker,
}

impl Engine {
    /// Finds the first socket behind which an engine answers.
    pub(super) async fn find(sockets: &[PathBuf]) -> Result<Engine, Refusal> {
        let mut misses = Vec::new();
        for socket in sockets {
            match UnixStream::connect(socket).await {
                Ok(_) => return Engine::at(socket).await,
                Err(error) => misses.push((socket.as_path(), error)),
            }
        }
        Err(nobody(&misses))
    }

    async fn at(socket: &Path) -> Result<Engine, Refusal> {
        let silent = |error: &dyn std::fmt::Display| Refusal {
            missing: format!("an answer of the container engine at {}: {error}", socket.display()),
            remedy: "look into the engine's log and restart it: `systemctl restart docker`, or `systemctl --user restart \
                     podman.socket`"
                .to_owned(),
        };
        let path = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&path, ANSWER_SECONDS, API_DEFAULT_VERSION).map_err(|error| silent(&error))?;
        let asked = timeout(GREETING_TIMEOUT, async {
            let docker = docker.negotiate_version().await?;
            let (version, info) = tokio::try_join!(docker.version(), docker.info())?;
            Ok::<_, Error>((docker, version, info))
        });
        let (docker, version, info) = asked.await.map_err(|error| silent(&error))?.map_err(|error| silent(&error))?;
        let components = version.components.unwrap_or_default();
        let is_podman = components.iter().any(|component| component.name.contains("Podman"));
        let (kind, name) = if is_podman { (Kind::Podman, "Podman") } else { (Kind::Docker, "Docker") };
        let is_rootless = info.security_options.unwrap_or_default().iter().any(|option| option.contains("rootless"));
        let is_version_1 = info.cgroup_version.is_some_and(|version| version.to_string() == "1");
        let claims = info.memory_limit.unwrap_or(true) && info.pids_limit.unwrap_or(true);
        Ok(Engine {
            docker,
            socket: socket.to_owned(),
            kind,
            version: format!("{name} {}", version.version.unwrap_or_default()),
            is_rootless,
            keeps_limits: claims && !(is_rootless && is_version_1),
        })
    }

    /// Makes a container and starts it.
    pub(super) async fn start(&self, name: &str, body: ContainerCreateBody) -> Result<(), Refusal> {
        let options = CreateContainerOptions { name: Some(name.to_owned()), platform: String::new() };
        let created = self.docker.create_container(Some(options), body).await;
        created.map_err(|error| self.refusal("making a container", &error))?;
        let started = self.docker.start_container(name, None::<StartContainerOptions>).await;
        if let Err(error) = started {
            self.remove(name).await;
            return Err(self.refusal("starting a container", &error));
        }
        Ok(())
    }

    /// Ends a container and removes it. What remains is found by the next sweep.
    pub(super) async fn remove(&self, name: &str) {
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        match timeout(REMOVE_TIMEOUT, self.docker.remove_container(name, Some(options))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if is_absent(&error) => {}
            Ok(Err(error)) => tracing::warn!("the container {name} could not be removed: {error}"),
            Err(_) => tracing::warn!("the container {name} could not be removed in {REMOVE_TIMEOUT:?}"),
        }
    }

    /// What the operator is told when the engine refuses.
    pub(super) fn refusal(&self, doing: &str, error: &Error) -> Refusal {
        let message = match error {
            Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
            other => other.to_string(),
        };
        let remedy = if message.contains("ulimit") || message.contains("RLIMIT") || message.contains("rlimit") {
            "raise the limits of the engine's own service (LimitNOFILE=, LimitNPROC=), or lower `sandbox.limits`"
        } else if message.contains("runtime") && message.contains("not found") || message.contains("unknown or invalid runtime") {
            "register the runtime of `sandbox.container.runtime` with the engine, or take the key out"
        } else if message.contains("cgroup") {
            "give the engine control groups: for rootless Podman `Delegate=yes` on user@.service, for Podman on a machine with \
             control groups of version 1 the runtime runc"
        } else if message.contains("no such file or directory") || message.contains("invalid mount") {
            "run the server on the engine's own machine and with the same file system: it must find the same paths"
        } else if message.contains("no space") {
            "free some space where the engine keeps its containers"
        } else {
            "look into the engine's log, and try it by hand: `podman run --rm IMAGE true` or `docker run --rm IMAGE true`"
        };
        Refusal { missing: format!("{doing} with {}: {message}", self.version), remedy: remedy.to_owned() }
    }
}

/// Whether the engine says that there is no such thing, or that it is going already.
pub(super) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404 | 409, .. })
}

/// Why nobody answered, the most telling reason first.
fn nobody(misses: &[(&Path, io::Error)]) -> Refusal {
    let of = |kind| misses.iter().find(|(_, error)| error.kind() == kind);
    if let Some((socket, _)) = of(io::ErrorKind::PermissionDenied) {
        return Refusal {
            missing: format!("permission to use the container engine's socket {}", socket.display()),
            remedy: "let the server's user into its group (`usermod -aG docker USER`, then start the server anew), which makes \
                     that user as good as root; or use that user's own rootless Podman: `systemctl --user enable --now \
                     podman.socket`"
                .to_owned(),
        };
    }
    if let Some((socket, _)) = of(io::ErrorKind::ConnectionRefused) {
        return Refusal {
            missing: format!("a container engine behind {}: nobody listens there", socket.display()),
            remedy: "start it: `systemctl start docker`, `systemctl start podman.socket`, or for rootless Podman \
                     `systemctl --user enable --now podman.socket`"
                .to_owned(),
        };
    }
    let places: Vec<String> = misses.iter().map(|(socket, _)| socket.display().to_string()).collect();
    Refusal {
        missing: format!("a container engine: there is no socket at {}", places.join(", ")),
        remedy: "install one (`apt-get install podman uidmap slirp4netns fuse-overlayfs`, then `systemctl --user enable --now \
                 podman.socket`; or `apt-get install docker.io`), or name its socket in `sandbox.container.socket`"
            .to_owned(),
    }
}
