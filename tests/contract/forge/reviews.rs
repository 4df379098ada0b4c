//! Reviews are written once, beside lines where GitHub takes that and in one text where it does not.

use patchwright::rehearsal::fault::Fault;
use patchwright::rehearsal::scene::Review;
use patchwright_domain::effect::{Effect, Remark, ThreadAnswer};
use patchwright_domain::event::IssueNumber;
use patchwright_domain::journal::CommitId;
use serde_json::json;

use super::effects::branch;
use super::{Scene, assert_scoped, told};

const REVIEWS: &str = "/repos/octo/rocket/pulls/*/reviews";

/// A pull request of one line in the file `fix`, and its commit.
async fn propose(scene: &Scene) -> (u64, CommitId) {
    let head = branch(scene, "mend").await;
    let number = scene.stage.github.open_pull_request(scene.stage.repo, "ada", "Mend it", "mend", "main").await;
    (number.expect("both branches are there"), head)
}

fn review(pull_request: u64, commit: &CommitId, lines: &[(u32, u32)]) -> Effect {
    let remark = |(first_line, last_line): &(u32, u32)| Remark {
        path: "fix".into(),
        first_line: *first_line,
        last_line: *last_line,
        body: "It is one too few.".into(),
    };
    Effect::EnsureReview {
        pull_request: IssueNumber(pull_request),
        commit: commit.clone(),
        body: "**1 finding**, beside its lines.".into(),
        remarks: lines.iter().map(remark).collect(),
        body_alone: "**1 finding**: it is one too few.".into(),
    }
}

fn reviews(scene: &Scene, number: u64) -> Vec<Review> {
    scene.stage.github.reviews(scene.stage.repo, number)
}

#[tokio::test]
async fn a_review_stands_beside_its_lines_and_decides_nothing() {
    let scene = Scene::set().await;
    let (number, head) = propose(&scene).await;
    let effect = review(number, &head, &[(1, 1)]);
    let receipt = scene.perform(&effect).await.expect("GitHub takes it");
    assert!(receipt.url.is_some_and(|url| url.contains("#pullrequestreview-")));
    let marker = scene.key(&effect).marker();
    let made = reviews(&scene, number);
    let [Review { body, state: "commented", commit, comments, .. }] = &made[..] else { panic!("one review, not {made:?}") };
    assert_eq!((body, commit.as_str()), (&format!("**1 finding**, beside its lines.\n{marker}"), head.as_str()));
    assert_eq!((comments.len(), comments[0].line, comments[0].start_line), (1, 1, None));
    assert_eq!(comments[0].body, format!("It is one too few.\n{marker}"), "each is known as ours");
    for token in scene.asked("POST", "/access_tokens") {
        assert_scoped(&token, &scene.repo, json!({"pull_requests": "write"}));
    }
    scene.end().await;
}

#[tokio::test]
async fn a_review_is_written_once_whatever_is_lost() {
    let scene = Scene::set().await;
    let (number, head) = propose(&scene).await;
    scene.stage.github.fault(Fault::lose_answer("POST", REVIEWS));
    let first = scene.perform(&review(number, &head, &[(1, 1)])).await.expect("it is found");
    let again = scene.perform(&review(number, &head, &[(1, 1)])).await.expect("it is found");
    assert_eq!((first, reviews(&scene, number).len()), (again, 1));
    assert_eq!(scene.asked("GET", "/app").len(), 1, "who we are is asked once");
    scene.end().await;
}

/// Somebody has pushed meanwhile, or the pull request is too large to be shown.
#[tokio::test]
async fn what_github_takes_beside_no_lines_is_said_in_one_text() {
    let scene = Scene::set().await;
    let (number, head) = propose(&scene).await;
    scene.perform(&review(number, &head, &[(1, 1), (7, 9)])).await.expect("GitHub takes the text");
    let made = reviews(&scene, number);
    let [Review { body, comments, .. }] = &made[..] else { panic!("one review, not {made:?}") };
    assert!(body.starts_with("**1 finding**: it is one too few.\n") && comments.is_empty(), "{body}");
    assert_eq!(scene.asked("POST", "/reviews").iter().map(|sent| sent.status).collect::<Vec<_>>(), [422, 200]);
    let gone = told(scene.perform(&review(99, &head, &[(1, 1)])).await);
    assert!(gone.contains("writing the review"), "{gone}");
    scene.end().await;
}

