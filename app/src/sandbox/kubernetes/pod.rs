//! What a Pod is made of: everything that the cluster is told about it.
//!
//! Two containers share its volumes. In `commands`, made of the operator's image, the launcher runs what is to be run; in
//! `files`, made of our own image and with processes of its own, our program reads and writes the workspace. An init
//! container carries the launcher into the first. None of them has a token, a capability, or a root that can be written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, LocalObjectReference, Pod, PodSecurityContext, PodSpec,
    ResourceRequirements, SeccompProfile, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::ObjectMeta;
use patchwright_launcher::resident::orders::HOLD;
use patchwright_launcher::spec::{HOME, WORKSPACE};

use crate::sandbox::carried::{Carried, LOADED, NOTHING, PRELOADED};
use crate::sandbox::errand::{self, Place};
use crate::sandbox::kubernetes::{KubernetesSettings, beside};
use crate::sandbox::{Limits, OBJECTS, Profile};

/// The container in which commands run.
pub(super) const COMMANDS: &str = "commands";
/// The container that keeps the files.
pub(super) const FILES: &str = "files";
/// The container that carries the launcher in.
pub(super) const CARRY: &str = "carry";

/// Whose Pods these are, as every Pod is labelled.
pub(super) const INSTANCE: &str = "app.kubernetes.io/instance";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const COMPONENT: &str = "app.kubernetes.io/component";
/// Which Pod it is, for people.
const SESSION: &str = "patchwright.dev/session";
/// Which process made it, and until when it may be there.
pub(super) const WORKER: &str = "patchwright.dev/worker";
pub(super) const EXPIRES: &str = "patchwright.dev/expires";

/// The user and group of all processes in a Pod.
const UID: i64 = 65532;
/// What the container that keeps the files may use, beside the commands.
const FILES_MEMORY: &str = "512Mi";
const FILES_CPU: &str = "500m";
/// What is asked for at least; the rest is a limit.
const CPU_REQUEST: &str = "100m";
/// From asking a Pod to end until it is killed; the launcher needs none of it.
const GRACE_SECONDS: i64 = 1;

/// What one Pod is for.
pub(super) struct Purpose<'a> {
    pub(super) name: &'a str,
    pub(super) worker: &'a str,
    /// In seconds since 1970.
    pub(super) expires: i64,
    pub(super) profile: Profile,
    pub(super) image: &'a str,
    /// What is filled beside the commands' own files, which see it read only.
    pub(super) folders: &'a [PathBuf],
}

/// Labels by which our Pods are found.
pub(super) fn selector(instance: &str) -> String {
    format!("{MANAGED_BY}=patchwright,{INSTANCE}={instance}")
}

/// Makes the Pod.
pub(super) fn pod(settings: &KubernetesSettings, carried: &Carried, purpose: &Purpose<'_>) -> Pod {
    let template = settings.template.clone();
    let mut spec = template.spec.unwrap_or_default();
    let limits = &settings.limits;
    let is_read_only = match purpose.profile {
        Profile::Reader => true,
        Profile::Setup | Profile::Agent | Profile::Proof => false,
    };
    let secrets = settings.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    let secrets: Vec<_> = spec.image_pull_secrets.take().into_iter().flatten().chain(secrets).collect();
    let own = |arguments: &[&str]| {
        std::iter::once(settings.launcher_program.clone()).chain(arguments.iter().map(|text| (*text).to_owned())).collect()
    };
    let beside = || purpose.folders.iter().enumerate().map(|(number, folder)| (beside::volume(number), number, folder));
    let commands = Container {
        name: COMMANDS.to_owned(),
        image: Some(purpose.image.to_owned()),
        command: Some(carried.command(HOLD)),
        // The image's libraries are not for the launcher, neither by these variables nor by a file. The commands get their
        // variables from the launcher.
        env: Some(LOADED.map(empty).to_vec()),
        resources: Some(resources(&settings.cpus, &memory(limits), limits)),
        volume_mounts: Some(
            [
                mount("workspace", WORKSPACE, is_read_only),
                mount("home", HOME, false),
                mount("objects", OBJECTS, true),
                mount("launcher", errand::CARRIED, true),
                VolumeMount { sub_path: Some(NOTHING.to_owned()), ..mount("launcher", PRELOADED, true) },
                mount("tmp", "/tmp", false),
                mount("var-tmp", "/var/tmp", false),
                mount("shm", "/dev/shm", false),
            ]
            .into_iter()
            .chain(beside().map(|(volume, _, folder)| mount(&volume, &folder.display().to_string(), true)))
            .collect(),
        ),
        ..container()
    };
    let files = Container {
        name: FILES.to_owned(),
        image: Some(settings.launcher_image.clone()),
        command: Some(own(&["in-pod", "hold"])),
        resources: Some(resources(FILES_CPU, &Quantity(FILES_MEMORY.to_owned()), limits)),
        volume_mounts: Some(
            [mount("workspace", WORKSPACE, false), mount("home", HOME, false), mount("objects", OBJECTS, false)]
                .into_iter()
                .chain(
                    beside()
                        .map(|(volume, number, _)| mount(&volume, &Place::Beside(number).path().display().to_string(), false)),
                )
                .collect(),
        ),
        ..container()
    };
    let carry = Container {
        name: CARRY.to_owned(),
        image: Some(settings.launcher_image.clone()),
        command: Some(own(&["in-pod", "carry"])),
        resources: Some(resources(FILES_CPU, &Quantity(FILES_MEMORY.to_owned()), limits)),
        volume_mounts: Some(vec![mount("launcher", errand::CARRIED, false)]),
        ..container()
    };
    Pod {
        metadata: ObjectMeta {
            name: Some(purpose.name.to_owned()),
            namespace: Some(settings.namespace.clone()),
            labels: Some(labels(settings, purpose, template.metadata.labels)),
            annotations: Some(annotations(purpose, template.metadata.annotations)),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            containers: vec![commands, files],
            init_containers: Some(vec![carry]),
            volumes: Some(volumes(limits, purpose.folders.len())),
            restart_policy: Some("Never".to_owned()),
            active_deadline_seconds: i64::try_from(settings.lifetime.as_secs()).ok(),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            host_network: Some(false),
            host_pid: Some(false),
            host_ipc: Some(false),
            host_users: Some(settings.host_users),
            share_process_namespace: Some(false),
            hostname: Some("sandbox".to_owned()),
            // The cluster's name server is nothing to a Pod that reaches nobody.
            dns_policy: Some("Default".to_owned()),
            runtime_class_name: settings.runtime_class.clone(),
            image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(UID),
                run_as_group: Some(UID),
                fs_group: Some(UID),
                seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
                ..PodSecurityContext::default()
            }),
            ..spec
        }),
        status: None,
    }
}

