//! The same attacks against containers, of the engine that the container tests start. As root its containers are rootful;
//! where the tests are run as a plain user they are rootless. Where there is no engine the tests say so.

use patchwright::sandbox::Limits;
use patchwright::sandbox::container::{ContainerSandbox, ContainerSettings};

use super::{
    ATTACKER, IS_SECOND, bombs, files, kernel, launcher, leftovers, lifetimes, network, processes, races, repository, set_id,
    trial,
};
use crate::support::podman::{self, Engine};

/// What a container does not hold. No namespace of users can be made in one, by which the kernel would count apart.
const OPEN: &[(&str, &str)] =
    &[("all watches of files that a user may have are taken", "the kernel counts them for the user of all containers together")];

/// What gVisor's kernel does not hold, or does not have. It is the container's alone, and so is all that is reached here.
const OPEN_IN_GVISOR: &[(&str, &str)] = &[
    ("the environment of the first process or of the server is read", "it shows everybody's; what is there the engine has set"),
    ("control devices are opened", "it has a /dev/fuse of its own"),
    ("a file becomes immutable", "it knows no such flags"),
    ("a call of 32 bits", "it has no entry for them"),
    ("an interface is changed", "it does not know how"),
    ("a ping socket", "its network has nobody to be asked"),
    ("all watches of files that a user may have are taken", "it tells of no limit"),
    ("a real-time priority is taken", "it has no such priorities"),
    ("memory is never taken back", "it lets the number be set, and takes all of it back with the container"),
];

fn containers(engine: &Engine, limits: Limits) -> ContainerSandbox {
    ContainerSandbox::new(launcher(), ContainerSettings { limits, uid: ATTACKER, ..engine.settings() })
}

/// The engine; none in the second run, whose user is nobody's and has no ids for a rootless one.
async fn engine() -> Option<&'static Engine> {
    if std::env::var_os(IS_SECOND).is_some() {
        return None;
    }
    podman::engine().await
}

#[tokio::test]
async fn every_attack_is_held_in_one_container() {
    let Some(engine) = engine().await else { return };
    let cases = [files::CASES, kernel::CASES, kernel::CASES_HERE, network::CASES, processes::CASES];
    trial::check_in_one(&containers(engine, Limits::default()), &cases, OPEN).await;
}

#[tokio::test]
async fn no_daemon_outlives_its_command_in_a_container() {
    let Some(engine) = engine().await else { return };
    lifetimes::check(&containers(engine, Limits::default())).await;
}

#[tokio::test]
async fn names_that_change_in_a_container_lead_nowhere() {
    let Some(engine) = engine().await else { return };
    races::check(&containers(engine, Limits::default())).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_tree_that_a_container_filled_with_traps() {
    let Some(engine) = engine().await else { return };
    leftovers::check(&containers(engine, Limits::default())).await;
}

#[tokio::test]
async fn a_repository_made_hostile_in_a_container_runs_nothing_outside() {
    let Some(engine) = engine().await else { return };
    repository::check(&containers(engine, Limits::default())).await;
}

#[tokio::test]
async fn a_file_made_in_a_container_cannot_be_setuid_outside() {
    let Some(engine) = engine().await else { return };
    set_id::check(&containers(engine, Limits::default())).await;
}

#[tokio::test]
async fn bombs_are_stopped_in_containers() {
    let Some(engine) = engine().await else { return };
    let sandbox = containers(engine, bombs::limits());
    trial::check_bombs_inside(&sandbox, bombs::REFUSED).await;
    trial::check_bombs_inside(&sandbox, bombs::WATCHED).await;
    trial::check_bombs_inside(&containers(engine, bombs::limits_of_unseen()), bombs::UNSEEN).await;
    trial::check_bombs_inside(&containers(engine, bombs::limits_of_computing()), bombs::COMPUTING).await;
}

#[tokio::test]
async fn every_attack_is_held_under_a_kernel_of_its_own() {
    let Some(engine) = podman::gvisor().await else { return };
    let cases = [files::CASES, kernel::CASES, kernel::CASES_HERE, network::CASES, processes::CASES];
    trial::check_in_one(&containers(engine, Limits::default()), &cases, OPEN_IN_GVISOR).await;
}
