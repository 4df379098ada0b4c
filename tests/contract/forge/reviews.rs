//! Reviews are written once, beside lines where GitHub takes that and in one text where it does not.

use patchwright::rehearsal::fault::Fault;
use patchwright::rehearsal::scene::Review;
use patchwright_domain::effect::{Effect, Remark};
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
