//! Trying the cluster for real: the server's rights, a Pod, the launcher's attacks in it, its network and its limits.

use std::time::Duration;

use patchwright_domain::patch::FileState;
use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::probe::Baits;
use patchwright_launcher::resident::orders::Work;
use patchwright_launcher::trial::Take;

use crate::sandbox::errand::{Answer, Errand};
use crate::sandbox::findings::{holding, is_file_refused, taken};
use crate::sandbox::kernels;
use crate::sandbox::kubernetes::beside::Beside;
use crate::sandbox::kubernetes::{KubernetesExecutor, KubernetesSandbox, KubernetesSettings, told};
use crate::sandbox::resident::Patience;
use crate::sandbox::{Capabilities, Enforcement, Executor as _, Isolation, Limits, Output, Profile, Refusal, SandboxError};

/// What to do about a layer that does not hold.
const REMEDY: &str = "take what weakens its Pods out of the cluster (admission webhooks, a runtime without seccomp); no repository code runs until then";
const TIMEOUT: Duration = Duration::from_secs(60);
/// No trial but the one of it says as much.
const OUTPUT_BYTES: u64 = 1 << 20;
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// The limits that are tried: small, so that trying is quick and hurts nobody.
const MEMORY_BYTES: u64 = 192 << 20;
const MEMORY_BYTES_TRIED: u64 = 2 * MEMORY_BYTES;
const N_PROCESSES: u64 = 32;
const N_PROCESSES_TRIED: u64 = 512;
const N_FILES: u64 = 256;
const N_FILES_TRIED: u64 = 4 * N_FILES;
const FILE_BYTES: u64 = 8 << 20;
/// How long an address may take to answer that must not.
const REACH_TIMEOUT_MS: u64 = 3000;
/// What is in the workspace that is tried.
const MARK: &str = ".patchwright-mark";
/// A path of a server's machine and a port of its loopback; no Pod has them.
const NOWHERE: &str = "/nowhere/patchwright";
const NO_PORT: u16 = 1;

const MANIFEST: &str = "kubectl apply -f manifests/kubernetes.yaml";

pub(super) async fn probe(sandbox: &KubernetesSandbox) -> Result<Capabilities, Refusal> {
    let (cluster, _) = sandbox.found().await?;
    let missing = cluster.rights_missing().await?;
    if !missing.is_empty() {
        return Err(Refusal {
            missing: format!("rights in namespace `{}`: {}", sandbox.settings.namespace, missing.join(", ")),
            remedy: format!("`{MANIFEST}` makes this Role; bind it to the account that the server uses:\n{}", role(sandbox)),
        });
    }
    let limits = Limits {
        memory_bytes: MEMORY_BYTES,
        n_processes: N_PROCESSES,
        tmp_bytes: sandbox.settings.limits.tmp_bytes.min(MEMORY_BYTES),
        n_files: N_FILES,
        file_bytes: FILE_BYTES,
        ..sandbox.settings.limits.clone()
    };
    let settings = KubernetesSettings { limits, ..sandbox.settings.clone() };
    let mut executor = sandbox.start(Profile::Proof.into(), Beside::default(), &settings).await?;
    let found = all(&mut executor, sandbox).await;
    if let Some(life) = executor.life.take() {
        life.end().await;
    }
    found
}

async fn all(executor: &mut KubernetesExecutor, sandbox: &KubernetesSandbox) -> Result<Capabilities, Refusal> {
    let namespace = &sandbox.settings.namespace;
    network(executor, namespace).await?;
    let findings = holding(&run(executor, Work::Probe(Baits { file: NOWHERE.into(), port: NO_PORT })).await?, REMEDY)?;
    shell(executor).await?;
    let processes = processes(executor).await?;
    let file = is_file_refused(&run(executor, Work::Take(Take::File { bytes: 2 * FILE_BYTES })).await?, FILE_BYTES);
    let files = run(executor, Work::Take(Take::Files { n_files: N_FILES_TRIED })).await?.exit == Exit::Exceeded(Limit::Files);
    let own = &sandbox.settings.limits;
    let open_files = run(executor, Work::Take(Take::OpenFiles { n_files: own.n_open_files })).await?;
    let open_files = taken(&open_files).is_some_and(|n_files| n_files < own.n_open_files);
    let cpu = taken(&run(executor, Work::Take(Take::Cpu)).await?).is_some_and(|seconds| seconds <= own.cpu_seconds);
    let output = run(executor, Work::Take(Take::Output { bytes: 2 * OUTPUT_BYTES })).await?.exit;
    let kept = |is_kept: bool, how: Enforcement| if is_kept { how } else { Enforcement::Missing };
    let limits = vec![
        // The last that is tried: with it the cluster may end the whole container.
        (Limit::Memory, memory(executor).await?),
        (Limit::Cpu, kept(cpu, Enforcement::Polled)),
        (Limit::Processes, processes),
        (Limit::OpenFiles, kept(open_files, Enforcement::Exact)),
        (Limit::FileSize, kept(file, Enforcement::Exact)),
        // Not tried: filling it might have the node evict the Pod. The launcher looks at it as at the files, which are tried.
        (Limit::Disk, Enforcement::Polled),
        (Limit::Files, kept(files, Enforcement::Polled)),
        (Limit::Output, kept(output == Exit::Exceeded(Limit::Output), Enforcement::Polled)),
    ];
    let (isolation, runtime) = match &sandbox.settings.runtime_class {
        Some(class) if kernels::are_proven(class, &executor.kernel) => (Isolation::Kernel, format!("RuntimeClass `{class}`")),
        Some(_) | None => (Isolation::Container, "the nodes' own runtime".to_owned()),
    };
    let layers = [format!("Pods in namespace `{namespace}`"), runtime, "no network beyond the Pod".to_owned()];
    Ok(Capabilities { isolation, layers: layers.into_iter().chain(findings).collect(), limits, advice: Vec::new() })
}

