//! What jobs spend of the limits that they share: never more than that, and no part of it forgotten.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use patchwright::store::ledger::{self, Limit, Limits, Quantity, Reserved, Scope, Spending};
use patchwright::store::{Lease, StoreError};
use patchwright_domain::event::{Actor, RepoRef};
use patchwright_domain::job::{JobKey, JobSpec};
use patchwright_domain::policy::Decision;

use super::{REPO, Shared, assert_lost, assert_unknown, at, claimed, completed, contract, delivery, id, note, spec};

contract! {
    what_is_reserved_counts_until_it_is_settled
    a_reservation_beyond_a_limit_is_forbidden
    cost_is_limited_like_tokens
    a_scope_has_its_own_limit
    a_reservation_is_taken_off_all_scopes_or_off_none
    a_new_day_begins_with_nothing_spent
    what_is_settled_belongs_to_the_day_of_its_reservation
    more_than_was_reserved_is_recorded_as_it_was
    what_a_dead_worker_reserved_stays_counted
    what_was_not_settled_before_the_next_reservation_stays_counted
    a_zombie_reserves_and_settles_nothing
    without_a_reservation_there_is_nothing_to_settle
    amounts_beyond_all_bounds_are_as_much_as_is_counted
    many_at_once_never_overspend
    a_request_whose_caller_looks_away_holds_up_nobody
}

const USER: u64 = 9;
/// Seconds in a day.
const DAY: i64 = 24 * 60 * 60;

fn tokens(tokens: u64) -> Spending {
    Spending { tokens, cost_microusd: 0 }
}

fn limit(tokens: u64) -> Limit {
    Limit { tokens: Some(tokens), cost_microusd: None }
}

fn of_everything(tokens: u64) -> Limits {
    Limits { everything: limit(tokens), ..Limits::default() }
}

fn forbidden(scope: Scope, quantity: Quantity) -> Reserved {
    Reserved::Forbidden { scope, quantity }
}

/// A job of a repository and a user, queued and claimed.
async fn lease_of(store: &Shared, comment: u64, repo: u64, user: u64) -> Lease {
    let mut spec: JobSpec = spec(comment);
    spec.repo = RepoRef::new(repo, 1, "octo", &format!("rocket-{repo}"), "main").expect("the names are fine");
    spec.key = JobKey::of_comment(&spec.repo, patchwright_domain::event::IssueNumber(3), comment);
    spec.requested_by = Actor { id: user, login: format!("user-{user}"), is_bot: false };
    let name = format!("delivery-{repo}-{user}-{comment}");
    store.receive(&delivery(&name, 0)).await.expect("the store takes it");
    let start = Decision::Start { spec: Box::new(spec), because: "somebody asked".into() };
    store.decide(&id(&name), &start, at(0)).await.expect("the store takes it");
    claimed(store, "one", 1).await.lease
}

async fn reserve(store: &Shared, lease: &Lease, most: Spending, limits: Limits, now: Timestamp) -> Reserved {
    store.reserve(lease, most, &limits, now).await.expect("the lease holds")
}

async fn settle(store: &Shared, lease: &Lease, used: Spending) {
    store.settle(lease, used).await.expect("the lease holds");
}

fn today() -> Date {
    ledger::day(at(0))
}

async fn spent(store: &Shared, scope: Scope, day: Date) -> u64 {
    store.spending(scope, day).await.expect("the store answers").tokens
}

async fn what_is_reserved_counts_until_it_is_settled(store: Shared) {
    let lease = lease_of(&store, 1, REPO, USER).await;
    assert_eq!(reserve(&store, &lease, tokens(70), Limits::default(), at(2)).await, Reserved::Taken);
    for scope in [Scope::Repository(REPO), Scope::User(USER), Scope::Everything] {
        assert_eq!(spent(&store, scope, today()).await, 70);
    }
    let used = Spending { tokens: 20, cost_microusd: 3 };
    settle(&store, &lease, used).await;
    for scope in [Scope::Repository(REPO), Scope::User(USER), Scope::Everything] {
        assert_eq!(store.spending(scope, today()).await.expect("the store answers"), used);
    }
    for scope in [Scope::Repository(USER), Scope::User(REPO)] {
        assert_eq!(spent(&store, scope, today()).await, 0, "nobody else has spent it");
    }
}

