//! What is written down of a sandbox: how strong it was found to be, and how each of its limits was kept.

use patchwright_domain::proof::Limit;
use patchwright_domain::walls::{KeptLimit, Walls};

use crate::sandbox::{Limits, Refusal, Sandbox};

/// The walls that are in force now, as the last probe found them.
///
/// # Errors
/// [`Refusal`] where there are none that may be used.
pub async fn walls(sandbox: &dyn Sandbox) -> Result<Walls, Refusal> {
    let found = sandbox.found().await?;
    let limits = sandbox.limits();
    let kept = found.limits.iter().map(|(limit, kept)| KeptLimit { limit: *limit, most: most(&limits, *limit), kept: *kept });
    Ok(Walls { executor: sandbox.name().to_owned(), isolation: found.isolation, limits: kept.collect(), layers: found.layers })
}

fn most(limits: &Limits, limit: Limit) -> u64 {
    match limit {
        Limit::Memory => limits.memory_bytes,
        Limit::Cpu => limits.cpu_seconds,
        Limit::Processes => limits.n_processes,
        Limit::OpenFiles => limits.n_open_files,
        Limit::FileSize => limits.file_bytes,
        Limit::Disk => limits.disk_bytes,
        Limit::Files => limits.n_files,
        Limit::Output => limits.output_bytes,
    }
}
