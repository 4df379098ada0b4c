//! The same attacks against rules on files alone, where numbers of processes, paths and the network are the host's. What is
//! not held is named with its reason, and fails the test as soon as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use patchwright::sandbox::landlock::LandlockSandbox;
use patchwright::sandbox::local::LocalSettings;
use patchwright::sandbox::{Limits, Profile, Sandbox as _, Tree};
use patchwright_domain::proof::Exit;

use super::bait::Baits;
use super::trial::{command, workspace};
use super::{
    ATTACKER, bombs, files, kernel, launcher, leftovers, lifetimes, network, processes, races, repository, set_id, trial,
};

/// What Landlock has no rule for, or what cannot be tried here at all.
const OPEN: &[(&str, &str)] = &[
    ("the server's process is there", "numbers of processes are the host's; nothing of it can be looked into"),
    ("the host's keys are listed", "names of files can be asked for; none of them can be opened"),
    ("the kernel's log is read", "only its mode is asked for; the device cannot be opened, which another attack tries"),
    ("the processors of a process outside are read", "the number tells nothing more, and setting them is refused"),
    ("a key is pressed on a terminal", "no terminal can be made"),
    ("a key is pressed on a terminal, with high bits set", "no terminal can be made"),
    ("the console is asked", "no terminal can be made"),
    ("an interface is changed", "there is no socket to say it to"),
    ("all watches of files that a user may have are taken", "the limit cannot be read; the kernel counts for the user"),
];

fn landlock(limits: Limits) -> LandlockSandbox {
    let settings = LocalSettings { limits, uid: ATTACKER, toolchain_path: None, ..LocalSettings::default() };
    LandlockSandbox::new(launcher(), settings)
}

/// Whether these walls are there at all: to a server that is a plain user they are refused.
fn are_there() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn rules_on_files_are_refused_to_a_server_that_is_the_commands_own_user() {
    if are_there() {
        // The second run of this suite sees it.
        return;
    }
    let (tree, sandbox) = (workspace(), landlock(Limits::default()));
    let opened = sandbox.open(Tree::alone(tree.path()), Profile::Agent.into()).await.map(drop);
    for refused in [opened, sandbox.probe().await.map(drop)] {
        let refusal = refused.expect_err("it is to be refused");
        assert!(refusal.missing.contains("not the server's own") && refusal.remedy.contains("as root"), "{refusal:?}");
    }
}

#[tokio::test]
async fn every_attack_is_held_by_rules_on_files_but_for_what_is_known() {
    if !are_there() {
        return;
    }
    let cases = [files::CASES, kernel::CASES, kernel::CASES_HERE, network::CASES, processes::CASES];
    trial::check_in_one(&landlock(Limits::default()), &cases, OPEN).await;
}

#[tokio::test]
async fn no_daemon_outlives_its_command_behind_rules_on_files() {
    if !are_there() {
        return;
    }
    lifetimes::check(&landlock(Limits::default())).await;
}