/// The Role that is missing, as it can be applied.
fn role(sandbox: &KubernetesSandbox) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: patchwright\n  namespace: {}\nrules:\n  - \
         apiGroups: [\"\"]\n    resources: [pods]\n    verbs: [create, get, list, watch, delete]\n  - apiGroups: [\"\"]\n    \
         resources: [pods/exec]\n    verbs: [create, get]\n  - apiGroups: [\"\"]\n    resources: [events]\n    verbs: [list]\n",
        sandbox.settings.namespace
    )
}

/// From inside not even the cluster's own API can be reached, of which every Pod is told.
async fn network(executor: &KubernetesExecutor, namespace: &str) -> Result<(), Refusal> {
    let errand = Errand::Reach { addresses: Vec::new(), timeout_ms: REACH_TIMEOUT_MS };
    match executor.errand("trying the network of a Pod", errand).await {
        Ok(Answer::Reached { n_tried: 1.., addresses }) if addresses.is_empty() => Ok(()),
        Ok(Answer::Reached { addresses, .. }) => Err(Refusal {
            missing: match addresses.first() {
                Some(address) => format!("a network policy that holds: from inside a Pod {address} can be reached"),
                None => "a network policy that is seen to hold: a Pod is told of no address to try".to_owned(),
            },
            remedy: format!(
                "`{MANIFEST}` makes the NetworkPolicy of namespace `{namespace}`; if it is there, the cluster's network plugin \
                 does not keep it: install one that does, such as Calico or Cilium. No repository code runs until then"
            ),
        }),
        Ok(_) => Err(unstable("an answer about the network", "it is another")),
        Err(SandboxError::Refused(refusal)) => Err(refusal),
        Err(error @ (SandboxError::Path { .. } | SandboxError::Machine { .. })) => Err(Refusal {
            missing: format!("our program in a Pod: {}", told(&error)),
            remedy: "name an image of this version in `sandbox.kubernetes.launcher_image`, and where the program is in it \
                         in `launcher_program`"
                .to_owned(),
        }),
    }
}

/// The image's shell sees what is written from outside, and what it writes is seen there.
async fn shell(executor: &mut KubernetesExecutor) -> Result<(), Refusal> {
    let mark = FileState::Regular { content: b"seen\n".to_vec(), executable: false };
    let broken = |error: SandboxError| unstable("files in a Pod", &told(&error));
    executor.write(&[(MARK.to_owned(), Some(mark))]).await.map_err(broken)?;
    let script = format!("read -r word < {MARK} && echo \"$word inside\" > {MARK}-answer");
    let output = run(executor, Work::Script(script)).await?;
    let answer = executor.read(&format!("{MARK}-answer")).await.map_err(broken)?;
    match answer {
        Some(FileState::Regular { content, .. }) if content == b"seen inside\n" => Ok(()),
        Some(_) | None => Err(Refusal {
            missing: format!("a shell in the image: {:?}: {}", output.exit, String::from_utf8_lossy(&output.output).trim()),
            remedy: "use an image with `/bin/sh` in `sandbox.kubernetes.image`".to_owned(),
        }),
    }
}

async fn memory(executor: &mut KubernetesExecutor) -> Result<Enforcement, Refusal> {
    let output = run(executor, Work::Take(Take::Memory { bytes: MEMORY_BYTES_TRIED })).await?;
    Ok(if output.exit == Exit::Code(0) { Enforcement::Missing } else { Enforcement::Exact })
}

async fn processes(executor: &mut KubernetesExecutor) -> Result<Enforcement, Refusal> {
    let output = run(executor, Work::Take(Take::Processes { n_processes: N_PROCESSES_TRIED })).await?;
    let n_started = String::from_utf8_lossy(&output.output).trim().parse::<u64>().unwrap_or(u64::MAX);
    Ok(if n_started < N_PROCESSES_TRIED { Enforcement::Exact } else { Enforcement::Missing })
}

async fn run(executor: &mut KubernetesExecutor, work: Work) -> Result<Output, Refusal> {
    let patience =
        Patience { time: TIMEOUT, grace: Duration::ZERO, kept_bytes_max: OUTPUT_BYTES_MAX, output_bytes_max: OUTPUT_BYTES };
    match executor.work(work, "", patience, None).await {
        Ok(output) => Ok(output),
        Err(SandboxError::Refused(refusal)) => Err(refusal),
        Err(error @ (SandboxError::Path { .. } | SandboxError::Machine { .. })) => {
            Err(unstable("a Pod that stays up", &told(&error)))
        }
    }
}

fn unstable(what: &str, why: &str) -> Refusal {
    Refusal {
        missing: format!("{what}: {why}"),
        remedy: "look what ends the Pods or their connections: `kubectl get events`, and proxies before the cluster's API"
            .to_owned(),
    }
}
