//! Prove: run the tests in fresh trees, as often and with as much of the patch in them as the inquiry asks for.

use std::collections::BTreeSet;

use patchwright_domain::ecosystem::runner::Runner;
use patchwright_domain::ecosystem::runner::canary::{self, Canary, Words};
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::{CommitId, Digest, EntryKind, Failure, Prepared, Proposal, Triaged};
use patchwright_domain::proof::census::Census;
use patchwright_domain::proof::inquiry::{Canaries, Inquiry, Next, Ran};
use patchwright_domain::proof::{self, Doubt, Stand, Verdict};
use patchwright_domain::results::{Results, Status, table};
use patchwright_domain::run::Run;
use tracing::info;

use super::commands::{self, Said};
use super::reports::{self, Tested};
use super::trees::Trees;
use super::watch::Watched;
use super::{Answer, StepError, Tools, conclusions, repair};
use crate::setup::Patch;
use crate::store::StoreError;
use crate::workspace::Adopted;

/// How many letters the names of the tests that must fail have.
const WORD_LETTERS: usize = 12;
/// How many places are taken into account for the tests that must fail.
const PLACES_MAX: usize = 200;
/// How many files are read to find them, those that may be nearest first.
const PLACES_READ_MAX: usize = 2_000;

/// How many files are read to know which tests a base has that does not build.
const CENSUS_FILES_MAX: usize = 5_000;

pub(super) async fn verify(tools: &Tools, spec: &JobSpec, run: &Run) -> Result<Answer, StepError> {
    let (Some(prepared), Some(proposal)) = (run.prepared(), run.proposal()) else {
        return Err(StoreError::Corrupt("a run without a proposal verifies".into()).into());
    };
    let pack = tools.store.artifact(&proposal.pack).await?;
    tools.workspaces.unpack(&spec.repo, &proposal.commit, pack).await?;
    let about = if spec.task.is_about_the_build() { About::Build } else { About::Tests };
    let mut verdict = verdict(tools, spec, prepared, proposal, about).await?;
    if let (Some(triaged), true) = (run.triaged(), matches!(verdict, Verdict::Proven { .. })) {
        verdict = unless_worse(tools, spec, triaged, prepared, proposal, verdict).await?;
    }
    info!("verified: {}", if matches!(verdict, Verdict::Proven { .. }) { "proven" } else { "unproven" });
    Ok(Answer::entry(EntryKind::Verified { verdict }))
}

/// The same verdict, unless the repository's own tests get worse by what mends a check: the job may have run a part of them.
async fn unless_worse(
    tools: &Tools,
    spec: &JobSpec,
    triaged: &Triaged,
    prepared: &Prepared,
    proposal: &Proposal,
    proven: Verdict,
) -> Result<Verdict, StepError> {
    let Some(plan) = repair::others(tools, spec, triaged, prepared).await? else { return Ok(proven) };
    let others = Prepared { plan, baseline: None, ..prepared.clone() };
    let verdict = verdict(tools, spec, &others, proposal, About::Tests).await?;
    let is_worse = matches!(verdict, Verdict::Unproven { doubt: Doubt::Regression, .. });
    Ok(if is_worse { verdict } else { proven })
}

/// What a patch is to mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// What the tests say.
    Tests,
    /// What does not build or load: such a failure of the base counts as one.
    Build,
}

/// What was found out about a patch that somebody else has made.
#[derive(Clone, Debug)]
pub struct Proof {
    /// How it is tested, and what the base said.
    pub prepared: Prepared,
    /// What was concluded.
    pub verdict: Verdict,
}

/// Proves the difference of two commits, by the same runs as for an agent's; `spec` is whose repository it is, `about` what the patch
/// is to mend.
///
/// # Errors
/// A [`Failure`] that names its cause and the next step, where the machine or the repository's own setup does not work.
pub async fn prove(tools: &Tools, spec: &JobSpec, adopted: &Adopted, about: About) -> Result<Proof, Failure> {
    let proved = async {
        let Adopted { base, head, diff, changes, .. } = adopted;
        let request = tools.store.put_artifact(Vec::new(), tools.clock.now()).await?;
        let prepared = super::prepare::prepared(tools, spec, base, request).await?;
        let nothing = Digest::of(b"");
        let proposal = Proposal {
            commit: head.clone(),
            pack: nothing,
            diff: tools.store.put_artifact(diff.clone().into_bytes(), tools.clock.now()).await?,
            answer: nothing,
            transcript: nothing,
            changes: changes.clone(),
            fingerprint: Some(proof::fingerprint(diff)),
        };
        let verdict = verdict(tools, spec, &prepared, &proposal, about).await?;
        let veil = tools.guarded().veil();
        let prepared = veil.value("what the base was found to be", &prepared).map_err(conclusions::plain_secret)?;
        Ok(Proof { prepared, verdict: veil.value("the verdict", &verdict).map_err(conclusions::plain_secret)? })
    };
    proved.await.map_err(failure)
}

