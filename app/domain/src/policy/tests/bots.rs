//! Which bots are heard, and for how long.

use super::*;
use crate::sample::commit;

const BOT: u64 = 41;

/// A server whose operator lets repositories hear the bot, in a repository that does.
fn lets(in_policy: bool) -> (Deployment, Facts) {
    let bots = BTreeSet::from([BOT]);
    let policy = with(Triggers { bots: if in_policy { bots.clone() } else { BTreeSet::new() }, ..Triggers::default() });
    // GitHub says of no App's account what it may do.
    (Deployment { bots, ..deployment() }, Facts { policy, role: Role::None, ..facts() })
}

fn by_the_bot(event: Event) -> Event {
    Event { actor: Actor { id: BOT, is_bot: true, login: "renovate[bot]".into() }, ..event }
}

fn because(event: &Event, deployment: &Deployment, facts: &Facts) -> String {
    match decide(event, deployment, facts) {
        Decision::Ignore { because, .. } => because,
        other => panic!("nothing, not {other:?}"),
    }
}

#[test]
fn a_bot_is_heard_where_the_operator_and_the_repository_name_its_number() {
    let asks = by_the_bot(comment(FIX));
    let (deployment, facts) = lets(true);
    let Decision::Start { spec, .. } = decide(&asks, &deployment, &facts) else { panic!("a start") };
    assert_eq!((spec.role, spec.needed, spec.requested_by.is_bot), (Role::Write, Role::None, true));
    assert!(matches!(decide(&by_the_bot(labeled("codex")), &deployment, &facts), Decision::Start { .. }));

    let (deployment, unlisted) = lets(false);
    insta::assert_snapshot!(because(&asks, &deployment, &unlisted), @"renovate[bot] is a bot, and `triggers.bots` of the policy file does not name its number 41");
    check_seen_at_a_glance(&asks, "a bot wrote the text");
    let namesake = Event { actor: Actor { id: 42, ..asks.actor.clone() }, ..asks.clone() };
    assert_eq!(because(&namesake, &lets(true).0, &lets(true).1), "a bot wrote the text", "a name is anybody's");
}

#[test]
fn a_bot_may_do_what_somebody_may_who_can_push_and_is_told_nothing() {
    let (deployment, mut facts) = lets(true);
    facts.policy.triggers.minimum_role = Role::Maintain;
    let refused = because(&by_the_bot(comment(FIX)), &deployment, &facts);
    assert!(refused.ends_with("; a bot is told nothing"), "{refused}");
    let (deployment, facts) = lets(true);
    let status = by_the_bot(comment(Comment { body: "@codex status", ..FIX }));
    assert!(because(&status, &deployment, &facts).ends_with("; a bot is told nothing"));
    let busy = Facts { open_jobs: vec![key()], ..facts };
    let next = by_the_bot(event(EventKind::Written {
        issue: ISSUE,
        place: Place::Comment(346),
        text: Text { title: None, body: Untrusted::new("@codex fix this") },
        before: None,
        on_pull_request: false,
        via_app: None,
        wants_changes: false,
    }));
    assert!(because(&next, &deployment, &busy).ends_with("; a bot is told nothing"));
}

/// Programs that answer each other end by themselves.
#[test]
fn bots_ask_for_a_few_jobs_in_a_row_and_for_none_of_our_own_pull_requests() {
    let asks = by_the_bot(comment(FIX));
    let (deployment, facts) = lets(true);
    let after = |n_by_bots| Facts { n_by_bots, ..facts.clone() };
    assert!(matches!(decide(&asks, &deployment, &after(2)), Decision::Start { .. }));
    insta::assert_snapshot!(because(&asks, &deployment, &after(3)), @"bots have asked for the last 3 jobs here, so that a person has to ask for the next");
    let person = Facts { role: Role::Write, ..after(3) };
    assert!(matches!(decide(&comment(FIX), &deployment, &person), Decision::Start { .. }), "whoever is one is heard");

    let on_pull = by_the_bot(comment(Comment { on_pull_request: true, ..FIX }));
    let pull = |branch: &str| Facts {
        pull: Some(PullHead { head: commit('b'), branch: Some(branch.into()), is_own: false, target: to_main() }),
        ..facts.clone()
    };
    assert!(matches!(decide(&on_pull, &deployment, &pull("mend")), Decision::Start { .. }));
    insta::assert_snapshot!(because(&on_pull, &deployment, &pull("codex/12-sum-42832cb")), @"renovate[bot] is a bot, and the pull request is this App's own");
}

/// What nobody can read allows nobody anything.
#[test]
fn no_bot_is_heard_where_the_policy_cannot_be_read() {
    let (deployment, facts) = lets(false);
    let facts = Facts { unread: Some("in line 1, column 1".into()), ..facts };
    let because = because(&by_the_bot(comment(FIX)), &deployment, &facts);
    assert!(because.contains("does not name its number"), "{because}");
}
