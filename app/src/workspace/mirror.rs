//! The bare mirror of a repository: fetched, read, added to and pushed from by this process alone.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::Path;

use git2::{
    Cred, Direction, ErrorClass, FetchOptions, ObjectType, Oid, PushOptions, RemoteCallbacks, Repository, TreeWalkMode,
    TreeWalkResult,
};
use patchwright_domain::journal::CommitId;
use patchwright_domain::patch::FileState;

use super::edit::LINK;
use super::relay::Remote;
use super::{FileChange, RootFiles, Survey, Update, WorkspaceError, unavailable};

/// The largest file that is read to find out how a repository is tested, in bytes.
const ROOT_FILE_BYTES_MAX: usize = 256 * 1024;

/// How many files of wanted names a survey reads.
const SURVEY_FILES_MAX: usize = 100;
/// How many files and folders a survey looks at.
const SURVEY_ENTRIES_MAX: usize = 500_000;

/// How much of what a server says about a push is repeated, in bytes.
const SAID_BYTES_MAX: usize = 1_000;

pub(super) fn open(mirror: &Path) -> Result<Repository, WorkspaceError> {
    Repository::open_bare(mirror).map_err(|e| git("opening the mirror", &e))
}

pub(super) fn git(what: &'static str, error: &git2::Error) -> WorkspaceError {
    WorkspaceError::Unavailable { what, reason: error.message().to_owned() }
}

pub(super) fn oid(commit: &CommitId) -> Oid {
    Oid::from_str(commit.as_str()).expect("a commit id is forty hexadecimal digits")
}

pub(super) fn commit_id(oid: Oid) -> CommitId {
    CommitId::parse(&oid.to_string()).expect("git prints forty hexadecimal digits")
}

pub(super) fn open_or_make(mirror: &Path) -> Result<Repository, WorkspaceError> {
    if mirror.join("HEAD").exists() {
        return open(mirror);
    }
    Repository::init_bare(mirror).map_err(|e| git("making the mirror", &e))
}

fn callbacks(remote: &Remote) -> RemoteCallbacks<'_> {
    let mut callbacks = RemoteCallbacks::new();
    let mut n_asked = 0;
    callbacks.credentials(move |_url, _user, _allowed| {
        n_asked += 1;
        if n_asked > 2 {
            return Err(git2::Error::new(git2::ErrorCode::Auth, ErrorClass::Http, "the credentials were refused"));
        }
        let (user, password) = remote.credentials();
        Cred::userpass_plaintext(user, password)
    });
    callbacks
}

/// What the remote side answered, as a rejection where it was one.
fn remote_error(what: &'static str, remote: &Remote, error: &git2::Error) -> WorkspaceError {
    match remote.refusal() {
        Some(reason) => WorkspaceError::Rejected { what, reason },
        None if error.code() == git2::ErrorCode::Auth => {
            WorkspaceError::Rejected { what, reason: "the credentials were refused".into() }
        }
        None => git(what, error),
    }
}

/// Where the mirror keeps what it has fetched, whatever the branch is called: a branch `release` that gives way to
/// `release/1.x` must not be in its way.
const FETCHED: &str = "refs/patchwright/base";

/// The same for the branch that a pull request is to go to, and for what it proposes.
const FETCHED_TARGET: &str = "refs/patchwright/target";
const FETCHED_PULL: &str = "refs/patchwright/pull";

pub(super) fn fetch(mirror: &Path, remote: &Remote, branch: &str) -> Result<CommitId, WorkspaceError> {
    let [head] = fetch_all(mirror, remote, &[(format!("refs/heads/{branch}"), FETCHED)])?;
    let missing = || WorkspaceError::Rejected { what: WHAT_FETCHED, reason: format!("there is no branch `{branch}`") };
    head.ok_or_else(missing)
}

