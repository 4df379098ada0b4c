//! What a command may use, and what happens to one that uses more.

use patchwright::sandbox::Limits;
use tokio::io::AsyncWriteExt as _;

use super::process::sh;
use super::*;

const MIB: u64 = 1 << 20;

async fn limited(limits: Limits) -> Place {
    Place::with(LocalSettings { limits, ..settings() }).await
}

/// What must be killed at a limit, or it would go on until the time is over.
#[track_caller]
fn is_stopped(output: &Output, limit: Limit) {
    assert_eq!(output.exit, Exit::Exceeded(limit), "{}", String::from_utf8_lossy(&output.output));
}

#[tokio::test]
async fn memory_is_limited_for_all_processes_together() {
    let limits = Limits { memory_bytes: 256 * MIB, ..Limits::default() };
    let mut place = limited(limits).await;
    // Each takes less than a process may have.
    let many = "for n in 1 2 3 4 5 6 7 8; do perl -e '$x = \"x\" x (60 << 20); sleep 100000' & done; wait";
    is_stopped(&place.run(many).await, Limit::Memory);
    assert_eq!(place.prints("echo still here").await, "still here\n");
    // One alone is refused by the kernel.
    assert_ne!(place.run("perl -e '$x = \"x\" x (300 << 20)' 2>/dev/null").await.exit, Exit::Code(0));
    // What is shared since a fork is there once.
    let forked =
        "perl -e '$x = \"x\" x (100 << 20); for (1..6) { fork or do { select undef, undef, undef, 0.4; exit } } wait for 1..6'";
    assert_eq!(place.run(forked).await.exit, Exit::Code(0));
}

#[tokio::test]
async fn files_in_memory_count_as_memory() {
    if subject::leaves_out("files_in_memory_count_as_memory") {
        return;
    }
    if subject::is_container() {
        // There the kernel counts them, and with nobody else left to kill it ends the launcher, which not every engine tells.
        return;
    }
    let limits = Limits { memory_bytes: 128 * MIB, ..Limits::default() };
    let mut place = limited(limits).await;
    let number = if cfg!(target_arch = "x86_64") { 319 } else { 279 };
    // A file without a name, by a process that nobody of its own user may look into.
    let nameless = format!(
        "perl -e 'syscall(157, 4, 0, 0, 0, 0); my $name = \"x\"; my $fd = syscall({number}, $name, 0); open my $f, \">&=\", $fd or die; \
         $b = \"x\" x (1 << 20); for (1..400) {{ syswrite $f, $b; select undef, undef, undef, 0.002 }} sleep 100000'"
    );
    is_stopped(&place.run(&nameless).await, Limit::Memory);
    let private = "head -c 100M /dev/zero > /tmp/a; head -c 100M /dev/zero > /dev/shm/b; sleep 100000";
    is_stopped(&place.run(private).await, Limit::Memory);
}

#[tokio::test]
async fn shared_memory_that_nobody_is_attached_to_counts_as_well() {
    if subject::leaves_out("shared_memory_that_nobody_is_attached_to_counts_as_well") {
        return;
    }
    if subject::is_container() {
        return;
    }
    let mut place = limited(Limits { memory_bytes: 128 * MIB, ..Limits::default() }).await;
    let segments = r#"perl -e '$b = "x" x (32 << 20); for (1..12) { $id = shmget(0, 32 << 20, 0600 | 01000) // last;
        shmwrite($id, $b, 0, 32 << 20) } sleep 100000'"#;
    is_stopped(&place.run(segments).await, Limit::Memory);
    // What is left of it is not the next command's doing.
    assert_eq!(place.prints("sleep 0.3; echo there").await, "there\n");
}

#[tokio::test]
async fn the_kernel_kills_commands_before_the_server_when_memory_is_short() {
    if subject::leaves_out("the_kernel_kills_commands_before_the_server_when_memory_is_short") {
        return;
    }
    let mut place = limited(Limits::default()).await;
    let score = place.prints("cat /proc/self/oom_score_adj").await;
    assert!(score.trim().parse::<i32>().unwrap() >= 500, "{score}");
}

