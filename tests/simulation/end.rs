//! The rules that the end of every schedule is held against.

use patchwright::store::Store as _;
use patchwright::store::ledger::{Scope, day};
use patchwright_domain::effect::{Effect, EffectKey, MARKER_START};
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::{Entry, EntryKind, Failure, Outcome};
use patchwright_domain::run::Run;

use super::process::CLAIMS_MAX;
use super::scene::Scene;
use super::store::at_once;
use super::workshop::{POISONED_PUSH, kills};
use super::world::State;

/// The first rule that is broken.
pub(super) fn broken(state: &mut State, scene: &Scene) -> Option<String> {
    let jobs = std::mem::take(&mut state.books.jobs);
    let broken = lost_or_doubled(&jobs, scene).or_else(|| jobs.iter().find_map(|spec| of_job(state, spec)));
    broken.or_else(|| of_ledger(state))
}

/// Every wish has made a job, and none has made two.
fn lost_or_doubled(jobs: &[JobSpec], scene: &Scene) -> Option<String> {
    for issue in &scene.issues {
        let of_issue = jobs.iter().filter(|spec| spec.task.place().is_some_and(|number| number.0 == *issue));
        let mut asked_at: Vec<_> = of_issue.map(|spec| spec.requested_at).collect();
        if asked_at.is_empty() {
            return Some(format!("nothing was begun about #{issue}"));
        }
        asked_at.sort_unstable();
        if asked_at.windows(2).any(|pair| pair[0] == pair[1]) {
            return Some(format!("one wish about #{issue} has made two jobs"));
        }
    }
    None
}

fn of_job(state: &State, spec: &JobSpec) -> Option<String> {
    let job = spec.id();
    let journal = match at_once(state.store.journal(&job, 0)) {
        Ok(journal) => journal,
        Err(error) => return Some(format!("the journal of {job} cannot be read: {error}")),
    };
    let run = match Run::fold(spec, &journal) {
        Ok(run) => run,
        Err(misfit) => return Some(format!("the journal of {job} does not fold: {misfit}")),
    };
    let Some(outcome) = run.outcome() else { return Some(format!("{job} has no outcome")) };
    unexpected(state, spec, outcome, &journal).or_else(|| of_effects(state, spec, &journal))
}

/// Whether a job has ended as nothing that happened explains.
fn unexpected(state: &State, spec: &JobSpec, outcome: Outcome, journal: &[Entry]) -> Option<String> {
    let job = spec.id();
    let may_fail = state.books.n_blows >= CLAIMS_MAX;
    let Some(issue) = spec.task.issue() else {
        let is_explained = outcome == Outcome::Answered || (outcome == Outcome::Failed && may_fail);
        return (!is_explained).then(|| format!("{job} is a reply and ends as {outcome}"));
    };
    let is_dead = |entry: &&Entry| matches!(entry.kind, EntryKind::Claimed { handed_back: false, .. });
    let n_deaths = u32::try_from(journal.iter().filter(is_dead).count()).unwrap_or(u32::MAX);
    let n_claims = journal.iter().filter(|entry| matches!(entry.kind, EntryKind::Claimed { .. })).count();
    if state.books.n_faults == 0 && !kills(issue) && n_claims > 1 {
        return Some(format!("nothing has gone wrong, and {job} was claimed {n_claims} times"));
    }
    let is_cancel = |entry: &&Entry| matches!(entry.kind, EntryKind::CancelRequested { .. });
    let n_cancels = journal.iter().filter(is_cancel).count();
    if n_cancels > 1 {
        return Some(format!("#{issue} was closed once, and {job} was cancelled {n_cancels} times"));
    }
    if kills(issue) {
        let is_told = state.github.comments.iter().any(|comment| comment.issue == issue && comment.body.contains("stopped"));
        if outcome != Outcome::Failed || !(is_told || may_fail) {
            return Some(format!("{job} kills whoever works on it and ends as {outcome}"));
        }
        let n_most = CLAIMS_MAX + state.books.n_blows;
        return (n_deaths > n_most).then(|| format!("{job} has killed {n_deaths} workers, and may {n_most}"));
    }
    if n_deaths > state.books.n_blows {
        return Some(format!("{job} is said to have killed {n_deaths} workers, and {} may have died", state.books.n_blows));
    }
    if is_heard_late(journal) {
        return Some(format!("{job} was cancelled, and went on as if nobody had said so"));
    }
    let closed_at_ms = state.books.closed_at_ms.get(&issue.0);
    let may_be_cancelled = closed_at_ms.is_some_and(|closed_at_ms| spec.requested_at.as_millisecond() <= *closed_at_ms);
    let is_explained = match outcome {
        Outcome::Proven => true,
        Outcome::Cancelled => may_be_cancelled,
        _ => outcome == Outcome::Failed && may_fail,
    };
    (!is_explained).then(|| format!("{job} ends as {outcome}, which nothing that happened explains"))
}