async fn a_reservation_beyond_a_limit_is_forbidden(store: Shared) {
    let lease = lease_of(&store, 1, REPO, USER).await;
    let too_much = reserve(&store, &lease, tokens(101), of_everything(100), at(2)).await;
    assert_eq!(too_much, forbidden(Scope::Everything, Quantity::Tokens));
    assert_eq!(spent(&store, Scope::Everything, today()).await, 0);
    assert_eq!(reserve(&store, &lease, tokens(100), of_everything(100), at(2)).await, Reserved::Taken);
    settle(&store, &lease, tokens(40)).await;
    assert_eq!(reserve(&store, &lease, tokens(61), of_everything(100), at(2)).await, too_much);
    assert_eq!(reserve(&store, &lease, tokens(60), of_everything(100), at(2)).await, Reserved::Taken);
    assert_eq!(spent(&store, Scope::Everything, today()).await, 100);
}

async fn cost_is_limited_like_tokens(store: Shared) {
    let lease = lease_of(&store, 1, REPO, USER).await;
    let limits = Limits { user: Limit { tokens: Some(100), cost_microusd: Some(50) }, ..Limits::default() };
    let most = |tokens, cost_microusd| Spending { tokens, cost_microusd };
    assert_eq!(reserve(&store, &lease, most(1, 51), limits, at(2)).await, forbidden(Scope::User(USER), Quantity::Cost));
    assert_eq!(reserve(&store, &lease, most(101, 51), limits, at(2)).await, forbidden(Scope::User(USER), Quantity::Tokens));
    assert_eq!(reserve(&store, &lease, most(100, 50), limits, at(2)).await, Reserved::Taken);
}

async fn a_scope_has_its_own_limit(store: Shared) {
    let mine = lease_of(&store, 1, REPO, USER).await;
    let of_another_user = lease_of(&store, 2, REPO, 10).await;
    let of_another_repository = lease_of(&store, 3, 8, USER).await;
    let of_others = lease_of(&store, 4, 8, 10).await;
    let limits = Limits { repository: limit(100), user: limit(120), everything: limit(150) };
    assert_eq!(reserve(&store, &mine, tokens(80), limits, at(2)).await, Reserved::Taken);
    let repository = forbidden(Scope::Repository(REPO), Quantity::Tokens);
    assert_eq!(reserve(&store, &of_another_user, tokens(30), limits, at(2)).await, repository);
    let user = forbidden(Scope::User(USER), Quantity::Tokens);
    assert_eq!(reserve(&store, &of_another_repository, tokens(50), limits, at(2)).await, user);
    let everything = forbidden(Scope::Everything, Quantity::Tokens);
    assert_eq!(reserve(&store, &of_others, tokens(80), limits, at(2)).await, everything);
    assert_eq!(reserve(&store, &of_others, tokens(70), limits, at(2)).await, Reserved::Taken);
}

async fn a_reservation_is_taken_off_all_scopes_or_off_none(store: Shared) {
    let lease = lease_of(&store, 1, REPO, USER).await;
    let limits = Limits { repository: limit(100), user: limit(100), everything: limit(10) };
    let everything = forbidden(Scope::Everything, Quantity::Tokens);
    assert_eq!(reserve(&store, &lease, tokens(50), limits, at(2)).await, everything);
    for scope in [Scope::Repository(REPO), Scope::User(USER), Scope::Everything] {
        assert_eq!(spent(&store, scope, today()).await, 0);
    }
    assert_unknown(store.settle(&lease, tokens(1)).await);
}

async fn a_new_day_begins_with_nothing_spent(store: Shared) {
    let lease = lease_of(&store, 1, REPO, USER).await;
    let midnight: Timestamp = "2026-03-02T00:00:00Z".parse().expect("it is a time");
    let before = midnight - jiff::SignedDuration::from_millis(1);
    let limits = Limits { repository: limit(100), ..Limits::default() };
    assert_eq!(reserve(&store, &lease, tokens(100), limits, before).await, Reserved::Taken);
    settle(&store, &lease, tokens(100)).await;
    let repository = forbidden(Scope::Repository(REPO), Quantity::Tokens);
    assert_eq!(reserve(&store, &lease, tokens(1), limits, before).await, repository);
    assert_eq!(reserve(&store, &lease, tokens(100), limits, midnight).await, Reserved::Taken);
    assert_eq!(spent(&store, Scope::Repository(REPO), ledger::day(before)).await, 100);
    assert_eq!(spent(&store, Scope::Repository(REPO), ledger::day(midnight)).await, 100);
}

