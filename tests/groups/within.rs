//! What holds where control groups were handed over to this process. Elsewhere nothing is tried, which is said.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::{Command, Enforcement, Executor, Limits, Output, Process, Profile, Sandbox, Tree};
use patchwright_domain::proof::{Exit, Limit};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::support::uml::is_required;

const MIB: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn launcher() -> PathBuf {
    std::env::var_os("PATCHWRIGHT_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_patchwright")), PathBuf::from)
}

/// A sandbox whose limits are kept by control groups, or none.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tried")]
pub(crate) async fn sandbox(limits: Limits) -> Option<LocalSandbox> {
    let settings = LocalSettings { limits, toolchain_path: None, ..LocalSettings::default() };
    let sandbox = LocalSandbox::new(launcher(), settings);
    let found = sandbox.probe().await.unwrap();
    if found.limits.contains(&(Limit::Memory, Enforcement::Exact)) {
        return Some(sandbox);
    }
    assert!(!is_required("groups"), "control groups are required: {:?}", found.advice);
    eprintln!("no control group was handed over to this process, so none is tried");
    None
}

/// A workspace and an executor on it.
struct Place {
    workspace: TempDir,
    executor: Box<dyn Executor>,
}

impl Place {
    async fn with(limits: Limits) -> Option<Place> {
        let workspace = tempfile::tempdir().unwrap();
        let executor = sandbox(limits).await?.open(Tree::alone(workspace.path()), Profile::Agent.into()).await.unwrap();
        Some(Place { workspace, executor })
    }

    async fn run(&mut self, script: &str) -> Output {
        let command = Command {
            script: script.to_owned(),
            directory: String::new(),
            timeout: Duration::from_secs(120),
            output_bytes_max: 64 * 1024,
        };
        self.executor.execute(&command).await.unwrap()
    }

    async fn prints(&mut self, script: &str) -> String {
        let output = self.run(script).await;
        let text = String::from_utf8(output.output).unwrap();
        assert_eq!(output.exit, Exit::Code(0), "{script}\n{text}");
        text
    }
}

fn small() -> Limits {
    Limits { memory_bytes: 48 * MIB, n_processes: 50, ..Limits::default() }
}

/// The control group that holds this process's and its sandboxes' groups.
fn base() -> PathBuf {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    Path::new("/sys/fs/cgroup").join(own).parent().unwrap().to_owned()
}

/// The groups of the sandboxes of one process.
fn groups_of(process: u32) -> Vec<PathBuf> {
    let name = format!("patchwright-sandbox-{process}-");
    let entries = fs::read_dir(base()).unwrap().map(|entry| entry.unwrap());
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name)).map(|entry| entry.path()).collect()
}

/// Waits until something is so, which it is as soon as another process has got there.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("it did not come to this: {what}"));
}

#[tokio::test]
async fn what_is_taken_between_two_looks_is_stopped() {
    let Some(mut place) = Place::with(small()).await else { return };
    // Each takes less than a process may have, and all are over before anybody could have looked.
    let burst = "perl -e 'pipe R, W; for (1..4) { fork or do { $x = \"x\" x (15 << 20); print \"taken\\n\"; close W; <R>; exit } } \
                 close W; wait for 1..4; print \"over\\n\"'";
    let output = place.run(burst).await;
    assert_eq!(output.exit, Exit::Exceeded(Limit::Memory), "{}", String::from_utf8_lossy(&output.output));
    assert!(!String::from_utf8_lossy(&output.output).contains("over"));
}

#[tokio::test]
async fn the_sandbox_outlives_a_command_that_the_kernel_kills() {
    let Some(mut place) = Place::with(small()).await else { return };
    place.prints("echo before > /tmp/file").await;
    let hog = "for n in 1 2 3 4; do perl -e '$x = \"x\" x (20 << 20); sleep 100000' & done; wait";
    assert_eq!(place.run(hog).await.exit, Exit::Exceeded(Limit::Memory));
    assert_eq!(place.prints("cat /tmp/file; set -- /proc/[0-9]*; echo $#").await, "before\n2\n");
}

