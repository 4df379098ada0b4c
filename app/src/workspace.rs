//! Repositories on this machine: a bare mirror of each, scratch trees at exact commits, and the commit that the host
//! rebuilds from the files that an agent proposes.
//!
//! The agent never touches a repository that is read here: its tree is plain files, looked at name by name without
//! following a link, and whatever `.git` it may have made is not looked at. No git type leaves this folder. All of it is
//! blocking work and runs on tokio's blocking threads.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::journal::{Change, CommitId};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::findings::Finding;
use patchwright_domain::proof::test_files::TestFiles;
use patchwright_domain::review;

use crate::forge::CloneAccess;
use crate::forge::signing::{Draft, HIDDEN};
use crate::private_folder::{self, PrivateFolder, let_pass};
use crate::sandbox;
pub use adopted::{Adopted, Apart, Pull, Pulled};
pub use checkout::Checkout;
pub use difference::Kept;
use layers::{Layer, Layers};
use relay::Relay;
use writers::Writers;

mod adopted;
mod arrived;
mod checkout;
mod compose;
mod declared;
mod difference;
mod draft;
mod edit;
mod files;
mod imports;
mod layers;
mod links;
mod merged;
mod mirror;
mod paths;
mod proposal;
mod relay;
mod scratch;
mod shown;
mod writers;

/// Why a workspace operation was not done, by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// What is proposed may not become a commit; a sentence for the user.
    #[error("the change is refused: {0}")]
    Refused(String),
    /// The remote side said no; a sentence for the user.
    #[error("{what}: {reason}")]
    Rejected {
        /// What was tried.
        what: &'static str,
        /// What the other side said.
        reason: String,
    },
    /// The network or the machine failed: come back later.
    #[error("{what}: {reason}")]
    Unavailable {
        /// What was tried.
        what: &'static str,
        /// What went wrong.
        reason: String,
    },
}

/// A branch of a remote repository that is made, or moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Its name below `refs/heads/`.
    pub branch: String,
    /// Where it points until then; none where it is made.
    pub from: Option<CommitId>,
    /// Where it is to point.
    pub commit: CommitId,
}

/// All repositories and scratch trees below one folder.
#[derive(Debug)]
pub struct Workspaces {
    folder: PathBuf,
    /// Who owns the files of scratch trees, where this process may give them away: the sandbox's user.
    owner: Option<u32>,
    relay: Relay,
    layers: Arc<Layers>,
    writers: Writers,
}

/// A tree of files that lives as long as this value. Its `.git` knows the commit that the files are of and borrows the
/// objects from the mirror; it is there for those who work in the tree, and is never read by this program.
#[derive(Debug)]
pub struct Scratch {
    /// Holds `tree`, `home`, `work` and what is carried.
    folder: PrivateFolder,
    /// The tree's root, or what of it differs from the layer beneath.
    path: PathBuf,
    objects: PathBuf,
    layer: Option<(Arc<Layer>, PathBuf)>,
    /// A home directory that lasts as long as the tree, where there is one.
    home: Option<PathBuf>,
    /// Files that are kept with the tree, and where they are inside.
    carried: Vec<(PathBuf, PathBuf)>,
    owner: Option<u32>,
}

impl Scratch {
    fn new(parent: &Path, mirror: &Path, owner: Option<u32>) -> std::io::Result<Self> {
        let folder = PrivateFolder::new_in(parent)?;
        owner.map_or(Ok(()), |owner| folder.let_pass(owner))?;
        let path = folder.path().join("tree");
        std::fs::create_dir(&path)?;
        Ok(Self { folder, path, objects: mirror.join("objects"), layer: None, home: None, carried: Vec::new(), owner })
    }

    /// The tree's root; of one that lies over a [layer](Self::layer), only what differs from it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tree beneath, and an empty folder for the use of the kernel, where the tree lies over another.
    pub fn layer(&self) -> Option<(&Path, &Path)> {
        self.layer.as_ref().map(|(layer, work)| (layer.path(), work.as_path()))
    }

    /// Gives those who work in the tree a home directory that lasts as long as it.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where there is no room.
    pub fn keep_home(&mut self) -> Result<(), WorkspaceError> {
        let home = self.folder.path().join("home");
        let owned = |()| self.owner.map_or(Ok(()), |owner| std::os::unix::fs::chown(&home, Some(owner), Some(owner)));
        std::fs::create_dir(&home).and_then(owned).map_err(|e| unavailable("making a home directory", &e))?;
        self.home = Some(home);
        Ok(())
    }