async fn what_is_settled_belongs_to_the_day_of_its_reservation(store: Shared) {
    let lease = lease_of(&store, 1, REPO, USER).await;
    let tomorrow = ledger::day(at(DAY));
    reserve(&store, &lease, tokens(70), Limits::default(), at(2)).await;
    settle(&store, &lease, tokens(20)).await;
    reserve(&store, &lease, tokens(9), Limits::default(), at(DAY)).await;
    assert_eq!(spent(&store, Scope::Everything, today()).await, 20);
    assert_eq!(spent(&store, Scope::Everything, tomorrow).await, 9);
    settle(&store, &lease, tokens(5)).await;
    assert_eq!(spent(&store, Scope::Everything, today()).await, 20);
    assert_eq!(spent(&store, Scope::Everything, tomorrow).await, 5);
}

async fn more_than_was_reserved_is_recorded_as_it_was(store: Shared) {
    let lease = lease_of(&store, 1, REPO, USER).await;
    reserve(&store, &lease, tokens(70), of_everything(100), at(2)).await;
    settle(&store, &lease, tokens(120)).await;
    assert_eq!(spent(&store, Scope::Everything, today()).await, 120);
    let everything = forbidden(Scope::Everything, Quantity::Tokens);
    assert_eq!(reserve(&store, &lease, tokens(0), of_everything(100), at(3)).await, everything);
}

async fn what_a_dead_worker_reserved_stays_counted(store: Shared) {
    let dead = lease_of(&store, 1, REPO, USER).await;
    reserve(&store, &dead, tokens(70), of_everything(100), at(2)).await;
    let alive = claimed(&store, "two", 61).await.lease;
    assert_eq!(spent(&store, Scope::Everything, today()).await, 70);
    let everything = forbidden(Scope::Everything, Quantity::Tokens);
    assert_eq!(reserve(&store, &alive, tokens(31), of_everything(100), at(62)).await, everything);
    assert_eq!(reserve(&store, &alive, tokens(30), of_everything(100), at(62)).await, Reserved::Taken);
    settle(&store, &alive, tokens(10)).await;
    assert_eq!(spent(&store, Scope::Everything, today()).await, 80);
    store.append(&alive, 0, completed(), at(63)).await.expect("the lease holds");
    assert_eq!(spent(&store, Scope::Everything, today()).await, 80, "the end of the job changes nothing");
}

/// A request that ran out of time is never settled; the next round of the same worker reserves anew.
async fn what_was_not_settled_before_the_next_reservation_stays_counted(store: Shared) {
    let lease = lease_of(&store, 1, REPO, USER).await;
    reserve(&store, &lease, tokens(70), of_everything(100), at(2)).await;
    reserve(&store, &lease, tokens(20), of_everything(100), at(3)).await;
    assert_eq!(spent(&store, Scope::Everything, today()).await, 90);
    settle(&store, &lease, tokens(5)).await;
    assert_eq!(spent(&store, Scope::Everything, today()).await, 75);
    assert_unknown(store.settle(&lease, tokens(5)).await);
}

async fn a_zombie_reserves_and_settles_nothing(store: Shared) {
    let zombie = lease_of(&store, 1, REPO, USER).await;
    reserve(&store, &zombie, tokens(70), Limits::default(), at(2)).await;
    let alive = claimed(&store, "two", 61).await.lease;
    assert_lost(store.reserve(&zombie, tokens(1), &Limits::default(), at(62)).await);
    assert_lost(store.settle(&zombie, tokens(1)).await);
    assert_eq!(spent(&store, Scope::Everything, today()).await, 70);
    store.append(&alive, 0, completed(), at(63)).await.expect("the lease holds");
    assert_lost(store.reserve(&alive, tokens(1), &Limits::default(), at(64)).await);
    assert_lost(store.settle(&alive, tokens(1)).await);
}

async fn without_a_reservation_there_is_nothing_to_settle(store: Shared) {
    let dead = lease_of(&store, 1, REPO, USER).await;
    assert_unknown(store.settle(&dead, tokens(1)).await);
    reserve(&store, &dead, tokens(70), Limits::default(), at(2)).await;
    let alive = claimed(&store, "two", 61).await.lease;
    assert_unknown(store.settle(&alive, tokens(1)).await);
    assert_eq!(spent(&store, Scope::Everything, today()).await, 70, "what another has reserved is not settled");
}

