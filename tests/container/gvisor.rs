//! Containers with a kernel of their own, gVisor's: what of the contract can be seen to hold there.

use patchwright_domain::patch::FileState;

use super::*;

/// Its system calls take longer.
fn limits() -> Limits {
    Limits { output_bytes: 1 << 20, grace: Duration::from_millis(500), ..Limits::default() }
}

fn with_runtime(engine: &Engine) -> ContainerSettings {
    ContainerSettings { limits: limits(), runtime: Some("runsc".to_owned()), ..engine.settings() }
}

#[tokio::test]
async fn a_kernel_of_its_own_is_the_strongest_isolation() {
    let Some(engine) = podman::gvisor().await else { return };
    let found = sandbox(with_runtime(engine)).probe().await.unwrap();
    assert_eq!(found.isolation, Isolation::Kernel);
    assert!(found.layers.iter().any(|layer| layer == "kernel of its own"), "{:?}", found.layers);
    let of = |limit| found.limits.iter().find(|(of, _)| *of == limit).unwrap().1;
    for limit in [Limit::Memory, Limit::Processes, Limit::FileSize, Limit::Disk, Limit::Files] {
        assert_ne!(of(limit), Enforcement::Missing, "{limit}: {:?}", found.limits);
    }
}

#[tokio::test]
async fn commands_run_and_end_under_a_kernel_of_their_own() {
    let Some(engine) = podman::gvisor().await else { return };
    let mut place = Place::with(engine, with_runtime(engine)).await;
    assert_eq!(place.prints("echo out; echo err >&2").await, "out\nerr\n");
    assert_eq!(place.run("exit 3").await.exit, Exit::Code(3));
    assert_eq!(place.run("kill -KILL $$").await.exit, Exit::Signal(9));
    let own = fs::read_to_string("/proc/version").unwrap();
    assert_ne!(place.prints("cat /proc/version").await, own);
    // What a command leaves behind ends with it.
    assert_eq!(place.prints("sleep 100000 & sleep 100000 & echo started").await, "started\n");
    assert_eq!(place.prints("set -- /proc/[0-9]*; echo $#").await, "2\n", "the launcher and the shell");
    let endless = Command { timeout: Duration::from_millis(500), ..command("while :; do :; done") };
    assert_eq!(place.executor.execute(&endless).await.unwrap().exit, Exit::TimedOut);
    assert_eq!(place.run("while :; do echo yyyyyyyyyyyyyyyyyyyyyy; done").await.exit, Exit::Exceeded(Limit::Output));
    assert_eq!(place.prints("echo on it goes").await, "on it goes\n");
}

#[tokio::test]
async fn what_is_over_a_limit_is_ended_under_a_kernel_of_its_own() {
    let Some(engine) = podman::gvisor().await else { return };
    let limits = Limits { memory_bytes: 128 << 20, disk_bytes: 16 << 20, n_files: 200, n_processes: 16, ..limits() };
    let mut place = Place::with(engine, ContainerSettings { limits, ..with_runtime(engine) }).await;
    let forks = place.prints("perl -e 'while (defined(my $pid = fork)) { if (!$pid) { sleep 100000 } $n++ } print $n'").await;
    assert!((4..16).contains(&forks.parse::<u32>().unwrap()), "{forks} forks");
    let takers = "perl -e 'for (1..5) { if (!fork) { $n = 40 << 20; $x = \"x\" x $n; sleep 100000 } } wait; exit 1'";
    assert_eq!(place.run(takers).await.exit, Exit::Exceeded(Limit::Memory));
    let disk =
        "perl -e 'open my $file, \">\", \"big\" or die; print $file \"x\" x (1 << 20) for 1 .. 40; close $file; sleep 100000'";
    assert_eq!(place.run(disk).await.exit, Exit::Exceeded(Limit::Disk));
    place.prints("rm big").await;
    let files = "perl -e 'for (1 .. 1000) { open my $file, \">\", \"f$_\" or die } sleep 100000'";
    assert_eq!(place.run(files).await.exit, Exit::Exceeded(Limit::Files));
}

#[tokio::test]
async fn files_are_the_same_on_both_sides_of_another_kernel() {
    let Some(engine) = podman::gvisor().await else { return };
    let mut place = Place::with(engine, with_runtime(engine)).await;
    let file = |text: &str| FileState::Regular { content: text.as_bytes().to_vec(), executable: false };
    place.executor.write(&[("in".to_owned(), Some(file("from outside\n")))]).await.unwrap();
    assert_eq!(place.prints("cat in; echo from inside > out").await, "from outside\n");
    assert_eq!(place.executor.read("out").await.unwrap(), Some(file("from inside\n")));
    assert_eq!(fs::read_to_string(place.workspace.path().join("out")).unwrap(), "from inside\n");
    assert_eq!(place.prints("touch /usr/x 2>/dev/null || echo shut").await, "shut\n");
}

#[tokio::test]
async fn nothing_is_reached_through_another_kernel() {
    let Some(engine) = podman::gvisor().await else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut place = Place::with(engine, with_runtime(engine)).await;
    let client = format!(
        "use Socket; socket(my $t, PF_INET, SOCK_STREAM, 0); print connect($t, sockaddr_in({port}, INADDR_LOOPBACK)) ? 1 : 0"
    );
    assert_eq!(place.prints(&format!("perl -e '{client}'")).await, "0");
}