/// The last commit of a branch, and that of a pull request. It is the base repository that has both: what a fork proposes is
/// fetched from here, and no fork is ever asked.
pub(super) fn fetch_pull(
    mirror: &Path,
    remote: &Remote,
    branch: &str,
    number: u64,
) -> Result<(CommitId, CommitId), WorkspaceError> {
    let wanted = [(format!("refs/heads/{branch}"), FETCHED_TARGET), (format!("refs/pull/{number}/head"), FETCHED_PULL)];
    let [target, head] = fetch_all(mirror, remote, &wanted)?;
    let missing = |reason: String| WorkspaceError::Rejected { what: WHAT_FETCHED, reason };
    let target = target.ok_or_else(|| missing(format!("there is no branch `{branch}`")))?;
    Ok((target, head.ok_or_else(|| missing(format!("there is no pull request #{number}")))?))
}

const WHAT_FETCHED: &str = "fetching the repository";

/// Fetches these of the remote's refs, each to a place of its own, and says where they point.
fn fetch_all<const N: usize>(
    mirror: &Path,
    remote: &Remote,
    wanted: &[(String, &str); N],
) -> Result<[Option<CommitId>; N], WorkspaceError> {
    const WHAT: &str = WHAT_FETCHED;
    let repository = open_or_make(mirror)?;
    let mut connection = repository.remote_anonymous(remote.url()).map_err(|e| git(WHAT, &e))?;
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks(remote)).download_tags(git2::AutotagOption::None);
    let refspecs = wanted.each_ref().map(|(name, place)| format!("+{name}:{place}"));
    connection.fetch(&refspecs, Some(&mut options), None).map_err(|e| remote_error(WHAT, remote, &e))?;
    // What the remote says it has, and not what is here: a branch that is gone was fetched once.
    let heads = connection.list().map_err(|e| remote_error(WHAT, remote, &e))?;
    let at = |name: &str| heads.iter().find(|head| head.name() == name).map(|head| commit_id(head.oid()));
    Ok(wanted.each_ref().map(|(name, _)| at(name)))
}

pub(super) fn has(mirror: &Path, commit: &CommitId) -> bool {
    open(mirror).is_ok_and(|repository| repository.find_commit(oid(commit)).is_ok())
}

