//! Publish the branch: as a commit that the forge has made and signed where it can, else as it was pushed.
//!
//! A branch is there once, whatever dies: the commit under a hidden name, and what the forge makes of it, are on no branch, and the
//! branch is made by one request that the forge refuses where there is one. Before anything is done, and after every answer that is
//! not sure, the branch is looked at: the files that were proven, on their base, with the message that names the job, are ours
//! under whichever commit they are there. What leads to no signed commit leads to a plain push.

use patchwright_domain::effect::{Published, Receipt};
use patchwright_domain::job::{JobId, JobSpec};
use patchwright_domain::journal::CommitId;
use tracing::warn;

use super::{StepError, Tools, on_pull, publish};
use crate::forge::signing::{Draft, HIDDEN, Signer, hidden};
use crate::forge::{Access, ForgeError};
use crate::store::{JobState, StoreError};
use crate::workspace::{Update, WorkspaceError};

/// How many hidden names that dead jobs have left are taken away by one that publishes in the same repository, and how many are looked
/// at for that: those of jobs at work, and of other servers, stay.
const LEFT_OVER_MAX: usize = 10;
const LOOKED_AT_MAX: usize = 200;

/// Makes the branch point to the commit, or to what the forge has made of it, and says which. Where somebody has pushed to one that was
/// to be moved, it may be that a worker has moved it before, and died before it could say so.
pub(super) async fn push(tools: &Tools, spec: &JobSpec, update: &Update, pack: Vec<u8>) -> Result<Receipt, StepError> {
    let pushed = published(tools, spec, update, pack).await;
    let (Err(error), Some(from)) = (&pushed, &update.from) else { return pushed };
    if !is_over(error) {
        return pushed;
    }
    let Some(now) = publish::moved_head(tools, spec, from).await else { return pushed };
    match below(tools, spec, update).await? {
        Some(receipt) => Ok(receipt),
        None => Err(on_pull::pushed_while_published(spec, &now).into()),
    }
}

/// The commit that is there already, below what somebody has pushed since.
async fn below(tools: &Tools, spec: &JobSpec, update: &Update) -> Result<Option<Receipt>, StepError> {
    let Some(number) = spec.task.issue() else { return Ok(None) };
    let access = tools.forge.clone_access(&spec.repo, Access::Fetch).await?;
    let Some(there) = tools.workspaces.arrived(&spec.repo, access, number, update).await? else { return Ok(None) };
    let published = match tools.forge.signer() {
        Some(signer) if signer.is_wanted() || there != update.commit => {
            Some(veiled(tools, signer.shown(&spec.repo, &there).await?))
        }
        Some(_) | None => None,
    };
    Ok(Some(Receipt { url: None, published }))
}

async fn published(tools: &Tools, spec: &JobSpec, update: &Update, pack: Vec<u8>) -> Result<Receipt, StepError> {
    tools.workspaces.unpack(&spec.repo, &update.commit, pack).await?;
    let Some(signer) = tools.forge.signer() else {
        plainly(tools, spec, update).await?;
        return Ok(Receipt::default());
    };
    let draft = tools.workspaces.draft(&spec.repo, update).await?;
    if !signer.is_wanted() {
        let there = as_pushed(tools, spec, signer, update, draft.as_ref()).await?;
        return Ok(Receipt { url: None, published: there.map(|published| veiled(tools, published)) });
    }
    let published = match draft {
        Some(draft) => once(tools, spec, signer, (update, &draft)).await?,
        None => {
            plainly(tools, spec, update).await?;
            unsigned(&update.commit, "the commit cannot be told to it".into())
        }
    };
    Ok(Receipt { url: None, published: Some(veiled(tools, published)) })
}

/// People are told of it, and what is from outside may say anything.
fn veiled(tools: &Tools, published: Published) -> Published {
    Published { reason: published.reason.map(|reason| tools.guarded().veil().text(&reason)), ..published }
}

/// Pushes the commit as it is, where nobody wants it signed. Somebody may have when a worker died that had made the branch: then that
/// is what is there.
async fn as_pushed(
    tools: &Tools,
    spec: &JobSpec,
    signer: &dyn Signer,
    update: &Update,
    draft: Option<&Draft>,
) -> Result<Option<Published>, StepError> {
    let refused = match plainly(tools, spec, update).await {
        Ok(()) => return Ok(None),
        Err(error) => error,
    };
    match draft {
        Some(draft) if is_over(&refused) => match signer.look(&spec.repo, draft).await {
            Ok(Some(published)) => Ok(Some(published)),
            Ok(None) | Err(_) => Err(refused),
        },
        Some(_) | None => Err(refused),
    }
}

/// Publishes what is not there yet, and leaves no hidden name where this is the end of it.
async fn once(
    tools: &Tools,
    spec: &JobSpec,
    signer: &dyn Signer,
    (update, draft): (&Update, &Draft),
) -> Result<Published, StepError> {
    let done = match signer.look(&spec.repo, draft).await {
        Ok(Some(published)) => Ok(published),
        Ok(None) => anew(tools, spec, signer, (update, draft)).await,
        // Who may not look may still push; a branch that is there and another one's is refused there, too.
        Err(error @ ForgeError::Denied { .. }) => {
            let pushed = plainly(tools, spec, update).await;
            pushed.map(|()| unsigned(&draft.commit, error.to_string()))
        }
        Err(error @ (ForgeError::Rejected { .. } | ForgeError::RateLimited { .. } | ForgeError::Unavailable(_))) => {
            Err(error.into())
        }
    };
    if let Err(error) = &done
        && !is_over(error)
    {
        // It is done again, and then the name is of use.
        return done;
    }
    // What is done is done: nobody waits for this.
    if let Err(error) = signer.unhide(&spec.repo, &spec.id()).await {
        warn!(error = %error, "the hidden name of a commit stays until something else is published there");
    }
    done
}

