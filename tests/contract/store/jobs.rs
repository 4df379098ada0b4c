//! Jobs are claimed in order, journaled, cancelled and completed.

use patchwright::store::{Asking, FLAKY_FOR, FLAKY_TESTS_MAX, Forgotten, JobState};
use patchwright_domain::event::{IssueNumber, Untrusted};
use patchwright_domain::job::{JobKey, JobSpec, Reply, Task};
use patchwright_domain::journal::{CommitId, Digest, Outcome};
use patchwright_domain::policy::Decision;
use patchwright_domain::policy::rates::Recent;

use super::{
    REPO, Shared, assert_chained, assert_lost, assert_unknown, at, begin, begin_of, claim, claimed, completed, contract,
    delivery, id, note, spec, spec_of, told,
};

const ISSUE: IssueNumber = IssueNumber(3);

contract! {
    the_oldest_free_job_comes_first
    what_a_program_asked_for_lets_people_go_first_for_a_while
    a_job_stands_where_it_is
    append_returns_what_was_not_seen
    a_completed_job_is_over
    cancelling_a_completed_job_changes_nothing
    open_jobs_are_those_of_the_issue
    the_job_that_ended_last_is_the_one_that_was_asked_for_last
    the_jobs_that_were_asked_for_last_are_found
    jobs_of_late_are_counted_by_repository
    the_journal_is_chained
    an_artifact_comes_back_whole
    flaky_tests_are_remembered_for_a_while
    a_test_may_have_any_name
    what_is_not_there_is_unknown
    what_ended_long_ago_is_forgotten_and_nothing_else
    little_is_forgotten_at_a_time
}

async fn the_oldest_free_job_comes_first(store: Shared) {
    for (comment, seconds) in [(3, 30), (1, 10), (2, 20)] {
        begin(&store, comment, seconds).await;
    }
    let order: Vec<_> = [claimed(&store, "a", 40).await, claimed(&store, "b", 40).await, claimed(&store, "c", 40).await]
        .map(|claim| claim.spec.key)
        .into();
    assert_eq!(order, [spec(1).key, spec(2).key, spec(3).key]);
    assert!(claim(&store, "d", 40).await.is_none());
}

async fn what_a_program_asked_for_lets_people_go_first_for_a_while(store: Shared) {
    let mut of_a_program = spec(1);
    of_a_program.requested_by.is_bot = true;
    store.receive(&delivery("of-a-program", 0)).await.expect("the store takes it");
    let start = Decision::Start { spec: Box::new(of_a_program.clone()), because: "a check went red".into() };
    store.decide(&id("of-a-program"), &start, at(0)).await.expect("the store takes it");
    begin(&store, 2, 10 * 60).await;
    begin(&store, 3, 20 * 60).await;
    let seconds = 25 * 60;
    let order = [claimed(&store, "a", seconds).await, claimed(&store, "b", seconds).await, claimed(&store, "c", seconds).await];
    assert_eq!(order.map(|claim| claim.spec), [spec(2), of_a_program, spec(3)]);
}

async fn a_job_stands_where_it_is(store: Shared) {
    begin(&store, 1, 0).await;
    let job = spec(1).id();
    assert_eq!(store.job(&job).await.expect("it is there"), (spec(1), JobState::Ready));
    let first = claimed(&store, "one", 1).await;
    assert_eq!(first.lease.job(), &job);
    assert_eq!(store.job(&job).await.expect("it is there").1, JobState::Running);
    store.release(first.lease, at(1)).await.expect("the lease holds");
    assert_eq!(store.job(&job).await.expect("it is there").1, JobState::Ready);
    let second = claimed(&store, "two", 2).await;
    store.append(&second.lease, 2, completed(), at(3)).await.expect("the lease holds");
    assert_eq!(store.job(&job).await.expect("it is there").1, JobState::Done(Outcome::NoChange));
}

