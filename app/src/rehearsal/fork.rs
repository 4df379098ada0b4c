//! Pull requests that people open, from branches of the repository and from forks of it.

use super::{DEFAULT_BRANCH, Error, Rehearsal, act, git, is_name, scene::RepositoryId};

impl Rehearsal {
    /// Forks a repository for somebody. The App is not installed there.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository, [`Error::Git`] if git refuses.
    pub async fn fork(&self, repo: RepositoryId, user: &str) -> Result<RepositoryId, Error> {
        if !is_name(user) {
            return Err(Error::Unknown("name of a user"));
        }
        let found = self.shared.with(|world| world.repository(repo).map(|repo| (repo.path.clone(), repo.name.clone())));
        let (from, name) = found.ok_or(Error::Unknown("repository"))?;
        let (shared, user) = (self.shared.clone(), user.to_owned());
        let fork = move || {
            let path = shared.with(|world| world.root.join(&user).join(format!("{name}.git")));
            git::fork(&from, &path, DEFAULT_BRANCH)?;
            shared.with(|world| world.add_fork(repo, &user)).ok_or(Error::Unknown("repository"))
        };
        tokio::task::spawn_blocking(fork).await?
    }

    /// Opens a pull request between two branches as somebody other than the App, and gives its number.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository or branch.
    pub async fn open_pull_request(
        &self,
        repo: RepositoryId,
        user: &str,
        title: &str,
        head: &str,
        base: &str,
    ) -> Result<u64, Error> {
        self.open_pull_request_from(repo, repo, user, (title, ""), (head, base)).await
    }

    /// The same with a text, for a branch of another repository and the branch that it is to go to.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository or branch.
    pub async fn open_pull_request_from(
        &self,
        head_repo: RepositoryId,
        repo: RepositoryId,
        user: &str,
        (title, text): (&str, &str),
        (head, base): (&str, &str),
    ) -> Result<u64, Error> {
        let (shared, user) = (self.shared.clone(), user.to_owned());
        let new = act::NewPull {
            title: title.to_owned(),
            body: (!text.is_empty()).then(|| text.to_owned()),
            head_repo,
            head: head.to_owned(),
            base: base.to_owned(),
            draft: false,
            maintainer_can_modify: true,
        };
        let open = move || shared.with(|world| world.open_pull(repo, &user, new));
        tokio::task::spawn_blocking(open).await?.ok_or(Error::Unknown("branch"))
    }
}
