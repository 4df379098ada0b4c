//! What a statement says of git, held against a checkout.

use patchwright_domain::attestation::{Fault, Statement};
use patchwright_domain::journal::{Change, CommitId, Digest};

use crate::policy_file;
use crate::workspace::{Checkout, WorkspaceError};

/// Under which commit a checkout has the files that a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Under the one that it names.
    Named,
    /// Under this one alone, on the same base, such as the one that the forge has made of it to sign it.
    Remade(CommitId),
}

/// Compares commits, tree, difference and policy file.
///
/// What was tested are the files. Where the commit itself is not there, one with the same files on the same base is as good: a forge that
/// signs commits makes them again, and nobody can fetch the one that they were made of.
///
/// # Errors
/// [`WorkspaceError`] where the checkout cannot be read; else the first [`Fault`] inside.
pub fn compare(statement: &Statement, checkout: &Checkout) -> Result<Result<Presence, Fault>, WorkspaceError> {
    let (Some(commit), Some(tree)) = (statement.commit(), statement.tree()) else {
        return Ok(Err(Fault::new("subject", "names no commit with its tree")));
    };
    let predicate = &statement.predicate;
    // A merge that nobody has pushed is made again of what it was made of.
    if let (Some(head), None) = (&predicate.head, checkout.tree(commit)) {
        if checkout.tree(head).is_none() {
            return Ok(Err(Fault::new("predicate.head", format!("there is no commit {head} in this checkout"))));
        }
        checkout.merge(&predicate.base, head)?;
    }
    let missing = |field: &str, commit: &CommitId| Fault::new(field, format!("there is no commit {commit} in this checkout"));
    let presence = match checkout.tree(commit) {
        Some(found) if found != tree => {
            return Ok(Err(Fault::new("subject[1].digest.gitTree", format!("is `{tree}`, and the commit's is `{found}`"))));
        }
        Some(_) => Presence::Named,
        None => match checkout.remade(&predicate.base, tree) {
            Some(remade) => Presence::Remade(remade),
            None => return Ok(Err(missing("subject[0].digest.gitCommit", commit))),
        },
    };
    if checkout.tree(&predicate.base).is_none() {
        return Ok(Err(missing("predicate.base", &predicate.base)));
    }
    let (diff, changes) = checkout.difference(&predicate.base, tree)?;
    if let Some(fault) = differ(&predicate.patch.changes, &changes) {
        return Ok(Err(fault));
    }
    if predicate.patch.diff != Digest::of(diff.as_bytes()) {
        return Ok(Err(Fault::new("predicate.patch.diff", "is not the digest of the difference")));
    }
    let policy = checkout.read(&predicate.base, policy_file::PATH)?.map(|bytes| Digest::of(&bytes));
    if predicate.policy != policy {
        return Ok(Err(Fault::new("predicate.policy", format!("is not the digest of the base's `{}`", policy_file::PATH))));
    }
    Ok(Ok(presence))
}

/// The first file that is told otherwise than it is.
fn differ(told: &[Change], found: &[Change]) -> Option<Fault> {
    let field = |index: usize, part: &str| format!("predicate.patch.changes[{index}]{part}");
    for (index, change) in told.iter().enumerate() {
        let Some(is) = found.get(index) else { return Some(Fault::new(field(index, ""), "is one file too many")) };
        if change.path != is.path {
            return Some(Fault::new(
                field(index, ".path"),
                format!("is {:?}, and the file that differs is {:?}", change.path, is.path),
            ));
        }
        if change != is {
            return Some(Fault::new(field(index, ""), "is not how the file differs"));
        }
    }
    let next = found.get(told.len())?;
    Some(Fault::new(field(told.len(), ""), format!("is missing: {:?} differs too", next.path)))
}