async fn append_returns_what_was_not_seen(store: Shared) {
    begin(&store, 1, 0).await;
    let claim = claimed(&store, "one", 1).await;
    assert_eq!(told(&claim.journal), "one claims");
    let news = store.append(&claim.lease, 1, note("looks"), at(2)).await.expect("the lease holds");
    assert_eq!(told(&news), "looks");
    store.request_cancel(&spec(1).key, "ada said so", at(3)).await.expect("the job is there");
    let news = store.append(&claim.lease, 2, note("edits"), at(4)).await.expect("the lease holds");
    assert_eq!(told(&news), "cancel: ada said so, edits");
    assert_eq!(news.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(news[1].at, at(4));
}

async fn a_completed_job_is_over(store: Shared) {
    begin(&store, 1, 0).await;
    let claim_of_one = claimed(&store, "one", 1).await;
    let news = store.append(&claim_of_one.lease, 1, completed(), at(2)).await.expect("the lease holds");
    assert_eq!(told(&news), "no_change");
    assert_lost(store.append(&claim_of_one.lease, 2, note("more"), at(3)).await);
    assert_lost(store.renew(&claim_of_one.lease, at(3), super::LEASE).await);
    assert_lost(store.release(claim_of_one.lease, at(3)).await);
    assert!(claim(&store, "two", 9_999).await.is_none());
    assert_eq!(told(&store.journal(&spec(1).id(), 0).await.expect("it is there")), "one claims, no_change");
}

async fn cancelling_a_completed_job_changes_nothing(store: Shared) {
    begin(&store, 1, 0).await;
    let claim = claimed(&store, "one", 1).await;
    store.append(&claim.lease, 1, completed(), at(2)).await.expect("the lease holds");
    store.request_cancel(&spec(1).key, "too late", at(3)).await.expect("the job is there");
    assert_eq!(told(&store.journal(&spec(1).id(), 0).await.expect("it is there")), "one claims, no_change");
}

async fn open_jobs_are_those_of_the_issue(store: Shared) {
    begin_of(&store, ISSUE, 1, 0).await;
    begin_of(&store, ISSUE, 2, 1).await;
    let keys = [1, 2].map(|comment| spec_of(ISSUE, comment).key);
    let open = async || store.open_jobs(REPO, ISSUE).await.expect("the store answers");
    assert_eq!(open().await, keys);
    let claim = claimed(&store, "one", 2).await;
    assert_eq!(open().await.len(), 2, "a running job is open");
    store.append(&claim.lease, 1, completed(), at(3)).await.expect("the lease holds");
    assert_eq!(open().await, keys[1..]);
    assert_eq!(store.open_jobs(REPO, IssueNumber(4)).await.expect("the store answers"), []);
    assert_eq!(store.open_jobs(REPO + 1, ISSUE).await.expect("the store answers"), []);
}

async fn the_job_that_ended_last_is_the_one_that_was_asked_for_last(store: Shared) {
    let last = async || store.last_ended(REPO, ISSUE).await.expect("the store answers");
    let end = async |seconds| {
        let claim = claimed(&store, "one", seconds).await;
        store.append(&claim.lease, 1, completed(), at(seconds)).await.expect("the lease holds");
    };
    for comment in [2, 1, 3] {
        begin_of(&store, ISSUE, comment, 7).await;
    }
    assert_eq!(last().await, None);
    end(8).await;
    assert_eq!(last().await, Some(spec_of(ISSUE, 2).key));
    end(9).await;
    assert_eq!(last().await, Some(spec_of(ISSUE, 1).key), "of those of one time the later one");
    assert_eq!(store.last_ended(REPO, IssueNumber(4)).await.expect("the store answers"), None);
    assert_eq!(store.last_ended(REPO + 1, ISSUE).await.expect("the store answers"), None);
    end(10).await;
    // Nobody has asked for it, and it is of the pull request all the same.
    let repo = spec(1).repo;
    let (head, check) = (CommitId::parse(&"a".repeat(40)).expect("it is one"), Untrusted::new("/issue/"));
    let key = JobKey::of_check(&repo, &head, &check, None);
    store.receive(&delivery("red", 11)).await.expect("the store takes it");
    let start = Decision::Start { spec: Box::new(JobSpec { key, ..spec_of(ISSUE, 4) }), because: "a check is red".into() };
    store.decide(&id("red"), &start, at(11)).await.expect("the store takes it");
    end(12).await;
    assert_eq!(last().await, Some(spec_of(ISSUE, 3).key));
}

async fn the_jobs_that_were_asked_for_last_are_found(store: Shared) {
    let last = async |issue, n_max| store.asked_last(REPO, issue, n_max).await.expect("the store answers");
    assert_eq!(last(ISSUE, 3).await, []);
    for (comment, seconds) in [(1, 1), (2, 3), (3, 3), (4, 2)] {
        begin_of(&store, ISSUE, comment, seconds).await;
    }
    begin_of(&store, IssueNumber(9), 5, 4).await;
    let (head, check) = (CommitId::parse(&"a".repeat(40)).expect("it is one"), Untrusted::new("x"));
    let key = JobKey::of_check(&spec(1).repo, &head, &check, None);
    store.receive(&delivery("red", 9)).await.expect("the store takes it");
    let start =
        Decision::Start { spec: Box::new(JobSpec { key: key.clone(), ..spec_of(ISSUE, 6) }), because: "a check is red".into() };
    store.decide(&id("red"), &start, at(9)).await.expect("the store takes it");
    let checked = async |issue, n_max| store.checked_last(REPO, issue, n_max).await.expect("the store answers");
    assert_eq!((checked(ISSUE, 3).await, checked(ISSUE, 0).await), (vec![key], Vec::new()), "that alone is one");
    assert_eq!(checked(IssueNumber(9), 3).await, []);
    let keys = |comments: &[u64]| comments.iter().map(|comment| spec_of(ISSUE, *comment).key).collect::<Vec<_>>();
    assert_eq!(
        last(ISSUE, 3).await,
        keys(&[3, 2, 4]),
        "of those of one time the later one first, and nobody has asked for a check"
    );
    assert_eq!(last(ISSUE, 9).await, keys(&[3, 2, 4, 1]));
    let claim = claimed(&store, "one", 10).await;
    store.append(&claim.lease, 1, completed(), at(10)).await.expect("the lease holds");
    assert_eq!(last(ISSUE, 9).await, keys(&[3, 2, 4, 1]), "whether they are over or not");
    assert_eq!(store.asked_last(REPO + 1, ISSUE, 9).await.expect("the store answers"), []);
}

async fn jobs_of_late_are_counted_by_repository(store: Shared) {
    begin_of(&store, ISSUE, 1, 10).await;
    begin_of(&store, ISSUE, 2, 20).await;
    for (n, place) in [(30, ISSUE), (31, ISSUE), (32, IssueNumber(9))] {
        let mut reply = spec_of(ISSUE, 1);
        reply.key = reply.key.of_reply(&format!("answer {n}"));
        reply.task = Task::Reply { issue: place, reply: Reply::Status };
        reply.requested_by.id = u64::MAX;
        let name = format!("asks-{n}");
        store.receive(&delivery(&name, n)).await.expect("the store takes it");
        let start = Decision::Start { spec: Box::new(reply), because: "somebody asks".into() };
        store.decide(&id(&name), &start, at(n)).await.expect("the store takes it");
    }
    let requested_by = spec_of(ISSUE, 1).requested_by.id;
    let asking = Asking { repo: REPO, requested_by, place: ISSUE, is_work_counted: true };
    let recent = async |asking: Asking, since| store.recent(&asking, at(since)).await.expect("the store answers");
    let all = Recent { by_user: 2, in_repository: 2, answers_in_place: 2, answers: 3 };
    assert_eq!(recent(asking, 10).await, all);
    assert_eq!(recent(Asking { requested_by: u64::MAX, ..asking }, 10).await, Recent { by_user: 0, ..all });
    assert_eq!(recent(Asking { place: IssueNumber(9), ..asking }, 10).await, Recent { answers_in_place: 1, ..all });
    let later = Recent { by_user: 1, in_repository: 1, answers_in_place: 2, answers: 3 };
    assert_eq!(recent(asking, 11).await, later);
    assert_eq!(recent(asking, 31).await, Recent { answers_in_place: 1, answers: 2, ..Recent::default() });
    assert_eq!(recent(Asking { repo: REPO + 1, ..asking }, 0).await, Recent::default());
    let answers = Recent { by_user: 0, in_repository: 0, ..all };
    assert_eq!(recent(Asking { is_work_counted: false, ..asking }, 10).await, answers);
    while let Some(claim) = claim(&store, "one", 40).await {
        store.append(&claim.lease, 1, completed(), at(41)).await.expect("the lease holds");
    }
    assert_eq!(recent(asking, 10).await, all, "what is over was asked for all the same");
}

async fn the_journal_is_chained(store: Shared) {
    begin(&store, 1, 0).await;
    store.request_cancel(&spec(1).key, "first of all", at(0)).await.expect("the job is there");
    let claim = claimed(&store, "one", 1).await;
    store.append(&claim.lease, 2, note("looks"), at(2)).await.expect("the lease holds");
    let journal = store.journal(&spec(1).id(), 0).await.expect("it is there");
    assert_eq!(told(&journal), "cancel: first of all, one claims, looks");
    assert_eq!(claim.journal, journal[..2]);
    assert_chained(&spec(1), &journal);
    assert_eq!(store.journal(&spec(1).id(), 2).await.expect("it is there"), journal[2..]);
    assert_eq!(store.journal(&spec(1).id(), 3).await.expect("it is there"), []);
}

async fn flaky_tests_are_remembered_for_a_while(store: Shared) {
    let names = |numbers: std::ops::Range<usize>| numbers.map(|n| format!("test {n:04}")).collect::<Vec<_>>();
    store.remember_flaky(REPO, &names(0..2), at(0)).await.expect("the store takes it");
    store.remember_flaky(REPO, &names(1..3), at(10)).await.expect("the store takes it");
    let known = async |repo: u64, seconds: i64| {
        let known = store.flaky_tests(repo, at(seconds)).await.expect("the store answers");
        known.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(known(REPO, 20).await, names(0..3));
    assert_eq!(known(REPO + 1, 20).await, names(0..0), "each repository has its own");
    let long = i64::try_from(FLAKY_FOR.as_secs()).expect("it fits");
    assert_eq!(known(REPO, long + 5).await, names(1..3), "the first was not seen again");
    let last = 10 + usize::try_from(FLAKY_TESTS_MAX).expect("it fits");
    store.remember_flaky(REPO, &names(10..last), at(30)).await.expect("the store takes it");
    assert_eq!(known(REPO, 40).await, names(10..last), "those that were seen last");
}

/// A repository names its tests, so that no name may keep a store from writing.
async fn a_test_may_have_any_name(store: Shared) {
    let noise = (0..2_000).map(|n| Digest::of(format!("{n}").as_bytes()).to_string()).collect::<String>();
    let names = ["".to_owned(), "a\0b".to_owned(), "\u{10ffff} and '\"\\".to_owned(), noise];
    store.remember_flaky(REPO, &names, at(0)).await.expect("the store takes it");
    let known = store.flaky_tests(REPO, at(1)).await.expect("the store answers");
    assert_eq!(known, names.into());
}

async fn an_artifact_comes_back_whole(store: Shared) {
    for bytes in [b"".to_vec(), b"a\0b\r\n".to_vec(), vec![0xff; 3 << 20]] {
        let digest = store.put_artifact(bytes.clone(), at(1)).await.expect("the store takes it");
        assert_eq!(digest, Digest::of(&bytes));
        assert_eq!(store.put_artifact(bytes.clone(), at(1)).await.expect("the store takes it"), digest);
        assert_eq!(store.artifact(&digest).await.expect("it is there"), bytes);
    }
}

async fn what_is_not_there_is_unknown(store: Shared) {
    assert_unknown(store.artifact(&Digest::of(b"never put")).await);
    assert_unknown(store.job(&spec(1).id()).await);
    assert_unknown(store.journal(&spec(1).id(), 0).await);
    assert_unknown(store.request_cancel(&spec(1).key, "nothing", at(0)).await);
    assert_eq!(store.open_jobs(REPO, IssueNumber(3)).await.expect("the store answers"), []);
}

const DAY: i64 = 24 * 60 * 60;

/// A job that is begun, keeps an artifact and ends, each at its time.
async fn ended(store: &Shared, comment: u64, [begun, kept, over]: [i64; 3]) -> Digest {
    begin(store, comment, begun).await;
    let claim = claimed(store, "one", begun).await;
    let artifact = store.put_artifact(vec![1, u8::try_from(comment).expect("it is small")], at(kept)).await.expect("it is taken");
    store.append(&claim.lease, 1, completed(), at(over)).await.expect("the lease holds");
    artifact
}

async fn what_ended_long_ago_is_forgotten_and_nothing_else(store: Shared) {
    let shared = store.put_artifact(b"shared".to_vec(), at(0)).await.expect("the store takes it");
    let old = ended(&store, 1, [0, 1, 2]).await;
    // It began before the time and ended behind it, so its artifact is needed.
    let long = ended(&store, 2, [9 * DAY, 9 * DAY + 1, 11 * DAY]).await;
    store.put_artifact(b"shared".to_vec(), at(9 * DAY + 2)).await.expect("the store takes it");
    begin(&store, 3, 12 * DAY).await;
    store.receive(&delivery("undecided", 0)).await.expect("the store takes it");
    let forgotten = store.forget(at(10 * DAY), 100).await.expect("the store answers");
    assert_eq!(forgotten, Forgotten { jobs: 1, artifacts: 1, deliveries: 1 });
    assert_unknown(store.job(&spec(1).id()).await);
    assert_unknown(store.journal(&spec(1).id(), 0).await);
    assert_unknown(store.artifact(&old).await);
    assert_unknown(store.decision(&id("delivery-1")).await);
    for artifact in [shared, long] {
        store.artifact(&artifact).await.expect("a job that is left may need it");
    }
    assert_eq!(store.job(&spec(2).id()).await.expect("it is kept").1, JobState::Done(Outcome::NoChange));
    assert!(store.decision(&id("delivery-2")).await.expect("it is kept").is_some());
    assert_eq!(store.undecided(at(13 * DAY), 9).await.expect("the store answers").len(), 1);
    assert_eq!(claimed(&store, "two", 13 * DAY).await.spec, spec(3));
    assert_eq!(store.forget(at(10 * DAY), 100).await.expect("the store answers"), Forgotten::default());
}

async fn little_is_forgotten_at_a_time(store: Shared) {
    for comment in 1..=3 {
        ended(&store, comment, [0, 1, i64::try_from(comment).expect("it is small")]).await;
    }
    let first = store.forget(at(9 * DAY), 2).await.expect("the store answers");
    assert_eq!(first.jobs, 2, "the oldest");
    store.job(&spec(3).id()).await.expect("it is left for the next time");
    let second = store.forget(at(9 * DAY), 2).await.expect("the store answers");
    assert_eq!(first.and(second), Forgotten { jobs: 3, artifacts: 2, deliveries: 2 });
}