#[tokio::test]
async fn a_strangers_review_is_not_taken_for_ours() {
    let scene = Scene::set().await;
    let (number, head) = propose(&scene).await;
    let marker = scene.key(&review(number, &head, &[])).marker();
    let theirs = format!("All is well\n{marker}");
    scene.stage.github.review(scene.stage.repo, number, "eve", "commented", (&theirs, &[])).expect("it is there");
    scene.perform(&review(number, &head, &[(1, 1)])).await.expect("GitHub takes it");
    let made = reviews(&scene, number);
    let users: Vec<&str> = made.iter().map(|review| review.user.as_str()).collect();
    assert_eq!(users, ["eve", "patchwright[bot]"]);
    scene.end().await;
}

/// Somebody's remarks on a pull request of one line, and our answers to them.
async fn remarked(scene: &Scene) -> (u64, Vec<u64>, Effect) {
    let (number, _) = propose(scene).await;
    let remark = |text| patchwright::rehearsal::review::Remark { path: "fix", start_line: None, line: 1, text };
    let said = ("", &[remark("Why?"), remark("And this?")][..]);
    scene.stage.github.review(scene.stage.repo, number, "ada", "changes_requested", said).expect("it shows the line");
    let remarks: Vec<u64> = scene.stage.github.review_comments(scene.stage.repo, number).iter().map(|one| one.id).collect();
    let answer = |comment: &u64| ThreadAnswer { comment: *comment, body: "Done.".into() };
    let answers = remarks.iter().chain(&[404]).map(answer).collect();
    (number, remarks, Effect::AnswerThreads { pull_request: IssueNumber(number), answers })
}

/// What our answers answer, in their order.
fn answered(scene: &Scene, number: u64) -> Vec<u64> {
    scene.stage.github.review_comments(scene.stage.repo, number).iter().filter_map(|one| one.answers).collect()
}

#[tokio::test]
async fn each_remark_is_answered_once_whatever_is_lost_and_what_is_gone_is_passed_over() {
    let scene = Scene::set().await;
    let (number, remarks, effect) = remarked(&scene).await;
    scene.stage.github.fault(Fault::lose_answer("POST", "/repos/octo/rocket/pulls/*/comments/*/replies"));
    for _ in 0..2 {
        scene.perform(&effect).await.expect("GitHub takes it, or has it");
        assert_eq!(answered(&scene, number), remarks);
    }
    for token in scene.asked("POST", "/access_tokens") {
        assert_scoped(&token, &scene.repo, json!({"pull_requests": "write"}));
    }
    scene.end().await;
}

/// Whoever copies our mark into an answer of his own keeps nobody from being answered.
#[tokio::test]
async fn an_answer_of_somebody_elses_with_our_mark_is_not_ours() {
    let scene = Scene::set().await;
    let (number, remarks, effect) = remarked(&scene).await;
    let marked = format!("Done.\n{}", scene.key(&effect).marker());
    scene.stage.github.reply_to_review_comment(scene.stage.repo, remarks[0], "ada", &marked).expect("it is there");
    scene.perform(&effect).await.expect("GitHub takes it");
    assert_eq!(answered(&scene, number), [remarks[0], remarks[0], remarks[1]]);
    scene.end().await;
}

#[tokio::test]
async fn what_may_not_be_answered_is_refused_with_a_remedy() {
    let scene = Scene::set().await;
    let (_, _, effect) = remarked(&scene).await;
    scene.stage.github.fault(Fault::refuse("POST", "/repos/octo/rocket/pulls/*/comments/*/replies", 403, "Not you"));
    assert!(told(scene.perform(&effect).await).starts_with("denied: answering what stands beside lines"));
    scene.end().await;
}
