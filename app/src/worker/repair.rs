//! Repair: what differs from other runs where an agent mends what a red check shows.
//!
//! It works from the commit whose check is red, and what it leaves goes on top of that. How it is run, and what it may touch, the
//! branch says that the pull request is to go to, as it does for the triage.

use patchwright_domain::brief::Request;
use patchwright_domain::ecosystem::Plan;
use patchwright_domain::ecosystem::runner::{self, Runner};
use patchwright_domain::event::{IssueNumber, Untrusted};
use patchwright_domain::job::{JobSpec, Task};
use patchwright_domain::journal::{Conclusion, EntryKind, Failure, Outcome, Prepared, Triaged};
use patchwright_domain::proof::Colour;
use patchwright_domain::run::Run;
use tracing::info;

use super::triage::{fetched, moved_on};
use super::{Answer, StepError, Tools, adopt, conclusions, prepare};
use crate::forge::PullRequest;
use crate::store::StoreError;

/// Fixes the commit whose check is red, and sees that it is red by itself as well.
pub(super) async fn prepare(tools: &Tools, spec: &JobSpec, triaged: &Triaged) -> Result<Answer, StepError> {
    let Task::TriageCheck { pull_request, head, check, .. } = &spec.task else {
        return Err(StoreError::Corrupt("a run without a check repairs".into()).into());
    };
    fetched(tools, spec, *pull_request, head).await?;
    let (plan, notes) = prepare::plan(tools, spec, &triaged.base).await?;
    let plan = as_triaged(plan, triaged);
    if prepare::is_set_up_before_patches(tools, &plan) {
        return Err(out_of_reach().into());
    }
    let baseline = prepare::baseline(tools, spec, head, &plan, &notes).await?;
    if baseline.as_ref().is_none_or(|evidence| runner::colour(evidence) != Colour::Red) {
        return Err(not_by_itself(*pull_request).into());
    }
    let shown = match triaged.log {
        Some(log) => String::from_utf8_lossy(&tools.store.artifact(&log).await?).into_owned(),
        None => String::new(),
    };
    let request =
        serde_json::to_vec(&Request::of_check(*pull_request, check, Untrusted::new(shown))).expect("a request holds only text");
    let request = tools.store.put_artifact(request, tools.clock.now()).await?;
    let reach = prepare::reach(tools, &plan).await;
    info!(base = %head, "prepared for a repair");
    let prepared = Prepared { rules: Some(triaged.base.clone()), base: head.clone(), plan, baseline, request, reach, notes };
    Ok(Answer::entry(EntryKind::Prepared { prepared: Box::new(prepared) }))
}

fn as_triaged(plan: Plan, triaged: &Triaged) -> Plan {
    let Triaged { setup, command, .. } = triaged;
    let runner = command.as_deref().and_then(|command| Runner::of(command, None));
    Plan { source: "workflow file".into(), setup: setup.clone(), test: command.clone(), runner, ..plan }
}

/// How the repository's own tests are run, where the job's commands are not these already.
pub(super) async fn others(
    tools: &Tools,
    spec: &JobSpec,
    triaged: &Triaged,
    prepared: &Prepared,
) -> Result<Option<Plan>, StepError> {
    let (own, _) = prepare::plan(tools, spec, &triaged.base).await?;
    let is_other = |own: &str| prepared.plan.test.as_deref().is_none_or(|test| !test.contains(own));
    Ok(if own.test.as_deref().is_some_and(is_other) { Some(own) } else { None })
}

/// The end of a run; another one where what it has mended is the pull request's last commit no longer: whoever pushes works on it.
pub(super) async fn unless_moved_on(
    tools: &Tools,
    spec: &JobSpec,
    run: &Run,
    conclusion: Conclusion,
) -> Result<Conclusion, StepError> {
    let Task::TriageCheck { pull_request, head, .. } = &spec.task else { return Ok(conclusion) };
    if run.judged().is_none() || conclusion.outcome != Outcome::Proven {
        return Ok(conclusion);
    }
    Ok(match tools.forge.pull_request(spec).await? {
        Some(PullRequest { head: now, .. }) if now == *head => conclusion,
        Some(PullRequest { head: now, .. }) => moved_on(*pull_request, &now).conclusion,
        None => adopt::no_pull_request(*pull_request).conclusion,
    })
}

fn out_of_reach() -> Failure {
    let cause = "It is not repaired: setups may reach out here, but not with a change's own files in them.";
    conclusions::policy(cause, "Mend it by hand, or have the operator set `sandbox.egress.patched`.")
}

fn not_by_itself(number: IssueNumber) -> Failure {
    let cause =
        format!("It is not repaired: the commit of #{number} does not fail by itself, but merged into where it is to go.");
    adopt::ended(Outcome::NoChange, cause, "Bring that branch into the pull request's.")
}
