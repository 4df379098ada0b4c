//! What owners do to their repositories and to the App's installations, and how GitHub answers afterwards.

use serde_json::{Value, json};

use super::{
    Error, Rehearsal, is_name,
    scene::{Account, RepositoryId},
    world::World,
};

impl Rehearsal {
    /// Subscribes the App to these events, and to no others.
    pub fn subscribe_to(&self, events: &[&'static str]) {
        self.shared.with(|world| world.settings.events = events.to_vec());
    }

    /// Gives a repository another name; the old one leads to it.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository, or the name could not be GitHub's.
    pub fn rename_repository(&self, repo: RepositoryId, name: &str) -> Result<(), Error> {
        if !is_name(name) {
            return Err(Error::Unknown("name of a repository"));
        }
        self.shared.with(|world| world.move_repository(repo, None, name)).ok_or(Error::Unknown("repository"))
    }

    /// Gives a repository to another account. Where the App is not installed there, nobody but its people reaches it.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository, or the name could not be GitHub's.
    pub fn transfer_repository(&self, repo: RepositoryId, owner: &str) -> Result<(), Error> {
        if !is_name(owner) {
            return Err(Error::Unknown("name of an account"));
        }
        let transfer = |world: &mut World| {
            let name = world.repository(repo)?.name.clone();
            world.ensure_user(owner, Account::User);
            world.move_repository(repo, Some(owner), &name)
        };
        self.shared.with(transfer).ok_or(Error::Unknown("repository"))
    }

    /// Archives a repository: nothing can be written to it any more.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository.
    pub fn archive_repository(&self, repo: RepositoryId) -> Result<(), Error> {
        let archive = |world: &mut World| world.repository_mut(repo).map(|repo| repo.is_archived = true);
        self.shared.with(archive).ok_or(Error::Unknown("repository"))
    }

    /// Takes a repository's issues away; pull requests stay.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository.
    pub fn disable_issues(&self, repo: RepositoryId) -> Result<(), Error> {
        let disable = |world: &mut World| world.repository_mut(repo).map(|repo| repo.has_issues = false);
        self.shared.with(disable).ok_or(Error::Unknown("repository"))
    }

    /// Takes the App out of an account; its tokens are worth nothing at once.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the App is not installed there.
    pub fn uninstall(&self, owner: &str) -> Result<(), Error> {
        let uninstall = |world: &mut World| {
            world.installation_of(owner)?;
            world.announce_installation("installation", "deleted", owner, json!({"repositories": []}));
            world.installations.retain(|found| !found.account.eq_ignore_ascii_case(owner));
            Some(())
        };
        self.shared.with(uninstall).ok_or(Error::Unknown("installation"))
    }

    /// Takes a permission away from what the App asks for where it is installed from now on, as if it had been made without.
    pub fn ask_without(&self, permission: &str) {
        self.shared.with(|world| drop(world.settings.permissions.remove(permission)));
    }

    /// Gives an installation a permission more, as an owner does who accepts it.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the App is not installed there.
    pub fn accept(&self, owner: &str, permission: &str, level: &str) -> Result<(), Error> {
        let accept = |world: &mut World| {
            let found = world.installations.iter_mut().find(|found| found.account.eq_ignore_ascii_case(owner))?;
            found.permissions.insert(permission.to_owned(), level.to_owned());
            Some(())
        };
        self.shared.with(accept).ok_or(Error::Unknown("installation"))
    }

    /// Starts a workflow of a file of this name on the default branch, as somebody does by hand. It is told of, and nothing runs.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository.
    pub fn start_workflow(&self, repo: RepositoryId, user: &str, file: &str, inputs: Value) -> Result<(), Error> {
        self.shared.with(|world| world.start_workflow(repo, user, file, inputs)).ok_or(Error::Unknown("repository"))
    }

    /// Gives a team a role in a repository, by what the team's address calls it.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository.
    pub fn add_team(&self, repo: RepositoryId, slug: &str) -> Result<(), Error> {
        let add = |world: &mut World| {
            world.repository_mut(repo)?.teams.insert(slug.to_owned());
            Some(())
        };
        self.shared.with(add).ok_or(Error::Unknown("repository"))
    }

    /// Takes a permission away from an installation, and from the tokens that it has.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the App is not installed there.
    pub fn revoke(&self, owner: &str, permission: &str) -> Result<(), Error> {
        let revoke = |world: &mut World| {
            let found = world.installations.iter_mut().find(|found| found.account.eq_ignore_ascii_case(owner))?;
            found.permissions.remove(permission);
            let id = found.id;
            for token in world.tokens.values_mut().filter(|token| token.installation == id) {
                token.permissions.remove(permission);
            }
            Some(())
        };
        self.shared.with(revoke).ok_or(Error::Unknown("installation"))
    }
}

impl World {
    fn move_repository(&mut self, repo: RepositoryId, owner: Option<&str>, name: &str) -> Option<()> {
        let before = self.repository(repo)?.full_name().to_lowercase();
        let found = self.repository_mut(repo)?;
        name.clone_into(&mut found.name);
        if let Some(owner) = owner {
            owner.clone_into(&mut found.owner);
        }
        self.former_names.insert(before, repo);
        Some(())
    }
}
