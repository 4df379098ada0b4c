//! Triage: run a red check's job again, as its workflow file says, and find out what it is about.

use patchwright_domain::ecosystem::Plan;
use patchwright_domain::ecosystem::runner::{self, Runner};
use patchwright_domain::event::IssueNumber;
use patchwright_domain::job::{JobSpec, Task};
use patchwright_domain::job_log::{self, Failing};
use patchwright_domain::journal::{CommitId, EntryKind, Failure, Outcome, Triaged};
use patchwright_domain::proof::test_files::TestFiles;
use patchwright_domain::proof::{Colour, findings};
use patchwright_domain::report::neutral::plain;
use patchwright_domain::results::Status;
use patchwright_domain::triage::{Inquiry, Next, Rerun, Side, Told};
use patchwright_domain::workflow::reconstruction::Commands;
use tracing::info;

use job::{Job, Wanted};

use super::commands::{self, Said};
use super::reports::Tested;
use super::watch::Watched;
use super::{Answer, StepError, Tools, adopt, prepare, prove};
use crate::forge::CheckedJob;
use crate::setup::Patch;
use crate::store::StoreError;
use crate::workspace::{Adopted, Pull};

mod job;

/// How much of a setup or a path is told in a sentence, in characters.
const SETUP_CHARS_MAX: usize = 200;

pub(super) async fn triage(tools: &Tools, spec: &JobSpec) -> Result<Answer, StepError> {
    let Task::TriageCheck { pull_request, head, check, .. } = &spec.task else {
        return Err(StoreError::Corrupt("a run without a check triages".into()).into());
    };
    let adopted = fetched(tools, spec, *pull_request, head).await?;
    let CheckedJob { told, workflow, during, log } = tools.forge.checked_job(&spec.repo, check.id).await?.unwrap_or_default();
    let veil = tools.guarded().veil();
    let failing = log.map(|log| job_log::failing(&log, during, &veil));
    let (errors, log) = match failing {
        Some(Failing { text, errors, .. }) => {
            (errors, Some(tools.store.put_artifact(text.into_bytes(), tools.clock.now()).await?))
        }
        None => (Vec::new(), None),
    };
    let told = Told { errors, ..told };
    let wanted = Wanted { check: check.name.clone(), called: workflow, failed_step: told.failed_step.clone() };
    let Job { commands, differences, is_own_step } = job::read(tools, spec, &adopted, wanted).await?;
    let (plan, mut notes) = prepare::plan(tools, spec, &adopted.base).await?;
    notes.extend(differences);
    if adopted.proposed.is_some() {
        let branch = "where it is to go, as that is now; GitHub may have run it by itself, or on what was there then";
        notes.push(format!("What is run is the commit merged into {branch}."));
    }
    let (plan, obstacle) = match commands {
        Ok(commands) => {
            notes.extend(replaced(&plan, &commands));
            let plan = planned(plan, commands);
            let obstacle = out_of_reach(tools, &plan, &adopted);
            (plan, obstacle)
        }
        Err(because) => (plan, Some(because)),
    };
    let has_base = !adopted.changes.is_empty();
    let inquiry = Inquiry { told: &told, obstacle: obstacle.as_deref(), differences: &notes, has_base, is_own_step };
    let mut runs = Vec::new();
    let verdict = loop {
        match inquiry.next(&runs) {
            Next::Judged(verdict) => break verdict,
            Next::Run(side) => runs.push(again(tools, spec, &adopted, &plan, side).await?),
        }
    };
    info!("triaged: {}", verdict.sentence());
    let Adopted { head, base, .. } = adopted;
    let (setup, command) = if obstacle.is_none() { (plan.setup, plan.test) } else { (None, None) };
    let triaged = Triaged { head, base, command, setup, differences: notes, log, runs, verdict };
    Ok(Answer::entry(EntryKind::Triaged { triaged: Box::new(triaged) }))
}

