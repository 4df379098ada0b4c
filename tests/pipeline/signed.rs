//! Commits that GitHub makes and signs: what was proven is what is on the branch, once, whatever fails in between.

use std::path::Path;

use git2::{FileMode, Repository};
use patchwright::attestation::check::{self, Signature};
use patchwright::attestation::repository::Presence;
use patchwright::model::scripted::{Script, Step};
use patchwright::rehearsal::fault::Fault;
use patchwright::workspace::Checkout;
use patchwright_domain::effect::Published;
use patchwright_domain::journal::Outcome;

use crate::support::github::git;
use crate::support::pipeline::{FIX, LEASE_SECONDS, MAINTAINER, SAMPLE, Setup, World};

const TREES: &str = "/repos/octo/rocket/git/trees";
const COMMITS: &str = "/repos/octo/rocket/git/commits";
const REFS: &str = "/repos/octo/rocket/git/refs";
const LOOKS: &str = "/repos/octo/rocket/git/ref/*";
const HIDDEN: &str = "/repos/octo/rocket/git/refs/patchwright/*";

/// Where GitHub signs what it can.
fn signing() -> Setup {
    Setup { signs_commits: true, ..Setup::default() }
}

/// What is on the only branch of ours, once all that speaks of it agrees: one branch, one pull request and one check run on its last
/// commit, whose files are those that were proven, and no hidden name.
async fn published(world: &World) -> Published {
    let (branches, hidden) = (world.own_branches(), hidden(world));
    assert!(branches.len() == 1 && hidden.is_empty(), "{branches:?} {hidden:?}");
    let head = world.github.branches(world.repo)[&branches[0]].clone();
    let run = world.run().await;
    let published = run.published().expect("the journal says what was published").clone();
    assert_eq!(published.commit.as_str(), head, "the journal names what is on the branch");
    let planned = &run.judged().expect("it was judged").proposal.commit;
    let tree = world.tools.workspaces.tree(&world.job().await.repo, planned).await.expect("it is there");
    assert_eq!(world.git(&["rev-parse", &format!("{head}^{{tree}}")]).await.trim(), tree, "the files are those that were proven");
    let base = &run.prepared().expect("it was prepared").base;
    assert_eq!(world.git(&["rev-parse", &format!("{head}^@")]).await.trim(), base.as_str(), "they are on their base");
    let is_signed = world.git(&["cat-file", "commit", &head]).await.contains("SIGNATURE");
    assert_eq!(published.is_verified, is_signed, "only what is signed is told to be verified");
    assert_eq!(published.commit != *planned, is_signed, "what is pushed stays what it is");
    let checks = world.github.check_runs(world.repo);
    assert_eq!(checks.iter().map(|check| check.head_sha.as_str()).collect::<Vec<_>>(), [head.as_str()]);
    let pulls = world.github.pull_requests(world.repo);
    let body = pulls[0].0.body.as_deref().unwrap_or_default();
    assert!(pulls.len() == 1 && body.contains(&format!("git checkout {head}\n")), "{body}");
    published
}

fn hidden(world: &World) -> Vec<String> {
    let all = world.github.references(world.repo).into_keys();
    all.filter(|name| !name.starts_with("refs/heads/") && !name.starts_with("refs/pull/")).collect()
}

#[tokio::test]
async fn a_pull_request_has_a_verified_commit_and_says_so() {
    signing()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let Published { is_verified, reason, .. } = published(world).await;
            assert_eq!((is_verified, reason), (true, None));
            let body = world.pull_request_body().await;
            insta::assert_snapshot!(body[body.find("### Commit").expect("it tells")..], @r"
            ### Commit

            `SIGNED` is **verified**, as GitHub shows it. GitHub made it of `HEAD`, which is what was tested and what an attestation names: the same files on the same base.

            <sub>Job JOB. A person reviews and merges this; nothing here merges itself.</sub>
            ");
            let branch = &world.own_branches()[0];
            insta::assert_snapshot!(world.commit_message(branch).await, @r"
            patchwright[bot] <5000000007+patchwright[bot]@users.noreply.github.com>
            The mean of a list is wrong

            For issue #1. Job JOB.
            ");
        })
        .await;
}