#[tokio::test]
async fn only_the_command_that_has_too_much_is_killed() {
    let Some(mut place) = Place::with(small()).await else { return };
    let argv = ["/bin/sh", "-c", "read line; echo \"heard $line\""].map(str::to_owned).to_vec();
    let mut running = place.executor.spawn(&Process { argv, ..Process::default() }).await.unwrap();
    let hog = "for n in 1 2 3 4; do perl -e '$x = \"x\" x (20 << 20); sleep 100000' & done; wait";
    assert_eq!(place.run(hog).await.exit, Exit::Exceeded(Limit::Memory));
    running.input.write_all(b"it\n").await.unwrap();
    let mut heard = String::new();
    running.output.read_to_string(&mut heard).await.unwrap();
    assert_eq!((heard.as_str(), running.handle.wait().await.unwrap()), ("heard it\n", Exit::Code(0)));
}

#[tokio::test]
async fn a_command_sees_no_group() {
    let Some(mut place) = Place::with(small()).await else { return };
    assert_eq!(
        place.prints("grep ^0:: /proc/self/cgroup; grep -c cgroup /proc/self/mounts; ls /sys 2>&1 | wc -l").await,
        "0::/\n0\n1\n"
    );
}

#[tokio::test]
async fn a_command_that_runs_is_in_a_group_with_its_limits() {
    let Some(mut place) = Place::with(small()).await else { return };
    let argv = ["/bin/sh", "-c", "echo there; read line"].map(str::to_owned).to_vec();
    let mut running = place.executor.spawn(&Process { argv, ..Process::default() }).await.unwrap();
    let mut said = [0; 6];
    running.output.read_exact(&mut said).await.unwrap();
    let groups = groups_of(std::process::id());
    let leaf = groups.iter().map(|group| group.join("command-1")).find(|leaf| leaf.is_dir()).unwrap();
    let file = |name: &str| fs::read_to_string(leaf.join(name)).unwrap().trim().to_owned();
    assert_eq!(file("memory.max"), (48 * MIB).to_string());
    assert_eq!(["memory.oom.group", "memory.swap.max", "pids.max"].map(file), ["1", "0", "50"]);
    // The first process, and the shell.
    assert_eq!(file("pids.current"), "2");
    running.input.shutdown().await.unwrap();
    running.handle.wait().await.unwrap();
    assert!(!leaf.exists(), "{}", leaf.display());
}

/// A command that takes nearly 40 MiB of memory, which are two copies of its text, says so, and holds them until it hears
/// something.
fn holder() -> Process {
    let script = "$x = \"x\" x (19 << 20); $| = 1; print \"taken\\n\"; <STDIN>";
    Process { argv: ["/usr/bin/perl", "-e", script].map(str::to_owned).to_vec(), ..Process::default() }
}

#[tokio::test]
async fn commands_together_have_hardly_more_than_one() {
    // Of what lasts longer than a command there may be 16 MiB.
    let Some(mut place) = Place::with(Limits { tmp_bytes: 4 * MIB, ..small() }).await else { return };
    place.prints("head -c 3M /dev/zero > /tmp/left").await;
    let group = groups_of(std::process::id()).into_iter().find(|group| {
        let file = |name: &str| fs::read_to_string(group.join(name)).unwrap_or_default().trim().to_owned();
        file("memory.max") == ((48 + 16) * MIB).to_string() && file("pids.max") == (50 + 128).to_string()
    });
    assert!(group.is_some(), "the sandbox has limits of its own");
    let mut first = place.executor.spawn(&holder()).await.unwrap();
    let mut said = [0; 6];
    first.output.read_exact(&mut said).await.unwrap();
    // Each is below its own limit; together they are over that of the sandbox, and the kernel chooses.
    let mut second = place.executor.spawn(&holder()).await.unwrap();
    let heard = second.output.read_exact(&mut said).await.is_ok();
    let is_over = |exit| exit == Exit::Exceeded(Limit::Memory);
    if heard {
        assert!(is_over(first.handle.wait().await.unwrap()), "nobody was ended");
    } else {
        assert!(is_over(second.handle.wait().await.unwrap()), "it was ended for something else");
    }
    assert_eq!(place.prints("ls /tmp").await, "left\n");
}

