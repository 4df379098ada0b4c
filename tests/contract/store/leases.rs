//! One worker at a time, and nothing from a worker whose lease was taken over.

use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::job::{JobSpec, Reply, Task};
use patchwright_domain::policy::Decision;

use std::num::NonZeroU32;

use patchwright::store::{Claim, Lanes};

use super::{
    LEASE, Shared, assert_lost, at, begin, begin_of, claim, claimed, completed, contract, delivery, id, note, spec, spec_of, told,
};

contract! {
    a_job_has_one_worker_at_a_time
    a_released_job_is_handed_back
    a_released_job_waits_its_time
    a_dead_workers_job_is_taken_over
    a_zombie_writes_nothing
    a_renewed_lease_holds_longer
    a_renewal_that_arrives_late_shortens_no_lease
    a_lease_that_ran_out_holds_until_it_is_taken
    many_workers_never_share_a_job
    jobs_of_one_issue_are_worked_on_one_after_the_other
    many_workers_never_share_an_issue
    a_repository_and_an_installation_have_no_more_workers_than_their_lanes
    replies_take_no_place_in_a_lane_and_go_before_what_waits
    a_cancelled_job_that_was_put_off_ends_at_once
    a_job_that_lost_its_worker_keeps_its_lane
    jobs_that_lost_their_workers_are_taken_again_one_by_one_where_a_lane_was_lowered
    many_workers_never_overfill_a_lane
}

async fn a_job_has_one_worker_at_a_time(store: Shared) {
    begin(&store, 1, 0).await;
    let _claim = claimed(&store, "one", 1).await;
    assert!(claim(&store, "two", 1).await.is_none());
    assert!(claim(&store, "two", 60).await.is_none());
}

async fn a_released_job_is_handed_back(store: Shared) {
    begin(&store, 1, 0).await;
    let first = claimed(&store, "one", 1).await;
    store.release(first.lease, at(2)).await.expect("the lease holds");
    let second = claimed(&store, "two", 2).await;
    assert_eq!(told(&second.journal), "one claims, two claims");
}

async fn a_released_job_waits_its_time(store: Shared) {
    begin(&store, 1, 0).await;
    begin(&store, 2, 5).await;
    let first = claimed(&store, "one", 6).await;
    store.release(first.lease, at(100)).await.expect("the lease holds");
    assert_eq!(claimed(&store, "two", 6).await.spec, spec(2));
    assert!(claim(&store, "three", 50).await.is_none());
    let again = claim(&store, "three", 64).await;
    assert!(again.is_none(), "the second job's lease holds until 66");
    assert_eq!(claimed(&store, "three", 100).await.spec, spec(2), "the one that waits longest");
    assert_eq!(claimed(&store, "four", 100).await.spec, spec(1));
}

async fn a_dead_workers_job_is_taken_over(store: Shared) {
    begin(&store, 1, 0).await;
    let _dead = claimed(&store, "one", 1).await;
    let second = claimed(&store, "two", 61).await;
    assert_eq!(told(&second.journal), "one claims, two claims after a death");
    store.release(second.lease, at(61)).await.expect("the lease holds");
    let third = claimed(&store, "three", 62).await;
    assert_eq!(told(&third.journal), "one claims, two claims after a death, three claims");
}

async fn a_zombie_writes_nothing(store: Shared) {
    begin(&store, 1, 0).await;
    let zombie = claimed(&store, "one", 1).await;
    let second = claimed(&store, "two", 61).await;
    assert_lost(store.append(&zombie.lease, 1, note("from the grave"), at(62)).await);
    assert_lost(store.renew(&zombie.lease, at(62), LEASE).await);
    assert_lost(store.release(zombie.lease, at(62)).await);
    assert!(claim(&store, "three", 63).await.is_none(), "the zombie did not free the job");
    let news = store.append(&second.lease, 0, note("alive"), at(64)).await.expect("the lease holds");
    assert_eq!(told(&news), "one claims, two claims after a death, alive");
    // The same worker's name does not help: the lease counts.
    let old = second.lease;
    let _again = claimed(&store, "two", 500).await;
    assert_lost(store.append(&old, 0, note("from the grave"), at(501)).await);
}

async fn a_renewed_lease_holds_longer(store: Shared) {
    begin(&store, 1, 0).await;
    let first = claimed(&store, "one", 1).await;
    store.renew(&first.lease, at(50), LEASE).await.expect("the lease holds");
    assert!(claim(&store, "two", 61).await.is_none());
    assert!(claim(&store, "two", 109).await.is_none());
    assert!(claim(&store, "two", 110).await.is_some());
}

