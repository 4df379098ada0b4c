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

#[tokio::test]
async fn every_attack_is_held_by_rules_on_files_but_for_what_is_known() {
    let cases = [files::CASES, kernel::CASES, kernel::CASES_HERE, network::CASES, processes::CASES];
    trial::check_in_one(&landlock(Limits::default()), &cases, OPEN).await;
}

#[tokio::test]
async fn no_daemon_outlives_its_command_behind_rules_on_files() {
    lifetimes::check(&landlock(Limits::default())).await;
}

#[tokio::test]
async fn names_that_change_behind_rules_on_files_lead_nowhere() {
    races::check(&landlock(Limits::default())).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_tree_full_of_traps_behind_rules_on_files() {
    leftovers::check_but(&landlock(Limits::default()), &["pipes and sockets"]).await;
}

#[tokio::test]
async fn a_repository_made_hostile_behind_rules_on_files_runs_nothing_outside() {
    repository::check(&landlock(Limits::default())).await;
}

#[tokio::test]
async fn a_file_made_behind_rules_on_files_cannot_be_setuid_anywhere() {
    set_id::check_everywhere(&landlock(Limits::default())).await;
}

#[tokio::test]
async fn bombs_are_stopped_behind_rules_on_files() {
    let sandbox = landlock(bombs::limits());
    trial::check_bombs_inside(&sandbox, bombs::REFUSED).await;
    trial::check_bombs_inside(&sandbox, bombs::WATCHED).await;
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

/// The tests' own process has the part of the server; where they run as a plain user it is the same user as the command.
#[tokio::test]
async fn nothing_of_the_server_is_looked_into_and_the_launcher_is_not_ended() {
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

/// What Landlock has no rules for, as `patchwright doctor` says: modes and times of what is the commands' own user's. The
/// bits that would make a program run as that user are refused all the same.
#[tokio::test]
async fn modes_outside_can_be_changed_where_the_file_is_the_users_own_but_not_setuid() {
    let baits = Baits::lay_out(ATTACKER);
    let canary = baits.outside().join("canary");
    let mode = || fs::metadata(&canary).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o666);
    let script = format!(
        "chmod 600 '{0}'; chmod u+s '{0}' 2>/dev/null || echo refused; chmod 644 /usr/bin/env 2>/dev/null || echo not",
        canary.display()
    );
    assert_eq!(said(&script).await, "refused\nnot\n");
    assert_eq!(mode(), 0o600);
}