#[tokio::test]
async fn names_that_change_behind_rules_on_files_lead_nowhere() {
    if !are_there() {
        return;
    }
    races::check(&landlock(Limits::default())).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_tree_full_of_traps_behind_rules_on_files() {
    if !are_there() {
        return;
    }
    leftovers::check_but(&landlock(Limits::default()), &["pipes and sockets"]).await;
}

#[tokio::test]
async fn a_repository_made_hostile_behind_rules_on_files_runs_nothing_outside() {
    if !are_there() {
        return;
    }
    repository::check(&landlock(Limits::default())).await;
}

#[tokio::test]
async fn a_file_made_behind_rules_on_files_cannot_be_setuid_anywhere() {
    if !are_there() {
        return;
    }
    set_id::check_everywhere(&landlock(Limits::default())).await;
}

#[tokio::test]
async fn bombs_are_stopped_behind_rules_on_files() {
    if !are_there() {
        return;
    }
    let sandbox = landlock(bombs::limits());
    trial::check_bombs_inside(&sandbox, bombs::REFUSED).await;
    trial::check_bombs_inside(&sandbox, bombs::WATCHED).await;
    trial::check_bombs_inside(&landlock(bombs::limits_of_unseen()), bombs::UNSEEN).await;
}

/// Runs a script in a tree of its own.
async fn said(script: &str) -> String {
    let tree = workspace();
    let sandbox = landlock(Limits::default());
    let mut executor = sandbox.open(Tree::alone(tree.path()), Profile::Agent.into()).await.expect("the sandbox can be made");
    let output = executor.execute(&command(script)).await.expect("the sandbox stays up");
    let text = String::from_utf8_lossy(&output.output).into_owned();
    assert_eq!(output.exit, Exit::Code(0), "{text}");
    text
}

/// The tests' own process has the part of the server.
#[tokio::test]
async fn nothing_of_the_server_is_looked_into_and_the_launcher_is_not_ended() {
    if !are_there() {
        return;
    }
    let script = format!(
        "for process in {} $PPID 1; do
            for name in environ cmdline maps smaps mem status stat io mounts net/tcp exe cwd/. root/.; do
                head -c 1 /proc/$process/$name >/dev/null 2>&1 && echo \"read $process $name\"; done
            ls /proc/$process /proc/$process/fd /proc/$process/task /proc/$process/root/ 2>/dev/null
            readlink /proc/$process/cwd /proc/$process/root /proc/$process/exe
            kill -0 $process 2>/dev/null && echo \"signalled $process\"; kill -9 $process 2>/dev/null && echo killed
        done; ls /proc; ls /; ls /tmp; echo over",
        std::process::id()
    );
    assert_eq!(said(&format!("exec 2>/dev/null; {script}")).await, "over\n");
}

/// Landlock has no rule for this one. Were it not for the filter, datagrams would come to any socket with a path.
#[tokio::test]
async fn no_pair_of_sockets_is_led_elsewhere() {
    if !are_there() {
        return;
    }
    let mut baits = Baits::lay_out(ATTACKER);
    let outside = baits.outside().display();
    let script = format!(
        r#"export PLACE='{outside}'
        perl -MSocket -e '
            print socketpair(my $a, my $b, AF_UNIX, SOCK_DGRAM, 0) ? "made" : "$!", "\n";
            socketpair($a, $b, AF_UNIX, SOCK_STREAM, 0) or die; my $to = pack_sockaddr_un("$ENV{{PLACE}}/socket");
            print connect($a, $to) ? "led" : "$!", "\n"; print bind($a, $to) ? "bound" : "$!", "\n";
            syswrite($a, "x"); sysread($b, my $x, 1); print $x'"#
    );
    assert_eq!(said(&script).await, "Operation not permitted\nOperation not permitted\nOperation not permitted\nx");
    assert_eq!(baits.touched(), None);
}

/// All commands are one user's, who can shut each folder of it whose name is known, and see the names in each that it can list.
#[tokio::test]
async fn the_private_folders_of_another_job_are_not_found_to_be_shut() {
    if !are_there() {
        return;
    }
    let (tree, sandbox) = (workspace(), landlock(Limits::default()));
    let mut other = sandbox.open(Tree::alone(tree.path()), Profile::Agent.into()).await.expect("the sandbox can be made");
    let trees = [workspace(), workspace()];
    let opened = sandbox.open(Tree::alone(trees[0].path()), Profile::Agent.into()).await;
    let mut spy = opened.expect("the sandbox can be made");
    // All that is made within a folder is told to who watches it; which folders can be watched is not for Landlock to say.
    let script = r#"exec perl -e '
        my ($init, $add) = (`uname -m` eq "x86_64\n") ? (294, 254) : (26, 27);
        my $watch = syscall($init, 0); $watch >= 0 or die "no watch: $!";
        for my $folder (map { my $up = $ENV{TMPDIR} . "/.." x $_; $up } 1, 2) {
            my $seen = syscall($add, $watch, $folder, 0x100);
            print $seen >= 0 ? "watched" : "$!", "\n"; opendir(my $all, $folder) and print "listed\n"; }'"#;
    let output = spy.execute(&command(script)).await.expect("the sandbox stays up");
    assert_eq!(String::from_utf8_lossy(&output.output), "Permission denied\nPermission denied\n");
    // What it has is its own, so that what it shuts is no other's.
    let shut = "chmod 0 \"$TMPDIR\" \"$HOME\"; chmod 0 \"$TMPDIR\"/../../*/tmp 2>/dev/null; echo over";
    let output = spy.execute(&command(shut)).await.expect("the sandbox stays up");
    assert_eq!(String::from_utf8_lossy(&output.output), "over\n");
    let works = other.execute(&command("echo x > \"$TMPDIR/x\" && echo y > \"$HOME/y\"")).await.expect("the sandbox stays up");
    assert_eq!(works.exit, Exit::Code(0), "{}", String::from_utf8_lossy(&works.output));
}

/// Whatever it does, what of a command outlives its launcher is ended by the server, which sees that the launcher is gone.
#[tokio::test]
async fn what_is_left_of_a_command_whose_launcher_is_killed_is_ended() {
    if !are_there() {
        return;
    }
    let tree = workspace();
    lifetimes::pipes(tree.path());
    let ready = tree.path().join("ready");
    rustix::fs::mkfifoat(rustix::fs::CWD, &ready, rustix::fs::Mode::from_raw_mode(0o666)).expect("the folder is fresh");
    fs::set_permissions(&ready, fs::Permissions::from_mode(0o666)).expect("it is ours");
    let sandbox = landlock(Limits::default());
    let opened = sandbox.open(Tree::alone(tree.path()), Profile::Agent.into()).await;
    let mut executor = opened.expect("the sandbox can be made");
    let running = tokio::spawn(async move {
        // Its environment and its session are not what it was started with.
        let script =
            "(exec env -i setsid sh -c 'exec 3<> up; exec sleep 100000' >/dev/null 2>&1 &) ; echo $PPID > ready; sleep 100000";
        executor.execute(&command(script)).await
    });
    let launcher = tokio::task::spawn_blocking(move || fs::read_to_string(ready)).await.expect("it reads");
    let launcher: i32 = launcher.expect("it is told").trim().parse().expect("it is a number");
    let launcher = rustix::process::Pid::from_raw(launcher).expect("it is a process");
    rustix::process::kill_process(launcher, rustix::process::Signal::KILL).expect("root may");
    let ended = running.await.expect("it ends");
    assert!(matches!(ended, Err(patchwright::sandbox::SandboxError::Machine { .. })), "{ended:?}");
    assert!(!lifetimes::is_held(&tree.path().join("up")), "it outlived its launcher");
}

/// What Landlock has no rules for, as `patchwright doctor` says: modes and times of what is the commands' own user's. The
/// bits that would make a program run as that user are refused all the same, and so are attributes.
#[tokio::test]
async fn modes_outside_can_be_changed_where_the_file_is_the_users_own_but_not_setuid() {
    if !are_there() {
        return;
    }
    let baits = Baits::lay_out(ATTACKER);
    let canary = baits.outside().join("canary");
    let mode = || fs::metadata(&canary).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o666);
    let script = format!(
        r#"chmod 600 '{0}'; chmod u+s '{0}' 2>/dev/null || echo refused; chmod 644 /usr/bin/env 2>/dev/null || echo not
        perl -e 'my ($file, $name, $value) = ("{0}", "user.x", "y"); for my $call ((`uname -m` eq "x86_64\n") ? (188, 189, 197, 198) : (5, 6, 14, 15), 463, 466) {{
            syscall($call, $file, $name, $value, 1, 0, 0); print $!{{EPERM}} ? "" : "$call: $!\n"; }}'"#,
        canary.display()
    );
    assert_eq!(said(&script).await, "refused\nnot\n");
    assert_eq!(rustix::fs::listxattr(&canary, &mut [0_u8; 64][..]), Ok(0));
    assert_eq!(mode(), 0o600);
}