/// What an operator has who wants none of it.
#[tokio::test]
async fn a_commit_that_is_to_stay_as_it_was_proven_is_pushed_and_nothing_told() {
    Setup::default()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let run = world.run().await;
            let planned = &run.judged().expect("it was judged").proposal.commit;
            assert_eq!(world.github.branches(world.repo)[&world.own_branches()[0]], planned.as_str());
            assert_eq!((run.published(), world.pull_request_body().await.contains("### Commit")), (None, false));
            assert!(!world.writes().iter().any(|write| write.contains("/git/")), "{:?}", world.writes());
        })
        .await;
}

/// A base with everything that git's trees can hold, and a patch that touches every kind.
async fn mixed(signs_commits: bool) -> (String, Option<bool>) {
    let script = "
        chmod +x plain.sh; chmod -x mean.sh; printf 'a\\000b\\377' > new.bin; printf '\\000\\001' > old.bin
        ln -s mean.sh shortcut; ln -sf plain.sh link; rm gone.txt deep/er/only.txt; git mv moved.txt to/there.txt 2>/dev/null \\
            || { mkdir -p to; mv moved.txt to/there.txt; }
        : > empty.txt; rm turned; ln -s plain.sh turned; rm -r folder; echo file > folder; rm file; mkdir file; echo x > file/x";
    let files = [
        ("plain.sh", "echo\n", false),
        ("old.bin", "\0\x02", false),
        ("gone.txt", "gone\n", false),
        ("deep/er/only.txt", "only\n", false),
        ("moved.txt", "it goes elsewhere, and stays what it is\n", false),
        ("turned", "a file\n", false),
        ("folder/in", "in\n", false),
        ("file", "a file\n", false),
    ];
    let steps = [Step::ApplyPatch(FIX.into()), Step::Shell(script.into()), Step::Message("All of it.".into())];
    let setup = Setup { files: SAMPLE.iter().copied().chain(files).collect(), script: Script::of(steps), ..signing() };
    Setup { signs_commits, ..setup }
        .play(async |world| {
            add_to_base(&world.github.repository_path(world.repo).expect("it is there"));
            let more: [(&str, &[u8], bool); 1] = [("more.txt", b"more\n", false)];
            world.github.push_commit(world.repo, "main", MAINTAINER, &more, "More").await.expect("git takes it");
            world.fix_this().await;
            let is_verified = if signs_commits { Some(published(world).await.is_verified) } else { None };
            (world.tree(&world.own_branches()[0]).await, is_verified)
        })
        .await
}

/// A link and a submodule, which the rehearsal has no words for.
fn add_to_base(bare: &Path) {
    let add = || -> Result<(), git2::Error> {
        let repository = Repository::open_bare(bare)?;
        let base = repository.find_reference("refs/heads/main")?.peel_to_commit()?;
        let elsewhere = git2::Oid::from_str("0123456789012345678901234567890123456789")?;
        let mut edit = git2::build::TreeUpdateBuilder::new();
        edit.upsert("link", repository.blob(b"mean.sh")?, FileMode::Link).upsert("module", elsewhere, FileMode::Commit);
        let tree = repository.find_tree(edit.create_updated(&repository, &base.tree()?)?)?;
        let who = base.author();
        repository.commit(Some("refs/heads/main"), &who, &who, "Link", &tree, &[&base]).map(|_| ())
    };
    add().expect("git takes it");
}

