//! Prepare: read the request, fix the base, find out how it is tested, and see what its tests say before anybody has
//! touched anything. What does not work here ends the run before a model was asked.

use patchwright_domain::brief::Request;
use patchwright_domain::ecosystem::{self, Plan, runner};
use patchwright_domain::event::Untrusted;
use patchwright_domain::job::{JobId, JobSpec, Task};
use patchwright_domain::journal::{CommitId, Digest, EntryKind, Outcome, Prepared};
use patchwright_domain::policy::wanted::Policy;
use patchwright_domain::proof::Evidence;
use patchwright_domain::proof::test_files::TestFiles;
use patchwright_domain::report;
use patchwright_domain::run::Run;
use patchwright_domain::walls::Reach;
use tracing::info;

use super::commands::{self, Said};
use super::watch::Watched;
use super::{Answer, StepError, Tools, build_scripts, conclusions, on_pull, repair};
use crate::devcontainer::{self, Named};
use crate::egress::name::Pattern;
use crate::forge::{Access, PullRequest};
use crate::sandbox::images;
use crate::store::StoreError;
use crate::workspace::WorkspaceError;
use crate::{policy_file, setup};

pub(super) async fn prepare(tools: &Tools, spec: &JobSpec, run: &Run) -> Result<Answer, StepError> {
    if let Some(triaged) = run.triaged() {
        return repair::prepare(tools, spec, triaged).await;
    }
    let mut request = tools.forge.context(spec).await?;
    if let Some(job) = &spec.plan {
        request.plan = Some(planned(tools, job).await?);
    }
    let notes = request.notes();
    let mut prepared = match spec.task.works_on() {
        Some((head, _)) => on_pull::prepared(tools, spec, head, request).await?,
        None => {
            let request = kept(tools, &request).await?;
            prepared(tools, spec, &base(tools, spec, run).await?, request).await?
        }
    };
    prepared.notes.extend(notes);
    Ok(Answer::entry(EntryKind::Prepared { prepared: Box::new(prepared) }))
}

/// Keeps what the agent is told of as an artifact.
pub(super) async fn kept(tools: &Tools, request: &Request) -> Result<Digest, StoreError> {
    let text = serde_json::to_vec(request).expect("a request holds only text");
    tools.store.put_artifact(text, tools.clock.now()).await
}

