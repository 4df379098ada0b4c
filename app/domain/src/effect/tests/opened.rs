//! How pull requests are opened, and what is done about them behind that.

use super::*;
use crate::job::{Drafts, Opening};
use crate::journal::{Entry, EntryKind};

fn wanting(opening: Opening) -> JobSpec {
    JobSpec { opening, ..spec() }
}

/// Whether what came to this end is opened as a draft.
fn is_draft(spec: &JobSpec, outcome: Outcome, verdict: Verdict) -> bool {
    let effects = planned(spec, outcome, Some(verdict));
    let [_, Effect::EnsurePullRequest { draft, .. }, ..] = &effects[..] else { panic!("one is opened") };
    *draft
}

#[test]
fn what_is_proven_is_ready_for_review_where_the_policy_wants_that() {
    let ready = wanting(Opening { drafts: Drafts::Unproven, ..Opening::default() });
    assert!(!is_draft(&ready, Outcome::Proven, proven()) && is_draft(&spec(), Outcome::Proven, proven()));
    for outcome in [Outcome::Unproven, Outcome::TimedOut, Outcome::BudgetExhausted] {
        assert!(is_draft(&ready, outcome, unproven(Doubt::StillRed, 1)), "{outcome}");
    }
    assert!(is_draft(&ready, Outcome::TimedOut, proven()), "what was proven before the end is not how it ended");
}

#[test]
fn it_is_shown_to_people_only_once_it_is_there_and_before_anything_is_told() {
    let opening = Opening { labels: vec!["robot".into()], reviewers: vec!["ada".into()], ..Opening::default() };
    let effects = planned(&wanting(opening), Outcome::Proven, Some(proven()));
    assert_eq!(
        effects.iter().map(Effect::name).collect::<Vec<_>>(),
        ["branch", "pull-request", "introduction", "check", "progress"]
    );
    let Effect::PushBranch { branch: pushed, .. } = &effects[0] else { panic!("the branch is first") };
    let labels = vec!["robot".to_owned()];
    assert_eq!(
        effects[2],
        Effect::IntroducePull { branch: pushed.clone(), labels, reviewers: vec!["ada".into()], teams: Vec::new() }
    );
    let names: Vec<&str> = effects[2].names().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, [pushed.as_str(), "robot", "ada"], "none of them is a text");
    let team = wanting(Opening { teams: vec!["core".into()], ..Opening::default() });
    assert_eq!(planned(&team, Outcome::Unproven, Some(unproven(Doubt::StillRed, 1))).len(), 5);
    assert_eq!(planned(&team, Outcome::Unproven, None).len(), 1, "nothing is opened");
}

/// What the program before wrote had no choice.
#[test]
fn what_was_written_before_there_was_a_choice_is_a_draft_and_nothing_more() {
    let old = r#"{"effect":"ensure_pull_request","branch":"b","base":"main","title":"t","body":"x"}"#;
    let read: Effect = serde_json::from_str(old).expect("it is read");
    assert!(matches!(read, Effect::EnsurePullRequest { draft: true, .. }));
    assert_eq!(serde_json::to_string(&read).expect("it is written"), old);
    let spec = serde_json::to_string(&spec()).expect("it is written");
    assert!(!spec.contains("opening"), "{spec}");
    assert_eq!(serde_json::from_str::<JobSpec>(&spec).expect("it is read").opening, Opening::default());
    let wanted = Opening {
        drafts: Drafts::Unproven,
        labels: vec!["robot".into()],
        reviewers: vec!["ada".into()],
        teams: vec!["core".into()],
    };
    let stored = serde_json::to_string(&wanting(wanted.clone())).expect("it is written");
    assert_eq!(serde_json::from_str::<JobSpec>(&stored).expect("it is read").opening, wanted);
    let effects = planned(&wanting(wanted), Outcome::Proven, Some(proven()));
    let conclusion = sample::conclusion(Outcome::Proven);
    let kind = EntryKind::PublishPlanned { conclusion, effects, attestation: None };
    let (entry, text) = Entry::write(0, sample::at(0), crate::journal::Digest::of(b"x"), kind.clone());
    assert_eq!(Entry::read(0, entry.at, entry.previous, &text, entry.digest).expect("it holds together").kind, kind);
}