/// Whether an effect that ends so is not tried again.
fn is_over(error: &StepError) -> bool {
    match error {
        StepError::Forge(ForgeError::Denied { .. } | ForgeError::Rejected { .. })
        | StepError::Workspace(WorkspaceError::Refused(_) | WorkspaceError::Rejected { .. })
        | StepError::Failed(_) => true,
        StepError::Forge(ForgeError::RateLimited { .. } | ForgeError::Unavailable(_))
        | StepError::Workspace(WorkspaceError::Unavailable { .. })
        | StepError::Store(_) => false,
    }
}

/// Publishes a branch that is not there, or moves one.
async fn anew(
    tools: &Tools,
    spec: &JobSpec,
    signer: &dyn Signer,
    (update, draft): (&Update, &Draft),
) -> Result<Published, StepError> {
    let refusal = match signed(tools, spec, signer, draft).await? {
        Ok(published) => return Ok(published),
        Err(refusal) => refusal,
    };
    warn!(commit = %draft.commit, "the commit is pushed as it is: {refusal}");
    match plainly(tools, spec, update).await {
        Ok(()) => Ok(unsigned(&draft.commit, refusal)),
        // What was sent before may have arrived after all.
        Err(error) if is_over(&error) => match signer.look(&spec.repo, draft).await {
            Ok(Some(published)) => Ok(published),
            Ok(None) | Err(_) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Has the forge make the commit and its branch. Inside is why it did not; nothing is on the branch then.
async fn signed(
    tools: &Tools,
    spec: &JobSpec,
    signer: &dyn Signer,
    draft: &Draft,
) -> Result<Result<Published, String>, StepError> {
    let access = tools.forge.clone_access(&spec.repo, Access::Push).await?;
    match tools.workspaces.hide(&spec.repo, access, &hidden(&spec.id()), &draft.commit).await {
        Ok(others) => tidy(tools, spec, signer, &others).await,
        Err(error @ (WorkspaceError::Rejected { .. } | WorkspaceError::Refused(_))) => return Ok(Err(error.to_string())),
        Err(error @ WorkspaceError::Unavailable { .. }) => return Err(error.into()),
    }
    let commit = match signer.sign(&spec.repo, draft).await {
        Ok(commit) => commit,
        Err(error @ ForgeError::RateLimited { .. }) => return Err(error.into()),
        // What is proven is worth more to people than the signature: a forge that cannot do this may well take a push.
        Err(error @ (ForgeError::Unavailable(_) | ForgeError::Denied { .. } | ForgeError::Rejected { .. })) => {
            return Ok(Err(error.to_string()));
        }
    };
    let refusal = signer.point(&spec.repo, draft, &commit).await.err();
    let there = match signer.look(&spec.repo, draft).await {
        // It may be there, and is asked for again.
        Err(error @ ForgeError::Denied { .. }) if refusal.is_none() => {
            return Err(ForgeError::Unavailable(error.to_string()).into());
        }
        Err(ForgeError::Denied { .. }) => None,
        looked => looked?,
    };
    match (there, refusal) {
        (Some(published), _) => Ok(Ok(published)),
        (None, Some(error @ (ForgeError::Denied { .. } | ForgeError::Rejected { .. }))) => Ok(Err(error.to_string())),
        (None, Some(error)) => Err(error.into()),
        (None, None) => Err(ForgeError::Unavailable("the branch that was made is not shown yet".into()).into()),
    }
}

async fn plainly(tools: &Tools, spec: &JobSpec, update: &Update) -> Result<(), StepError> {
    let access = tools.forge.clone_access(&spec.repo, Access::Push).await?;
    Ok(tools.workspaces.push(&spec.repo, access, update).await?)
}

fn unsigned(commit: &CommitId, reason: String) -> Published {
    Published { commit: commit.clone(), is_verified: false, reason: Some(reason) }
}

/// Takes away the hidden names of jobs that are over, which had no chance to do it themselves.
async fn tidy(tools: &Tools, spec: &JobSpec, signer: &dyn Signer, names: &[String]) {
    let jobs = names.iter().filter_map(|name| JobId::parse(name.strip_prefix(HIDDEN)?));
    let mut n_left = LEFT_OVER_MAX;
    for job in jobs.take(LOOKED_AT_MAX) {
        let is_over = match tools.store.job(&job).await {
            Ok((_, state)) => matches!(state, JobState::Done(_)),
            // It may be another server's, which has it at work.
            Err(
                StoreError::Unknown { .. } | StoreError::Unavailable(_) | StoreError::Corrupt(_) | StoreError::LeaseLost { .. },
            ) => false,
        };
        if !is_over {
            continue;
        }
        if let Err(error) = signer.unhide(&spec.repo, &job).await {
            warn!(error = %error, "the hidden name that job {job} has left stays for now");
            // The next would be no better.
            if matches!(error, ForgeError::RateLimited { .. } | ForgeError::Unavailable(_)) {
                return;
            }
        }
        n_left -= 1;
        if n_left == 0 {
            return;
        }
    }
}