/// The plan that a job has made, as it is stored: what stands on the forge may have been changed since.
async fn planned(tools: &Tools, job: &JobId) -> Result<Untrusted, StepError> {
    let plan = match tools.store.job(job).await {
        Ok((spec, _)) => {
            let run = Run::fold(&spec, &tools.store.journal(job, 0).await?).map_err(|e| StoreError::Corrupt(e.to_string()))?;
            run.answer(Outcome::Answered)
        }
        Err(StoreError::Unknown { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let Some(plan) = plan else {
        let cause = format!("The plan of job {job} is not kept any more.");
        return Err(conclusions::policy(&cause, "Ask for a new `plan`, and approve that.").into());
    };
    // Who approved it has read what was shown, in which a definition of a link, say, does not stand.
    let plan = tools.store.artifact(&plan).await?;
    Ok(Untrusted::new(report::answer(&String::from_utf8_lossy(&plan), &tools.settings.host)))
}

/// The commit that everything is measured against, which is in the mirror behind this.
async fn base(tools: &Tools, spec: &JobSpec, run: &Run) -> Result<CommitId, StepError> {
    let access = tools.forge.clone_access(&spec.repo, Access::Fetch).await?;
    if let Task::TriageCheck { pull_request, head, .. } | Task::WorkOnPull { pull_request, head, .. } = &spec.task {
        if let Some(PullRequest { target, .. }) = tools.forge.pull_request(spec).await? {
            tools.workspaces.pull(&target, access, *pull_request).await?;
        }
        return Ok(head.clone());
    }
    let Some(adopted) = run.adopted() else { return Ok(tools.workspaces.fetch(&spec.repo, access).await?) };
    // Another worker may have adopted it, with another mirror.
    let target = spec.repo.on_branch(&adopted.branch).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    tools.workspaces.fetch(&target, access).await?;
    Ok(adopted.base.clone())
}

/// Sees that the base of a prepared run is in the mirror: the worker that prepared it may have been on another machine.
pub(super) async fn ensure_base(tools: &Tools, spec: &JobSpec, run: &Run) -> Result<(), StepError> {
    let Some(Prepared { base: commit, .. }) = run.prepared() else { return Ok(()) };
    if tools.workspaces.has(&spec.repo, commit).await? {
        return Ok(());
    }
    base(tools, spec, run).await?;
    if tools.workspaces.has(&spec.repo, commit).await? {
        return Ok(());
    }
    let reason = format!("the branch no longer holds commit {commit}, from which the work began");
    Err(WorkspaceError::Rejected { what: "fetching the repository", reason }.into())
}

/// Finds out how a base is tested, and what its tests say.
pub(super) async fn prepared(tools: &Tools, spec: &JobSpec, base: &CommitId, request: Digest) -> Result<Prepared, StepError> {
    let (plan, notes) = plan(tools, spec, base).await?;
    let baseline = baseline(tools, spec, base, &plan, &notes).await?;
    let reach = reach(tools, &plan).await;
    info!(base = %base, "prepared; the tests are run with {:?}", plan.test);
    Ok(Prepared { rules: None, base: base.clone(), plan, baseline, request, reach, notes })
}

/// Whether the setup may reach out, and is therefore done before anything of a patch is there.
pub(super) fn is_set_up_before_patches(tools: &Tools, plan: &Plan) -> bool {
    plan.setup.is_some() && tools.egress.as_ref().is_some_and(|egress| !egress.is_for_patches())
}

/// What the setups of this run can reach.
pub(super) async fn reach(tools: &Tools, plan: &Plan) -> Option<Reach> {
    let (Some(egress), Some(_)) = (&tools.egress, &plan.setup) else { return None };
    let hosts = egress.hosts().await.into_iter().map(|host| host.pattern);
    let hosts: Vec<Pattern> = match setup::narrowed(&plan.demands) {
        Some(wanted) => hosts.flat_map(|host| wanted.iter().filter_map(move |only| host.and(only)).collect::<Vec<_>>()).collect(),
        None => hosts.collect(),
    };
    Some(Reach::of(hosts.iter().map(ToString::to_string), egress.is_for_patches()))
}

/// How a base is set up and tested, and what people have to know of that.
pub(super) async fn plan(tools: &Tools, spec: &JobSpec, base: &CommitId) -> Result<(Plan, Vec<String>), StepError> {
    let file = tools.workspaces.read(&spec.repo, base, policy_file::PATH).await?;
    let mut policy = match file {
        None => Policy::default(),
        Some(bytes) => policy_file::parse(&bytes).map_err(|problem| {
            let cause = format!("The policy file `{}` cannot be read: {problem}", policy_file::PATH);
            conclusions::policy(&cause, "Mend the file on the default branch, then ask again.")
        })?,
    };
    policy.commands.test = tools.settings.test_command.clone().or(policy.commands.test);
    let files = tools.workspaces.root_files(&spec.repo, base).await?;
    let mut notes = Vec::new();
    if let (Some(images), None) = (&tools.settings.devcontainer_images, &policy.demands.image)
        && let Some(named) = devcontainer(tools, spec, base, images).await?
    {
        policy.demands.image = named.image;
        notes.push(named.note);
    }
    let mut plan = Plan { demands: policy.demands, scope: policy.scope, ..ecosystem::plan(&policy.commands, &files) };
    if plan.decided_by.iter().any(|name| name == build_scripts::MANIFEST) {
        plan.decided_by.extend(build_scripts::named(tools, spec, base).await?);
    }
    Ok((plan, notes))
}

/// What the base's `devcontainer.json` names; the patch's never counts.
async fn devcontainer(tools: &Tools, spec: &JobSpec, base: &CommitId, images: &[String]) -> Result<Option<Named>, StepError> {
    for path in devcontainer::PATHS {
        if let Some(bytes) = tools.workspaces.read(&spec.repo, base, path).await? {
            let named = devcontainer::read(path, &bytes);
            let refused = named.image.as_deref().and_then(|image| images::refusal(image, images));
            // The repository's file asks, and demands nothing, so the run goes on without.
            return Ok(Some(refused.map_or(named, |refusal| devcontainer::left_out(path, &refusal.missing))));
        }
    }
    Ok(None)
}

pub(super) async fn baseline(
    tools: &Tools,
    spec: &JobSpec,
    base: &CommitId,
    plan: &Plan,
    notes: &[String],
) -> Result<Option<Evidence>, StepError> {
    // Where nothing is changed there is nothing to compare with.
    if !spec.task.mode().edits() || plan.test.is_none() {
        return Ok(None);
    }
    let watched = Watched { plan, test_files: &TestFiles::default() };
    match commands::test(tools, spec, base, None, watched, None).await? {
        Said::SetupFailed(evidence, refused) => Err(unusable("setup", &evidence, &refused, notes)),
        Said::Tested(tested) if runner::is_unusable(&tested.evidence) => Err(unusable("test", &tested.evidence, &[], notes)),
        Said::Tested(tested) => Ok(Some(tested.evidence)),
    }
}

fn unusable(what: &str, evidence: &Evidence, refused: &[String], notes: &[String]) -> StepError {
    let last_line = evidence.excerpt.lines().last().unwrap_or_default();
    let cause =
        format!("The {what} command does not work on the base: `{}` ended with {}. {last_line}", evidence.command, evidence.exit);
    let next_step = if refused.is_empty() {
        format!("Name a {what} command that works offline in `{}`, or install what it needs on the server.", policy_file::PATH)
    } else {
        format!("It was refused {}", refused.join(" "))
    };
    let next_step = notes.iter().fold(next_step, |step, note| format!("{step} {note}"));
    conclusions::environment(&cause, &next_step, cause.clone()).into()
}