#[tokio::test]
async fn every_kind_of_file_is_the_same_signed_or_pushed() {
    let (signed, is_verified) = mixed(true).await;
    assert_eq!(is_verified, Some(true));
    let (pushed, _) = mixed(false).await;
    assert_eq!(signed, pushed);
    let listed: Vec<&str> = signed.lines().map(|line| line.trim()).collect();
    let kinds: Vec<String> =
        listed.iter().map(|line| format!("{} {}", &line[..6], line.split('\t').nth(1).unwrap_or_default())).collect();
    insta::assert_snapshot!(kinds.join("\n"), @r"
    100644 .github/patchwright.yml
    100644 empty.txt
    100644 file/x
    100644 folder
    120000 link
    100644 mean.sh
    160000 module
    100644 more.txt
    100644 new.bin
    100644 old.bin
    100755 plain.sh
    120000 shortcut
    100644 tests/run.sh
    100644 tests/t_mean.sh
    100644 to/there.txt
    120000 turned
    ");
}

/// What keeps GitHub from it, and what is told then. The branch is there all the same.
async fn check_pushed(fault: Fault, reason: &str) {
    signing()
        .play(async |world| {
            world.github.fault(fault);
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let Published { is_verified, reason: told, .. } = published(world).await;
            assert!(!is_verified);
            assert_eq!(world.stable(&told.unwrap_or_default()).await, reason);
            let body = world.pull_request_body().await;
            assert!(body.contains("is **not verified**. GitHub has not signed it: "), "{body}");
        })
        .await;
}

#[tokio::test]
async fn a_commit_is_pushed_where_the_app_may_not_make_it() {
    let reason = "having GitHub sign the commit: GitHub answered 403 Resource not accessible by integration";
    check_pushed(Fault::refuse("POST", TREES, 403, "Resource not accessible by integration"), reason).await;
}

#[tokio::test]
async fn a_commit_is_pushed_where_github_cannot_make_its_tree() {
    let reason = "having GitHub sign the commit: GitHub answered 422 GitRPC::BadObjectState";
    check_pushed(Fault::refuse("POST", TREES, 422, "GitRPC::BadObjectState"), reason).await;
}

#[tokio::test]
async fn a_commit_is_pushed_where_github_has_no_such_operation() {
    let reason = "having GitHub sign the commit: GitHub answered 404 Not Found";
    check_pushed(Fault::refuse("POST", COMMITS, 404, "Not Found"), reason).await;
}

#[tokio::test]
async fn a_commit_is_pushed_where_github_fails_at_making_it() {
    let reason = "the forge is not available: GitHub answered 503 Try again";
    check_pushed(Fault::refuse("POST", COMMITS, 503, "Try again").times(4), reason).await;
}

#[tokio::test]
async fn a_commit_is_pushed_where_its_objects_may_have_no_hidden_name() {
    let reason = "pushing the commit under a hidden name: hook declined; no such names here; error: hook declined to update refs/patchwright/JOB";
    check_pushed(Fault::refuse_push("octo/rocket", "no such names here"), reason).await;
}

#[tokio::test]
async fn a_commit_is_pushed_where_its_branch_may_not_be_made_by_the_api() {
    let reason = "making the branch: GitHub answered 422 Repository rule violations found";
    check_pushed(Fault::refuse("POST", REFS, 422, "Repository rule violations found"), reason).await;
}

#[tokio::test]
async fn a_commit_is_pushed_where_its_branch_may_not_be_looked_at() {
    let reason = "looking at the branch: GitHub answered 403 Resource not accessible by integration";
    check_pushed(Fault::refuse("GET", LOOKS, 403, "Resource not accessible by integration"), reason).await;
}

#[tokio::test]
async fn a_commit_is_pushed_where_github_does_not_sign_it() {
    signing()
        .play(async |world| {
            world.github.leave_commits_unsigned();
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let told = published(world).await.reason;
            assert_eq!(told.as_deref(), Some("having GitHub sign the commit: GitHub says of its signature: unsigned"));
        })
        .await;
}

/// Everything that is sent to publish a branch, each lost once on its way there and once on its way back.
#[tokio::test]
async fn whatever_is_lost_the_branch_is_there_once() {
    let of_push = "/octo/rocket.git/git-receive-pack";
    let reads = "/repos/octo/rocket/git/commits/*";
    let places = [
        ("POST", of_push),
        ("POST", TREES),
        ("POST", COMMITS),
        ("POST", REFS),
        ("GET", LOOKS),
        ("GET", reads),
        ("DELETE", HIDDEN),
    ];
    for (method, path) in places {
        for fault in [Fault::lose_answer(method, path), Fault::disconnect(method, path)] {
            let told = format!("{fault:?}");
            signing()
                .play(async |world| {
                    world.comment(MAINTAINER, "@codex fix this");
                    world.github.fault(fault);
                    world.work().await;
                    world.github.heal();
                    world.clock.pass(60 * 60);
                    world.work().await;
                    assert_eq!(world.outcome().await, Outcome::Proven, "{told}");
                    published(world).await;
                })
                .await;
        }
    }
}

/// A branch is signed and there, and nobody can see it yet when the worker gives up.
async fn given_up_with_the_branch_made(world: &World) {
    world.comment(MAINTAINER, "@codex fix this");
    world.github.fault(Fault::lose_answer("POST", REFS));
    world.github.fault(Fault::refuse("GET", COMMITS_ONE, 503, "Try again").times(4));
    world.work().await;
    assert_eq!((world.run().await.outcome(), world.own_branches().len()), (None, 1));
    world.clock.pass(60 * 60 + LEASE_SECONDS);
}

/// It is found, and nothing is made anew.
#[tokio::test]
async fn a_branch_that_was_made_by_a_worker_that_is_gone_is_found() {
    signing()
        .play(async |world| {
            given_up_with_the_branch_made(world).await;
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            assert!(published(world).await.is_verified);
            let made = world.writes().iter().filter(|write| **write == format!("POST {COMMITS}")).count();
            assert_eq!(made, 1, "it is made once");
        })
        .await;
}

/// The operator has changed the configuration before the server was started again.
#[tokio::test]
async fn a_branch_that_was_signed_before_signing_was_turned_off_is_found() {
    signing()
        .play(async |world| {
            given_up_with_the_branch_made(world).await;
            world.worker_that_pushes().drain().await.expect("the store can be asked");
            assert_eq!(world.outcome().await, Outcome::Proven);
            let (branches, run) = (world.own_branches(), world.run().await);
            let told = run.published().expect("the journal says what is there");
            assert!(branches.len() == 1 && told.is_verified, "{branches:?} {told:?}");
            assert_eq!(world.github.branches(world.repo)[&branches[0]], told.commit.as_str());
        })
        .await;
}

const COMMITS_ONE: &str = "/repos/octo/rocket/git/commits/*";

/// Somebody makes a branch of that name between our look and our own.
#[tokio::test]
async fn a_branch_that_came_meanwhile_is_left_alone() {
    signing()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            let branch = patchwright_domain::effect::branch(&world.job().await, "The mean of a list is wrong");
            let files: [(&str, &[u8], bool); 1] = [("theirs", b"x", false)];
            let theirs = world.github.push_commit(world.repo, &branch, MAINTAINER, &files, "Mine").await.expect("git takes it");
            world.github.fault(Fault::refuse("GET", LOOKS, 404, "Not Found"));
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Failed);
            assert_eq!(world.github.branches(world.repo)[&branch], theirs);
            assert!(hidden(world).is_empty(), "{:?}", hidden(world));
            let told = world.last_words().await;
            assert!(told.contains("exists and points to another commit"), "{told}");
            assert!(world.writes().contains(&format!("POST {REFS}")), "it was tried");
        })
        .await;
}

