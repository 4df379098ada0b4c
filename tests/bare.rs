//! No sandbox: what is kept all the same, and that nothing more is claimed.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use patchwright::sandbox::bare::BareSandbox;
use patchwright::sandbox::{
    Command, Enforcement, Executor, Isolation, Limits, Output, Process, Profile, Sandbox, SandboxError, Tree,
};
use patchwright_domain::proof::{Exit, Limit};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::onlooker::sees_what_is_printed_while_it_runs;

/// Long enough for anything that ends.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A workspace without walls.
struct Place {
    folder: TempDir,
    executor: Box<dyn Executor>,
}

impl Place {
    async fn with(limits: Limits) -> Self {
        let folder = TempDir::new().expect("there is room");
        let sandbox = BareSandbox::new(env!("CARGO_BIN_EXE_patchwright").into(), limits, vec![("LISTED".into(), "yes".into())]);
        let executor = sandbox.open(Tree::alone(folder.path()), Profile::Proof.into()).await.expect("it needs nothing");
        Self { folder, executor }
    }

    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn try_to_run(&mut self, script: &str, timeout: Duration) -> Result<Output, SandboxError> {
        let command = Command { script: script.to_owned(), directory: String::new(), timeout, output_bytes_max: 64 * 1024 };
        self.executor.execute(&command).await
    }

    async fn run(&mut self, script: &str) -> (Exit, String) {
        let output = self.try_to_run(script, TIMEOUT).await.expect("the command is run");
        (output.exit, String::from_utf8_lossy(&output.output).into_owned())
    }

    /// Whether nothing holds the lock that a script has taken with [`LOCK`].
    #[track_caller]
    fn is_everything_gone(&self) -> bool {
        let file = File::open(self.folder.path().join("lock")).expect("the script has made it");
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
    }
}

/// Takes a lock that every process holds that is started from here on.
const LOCK: &str = "exec 9>lock; flock 9; ";

#[tokio::test]
async fn nothing_is_claimed_to_be_contained() {
    let sandbox = BareSandbox::new(env!("CARGO_BIN_EXE_patchwright").into(), Limits::default(), Vec::new());
    let found = sandbox.probe().await.expect("it needs nothing");
    assert_eq!((found.isolation, found.layers.len()), (Isolation::None, 0));
    let missing: Vec<Limit> =
        found.limits.iter().filter(|(_, kept)| *kept == Enforcement::Missing).map(|(limit, _)| *limit).collect();
    assert_eq!(missing, [Limit::Memory, Limit::Cpu, Limit::Processes, Limit::Disk, Limit::Files]);
}

