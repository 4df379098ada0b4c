//! What `Executor::spawn` promises: a process that is talked to, confined as a command is, and gone with its handle.

use patchwright::sandbox::{Bridge, Process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

/// A shell script as a process.
pub(super) fn sh(script: &str) -> Process {
    Process { argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()], ..Process::default() }
}

/// Runs a process without input to its end; what it printed, its errors and how it ended.
async fn ran(place: &mut Place, process: &Process) -> (String, String, Exit) {
    let mut running = place.executor.spawn(process).await.unwrap();
    running.input.shutdown().await.unwrap();
    let mut printed = String::new();
    running.output.read_to_string(&mut printed).await.unwrap();
    let exit = running.handle.wait().await.unwrap();
    (printed, running.handle.errors(), exit)
}

/// Accepts connections and answers each line with itself in capitals; the folder holds the socket.
fn shouting() -> (TempDir, PathBuf, tokio::task::JoinHandle<()>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                write.write_all(format!("{}\n", line.to_uppercase()).as_bytes()).await.unwrap();
            }
        }
    });
    (folder, path, task)
}

#[tokio::test]
async fn a_process_is_talked_to_until_the_end_of_its_input() {
    let mut place = Place::new().await;
    let script = "while read -r line; do echo \"got $line\"; done; echo over; echo complaint >&2; exit 3";
    let mut running = place.executor.spawn(&sh(script)).await.unwrap();
    let mut lines = BufReader::new(&mut running.output).lines();
    for word in ["one", "two"] {
        running.input.write_all(format!("{word}\n").as_bytes()).await.unwrap();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), format!("got {word}"));
    }
    running.input.shutdown().await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "over");
    assert_eq!(lines.next_line().await.unwrap(), None);
    assert_eq!(running.handle.wait().await.unwrap(), Exit::Code(3));
    assert_eq!(running.handle.errors(), "complaint\n");
    // Asked again, it says the same.
    assert_eq!(running.handle.wait().await.unwrap(), Exit::Code(3));
}

#[tokio::test]
async fn the_output_ends_when_the_process_closes_it() {
    let mut place = Place::new().await;
    let mut running = place.executor.spawn(&sh("echo first; exec >&- <&-; while :; do :; done")).await.unwrap();
    let mut printed = String::new();
    running.output.read_to_string(&mut printed).await.unwrap();
    assert_eq!(printed, "first\n");
    assert_eq!(running.handle.kill().await.unwrap(), Exit::TimedOut);
}

#[tokio::test]
async fn a_process_that_reads_nothing_still_says_everything() {
    let mut place = Place::new().await;
    let mut running = place.executor.spawn(&sh("until [ -e go ]; do :; done; echo out; exit 5")).await.unwrap();
    running.input.write_all(b"unread\n").await.unwrap();
    place.executor.write(&[("go".to_owned(), Some(regular("")))]).await.unwrap();
    let mut printed = String::new();
    running.output.read_to_string(&mut printed).await.unwrap();
    assert_eq!((printed.as_str(), running.handle.wait().await.unwrap()), ("out\n", Exit::Code(5)));
}

#[tokio::test]
async fn only_the_end_of_many_errors_is_kept() {
    let mut place = Place::new().await;
    let (_, errors, exit) = ran(&mut place, &sh("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo last >&2")).await;
    assert_eq!((errors.len(), exit), (8 * 1024, Exit::Code(0)));
    assert!(errors.ends_with("xxxlast\n"));
}

#[tokio::test]
async fn a_process_that_is_killed_or_dropped_leaves_nothing_behind() {
    for is_dropped in [false, true] {
        let mut place = Place::new().await;
        let held = named_pipe(&place, "held");
        let mut running = place.executor.spawn(&sh(&format!("{DAEMON} echo up; while :; do :; done"))).await.unwrap();
        let mut up = [0; 3];
        running.output.read_exact(&mut up).await.unwrap();
        assert!(is_held(&held));
        if !is_dropped {
            assert_eq!(running.handle.kill().await.unwrap(), Exit::TimedOut);
            assert!(!is_held(&held));
            continue;
        }
        drop(running);
        let released = async {
            while is_held(&held) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(100), released).await.expect("it is killed in the end");
    }
}