/// What could not be taken away is taken away by the next one that publishes there; what a job at work needs is not.
#[tokio::test]
async fn a_hidden_name_that_was_left_is_swept() {
    signing()
        .play(async |world| {
            world.github.fault(Fault::refuse("DELETE", HIDDEN, 403, "Not now"));
            assert_eq!(world.fix_this().await, Outcome::Proven);
            assert_eq!(hidden(world), [format!("refs/patchwright/{}", world.job().await.id())]);
            let another = format!("refs/patchwright/{}", "0123456789abcdef");
            world.git(&["update-ref", &another, "refs/heads/main"]).await;
            let issue = world.open_issue("Once more");
            world.github.comment(world.repo, issue, MAINTAINER, "@codex fix this").expect("the issue is there");
            world.work().await;
            assert_eq!(hidden(world), [another], "what this server knows nothing of may be another one's");
        })
        .await;
}

/// Whoever fetches the branch cannot get the commit that the statement names, and has its files.
#[tokio::test]
async fn an_attestation_holds_for_the_branch_that_github_has_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    let attestor = crate::attestation::attestor(&folder.path().join("key.pem"));
    Setup { attestor: Some(attestor), ..signing() }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            published(world).await;
            let checks = world.github.check_runs(world.repo);
            let details = checks[0].output["text"].as_str().expect("it has details");
            let envelope = details.lines().find(|line| line.starts_with('{')).expect("it is there");
            let bare = world.github.repository_path(world.repo).expect("it is there");
            let clone = |name: &str, branch: &str| (folder.path().join(name), branch.to_owned());
            for (place, branch) in [clone("ours", &world.own_branches()[0]), clone("main", "main")] {
                let (from, to) = (format!("file://{}", bare.display()), place.display().to_string());
                let (done, said) = git(folder.path(), &["clone", "-q", "--single-branch", "-b", &branch, &from, &to]).await;
                assert!(done, "{said}");
                let key = world.tools.attestor.as_ref().expect("it signs").key.public();
                let checkout = Checkout::open(&place).expect("it is a checkout");
                let found = check::check(envelope.as_bytes(), Some(&key), Some(&checkout)).expect("it can be read");
                assert_eq!(found.signature, Signature::Holds);
                if branch == "main" {
                    assert_eq!(found.statement.expect_err("it has no such files").field, "subject[0].digest.gitCommit");
                } else {
                    assert!(found.statement.is_ok(), "{:?}", found.statement);
                    let head = world.github.branches(world.repo)[&branch].clone();
                    assert!(
                        matches!(&found.presence, Some(Presence::Remade(commit)) if commit.as_str() == head),
                        "{:?}",
                        found.presence
                    );
                }
            }
        })
        .await;
}