async fn amounts_beyond_all_bounds_are_as_much_as_is_counted(store: Shared) {
    let most = Spending { tokens: u64::MAX, cost_microusd: u64::MAX };
    for comment in 0..3 {
        let lease = lease_of(&store, comment, REPO, USER).await;
        assert_eq!(reserve(&store, &lease, most, Limits::default(), at(2)).await, Reserved::Taken);
        settle(&store, &lease, most).await;
        reserve(&store, &lease, most, Limits::default(), at(2)).await;
    }
    let sum = store.spending(Scope::Everything, today()).await.expect("the store answers");
    assert_eq!(sum, Spending { tokens: 1 << 53, cost_microusd: 1 << 53 });
    let lease = lease_of(&store, 3, REPO, USER).await;
    let everything = forbidden(Scope::Everything, Quantity::Tokens);
    assert_eq!(reserve(&store, &lease, tokens(1), of_everything(1_000_000), at(2)).await, everything);
}

/// What one of many did.
#[derive(Default)]
struct Tally {
    settled: Spending,
    n_forbidden: u32,
}

/// Numbers that look random and are the same in every run.
fn scramble(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Reserves and settles until a limit forbids it for the third time.
async fn ignores_limits(store: Shared, lease: Lease, limits: Limits, number: u64) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    for round in 0..200 {
        let random = scramble(number * 1_000 + round);
        let most = Spending { tokens: random % 400 + 1, cost_microusd: (random >> 20) % 300 };
        match store.reserve(&lease, most, &limits, at(2)).await? {
            Reserved::Taken => {}
            Reserved::Forbidden { .. } if tally.n_forbidden == 2 => break,
            Reserved::Forbidden { .. } => {
                tally.n_forbidden += 1;
                continue;
            }
        }
        tokio::task::yield_now().await;
        let part = (random >> 40) % 101;
        let used = Spending { tokens: most.tokens * part / 100, cost_microusd: most.cost_microusd * part / 100 };
        store.settle(&lease, used).await?;
        tally.settled.tokens += used.tokens;
        tally.settled.cost_microusd += used.cost_microusd;
    }
    Ok(tally)
}

async fn many_at_once_never_overspend(store: Shared) {
    let limits = Limits {
        repository: Limit { tokens: Some(20_000), cost_microusd: None },
        user: Limit { tokens: None, cost_microusd: Some(9_000) },
        everything: Limit { tokens: Some(50_000), cost_microusd: Some(40_000) },
    };
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50 {
        let lease = lease_of(&store, number, REPO + number % 4, USER + number % 5).await;
        tasks.spawn(ignores_limits(Arc::clone(&store), lease, limits, number));
    }
    let mut settled = Spending::default();
    let mut n_forbidden = 0;
    for tally in tasks.join_all().await {
        let tally = tally.expect("the lease holds");
        settled.tokens += tally.settled.tokens;
        settled.cost_microusd += tally.settled.cost_microusd;
        n_forbidden += tally.n_forbidden;
    }
    assert!(n_forbidden > 50, "the limits were met: {n_forbidden}");
    let all = store.spending(Scope::Everything, today()).await.expect("the store answers");
    assert_eq!(all, settled, "what is recorded is what was used");
    assert!(all.tokens <= 50_000 && all.cost_microusd <= 40_000, "{all:?}");
    assert!(all.tokens > 45_000 || all.cost_microusd > 35_000, "and the limits were used: {all:?}");
    for number in 0..5 {
        assert!(spent(&store, Scope::Repository(REPO + number), today()).await <= 20_000);
        let of_user = store.spending(Scope::User(USER + number), today()).await.expect("the store answers");
        assert!(of_user.cost_microusd <= 9_000, "{of_user:?}");
    }
}

/// How often a request is looked at before its caller looks away; none takes as many steps.
const LOOKS_MAX: u32 = 24;

/// A worker writes down a turn while its agent settles the request before: the same worker, the same job, and nobody looks at the
/// one request until the other is answered.
async fn a_request_whose_caller_looks_away_holds_up_nobody(store: Shared) {
    let lease = lease_of(&store, 1, REPO, USER).await;
    let (mut seen, limits) = (1, Limits::default());
    for n_looks in 1..=LOOKS_MAX {
        let mut reserving = store.reserve(&lease, tokens(1), &limits, at(2));
        let mut looks = n_looks;
        let looked_at = std::future::poll_fn(|context| match looks.checked_sub(1) {
            Some(left) => {
                looks = left;
                reserving.as_mut().poll(context).map(Some)
            }
            None => std::task::Poll::Ready(None),
        });
        let answered = looked_at.await;
        store.append(&lease, seen, note("a turn"), at(2)).await.expect("the job is not held");
        seen += 1;
        let reserved = match answered {
            Some(reserved) => reserved,
            None => reserving.await,
        };
        assert_eq!(reserved.expect("the lease holds"), Reserved::Taken);
        store.settle(&lease, tokens(1)).await.expect("it was reserved");
    }
}