    /// Keeps copies of files with the tree, to be seen read only at these places inside.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where there is no room.
    pub fn carry(&mut self, files: &[(PathBuf, PathBuf)]) -> Result<(), WorkspaceError> {
        for (source, target) in files {
            let copy = self.folder.path().join(format!("carried-{}", self.carried.len()));
            std::fs::copy(source, &copy).map_err(|e| unavailable("keeping a file of the setup", &e))?;
            self.carried.push((copy, target.clone()));
        }
        Ok(())
    }

    /// The files as sandboxes are given them.
    pub fn tree(&self) -> sandbox::Tree<'_> {
        sandbox::Tree {
            path: &self.path,
            layer: self.layer(),
            objects: Some(&self.objects),
            home: self.home.as_deref(),
            read_only: &self.carried,
            is_owned: true,
        }
    }

    /// The folder of git objects that the tree's `.git` borrows from.
    pub fn objects(&self) -> &Path {
        &self.objects
    }
}

/// A file's path, and what is there; none where nothing is.
pub type FileChange = (String, Option<FileState>);

/// What a commit is to have otherwise than another.
#[derive(Clone, Debug, Default)]
pub struct Composition {
    /// Paths that are as in the base, whatever is in their way.
    pub restored: Vec<String>,
    /// Files by their paths, and what stands in them.
    pub written: Vec<(String, String)>,
}

/// A commit made of proposed files.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// The commit; the same files on the same base at the same time give the same.
    pub commit: CommitId,
    /// Everything of it that the base does not have, as a git pack.
    pub pack: Vec<u8>,
    /// The difference to the base as text.
    pub diff: String,
    /// The files that differ.
    pub changes: Vec<Change>,
}

/// What goes into a commit beside its files.
#[derive(Clone, Debug)]
pub struct Message {
    /// The message.
    pub text: String,
    /// The author's and committer's name.
    pub author: String,
    /// Their address.
    pub email: String,
    /// When.
    pub at: Timestamp,
}

impl Workspaces {
    /// Uses a folder, and makes it where it is missing.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the folder or the relay's loopback listener cannot be made.
    pub async fn open(folder: PathBuf, owner: Option<u32>) -> Result<Self, WorkspaceError> {
        let made = std::fs::create_dir_all(folder.join("mirrors"))
            .and_then(|()| std::fs::create_dir_all(folder.join("scratch")))
            .and_then(|()| std::fs::create_dir_all(folder.join("layers")));
        let owner = owner.filter(|_| rustix::process::geteuid().is_root());
        made.and_then(|()| private(&folder, 0o711))
            .and_then(|()| ["mirrors", "scratch", "layers"].iter().try_for_each(|name| private(&folder.join(name), 0o700)))
            // Where there are no mounts, commands get to their tree and its objects by the host's own paths.
            .and_then(|()| match owner {
                Some(owner) => ["mirrors", "scratch"].iter().try_for_each(|name| let_pass(&folder.join(name), owner)),
                None => Ok(()),
            })
            .map_err(|e| unavailable("making the workspace folder", &e))?;
        let folder = folder.canonicalize().map_err(|e| unavailable("finding the workspace folder", &e))?;
        private_folder::sweep(&folder.join("scratch"));
        private_folder::sweep(&folder.join("layers"));
        let relay = Relay::start().await.map_err(|e| unavailable("starting the git relay on loopback", &e))?;
        let layers = Arc::new(Layers::at(folder.join("layers")));
        Ok(Self { folder, owner, relay, layers, writers: Writers::default() })
    }

    fn mirror(&self, repo: &RepoRef) -> PathBuf {
        self.folder.join("mirrors").join(format!("{}.git", repo.id))
    }

    /// Brings the mirror's default branch up to date and says where it points.
    ///
    /// # Errors
    /// [`WorkspaceError::Rejected`] where the remote refuses, [`WorkspaceError::Unavailable`] where it cannot be reached.
    pub async fn fetch(&self, repo: &RepoRef, access: CloneAccess) -> Result<CommitId, WorkspaceError> {
        let (mirror, branch) = (self.mirror(repo), repo.default_branch().to_owned());
        let remote = self.relay.admit(access);
        self.writers.write(mirror, move |mirror| mirror::fetch(mirror, &remote, &branch)).await
    }

