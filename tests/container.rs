//! Containers of a real engine: the sandbox's contract, and what is theirs alone.
//!
//! The engine is Podman, started by the tests themselves; see `support::podman`. As root it is one that runs as root, as a
//! plain user it is a rootless one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, InspectContainerOptions};
use patchwright::sandbox::container::{ContainerSandbox, ContainerSettings};
use patchwright::sandbox::{
    Command, Enforcement, Executor, Isolation, Limits, Outlet, Output, Profile, Refusal, Sandbox, SandboxError, Terms, Tree,
};
use patchwright_domain::proof::{Exit, Limit};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::podman::{self, BARE_IMAGE, Engine, POSSESSED_IMAGE, TAKEN};

#[expect(clippy::duplicate_mod, reason = "the contract is the same for every sandbox, and compiled for each")]
#[path = "contract/sandbox.rs"]
mod contract;
mod gvisor;
mod refusals;
mod subject;

fn sandbox(settings: ContainerSettings) -> ContainerSandbox {
    ContainerSandbox::new(PathBuf::from(env!("CARGO_BIN_EXE_patchwright")), settings)
}

/// A workspace, an executor on it, and the engine that it runs on.
struct Place {
    engine: &'static Engine,
    workspace: TempDir,
    executor: Box<dyn Executor>,
}

impl Place {
    async fn with(engine: &'static Engine, settings: ContainerSettings) -> Place {
        let workspace = tempfile::tempdir().unwrap();
        let executor = sandbox(settings).open(Tree::alone(workspace.path()), Profile::Agent.into()).await.unwrap();
        Place { engine, workspace, executor }
    }

    async fn limited(engine: &'static Engine, limits: Limits) -> Place {
        Place::with(engine, ContainerSettings { limits, ..engine.settings() }).await
    }

    async fn run(&mut self, script: &str) -> Output {
        self.executor.execute(&command(script)).await.unwrap()
    }

    #[track_caller]
    fn prints(&mut self, script: &str) -> impl Future<Output = String> {
        let script = script.to_owned();
        async move {
            let output = self.run(&script).await;
            let text = String::from_utf8(output.output).unwrap();
            assert_eq!(output.exit, Exit::Code(0), "{script}\n{text}");
            text
        }
    }

    /// The containers that have this workspace.
    async fn containers(&self) -> Vec<Value> {
        of(&self.engine.socket(), self.workspace.path()).await
    }
}

/// Not by the client: it does not know every state that Podman names.
async fn of(socket: &Path, workspace: &Path) -> Vec<Value> {
    let listed = ask(socket, "/v1.41/containers/json?all=true").await;
    let mut found = Vec::new();
    for container in listed.as_array().unwrap() {
        let container = ask(socket, &format!("/v1.41/containers/{}/json", container["Id"].as_str().unwrap())).await;
        // One that another test is just removing is none of ours.
        let mounts = container["Mounts"].as_array().cloned().unwrap_or_default();
        if mounts.iter().any(|mount| mount["Source"] == *workspace.to_string_lossy()) {
            found.push(container);
        }
    }
    found
}