#[tokio::test]
async fn the_workspace_takes_no_more_of_the_disk_than_it_may() {
    let limits = Limits { disk_bytes: 32 * MIB, n_files: 2000, ..Limits::default() };
    let mut place = limited(limits.clone()).await;
    if subject::is_container() {
        return;
    }
    // More than any machine writes before the next look, which may be a second away.
    is_stopped(&place.run("for n in $(seq 1 1500); do head -c 1M /dev/zero > file$n; done; sleep 100000").await, Limit::Disk);
    assert!(fs::read_dir(place.path()).unwrap().count() < 1500);
    // Who is to tidy up is not killed for it, and who makes it worse is.
    assert_eq!(place.prints("rm file1; sleep 0.5; echo there").await, "there\n");
    is_stopped(&place.run("for n in $(seq 200 300); do head -c 1M /dev/zero > file$n; done; sleep 100000").await, Limit::Disk);
    // A file without a name takes as much.
    let mut place = limited(limits.clone()).await;
    let unnamed = r#"exec perl -e 'open F, "+>", "f"; unlink "f"; syswrite F, "x" x (1 << 20) for 1..200; sleep 100000'"#;
    is_stopped(&place.run(unnamed).await, Limit::Disk);
    let mut place = limited(limits).await;
    is_stopped(&place.run("mkdir d; n=0; while :; do : > d/$n; n=$((n + 1)); done").await, Limit::Files);
}

#[tokio::test]
async fn commands_one_after_another_take_no_more_of_the_disk_than_one() {
    let mut place = limited(Limits { disk_bytes: 32 * MIB, ..Limits::default() }).await;
    if subject::is_container() {
        return;
    }
    let flood = |name: u32| format!("for n in $(seq 1 50); do head -c 4M /dev/zero > {name}-$n; done; sleep 100000");
    is_stopped(&place.run(&flood(1)).await, Limit::Disk);
    let files = |place: &Place| fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    let taken = |place: &Place| files(place).map(|found| found.blocks() * 512).sum::<u64>();
    let first = taken(&place);
    for number in 2..6 {
        is_stopped(&place.run(&flood(number)).await, Limit::Disk);
    }
    is_stopped(&place.run("exec head -c 4M /dev/zero > more").await, Limit::Disk);
    let last = taken(&place);
    assert!(last <= first, "{first} bytes became {last}");
    // Who has tidied up may write again.
    assert_eq!(place.prints("rm *; echo gone").await, "gone\n");
    assert_eq!(place.prints("echo there > file; cat file").await, "there\n");
}

#[tokio::test]
async fn commands_one_after_another_make_no_more_files_than_one() {
    const NOTE: &str = "\npatchwright: there are too many files in the workspace (limit 500): none can be made\n";
    let mut place = limited(Limits { n_files: 500, ..Limits::default() }).await;
    let n_files = |place: &Place| fs::read_dir(place.path()).unwrap().count();
    is_stopped(&place.run("n=0; while :; do : > first-$n; n=$((n + 1)); done").await, Limit::Files);
    let first = n_files(&place);
    assert!(first > 500, "{first} files");
    for number in 2..=10 {
        let name = ["", "mkdir", "mkfifo", "ln -s x", "ln first-0", "mv first-0"][number % 6];
        let more = format!("{name} {} more-{number}", if name.is_empty() { ":>" } else { "" });
        let output = place.run(&format!("{more}; for n in 1 2 3 4 5 6 7 8 9; do : > {number}-$n || exit 7; done")).await;
        assert!(matches!(output.exit, Exit::Code(code) if code != 0), "{}", output.exit);
        assert!(String::from_utf8_lossy(&output.output).ends_with(NOTE), "{output:?}");
    }
    // Nothing tells why a command fails, so its answer stays what it is.
    assert_eq!(place.run("exit 1").await.exit, Exit::Code(1));
    let last = n_files(&place);
    assert!(last <= first, "{first} files became {last}");
    // What there is can be written, there is room elsewhere, and who has tidied up may make files again.
    assert_eq!(place.prints("echo there > first-1; echo too > $TMPDIR/file; cat first-1 $TMPDIR/file").await, "there\ntoo\n");
    assert_eq!(place.prints("rm -r *; echo gone").await, "gone\n");
    assert_eq!(place.prints("echo there > file; cat file").await, "there\n");
}

#[tokio::test]
async fn a_process_beside_the_commands_is_ended_for_the_files_that_it_makes() {
    if subject::is_container() || subject::leaves_out("a_process_beside_the_commands_is_ended_for_the_files_that_it_makes") {
        // In a container each has its own, and nothing of it is another's.
        return;
    }
    let mut place = limited(Limits { n_files: 500, ..Limits::default() }).await;
    let makes = "read line; n=0; while :; do : > beside-$n; n=$((n + 1)); done";
    let mut beside = place.executor.spawn(&sh(makes)).await.unwrap();
    is_stopped(&place.run("n=0; while :; do : > first-$n; n=$((n + 1)); done").await, Limit::Files);
    // A command that can make none does not stand in for it.
    beside.input.write_all(b"go\n").await.unwrap();
    let output = place.run("while [ ! -e beside-0 ]; do sleep 0.05; done; sleep 0.3; echo through").await;
    assert_eq!(String::from_utf8_lossy(&output.output), "through\n", "{}", output.exit);
    assert_eq!(beside.handle.wait().await.unwrap(), Exit::Exceeded(Limit::Files));
}

