//! Processes that are killed, wherever they are: whatever is asked for is there once all the same.
//!
//! A process is killed when a request of its work has arrived at GitHub or at the model, when it was carried out and not
//! answered, and after each entry of a journal: at each such place once. What it had at work is taken over at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::postgres::cluster;
use crate::support::site::passage::{Crossing, Guard, Moment};
use crate::support::site::process::{Duty, PATIENCE, Process};
use crate::support::site::storage::Journal;
use crate::support::site::{Site, holder, is_over, told};

mod load;
mod poisoned;

/// How often a process is killed in one place before something must be wrong with what places are called.
const KILLS_MAX: usize = 120;
/// How often is asked for one more, where a process was never killed in some place: others were faster there.
const ASKED_AGAIN_MAX: usize = 20;

/// What changes something at GitHub, and the turns of the model: a process is killed at both moments of each.
const WRITES: [&str; 16] = [
    "POST issues/comments/reactions",
    "POST issues/comments (Prepare)",
    "PATCH issues/comments (Solve)",
    "turn with 1 items",
    "turn with 3 items",
    "turn with 5 items",
    "turn with 7 items",
    "PATCH issues/comments (Prove)",
    "push",
    "POST git/trees",
    "POST git/commits",
    "POST git/refs",
    "DELETE git/refs/patchwright",
    "POST pulls",
    "POST check-runs",
    "PATCH issues/comments (the end)",
];
/// What a journal says last, where more is to be done. Behind the last effect nothing is left but to say so, and hardly ever is
/// anybody killed in between.
const ENTRIES: [&str; 13] = [
    "claimed",
    "confined",
    "prepared",
    "turn_taken 1",
    "turn_taken 2",
    "turn_taken 3",
    "turn_taken 4",
    "solved",
    "verified",
    "publish_planned",
    "performed 1",
    "performed 2",
    "performed 3",
];

/// Who is at work in a place: the servers first.
#[derive(Clone, Copy)]
enum Staff {
    /// One process with a file, and so many workers.
    OnSqlite(usize),
    /// A server and so many processes that work, with a database.
    OnPostgres(usize),
}

impl Staff {
    fn n_workers(self) -> usize {
        match self {
            Self::OnSqlite(n_workers) | Self::OnPostgres(n_workers) => n_workers,
        }
    }

    /// A place for them; none where there is no PostgreSQL.
    async fn site(self) -> Option<Site<'static>> {
        let mut site = match self {
            Self::OnSqlite(n_workers) => {
                let mut site = Site::on_sqlite().await;
                site.set("PATCHWRIGHT__SERVER__WORKERS", &n_workers.to_string());
                site
            }
            Self::OnPostgres(_) => Site::on_postgres(cluster().await?).await,
        };
        // No job is to blame for so many deaths, and what is done again is done as often as it takes.
        site.set("PATCHWRIGHT__LIMITS__CLAIMS", "10000");
        site.set("PATCHWRIGHT__LIMITS__TURNS", "10000");
        site.set("PATCHWRIGHT__LIMITS__WALL_CLOCK_MINUTES", "10000");
        site.set("PATCHWRIGHT__LIMITS__PROOF_RUNS", "1");
        site.set("PATCHWRIGHT__LIMITS__USER_JOBS_PER_HOUR", "0");
        site.set("PATCHWRIGHT__LIMITS__REPOSITORY_JOBS_PER_HOUR", "0");
        Some(site)
    }

    async fn begin(self, site: &Site<'_>) -> Vec<Process> {
        match self {
            Self::OnSqlite(_) => vec![site.start(Duty::Everything).await],
            Self::OnPostgres(n_workers) => {
                let mut crew = vec![site.start(Duty::Serving).await];
                for _ in 0..n_workers {
                    crew.push(site.start(Duty::Working).await);
                }
                crew
            }
        }
    }
}

/// Kills a process and starts another one in its place.
async fn replace(site: &Site<'_>, crew: &mut Vec<Process>, place: usize) -> u32 {
    let process = crew.swap_remove(place);
    let duty = process.duty;
    let number = site.kill(process).await;
    crew.push(match duty {
        Duty::Everything | Duty::Serving => site.start(duty).await,
        // The others do not wait for it either.
        Duty::Working => site.begin(duty).await,
    });
    number
}

/// The last entry of a journal, and the how manieth of its kind it is; of turns, since the job was taken.
fn place((_, entries): &Journal) -> Option<String> {
    let name = entries.last()?["entry"].as_str()?;
    let since = match name {
        "turn_taken" => entries.iter().rposition(|entry| entry["entry"] == "claimed")?,
        "performed" => 0,
        name => return Some(name.to_owned()),
    };
    Some(format!("{name} {}", entries[since..].iter().filter(|entry| entry["entry"] == name).count()))
}

