//! What every sandbox promises, tried through the port against the one that `subject` makes and the real launcher.
//!
//! It is compiled for each of them. Where their promises differ, the case says how.
//! The commands use `sh` and `perl`, which git needs anyway; other programs are used where the machine has them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use patchwright::sandbox::live::live;
use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::ownership;
use patchwright::sandbox::{Command, Enforcement, Executor, Limits, Output, Profile, Refusal, Sandbox, SandboxError, Tree};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::{Exit, Limit};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

#[path = "sandbox/files.rs"]
mod files;
#[path = "sandbox/limits.rs"]
mod limits;
#[path = "sandbox/process.rs"]
mod process;
#[path = "sandbox/reader.rs"]
mod reader;
#[path = "sandbox/walls.rs"]
mod walls;

use super::subject;
use crate::support::onlooker::sees_what_is_printed_while_it_runs;

/// The binary under test; a copy elsewhere can be named when the suite runs as another user.
fn launcher() -> PathBuf {
    std::env::var_os("PATCHWRIGHT_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_patchwright")), PathBuf::from)
}

fn settings() -> LocalSettings {
    LocalSettings { toolchain_path: None, ..LocalSettings::default() }
}

/// A workspace and an executor on it.
struct Place {
    workspace: TempDir,
    executor: Box<dyn Executor>,
}

impl Place {
    async fn new() -> Place {
        Place::with(settings()).await
    }

    async fn with(settings: LocalSettings) -> Place {
        Place::open(tempfile::tempdir().unwrap(), settings, Profile::Agent).await
    }

    async fn open(workspace: TempDir, settings: LocalSettings, profile: Profile) -> Place {
        let sandbox = subject::sandbox(launcher(), settings).await;
        let executor = sandbox.open(Tree::alone(workspace.path()), profile.into()).await.unwrap();
        Place { workspace, executor }
    }

    fn path(&self) -> &Path {
        self.workspace.path()
    }

    async fn run(&mut self, script: &str) -> Output {
        self.executor.execute(&command(script)).await.unwrap()
    }

    /// Runs a script that must succeed, and returns what it printed.
    async fn prints(&mut self, script: &str) -> String {
        let output = self.run(script).await;
        let text = String::from_utf8(output.output).unwrap();
        assert_eq!(output.exit, Exit::Code(0), "{script}\n{text}");
        text
    }
}

fn command(script: &str) -> Command {
    Command {
        script: script.to_owned(),
        directory: String::new(),
        timeout: Duration::from_secs(120),
        output_bytes_max: 64 * 1024,
    }
}

fn regular(content: &str) -> FileState {
    FileState::Regular { content: content.as_bytes().to_vec(), executable: false }
}

#[track_caller]
fn is_path_error<T: std::fmt::Debug>(result: Result<T, SandboxError>) {
    assert!(matches!(result, Err(SandboxError::Path { .. })), "{result:?}");
}

/// Makes a pipe with a name in the workspace, which the commands can open.
fn named_pipe(place: &Place, name: &str) -> PathBuf {
    let path = place.path().join(name);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o666)).unwrap();
    let owner = fs::metadata(place.path()).unwrap();
    ownership::ensure_owner(place.path(), owner.uid(), owner.gid()).unwrap();
    path
}