    /// Whether a commit is in the mirror, where there is one.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where that cannot be found out.
    pub async fn has(&self, repo: &RepoRef, commit: &CommitId) -> Result<bool, WorkspaceError> {
        let (mirror, commit) = (self.mirror(repo), commit.clone());
        blocking(move || Ok(mirror::has(&mirror, &commit))).await
    }

    /// Brings two commits of a checkout on this machine into the mirror, and says how they differ.
    ///
    /// # Errors
    /// [`WorkspaceError::Rejected`] where the checkout has no such commits, [`WorkspaceError::Unavailable`].
    pub async fn adopt(&self, repo: &RepoRef, checkout: PathBuf, base: &str, head: &str) -> Result<Adopted, WorkspaceError> {
        let (mirror, base, head) = (self.mirror(repo), base.to_owned(), head.to_owned());
        self.writers.write(mirror, move |mirror| adopted::adopt(mirror, &checkout, &base, &head)).await
    }

    /// Fetches what a pull request changes, from the repository that it is in and never from a fork, and says how it differs
    /// as it is once it is merged into the repository's branch.
    ///
    /// # Errors
    /// [`WorkspaceError::Refused`] for a change that is too large to be looked at, [`WorkspaceError::Rejected`] where the remote
    /// refuses, [`WorkspaceError::Unavailable`].
    pub async fn pull(&self, repo: &RepoRef, access: CloneAccess, number: IssueNumber) -> Result<Pull, WorkspaceError> {
        let (mirror, branch) = (self.mirror(repo), repo.default_branch().to_owned());
        let remote = self.relay.admit(access);
        self.writers.write(mirror, move |mirror| adopted::pull(mirror, &remote, &branch, number.0)).await
    }

    /// Looks whether a commit that was to go onto a pull request's branch is there, below what was pushed since; under which name, for
    /// the forge may have made it again.
    ///
    /// # Errors
    /// [`WorkspaceError::Rejected`] where the remote refuses, [`WorkspaceError::Unavailable`].
    pub async fn arrived(
        &self,
        repo: &RepoRef,
        access: CloneAccess,
        number: IssueNumber,
        update: &Update,
    ) -> Result<Option<CommitId>, WorkspaceError> {
        let (mirror, target, update) = (self.mirror(repo), repo.default_branch().to_owned(), update.clone());
        let remote = self.relay.admit(access);
        self.writers.write(mirror, move |mirror| arrived::arrived(mirror, &remote, &target, number.0, &update)).await
    }

    /// What a commit changes of a branch that another is the last commit of, as the forge shows it.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the mirror cannot be read.
    pub async fn shown(&self, repo: &RepoRef, base: &CommitId, head: &CommitId) -> Result<review::Difference, WorkspaceError> {
        let (mirror, base, head) = (self.mirror(repo), base.clone(), head.clone());
        blocking(move || shown::shown(&mirror, &base, &head)).await
    }

    /// What stands in the difference of two commits, whose files are `changes`, against its proof or its being published; of
    /// those, these are `tests`.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the mirror cannot be read.
    pub async fn findings(
        &self,
        repo: &RepoRef,
        base: &CommitId,
        head: &CommitId,
        changes: &[Change],
        tests: TestFiles,
        kept: Kept,
    ) -> Result<Vec<Finding>, WorkspaceError> {
        let (mirror, base, head) = (self.mirror(repo), base.clone(), head.clone());
        let changes = changes.to_vec();
        blocking(move || difference::findings(&mirror, &base, &head, &changes, tests, &kept)).await
    }

    /// Which files of the difference of two commits, whose files are `changes`, are tests.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the mirror cannot be read.
    pub async fn test_files(
        &self,
        repo: &RepoRef,
        base: &CommitId,
        head: &CommitId,
        changes: &[Change],
    ) -> Result<TestFiles, WorkspaceError> {
        let (mirror, base, head, changes) = (self.mirror(repo), base.clone(), head.clone(), changes.to_vec());
        blocking(move || declared::test_files(&mirror, &base, &head, &changes)).await
    }

