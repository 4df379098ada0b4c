//! What every sandbox promises, tried through the port against the one that `subject` makes and the real launcher.
//!
//! It is compiled for each of them. Where their promises differ, the case says how.
//! The commands use `sh` and `perl`, which git needs anyway; other programs are used where the machine has them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::ownership;
use patchwright::sandbox::{Command, Executor, Limits, Output, Profile, Refusal, Sandbox, SandboxError, Tree};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::{Exit, Limit};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

#[path = "sandbox/limits.rs"]
mod limits;
#[path = "sandbox/process.rs"]
mod process;
#[path = "sandbox/reader.rs"]
mod reader;

use super::subject;

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
    let home = tempfile::tempdir().unwrap();
    let workspace = tempfile::tempdir().unwrap();
    let sandbox = LocalSandbox::new(launcher(), settings());
    let tree = || Tree { home: Some(home.path()), ..Tree::alone(workspace.path()) };
    let mut first = sandbox.open(tree(), Profile::Setup.into()).await.unwrap();
    first.execute(&command("mkdir -p ~/.cargo && ln -s /etc ~/.cargo/registry && echo kept > ~/file")).await.unwrap();
    drop(first);
    let mut second = sandbox.open(tree(), Profile::Proof.into()).await.unwrap();
    assert_eq!(second.execute(&command("cat ~/file")).await.unwrap().output, b"kept\n");
    // A place for a mount is made where it is missing; through a link that a command left, that could be anywhere.
    let below = LocalSettings { read_only: vec![PathBuf::from("/home/agent/.cargo/registry/x")], ..settings() };
    let mut third = LocalSandbox::new(launcher(), below).open(tree(), Profile::Proof.into()).await.unwrap();
    match third.execute(&command("true")).await {
        Err(SandboxError::Refused(refusal)) => assert!(refusal.missing.contains("/home/agent/.cargo/registry/x"), "{refusal:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_else_can_be_written() {
    let mut place = Place::new().await;
    let script = "
        for place in / /usr /usr/bin /usr/local /etc /etc/ssl/certs /dev /home /var /run /proc /proc/sys/kernel; do
            (echo x > $place/x) 2>/dev/null && echo $place
        done
        for file in /etc/passwd /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity; do
            (echo x >> $file) 2>/dev/null && echo $file
        done
        for file in /proc/kcore /proc/keys /proc/timer_list /proc/kmsg $HIDDEN; do
            [ ! -e $file ] || head -c 1 $file 2>/dev/null
        done; true";
    // Engines leave this one, whose addresses the kernel blanks.
    let hidden = if subject::is_container() { "" } else { "/proc/kallsyms" };
    assert_eq!(place.prints(&format!("HIDDEN={hidden}; {script}")).await, "");
    // Read only by mount, not only by mode: the difference shows where everything is the user's own.
    let options = place.prints("grep -E ' (/|/usr|/proc/sys) ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1 | sort -u").await;
    assert_eq!(options, "ro\n");
}

#[tokio::test]
async fn there_is_no_network_but_an_own_loopback() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = format!("patchwright-test-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("the bait is reachable from outside");
    let mut place = Place::new().await;
    let script = format!(
        r#"perl -MSocket -e '
        sub tcp {{ socket(my $s, AF_INET, SOCK_STREAM, 0) or die; connect($s, sockaddr_in($_[1], inet_aton($_[0]))) ? "open" : "$!" }}
        print "host: ", tcp("127.0.0.1", {port}), "\n";
        print "outside: ", tcp("1.1.1.1", 80), "\n";
        print "metadata: ", tcp("169.254.169.254", 80), "\n";
        socket(my $u, AF_UNIX, SOCK_STREAM, 0) or die;
        print "abstract: ", (connect($u, pack_sockaddr_un("\0{name}")) ? "open" : "$!"), "\n";
        socket(my $l, AF_INET, SOCK_STREAM, 0) or die; bind($l, sockaddr_in(0, INADDR_LOOPBACK)) or die; listen($l, 1) or die;
        print "own: ", tcp("127.0.0.1", (sockaddr_in(getsockname($l)))[0]), "\n";'
        sed -n '3,$s/:.*//p' /proc/net/dev"#
    );
    assert_eq!(
        place.prints(&script).await,
        "host: Connection refused\noutside: Network is unreachable\nmetadata: Network is unreachable\n\
         abstract: Connection refused\nown: open\n    lo\n"
    );
}

#[tokio::test]
async fn only_plain_socket_families_exist() {
    let mut place = Place::new().await;
    let script = r#"perl -e '
        for my $try ([1, 1, 0], [2, 1, 0], [10, 1, 0], [16, 3, 0], [16, 3, 9], [17, 3, 0], [38, 5, 0], [40, 1, 0], [21, 5, 0]) {
            print join(" ", @$try), ": ", (socket(my $s, $try->[0], $try->[1], $try->[2]) ? "made" : "$!"), "\n";
        }'"#;
    let refused = "Operation not permitted";
    assert_eq!(
        place.prints(script).await,
        format!(
            "1 1 0: made\n2 1 0: made\n10 1 0: made\n16 3 0: made\n16 3 9: {refused}\n17 3 0: {refused}\n38 5 0: {refused}\n\
             40 1 0: {refused}\n21 5 0: {refused}\n"
        )
    );
}

#[tokio::test]
#[cfg(target_arch = "x86_64")]
async fn the_doors_of_the_kernel_are_closed() {
    let calls: &[(&str, u64, &str, &str)] = &[
        ("unshare(CLONE_NEWUSER)", 272, "0x10000000", "Operation not permitted"),
        ("unshare(CLONE_NEWNS)", 272, "0x20000", "Operation not permitted"),
        ("clone(CLONE_NEWUSER)", 56, "0x10000011, 0, 0, 0, 0", "Operation not permitted"),
        ("clone3", 435, "0, 0", "Function not implemented"),
        ("setns", 308, "0, 0", "Operation not permitted"),
        ("mount", 165, "0, 0, 0, 0, 0", "Operation not permitted"),
        ("umount2", 166, "0, 0", "Operation not permitted"),
        ("open_tree", 428, "-100, 0, 0", "Operation not permitted"),
        ("fsopen", 430, "0, 0", "Operation not permitted"),
        ("mount_setattr", 442, "0, 0, 0, 0, 0", "Operation not permitted"),
        ("bpf", 321, "0, 0, 0", "Operation not permitted"),
        ("keyctl", 250, "0, 0", "Operation not permitted"),
        ("userfaultfd", 323, "0", "Operation not permitted"),
        ("io_uring_setup", 425, "1, 0", "Operation not permitted"),
        ("perf_event_open", 298, "0, 0, 0, 0, 0", "Operation not permitted"),
        ("ioctl(TIOCSTI)", 16, "0, 0x5412, 0", "Operation not permitted"),
        ("ioctl(TIOCSTI), high bits set", 16, "0, 0x100005412, 0", "Operation not permitted"),
        ("x32 getpid", 0x4000_0000 + 39, "", "Function not implemented"),
    ];
    let mut place = Place::new().await;
    for (name, number, arguments, error) in calls {
        let arguments = if arguments.is_empty() { String::new() } else { format!(", {arguments}") };
        let script = format!("perl -e 'print syscall({number}{arguments}) < 0 ? $! : \"allowed\"'");
        assert_eq!(place.prints(&script).await, *error, "{name}");
    }
}

#[tokio::test]
async fn a_command_has_no_privilege_and_gains_none() {
    let mut place = Place::new().await;
    let status = place.prints("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'").await;
    let none = "0000000000000000";
    assert_eq!(
        status,
        format!("CapInh:{none}\nCapPrm:{none}\nCapEff:{none}\nCapBnd:{none}\nCapAmb:{none}\nNoNewPrivs:1\nSeccomp:2\n")
    );
    // Without root there is no other user than ours in a container, whose files are then ours.
    let user = if subject::is_container() && !rustix::process::geteuid().is_root() {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    } else {
        (65532, 65532)
    };
    assert_eq!(place.prints("id -u; id -g; id -G").await, format!("{0}\n{1}\n{1}\n", user.0, user.1));
    if !subject::is_container() {
        assert_eq!(place.prints("cat /proc/sys/user/max_user_namespaces").await, "0\n");
    }
}

#[tokio::test]
async fn nothing_outside_can_be_signalled_and_the_first_process_does_not_mind() {
    let mut place = Place::new().await;
    let supervisor = std::process::id();
    let seen =
        place.prints(&format!("kill -0 {supervisor} 2>/dev/null && echo reached; kill -9 1; kill -STOP 1; echo alive")).await;
    assert_eq!(seen, "alive\n");
    assert_eq!(place.run("kill -9 -1; sleep 0; exit 4").await.exit, Exit::Code(4));
}

#[tokio::test]
async fn limits_hold() {
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
    let (mut one, mut two) = (Place::new().await, Place::new().await);
    let script = "set -- /proc/[0-9]*; echo $#";
    let (first, second) = tokio::join!(one.prints(script), two.prints(script));
    // The first process and the shell.
    assert_eq!((first.trim(), second.trim()), ("2", "2"));
}

#[tokio::test]
async fn files_are_read_written_and_deleted() {
    let mut place = Place::new().await;
    let script = FileState::Regular { content: b"#!/bin/sh\necho ran\n".to_vec(), executable: true };
    let link = FileState::Symlink { target: b"script".to_vec() };
    let changes = [
        ("deep/er/script".to_owned(), Some(script.clone())),
        ("deep/er/link".to_owned(), Some(link.clone())),
        ("notes".to_owned(), Some(regular("one\n"))),
        ("notes".to_owned(), Some(regular("two\n"))),
        ("gone".to_owned(), Some(regular(""))),
        ("gone".to_owned(), None),
        ("never/there".to_owned(), None),
    ];
    place.executor.write(&changes).await.unwrap();
    assert_eq!(place.executor.read("deep/er/script").await.unwrap(), Some(script));
    assert_eq!(place.executor.read("deep/er/link").await.unwrap(), Some(link));
    assert_eq!(place.executor.read("notes").await.unwrap(), Some(regular("two\n")));
    assert_eq!(place.executor.read("gone").await.unwrap(), None);
    assert_eq!(place.executor.read("no/such").await.unwrap(), None);
    let changed = "./deep/er/link && echo three >> notes && touch deep/new && rm deep/er/script && echo x > deep/er/script";
    assert_eq!(place.prints(changed).await, "ran\n");
    assert_eq!(place.executor.read("notes").await.unwrap(), Some(regular("two\nthree\n")));
}

#[tokio::test]
async fn no_file_outside_the_workspace_is_read_or_written() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let mut place = Place::new().await;
    let root = place.path().to_owned();
    symlink(outside.path(), root.join("directory")).unwrap();
    symlink(&secret, root.join("file")).unwrap();
    symlink("../../../../../../../..", root.join("up")).unwrap();
    let absolute = secret.display().to_string();
    for path in ["../x", "a/../../x", "..", ".", "", "/etc/passwd", &absolute, "directory/secret", "up/etc/passwd", "a\0b"] {
        is_path_error(place.executor.read(path).await);
        is_path_error(place.executor.write(&[(path.to_owned(), Some(regular("changed")))]).await);
        is_path_error(place.executor.write(&[(path.to_owned(), None)]).await);
    }
    is_path_error(place.executor.write(&[("directory/new/file".to_owned(), Some(regular("x")))]).await);
    let link = place.executor.read("file").await.unwrap();
    assert_eq!(link, Some(FileState::Symlink { target: absolute.into_bytes() }));
    place.executor.write(&[("file".to_owned(), Some(regular("changed")))]).await.unwrap();
    assert_eq!(place.executor.read("file").await.unwrap(), Some(regular("changed")));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn only_regular_files_of_a_sane_size_are_read() {
    let mut place = Place::new().await;
    named_pipe(&place, "pipe");
    let _socket = UnixListener::bind(place.path().join("socket")).unwrap();
    fs::create_dir(place.path().join("directory")).unwrap();
    fs::File::create(place.path().join("huge")).unwrap().set_len((32 << 20) + 1).unwrap();
    for path in ["pipe", "socket", "directory", "huge", "directory/pipe/x/.."] {
        is_path_error(place.executor.read(path).await);
    }
    is_path_error(place.executor.write(&[("directory".to_owned(), Some(regular("x")))]).await);
    is_path_error(place.executor.write(&[("directory".to_owned(), None)]).await);
    is_path_error(place.executor.write(&[("pipe/below".to_owned(), Some(regular("x")))]).await);
    place.executor.write(&[("pipe".to_owned(), Some(regular("no pipe any more")))]).await.unwrap();
    assert_eq!(place.executor.read("pipe").await.unwrap(), Some(regular("no pipe any more")));
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
