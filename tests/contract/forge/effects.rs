//! Effects are done once, however often they are asked for and however many answers are lost.

use patchwright::forge::Forge as _;
use patchwright::rehearsal::fault::Fault;
use patchwright::rehearsal::review::Remark;
use patchwright_domain::effect::{Annotation, Button, CheckName, CheckUnderWay, Effect, Level, Subject};
use patchwright_domain::event::IssueNumber;
use patchwright_domain::journal::{CommitId, Digest, Outcome};
use serde_json::json;

use super::{Scene, assert_scoped, told};

const COMMENTS: &str = "/repos/octo/rocket/issues/*/comments";

fn pull_request(branch: &str) -> Effect {
    Effect::EnsurePullRequest {
        branch: branch.into(),
        base: "main".into(),
        title: "Fix it".into(),
        body: "Closes #1".into(),
        draft: true,
    }
}

pub(super) async fn branch(scene: &Scene, name: &str) -> CommitId {
    let files: [(&str, &[u8], bool); 1] = [("fix", name.as_bytes(), false)];
    let sha = scene.stage.github.push_commit(scene.stage.repo, name, "patchwright[bot]", &files, "Fix").await;
    CommitId::parse(&sha.expect("git takes it")).expect("forty digits")
}

#[tokio::test]
async fn a_comment_is_written_once_and_then_edited() {
    let scene = Scene::set().await;
    let first = scene.perform(&scene.comment("Begun.")).await.expect("GitHub takes it");
    let again = scene.perform(&scene.comment("Done.")).await.expect("GitHub takes it");
    assert_eq!(first, again);
    assert!(first.url.is_some_and(|url| url.contains("#issuecomment-")));
    let marker = scene.key(&scene.comment("")).marker();
    assert_eq!(scene.comments(), [format!("Done.\n{marker}")]);
    let tokens = scene.asked("POST", "/access_tokens");
    tokens.iter().for_each(|token| assert_scoped(token, &scene.repo, json!({"issues": "write"})));
    scene.end().await;
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_found_again() {
    let scene = Scene::set().await;
    scene.stage.github.fault(Fault::lose_answer("POST", COMMENTS));
    scene.perform(&scene.comment("Begun.")).await.expect("it is found");
    assert_eq!((scene.comments().len(), scene.asked("POST", "/comments").len()), (1, 1));
    scene.stage.github.fault(Fault::lose_answer("PATCH", "/repos/octo/rocket/issues/comments/*"));
    scene.perform(&scene.comment("Done.")).await.expect("an edit is harmless twice");
    assert_eq!(scene.comments().len(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_strangers_comment_is_not_taken_for_ours() {
    let scene = Scene::set().await;
    let marker = scene.key(&scene.comment("")).marker();
    let theirs = format!("I am the robot\n{marker}");
    let said = scene.stage.github.comment(scene.stage.repo, scene.issue.0, "eve", &theirs);
    said.expect("the issue is there");
    scene.perform(&scene.comment("Done.")).await.expect("GitHub takes it");
    assert_eq!(scene.comments(), [theirs, format!("Done.\n{marker}")]);
    scene.end().await;
}

/// Somebody deletes our comment while the work goes on: the next edit writes it anew.
#[tokio::test]
async fn a_comment_that_was_deleted_is_written_anew() {
    let scene = Scene::set().await;
    scene.perform(&scene.comment("Begun.")).await.expect("GitHub takes it");
    let comment = scene.stage.github.comments(scene.stage.repo, scene.issue.0)[0].id;
    scene.stage.github.delete_comment(scene.stage.repo, comment, "ada").expect("it is there");
    scene.perform(&scene.comment("Done.")).await.expect("GitHub takes it");
    assert_eq!(scene.comments().len(), 1);
    scene.end().await;
}

#[tokio::test]
async fn jobs_have_comments_of_their_own() {
    let scene = Scene::set().await;
    let mut other = scene.spec();
    other.key = patchwright_domain::job::JobKey::of_comment(&scene.repo, scene.issue, 2);
    let effect = scene.comment("Begun.");
    scene.perform(&effect).await.expect("GitHub takes it");
    let key = effect.key(&other.id());
    patchwright::forge::Forge::perform(&scene.forge, &scene.repo, &key, &effect).await.expect("GitHub takes it");
    assert_eq!(scene.comments().len(), 2);
    scene.end().await;
}

#[tokio::test]
async fn a_pull_request_is_opened_once_as_a_draft() {
    let scene = Scene::set().await;
    branch(&scene, "codex/1-fix").await;
    let first = scene.perform(&pull_request("codex/1-fix")).await.expect("GitHub takes it");
    let again = scene.perform(&pull_request("codex/1-fix")).await.expect("it is there");
    assert_eq!(first, again);
    assert!(first.url.is_some_and(|url| url.contains("/pull/")));
    let pulls = scene.stage.github.pull_requests(scene.stage.repo);
    assert_eq!(pulls.len(), 1);
    let (issue, pull) = &pulls[0];
    assert!(pull.draft);
    assert_eq!((pull.head.as_str(), pull.base.as_str(), issue.title.as_str()), ("codex/1-fix", "main", "Fix it"));
    let marker = scene.key(&pull_request("")).marker();
    assert_eq!(issue.body.as_deref(), Some(format!("Closes #1\n{marker}").as_str()));
    for token in scene.asked("POST", "/access_tokens") {
        assert_scoped(&token, &scene.repo, json!({"pull_requests": "write"}));
    }
    // Once it is closed, it is not opened again.
    scene.stage.github.close_issue(scene.stage.repo, issue.number, "ada").expect("it is there");
    scene.perform(&pull_request("codex/1-fix")).await.expect("it is there");
    assert_eq!(scene.stage.github.pull_requests(scene.stage.repo).len(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_pull_request_is_found_again() {
    let scene = Scene::set().await;
    branch(&scene, "codex/lost").await;
    scene.stage.github.fault(Fault::lose_answer("POST", "/repos/octo/rocket/pulls"));
    scene.perform(&pull_request("codex/lost")).await.expect("it is found");
    assert_eq!(scene.stage.github.pull_requests(scene.stage.repo).len(), 1);
    // The list is behind: it says that there is none, and only the refusal tells.
    branch(&scene, "codex/behind").await;
    scene.perform(&pull_request("codex/behind")).await.expect("GitHub takes it");
    let mut behind = Fault::refuse("GET", "/repos/octo/rocket/pulls", 200, "");
    behind.answer = patchwright::rehearsal::fault::FaultyAnswer::Response { status: 200, headers: Vec::new(), body: json!([]) };
    scene.stage.github.fault(behind);
    scene.perform(&pull_request("codex/behind")).await.expect("it is found after the refusal");
    assert_eq!(scene.stage.github.pull_requests(scene.stage.repo).len(), 2);
    assert_eq!(scene.asked("POST", "/pulls").last().map(|exchange| exchange.status), Some(422));
    scene.end().await;
}

#[tokio::test]
async fn a_pull_request_that_cannot_be_is_rejected() {
    let scene = Scene::set().await;
    let missing = told(scene.perform(&pull_request("codex/never-pushed")).await);
    assert!(missing.starts_with("rejected: opening the pull request: GitHub answered 422 Validation Failed"), "{missing}");
    let files: [(&str, &[u8], bool); 1] = [("README.md", b"# Rocket\n", false)];
    scene.stage.github.push_commit(scene.stage.repo, "main", "ada", &files, "Same").await.expect("git takes it");
    let nothing = told(scene.perform(&pull_request("main")).await);
    assert!(nothing.contains("No commits between main and main"), "{nothing}");
    scene.end().await;
}

#[tokio::test]
async fn a_check_run_is_created_and_then_updated() {
    let scene = Scene::set().await;
    let commit = branch(&scene, "codex/1-fix").await;
    let check = |outcome, title: &str| Effect::SetCheck {
        name: CheckName::Patch,
        commit: commit.clone(),
        outcome,
        title: title.into(),
        summary: "| red | green |".into(),
        text: Some("the statement".into()),
        annotations: Vec::new(),
        buttons: vec![Button::Mend],
    };
    scene.stage.github.report_check(scene.stage.repo, "codex/1-fix", "patchwright", "failure", "not ours").expect("it is there");
    scene.perform(&check(Outcome::Unproven, "Not proven")).await.expect("GitHub takes it");
    scene.stage.github.fault(Fault::lose_answer("PATCH", "/repos/octo/rocket/check-runs/*"));
    scene.perform(&check(Outcome::Proven, "Proven")).await.expect("GitHub takes it");
    let runs = scene.stage.github.check_runs(scene.stage.repo);
    let ours: Vec<_> = runs.iter().filter(|run| !run.external_id.is_empty()).collect();
    assert_eq!((runs.len(), ours.len()), (2, 1));
    let run = ours[0];
    let buttons = json!([{"label": "Mend it", "description": "A pull request on top that mends it", "identifier": "mend"}]);
    assert_eq!(json!(run.actions), buttons);
    let created = &scene.asked("POST", "/check-runs")[0].request;
    assert_eq!(created["actions"], buttons);
    assert_eq!((run.name.as_str(), run.head_sha.as_str()), ("patchwright", commit.as_str()));
    assert_eq!(run.external_id, scene.key(&check(Outcome::Proven, "")).as_str());
    assert_eq!((run.status.as_str(), run.conclusion.as_deref()), ("completed", Some("success")));
    assert_eq!((&run.output["title"], &run.output["text"]), (&"Proven".into(), &"the statement".into()));
    for token in scene.asked("POST", "/access_tokens") {
        assert_scoped(&token, &scene.repo, json!({"checks": "write"}));
    }
    scene.end().await;
}

/// Two jobs on one commit: GitHub lists only the later of two runs of one name, unless it is asked for all.
/// Its number, its status, what it says, and how many annotations it has.
fn shown(scene: &Scene) -> Vec<(u64, String, Option<String>, usize)> {
    let runs = scene.stage.github.check_runs(scene.stage.repo).into_iter();
    runs.map(|run| (run.id, run.status, run.conclusion, run.annotations.len())).collect()
}

#[tokio::test]
async fn a_check_run_that_is_under_way_is_the_one_that_is_completed() {
    let scene = Scene::set().await;
    let commit = branch(&scene, "codex/fix").await;
    let (title, summary) = ("Under way".to_owned(), "Soon.".to_owned());
    let begun = CheckUnderWay { name: CheckName::Proof, commit: commit.clone(), title, summary };
    let annotation = Annotation {
        path: "fix".into(),
        start_line: 1,
        end_line: 1,
        level: Level::Notice,
        title: "Look".into(),
        message: "Here.".into(),
    };
    let completed = Effect::SetCheck {
        name: CheckName::Proof,
        commit,
        outcome: Outcome::Proven,
        title: "Proven".into(),
        summary: "It holds.".into(),
        text: None,
        annotations: vec![annotation],
        buttons: Vec::new(),
    };
    let key = scene.key(&completed);
    let begin = async || scene.forge.begin_check(&scene.repo, &key, &begun).await.expect("GitHub takes it");
    scene.stage.github.fault(Fault::lose_answer("POST", "/repos/octo/rocket/check-runs"));
    begin().await;
    begin().await;
    let id = shown(&scene)[0].0;
    assert_eq!(shown(&scene), [(id, "in_progress".into(), None, 0)]);
    scene.perform(&completed).await.expect("GitHub takes it");
    begin().await;
    assert_eq!(shown(&scene), [(id, "completed".into(), Some("success".into()), 1)], "what is over is not begun again");
    let tokens = scene.asked("POST", "/access_tokens");
    tokens.iter().for_each(|token| assert_scoped(token, &scene.repo, json!({"checks": "write"})));
    scene.end().await;
}

#[tokio::test]
async fn check_runs_of_two_jobs_stand_side_by_side() {
    let scene = Scene::set().await;
    let commit = branch(&scene, "codex/1-fix").await;
    let (title, summary) = ("Proven".into(), "ok".into());
    let effect = Effect::SetCheck {
        name: CheckName::Patch,
        commit,
        outcome: Outcome::Proven,
        title,
        summary,
        text: None,
        annotations: Vec::new(),
        buttons: Vec::new(),
    };
    let mut other = scene.spec();
    other.key = patchwright_domain::job::JobKey::of_comment(&scene.repo, scene.issue, 2);
    let other = effect.key(&other.id());
    for _ in 0..2 {
        scene.perform(&effect).await.expect("GitHub takes it");
        patchwright::forge::Forge::perform(&scene.forge, &scene.repo, &other, &effect).await.expect("GitHub takes it");
    }
    assert_eq!(scene.stage.github.check_runs(scene.stage.repo).len(), 2);
    scene.stage.github.fault(Fault::lose_answer("POST", "/repos/octo/rocket/check-runs"));
    scene.end().await;
}

#[tokio::test]
async fn every_outcome_has_a_conclusion_that_github_knows() {
    use Outcome::*;
    let scene = Scene::set().await;
    let commit = branch(&scene, "codex/1-fix").await;
    let outcomes = [
        Proven,
        Unproven,
        Answered,
        NoChange,
        NeedsInput,
        BudgetExhausted,
        TimedOut,
        EnvironmentFailed,
        BlockedByPolicy,
        Superseded,
        Cancelled,
        Failed,
    ];
    for outcome in outcomes {
        let (title, summary) = (outcome.to_string(), "x".to_owned());
        let check = Effect::SetCheck {
            name: CheckName::Patch,
            commit: commit.clone(),
            outcome,
            title,
            summary,
            text: None,
            annotations: Vec::new(),
            buttons: Vec::new(),
        };
        scene.perform(&check).await.expect("GitHub takes it");
    }
    assert_eq!(scene.stage.github.check_runs(scene.stage.repo).len(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_reaction_twice_is_one() {
    let scene = Scene::set().await;
    let comment =
        scene.stage.github.comment(scene.stage.repo, scene.issue.0, "ada", "@codex fix this").expect("the issue is there");
    let remark = remark(&scene).await;
    for subject in [Subject::Comment(comment), Subject::Issue(scene.issue), Subject::ReviewComment(remark.id)] {
        for _ in 0..2 {
            scene.perform(&Effect::React { subject }).await.expect("GitHub takes it");
        }
    }
    let of_comment = scene.stage.github.reactions(scene.stage.repo, comment);
    let of_issue = scene.stage.github.issue(scene.stage.repo, scene.issue.0).expect("the issue is there").reactions;
    let of_remark = scene.stage.github.review_comments(scene.stage.repo, remark.pull_request).remove(0).reactions;
    for reactions in [of_comment, of_issue, of_remark] {
        assert_eq!(reactions.iter().map(|reaction| reaction.content.as_str()).collect::<Vec<_>>(), ["eyes"]);
    }
    let tokens = scene.asked("POST", "/access_tokens");
    let (on_issues, beside_lines) = tokens.split_at(1);
    assert_scoped(&on_issues[0], &scene.repo, json!({"issues": "write"}));
    assert_scoped(&beside_lines[0], &scene.repo, json!({"pull_requests": "write"}));
    assert_eq!(tokens.len(), 2);
    scene.end().await;
}

/// What somebody has said beside a line of a pull request.
struct Said {
    pull_request: u64,
    id: u64,
}

async fn remark(scene: &Scene) -> Said {
    let (github, repo) = (&scene.stage.github, scene.stage.repo);
    github.push_commit(repo, "more", "ada", &[("more", b"more\n", false)], "More").await.expect("git takes it");
    let pull_request = github.open_pull_request(repo, "ada", "More", "more", "main").await.expect("the branches are there");
    let remarks = [Remark { path: "more", start_line: None, line: 1, text: "@codex prove" }];
    github.review(repo, pull_request, "ada", "commented", ("", &remarks)).expect("it shows the line");
    Said { pull_request, id: github.review_comments(repo, pull_request)[0].id }
}

#[tokio::test]
pub(super) async fn branches_are_not_pushed_here() {
    let scene = Scene::set().await;
    let commit = branch(&scene, "codex/1-fix").await;
    let push = Effect::PushBranch { branch: "codex/x".into(), commit, pack: Digest::of(b""), from: None };
    assert_eq!(told(scene.perform(&push).await), "rejected: pushing the branch: branches are pushed by git");
    let elsewhere = Effect::EnsureComment { issue: IssueNumber(99), body: "x".into() };
    assert!(told(scene.perform(&elsewhere).await).starts_with("denied: writing the comment: GitHub answered 404"));
    scene.end().await;
}