fn container() -> Container {
    Container {
        image_pull_policy: Some("IfNotPresent".to_owned()),
        working_dir: Some("/".to_owned()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn labels(
    settings: &KubernetesSettings,
    purpose: &Purpose<'_>,
    further: Option<BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let ours = [
        ("app.kubernetes.io/name", "patchwright"),
        (MANAGED_BY, "patchwright"),
        (COMPONENT, "sandbox"),
        (INSTANCE, &settings.instance),
        (SESSION, purpose.name),
    ];
    let mut labels = further.unwrap_or_default();
    labels.extend(ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
    labels
}

fn annotations(purpose: &Purpose<'_>, further: Option<BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut annotations = further.unwrap_or_default();
    annotations.insert(WORKER.to_owned(), purpose.worker.to_owned());
    annotations.insert(EXPIRES.to_owned(), purpose.expires.to_string());
    annotations
}

fn empty(name: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(String::new()), ..EnvVar::default() }
}

fn bytes(number: u64) -> Quantity {
    Quantity(number.to_string())
}

/// The commands' own, in which everything counts that they keep in memory.
fn memory(limits: &Limits) -> Quantity {
    bytes(limits.memory_bytes)
}

fn resources(cpu: &str, memory: &Quantity, limits: &Limits) -> ResourceRequirements {
    let named = |cpu: &str| {
        BTreeMap::from([
            ("cpu".to_owned(), Quantity(cpu.to_owned())),
            ("memory".to_owned(), memory.clone()),
            ("ephemeral-storage".to_owned(), bytes(limits.disk_bytes)),
        ])
    };
    let mut requests = named(CPU_REQUEST);
    // A scheduler that must find all of the disk at once would find it nowhere.
    requests.remove("ephemeral-storage");
    ResourceRequirements { requests: Some(requests), limits: Some(named(cpu)), ..ResourceRequirements::default() }
}

fn mount(volume: &str, path: &str, is_read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: is_read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn volumes(limits: &Limits, n_beside: usize) -> Vec<Volume> {
    let volume = |name: &str, most: u64, medium: Option<&str>| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { medium: medium.map(str::to_owned), size_limit: Some(bytes(most)) }),
        ..Volume::default()
    };
    const LAUNCHER_BYTES: u64 = 512 << 20;
    let own = [
        volume("workspace", limits.disk_bytes, None),
        volume("home", limits.disk_bytes, None),
        volume("objects", limits.disk_bytes, None),
        volume("launcher", LAUNCHER_BYTES, None),
        volume("tmp", limits.tmp_bytes, Some("Memory")),
        volume("var-tmp", limits.tmp_bytes, Some("Memory")),
        volume("shm", limits.tmp_bytes, Some("Memory")),
    ];
    own.into_iter().chain((0..n_beside).map(|number| volume(&beside::volume(number), beside::VOLUME_BYTES, None))).collect()
}
