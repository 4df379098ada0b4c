//! Many jobs, several processes, and what must hold among them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use patchwright::store::Lanes;
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::policy::Decision;
use tokio::task::JoinSet;

use super::super::{LEASE, Shared, at, completed, delivery, id, note, spec_of};
use super::open;
use crate::support::postgres::cluster;

const N_JOBS: u64 = 500;
const N_REPOSITORIES: u64 = 20;
const N_PROCESSES: usize = 3;
/// The workers of each process.
const N_WORKERS: usize = 4;
/// How many jobs of a repository, and of an installation, are worked on at the same time; there are two installations.
const REPOSITORY_JOBS: u32 = 2;
const INSTALLATION_JOBS: u32 = 3;

/// How many jobs are in the queue of which each round takes as many as there are workers.
const N_IN_ROUNDS: u64 = 24;

/// Who is at work at this moment, by the number of a lane.
#[derive(Default)]
struct AtWork {
    now: HashMap<(&'static str, u64, u64), u32>,
    most: HashMap<&'static str, u32>,
}

impl AtWork {
    fn enter(&mut self, lanes: [(&'static str, u64, u64); 3]) {
        for lane in lanes {
            let n_jobs = self.now.entry(lane).or_default();
            *n_jobs += 1;
            let most = self.most.entry(lane.0).or_default();
            *most = (*most).max(*n_jobs);
        }
    }

    fn leave(&mut self, lanes: [(&'static str, u64, u64); 3]) {
        for lane in lanes {
            *self.now.get_mut(&lane).expect("it has entered") -= 1;
        }
    }
}

/// One repository after the other. Two of each three jobs are of an issue of their own; the third is of one that it shares.
async fn queue(store: &Shared) {
    for n in 0..N_JOBS {
        let issue = if n % 3 == 0 { IssueNumber(1) } else { IssueNumber(1_000 + n) };
        ask(store, n, 1 + n / (N_JOBS / N_REPOSITORIES), issue).await;
    }
}

/// Adds one job.
async fn ask(store: &Shared, n: u64, repo: u64, issue: IssueNumber) {
    let (name, mut spec) = (format!("delivery-{n}"), spec_of(issue, n));
    store.receive(&delivery(&name, 0)).await.expect("the store takes it");
    spec.repo = RepoRef::new(repo, repo % 2, "octo", &format!("rocket-{repo}"), "main").expect("the names are fine");
    let start = Decision::Start { spec: Box::new(spec), because: "ada asked".into() };
    store.decide(&id(&name), &start, at(0)).await.expect("the store takes it");
}

/// Works until there is nothing to do and nobody at work, and says how many jobs that were.
async fn work(store: Shared, name: String, at_work: Arc<Mutex<AtWork>>, done: Arc<tokio::sync::Semaphore>) -> u64 {
    let lanes = Lanes { repository: NonZeroU32::new(REPOSITORY_JOBS), installation: NonZeroU32::new(INSTALLATION_JOBS) };
    let mut n_jobs = 0;
    while done.available_permits() < usize::try_from(N_JOBS).expect("it is small") {
        let Some(claim) = store.claim(&name, at(1), LEASE, lanes).await.expect("the store answers") else {
            tokio::task::yield_now().await;
            continue;
        };
        let (repo, issue) = (&claim.spec.repo, claim.spec.task.issue().expect("it has one").0);
        let lanes = [("issue", repo.id, issue), ("repository", repo.id, 0), ("installation", repo.installation, 0)];
        at_work.lock().expect("nobody panics").enter(lanes);
        store.append(&claim.lease, 1, note("works"), at(2)).await.expect("the lease holds");
        at_work.lock().expect("nobody panics").leave(lanes);
        store.append(&claim.lease, 2, completed(), at(3)).await.expect("the lease holds");
        done.add_permits(1);
        n_jobs += 1;
    }
    n_jobs
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_work_on_five_hundred_jobs_and_keep_to_their_lanes() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let (at_work, done) = (Arc::<Mutex<AtWork>>::default(), Arc::new(tokio::sync::Semaphore::new(0)));
    queue(&open(&database).await).await;
    let mut workers = JoinSet::new();
    for process in 0..N_PROCESSES {
        let store = open(&database).await;
        for worker in 0..N_WORKERS {
            workers.spawn(work(Arc::clone(&store), format!("{process}-{worker}"), Arc::clone(&at_work), Arc::clone(&done)));
        }
    }
    let n_jobs: u64 = workers.join_all().await.into_iter().sum();
    let most = at_work.lock().expect("nobody panics").most.clone();
    assert_eq!(n_jobs, N_JOBS);
    for (lane, limit) in [("issue", 1), ("repository", REPOSITORY_JOBS), ("installation", INSTALLATION_JOBS)] {
        assert!((1..=limit).contains(&most[lane]), "{} at a time of one {lane}", most[lane]);
    }
    let sql = "SELECT string_agg(DISTINCT claims::text, ' ') FROM (SELECT count(*) AS claims FROM entry \
               WHERE kind LIKE '%\"claimed\"%' GROUP BY job) AS of_each";
    assert_eq!(database.text(sql).await, "1", "each job was taken once");
}

/// Workers that look at the same moment each find a job of their own: what is done in a while grows with those who do it.
#[tokio::test(flavor = "multi_thread")]
async fn three_times_the_workers_need_a_third_of_the_rounds() {
    let Some(cluster) = cluster().await else { return };
    for (n_workers, n_rounds) in [(1, 24), (3, 8), (12, 2)] {
        let database = cluster.database().await;
        let stores = [open(&database).await, open(&database).await, open(&database).await];
        for n in 0..N_IN_ROUNDS {
            ask(&stores[0], n, 1 + n % N_REPOSITORIES, IssueNumber(1_000 + n)).await;
        }
        let mut taken = Vec::new();
        while taken.iter().sum::<usize>() < usize::try_from(N_IN_ROUNDS).expect("it is small") {
            let mut looks = JoinSet::new();
            for worker in 0..n_workers {
                let (store, name) = (Arc::clone(&stores[worker % stores.len()]), worker.to_string());
                looks.spawn(async move { store.claim(&name, at(1), LEASE, Lanes::default()).await.expect("the store answers") });
            }
            let claims: Vec<_> = looks.join_all().await.into_iter().flatten().collect();
            for claim in &claims {
                stores[0].append(&claim.lease, 1, completed(), at(2)).await.expect("the lease holds");
            }
            taken.push(claims.len());
            assert!(!claims.is_empty(), "there is work: {taken:?}");
        }
        assert_eq!(taken, vec![n_workers; n_rounds]);
    }
}
