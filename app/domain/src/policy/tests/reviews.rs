//! Reviews of our own pull requests.

use super::*;
use crate::event::Place;
use crate::sample::commit;

fn review(body: &str, wants_changes: bool) -> Event {
    event(EventKind::Written {
        issue: ISSUE,
        place: Place::Review(7),
        text: Text { title: None, body: Untrusted::new(body) },
        before: None,
        on_pull_request: true,
        via_app: None,
        wants_changes,
    })
}

fn of_pull(is_own: bool, triggers: Triggers) -> Facts {
    let pull = Some(PullHead { head: commit('b'), branch: Some("codex/12-x".into()), is_own, target: to_main() });
    Facts { policy: with(triggers), pull, ..facts() }
}

#[track_caller]
fn nothing_comes(event: &Event, facts: &Facts, of: &str) {
    let decision = decide(event, &deployment(), facts);
    assert!(matches!(&decision, Decision::Ignore { because, .. } if because.contains(of)), "{decision:?}");
}

#[test]
fn a_review_that_wants_changes_of_our_own_pull_request_is_a_fix_of_what_it_says() {
    for (body, request) in [("Nearly there.", Some("Nearly there.")), (" \n", None), ("@codex fix the name", Some("the name"))] {
        let decision = decide(&review(body, true), &deployment(), &of_pull(true, Triggers::default()));
        let Decision::Start { spec, .. } = decision else { panic!("a start, not {decision:?}") };
        let request = request.map(Untrusted::new);
        let branch = Some("codex/12-x".to_owned());
        let task = Task::WorkOnPull { pull_request: ISSUE, head: commit('b'), branch, is_own: true, request, mode: Mode::Fix };
        assert_eq!((&spec.task, spec.key.review()), (&task, Some(7)), "{body}");
    }
}

#[test]
fn a_review_calls_nobody_where_it_wants_nothing_or_is_not_of_ours_or_the_policy_says_so() {
    let ours = || of_pull(true, Triggers::default());
    nothing_comes(&review("Nearly there.", false), &ours(), "the text holds no command to @codex");
    let of_others = of_pull(false, Triggers::default());
    nothing_comes(&review("Nearly there.", true), &of_others, "a pull request that this App has not opened");
    let off = of_pull(true, Triggers { reviews: false, ..Triggers::default() });
    nothing_comes(&review("Nearly there.", true), &off, "`triggers.reviews` of the policy file is off");
    let elsewhere = Triggers { sources: [Source::Comment].into(), ..Triggers::default() };
    let told = "`triggers.sources` of the policy file does not name `review`, which is where this was asked: it names `comment`.";
    check_refused(&review("Nearly there.", true), &of_pull(true, elsewhere), told);
    let reader = Facts { role: Role::Read, ..ours() };
    nothing_comes(&review("Nearly there.", true), &reader, "has the role read here, and write is needed");
    // Bots review, and answer each other.
    let mut by_bot = review("Nearly there.", true);
    by_bot.actor.is_bot = true;
    nothing_comes(&by_bot, &ours(), "a bot wrote the text");
}

/// What has become of a pull request that was ours says who opened it, and not what its branch is called.
#[test]
fn only_a_fix_of_our_own_pull_request_goes_onto_its_branch() {
    let goes = |body: &'static str, is_own: bool| {
        let asked = comment(Comment { body, on_pull_request: true, ..FIX });
        match decide(&asked, &deployment(), &of_pull(is_own, Triggers::default())) {
            Decision::Start { spec, .. } => spec.task.goes_onto().map(|(head, branch)| (head.clone(), branch.to_owned())),
            other => panic!("a start, not {other:?}"),
        }
    };
    assert_eq!(goes("@codex fix this", true), Some((commit('b'), "codex/12-x".to_owned())));
    assert_eq!((goes("@codex fix this", false), goes("@codex ask why", true), goes("@codex review", true)), (None, None, None));
}