/// An error as it is told where there is no run to end.
pub(super) fn failure(error: StepError) -> Failure {
    match error {
        StepError::Failed(failure) => *failure,
        error @ (StepError::Store(_) | StepError::Forge(_) | StepError::Workspace(_)) => {
            let cause = format!("{error}.");
            conclusions::environment(&cause, "Run `patchwright doctor`.", cause.clone())
        }
    }
}

/// Runs what the inquiry asks for, until it has a verdict.
async fn verdict(
    tools: &Tools,
    spec: &JobSpec,
    prepared: &Prepared,
    proposal: &Proposal,
    about: About,
) -> Result<Verdict, StepError> {
    let Proposal { commit, changes, .. } = proposal;
    let tests = tools.workspaces.test_files(&spec.repo, &prepared.base, commit, changes).await?;
    let findings = tools.workspaces.findings(&spec.repo, &prepared.base, commit, changes, tests.clone(), tools.kept()).await?;
    let known_flaky = tools.store.flaky_tests(spec.repo.id, tools.clock.now()).await?;
    let trees = Trees::of(tools, spec, &prepared.base, proposal, tests).await?;
    let census = match (about, prepared.plan.runner) {
        (About::Build, Some(runner)) => Some(census(tools, spec, &prepared.base, runner).await?),
        (About::Build, None) | (About::Tests, _) => None,
    };
    let inquiry = Inquiry {
        plan: &prepared.plan,
        changes: &proposal.changes,
        n_runs: tools.settings.proof_runs,
        has_canaries: prepared.plan.runner.is_some(),
        build: census.as_ref(),
        findings: &findings,
        known_flaky: &known_flaky,
        mixed: &trees.mixed,
        test_files: &trees.test_files,
        has_inline_tests: trees.has_inline_tests,
    };
    let mut runs = Vec::new();
    if let Some(evidence) = prepared.baseline.clone() {
        let results = named(tools, reports::kept(tools, evidence.results).await?).await;
        runs.push(Ran { stand: Stand::Base, evidence, results, canaries: None, rewritten: None });
    }
    loop {
        match inquiry.next(&runs) {
            Next::Judged(verdict) => {
                remember_flaky(tools, spec, &runs).await?;
                return Ok(*verdict);
            }
            Next::Run { stand, has_canaries } => {
                let commit = trees.commit(tools, spec, stand).await?;
                let canary = match has_canaries {
                    true => canary(tools, spec, prepared, &commit, &runs).await?,
                    false => None,
                };
                let watched = Watched { plan: &prepared.plan, test_files: &trees.test_files };
                let patch = Patch { commit: &commit, changes: &trees.changed(stand) };
                let tested = tested(tools, spec, &prepared.base, patch, watched, canary.as_ref()).await?;
                let Tested { evidence, results, canaries, rewritten } = tested;
                let results = named(tools, results).await;
                // Where none could be laid, that is what became of them.
                let canaries = canaries.or(has_canaries.then_some(Canaries { n_laid: 0, n_failed: 0 }));
                info!("the tests on the {}: {}", stand.name(), evidence.exit);
                // What the base does where nobody could see it excuses nothing.
                let rewritten = rewritten.or_else(|| (stand == Stand::Base).then(Vec::new));
                runs.push(Ran { stand, evidence, results, canaries, rewritten });
            }
        }
    }
}

/// The tests that the base's files name, whether it builds or not.
async fn census(tools: &Tools, spec: &JobSpec, base: &CommitId, runner: Runner) -> Result<Census, StepError> {
    let mut census = Census::default();
    let paths = tools.workspaces.paths(&spec.repo, base).await?;
    let mut may_be = paths.into_iter().filter(|path| canary::is_place(runner, path));
    for path in may_be.by_ref().take(CENSUS_FILES_MAX) {
        let text = tools.workspaces.read(&spec.repo, base, &path).await?.unwrap_or_default();
        census.add(runner, &path, &String::from_utf8_lossy(&text));
    }
    if may_be.next().is_some() {
        census.break_off();
    }
    Ok(census)
}