#[tokio::test]
async fn what_others_free_hides_nothing_that_is_taken() {
    if subject::is_container() {
        return;
    }
    let limits = Limits { disk_bytes: 32 * MIB, ..Limits::default() };
    let mut place = limited(limits).await;
    let mut others = tempfile::NamedTempFile::new_in(std::env::temp_dir()).unwrap();
    std::io::Write::write_all(&mut others, &vec![1; 128 << 20]).unwrap();
    let pipe = named_pipe(&place, "pipe");
    // By then it was seen how much there is.
    let script = "sleep 0.3; read -r _ < pipe; for n in $(seq 1 60); do head -c 1M /dev/zero > file$n; done; sleep 100000";
    let frees = tokio::task::spawn_blocking(move || {
        let mut pipe = fs::OpenOptions::new().write(true).open(pipe).unwrap();
        others.close().unwrap();
        std::io::Write::write_all(&mut pipe, b"now\n").unwrap();
    });
    is_stopped(&place.run(script).await, Limit::Disk);
    frees.await.unwrap();
}

#[tokio::test]
async fn output_without_end_is_stopped() {
    let mut place = limited(Limits { output_bytes: 4 * MIB, ..Limits::default() }).await;
    let flood = r#"exec perl -e '$SIG{PIPE} = sub {}; $| = 1; print "begin\n"; print "y\n" while 1'"#;
    let output = place.run(flood).await;
    is_stopped(&output, Limit::Output);
    assert!(output.output.starts_with(b"begin\ny\n"));
    assert_eq!(place.prints("perl -e 'print \"x\" x 60000'").await.len(), 60000);
}

#[tokio::test]
async fn processor_time_is_limited() {
    let mut place = limited(Limits { cpu_seconds: 1, ..Limits::default() }).await;
    is_stopped(&place.run("exec perl -e '1 while 1'").await, Limit::Cpu);
}

#[tokio::test]
async fn processor_time_is_limited_for_all_processes_together() {
    let mut place = limited(Limits { cpu_seconds: 1, ..Limits::default() }).await;
    // None of them has all of it.
    is_stopped(&place.run("while :; do perl -e '1 while times < 0.05'; done").await, Limit::Cpu);
    is_stopped(&place.run("for n in 1 2 3 4; do perl -e '1 while times < 0.8; sleep 100000' & done; wait").await, Limit::Cpu);
    // What nobody waits for is lost with its process, and was seen before.
    let unwaited = "perl -e '$SIG{CHLD} = \"IGNORE\"; while (1) { fork or do { 1 while times < 0.5; exit }; wait }'";
    is_stopped(&place.run(unwaited).await, Limit::Cpu);
    // The next command begins anew.
    assert_eq!(place.prints("perl -e 'do { ($u, $s) = times } while $u + $s < 0.6; print \"there\"'").await, "there");
}

#[tokio::test]
async fn a_command_is_asked_to_end_before_it_is_killed() {
    if subject::leaves_out("a_command_is_asked_to_end_before_it_is_killed") {
        return;
    }
    let mut place = limited(Limits { grace: Duration::from_secs(60), ..Limits::default() }).await;
    let polite =
        Command { timeout: Duration::from_millis(1500), ..command("trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done") };
    let output = place.executor.execute(&polite).await.unwrap();
    assert_eq!(output.exit, Exit::TimedOut);
    assert!(output.output.ends_with(b"bye\n"), "{output:?}");
    let mut place = limited(Limits { grace: Duration::from_millis(100), ..Limits::default() }).await;
    let deaf = Command { timeout: Duration::from_millis(300), ..command("trap '' TERM; while :; do sleep 0.05; done") };
    assert_eq!(place.executor.execute(&deaf).await.unwrap().exit, Exit::TimedOut);
    assert_eq!(place.prints("set -- /proc/[0-9]*; echo $#").await, "2\n");
}

#[tokio::test]
async fn limits_are_tried_where_workspaces_are() {
    let folder = tempfile::tempdir().unwrap();
    let found = async |trials: PathBuf| {
        let sandbox = subject::sandbox(launcher(), LocalSettings { trials, ..settings() }).await;
        sandbox.probe().await
    };
    let trials = folder.path().join("workspaces");
    found(trials.clone()).await.unwrap();
    assert_eq!(fs::read_dir(&trials).unwrap().count(), 0, "the folder was made, and nothing is left in it");
    // Believing what was found elsewhere would say nothing of this one.
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refusal = found(file.join("workspaces")).await.unwrap_err();
    assert!(refusal.missing.contains("file/workspaces: Not a directory"), "{refusal:?}");
    assert!(refusal.remedy.contains("`workspace.dir`"), "{refusal:?}");
}
