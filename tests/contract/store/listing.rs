//! What operators are shown: jobs, newest first, by what they ask for, and deliveries that were given up.

use std::num::NonZeroU32;

use patchwright::store::listing::{Beside, LISTED_MAX, Listed, Name, Standing, Wanted};
use patchwright::store::{JobState, Lanes};
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::journal::{EntryKind, Outcome};
use patchwright_domain::policy::Decision;

use super::{LEASE, Shared, at, begin, begin_of, claimed, contract, delivery, id, spec};

contract! {
    jobs_are_listed_newest_first_with_where_they_stand
    a_list_holds_what_is_asked_for
    a_list_tells_what_a_claim_finds_beside_a_job
    deliveries_that_were_given_up_are_listed_and_no_others
}

/// One that failed, one that was handed back, one that is worked on and one that waits, each a minute after the other.
async fn four_jobs(store: &Shared) {
    for comment in 1..=3 {
        begin(store, comment, i64::try_from(comment).expect("it is small") * 60).await;
    }
    let first = claimed(store, "one", 200).await;
    let failed = EntryKind::Completed { outcome: Outcome::Failed };
    store.append(&first.lease, 1, failed, at(210)).await.expect("the lease holds");
    let second = claimed(store, "one", 220).await;
    store.release(second.lease, at(900)).await.expect("the lease holds");
    claimed(store, "one", 230).await;
    let mut elsewhere = spec(4);
    elsewhere.repo = RepoRef::new(8, 1, "Octo", "Probe", "main").expect("the names are fine");
    store.receive(&delivery("elsewhere", 240)).await.expect("the store takes it");
    let start = Decision::Start { spec: Box::new(elsewhere), because: "ada asked".into() };
    store.decide(&id("elsewhere"), &start, at(240)).await.expect("the store takes it");
}

async fn list(store: &Shared, wanted: Wanted) -> Vec<Listed> {
    store.jobs(&wanted, 9, at(250)).await.expect("the store answers")
}

/// By the numbers of the comments that asked for them.
async fn numbers(store: &Shared, wanted: Wanted) -> Vec<u64> {
    let issue = |listed: &Listed| listed.job.as_ref().expect("it can be read").0.task.issue().expect("it has one").0 - 100;
    list(store, wanted).await.iter().map(issue).collect()
}

async fn jobs_are_listed_newest_first_with_where_they_stand(store: Shared) {
    four_jobs(&store).await;
    let listed = list(&store, Wanted::default()).await;
    let states: Vec<_> = listed.iter().map(|listed| listed.job.as_ref().expect("it can be read").1).collect();
    assert_eq!(states, [JobState::Ready, JobState::Running, JobState::Ready, JobState::Done(Outcome::Failed)]);
    assert_eq!(listed.iter().map(|listed| listed.n_claims).collect::<Vec<_>>(), [0, 1, 1, 1]);
    let [_, running, waiting, failed] = &listed[..] else { panic!("there are four: {listed:?}") };
    assert_eq!((running.made_at, running.leased_until, running.ended_at), (at(180), Some(at(290)), None));
    assert_eq!((waiting.made_at, waiting.free_at, waiting.leased_until), (at(120), at(900), None));
    assert_eq!((failed.made_at, failed.ended_at, failed.leased_until), (at(60), Some(at(210)), None));
    assert_eq!((failed.id.as_str(), &failed.job.as_ref().expect("it can be read").0), (spec(1).id().as_str(), &spec(1)));
}

async fn a_list_holds_what_is_asked_for(store: Shared) {
    four_jobs(&store).await;
    let standing = |standing| Wanted { standing: Some(standing), ..Wanted::default() };
    let outcome = |outcome| Wanted { outcome: Some(outcome), ..Wanted::default() };
    let repository = |name| Wanted { repository: Some(Name::parse(name).expect("it is one")), ..Wanted::default() };
    for (wanted, numbers_wanted) in [
        (standing(Standing::Waiting), vec![4, 2]),
        (standing(Standing::Running), vec![3]),
        (standing(Standing::Done), vec![1]),
        (outcome(Outcome::Failed), vec![1]),
        (outcome(Outcome::Proven), vec![]),
        (repository("octo/probe"), vec![4]),
        (repository("OCTO/rocket"), vec![3, 2, 1]),
        (repository("octo/roc"), vec![]),
        (Wanted { since: Some(at(180)), ..Wanted::default() }, vec![4, 3]),
        (Wanted { since: Some(at(180)), ..standing(Standing::Waiting) }, vec![4]),
        (Wanted { job: Some(spec(2).id()), ..Wanted::default() }, vec![2]),
    ] {
        assert_eq!(numbers(&store, wanted.clone()).await, numbers_wanted, "{wanted:?}");
    }
    assert_eq!(store.jobs(&Wanted::default(), 2, at(250)).await.expect("the store answers").len(), 2);
    assert_eq!(store.jobs(&Wanted::default(), LISTED_MAX + 1, at(250)).await.expect("the store answers").len(), 4);
}

/// Four jobs of one repository, the second and the third of one issue; the first two are worked on.
async fn a_list_tells_what_a_claim_finds_beside_a_job(store: Shared) {
    begin(&store, 1, 0).await;
    begin(&store, 2, 1).await;
    begin_of(&store, IssueNumber(102), 3, 2).await;
    begin(&store, 4, 3).await;
    for _ in 0..2 {
        claimed(&store, "one", 10).await;
    }
    let found = async |seconds| {
        let listed = store.jobs(&Wanted::default(), 9, at(seconds)).await.expect("the store answers");
        listed.into_iter().map(|listed| listed.beside).collect::<Vec<_>>()
    };
    let beside = |of_issue: bool, n| Beside {
        of_issue: of_issue.then(|| spec(2).id().to_string()),
        n_of_repository: n,
        n_of_installation: n,
    };
    // Whoever works on a job does not stand beside it.
    assert_eq!(found(20).await, [beside(false, 2), beside(true, 2), beside(false, 1), beside(false, 1)]);
    // The leases have run out: they take no place from anybody, and their jobs are still the first of their issues.
    assert_eq!(found(70).await, [beside(false, 0), beside(true, 0), beside(false, 0), beside(false, 0)]);
    let one = Some(NonZeroU32::MIN);
    let lanes = Lanes { repository: one, installation: one };
    let next = store.claim("two", at(70), LEASE, lanes).await.expect("the store answers").expect("one is free");
    assert_eq!(next.spec.key, spec(1).key, "what the list says is what a claim finds");
}

async fn deliveries_that_were_given_up_are_listed_and_no_others(store: Shared) {
    begin(&store, 1, 0).await;
    let like_one = Decision::ignore(r#"a comment that says "is_given_up":true"#);
    let decisions = [Decision::give_up("GitHub is away"), like_one, Decision::give_up("it cannot be read")];
    for (seconds, decision) in (10..).zip(decisions) {
        let name = format!("at-{seconds}");
        store.receive(&delivery(&name, seconds)).await.expect("the store takes it");
        store.decide(&id(&name), &decision, at(99)).await.expect("it is there");
    }
    store.receive(&delivery("waits", 20)).await.expect("the store takes it");
    let given_up = store.given_up(9).await.expect("the store answers");
    let told: Vec<_> = given_up.iter().map(|one| (one.id.as_str(), one.because.as_str(), one.received_at)).collect();
    assert_eq!(told, [("at-12", "it cannot be read", at(12)), ("at-10", "GitHub is away", at(10))]);
    assert_eq!(given_up[0].event, "issues");
    assert_eq!(store.given_up(1).await.expect("the store answers"), given_up[..1]);
}
