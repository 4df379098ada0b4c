//! The hostile suite: real programs attack the sandbox's walls from inside. Each is first seen to escape where there are no
//! walls, so that an attack which never worked cannot pass for one that was held.
//!
//! Cases are data, and every executor can be put through them: `trial::check` takes a `Sandbox`. As root the suite also
//! runs a second time as a plain user, since the walls are built in another way there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use patchwright::sandbox::Limits;
use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use tempfile::TempDir;

use crate::groups::within;

mod bait;
mod bombs;
mod containers;
mod files;
mod kernel;
mod landlock;
mod leftovers;
mod lifetimes;
mod network;
mod planted;
mod processes;
mod races;
mod repository;
mod set_id;
mod terminal;
mod trial;
pub(crate) mod weapons;

/// The user of the attackers. No account has this id, and no other test uses it.
const ATTACKER: u32 = 60_871;
/// The user as whom the whole suite runs a second time.
const PLAIN_USER: u32 = 60_872;

/// Set in the second run.
const IS_SECOND: &str = "PATCHWRIGHT_HOSTILE_SECOND";

/// The program under test; where the tests run as another user it is a copy that this user can read.
fn launcher() -> PathBuf {
    std::env::var_os("PATCHWRIGHT_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_patchwright")), PathBuf::from)
}

/// The sandbox on this machine.
fn local(limits: Limits) -> LocalSandbox {
    LocalSandbox::new(launcher(), LocalSettings { limits, uid: ATTACKER, toolchain_path: None, ..LocalSettings::default() })
}

#[tokio::test]
async fn files_outside_are_out_of_reach() {
    let _leak = leaked();
    trial::check(&local(Limits::default()), files::CASES).await;
}

/// Descriptors that every child of this process gets, as a careless server would leave them: a folder and a file.
fn leaked() -> [std::os::fd::OwnedFd; 2] {
    let folder = fs::File::open(std::env::temp_dir()).expect("it is there");
    let file = fs::File::open("/proc/self/exe").expect("it is there");
    // A copy made by `dup` is not closed when a program starts.
    [rustix::io::dup(&folder).expect("there is room"), rustix::io::dup(&file).expect("there is room")]
}

#[tokio::test]
async fn the_doors_of_the_kernel_are_closed() {
    trial::check(&local(Limits::default()), kernel::CASES).await;
    trial::check(&local(Limits::default()), kernel::CASES_HERE).await;
}

#[tokio::test]
async fn nothing_is_reached_by_a_socket() {
    trial::check(&local(Limits::default()), network::CASES).await;
}

#[tokio::test]
async fn nobody_else_is_touched_and_nothing_is_gained() {
    trial::check(&local(Limits::default()), processes::CASES).await;
}

#[tokio::test]
async fn no_daemon_outlives_its_command() {
    lifetimes::check(&local(Limits::default())).await;
}

#[tokio::test]
async fn names_that_change_lead_nowhere() {
    races::check(&local(Limits::default())).await;
}

#[tokio::test]
async fn a_link_that_a_command_leaves_leads_no_mount() {
    planted::check(&local(Limits::default())).await;
}

#[tokio::test]
async fn a_file_made_inside_cannot_be_setuid_outside() {
    set_id::check(&local(Limits::default())).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_tree_full_of_traps() {
    leftovers::check(&local(Limits::default())).await;
}

#[tokio::test]
async fn a_hostile_repository_runs_nothing_outside() {
    repository::check(&local(Limits::default())).await;
}

#[test]
fn the_operators_terminal_does_nothing() {
    terminal::check();
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused() {
    trial::check_bombs(&local(bombs::limits()), bombs::REFUSED).await;
}

#[tokio::test]
async fn bombs_are_stopped_at_their_limit() {
    trial::check_bombs(&local(bombs::limits()), bombs::WATCHED).await;
    trial::check_bombs(&local(bombs::limits_of_unseen()), bombs::UNSEEN).await;
}

#[tokio::test]
async fn bombs_of_processor_time_are_stopped_at_their_limit() {
    trial::check_bombs(&local(bombs::limits_of_computing()), bombs::COMPUTING).await;
}

#[tokio::test]
async fn what_only_the_kernel_counts_is_stopped_at_its_limit() {
    let Some(_) = within::sandbox(Limits::default()).await else { return };
    trial::check_bombs(&local(bombs::limits()), bombs::COUNTED).await;
}

#[test]
fn bombs_are_stopped_for_a_plain_user_too() {
    run_again(&["hostile::bombs_are_stopped_at_their_limit", "hostile::bombs_of_processor_time"]);
}

#[test]
fn all_of_it_holds_for_a_server_that_is_a_plain_user() {
    run_again(&["hostile::", "ordinary::what_programs", "--skip", "pipeline::", "--skip", "bombs"]);
}

/// Runs this suite once more, as a plain user with a temporary folder of its own.
fn run_again(arguments: &[&str]) {
    if !rustix::process::geteuid().is_root() || std::env::var_os(IS_SECOND).is_some() {
        return;
    }
    let folder = TempDir::with_prefix("patchwright-plain-").expect("there is room");
    chown(folder.path(), Some(PLAIN_USER), Some(PLAIN_USER)).expect("root may");
    let bring = |from: PathBuf, name: &str| {
        let to = folder.path().join(name);
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).expect("there is room");
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).expect("it is ours");
        to
    };
    let binary = bring(launcher(), "patchwright");
    let tests = bring(std::env::current_exe().expect("it is running"), "tests");
    let mut again = Command::new("sh");
    // As many open files as a service usually has; this process may have been given more.
    again.args(["-c", "ulimit -n 1024; exec \"$0\" \"$@\""]).arg(tests).args(arguments).current_dir(folder.path());
    again.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TMPDIR", folder.path()).env(IS_SECOND, "1");
    again.env("PATCHWRIGHT_BINARY", binary).uid(PLAIN_USER).gid(PLAIN_USER).stdin(Stdio::null());
    let output = again.output().expect("it can be started");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success() && !out.contains("running 0 tests"), "{out}{err}");
    err.lines().filter(|line| line.starts_with("hostile: ")).for_each(|line| trial::tell(&format!("{line}, as a plain user")));
}
