//! The engine behind the socket: finding it, what kind it is, and a container's start and end.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions, StartContainerOptions};
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::sandbox::Refusal;

/// How long the engine may take for one answer, in seconds.
const ANSWER_SECONDS: u64 = 120;
/// How long it may take to answer whether it is there.
const GREETING_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read without the client, in bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long removing a container may take.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often it is tried, and the pause between.
const N_REMOVALS_MAX: u32 = 3;
const REMOVE_PAUSE: Duration = Duration::from_millis(500);

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
    /// The runtime that it uses unless told otherwise; Podman cannot be told otherwise over this interface.
    pub(super) default_runtime: String,
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
            match UnixStream::connect(socket).await.map(drop) {
                Ok(()) => return Engine::at(socket).await,
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
        let greeting = timeout(GREETING_TIMEOUT, greet(socket)).await.map_err(|error| silent(&error))?;
        let (kind, version) = greeting.map_err(|error| silent(&error))?;
        let path = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&path, ANSWER_SECONDS, &version).map_err(|error| silent(&error))?;
        let info = look(socket, "/info").await.map_err(|error| silent(&error))?;
        let text = |field: &str| info[field].as_str().unwrap_or_default().to_owned();
        let name = match kind {
            Kind::Podman => "Podman",
            Kind::Docker => "Docker",
        };
        let options = info["SecurityOptions"].as_array().into_iter().flatten().filter_map(Value::as_str);
        // Docker lists it among the options, Podman has a field of its own.
        let is_rootless = info["Rootless"] == true || options.into_iter().any(|option| option.contains("rootless"));
        let claims = info["MemoryLimit"] != false && info["PidsLimit"] != false;
        Ok(Engine {
            docker,
            socket: socket.to_owned(),
            kind,
            version: format!("{name} {}", text("ServerVersion")),
            is_rootless,
            default_runtime: text("DefaultRuntime"),
            keeps_limits: claims && !(is_rootless && text("CgroupVersion") == "1"),
        })
    }

    /// Checks that containers can be given this runtime.
    pub(super) fn check_runtime(&self, runtime: &str) -> Result<(), Refusal> {
        if self.kind == Kind::Docker || self.default_runtime == runtime {
            return Ok(());
        }
        Err(Refusal {
            missing: format!("the runtime `{runtime}`: {} uses `{}` for all containers", self.version, self.default_runtime),
            remedy: format!(
                "make it Podman's own: `runtime = \"{runtime}\"` below `[engine]` in its containers.conf, then restart its service"
            ),
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

    /// Asks for something about containers without the client, which does not know every state that Podman names.
    pub(super) async fn look(&self, path: &str) -> io::Result<Value> {
        look(&self.socket, path).await
    }

    /// Ends a container and removes it. What remains is found by the next sweep.
    pub(super) async fn remove(&self, name: &str) {
        let mut last = format!("no answer in {REMOVE_TIMEOUT:?}");
        for _ in 0..N_REMOVALS_MAX {
            let options = RemoveContainerOptions { v: true, force: true, link: false };
            match timeout(REMOVE_TIMEOUT, self.docker.remove_container(name, Some(options))).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) if is_absent(&error) => return,
                // It may have been ending just then; once that is over it can be removed.
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => {}
            }
            tokio::time::sleep(REMOVE_PAUSE).await;
        }
        tracing::warn!("the container {name} could not be removed: {last}");
    }

    /// What the operator is told when the engine refuses.
    pub(super) fn refusal(&self, doing: &str, error: &Error) -> Refusal {
        let message = match error {
            Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
            other => other.to_string(),
        };
        let remedy = if message.contains("ulimit") || message.contains("RLIMIT") || message.contains("rlimit") {
            "raise the limits of the engine's own service (LimitNOFILE=, LimitNPROC=), or lower `sandbox.limits`"
        } else if message.to_lowercase().contains("unknown") && message.contains("runtime") {
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

/// Asks who is there and which version of the interface both sides know. Every other request names a version, so this one
/// comes before the client.
async fn greet(socket: &Path) -> io::Result<(Kind, ClientVersion)> {
    parse(&ask(socket, "/_ping").await?).ok_or_else(no_engine)
}

/// Asks for something that is JSON.
async fn look(socket: &Path, path: &str) -> io::Result<Value> {
    let answer = timeout(GREETING_TIMEOUT, ask(socket, path)).await??;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(no_engine)?;
    let status = head.lines().next().unwrap_or_default();
    if !status.contains(" 200") {
        return Err(io::Error::other(status.to_owned()));
    }
    Ok(serde_json::from_str(body)?)
}

/// Asks for something and returns the answer as it is, head and all.
async fn ask(socket: &Path, path: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    Ok(answer)
}

fn no_engine() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "that is no container engine")
}

/// Reads the answer's head.
fn parse(answer: &str) -> Option<(Kind, ClientVersion)> {
    let mut lines = answer.lines();
    lines.next().filter(|status| status.starts_with("HTTP/1.") && status.contains(" 200"))?;
    let head: Vec<(String, &str)> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim())))
        .collect();
    let value = |wanted: &str| head.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
    let (major, minor) = value("api-version")?.split_once('.')?;
    let theirs = ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? };
    let kind = if value("libpod-api-version").is_some() { Kind::Podman } else { Kind::Docker };
    Some((kind, if theirs < *API_DEFAULT_VERSION { theirs } else { *API_DEFAULT_VERSION }))
}

/// Whether the engine says that there is no such thing.
pub(super) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
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

#[cfg(test)]
mod tests;
