//! git over HTTP: real `git http-backend` behind the same tokens as the API.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::{
    Shared,
    access::Denied,
    fault::{self, Effect, FaultyAnswer},
    scene::RepositoryId,
    world::World,
};

/// The most bytes of a pack, in either direction.
pub(super) const PACK_BYTES_MAX: usize = 64 << 20;

/// How long one request to `git http-backend` may take.
pub(super) const BACKEND_SECONDS_MAX: u64 = 60;

/// Refuses a push to a protected branch, one that brings workflows without the permission for it, and every push while
/// a fault says so.
const UPDATE_HOOK: &str = r#"#!/bin/sh
case " $REHEARSAL_PROTECTED " in
*" $1 "*) echo "error: GH006: Protected branch update failed for $1." >&2; exit 1 ;;
esac
workflows=
if [ "$REHEARSAL_WORKFLOWS" != write ] && [ "$3" != 0000000000000000000000000000000000000000 ]; then
  workflows=$(git log --format= --name-only "$3" --not --all -- .github/workflows | sort -u)
fi
if [ -n "$workflows" ]; then
  echo "refusing to allow a GitHub App to create or update workflow \`$workflows\` without \`workflows\` permission" >&2
  exit 1
fi
if [ -n "$REHEARSAL_REFUSAL" ]; then echo "$REHEARSAL_REFUSAL" >&2; exit 1; fi
"#;

/// A request of a git client.
pub(super) struct Request {
    pub(super) method: String,
    /// The whole path, such as `/owner/name.git/info/refs`.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What the git client gets.
pub(super) enum Answer {
    Response { status: StatusCode, headers: Vec<(String, String)>, body: Vec<u8> },
    Disconnect,
    Silent,
}

/// What `git http-backend` needs to know.
struct Backend {
    repo: RepositoryId,
    root: PathBuf,
    hooks: PathBuf,
    path_info: String,
    protected: String,
    workflows: &'static str,
    refusal: String,
    pusher: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Fetch,
    Push,
}

/// Writes the hook that all repositories share into the folder `hooks` below the root.
pub(super) fn install_hooks(root: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let hooks = root.join("hooks");
    std::fs::create_dir_all(&hooks)?;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o755).open(hooks.join("update"))?;
    std::io::Write::write_all(&mut file, UPDATE_HOOK.as_bytes())
}

/// Answers a git client.
pub(super) async fn answer(shared: Arc<Shared>, request: Request) -> Answer {
    let fault = shared.with(|world| fault::strike(&mut world.faults, &request.method, &request.path));
    let refusal = match &fault {
        Some(fault::Fault { answer: FaultyAnswer::RefusePush(message), .. }) => message.clone(),
        _ => String::new(),
    };
    let fault = fault.filter(|fault| !matches!(fault.answer, FaultyAnswer::RefusePush(_)));
    let withheld = fault.as_ref().is_some_and(|fault| fault.effect == Effect::Withheld);
    let served = if withheld { plain(StatusCode::OK, "") } else { serve(shared, request, refusal).await };
    match fault.map(|fault| fault.answer) {
        None | Some(FaultyAnswer::RefusePush(_)) => served,
        Some(FaultyAnswer::Disconnect) => Answer::Disconnect,
        Some(FaultyAnswer::Silence) => Answer::Silent,
        Some(FaultyAnswer::Response { status, headers, body }) => Answer::Response {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body: body["message"].as_str().unwrap_or_default().as_bytes().to_vec(),
        },
    }
}

async fn serve(shared: Arc<Shared>, request: Request, refusal: String) -> Answer {
    let Some((owner, name, rest, service)) = parse(&request) else { return plain(StatusCode::NOT_FOUND, "Not Found") };
    let authorization = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let admitted = shared.with(|world| admit(world, &owner, &name, service, authorization));
    let mut backend = match admitted {
        Ok(backend) => backend,
        Err(refused) => return refused,
    };
    backend.path_info += &rest;
    backend.refusal = refusal;
    let run = tokio::time::timeout(Duration::from_secs(BACKEND_SECONDS_MAX), run(&backend, &request)).await;
    if service == Service::Push && request.method == "POST" {
        let observe = move || shared.with(|world| world.observe_branches(backend.repo, &backend.pusher));
        match tokio::task::spawn_blocking(observe).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the branches after a push could not be read"),
            Err(error) => tracing::warn!(%error, "looking at the branches after a push did not end well"),
        }
    }
    match run {
        Ok(Ok(output)) => parse_output(&output).unwrap_or_else(|| plain(StatusCode::BAD_GATEWAY, "no answer from git")),
        Ok(Err(error)) => plain(StatusCode::BAD_GATEWAY, &format!("git http-backend: {error}")),
        Err(_) => plain(StatusCode::GATEWAY_TIMEOUT, "git took too long"),
    }
}