#[tokio::test]
async fn processes_of_commands_together_are_hardly_more_than_those_of_one() {
    let Some(mut place) = Place::with(small()).await else { return };
    let forks =
        "perl -e '$| = 1; while (defined(my $pid = fork)) { if (!$pid) { sleep 100000; exit } $n++ } print \"$n\\n\"; <STDIN>'";
    let argv = ["/bin/sh", "-c", forks].map(str::to_owned).to_vec();
    let (mut running, mut n_started) = (Vec::new(), 0);
    for _ in 0..6 {
        let Ok(mut another) = place.executor.spawn(&Process { argv: argv.clone(), ..Process::default() }).await else { break };
        let mut said = String::new();
        let mut lines = tokio::io::BufReader::new(&mut another.output);
        // One that could not be started says nothing.
        tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut said).await.unwrap();
        n_started += said.trim().parse::<u64>().unwrap_or_default();
        running.push(another);
    }
    // Six of them alone would have six times as many.
    assert!((40..178).contains(&n_started), "{n_started} processes");
}

#[tokio::test]
async fn a_living_server_of_another_process_namespace_keeps_its_groups() {
    let Some(sandbox) = sandbox(small()).await else { return };
    if !rustix::process::geteuid().is_root() {
        // Who makes such a namespace needs one of users for it, in which the server would be another user.
        return;
    }
    let workspace = tempfile::tempdir().unwrap();
    let mut server = tokio::process::Command::new("unshare");
    server.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(launcher());
    server.args(["sandbox", "exec", "--workspace"]).arg(workspace.path()).args(["--", "sleep", "100000"]);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut server = server.spawn().unwrap();
    // There it is the first process, which here is another.
    let is_busy =
        |group: &PathBuf| fs::read_to_string(group.join("command-1/cgroup.procs")).is_ok_and(|procs| procs.lines().count() > 1);
    until("the command runs", || groups_of(1).iter().any(is_busy)).await;
    sandbox.sweep().await.unwrap();
    assert!(groups_of(1).iter().any(is_busy), "the command of a living server was ended");
    server.kill().await.unwrap();
    // The server itself ends a moment later than what has started it.
    let swept = async {
        while !groups_of(1).is_empty() {
            sandbox.sweep().await.unwrap();
        }
    };
    timeout(PATIENCE, swept).await.expect("what it left is swept");
}

#[tokio::test]
async fn no_group_outlives_its_sandbox() {
    let Some(mut place) = Place::with(small()).await else { return };
    place.prints("true").await;
    let before = groups_of(std::process::id());
    assert!(!before.is_empty());
    // What is left in the group is a command that goes on.
    let argv = ["/bin/sh", "-c", "sleep 100000"].map(str::to_owned).to_vec();
    let running = place.executor.spawn(&Process { argv, ..Process::default() }).await.unwrap();
    drop((place.executor, running));
    until("every group is removed", || before.iter().any(|group| !group.exists())).await;
    drop(place.workspace);
}

#[tokio::test]
async fn what_a_killed_server_left_is_swept() {
    let Some(sandbox) = sandbox(small()).await else { return };
    let workspace = tempfile::tempdir().unwrap();
    let mut server = tokio::process::Command::new(launcher());
    server.args(["sandbox", "exec", "--workspace"]).arg(workspace.path()).args(["--", "sleep", "100000"]);
    server.stdin(Stdio::null()).stdout(Stdio::null());
    let mut server = server.spawn().unwrap();
    let process = server.id().unwrap();
    let runs =
        |group: PathBuf| fs::read_to_string(group.join("command-1/cgroup.procs")).is_ok_and(|procs| procs.lines().count() > 1);
    until("the command runs", || groups_of(process).into_iter().any(runs)).await;
    server.kill().await.unwrap();
    assert!(!groups_of(process).is_empty(), "nobody is left who could have removed it");
    sandbox.sweep().await.unwrap();
    assert_eq!(groups_of(process), Vec::<PathBuf>::new());
    assert!(base().join("patchwright-server").is_dir());
}