pub(super) fn read(mirror: &Path, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, WorkspaceError> {
    read_from(&open(mirror)?, commit, path)
}

/// A regular file's bytes.
pub(super) fn read_from(repository: &Repository, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, WorkspaceError> {
    let tree = repository.find_commit(oid(commit)).and_then(|commit| commit.tree()).map_err(|e| git("reading the base", &e))?;
    let Ok(entry) = tree.get_path(Path::new(path)) else { return Ok(None) };
    let is_regular = entry.kind() == Some(ObjectType::Blob) && entry.filemode() != LINK;
    if !is_regular {
        return Ok(None);
    }
    let blob = repository.find_blob(entry.id()).map_err(|e| git("reading the base", &e))?;
    Ok(Some(blob.content().to_vec()))
}

pub(super) fn states(mirror: &Path, commit: &CommitId, paths: Vec<String>) -> Result<Vec<FileChange>, WorkspaceError> {
    let repository = open(mirror)?;
    let tree = repository.find_commit(oid(commit)).and_then(|commit| commit.tree()).map_err(|e| git("reading a commit", &e))?;
    let state = |path: &str| {
        let Ok(entry) = tree.get_path(Path::new(path)) else { return Ok(None) };
        if entry.kind() != Some(ObjectType::Blob) {
            return Ok(None);
        }
        let blob = repository.find_blob(entry.id()).map_err(|e| git("reading a file", &e))?;
        let content = blob.content().to_vec();
        Ok(Some(match entry.filemode() {
            LINK => FileState::Symlink { target: content },
            mode => FileState::Regular { content, executable: mode & 0o111 != 0 },
        }))
    };
    paths.into_iter().map(|path| state(&path).map(|state| (path, state))).collect()
}

pub(super) fn tree(mirror: &Path, commit: &CommitId) -> Result<String, WorkspaceError> {
    let repository = open(mirror)?;
    let commit = repository.find_commit(oid(commit)).map_err(|e| git("reading a commit", &e))?;
    Ok(commit.tree_id().to_string())
}

pub(super) fn root_files(mirror: &Path, commit: &CommitId) -> Result<RootFiles, WorkspaceError> {
    let repository = open(mirror)?;
    let tree = repository.find_commit(oid(commit)).and_then(|commit| commit.tree()).map_err(|e| git("reading the base", &e))?;
    let mut files = RootFiles::default();
    for entry in &tree {
        let Ok(name) = entry.name() else { continue };
        files.names.push(name.to_owned());
        let is_regular = entry.kind() == Some(ObjectType::Blob) && entry.filemode() != LINK;
        let Some(blob) = is_regular.then(|| repository.find_blob(entry.id()).ok()).flatten() else { continue };
        if blob.size() <= ROOT_FILE_BYTES_MAX
            && let Ok(text) = std::str::from_utf8(blob.content())
        {
            files.texts.insert(name.to_owned(), text.to_owned());
        }
    }
    Ok(files)
}

pub(super) fn survey(mirror: &Path, commit: &CommitId, names: &[String]) -> Result<Survey, WorkspaceError> {
    let repository = open(mirror)?;
    let mut survey = Survey::default();
    each_file(&repository, commit, |directory, name, id| {
        if let Some((_, extension)) = name.rsplit_once('.') {
            *survey.extensions.entry(extension.to_ascii_lowercase()).or_default() += 1;
        }
        if survey.files.len() < SURVEY_FILES_MAX && names.iter().any(|wanted| wanted == name) {
            let blob = repository.find_blob(id).ok().filter(|blob| blob.size() <= ROOT_FILE_BYTES_MAX);
            survey.files.extend(blob.map(|blob| (format!("{directory}{name}"), blob.content().to_vec())));
        }
    })?;
    Ok(survey)
}

pub(super) fn paths(mirror: &Path, commit: &CommitId) -> Result<Vec<String>, WorkspaceError> {
    let mut paths = Vec::new();
    each_file(&open(mirror)?, commit, |directory, name, _| paths.push(format!("{directory}{name}")))?;
    Ok(paths)
}

/// What stands in a folder of a commit, beside folders.
pub(super) enum Entry {
    /// A regular file.
    File(Oid),
    /// A link; what it holds is where it leads.
    Link(Oid),
}

/// Shows a commit's regular files, each by its directory, which is empty or ends with a slash, and its name; as many as are
/// looked through.
pub(super) fn each_file(
    repository: &Repository,
    commit: &CommitId,
    mut look: impl FnMut(&str, &str, Oid),
) -> Result<(), WorkspaceError> {
    let mut look = |directory: &str, name: &str, entry: Entry| {
        if let Entry::File(id) = entry {
            look(directory, name, id);
        }
    };
    each_entry(repository, commit, &mut look).map(|_| ())
}

/// Shows a commit's files and links in the same way, and says whether those were all.
pub(super) fn each_entry(
    repository: &Repository,
    commit: &CommitId,
    mut look: impl FnMut(&str, &str, Entry),
) -> Result<bool, WorkspaceError> {
    let tree = repository.find_commit(oid(commit)).and_then(|commit| commit.tree()).map_err(|e| git("reading the base", &e))?;
    let mut n_seen = 0;
    let walked = tree.walk(TreeWalkMode::PreOrder, |directory, entry| {
        if n_seen >= SURVEY_ENTRIES_MAX {
            return TreeWalkResult::Abort;
        }
        n_seen += 1;
        if let (Some(ObjectType::Blob), Ok(name)) = (entry.kind(), entry.name()) {
            let id = entry.id();
            look(directory, name, if entry.filemode() == LINK { Entry::Link(id) } else { Entry::File(id) });
        }
        TreeWalkResult::Ok
    });
    match walked {
        Err(error) if n_seen < SURVEY_ENTRIES_MAX => Err(git("looking through the base", &error)),
        Ok(()) => Ok(true),
        Err(_) => Ok(false),
    }
}

pub(super) fn unpack(mirror: &Path, commit: &CommitId, pack: &[u8]) -> Result<(), WorkspaceError> {
    const WHAT: &str = "unpacking the proposal";
    let repository = open(mirror)?;
    if repository.find_commit(oid(commit)).is_ok() {
        return Ok(());
    }
    take_in(&repository, pack, WHAT)?;
    repository.find_commit(oid(commit)).map(|_| ()).map_err(|e| git(WHAT, &e))
}

/// Puts the objects of a pack into a repository.
pub(super) fn take_in(repository: &Repository, pack: &[u8], what: &'static str) -> Result<(), WorkspaceError> {
    let odb = repository.odb().map_err(|e| git(what, &e))?;
    let mut writer = odb.packwriter().map_err(|e| git(what, &e))?;
    writer.write_all(pack).map_err(|e| unavailable(what, &e))?;
    writer.commit().map_err(|e| git(what, &e))?;
    odb.refresh().map_err(|e| git(what, &e))
}

pub(super) fn push(mirror: &Path, remote: &Remote, update: &Update) -> Result<(), WorkspaceError> {
    const WHAT: &str = "pushing the branch";
    let Update { branch, from, commit } = update;
    if let Some(checkout) = remote.local_path() {
        return leave_in_checkout(mirror, checkout, branch, commit);
    }
    let repository = open(mirror)?;
    let mut connection = repository.remote_anonymous(remote.url()).map_err(|e| git(WHAT, &e))?;
    let name = format!("refs/heads/{branch}");
    let there = remote_heads(&mut connection, remote)?.into_iter().find(|(there, _)| *there == name);
    let there = there.map(|(_, there)| there);
    if there == Some(oid(commit)) {
        return Ok(());
    }
    if there != from.as_ref().map(oid) {
        let reason = match there {
            Some(there) => format!("the branch `{branch}` exists and points to another commit ({there})"),
            None => format!("the branch `{branch}` is gone"),
        };
        return Err(WorkspaceError::Rejected { what: WHAT, reason });
    }
    let expected = there.unwrap_or(Oid::ZERO_SHA1);
    push_to(&mut connection, remote, &format!("{commit}:{name}"), Some(expected), WHAT)
}

/// Gives the commit a name below `folder`, which ends with a slash, and says which others there are.
pub(super) fn hide(
    mirror: &Path,
    remote: &Remote,
    folder: &str,
    name: &str,
    commit: &CommitId,
) -> Result<Vec<String>, WorkspaceError> {
    const WHAT: &str = "pushing the commit under a hidden name";
    let repository = open(mirror)?;
    let mut connection = repository.remote_anonymous(remote.url()).map_err(|e| git(WHAT, &e))?;
    let heads = remote_heads(&mut connection, remote)?;
    let is_there = heads.iter().any(|(there, id)| there == name && *id == oid(commit));
    if !is_there {
        // Nobody else goes by it, so that it may be moved.
        push_to(&mut connection, remote, &format!("+{commit}:{name}"), None, WHAT)?;
    }
    Ok(heads.into_iter().map(|(there, _)| there).filter(|there| there.starts_with(folder) && there != name).collect())
}

/// Pushes one reference, where it points as expected, or anywhere. The remote side is told where it points as the push has seen it, and
/// refuses where that is not so any more.
fn push_to(
    connection: &mut git2::Remote<'_>,
    remote: &Remote,
    refspec: &str,
    expected: Option<Oid>,
    what: &'static str,
) -> Result<(), WorkspaceError> {
    let (refusal, said) = (RefCell::new(None), RefCell::new(Vec::new()));
    let mut callbacks = callbacks(remote);
    callbacks.push_negotiation(|updates| match updates.iter().find(|update| expected.is_some_and(|oid| oid != update.src())) {
        None => Ok(()),
        Some(moved) => {
            *refusal.borrow_mut() = Some(format!("it points to another commit by now ({})", moved.src()));
            Err(git2::Error::from_str("the branch was moved meanwhile"))
        }
    });
    callbacks.sideband_progress(|words| {
        let mut said = said.borrow_mut();
        let room = SAID_BYTES_MAX.saturating_sub(said.len()).min(words.len());
        said.extend_from_slice(&words[..room]);
        true
    });
    callbacks.push_update_reference(|_, status| {
        *refusal.borrow_mut() = status.map(str::to_owned);
        Ok(())
    });
    let mut options = PushOptions::new();
    options.remote_callbacks(callbacks);
    let pushed = connection.push(&[refspec], Some(&mut options));
    drop(options);
    match (pushed, refusal.into_inner()) {
        (_, Some(status)) => Err(WorkspaceError::Rejected { what, reason: with_words(status, &said.into_inner()) }),
        (Err(error), None) => Err(remote_error(what, remote, &error)),
        (Ok(()), None) => Ok(()),
    }
}

/// The status of a refused branch with what the server said about it, in a line.
fn with_words(status: String, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines = said.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>());
    std::iter::once(status).chain(lines).collect::<Vec<_>>().join("; ")
}

fn remote_heads(connection: &mut git2::Remote<'_>, remote: &Remote) -> Result<Vec<(String, Oid)>, WorkspaceError> {
    const WHAT: &str = "asking for the branches";
    let connected = connection.connect_auth(Direction::Push, Some(callbacks(remote)), None);
    let connected = connected.map_err(|e| remote_error(WHAT, remote, &e))?;
    let heads = connected.list().map_err(|e| remote_error(WHAT, remote, &e))?;
    Ok(heads.iter().map(|head| (head.name().to_owned(), head.oid())).collect())
}

/// libgit2 pushes to no repository with a work tree, so the checkout fetches from the mirror; its work tree, index and
/// current branch stay as they are.
fn leave_in_checkout(mirror: &Path, checkout: &Path, branch: &str, commit: &CommitId) -> Result<(), WorkspaceError> {
    const WHAT: &str = "leaving the branch in the checkout";
    let name = format!("refs/heads/{branch}");
    let hidden = format!("refs/patchwright/{commit}");
    let left = || -> Result<(), git2::Error> {
        let (mirror, checkout) = (Repository::open_bare(mirror)?, Repository::open(checkout)?);
        if checkout.find_reference(&name).ok().and_then(|there| there.target()) == Some(oid(commit)) {
            return Ok(());
        }
        mirror.reference(&hidden, oid(commit), true, "for a local checkout")?;
        let source = mirror.path().to_string_lossy().into_owned();
        let mut options = FetchOptions::new();
        options.download_tags(git2::AutotagOption::None).update_fetchhead(false);
        checkout.remote_anonymous(&source)?.fetch(&[format!("{hidden}:{name}")], Some(&mut options), None)?;
        Ok(())
    };
    left().map_err(|e| WorkspaceError::Rejected { what: WHAT, reason: e.message().to_owned() })
}

pub(super) fn current_branch(checkout: &Path) -> Result<String, WorkspaceError> {
    const WHAT: &str = "looking at the checkout";
    let rejected = |reason: String| WorkspaceError::Rejected { what: WHAT, reason };
    let repository = Repository::open(checkout).map_err(|e| rejected(e.message().to_owned()))?;
    let head = repository.head().map_err(|e| rejected(e.message().to_owned()))?;
    if !head.is_branch() {
        return Err(rejected("it is on no branch; check one out first".into()));
    }
    head.shorthand().map(str::to_owned).map_err(|e| rejected(e.message().to_owned()))
}