/// Takes `/owner/name.git/rest` apart.
fn parse(request: &Request) -> Option<(String, String, String, Service)> {
    let (repository, rest) = request.path.strip_prefix('/')?.split_once(".git/")?;
    let (owner, name) = repository.split_once('/')?;
    let service = match (request.method.as_str(), rest, request.query.as_str()) {
        ("GET", "info/refs", "service=git-upload-pack") | ("POST", "git-upload-pack", "") => Service::Fetch,
        ("GET", "info/refs", "service=git-receive-pack") | ("POST", "git-receive-pack", "") => Service::Push,
        _ => return None,
    };
    Some((owner.to_owned(), name.to_owned(), format!("/{rest}"), service))
}

fn admit(world: &World, owner: &str, name: &str, service: Service, authorization: Option<&str>) -> Result<Backend, Answer> {
    let token = world.check_token(authorization).map_err(|denied| match denied {
        Denied::Missing | Denied::Bad(_) => unauthorized(),
        Denied::Suspended => plain(StatusCode::FORBIDDEN, "This installation has been suspended"),
    })?;
    let missing = || plain(StatusCode::NOT_FOUND, "Repository not found.");
    let repo = world.repository_named(owner, name).filter(|repo| world.reaches(&token, repo.id)).ok_or_else(missing)?;
    let level = if service == Service::Push { "write" } else { "read" };
    if !token.holds("contents", level) {
        return Err(plain(StatusCode::FORBIDDEN, "Write access to repository not granted."));
    }
    if service == Service::Push && repo.is_archived {
        return Err(plain(StatusCode::FORBIDDEN, "This repository was archived so it is read-only."));
    }
    let protected: Vec<String> = repo.protected.iter().map(|branch| format!("refs/heads/{branch}")).collect();
    Ok(Backend {
        repo: repo.id,
        root: world.root.clone(),
        hooks: world.root.join("hooks"),
        path_info: format!("/{}", repo.path.strip_prefix(&world.root).unwrap_or(&repo.path).display()),
        protected: protected.join(" "),
        workflows: if token.holds("workflows", "write") { "write" } else { "none" },
        refusal: String::new(),
        pusher: world.bot_login(),
    })
}

fn unauthorized() -> Answer {
    let challenge = ("www-authenticate".to_owned(), "Basic realm=\"GitHub\"".to_owned());
    let body = b"Invalid username or token.".to_vec();
    Answer::Response { status: StatusCode::UNAUTHORIZED, headers: vec![challenge], body }
}

fn plain(status: StatusCode, text: &str) -> Answer {
    let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
    Answer::Response { status, headers, body: text.as_bytes().to_vec() }
}

/// The program gets an empty environment but for what CGI and git need.
fn command(backend: &Backend, request: &Request) -> Command {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut command = Command::new("git");
    command.arg("http-backend").env_clear().current_dir(&backend.root);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()));
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_COUNT", "3");
    command.env("GIT_CONFIG_KEY_0", "http.receivepack").env("GIT_CONFIG_VALUE_0", "true");
    command.env("GIT_CONFIG_KEY_1", "core.hooksPath").env("GIT_CONFIG_VALUE_1", &backend.hooks);
    command.env("GIT_CONFIG_KEY_2", "gc.auto").env("GIT_CONFIG_VALUE_2", "0");
    command.env("GIT_PROJECT_ROOT", &backend.root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("GIT_PROTOCOL", header("git-protocol")).env("REMOTE_USER", &backend.pusher).env("REMOTE_ADDR", "127.0.0.1");
    command.env("REHEARSAL_PROTECTED", &backend.protected).env("REHEARSAL_REFUSAL", &backend.refusal);
    command.env("REHEARSAL_WORKFLOWS", backend.workflows);
    command.env("REQUEST_METHOD", &request.method).env("QUERY_STRING", &request.query).env("PATH_INFO", &backend.path_info);
    command.env("CONTENT_TYPE", header("content-type")).env("CONTENT_LENGTH", request.body.len().to_string());
    command.env("HTTP_CONTENT_ENCODING", header("content-encoding"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(backend: &Backend, request: &Request) -> std::io::Result<Vec<u8>> {
    let mut child = command(backend, request).spawn()?;
    let mut stdin = child.stdin.take().expect("standard input was asked to be a pipe");
    let stdout = child.stdout.take().expect("standard output was asked to be a pipe");
    let write = async move {
        // A backend that has heard enough closes its end; what it answered is what counts.
        let _ = stdin.write_all(&request.body).await;
    };
    let mut output = Vec::new();
    let mut bounded = stdout.take(PACK_BYTES_MAX as u64);
    let ((), read) = tokio::join!(write, bounded.read_to_end(&mut output));
    read?;
    child.wait().await?;
    Ok(output)
}

/// Takes a CGI answer apart: headers, an empty line, the body.
fn parse_output(output: &[u8]) -> Option<Answer> {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&output[..end]).ok()?;
    let mut status = StatusCode::OK;
    let mut headers = Vec::new();
    for line in head.lines() {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("status") {
            status = StatusCode::from_bytes(value.trim().get(..3)?.as_bytes()).ok()?;
        } else {
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }
    Some(Answer::Response { status, headers, body: output[end + 4..].to_vec() })
}
