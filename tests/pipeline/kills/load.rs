//! Kills at random moments of much work at once, while GitHub is not well.
//!
//! A moment is a number of things that were seen to happen: requests that arrived and were carried out, and writes to the store.
//! `PATCHWRIGHT_KILLS` says how many there are, and `PATCHWRIGHT_KILLS_SEED` from which seed they are drawn.

use std::sync::{Arc, Mutex};

use fastrand::Rng;
use patchwright::rehearsal::Order;
use patchwright::rehearsal::fault::{Effect, Fault};
use patchwright::rehearsal::scene::RepositoryId;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Staff, replace};
use crate::support::site::passage::{Crossing, Moment};
use crate::support::site::process::{PATIENCE, Process};
use crate::support::site::{Site, told};

/// How often a process is killed in each store, if nobody says otherwise.
const KILLS: u64 = 6;
const N_REPOSITORIES: usize = 3;
const N_WORKERS: usize = 3;
/// How many issues are asked for at once; behind these, kills that are left strike the next ones.
const N_ISSUES: usize = 12;
/// The most things that happen between two kills. With much less, jobs die more often than they get on.
const APART_MAX: i64 = 150;
/// One in so many writes to the store is followed by a fault. What is put off does not wait here, so that with many more a job is
/// handed back as often in a minute as it may be in hours, and is given up.
const FAULTS_APART: u32 = 12;

/// What somebody who tests has set.
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("it is a number"))
}

/// Says where a schedule came from that broke something.
struct Seed(u64);

impl Drop for Seed {
    #[expect(clippy::print_stderr, reason = "whoever runs the tests has to be told the seed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the kills were drawn from PATCHWRIGHT_KILLS_SEED={}", self.0);
        }
    }
}

struct Storm<'c> {
    site: Site<'c>,
    crew: Vec<Process>,
    rng: Rng,
    /// How much happens before the next kill; there is none at 0 or less.
    left: Arc<Mutex<i64>>,
    n_kills: u64,
    wanted: u64,
}

impl Storm<'_> {
    /// Kills one process, half of the time that whose request waits, and draws the next moment.
    async fn kill(&mut self, passage: Option<usize>) {
        let own = passage.and_then(|number| self.crew.iter().position(|one| one.passage.number == number));
        let any = self.rng.usize(..self.crew.len());
        let at = own.filter(|_| self.rng.bool()).unwrap_or(any);
        replace(&self.site, &mut self.crew, at).await;
        // A request that is held would be for ever, so its process goes as well.
        let held = passage.and_then(|number| self.crew.iter().position(|one| one.passage.number == number));
        if let Some(at) = held {
            replace(&self.site, &mut self.crew, at).await;
            self.n_kills += 1;
        }
        self.n_kills += 1;
        self.arm();
    }

    /// Draws the moment of the next kill; behind the last one everything is told.
    fn arm(&mut self) {
        if self.n_kills < self.wanted {
            *self.left.lock().expect("nobody panics") = self.rng.i64(1..=APART_MAX);
        } else {
            self.site.github.release_webhooks(Order::Reversed);
        }
    }

    /// The store was written to: that may be the moment of a kill, and what is put off does not wait.
    async fn is_written(&mut self) {
        if self.is_now() {
            return self.kill(None).await;
        }
        self.site.storage.hurry().await;
        if self.n_kills < self.wanted && self.rng.u32(..FAULTS_APART) == 0 {
            self.disturb();
        }
    }

    /// Whether this write to the store is the moment of a kill.
    fn is_now(&self) -> bool {
        let mut left = self.left.lock().expect("nobody panics");
        *left -= 1;
        *left == 0
    }

    /// Has something go wrong at GitHub, or with what it tells.
    fn disturb(&mut self) {
        let github = &self.site.github;
        let any = |fault: Fault| Fault { method: None, ..fault };
        let applied = |fault: Fault| Fault { effect: Effect::Applied, ..fault };
        match self.rng.u8(..12) {
            0 => github.fault(any(Fault::refuse("GET", "/repos/*", 502, "Server Error"))),
            1 => github.fault(Fault::lose_answer("POST", "/repos/*")),
            2 => github.fault(any(Fault::disconnect("GET", "/repos/*"))),
            3 => github.fault(applied(Fault::disconnect("POST", "/repos/*"))),
            4 => github.fault(any(Fault::rate_limit("GET", "/repos/*", 403, 1))),
            5 => github.fault(Fault::refuse("POST", "*/git-receive-pack", 502, "Server Error")),
            6 => github.fault(Fault::lose_answer("POST", "*/git-receive-pack")),
            7 => github.fault(Fault::disconnect("GET", "*/info/refs")),
            8 => github.fault(Fault::refuse("POST", "/app/installations/*", 502, "Server Error")),
            9 => github.miss_answers(2),
            10 => github.release_webhooks(Order::Reversed),
            _ => {
                let deliveries = github.deliveries();
                if let Some(delivery) = deliveries.get(self.rng.usize(..deliveries.len().max(1))) {
                    github.redeliver(&delivery.guid).expect("it was sent");
                }
                github.hold_webhooks();
            }
        }
    }
}

async fn check(staff: Staff) {
    let Some(mut site) = staff.site().await else { return };
    for _ in 1..N_REPOSITORIES {
        site.add_repository().await;
    }
    let seed = Seed(variable("PATCHWRIGHT_KILLS_SEED").unwrap_or(1));
    let wanted = variable("PATCHWRIGHT_KILLS").unwrap_or(KILLS);
    let (strikes, mut struck) = mpsc::unbounded_channel();
    let left = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&left);
    let guard = move |crossing: &Crossing, _: Moment| {
        let mut left = counted.lock().expect("nobody panics");
        *left -= 1;
        *left == 0 && strikes.send(crossing.passage).is_ok()
    };
    site.watch(Arc::new(guard));
    let crew = staff.begin(&site).await;
    let mut ear = site.storage.listen().await;
    let mut storm = Storm { site, crew, rng: Rng::with_seed(seed.0), left, n_kills: 0, wanted };
    let mut asked: Vec<(RepositoryId, u64)> = Vec::new();
    while storm.n_kills < wanted {
        storm.site.github.hold_webhooks();
        asked.extend((0..N_ISSUES).map(|n| storm.site.repos[n % N_REPOSITORIES]).map(|repo| (repo, storm.site.ask(repo))));
        storm.site.github.release_webhooks(Order::Reversed);
        storm.arm();
        while storm.site.storage.n_over().await < asked.len() {
            let next = async {
                tokio::select! {
                    passage = struck.recv() => passage,
                    () = ear.hears() => None,
                }
            };
            match timeout(PATIENCE, next).await {
                Ok(Some(passage)) => storm.kill(Some(passage)).await,
                Ok(None) => storm.is_written().await,
                Err(_) => panic!("nothing happens any more: {}", told(&storm.site.storage.journals().await)),
            }
        }
    }
    storm.site.github.settle().await;
    storm.site.is_done_once(&asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn much_work_in_one_process_that_is_killed_at_random_is_done_once() {
    check(Staff::OnSqlite(N_WORKERS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn much_work_in_processes_that_are_killed_at_random_is_done_once() {
    check(Staff::OnPostgres(N_WORKERS)).await;
}