/// Whether more was done behind a cancel than what was under way when it came, before the end was planned.
fn is_heard_late(journal: &[Entry]) -> bool {
    let is_plan = |entry: &&Entry| matches!(entry.kind, EntryKind::PublishPlanned { .. });
    let is_cancel = |entry: &&Entry| matches!(entry.kind, EntryKind::CancelRequested { .. });
    let is_work = |entry: &&Entry| !matches!(entry.kind, EntryKind::Claimed { .. } | EntryKind::CancelRequested { .. });
    let before_the_plan = journal.iter().take_while(|entry| !is_plan(entry));
    before_the_plan.skip_while(|entry| !is_cancel(entry)).filter(is_work).count() > 1
}

fn is_push(key: &EffectKey) -> bool {
    key.as_str().ends_with("/branch")
}

fn is_fatal(failure: &Failure) -> bool {
    failure.conclusion.cause.starts_with("The worker stopped")
}

/// Exactly what was planned is there, once, and says what was planned.
fn of_effects(state: &State, spec: &JobSpec, journal: &[Entry]) -> Option<String> {
    let job = spec.id();
    let mut planned: &[Effect] = &[];
    for entry in journal {
        match &entry.kind {
            EntryKind::PublishPlanned { effects, .. } => planned = effects,
            // Nothing of it was done, and what was planned behind it is the telling.
            EntryKind::Failed { effect: Some(key), .. } if spec.task.issue() == Some(POISONED_PUSH) && is_push(key) => {}
            // So many have died that they may have died of this, and it may be there or not.
            EntryKind::Failed { effect: Some(_), failure } if is_fatal(failure) && state.books.n_blows >= CLAIMS_MAX => {
                return None;
            }
            EntryKind::Failed { effect: Some(key), failure } => return Some(format!("{key} was refused: {}", failure.internal)),
            _ => {}
        }
    }
    let github = &state.github;
    let (short, marker) = (job.short(), format!("{MARKER_START}{job}"));
    let branches: Vec<_> = github.branches.iter().filter(|(name, _)| name.ends_with(short)).collect();
    let pulls: Vec<_> = github.pulls.iter().filter(|pull| pull.head.ends_with(short)).collect();
    let checks: Vec<_> = github.checks.iter().filter(|check| check.external_id.contains(job.as_str())).collect();
    let comments: Vec<_> = github.comments.iter().filter(|comment| comment.body.contains(&marker)).collect();
    let is_planned = |name: &str| usize::from(planned.iter().any(|effect| effect.name() == name));
    for (name, n_there) in
        [("branch", branches.len()), ("pull-request", pulls.len()), ("check", checks.len()), ("progress", comments.len())]
    {
        let n_planned = is_planned(name);
        if n_planned != n_there {
            return Some(format!("{job}: `{name}` was planned {n_planned} times and is there {n_there} times"));
        }
    }
    let url = pulls.first().and_then(|pull| github.url(&pull.head));
    for effect in planned {
        let is_as_planned = match effect {
            Effect::PushBranch { commit, .. } => branches[0].1 == commit,
            Effect::SetCheck { commit, .. } => checks[0].commit == *commit,
            Effect::EnsureComment { .. } => {
                let told = effect.clone().with_pull_request(url.as_deref().unwrap_or("the pull request"));
                matches!(&told, Effect::EnsureComment { body, .. } if comments[0].body.starts_with(body))
            }
            Effect::IntroducePull { labels, .. } => pulls[0].labels == *labels,
            Effect::EnsurePullRequest { .. }
            | Effect::EnsureReview { .. }
            | Effect::AnswerThreads { .. }
            | Effect::React { .. } => true,
        };
        if !is_as_planned {
            return Some(format!("{job}: `{}` is not as it was planned", effect.name()));
        }
    }
    None
}

/// What was really spent is counted; without a fault nothing else is.
fn of_ledger(state: &State) -> Option<String> {
    let counted = at_once(state.store.spending(Scope::Everything, day(state.now()))).map_or(0, |spending| spending.tokens);
    let spent = state.books.spent_tokens;
    if counted < spent || (state.books.n_faults == 0 && counted != spent && state.books.closed_at_ms.is_empty()) {
        return Some(format!("{spent} tokens were spent and {counted} are counted"));
    }
    None
}