#[tokio::test]
async fn a_socket_that_is_given_is_all_that_a_process_reaches() {
    if subject::leaves_out("a_socket_that_is_given_is_all_that_a_process_reaches") {
        return;
    }
    let (_folder, socket, task) = shouting();
    let (_other_folder, other, other_task) = shouting();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let abstract_name = format!("patchwright-process-{port}");
    let _hidden = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap()).unwrap();
    let script = format!(
        "use Socket; use IO::Handle; sub unix {{ socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($_[0])) ? $s : undef }}
        my $s = unix(\"/run/given\") or die $!; $s->autoflush; print $s \"hello\\n\"; print scalar <$s>;
        print unix(\"{}\") ? 1 : 0, unix(\"\\0{abstract_name}\") ? 1 : 0;
        socket(my $t, PF_INET, SOCK_STREAM, 0); print connect($t, sockaddr_in({port}, INADDR_LOOPBACK)) ? 1 : 0;
        unlink(\"/run/given\") and print 1; open(my $f, \">\", \"/run/new\") and print 1; print \"\\n\"",
        other.display()
    );
    let mut process = sh(&format!("exec perl -e '{script}'"));
    process.sockets = vec![(socket, "/run/given".into())];
    let (printed, errors, exit) = ran(&mut Place::new().await, &process).await;
    assert_eq!((printed.as_str(), errors.as_str(), exit), ("HELLO\n000\n", "", Exit::Code(0)));
    task.abort();
    other_task.abort();
}

#[tokio::test]
async fn a_bridge_leads_a_port_of_the_loopback_to_a_socket() {
    if subject::leaves_out("a_bridge_leads_a_port_of_the_loopback_to_a_socket") {
        return;
    }
    let (_folder, socket, task) = shouting();
    let client = "use Socket; use IO::Handle; socket(my $t, PF_INET, SOCK_STREAM, 0);
        connect($t, sockaddr_in(8377, INADDR_LOOPBACK)) or die $!; $t->autoflush; print $t \"hello\\n\"; shutdown($t, 1); print <$t>";
    let mut process = sh(&format!("perl -e '{client}'; perl -e '{client}'"));
    process.sockets = vec![(socket, "/run/model".into())];
    process.bridge = Some(Bridge { port: 8377, socket: "/run/model".into() });
    let mut place = Place::new().await;
    let (printed, errors, exit) = ran(&mut place, &process).await;
    assert_eq!((printed.as_str(), errors.as_str(), exit), ("HELLO\nHELLO\n", "", Exit::Code(0)));
    // It is there for that process alone.
    let refused = format!("perl -e '{client}'");
    assert_ne!(place.run(&refused).await.exit, Exit::Code(0));
    task.abort();
}

#[tokio::test]
async fn environment_and_folders_are_added_to_those_of_every_command() {
    if subject::leaves_out("environment_and_folders_are_added_to_those_of_every_command") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "there\n").unwrap();
    let mut process = sh("echo \"$ADDED $LANG $HOME\"; cat /opt/given/file; echo x > /opt/given/file || pwd");
    process.environment = vec![("ADDED".into(), "one".into()), ("LANG".into(), "C".into())];
    process.read_only = vec![(folder.path().to_owned(), "/opt/given".into())];
    let (printed, _, exit) = ran(&mut Place::new().await, &process).await;
    assert_eq!((printed.as_str(), exit), ("one C /home/agent\nthere\n/workspace\n", Exit::Code(0)));
}

#[tokio::test]
async fn a_process_that_cannot_be_started_is_refused() {
    if subject::leaves_out("a_process_that_cannot_be_started_is_refused") {
        return;
    }
    let mut place = Place::new().await;
    let no_socket = Process { sockets: vec![("/etc/hostname".into(), "/run/given".into())], ..sh("true") };
    is_path_error(place.executor.spawn(&no_socket).await.map(drop));
    let missing = Process { argv: vec!["/usr/bin/no-such-program".into()], ..Process::default() };
    let mut running = place.executor.spawn(&missing).await.unwrap();
    let error = running.handle.wait().await.unwrap_err();
    assert!(matches!(&error, SandboxError::Refused(refusal) if refusal.missing.contains("no-such-program")), "{error:?}");
    let mut nowhere = LocalSandbox::new("/nonexistent/patchwright".into(), settings())
        .open(Tree::alone(place.path()), Profile::Agent.into())
        .await
        .unwrap();
    assert!(matches!(nowhere.spawn(&sh("true")).await, Err(SandboxError::Refused(_))));
}
