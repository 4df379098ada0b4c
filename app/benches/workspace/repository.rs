//! A repository of a few thousand files, the same every time.

use anyhow::Context as _;
use patchwright::policy_file;
use patchwright::rehearsal::Rehearsal;
use patchwright::rehearsal::scene::{File, RepositoryId, Role};

use crate::files::{contents, git};

pub(crate) const OWNER: &str = "octo-org";
pub(crate) const NAME: &str = "large";
pub(crate) const MAINTAINER: &str = "mona";

/// Makes the repository, with a policy that names a test command, and packs it as a server would have it.
pub(crate) async fn create(github: &Rehearsal) -> anyhow::Result<RepositoryId> {
    let contents = contents();
    let mut files: Vec<File<'_>> =
        contents.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice(), path.ends_with(".sh"))).collect();
    files.push((policy_file::PATH, b"commands:\n  test: sh test.sh\n", false));
    let id = github.create_repository(OWNER, NAME, &files).await.context("making the repository")?;
    github.set_role(id, MAINTAINER, Role::Write)?;
    let bare = github.repository_path(id).context("the repository has no folder")?;
    git(&bare, &["repack", "-a", "-d", "-q"]).context("packing the repository")?;
    Ok(id)
}