/// What a worker has given up waiting for may arrive behind what it has asked since.
async fn a_renewal_that_arrives_late_shortens_no_lease(store: Shared) {
    begin(&store, 1, 0).await;
    let first = claimed(&store, "one", 1).await;
    store.renew(&first.lease, at(50), LEASE).await.expect("the lease holds");
    store.renew(&first.lease, at(20), LEASE).await.expect("the lease holds");
    assert!(claim(&store, "two", 100).await.is_none());
    claimed(&store, "two", 110).await;
}

/// A worker that was slow and not dead goes on where nobody took its place.
async fn a_lease_that_ran_out_holds_until_it_is_taken(store: Shared) {
    begin(&store, 1, 0).await;
    let slow = claimed(&store, "one", 1).await;
    store.append(&slow.lease, 1, note("late"), at(500)).await.expect("nobody else has the job");
    store.renew(&slow.lease, at(501), LEASE).await.expect("nobody else has the job");
    assert!(claim(&store, "two", 502).await.is_none());
}

async fn many_workers_never_share_a_job(store: Shared) {
    for comment in 0..5 {
        begin(&store, comment, 0).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..20 {
        let store = std::sync::Arc::clone(&store);
        tasks.spawn(async move { claim(&store, &format!("worker-{worker}"), 1).await });
    }
    let claims = tasks.join_all().await.into_iter().flatten();
    let mut jobs: Vec<_> = claims.map(|claim| claim.lease.job().clone()).collect();
    jobs.sort();
    jobs.dedup();
    assert_eq!(jobs.len(), 5);
}

const ISSUE: IssueNumber = IssueNumber(3);

/// Two servers may each start a job of one issue at the same moment; their work would get in each other's way.
async fn jobs_of_one_issue_are_worked_on_one_after_the_other(store: Shared) {
    begin_of(&store, ISSUE, 1, 0).await;
    begin_of(&store, ISSUE, 2, 1).await;
    begin(&store, 3, 2).await;
    let first = claimed(&store, "one", 3).await;
    assert_eq!(first.spec, spec_of(ISSUE, 1));
    assert_eq!(claimed(&store, "two", 3).await.spec, spec(3), "another issue's job is passed to");
    assert!(claim(&store, "three", 3).await.is_none());
    // The first one's worker dies: the job that was begun comes first, and alone.
    let second = claimed(&store, "two", 64).await;
    assert_eq!(second.spec, spec_of(ISSUE, 1));
    assert_eq!(claimed(&store, "three", 64).await.spec, spec(3), "its worker died, too");
    assert!(claim(&store, "four", 64).await.is_none());
    store.append(&second.lease, 0, completed(), at(65)).await.expect("the lease holds");
    let third = claimed(&store, "three", 66).await;
    assert_eq!(third.spec, spec_of(ISSUE, 2));
    // One that is handed back for an hour keeps nobody waiting.
    begin_of(&store, ISSUE, 4, 67).await;
    store.release(third.lease, at(3_600)).await.expect("the lease holds");
    assert_eq!(claimed(&store, "four", 68).await.spec, spec_of(ISSUE, 4));
}

async fn many_workers_never_share_an_issue(store: Shared) {
    for comment in 0..12 {
        begin_of(&store, IssueNumber(comment % 3), comment, 0).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..20 {
        let store = std::sync::Arc::clone(&store);
        tasks.spawn(async move { claim(&store, &format!("worker-{worker}"), 1).await });
    }
    let claims = tasks.join_all().await.into_iter().flatten();
    let mut issues: Vec<_> = claims.map(|claim| claim.spec.task.issue()).collect();
    issues.sort();
    assert_eq!(issues, [0, 1, 2].map(|issue| Some(IssueNumber(issue))));
}

fn lane(n_jobs: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(n_jobs)
}

/// A job of a repository, by what is asked for in a comment of its own on an issue of its own.
async fn begin_in(store: &Shared, repo: u64, installation: u64, comment: u64) {
    let name = format!("delivery-{comment}");
    store.receive(&delivery(&name, 0)).await.expect("the store takes it");
    let mut spec = spec(comment);
    spec.repo = RepoRef::new(repo, installation, "octo", &format!("rocket-{repo}"), "main").expect("the names are fine");
    let start = Decision::Start { spec: Box::new(spec), because: "ada asked".into() };
    store.decide(&id(&name), &start, at(i64::try_from(comment).expect("it is small"))).await.expect("the store takes it");
}

async fn claim_in(store: &Shared, lanes: Lanes, seconds: i64) -> Option<Claim> {
    store.claim("one", at(seconds), LEASE, lanes).await.expect("the store answers")
}

async fn a_repository_and_an_installation_have_no_more_workers_than_their_lanes(store: Shared) {
    // Repositories 1 and 2 belong to one installation, 3 to another one.
    for (comment, (repo, installation)) in (1..).zip([(1, 1), (1, 1), (1, 1), (2, 1), (2, 1), (3, 2)]) {
        begin_in(&store, repo, installation, comment).await;
    }
    let lanes = Lanes { repository: lane(2), installation: lane(3) };
    let mut claims = Vec::new();
    while let Some(claim) = claim_in(&store, lanes, 10).await {
        claims.push(claim);
    }
    let taken: Vec<u64> = claims.iter().map(|claim| claim.spec.repo.id).collect();
    assert_eq!(taken, [1, 1, 2, 3], "the oldest first, and who has no place is passed over");
    let first = claims.remove(0);
    store.append(&first.lease, 1, completed(), at(11)).await.expect("the lease holds");
    assert_eq!(claim_in(&store, lanes, 12).await.expect("there is a place").spec.repo.id, 1);
    assert!(claim_in(&store, lanes, 12).await.is_none(), "the installation has three again");
    let others = Lanes { repository: lane(3), installation: None };
    assert_eq!(claim_in(&store, others, 12).await.expect("there is a place").spec.repo.id, 2);
}

async fn replies_take_no_place_in_a_lane_and_go_before_what_waits(store: Shared) {
    for comment in 1..=2 {
        begin_in(&store, 1, 1, comment).await;
    }
    let lanes = Lanes { repository: lane(1), installation: lane(1) };
    let work = claim_in(&store, lanes, 3).await.expect("a job is free");
    let mut reply = work.spec.clone();
    reply.key = reply.key.of_reply("status");
    reply.task = Task::Reply { issue: IssueNumber(3), reply: Reply::Status };
    for (name, reply) in [("first", reply.clone()), ("second", JobSpec { key: reply.key.of_reply("again"), ..reply })] {
        store.receive(&delivery(name, 4)).await.expect("the store takes it");
        let start = Decision::Start { spec: Box::new(reply), because: "ada asked".into() };
        store.decide(&id(name), &start, at(4)).await.expect("the store takes it");
        let claim = claim_in(&store, lanes, 5).await.expect("it waits for no place");
        assert!(matches!(claim.spec.task, Task::Reply { .. }));
    }
    store.append(&work.lease, 1, completed(), at(6)).await.expect("the lease holds");
    assert!(claim_in(&store, lanes, 7).await.is_some(), "the replies take no place");
}

async fn a_cancelled_job_that_was_put_off_ends_at_once(store: Shared) {
    begin(&store, 1, 0).await;
    let claim = claimed(&store, "one", 1).await;
    store.release(claim.lease, at(3_600)).await.expect("the lease holds");
    assert!(super::claim(&store, "two", 2).await.is_none(), "it is put off");
    store.request_cancel(&spec(1).key, "ada asked to stop", at(3)).await.expect("the job is there");
    assert!(super::claim(&store, "two", 4).await.is_some(), "nobody hears of it for an hour");
}

async fn a_job_that_lost_its_worker_keeps_its_lane(store: Shared) {
    begin_in(&store, 1, 1, 1).await;
    begin_in(&store, 1, 1, 2).await;
    let lanes = Lanes { repository: lane(1), installation: lane(1) };
    let first = claim_in(&store, lanes, 3).await.expect("a job is free").spec;
    assert!(claim_in(&store, lanes, 62).await.is_none());
    let again = claim_in(&store, lanes, 63).await.expect("its worker is dead");
    assert_eq!(again.spec, first);
    store.release(again.lease, at(100)).await.expect("the lease holds");
    assert_ne!(claim_in(&store, lanes, 64).await.expect("who waits has no place in a lane").spec, first);
}

async fn jobs_that_lost_their_workers_are_taken_again_one_by_one_where_a_lane_was_lowered(store: Shared) {
    for comment in 1..=4 {
        begin_in(&store, 1, 1, comment).await;
    }
    let wide = Lanes { repository: lane(3), installation: None };
    while claim_in(&store, wide, 5).await.is_some() {}
    for (seconds, lanes) in
        [(70, Lanes { repository: lane(1), installation: None }), (71, Lanes { repository: None, installation: lane(1) })]
            .repeat(2)
    {
        let claim = claim_in(&store, lanes, seconds).await.expect("nobody is at work");
        assert!(claim_in(&store, lanes, seconds).await.is_none(), "there is one place");
        let seen = u32::try_from(claim.journal.len()).expect("it is short");
        store.append(&claim.lease, seen, completed(), at(seconds)).await.expect("the lease holds");
    }
}

async fn many_workers_never_overfill_a_lane(store: Shared) {
    for comment in 0..16 {
        begin_in(&store, comment % 2, 1, comment).await;
    }
    let lanes = Lanes { repository: lane(2), installation: lane(3) };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = std::sync::Arc::clone(&store);
        tasks.spawn(async move { claim_in(&store, lanes, 20).await });
    }
    let mut repos: Vec<u64> = tasks.join_all().await.into_iter().flatten().map(|claim| claim.spec.repo.id).collect();
    repos.sort_unstable();
    assert!(matches!(*repos, [0, 0, 1] | [0, 1, 1]), "{repos:?}");
}