    /// A file's bytes at a commit, `None` where there is no such regular file.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the mirror cannot be read.
    pub async fn read(&self, repo: &RepoRef, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, WorkspaceError> {
        let (mirror, commit, path) = (self.mirror(repo), commit.clone(), path.to_owned());
        blocking(move || mirror::read(&mirror, &commit, &path)).await
    }

    /// What files are in a commit, each by its path; none where there is no such file.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`].
    pub async fn states(&self, repo: &RepoRef, commit: &CommitId, paths: Vec<String>) -> Result<Vec<FileChange>, WorkspaceError> {
        let (mirror, commit) = (self.mirror(repo), commit.clone());
        blocking(move || mirror::states(&mirror, &commit, paths)).await
    }

    /// The names and the small text files of a commit's root folder, for finding out how to test it.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the mirror cannot be read.
    pub async fn root_files(&self, repo: &RepoRef, commit: &CommitId) -> Result<RootFiles, WorkspaceError> {
        let (mirror, commit) = (self.mirror(repo), commit.clone());
        blocking(move || mirror::root_files(&mirror, &commit)).await
    }

    /// The paths of a commit's regular files, as many as are looked through.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the mirror cannot be read.
    pub async fn paths(&self, repo: &RepoRef, commit: &CommitId) -> Result<Vec<String>, WorkspaceError> {
        let (mirror, commit) = (self.mirror(repo), commit.clone());
        blocking(move || mirror::paths(&mirror, &commit)).await
    }

    /// Looks through a commit for regular files of these names, and counts its files by their extensions.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the mirror cannot be read.
    pub async fn survey(&self, repo: &RepoRef, commit: &CommitId, names: Vec<String>) -> Result<Survey, WorkspaceError> {
        let (mirror, commit) = (self.mirror(repo), commit.clone());
        blocking(move || mirror::survey(&mirror, &commit, &names)).await
    }

    /// Makes a commit of `head` with some files as in `base` and some with a text of their own. Nothing points to it.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the mirror does not have the two or has no room.
    pub async fn compose(
        &self,
        repo: &RepoRef,
        head: &CommitId,
        base: &CommitId,
        composition: Composition,
    ) -> Result<CommitId, WorkspaceError> {
        let (mirror, head, base) = (self.mirror(repo), head.clone(), base.clone());
        self.writers.write(mirror, move |mirror| compose::compose(mirror, &head, &base, &composition)).await
    }

    /// Writes a scratch tree of a commit.
    ///
    /// # Errors
    /// [`WorkspaceError::Refused`] for a commit with paths that no tree may have, [`WorkspaceError::Unavailable`].
    pub async fn scratch(&self, repo: &RepoRef, commit: &CommitId) -> Result<Scratch, WorkspaceError> {
        let (mirror, commit, owner) = (self.mirror(repo), commit.clone(), self.owner);
        let parent = self.folder.join("scratch");
        blocking(move || {
            let scratch = Scratch::new(&parent, &mirror, owner).map_err(|e| unavailable("making a scratch tree", &e))?;
            scratch::write(&mirror, &commit, &scratch.path, owner)?;
            Ok(scratch)
        })
        .await
    }

    /// Makes a scratch tree of `head` that lies over the tree of `base`, which is written once and shared by all.
    /// It is for sandboxes that [can lay one over the other](crate::sandbox::Sandbox::layers).
    ///
    /// # Errors
    /// As [`Workspaces::scratch`].
    pub async fn layered(&self, repo: &RepoRef, head: &CommitId, base: &CommitId) -> Result<Scratch, WorkspaceError> {
        let (mirror, head, base, owner) = (self.mirror(repo), head.clone(), base.clone(), self.owner);
        let (parent, layers) = (self.folder.join("scratch"), Arc::clone(&self.layers));
        blocking(move || {
            let making = |e: std::io::Error| unavailable("making a scratch tree", &e);
            let mut scratch = Scratch::new(&parent, &mirror, owner).map_err(making)?;
            let layer = layers.of(&mirror, &base, owner)?;
            layers::write_over(&mirror, &layer, &base, &head, &scratch.path, owner)?;
            let work = scratch.folder.path().join("work");
            std::fs::create_dir(&work).map_err(making)?;
            scratch.layer = Some((layer, work));
            Ok(scratch)
        })
        .await
    }

    /// The folder of all scratch trees.
    pub fn folder(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    /// Makes a commit on the base of the files that a folder now has; none where nothing differs. Files that the tree's
    /// `.gitignore`s name, and folders called as one of `droppings`, are left out unless the base has them.
    ///
    /// # Errors
    /// [`WorkspaceError::Refused`] for files that may not become a commit, [`WorkspaceError::Unavailable`].
    pub async fn propose(
        &self,
        repo: &RepoRef,
        base: &CommitId,
        files: &Path,
        droppings: &[String],
        message: Message,
    ) -> Result<Option<Proposed>, WorkspaceError> {
        let (mirror, base, files, droppings) = (self.mirror(repo), base.clone(), files.to_owned(), droppings.to_vec());
        blocking(move || proposal::propose(&mirror, &base, &files, &droppings, &message)).await
    }

    /// The tree of a commit, as git names it.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the mirror does not have it.
    pub async fn tree(&self, repo: &RepoRef, commit: &CommitId) -> Result<String, WorkspaceError> {
        let (mirror, commit) = (self.mirror(repo), commit.clone());
        blocking(move || mirror::tree(&mirror, &commit)).await
    }

    /// Makes sure that a commit of ours is in the mirror, from its pack if need be.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] for a pack that does not hold it.
    pub async fn unpack(&self, repo: &RepoRef, commit: &CommitId, pack: Vec<u8>) -> Result<(), WorkspaceError> {
        let (mirror, commit) = (self.mirror(repo), commit.clone());
        self.writers.write(mirror, move |mirror| mirror::unpack(mirror, &commit, &pack)).await
    }

    /// Makes or moves the branch on the remote side; finds it done where it points to the commit. A branch that points
    /// elsewhere than it is to be moved from is left alone.
    ///
    /// # Errors
    /// [`WorkspaceError::Rejected`] where the remote refuses or the branch is somebody else's.
    pub async fn push(&self, repo: &RepoRef, access: CloneAccess, update: &Update) -> Result<(), WorkspaceError> {
        let (mirror, update) = (self.mirror(repo), update.clone());
        let remote = self.relay.admit(access);
        blocking(move || mirror::push(&mirror, &remote, &update)).await
    }

    /// Pushes a commit under a hidden name, so that the forge has its objects, and says which other hidden names there are.
    ///
    /// # Errors
    /// [`WorkspaceError::Rejected`] where the remote refuses, [`WorkspaceError::Unavailable`].
    pub async fn hide(
        &self,
        repo: &RepoRef,
        access: CloneAccess,
        name: &str,
        commit: &CommitId,
    ) -> Result<Vec<String>, WorkspaceError> {
        let (mirror, name, commit) = (self.mirror(repo), name.to_owned(), commit.clone());
        let remote = self.relay.admit(access);
        blocking(move || mirror::hide(&mirror, &remote, HIDDEN, &name, &commit)).await
    }

    /// What a forge needs to know of a commit to make it again on a branch; none where it cannot be told that.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where the mirror does not have it.
    pub async fn draft(&self, repo: &RepoRef, update: &Update) -> Result<Option<Draft>, WorkspaceError> {
        let (mirror, update) = (self.mirror(repo), update.clone());
        blocking(move || draft::draft(&mirror, &update)).await
    }
}

/// The branch that a checkout is on.
///
/// # Errors
/// [`WorkspaceError::Rejected`] for a folder that is no repository, has no commit, or is on no branch.
pub fn current_branch(checkout: &Path) -> Result<String, WorkspaceError> {
    mirror::current_branch(checkout)
}

/// The files of a root folder, as the ecosystems want to see them.
#[derive(Clone, Debug, Default)]
pub struct RootFiles {
    names: Vec<String>,
    texts: HashMap<String, String>,
}

impl patchwright_domain::ecosystem::Files for RootFiles {
    fn read(&self, path: &str) -> Option<String> {
        self.texts.get(path).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.names.clone()
    }
}

/// What a look through a commit found.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The files of the wanted names, by their paths, with their bytes.
    pub files: Vec<(String, Vec<u8>)>,
    /// How many files have which extension, in lower case.
    pub extensions: BTreeMap<String, u32>,
}

/// Keeps other users of the machine from looking: they may pass to the sandboxes' trees, and mirrors are closed to them.
fn private(folder: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkspaceError> + Send + 'static,
) -> Result<T, WorkspaceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(unavailable("working on the repository", &error)),
    }
}

fn unavailable(what: &'static str, error: &dyn std::error::Error) -> WorkspaceError {
    WorkspaceError::Unavailable { what, reason: error.to_string() }
}