/// Fetches the commit with the red check as GitHub's own checks see it, merged into what it is to go to.
pub(super) async fn fetched(tools: &Tools, spec: &JobSpec, number: IssueNumber, head: &CommitId) -> Result<Adopted, StepError> {
    let target = adopt::target_of(tools, spec, number, head, |now| moved_on(number, now)).await?;
    let adopted = match adopt::pulled(tools, spec, &target, number).await? {
        Pull::Pulled(pulled) => pulled.adopted,
        Pull::Apart { why, .. } => {
            let conclusion = adopt::apart(number, target.default_branch(), &why);
            let internal = conclusion.cause.clone();
            return Err(Failure { conclusion, internal }.into());
        }
    };
    let proposed = adopted.proposed.as_ref().unwrap_or(&adopted.head);
    if proposed == head { Ok(adopted) } else { Err(moved_on(number, proposed).into()) }
}

pub(super) fn moved_on(number: IssueNumber, now: &CommitId) -> Failure {
    let cause = format!("#{number} has moved on to {}.", now.short());
    adopt::ended(Outcome::Superseded, cause, "Look at the checks of its last commit.")
}

/// The base's plan with the job's commands. How the base says that it is set up here goes before what the job does for that.
fn planned(plan: Plan, commands: Commands) -> Plan {
    let Commands { setup, test } = commands;
    let runner = Runner::of(&test, None);
    Plan { source: "workflow file".into(), setup: plan.setup.or(setup), test: Some(test), runner, ..plan }
}

/// What is told where another setup goes before what the job does for that.
fn replaced(plan: &Plan, commands: &Commands) -> Option<String> {
    let (own, jobs) = (plan.setup.as_ref()?, commands.setup.as_ref()?);
    let is_part = jobs.contains(own.as_str());
    (!is_part).then(|| {
        format!("In the place of the job's steps before it, the repository's setup is run: `{}`.", plain(own, SETUP_CHARS_MAX))
    })
}

/// Why what is run here is not what the pull request would have: a setup that may reach out is done before anything of a change is
/// there, and the change is about what it fetches.
fn out_of_reach(tools: &Tools, plan: &Plan, adopted: &Adopted) -> Option<String> {
    let is_before = prepare::is_set_up_before_patches(tools, plan);
    let changed = adopted.changes.iter().find(|change| findings::names_dependencies(&change.path)).filter(|_| is_before)?;
    let path = plain(&changed.path, SETUP_CHARS_MAX);
    Some(format!("The pull request changes `{path}`, and setups fetch here what is named without the change."))
}

/// Runs the job's commands once, in a fresh tree.
async fn again(tools: &Tools, spec: &JobSpec, adopted: &Adopted, plan: &Plan, side: Side) -> Result<Rerun, StepError> {
    let Adopted { base, head, changes, .. } = adopted;
    let patch = match side {
        Side::Head => Some(Patch { commit: head, changes }),
        Side::Base => None,
    };
    let watched = Watched { plan, test_files: &TestFiles::default() };
    let (reached, evidence, results) = match commands::test(tools, spec, base, patch, watched, None).await? {
        Said::SetupFailed(evidence, _) => (false, evidence, None),
        Said::Tested(Tested { evidence, results, .. }) => (true, evidence, prove::named(tools, results).await),
    };
    let has_failed = |status: &Status| matches!(status, Status::Failed | Status::Errored);
    let failed = results
        .filter(|results| results.is_complete)
        .map(|results| results.tests.into_iter().filter(|(_, status)| has_failed(status)).map(|(name, _)| name).collect());
    // GitHub goes by the exit code, whatever a runner says.
    let colour = if evidence.exit.colour() == Colour::Green { Colour::Green } else { runner::colour(&evidence) };
    info!("the job's commands on the {side:?}: {}", evidence.exit);
    Ok(Rerun { side, reached, colour, evidence, failed })
}
