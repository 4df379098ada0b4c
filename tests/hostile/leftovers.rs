//! What a command leaves so that it cannot be read, proposed or removed: after executor and tree are dropped nothing is
//! left, and nothing on the way there fails for good.

use std::fs;
use std::path::Path;

use git2::{Oid, Repository};
use patchwright::forge::CloneAccess;
use patchwright::sandbox::{Profile, Sandbox, Tree};
use patchwright::workspace::{Message, Proposed, Scratch, WorkspaceError, Workspaces};
use patchwright_domain::event::RepoRef;
use patchwright_domain::excerpt::search::Search;
use patchwright_domain::journal::CommitId;
use patchwright_domain::proof::Exit;
use tempfile::TempDir;

use super::ATTACKER;
use super::trial::command;

const TRAPS: &[(&str, &str)] = &[
    ("a folder that nobody may open", "mkdir -p locked/inner && touch locked/inner/file && chmod 000 locked/inner locked"),
    ("a folder that nobody may write", "mkdir -p shut/inner && touch shut/inner/file && chmod 555 shut/inner shut"),
    (
        "5000 folders in each other",
        r#"perl -e 'for (1 .. 5000) { mkdir "d" and chdir "d" or die "$_: $!" } open my $file, ">", "end" or die'"#,
    ),
    (
        "a path longer than paths may be",
        r#"perl -e 'my $name = "n" x 200; for (1 .. 40) { mkdir $name and chdir $name or die $! }'"#,
    ),
    (
        "names that are no text",
        r#"perl -e 'for my $name ("\xff\xfe", "a\nb", "\e[2J", "-rf", " ", "\xed\xa0\x80") { mkdir $name or die; open my $file, ">", "$name/\xc3\x28" or die }'"#,
    ),
    (
        "pipes and sockets",
        r#"mkfifo pipe && perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); bind($s, pack_sockaddr_un("socket")) or die $!'"#,
    ),
    ("links to themselves and out", "ln -s loop loop && ln -s / out && ln -s ../../../../etc up && mkdir in && ln -s .. in/back"),
    ("many files", r#"perl -e 'mkdir "many"; for (1 .. 3000) { open my $file, ">", "many/$_" or die $! }'"#),
    ("a file with holes", "perl -e 'open my $file, \">\", \"holes\" or die; truncate $file, 1 << 30 or die'"),
    (
        "a folder in the place of .git",
        "rm -rf .git && mkdir -p .git/objects && chmod 000 .git/objects && echo nonsense > .git/HEAD",
    ),
    ("a tree that is gone", "rm -rf .git ..?* .[!.]* *"),
];

/// Springs every trap in a scratch tree of its own.
pub(super) async fn check(sandbox: &dyn Sandbox) {
    check_but(sandbox, &[]).await;
}

/// As [`check`], where some traps cannot be laid; one that can is as wrong as any other that cannot.
pub(super) async fn check_but(sandbox: &dyn Sandbox, closed: &[&str]) {
    let desk = Desk::new().await;
    let mut wrong = Vec::new();
    for (name, script) in TRAPS {
        match (desk.spring(sandbox, script).await, closed.contains(name)) {
            (Ok(()), false) => {}
            (Ok(()), true) => wrong.push(format!("{name}: the trap was laid")),
            (Err(reason), true) if reason.starts_with("the trap was not laid") => {}
            (Err(reason), _) => wrong.push(format!("{name}: {reason}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A repository with one file, and workspaces that have fetched it.
pub(super) struct Desk {
    folder: TempDir,
    workspaces: Workspaces,
    repo: RepoRef,
    base: CommitId,
}

impl Desk {
    pub(super) async fn new() -> Self {
        let folder = TempDir::with_prefix("patchwright-desk-").expect("there is room");
        // The sandbox's user has to come to its trees.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
        let bare = folder.path().join("bare.git");
        commit(&Repository::init_bare(&bare).expect("the folder is fresh"));
        let owner = rustix::process::geteuid().is_root().then_some(ATTACKER);
        let workspaces = Workspaces::open(folder.path().join("workspaces"), owner).await.expect("the folder can be made");
        let repo = RepoRef::new(7, 1, "octo", "rocket", "main").expect("the names are fine");
        let access = CloneAccess { url: bare.display().to_string(), token: None };
        let base = workspaces.fetch(&repo, access).await.expect("the branch is there");
        Self { folder, workspaces, repo, base }
    }

    pub(super) async fn scratch(&self) -> Scratch {
        self.workspaces.scratch(&self.repo, &self.base).await.expect("the commit is in the mirror")
    }

    pub(super) async fn propose(&self, tree: &Path) -> Result<Option<Proposed>, WorkspaceError> {
        self.workspaces.propose(&self.repo, &self.base, tree, &[], message()).await
    }

    async fn spring(&self, sandbox: &dyn Sandbox, script: &str) -> Result<(), String> {
        let scratch = self.scratch().await;
        let tree = Tree { objects: Some(scratch.objects()), ..Tree::alone(scratch.path()) };
        let mut executor = sandbox.open(tree, Profile::Agent.into()).await.expect("the sandbox can be made");
        let output = executor.execute(&command(script)).await.expect("the sandbox stays up");
        if output.exit != Exit::Code(0) {
            return Err(format!("the trap was not laid: {}", String::from_utf8_lossy(&output.output)));
        }
        let search = Search::for_pattern("nowhere to be found");
        let searched = executor.search(&search).await.map_err(|error| format!("searching: {error:#}"))?;
        assert!(searched.hits.is_empty());
        let tree = executor.collect().await.map_err(|error| format!("collecting: {error:#}"))?;
        match self.propose(&tree).await {
            Ok(_) | Err(WorkspaceError::Refused(_)) => {}
            Err(other) => return Err(format!("proposing: {other:#}")),
        }
        drop(executor);
        drop(scratch);
        self.is_clean()
    }

    fn is_clean(&self) -> Result<(), String> {
        let scratch = self.folder.path().join("workspaces/scratch");
        let left: Vec<_> = fs::read_dir(&scratch).expect("it is there").flatten().map(|entry| entry.path()).collect();
        // What is left here is not to be left after the test as well.
        left.iter().for_each(|tree| remove(tree));
        if left.is_empty() { Ok(()) } else { Err("the tree was not removed".to_owned()) }
    }
}

fn remove(tree: &Path) {
    for arguments in [["chmod", "-R", "u+rwx"].as_slice(), &["rm", "-rf"]] {
        let _ = std::process::Command::new(arguments[0]).args(&arguments[1..]).arg(tree).status();
    }
}

fn commit(repository: &Repository) -> Oid {
    let author = git2::Signature::new("Ada", "ada@example.com", &git2::Time::new(1_750_000_000, 0)).expect("the name is fine");
    let blob = repository.blob(b"a\n").expect("a blob can be written");
    let mut builder = repository.treebuilder(None).expect("an empty tree can be begun");
    builder.insert("a", blob, 0o100_644).expect("the name is fine");
    let tree = builder.write().and_then(|tree| repository.find_tree(tree)).expect("a tree can be written");
    repository.commit(Some("refs/heads/main"), &author, &author, "Begin", &tree, &[]).expect("a commit can be written")
}

fn message() -> Message {
    let at = jiff::Timestamp::from_second(1_760_000_000).expect("the time is in range");
    Message { text: "Fix it\n".into(), author: "patchwright[bot]".into(), email: "bot@example.com".into(), at }
}
