//! One worker at a time, and nothing from a worker whose lease was taken over.

use patchwright_domain::event::IssueNumber;

use super::{LEASE, Shared, assert_lost, at, begin, begin_of, claim, claimed, completed, contract, note, spec, spec_of, told};

contract! {
    a_job_has_one_worker_at_a_time
    a_released_job_is_handed_back
    a_released_job_waits_its_time
    a_dead_workers_job_is_taken_over
    a_zombie_writes_nothing
    a_renewed_lease_holds_longer
    a_lease_that_ran_out_holds_until_it_is_taken
    many_workers_never_share_a_job
    jobs_of_one_issue_are_worked_on_one_after_the_other
    many_workers_never_share_an_issue
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