/// Whether any process holds the pipe open for writing.
fn is_held(pipe: &Path) -> bool {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut pipe = fs::OpenOptions::new().read(true).custom_flags(flags).open(pipe).unwrap();
    match pipe.read(&mut [0; 16]) {
        Ok(n_bytes) => n_bytes > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

#[tokio::test]
async fn the_probe_finds_every_layer_in_force() {
    let capabilities = subject::sandbox(launcher(), settings()).await.probe().await.unwrap();
    assert_eq!(capabilities.layers.len(), if subject::is_container() { 11 } else { 10 }, "{:?}", capabilities.layers);
    // What an engine keeps is seen elsewhere: some keep less.
    let is_missing = |(_, how): &(Limit, Enforcement)| *how == Enforcement::Missing;
    assert!(subject::is_container() || !capabilities.limits.iter().any(is_missing), "{:?}", capabilities.limits);
}

#[tokio::test]
async fn a_workspace_whose_name_is_not_text_is_refused_for_that() {
    if subject::is_container() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let workspace = folder.path().join(std::ffi::OsStr::from_bytes(b"not-text-\xff"));
    fs::create_dir(&workspace).unwrap();
    let sandbox = subject::sandbox(launcher(), settings()).await;
    let mut executor = sandbox.open(Tree::alone(&workspace), Profile::Agent.into()).await.unwrap();
    match executor.execute(&command("true")).await {
        Err(SandboxError::Refused(refusal)) => assert!(refusal.missing.contains("UTF-8"), "{refusal:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_ends_with_its_own_code_or_signal() {
    let mut place = Place::new().await;
    for (script, exit) in [
        ("true", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("exit 127", Exit::Code(127)),
        ("no-such-program", Exit::Code(127)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("kill -KILL $$", Exit::Signal(9)),
        ("kill -SEGV $$", Exit::Signal(11)),
    ] {
        assert_eq!(place.run(script).await.exit, exit, "{script}");
    }
}

#[tokio::test]
async fn output_and_errors_are_merged_in_order_and_input_is_empty() {
    let mut place = Place::new().await;
    assert_eq!(place.prints("echo a; echo b >&2; echo c; cat; echo d >&2").await, "a\nb\nc\nd\n");
}

#[tokio::test]
async fn what_a_command_prints_is_handed_on_while_it_runs() {
    let mut place = Place::new().await;
    sees_what_is_printed_while_it_runs(&mut *place.executor).await;
    let (whole, mut shown) = live();
    let mut cut = command("head -c 300000 /dev/zero; exit 3");
    cut.output_bytes_max = 10;
    let all = async {
        let ended = place.executor.execute_live(&cut, &whole).await.unwrap();
        drop(whole);
        ended
    };
    let counted = async {
        let mut n_bytes = 0;
        while let Some(bytes) = shown.next().await {
            n_bytes += bytes.len();
        }
        n_bytes
    };
    let (ended, n_bytes) = tokio::join!(all, counted);
    assert_eq!((ended.exit, ended.omitted_bytes, n_bytes), (Exit::Code(3), 299_990, 300_000), "what is not kept is shown");
}

#[tokio::test]
async fn a_flood_of_output_keeps_its_head_and_tail() {
    let mut place = Place::new().await;
    let mut flood = command("echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last");
    flood.output_bytes_max = 1000;
    let output = place.executor.execute(&flood).await.unwrap();
    assert_eq!(output.exit, Exit::Code(0));
    assert!(output.output.starts_with(b"first\nxxx") && output.output.ends_with(b"xxx\nlast\n"));
    assert_eq!(output.output.len(), 1000);
    assert_eq!(output.omitted_bytes, "first\n\nlast\n".len() as u64 + 20_000_000 - 1000);
}

#[tokio::test]
async fn a_script_too_long_for_the_kernel_is_the_commands_own_failure() {
    let mut place = Place::new().await;
    let output = place.run(&format!("true {}", "x".repeat(200_000))).await;
    assert_eq!(output.exit, Exit::Code(126));
}

#[tokio::test]
async fn a_command_starts_where_it_was_told() {
    if subject::leaves_out("a_command_starts_where_it_was_told") {
        return;
    }
    let mut place = Place::new().await;
    place.prints("mkdir -p a/b; ln -s / out").await;
    let at = |directory: &str| Command { directory: directory.to_owned(), ..command("pwd") };
    assert_eq!(place.executor.execute(&at("")).await.unwrap().output, b"/workspace\n");
    assert_eq!(place.executor.execute(&at("a/b")).await.unwrap().output, b"/workspace/a/b\n");
    for refused in ["missing", "..", "/tmp", "out", "a/../.."] {
        is_path_error(place.executor.execute(&at(refused)).await);
    }
}

/// A daemon as daemons are made, that holds a named pipe open, and the shell that waits until it does.
const DAEMON: &str = "
    perl -MPOSIX -e '
        fork and exit; POSIX::setsid(); fork and exit; $SIG{TERM} = $SIG{HUP} = $SIG{INT} = \"IGNORE\";
        open(my $held, \"+<\", \"held\") or die; open(my $up, \">\", \"up\"); close $up;
        open(STDOUT, \">\", \"/dev/null\"); open(STDERR, \">\", \"/dev/null\"); sleep 100000' &
    until [ -e up ]; do :; done; ";

#[tokio::test]
async fn no_process_outlives_its_command() {
    let mut place = Place::new().await;
    let held = named_pipe(&place, "held");
    assert_eq!(place.run(&format!("{DAEMON} exit 3")).await.exit, Exit::Code(3));
    assert!(place.path().join("up").exists() && !is_held(&held));
}

#[tokio::test]
async fn time_over_kills_the_whole_tree() {
    let mut place = Place::new().await;
    let held = named_pipe(&place, "held");
    // A slow machine may need longer than a second to start the daemon; then the attempt showed nothing.
    for seconds in [1, 8, 64] {
        let mut endless = command(&format!("trap '' TERM INT HUP; echo before; {DAEMON} while :; do :; done"));
        endless.timeout = Duration::from_secs(seconds);
        let output = place.executor.execute(&endless).await.unwrap();
        assert_eq!(output.exit, Exit::TimedOut);
        assert!(!is_held(&held));
        if place.path().join("up").exists() {
            assert_eq!(output.output, b"before\n");
            return;
        }
    }
    panic!("the daemon never started");
}

#[tokio::test]
async fn a_command_that_nobody_awaits_any_more_is_killed() {
    let place = Place::new().await;
    let held = named_pipe(&place, "held");
    let endless = command("exec 9>held; echo up >&9; while :; do :; done");
    let Place { mut executor, workspace } = place;
    let mut running = tokio::spawn(async move { executor.execute(&endless).await });
    let mut pipe = tokio::net::unix::pipe::OpenOptions::new().read_write(true).open_receiver(&held).unwrap();
    let mut up = [0; 3];
    tokio::select! {
        ended = &mut running => panic!("{ended:?}"),
        read = pipe.read_exact(&mut up) => assert_eq!(read.unwrap(), 3),
    }
    // We held it for writing as well.
    drop(pipe);
    assert!(is_held(&held));
    running.abort();
    let released = async {
        while is_held(&held) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(100), released).await.expect("the command is killed in the end");
    drop(workspace);
}

#[tokio::test]
async fn the_environment_holds_only_what_is_listed() {
    if subject::leaves_out("the_environment_holds_only_what_is_listed") {
        return;
    }
    let environment = vec![("GREETING".to_owned(), "hello there".to_owned())];
    let mut place = Place::with(LocalSettings { environment, ..settings() }).await;
    let own = place.prints("env -u PWD -u SHLVL -u _ -u OLDPWD | sort").await;
    let path = LocalSettings::default().path;
    let listed =
        format!("GREETING=hello there\nHOME=/home/agent\nLANG=C.UTF-8\nLOGNAME=agent\nPATH={path}\nTMPDIR=/tmp\nUSER=agent\n");
    assert_eq!(own, listed);
    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO")), "the canaries: cargo sets them for every test");
    let all = place.prints("cat /proc/*/environ /proc/*/cmdline /proc/*/task/*/environ 2>/dev/null | tr '\\0' '\\n'; true").await;
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO")) {
        assert!(!all.contains(&format!("{name}=")), "{name} is visible inside");
    }
    let first = place.run("cat /proc/1/environ").await;
    assert_ne!(first.exit, Exit::Code(0));
}

#[tokio::test]
async fn the_launcher_itself_is_started_with_an_empty_environment() {
    // The first process inside keeps what the launcher was started with; hiding that file is only the second guard.
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sandbox/launcher-that-tells.sh");
    let workspace = tempfile::tempdir().unwrap();
    let sandbox = LocalSandbox::new(fake, settings());
    let mut executor = sandbox.open(Tree::alone(workspace.path()), Profile::Agent.into()).await.unwrap();
    match executor.execute(&command("never run")).await {
        Err(SandboxError::Refused(refusal)) => assert!(refusal.missing.contains("(it said nothing)"), "{refusal:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn host_files_are_invisible() {
    if subject::leaves_out("host_files_are_invisible") {
        return;
    }
    let canary = tempfile::NamedTempFile::new().unwrap();
    let mut place = Place::new().await;
    let workspace = place.path().display().to_string();
    let mut paths = vec![canary.path().display().to_string(), workspace, launcher().display().to_string()];
    paths.extend(std::env::var("HOME").ok().filter(|home| home != "/"));
    let fixed = ["/root", "/etc/shadow", "/etc/ssh", "/etc/machine-id", "/var/run", "/var/lib", "/dev/vda", "/dev/kvm"];
    paths.extend(fixed.map(str::to_owned));
    // Engines show it to be read, without what names the host.
    paths.extend((!subject::is_container()).then(|| "/sys".to_owned()));
    let seen = place.prints(&format!("for path in '{}'; do [ ! -e $path ] || echo $path; done", paths.join("' '"))).await;
    assert_eq!(seen, "");
    assert_eq!(
        place.prints("ls -A /home /proc/1/root 2>/dev/null; ls -A /tmp /dev/shm /run").await,
        "/home:\nagent\n/dev/shm:\n\n/run:\n\n/tmp:\n"
    );
}

#[tokio::test]
async fn only_the_workspace_lasts_from_executor_to_executor() {
    if subject::leaves_out("only_the_workspace_lasts_from_executor_to_executor") {
        return;
    }
    let mut place = Place::new().await;
    place.prints("for place in . /tmp /home/agent /dev/shm /var/tmp; do echo x > $place/file || exit 1; done").await;
    let seen = ".:\nfile\n\n/dev/shm:\nfile\n\n/home/agent:\nfile\n\n/tmp:\nfile\n";
    assert_eq!(place.prints("ls -A . /tmp /home/agent /dev/shm").await, seen);
    assert_eq!(fs::read_to_string(place.path().join("file")).unwrap(), "x\n");
    let Place { workspace, executor } = place;
    drop(executor);
    let mut place = Place::open(workspace, settings(), Profile::Agent).await;
    assert_eq!(place.prints("ls -A . /tmp /home/agent /dev/shm").await, ".:\nfile\n\n/dev/shm:\n\n/home/agent:\n\n/tmp:\n");
}

#[tokio::test]
async fn a_home_that_is_kept_lasts_and_nothing_is_mounted_below_it() {
    if subject::leaves_out("a_home_that_is_kept_lasts_and_nothing_is_mounted_below_it") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let workspace = tempfile::tempdir().unwrap();
    let sandbox = subject::sandbox(launcher(), settings()).await;
    let tree = || Tree { home: Some(home.path()), ..Tree::alone(workspace.path()) };
    let mut first = sandbox.open(tree(), Profile::Setup.into()).await.unwrap();
    first.execute(&command("mkdir -p ~/.cargo && ln -s /etc ~/.cargo/registry && echo kept > ~/file")).await.unwrap();
    drop(first);
    let mut second = sandbox.open(tree(), Profile::Proof.into()).await.unwrap();
    assert_eq!(second.execute(&command("cat ~/file")).await.unwrap().output, b"kept\n");
    // A place for a mount is made where it is missing; through a link that a command left, that could be anywhere.
    let below = LocalSettings { read_only: vec![PathBuf::from("/home/agent/.cargo/registry/x")], ..settings() };
    if subject::is_container() {
        return;
    }
    let mut third = subject::sandbox(launcher(), below).await.open(tree(), Profile::Proof.into()).await.unwrap();
    match third.execute(&command("true")).await {
        Err(SandboxError::Refused(refusal)) => assert!(refusal.missing.contains("/home/agent/.cargo/registry/x"), "{refusal:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn limits_hold() {
    if subject::leaves_out("limits_hold") {
        return;
    }
    let mut place = Place::with(LocalSettings {
        limits: Limits { n_processes: 40, n_open_files: 64, file_bytes: 1 << 20, tmp_bytes: 256 << 10, ..Limits::default() },
        ..settings()
    })
    .await;
    let forks = place.prints("perl -e 'while (defined(my $pid = fork)) { if (!$pid) { sleep 100000 } $n++ } print $n'").await;
    assert!((20..40).contains(&forks.parse::<u32>().unwrap()), "{forks} forks");
    let full = "head -c 1000000 /dev/zero > $place/big 2>/dev/null && echo $place";
    assert_eq!(place.prints(&format!("for place in /tmp /home/agent /dev/shm; do {full}; done; true")).await, "");
    assert_eq!(place.run("exec head -c 2000000 /dev/zero > big").await.exit, Exit::Exceeded(Limit::FileSize));
    assert_eq!(fs::metadata(place.path().join("big")).unwrap().len(), 1 << 20);
    assert_eq!(place.prints("ulimit -n").await, "64\n");
}

#[tokio::test]
async fn two_commands_at_once_do_not_see_each_other() {
    if subject::leaves_out("two_commands_at_once_do_not_see_each_other") {
        return;
    }
    let (mut one, mut two) = (Place::new().await, Place::new().await);
    let script = "set -- /proc/[0-9]*; echo $#";
    let (first, second) = tokio::join!(one.prints(script), two.prints(script));
    // The first process and the shell.
    assert_eq!((first.trim(), second.trim()), ("2", "2"));
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_with_a_remedy() {
    #[track_caller]
    fn check(refusal: Refusal, missing: &str) {
        assert!(refusal.missing.contains(missing), "{refusal:?}");
        assert!(!refusal.remedy.is_empty());
    }
    async fn executed(launcher: PathBuf, settings: LocalSettings) -> Refusal {
        let workspace = tempfile::tempdir().unwrap();
        let sandbox = LocalSandbox::new(launcher, settings);
        let mut executor = sandbox.open(Tree::alone(workspace.path()), Profile::Proof.into()).await.unwrap();
        match executor.execute(&command("touch ran")).await {
            Err(SandboxError::Refused(refusal)) => {
                assert!(!workspace.path().join("ran").exists());
                refusal
            }
            other => panic!("{other:?}"),
        }
    }
    let absent = PathBuf::from("/nonexistent/patchwright");
    check(LocalSandbox::new(absent.clone(), settings()).probe().await.unwrap_err(), "/nonexistent/patchwright");
    check(executed(absent, settings()).await, "/nonexistent/patchwright");
    check(executed(PathBuf::from("/bin/true"), settings()).await, "a launcher that answers");
    let impossible = LocalSettings { read_only: vec![PathBuf::from("/nonexistent/toolchain")], ..settings() };
    check(executed(launcher(), impossible).await, "/nonexistent/toolchain");
    let root = LocalSandbox::new(launcher(), LocalSettings { uid: 0, ..settings() });
    check(root.probe().await.unwrap_err(), "uid is 0");
    let nowhere =
        LocalSandbox::new(launcher(), settings()).open(Tree::alone(Path::new("/nonexistent")), Profile::Agent.into()).await;
    check(nowhere.err().unwrap(), "/nonexistent");
}

#[tokio::test]
async fn extra_paths_are_there_and_read_only() {
    let extra = tempfile::tempdir().unwrap();
    fs::write(extra.path().join("tool"), "#!/bin/sh\necho tool\n").unwrap();
    let mut place = Place::with(LocalSettings { read_only: vec![extra.path().to_owned()], ..settings() }).await;
    // Anyone may write there by mode, so it is the mount that refuses. The private /tmp above it stays what it is.
    for path in [extra.path().to_owned(), extra.path().join("tool")] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    }
    let inside = extra.path().display();
    let script =
        format!("{inside}/tool; (echo x > {inside}/tool) 2>/dev/null || echo kept; touch {inside}/new 2>/dev/null || echo shut");
    assert_eq!(place.prints(&script).await, "tool\nkept\nshut\n");
}

#[tokio::test]
async fn the_toolchains_of_the_machine_work() {
    if subject::leaves_out("the_toolchains_of_the_machine_work") {
        return;
    }
    if subject::is_container() {
        // There they are the image's.
        return;
    }
    let mut place = Place::with(LocalSettings::default()).await;
    let home = std::env::var("HOME").unwrap_or_default();
    assert_eq!(place.prints(&format!("ls -d {home}/.ssh {home}/.bashrc {home}/.cargo/credentials* 2>/dev/null; true")).await, "");
    let search = std::env::var_os("PATH").unwrap_or_default();
    let is_here = |tool: &&str| std::env::split_paths(&search).any(|directory| directory.join(tool).is_file());
    for tool in ["cargo", "python3", "node", "go", "java"].into_iter().filter(is_here) {
        let (script, printed) = match tool {
            "cargo" => ("cargo new -q --vcs none tiny && cd tiny && cargo test -q >/dev/null && cargo run -q", "Hello, world!\n"),
            "python3" => ("python3 -c 'import ssl, sqlite3, venv; print(6 * 7)'", "42\n"),
            "node" => ("node -p '6 * 7'", "42\n"),
            "go" => ("go env GOPROXY", "off\n"),
            _ => ("java -version 2>/dev/null && echo ok", "ok\n"),
        };
        assert_eq!(place.prints(script).await, printed, "{tool}");
    }
}
