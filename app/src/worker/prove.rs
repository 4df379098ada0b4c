//! Prove: run the tests on the proposal in a fresh tree, and compare with what they said on the base.

use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::{CommitId, EntryKind, Proposal};
use patchwright_domain::proof::{self, Doubt, Evidence, Verdict};
use patchwright_domain::report::Stage;
use patchwright_domain::run::Run;
use tracing::info;

use super::commands::{self, Said};
use super::{Answer, StepError, Tools};
use crate::setup::Patch;
use crate::store::StoreError;

pub(super) async fn verify(tools: &Tools, spec: &JobSpec, run: &Run) -> Result<Answer, StepError> {
    super::show(tools, spec, Stage::Verifying, run.walls()).await;
    let (Some(prepared), Some(proposal)) = (run.prepared(), run.proposal()) else {
        return Err(StoreError::Corrupt("a run without a proposal verifies".into()).into());
    };
    let pack = tools.store.artifact(&proposal.pack).await?;
    tools.workspaces.unpack(&spec.repo, &proposal.commit, pack).await?;
    let head = match &prepared.plan.test {
        None => None,
        Some(test) => {
            let restored = proof::tests_to_restore(&proposal.changes).map(str::to_owned).collect();
            let patch = Patch { commit: &proposal.commit, changes: &proposal.changes, restored };
            Some(evidence(commands::test(tools, spec, &prepared.base, Some(patch), &prepared.plan, test).await?))
        }
    };
    let mut verdict = proof::judge(&prepared.plan, &proposal.changes, prepared.baseline.clone(), head);
    let is_proven = matches!(verdict, Verdict::Proven { .. });
    if is_proven && touches_inline_tests(tools, spec, &prepared.base, proposal).await? {
        verdict = verdict.doubted(Doubt::TestsTouched);
    }
    info!("verified: {}", if matches!(verdict, Verdict::Proven { .. }) { "proven" } else { "unproven" });
    Ok(Answer::entry(EntryKind::Verified { verdict }))
}

/// Whether the patch changes tests that stand inside a source file, which cannot be put back without the patch itself.
async fn touches_inline_tests(tools: &Tools, spec: &JobSpec, base: &CommitId, proposal: &Proposal) -> Result<bool, StepError> {
    for path in proof::may_hold_tests(&proposal.changes) {
        let before = tools.workspaces.read(&spec.repo, base, path).await?.unwrap_or_default();
        let after = tools.workspaces.read(&spec.repo, &proposal.commit, path).await?.unwrap_or_default();
        if proof::loses_inline_tests(&String::from_utf8_lossy(&before), &String::from_utf8_lossy(&after)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A setup that fails with the patch counts as the tests' failing with it: it worked on the base.
fn evidence(said: Said) -> Evidence {
    match said {
        Said::SetupFailed(evidence, _) | Said::Tested(evidence) => evidence,
    }
}
