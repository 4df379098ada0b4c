//! Triage: run a red check's job again, as its workflow file says, and find out what it is about.

use patchwright_domain::ecosystem::Plan;
use patchwright_domain::ecosystem::runner::{self, Runner};
use patchwright_domain::event::{CheckRef, IssueNumber};
use patchwright_domain::job::{JobSpec, Task};
use patchwright_domain::job_log::{self, Failing};
use patchwright_domain::journal::{CommitId, EntryKind, Failure, Outcome, Triaged};
use patchwright_domain::proof::test_files::TestFiles;
use patchwright_domain::proof::{Colour, findings};
use patchwright_domain::report::neutral::plain;
use patchwright_domain::results::Status;
use patchwright_domain::triage::{Inquiry, Next, Rerun, Side, Told};
use patchwright_domain::workflow::Workflow;
use patchwright_domain::workflow::reconstruction::{Commands, reconstruct};
use patchwright_domain::workflow::search::find;
use tracing::info;

use super::commands::{self, Said};
use super::reports::Tested;
use super::watch::Watched;
use super::{Answer, StepError, Tools, adopt, prepare, prove};
use crate::forge::{Access, CheckedJob, PullRequest};
use crate::setup::Patch;
use crate::store::StoreError;
use crate::workflow_file;
use crate::workspace::{Adopted, Pull, WorkspaceError};

/// How much of a setup or a path is told in a sentence, in characters.
const SETUP_CHARS_MAX: usize = 200;
/// How many workflow files are read.
const FILES_MAX: usize = 50;

pub(super) async fn triage(tools: &Tools, spec: &JobSpec) -> Result<Answer, StepError> {
    let Task::TriageCheck { pull_request, head, check } = &spec.task else {
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
    let known = Known { called: workflow.as_deref(), failed_step: told.failed_step.as_deref() };
    let Job { commands, differences, is_own_step } = job(tools, spec, &adopted, check, known).await?;
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
    let command = if obstacle.is_none() { plan.test } else { None };
    let triaged = Triaged { head, base, command, differences: notes, log, runs, verdict };
    Ok(Answer::entry(EntryKind::Triaged { triaged: Box::new(triaged) }))
}

/// Fetches the commit with the red check as GitHub's own checks see it, merged into what it is to go to.
async fn fetched(tools: &Tools, spec: &JobSpec, number: IssueNumber, head: &CommitId) -> Result<Adopted, StepError> {
    let Some(PullRequest { target, head: now }) = tools.forge.pull_request(spec).await? else {
        return Err(adopt::no_pull_request(number).into());
    };
    if now != *head {
        return Err(moved_on(number, &now).into());
    }
    let access = tools.forge.clone_access(&spec.repo, Access::Fetch).await?;
    let adopted = match tools.workspaces.pull(&target, access, number).await {
        Ok(Pull::Pulled(pulled)) => pulled.adopted,
        Ok(Pull::Apart { why, .. }) => {
            let conclusion = adopt::apart(number, target.default_branch(), &why);
            let internal = conclusion.cause.clone();
            return Err(Failure { conclusion, internal }.into());
        }
        Err(WorkspaceError::Refused(reason)) => return Err(adopt::too_large(number, &reason).into()),
        Err(error) => return Err(error.into()),
    };
    let proposed = adopted.proposed.as_ref().unwrap_or(&adopted.head);
    if proposed == head { Ok(adopted) } else { Err(moved_on(number, proposed).into()) }
}

fn moved_on(number: IssueNumber, now: &CommitId) -> Failure {
    let cause = format!("#{number} has moved on to {}, whose checks are looked into instead.", now.short());
    adopt::ended(Outcome::Superseded, cause, "Look at the checks of its last commit.")
}

/// What GitHub says of the job.
#[derive(Clone, Copy)]
struct Known<'a> {
    called: Option<&'a str>,
    failed_step: Option<&'a str>,
}

/// What a job runs, or why that cannot be known, and what is different here.
struct Job {
    commands: Result<Commands, String>,
    differences: Vec<String>,
    /// Whether the step that failed is one of its file's.
    is_own_step: bool,
}

/// Reads the job out of the workflow files of the commit itself, for it may have changed them.
///
/// What a setup runs may reach out, so that only the base's word counts for that: where the file is another one there, all of the job
/// runs without a way out.
async fn job(tools: &Tools, spec: &JobSpec, adopted: &Adopted, check: &CheckRef, known: Known<'_>) -> Result<Job, StepError> {
    let head = &adopted.head;
    let workflows = workflows(tools, spec, head).await?;
    let others = others(spec, head);
    let found = match find(&workflows, known.called, &check.name, &others) {
        Err(because) => return Ok(Job { commands: Err(because), differences: Vec::new(), is_own_step: false }),
        Ok(found) => found,
    };
    let job = reconstruct(&found, &others);
    let (mut commands, mut differences) = (job.commands(known.failed_step), job.notes());
    let has_changed = adopted.changes.iter().any(|change| change.path == found.workflow.path);
    if let (Ok(known), true) = (&commands, has_changed)
        && known.setup.is_some()
    {
        commands = commands.map(Commands::without_setup);
        differences.push(format!("The pull request changes `{}`, so that none of its steps had a way out.", job.path));
    }
    let is_own_step = known.failed_step.is_some_and(|step| job.has_script(step));
    Ok(Job { commands, differences, is_own_step })
}

async fn workflows(tools: &Tools, spec: &JobSpec, head: &CommitId) -> Result<Vec<Workflow>, StepError> {
    let paths = tools.workspaces.paths(&spec.repo, head).await?;
    let mut workflows = Vec::new();
    for path in paths.into_iter().filter(|path| workflow_file::is_path(path)).take(FILES_MAX) {
        let text = tools.workspaces.read(&spec.repo, head, &path).await?.unwrap_or_default();
        match workflow_file::read(&path, &text) {
            Ok(workflow) => workflows.push(workflow),
            // The job may be another one's.
            Err(problem) => info!("a workflow file is left out: {problem}"),
        }
    }
    Ok(workflows)
}

/// What of GitHub's own values is known here, by whole names.
fn others(spec: &JobSpec, head: &CommitId) -> Vec<(&'static str, String)> {
    vec![
        ("runner.os", "Linux".into()),
        ("runner.temp", "/tmp".into()),
        ("github.workspace", "/workspace".into()),
        ("github.repository", spec.repo.to_string()),
        ("github.repository_owner", spec.repo.owner().to_owned()),
        ("github.sha", head.to_string()),
    ]
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
    let is_before = plan.setup.is_some() && tools.egress.as_ref().is_some_and(|egress| !egress.is_for_patches());
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
