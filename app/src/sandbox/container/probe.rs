//! Trying the engine for real: the launcher's attacks inside, the workspace both ways, and more than the limits allow.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::probe::Baits;
use patchwright_launcher::resident::orders::Work;
use patchwright_launcher::trial::Take;

use crate::sandbox::carried::Carried;
use crate::sandbox::container::blueprint::Blueprint;
use crate::sandbox::container::engine::Engine;
use crate::sandbox::container::life::Container;
use crate::sandbox::container::{ContainerSandbox, owner, process, unusable};
use crate::sandbox::findings::{holding, is_file_refused, taken};
use crate::sandbox::ground::Ground;
use crate::sandbox::kernels;
use crate::sandbox::resident::Patience;
use crate::sandbox::{Capabilities, Enforcement, Isolation, Limits, Output, Profile, Refusal, SandboxError, Tree, ownership};

/// What to do about a layer that does not hold.
const REMEDY: &str = "take what weakens its containers out of the engine's configuration; no repository code runs until then";
const TIMEOUT: Duration = Duration::from_secs(30);
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// The limits that are tried: small, so that trying is quick and hurts nobody.
const MEMORY_BYTES: u64 = 192 << 20;
const MEMORY_BYTES_TRIED: u64 = 2 * MEMORY_BYTES;
const N_PROCESSES: u64 = 32;
/// More than the limit and what of the engine's is ours.
const N_PROCESSES_TRIED: u64 = 512;
const DISK_BYTES: u64 = 16 << 20;
const DISK_BYTES_TRIED: u64 = 2 * DISK_BYTES;
const N_FILES: u64 = 256;
const N_FILES_TRIED: u64 = 4 * N_FILES;
/// No more than the disk, so that the file alone is over its limit.
const FILE_BYTES: u64 = 8 << 20;

/// No trial but the one of it says as much.
const OUTPUT_BYTES: u64 = 1 << 20;

const MARK: &str = ".patchwright-mark";

pub(super) async fn probe(sandbox: &ContainerSandbox, engine: &Arc<Engine>, carried: &Carried) -> Result<Capabilities, Refusal> {
    let ground = Ground::new(&sandbox.settings.trials)?;
    let workspace = ground.workspace();
    let no_room = |error: io::Error| unusable(&workspace, &error);
    let baits = ground.baits().map_err(no_room)?;
    std::fs::write(workspace.join(MARK), b"seen\n").map_err(no_room)?;
    let limits = Limits {
        memory_bytes: MEMORY_BYTES,
        n_processes: N_PROCESSES,
        tmp_bytes: sandbox.settings.limits.tmp_bytes.min(MEMORY_BYTES),
        disk_bytes: DISK_BYTES,
        n_files: N_FILES,
        file_bytes: FILE_BYTES,
        ..sandbox.settings.limits.clone()
    };
    let tree = Tree::alone(&workspace);
    let blueprint = sandbox.blueprint(engine, tree, Profile::Proof.into(), limits).await?;
    if let Some(uid) = owner(&blueprint) {
        ownership::ensure_owner(&workspace, uid, uid).map_err(no_room)?;
    }
    let (container, _) = Container::start(engine, carried, &blueprint, false).await?;
    let mut trial = Trial { container, blueprint, ground };
    let found = trial.all(&workspace, baits).await;
    let is_own_kernel = kernels::are_proven(trial.blueprint.runtime_name(), &trial.container.kernel);
    trial.container.remove().await;
    let (findings, limits) = found?;
    let mut layers = vec![format!("containers of {}{}", engine.version, if engine.is_rootless { ", rootless" } else { "" })];
    if is_own_kernel {
        layers.push("kernel of its own".to_owned());
    }
    layers.extend(findings);
    let isolation = if is_own_kernel { Isolation::Kernel } else { Isolation::Container };
    Ok(Capabilities { isolation, layers, limits, advice: Vec::new() })
}

/// A container to try things in.
struct Trial {
    container: Container,
    blueprint: Blueprint,
    ground: Ground,
}

impl Trial {
    async fn all(&mut self, workspace: &Path, baits: Baits) -> Result<(Vec<String>, Vec<(Limit, Enforcement)>), Refusal> {
        let findings = holding(&self.run(Work::Probe(baits)).await?, REMEDY)?;
        self.shell(workspace).await?;
        let open_files = Take::OpenFiles { n_files: self.blueprint.limits.n_open_files };
        let limits = vec![
            (Limit::Memory, self.memory().await?),
            (Limit::Cpu, self.cpu().await?),
            (Limit::Processes, self.processes().await?),
            (Limit::OpenFiles, self.answered(open_files, |n_files, limits| n_files < limits.n_open_files).await?),
            (Limit::FileSize, self.file().await?),
            (Limit::Disk, self.looked_at(Take::Disk { bytes: DISK_BYTES_TRIED }, Limit::Disk, DISK_BYTES).await?),
            (Limit::Files, self.looked_at(Take::Files { n_files: N_FILES_TRIED }, Limit::Files, N_FILES).await?),
            (Limit::Output, self.looked_at(Take::Output { bytes: 2 * OUTPUT_BYTES }, Limit::Output, OUTPUT_BYTES).await?),
        ];
        Ok((findings, limits))
    }

