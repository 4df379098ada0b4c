//! The sandbox that the contract is tried against: rules on files alone.

use std::path::PathBuf;
use std::sync::Arc;

use patchwright::sandbox::Sandbox;
use patchwright::sandbox::landlock::LandlockSandbox;
use patchwright::sandbox::local::{LocalSandbox, LocalSettings};

/// Parts of the contract that are not kept, or are kept in a way that their test cannot see, and why. What of them matters
/// is tried in `landlock` and `hostile::landlock`.
const LEFT_OUT: &[(&str, &str)] = &[
    ("a_command_starts_where_it_was_told", "it is at the host's own path, and so are home and temporary files"),
    ("a_home_that_is_kept_lasts_and_nothing_is_mounted_below_it", "nothing is mounted"),
    ("host_files_are_invisible", "they cannot be opened, but their names be asked for"),
    (
        "a_command_is_asked_to_end_before_it_is_killed",
        "directories of processes in /proc are closed, the command's own among them",
    ),
    ("files_in_memory_count_as_memory", "temporary files are on the host's disk, and counted there"),
    ("shared_memory_that_nobody_is_attached_to_counts_as_well", "objects of the machine are closed"),
    (
        "the_kernel_kills_commands_before_the_server_when_memory_is_short",
        "directories of processes in /proc are closed, the command's own among them",
    ),
    ("limits_hold", "it is at the host's own path, and so are home and temporary files"),
    ("only_the_workspace_lasts_from_executor_to_executor", "it is at the host's own path, and so are home and temporary files"),
    ("a_bridge_leads_a_port_of_the_loopback_to_a_socket", "there are no sockets"),
    ("a_process_that_cannot_be_started_is_refused", "there are no sockets"),
    ("a_socket_that_is_given_is_all_that_a_process_reaches", "there are no sockets"),
    ("environment_and_folders_are_added_to_those_of_every_command", "nothing is mounted"),
    ("a_process_of_a_reader_changes_nothing_either", "the refusal says permission denied, not a read-only file system"),
    ("a_reader_cannot_make_the_workspace_writable", "the refusal says permission denied, not a read-only file system"),
    ("a_reader_changes_nothing_in_the_workspace", "the refusal says permission denied, not a read-only file system"),
    (
        "a_reader_has_its_own_places_to_write_and_reads_everything",
        "it is at the host's own path, and so are home and temporary files",
    ),
    ("the_environment_holds_only_what_is_listed", "it is at the host's own path, and so are home and temporary files"),
    ("the_toolchains_of_the_machine_work", "those in root's home cannot be got to by the commands' user"),
    ("two_commands_at_once_do_not_see_each_other", "directories of processes in /proc are closed, the command's own among them"),
    ("a_command_has_no_privilege_and_gains_none", "directories of processes in /proc are closed, the command's own among them"),
    ("nothing_else_can_be_written", "nothing is mounted"),
    (
        "a_process_beside_the_commands_is_ended_for_the_files_that_it_makes",
        "what is looked at is each command's own, so that a process beside is ended with the command that makes too many",
    ),
    ("only_plain_socket_families_exist", "there are no sockets"),
    ("there_is_no_network_but_an_own_loopback", "there are no sockets"),
];

/// Whether a test of the contract is not for this sandbox.
pub(super) fn leaves_out(test: &str) -> bool {
    LEFT_OUT.iter().any(|(name, _)| *name == test)
}

/// A sandbox with these settings. To a server that is a plain user it is refused, which another test sees; then the contract
/// is tried against namespaces once more.
pub(super) async fn sandbox(launcher: PathBuf, settings: LocalSettings) -> Arc<dyn Sandbox> {
    if !rustix::process::geteuid().is_root() {
        return Arc::new(LocalSandbox::new(launcher, settings));
    }
    Arc::new(LandlockSandbox::new(launcher, settings))
}

pub(super) fn is_container() -> bool {
    false
}