/// Where processes were killed so far.
#[derive(Default)]
struct Struck {
    writes: Arc<Mutex<BTreeSet<(String, Moment)>>>,
    entries: BTreeSet<String>,
    n_kills: usize,
}

impl Struck {
    /// Where no process was killed yet.
    fn missing(&self) -> Vec<String> {
        let writes = self.writes.lock().expect("nobody panics");
        let moments = |write: &'static str| [Moment::Arrived, Moment::CarriedOut].map(|moment| (write.to_owned(), moment));
        let missing = WRITES.into_iter().flat_map(moments).filter(|place| !writes.contains(place));
        let entries = ENTRIES.into_iter().filter(|entry| !self.entries.contains(*entry));
        missing.map(|(write, moment)| format!("{write} {moment:?}")).chain(entries.map(str::to_owned)).collect()
    }

    /// The process that has come to an entry behind which none was killed yet.
    fn next(&self, journals: &[Journal], crew: &[Process]) -> Option<usize> {
        let is_new = |journal: &&Journal| !is_over(journal) && place(journal).is_some_and(|place| !self.entries.contains(&place));
        let holders = journals.iter().filter(is_new).map(holder);
        holders.filter_map(|number| crew.iter().position(|process| process.id() == number)).next()
    }

    /// Kills a process, and writes down what its journals end with.
    async fn kill(&mut self, site: &Site<'_>, crew: &mut Vec<Process>, at: usize) {
        let number = replace(site, crew, at).await;
        self.n_kills += 1;
        // Where somebody has taken it over so soon, it is not known any more.
        let journals = site.storage.journals().await;
        let left = journals.iter().filter(|journal| holder(journal) == number);
        self.entries.extend(left.filter_map(place));
        assert!(self.n_kills < KILLS_MAX, "killed {} times at {:?} {:?}", self.n_kills, self.entries, self.writes);
    }
}

/// Has every request held that changes something, the first time that one of its kind comes to each moment. Tells by which
/// passage.
fn trap(struck: &Struck) -> (Guard, mpsc::UnboundedReceiver<usize>) {
    let (writes, (held, holds)) = (Arc::clone(&struck.writes), mpsc::unbounded_channel());
    let guard = move |crossing: &Crossing, moment: Moment| {
        let write = crossing.write().map(|write| (write, moment));
        let is_new = write.is_some_and(|write| writes.lock().expect("nobody panics").insert(write));
        is_new && held.send(crossing.passage).is_ok()
    };
    (Arc::new(guard), holds)
}

/// Asks for one fix in each repository, and for more until a process was killed everywhere.
async fn check(staff: Staff) {
    let Some(mut site) = staff.site().await else { return };
    for _ in 1..staff.n_workers() {
        site.add_repository().await;
    }
    let mut struck = Struck::default();
    let (guard, mut holds) = trap(&struck);
    site.watch(guard);
    let (mut crew, mut asked) = (staff.begin(&site).await, Vec::new());
    let mut ear = site.storage.listen().await;
    asked.extend(site.repos.iter().map(|repo| (*repo, site.ask(*repo))));
    loop {
        let journals = site.storage.journals().await;
        if let Some(at) = struck.next(&journals, &crew) {
            struck.kill(&site, &mut crew, at).await;
            continue;
        }
        if journals.len() == asked.len() && journals.iter().all(is_over) {
            let missing = struck.missing();
            if missing.is_empty() {
                break;
            }
            assert!(asked.len() < site.repos.len() + ASKED_AGAIN_MAX, "never killed at {missing:?}");
            asked.push((site.repos[0], site.ask(site.repos[0])));
        }
        let happened = async {
            tokio::select! {
                passage = holds.recv() => passage,
                () = ear.hears() => None,
            }
        };
        let Ok(passage) = timeout(PATIENCE, happened).await else { panic!("nothing happens any more: {}", told(&journals)) };
        if let Some(at) = passage.and_then(|number| crew.iter().position(|one| one.passage.number == number)) {
            struck.kill(&site, &mut crew, at).await;
        }
    }
    site.is_done_once(&asked).await;
    let journals = site.storage.journals().await;
    let published = journals.iter().flat_map(|(_, entries)| entries).filter_map(|entry| entry.pointer("/receipt/published"));
    let verified: Vec<_> = published.map(|published| published["is_verified"] == true).collect();
    assert_eq!(verified, vec![true; asked.len()], "no death is a reason to do without GitHub's signature");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_with_one_worker_may_be_killed_anywhere() {
    check(Staff::OnSqlite(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_with_three_workers_may_be_killed_anywhere() {
    check(Staff::OnSqlite(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_and_a_worker_may_be_killed_anywhere() {
    check(Staff::OnPostgres(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_and_three_workers_may_be_killed_anywhere() {
    check(Staff::OnPostgres(3)).await;
}