async fn ask(socket: &Path, path: &str) -> Value {
    let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn command(script: &str) -> Command {
    Command {
        script: script.to_owned(),
        directory: String::new(),
        timeout: Duration::from_secs(120),
        output_bytes_max: 64 * 1024,
    }
}

#[tokio::test]
async fn one_container_is_kept_for_all_commands_and_removed_at_the_end() {
    let Some(engine) = podman::engine().await else { return };
    let mut place = Place::with(engine, engine.settings()).await;
    for number in 0..20 {
        assert_eq!(place.prints(&format!("echo {number} >> /tmp/all; tail -n 1 /tmp/all")).await, format!("{number}\n"));
    }
    let before = place.containers().await;
    assert_eq!(place.prints("sleep 100000 & sleep 100000 & echo started").await, "started\n");
    assert_eq!(place.prints("set -- /proc/[0-9]*; echo $#").await, "2\n", "the launcher and the shell");
    let after = place.containers().await;
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_eq!(before[0]["Id"], after[0]["Id"]);
    let Place { workspace, executor, .. } = place;
    drop(executor);
    let gone = async { while !of(&engine.socket(), workspace.path()).await.is_empty() {} };
    tokio::time::timeout(Duration::from_secs(100), gone).await.expect("it is removed in the end");
}

#[tokio::test]
async fn a_command_that_is_not_awaited_to_its_end_takes_its_container_with_it() {
    let Some(engine) = podman::engine().await else { return };
    let mut place = Place::with(engine, engine.settings()).await;
    let first = place.containers().await[0]["Id"].clone();
    place.prints("echo x > /tmp/kept").await;
    let up = place.workspace.path().join("up");
    let endless = command("touch up; while :; do :; done");
    tokio::select! {
        _ = place.executor.execute(&endless) => unreachable!("it does not end"),
        () = async { while !up.exists() { tokio::task::yield_now().await } } => {}
    }
    assert_eq!(place.prints("ls /tmp").await, "");
    let now = place.containers().await;
    assert!(now.iter().any(|container| container["Id"] != first), "the next command has a container of its own");
}

#[tokio::test]
async fn a_command_is_asked_to_end_before_it_is_killed() {
    let Some(engine) = podman::engine().await else { return };
    let mut place = Place::limited(engine, Limits { grace: Duration::from_secs(60), ..Limits::default() }).await;
    let up = place.workspace.path().join("up");
    // A slow machine may need longer than a second to get there; then the attempt showed nothing.
    for seconds in [1, 8, 64] {
        let asked = Command {
            timeout: Duration::from_secs(seconds),
            ..command("trap 'echo asked; exit 3' TERM; touch up; while :; do :; done")
        };
        let output = place.executor.execute(&asked).await.unwrap();
        assert_eq!(output.exit, Exit::TimedOut);
        if up.exists() {
            assert_eq!(String::from_utf8_lossy(&output.output), "asked\n");
            return;
        }
    }
    panic!("the command never started");
}

#[tokio::test]
async fn what_is_over_a_limit_is_told() {
    let Some(engine) = podman::engine().await else { return };
    let limits =
        Limits { memory_bytes: 96 << 20, tmp_bytes: 32 << 20, output_bytes: 1 << 20, n_processes: 16, ..Limits::default() };
    let mut place = Place::limited(engine, limits).await;
    let flood = place.run("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done").await;
    assert_eq!(flood.exit, Exit::Exceeded(Limit::Output));
    // Each takes less than the limit, all together more.
    let takers = "perl -e 'for (1..5) { if (!fork) { $n = 30 << 20; $x = \"x\" x $n; sleep 100000 } } wait; exit 1'";
    assert_eq!(place.run(takers).await.exit, Exit::Exceeded(Limit::Memory));
    let forks = place.prints("perl -e 'while (defined(my $pid = fork)) { if (!$pid) { sleep 100000 } $n++ } print $n'").await;
    assert!((4..16).contains(&forks.parse::<u32>().unwrap()), "{forks} forks");
    assert_eq!(place.prints("echo on it goes").await, "on it goes\n");
}

#[tokio::test]
async fn the_probe_says_what_the_engine_really_keeps() {
    let Some(engine) = podman::engine().await else { return };
    let found = sandbox(engine.settings()).probe().await.unwrap();
    assert_eq!(found.isolation, Isolation::Container);
    assert!(found.layers[0].starts_with("containers of "), "{:?}", found.layers);
    let of = |limit| found.limits.iter().find(|(of, _)| *of == limit).unwrap().1;
    assert_ne!(of(Limit::Memory), Enforcement::Missing);
    assert_eq!((of(Limit::Processes), of(Limit::FileSize)), (Enforcement::Exact, Enforcement::Exact));
    assert_eq!((of(Limit::Disk), of(Limit::Files)), (Enforcement::Polled, Enforcement::Polled));
}

#[tokio::test]
async fn an_image_without_any_library_runs_commands_too() {
    let Some(engine) = podman::engine().await else { return };
    // It also names a library to be loaded into every program, which is not there.
    let settings = ContainerSettings { image: Some(BARE_IMAGE.to_owned()), ..engine.settings() };
    let mut place = Place::with(engine, settings).await;
    if Path::new("/bin/busybox").exists() {
        assert_eq!(place.prints("cat /proc/1/comm; exit 0").await.trim(), "ld-linux-x86-64");
    } else {
        let refused = place.executor.execute(&command("true")).await;
        assert!(matches!(refused, Err(SandboxError::Refused(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_container_has_no_more_than_it_needs() {
    let Some(engine) = podman::engine().await else { return };
    let mut place = Place::with(engine, ContainerSettings { cpus: Some(1.5), ..engine.settings() }).await;
    let container = place.containers().await.remove(0);
    let host = &container["HostConfig"];
    assert_eq!(
        (&host["NetworkMode"], &host["ReadonlyRootfs"], &host["Privileged"]),
        (&json!("none"), &json!(true), &json!(false))
    );
    // An engine of a plain user may keep none, which the probe finds out.
    if rustix::process::geteuid().is_root() {
        let limits = Limits::default();
        assert_eq!((&host["Memory"], &host["MemorySwap"]), (&json!(limits.memory_bytes), &json!(limits.memory_bytes)));
        assert_eq!((&host["PidsLimit"], &host["NanoCpus"]), (&json!(limits.n_processes + 1), &json!(1_500_000_000)));
    }
    let user = container["Config"]["User"].as_str().unwrap();
    assert!(!user.starts_with("0:"), "{user}");
    let modes = "for place in /tmp /var/tmp /home/agent /dev/shm; do echo x > $place/x && cat $place/x; done; ulimit -c";
    assert_eq!(place.prints(modes).await, "x\nx\nx\nx\n0\n", "a limit of one byte, in blocks");
    assert_eq!(place.prints("ls -A /opt/patchwright/session; id -u > mine").await, "");
    let mine = fs::metadata(place.workspace.path().join("mine")).unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&mine).to_string(),
        fs::read_to_string(place.workspace.path().join("mine")).unwrap().trim()
    );
}

#[tokio::test]
async fn an_outlet_is_the_one_way_out() {
    let Some(engine) = podman::engine().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("proxy");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let proxy = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            stream.write_all(said.to_uppercase().as_bytes()).await.unwrap();
        }
    });
    let outlet = Outlet {
        socket,
        environment: vec![("http_proxy".to_owned(), "http://127.0.0.1:3128".to_owned())],
        read_only: Vec::new(),
    };
    let workspace = tempfile::tempdir().unwrap();
    let terms = Terms { outlet: Some(&outlet), ..Profile::Setup.into() };
    let executor = sandbox(engine.settings()).open(Tree::alone(workspace.path()), terms).await.unwrap();
    let mut place = Place { engine, workspace, executor };
    let client = "use Socket; use IO::Handle; socket(my $t, PF_INET, SOCK_STREAM, 0);
        connect($t, sockaddr_in(3128, INADDR_LOOPBACK)) or die $!; $t->autoflush; print $t $ENV{http_proxy}; shutdown($t, 1); print <$t>";
    for _ in 0..3 {
        assert_eq!(place.prints(&format!("perl -e '{client}'")).await, "HTTP://127.0.0.1:3128");
    }
    proxy.abort();
}

#[tokio::test]
async fn home_is_kept_where_it_is_given_and_objects_can_be_read_only() {
    let Some(engine) = podman::engine().await else { return };
    let (home, objects) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(objects.path().join("object"), "blob\n").unwrap();
    fs::set_permissions(objects.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    for expected in ["", "first\n"] {
        let workspace = tempfile::tempdir().unwrap();
        let tree = Tree { objects: Some(objects.path()), home: Some(home.path()), ..Tree::alone(workspace.path()) };
        let executor = sandbox(engine.settings()).open(tree, Profile::Setup.into()).await.unwrap();
        let mut place = Place { engine, workspace, executor };
        assert_eq!(place.prints("cat ~/file 2>/dev/null; echo first > ~/file").await, expected);
        assert_eq!(
            place.prints("cat /opt/base/objects/object; touch /opt/base/objects/new 2>/dev/null || echo shut").await,
            "blob\nshut\n"
        );
    }
}

#[tokio::test]
async fn a_sweep_takes_what_dead_servers_left_and_nothing_else() {
    let Some(engine) = podman::engine().await else { return };
    let mut place = Place::with(engine, engine.settings()).await;
    let labels = place.containers().await.remove(0)["Config"]["Labels"].take();
    let mut labels: HashMap<String, String> = serde_json::from_value(labels).unwrap();
    labels.insert("patchwright.started".to_owned(), "0".to_owned());
    let body = ContainerCreateBody {
        image: Some(podman::IMAGE.to_owned()),
        cmd: Some(vec!["true".to_owned()]),
        labels: Some(labels),
        ..ContainerCreateBody::default()
    };
    let name = format!("left-behind-{}", std::process::id());
    let options = CreateContainerOptions { name: Some(name.clone()), platform: String::new() };
    let docker = engine.docker();
    docker.create_container(Some(options), body).await.unwrap();
    sandbox(engine.settings()).sweep().await.unwrap();
    let found = docker.inspect_container(&name, None::<InspectContainerOptions>).await;
    assert!(found.is_err(), "{found:?}");
    assert_eq!(place.prints("echo alive").await, "alive\n");
}

#[tokio::test]
async fn two_executors_at_once_have_nothing_in_common() {
    let Some(engine) = podman::engine().await else { return };
    let sandbox: Arc<dyn Sandbox> = Arc::new(sandbox(engine.settings()));
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let open = |folder: &TempDir| {
        let (sandbox, path) = (Arc::clone(&sandbox), folder.path().to_owned());
        async move { sandbox.open(Tree::alone(&path), Profile::Agent.into()).await.unwrap() }
    };
    let (mut one, mut two) = tokio::join!(open(&folders[0]), open(&folders[1]));
    let script = command("echo mine > /tmp/mine; set -- /proc/[0-9]* /tmp/*; echo $#");
    let (first, second) = tokio::join!(one.execute(&script), two.execute(&script));
    for output in [first, second] {
        assert_eq!(String::from_utf8_lossy(&output.unwrap().output), "3\n");
    }
}

#[tokio::test]
async fn nothing_is_left_of_an_engine_that_is_ended_while_it_starts() {
    if !podman::is_here() {
        return;
    }
    let at_once = |_: &Path| true;
    let is_there = |folder: &Path| folder.join("podman.sock").exists();
    // A rootless one starts itself again, in a namespace of its own.
    let is_two = |folder: &Path| podman::processes(folder).len() > 1 || folder.join("podman.sock").exists();
    for is_time in [at_once, is_two, is_there] {
        let left = tokio::task::spawn_blocking(move || podman::left_of_one_that_is_ended(is_time)).await.unwrap();
        assert_eq!(left, [""; 0]);
    }
}

#[tokio::test]
async fn nothing_of_an_image_gets_into_the_launcher() {
    let Some(engine) = podman::engine().await else { return };
    let settings = ContainerSettings { image: Some(POSSESSED_IMAGE.to_owned()), ..engine.settings() };
    let mut place = Place::with(engine, settings).await;
    let seen = place.run(&format!("ls -d {TAKEN} ; echo \"$OF_IMAGE\" ; exit 7")).await;
    let text = String::from_utf8_lossy(&seen.output);
    assert_eq!(seen.exit, Exit::Code(7), "{text}");
    assert!(!text.lines().any(|line| line == TAKEN), "the image's library is in the launcher: {text}");
    assert!(text.lines().any(|line| line == "yes"), "commands have the image's variables: {text}");
}
