//! Attest: say under a signature what was executed for a proof, and by what it can be checked.

use jiff::Timestamp;
use patchwright_domain::attestation::{Facts, History, Statement};
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::{CommitId, Digest, Entry, EntryKind, Failure};
use patchwright_domain::proof::{Doubt, Verdict};
use patchwright_domain::report::Sealed;
use patchwright_domain::run::{Judged, Run};

use super::prove::Proof;
use super::{StepError, Tools, conclusions};
use crate::attestation::Attestor;
use crate::policy_file;
use crate::sandbox::record;
use crate::workspace::Adopted;

/// Signs what is known of a run's patch, and keeps the envelope; none where there is no patch with a verdict, or one with which nothing
/// was run, or no key.
///
/// The same journal gives the same envelope: nothing in it is asked of a clock or of chance.
pub(super) async fn of_run(tools: &Tools, spec: &JobSpec, run: &Run, journal: &[Entry]) -> Result<Option<Sealed>, StepError> {
    let (Some(attestor), Some(prepared), Some(judged)) = (&tools.attestor, run.prepared(), run.judged()) else { return Ok(None) };
    let Judged { proposal, verdict, attempt, .. } = judged;
    if matches!(verdict, Verdict::Unproven { doubt: Doubt::OutOfTime, .. }) {
        // It rests on nothing that was executed.
        return Ok(None);
    }
    let pack = tools.store.artifact(&proposal.pack).await?;
    tools.workspaces.unpack(&spec.repo, &proposal.commit, pack).await?;
    let facts = Facts {
        deployment: &attestor.deployment,
        commit: &proposal.commit,
        head: run.adopted().and_then(|adopted| adopted.head.as_ref()),
        tree: &tools.workspaces.tree(&spec.repo, &proposal.commit).await?,
        diff: proposal.diff,
        changes: &proposal.changes,
        policy: policy(tools, spec, run.ruled_by().unwrap_or(&prepared.base)).await?,
        prepared,
        verdict,
        judged_at: judged_at(journal, judged),
        walls: run.walls(),
    };
    let history = History { spec, journal, usage: run.usage(), attempt: *attempt };
    let Some(envelope) = sealed(attestor, &Statement::of_run(&facts, &history)) else { return Ok(None) };
    let digest = tools.store.put_artifact(envelope.clone().into_bytes(), tools.clock.now()).await?;
    Ok(Some(Sealed { digest, envelope }))
}

/// Signs what is known of a patch that somebody else has made; none where there is no key.
///
/// # Errors
/// A [`Failure`] that names its cause and the next step.
pub async fn of_patch(tools: &Tools, spec: &JobSpec, adopted: &Adopted, proof: &Proof) -> Result<Option<String>, Failure> {
    let Some(attestor) = &tools.attestor else { return Ok(None) };
    let attested = async {
        let walls = record::walls(tools.sandbox.as_ref()).await.map_err(|refusal| conclusions::refusal(&refusal))?;
        let facts = Facts {
            deployment: &attestor.deployment,
            commit: &adopted.head,
            head: adopted.proposed.as_ref(),
            tree: &tools.workspaces.tree(&spec.repo, &adopted.head).await?,
            diff: Digest::of(adopted.diff.as_bytes()),
            changes: &adopted.changes,
            policy: policy(tools, spec, &adopted.base).await?,
            prepared: &proof.prepared,
            verdict: &proof.verdict,
            judged_at: tools.clock.now(),
            walls: &[walls],
        };
        Ok(sealed(attestor, &Statement::of_patch(&facts)))
    };
    attested.await.map_err(super::prove::failure)
}

/// A statement that would not stand up to being checked is not signed.
fn sealed(attestor: &Attestor, statement: &Statement) -> Option<String> {
    let sealed = attestor.seal(statement);
    if let Err(fault) = &sealed {
        tracing::error!(error = %fault, "nothing is signed: the statement would not hold");
    }
    sealed.ok()
}

async fn policy(tools: &Tools, spec: &JobSpec, base: &CommitId) -> Result<Option<Digest>, StepError> {
    let file = tools.workspaces.read(&spec.repo, base, policy_file::PATH).await?;
    Ok(file.map(|bytes| Digest::of(&bytes)))
}

/// When the verdict was written down: that of the patch, and not a later one of another attempt.
fn judged_at(journal: &[Entry], judged: &Judged) -> Timestamp {
    let is_it = |entry: &&Entry| matches!(&entry.kind, EntryKind::Verified { verdict } if *verdict == judged.verdict);
    let entry = journal.iter().find(is_it).or(journal.last());
    entry.map_or(Timestamp::UNIX_EPOCH, |entry| entry.at)
}