    /// The image's shell sees the workspace that we see, and what it writes there is ours.
    async fn shell(&mut self, workspace: &Path) -> Result<(), Refusal> {
        let script = format!("read -r word < {MARK} && echo \"$word inside\" > {MARK}-answer");
        let output = self.run(Work::Script(script)).await?;
        if output.exit != Exit::Code(0) {
            return Err(Refusal {
                missing: format!(
                    "a workspace in the container, and a shell in `{}`: {:?}: {}",
                    self.blueprint.image.name,
                    output.exit,
                    String::from_utf8_lossy(&output.output).trim()
                ),
                remedy: "run the server on the engine's own machine with the same file system, and use an image with /bin/sh"
                    .to_owned(),
            });
        }
        match std::fs::read_to_string(workspace.join(format!("{MARK}-answer"))) {
            Ok(answer) if answer == "seen inside\n" => Ok(()),
            Ok(_) | Err(_) => Err(Refusal {
                missing: "a workspace that is the same inside and outside".to_owned(),
                remedy: "run the server on the engine's own machine and with the same file system".to_owned(),
            }),
        }
    }

    async fn memory(&mut self) -> Result<Enforcement, Refusal> {
        let is_polled = self.blueprint.task_limits().polled_memory_bytes.is_some();
        let output = self.run(Work::Take(Take::Memory { bytes: MEMORY_BYTES_TRIED })).await?;
        Ok(match output.exit {
            Exit::Code(0) => Enforcement::Missing,
            Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut | Exit::Exceeded(_) if is_polled => Enforcement::Polled,
            Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut | Exit::Exceeded(_) => Enforcement::Exact,
        })
    }

    /// What all processes have together is looked at by the launcher, which the kernel was told for each of them.
    async fn cpu(&mut self) -> Result<Enforcement, Refusal> {
        let is_kept = |seconds, limits: &Limits| seconds <= limits.cpu_seconds;
        Ok(match self.answered(Take::Cpu, is_kept).await? {
            Enforcement::Exact | Enforcement::Polled => Enforcement::Polled,
            Enforcement::Missing => Enforcement::Missing,
        })
    }

    async fn processes(&mut self) -> Result<Enforcement, Refusal> {
        let output = self.run(Work::Take(Take::Processes { n_processes: N_PROCESSES_TRIED })).await?;
        let n_started = String::from_utf8_lossy(&output.output).trim().parse::<u64>().unwrap_or(u64::MAX);
        Ok(if n_started < N_PROCESSES_TRIED { Enforcement::Exact } else { Enforcement::Missing })
    }

    async fn file(&mut self) -> Result<Enforcement, Refusal> {
        let output = self.run(Work::Take(Take::File { bytes: 2 * FILE_BYTES })).await?;
        self.ground.had_room(&output, FILE_BYTES)?;
        Ok(if is_file_refused(&output, FILE_BYTES) { Enforcement::Exact } else { Enforcement::Missing })
    }

    /// What the kernel keeps for each process, by what the launcher says that it got.
    async fn answered(&mut self, take: Take, is_kept: impl Fn(u64, &Limits) -> bool) -> Result<Enforcement, Refusal> {
        let output = self.run(Work::Take(take)).await?;
        let is_kept = taken(&output).is_some_and(|taken| is_kept(taken, &self.blueprint.limits));
        Ok(if is_kept { Enforcement::Exact } else { Enforcement::Missing })
    }

    /// What is only looked at, again and again.
    async fn looked_at(&mut self, take: Take, limit: Limit, most: u64) -> Result<Enforcement, Refusal> {
        let output = self.run(Work::Take(take)).await?;
        self.ground.had_room(&output, most)?;
        Ok(if output.exit == Exit::Exceeded(limit) { Enforcement::Polled } else { Enforcement::Missing })
    }

    async fn run(&mut self, work: Work) -> Result<Output, Refusal> {
        let task = process::task(&self.blueprint, work, "");
        let patience =
            Patience { time: TIMEOUT, grace: Duration::ZERO, kept_bytes_max: OUTPUT_BYTES_MAX, output_bytes_max: OUTPUT_BYTES };
        match self.container.run(task, patience, None).await {
            Ok(output) => Ok(output),
            Err(SandboxError::Refused(refusal)) => Err(refusal),
            Err(error @ (SandboxError::Path { .. } | SandboxError::Machine { .. })) => {
                let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                Err(Refusal {
                    missing: format!("a container that stays up: {error}: {why}"),
                    remedy: "look into the engine's log: something ends its containers".to_owned(),
                })
            }
        }
    }
}