#[tokio::test]
async fn a_command_is_run_in_the_workspace_with_what_is_listed_and_nothing_else() {
    let mut place = Place::new().await;
    let (exit, names) = place.run("env | cut -d= -f1 | sort | tr '\\n' ' '").await;
    assert_eq!(exit, Exit::Code(0));
    insta::assert_snapshot!(names.trim(), @"HOME LANG LISTED LOGNAME PATH PWD SHLVL TMPDIR USER _");
    let folder = place.folder.path().canonicalize().expect("it is there").display().to_string();
    sees_what_is_printed_while_it_runs(&mut *place.executor).await;
    assert_eq!(place.run("pwd -P; cat; ls /proc/$$/fd | tr '\\n' ' '").await.1, format!("{folder}\n0 1 2 "));
    assert_eq!(place.run("echo out; echo err >&2; exit 3").await, (Exit::Code(3), "out\nerr\n".to_owned()));
    assert_eq!(place.run("kill -9 $$").await.0, Exit::Signal(9));
    assert_eq!(place.run("touch \"$HOME/a\" \"$TMPDIR/b\" && ls \"$HOME\" \"$TMPDIR\" | grep -c '^[ab]$'").await.1, "2\n");
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended() {
    let mut place = Place::new().await;
    for leaves in [
        "sh -c 'while :; do :; done' &",
        "setsid sh -c 'sh -c \"while :; do :; done\" & exit' &",
        "trap '' TERM; cat /dev/zero > /dev/null &",
    ] {
        assert_eq!(place.run(&format!("{LOCK} {leaves} exit 0")).await.0, Exit::Code(0), "{leaves}");
        assert!(place.is_everything_gone(), "{leaves}");
    }
}

#[tokio::test]
async fn a_command_that_is_over_its_time_is_ended_with_all_that_it_started() {
    let limits = Limits { grace: Duration::from_millis(1), ..Limits::default() };
    let mut place = Place::with(limits).await;
    // The fifo tells that all of it runs: reading from it ends when the second process writes to it.
    let script = format!("{LOCK} trap '' TERM; setsid sh -c \"trap '' TERM; while :; do :; done\" & while :; do :; done");
    // Whether it came so far or not, nothing of it is left.
    std::fs::write(place.folder.path().join("lock"), "").expect("there is room");
    for milliseconds in [1, 100] {
        let output = place.try_to_run(&script, Duration::from_millis(milliseconds)).await.expect("it is run");
        assert_eq!(output.exit, Exit::TimedOut);
        assert!(place.is_everything_gone());
    }
}

#[tokio::test]
async fn a_command_has_the_limits_that_the_kernel_keeps_for_one_process() {
    let limits = Limits { n_open_files: 64, file_bytes: 4096, cpu_seconds: 1, output_bytes: 1 << 20, ..Limits::default() };
    let mut place = Place::with(limits).await;
    assert_eq!(place.run("ulimit -Hn; ulimit -Hf").await.1, "64\n4\n");
    assert_eq!(place.run("exec dd if=/dev/zero of=file bs=8192 count=1").await.0, Exit::Exceeded(Limit::FileSize));
    assert_eq!(place.run("while :; do :; done").await.0, Exit::Exceeded(Limit::Cpu));
    assert_eq!(place.run("exec cat /dev/zero").await.0, Exit::Exceeded(Limit::Output));
}

#[tokio::test]
async fn a_command_that_ends_its_launcher_has_no_result() {
    let mut place = Place::new().await;
    let error = place.try_to_run("kill -9 $PPID; exit 0", TIMEOUT).await.expect_err("nobody knows how it ended");
    assert!(matches!(error, SandboxError::Machine { .. }), "{error:?}");
    assert_eq!(place.run("exit 0").await.0, Exit::Code(0), "the next one is run all the same");
}

#[tokio::test]
async fn a_command_that_stops_its_launcher_is_ended_all_the_same() {
    let limits = Limits { grace: Duration::from_millis(1), ..Limits::default() };
    for (stops, ends) in
        [("kill -STOP $PPID;", "sleep 100000"), ("", "while :; do kill -STOP $PPID; done"), ("kill -STOP $PPID;", "exit 0")]
    {
        let mut place = Place::with(limits.clone()).await;
        let script = format!("{LOCK} setsid sleep 100000 & {stops} {ends}");
        let output = place.try_to_run(&script, Duration::from_millis(200)).await.expect("it is run");
        assert_eq!(output.exit, Exit::TimedOut, "{script}");
        assert!(place.is_everything_gone(), "{script}");
    }
}

#[tokio::test]
async fn a_program_is_talked_to_and_ended_with_what_it_started() {
    let mut place = Place::new().await;
    let process = Process {
        argv: ["/bin/sh", "-c", "exec 9>lock; flock 9; cat & cat >&2"].map(str::to_owned).into(),
        environment: vec![("LISTED".into(), "no".into())],
        ..Process::default()
    };
    let echo = Process { argv: vec!["/bin/cat".into()], ..Process::default() };
    let mut running = place.executor.spawn(&echo).await.expect("it is started");
    running.input.write_all(b"hello\n").await.expect("it reads");
    running.input.shutdown().await.expect("it is there");
    let mut said = String::new();
    running.output.read_to_string(&mut said).await.expect("it writes");
    assert_eq!((said.as_str(), running.handle.wait().await.expect("it ends")), ("hello\n", Exit::Code(0)));
    let mut running = place.executor.spawn(&process).await.expect("it is started");
    running.handle.kill().await.expect("it is ended");
    std::fs::write(place.folder.path().join("lock"), "").expect("there is room");
    assert!(place.is_everything_gone());
    let absent = Process { argv: vec!["/nowhere/program".into()], ..Process::default() };
    let mut running = place.executor.spawn(&absent).await.expect("whether it can be started is told later");
    let error = running.handle.wait().await.expect_err("there is no such program");
    assert!(matches!(&error, SandboxError::Refused(refusal) if refusal.missing.contains("/nowhere/program")), "{error}");
}

#[tokio::test]
async fn the_borrowed_objects_of_a_tree_are_found_where_they_are() {
    let folder = TempDir::new().expect("there is room");
    let git = |script: &str| {
        let script = format!("git config --global --add safe.directory '*' >/dev/null 2>&1; {script}");
        let done =
            std::process::Command::new("sh").args(["-c", &script]).current_dir(folder.path()).env("HOME", folder.path()).status();
        assert!(done.expect("there is a shell").success(), "{script}");
    };
    git("git init -q a && cd a && echo x > file && git add . && git -c user.name=a -c user.email=a@a.test commit -qm one && \
         cd .. && git clone -q --shared a b && echo /opt/base/objects > b/.git/objects/info/alternates");
    let (tree, objects) = (folder.path().join("b"), folder.path().join("a/.git/objects"));
    let sandbox = BareSandbox::new(env!("CARGO_BIN_EXE_patchwright").into(), Limits::default(), Vec::new());
    let tree = Tree { objects: Some(&objects), ..Tree::alone(Path::new(&tree)) };
    let executor = sandbox.open(tree, Profile::Proof.into()).await.expect("it needs nothing");
    let mut place = Place { folder, executor };
    assert_eq!(place.run("git log --format=%s; git status --porcelain").await, (Exit::Code(0), "one\n".to_owned()));
}