/// What was reported, under names without the server's secrets: they are taken out before a long name is cut, for the end of one
/// that is cut would not be known any more.
pub(super) async fn named(tools: &Tools, results: Option<Results>) -> Option<Results> {
    let results = results?;
    if let Some(egress) = &tools.egress {
        // A process that was started since has not asked the host's tools yet.
        egress.found().await;
    }
    let veil = tools.guarded().veil();
    Some(results.told(|name| veil.text(name)))
}

/// Remembers which tests do not always end alike, for the proofs to come. What counts is the base: whoever writes a patch could
/// make any test of it flaky.
async fn remember_flaky(tools: &Tools, spec: &JobSpec, runs: &[Ran]) -> Result<(), StepError> {
    let of_base = runs.iter().filter(|ran| ran.stand == Stand::Base && ran.canaries.is_none());
    let results: Vec<_> = of_base.filter_map(|ran| ran.results.clone()).collect();
    let flaky = table::flaky(&results);
    if !flaky.is_empty() {
        info!("{} tests do not always end alike on the base", flaky.len());
        tools.store.remember_flaky(spec.repo.id, &flaky, tools.clock.now()).await?;
    }
    Ok(())
}

/// Runs the tests once, in a fresh tree of this commit.
async fn tested(
    tools: &Tools,
    spec: &JobSpec,
    base: &CommitId,
    patch: Patch<'_>,
    watched: Watched<'_>,
    canary: Option<&Canary>,
) -> Result<Tested, StepError> {
    let patch = (patch.commit != base).then_some(patch);
    // A setup that fails with the patch counts as the tests' failing with it: it worked on the base.
    Ok(match commands::test(tools, spec, base, patch, watched, canary).await? {
        Said::SetupFailed(evidence, _) => Tested { evidence, results: None, canaries: None, rewritten: None },
        Said::Tested(tested) => tested,
    })
}

/// Tests that must fail, beside those that this tree has; if it can be seen, beside one that the proof is about.
async fn canary(
    tools: &Tools,
    spec: &JobSpec,
    prepared: &Prepared,
    commit: &CommitId,
    runs: &[Ran],
) -> Result<Option<Canary>, StepError> {
    let Some(runner) = prepared.plan.runner else { return Ok(None) };
    let names = moved(runs);
    let parts: BTreeSet<&str> = names.iter().map(|name| last_part(name)).filter(|part| !part.is_empty()).collect();
    let mut beside = Vec::new();
    let paths = tools.workspaces.paths(&spec.repo, commit).await?;
    let may_be = paths.into_iter().filter(|path| canary::is_place(runner, path));
    let mut may_be: Vec<(usize, String)> = may_be.map(|path| (canary::distance(&path, &names), path)).collect();
    may_be.sort();
    for (distance, path) in may_be.into_iter().take(PLACES_READ_MAX) {
        let text = tools.workspaces.read(&spec.repo, commit, &path).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        if canary::shows_a_place(runner, &path, &text) {
            let is_about = distance == 0 || parts.iter().any(|part| text.contains(part));
            beside.push((!is_about, distance, path, text));
        }
        if beside.len() == PLACES_MAX {
            break;
        }
    }
    beside.sort();
    let beside: Vec<(String, String)> = beside.into_iter().map(|(_, _, path, text)| (path, text)).collect();
    Ok(canary::canary(runner, &beside, &Words { file: word(), mark: word() }))
}

/// The names of tests that failed in one run and passed in another.
fn moved(runs: &[Ran]) -> BTreeSet<&str> {
    let with = |wanted: Status| {
        let tests = runs.iter().filter_map(|ran| ran.results.as_ref()).flat_map(|results| &results.tests);
        tests.filter(move |(_, status)| **status == wanted).map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>()
    };
    let (failed, passed) = (with(Status::Failed), with(Status::Passed));
    failed.intersection(&passed).copied().collect()
}

fn last_part(name: &str) -> &str {
    name.rsplit(['.', '>', ':', '/']).next().unwrap_or(name).trim()
}

/// A word that nobody can guess.
fn word() -> String {
    let mut random = [0_u8; WORD_LETTERS];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut random).expect("the system gives random bytes");
    random.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}