/// Files that no branch has, and files that came about on another base, are not what was proven.
#[tokio::test]
async fn files_on_no_branch_or_on_another_base_are_not_what_an_attestation_is_about() {
    signing()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let Published { commit, .. } = published(world).await;
            let base = world.run().await.prepared().expect("it was prepared").base.clone();
            let tree = world.git(&["rev-parse", &format!("{commit}^{{tree}}")]).await.trim().to_owned();
            let folder = tempfile::tempdir().expect("a folder");
            let from = format!("file://{}", world.github.repository_path(world.repo).expect("it is there").display());
            let run = async |arguments: &[&str]| {
                let (is_done, said) = git(folder.path(), arguments).await;
                assert!(is_done, "{said}");
                said.trim().to_owned()
            };
            run(&["clone", "-q", "--single-branch", "-b", "main", &from, "."]).await;
            let remade = || Checkout::open(folder.path()).expect("it is a checkout").remade(&base, &tree);
            run(&["fetch", "-q", &from, commit.as_str()]).await;
            assert_eq!(remade(), None, "it is on no branch");
            let later = run(&["commit-tree", "-p", base.as_str(), "-m", "Nothing", &format!("{base}^{{tree}}")]).await;
            let elsewhere = run(&["commit-tree", "-p", &later, "-m", "The same", &tree]).await;
            run(&["branch", "elsewhere", &elsewhere]).await;
            assert_eq!(remade(), None, "it is on another base");
            run(&["branch", "here", commit.as_str()]).await;
            assert_eq!(remade(), Some(commit));
        })
        .await;
}

#[tokio::test]
async fn explain_says_which_commit_is_on_the_branch() {
    signing()
        .play(async |world| {
            world.github.leave_commits_unsigned();
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let done = std::process::Command::new(env!("CARGO_BIN_EXE_patchwright"))
                .args(["explain", world.job().await.id().as_str()])
                .env("PATCHWRIGHT__STORE__URL", format!("sqlite:{}", world.folder.path().join("patchwright.db").display()))
                .current_dir(world.folder.path())
                .output()
                .expect("the program starts");
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            let head = published(world).await.commit;
            let wanted =
                format!("Its branch has commit {head}, which is not verified: having GitHub sign the commit: GitHub says");
            assert!(said.contains(&wanted), "{said}");
        })
        .await;
}
