//! Servers and workers as processes of their own, joined by nothing but a database.

use std::sync::{Arc, Mutex};

use patchwright::rehearsal::scene::RepositoryId;
use rustix::process::Signal;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::support::postgres::cluster;
use crate::support::site::passage::{Crossing, Moment};
use crate::support::site::process::{Duty, PATIENCE, Process};
use crate::support::site::storage::{Ear, Journal};
use crate::support::site::{Site, holder, is_over};

/// Waits until the only job's journal is as wanted.
async fn until(site: &Site<'_>, ear: &mut Ear, is_so: impl Fn(&Journal) -> bool) -> Journal {
    let waited = async {
        loop {
            let mut journals = site.storage.journals().await;
            assert!(journals.len() <= 1, "there is one job");
            if let Some(journal) = journals.pop().filter(&is_so) {
                return journal;
            }
            ear.hears().await;
        }
    };
    timeout(PATIENCE, waited).await.expect("the journal comes to this")
}

fn is_prepared((_, entries): &Journal) -> bool {
    entries.iter().any(|entry| entry["entry"] == "prepared")
}

/// Of each claim, whether the one before was handed back.
fn claims((_, entries): &Journal) -> Vec<bool> {
    let claims = entries.iter().filter(|entry| entry["entry"] == "claimed");
    claims.map(|claim| claim["handed_back"].as_bool().expect("it says so")).collect()
}

/// Asks for one fix.
async fn ask(site: &Site<'_>) -> [(RepositoryId, u64); 1] {
    let repo = site.repos[0];
    let issue = site.ask(repo);
    site.github.settle().await;
    [(repo, issue)]
}

/// Two servers take the same delivery, and a worker of a third process works on the one job that comes of it.
#[tokio::test(flavor = "multi_thread")]
async fn one_process_takes_a_delivery_and_another_one_works_on_it() {
    let Some(cluster) = cluster().await else { return };
    let site = Site::on_postgres(cluster).await;
    // All of them at once on a database in which there is nothing yet.
    let (mut one, mut other, mut worker) =
        tokio::join!(site.begin(Duty::Serving), site.begin(Duty::Serving), site.begin(Duty::Working));
    let (address, another) = tokio::join!(one.serves(), other.serves());
    site.github.send_webhooks_to(&address);
    let asked = ask(&site).await;
    // A balancer sends what GitHub sends again to the other one.
    site.github.send_webhooks_to(&another);
    let is_comment = |delivery: &patchwright::rehearsal::scene::Delivery| delivery.event == "issue_comment";
    let wish = site.github.deliveries().into_iter().find(is_comment).expect("it was sent");
    site.github.redeliver(&wish.guid).expect("it was sent");
    site.github.settle().await;
    worker.says("completed: proven").await;

    let journal = site.storage.journals().await.pop().expect("it is there");
    assert_eq!((claims(&journal), holder(&journal)), (vec![true], worker.id()), "the worker's process, once");
    site.is_done_once(&asked).await;
    for process in [one, other, worker] {
        process.ends().await;
    }
}

/// Freezes the process that comes to a place, once, and tells of it. Writes down through which passages requests come.
#[derive(Default)]
struct Frost {
    /// The passage of the process that is to be frozen, and its number.
    whom: Mutex<Option<(usize, u32)>>,
    is_frozen: Notify,
    crossed: Mutex<Vec<usize>>,
}

impl Frost {
    fn lay(self: &Arc<Self>, site: &mut Site<'_>, place: impl Fn(&Crossing) -> bool + Send + Sync + 'static) {
        let frost = Arc::clone(self);
        site.watch(Arc::new(move |crossing: &Crossing, moment: Moment| {
            if moment == Moment::Arrived {
                frost.crossed.lock().expect("nobody panics").push(crossing.passage);
            } else if place(crossing) {
                let whom = frost.whom.lock().expect("nobody panics").take_if(|(passage, _)| *passage == crossing.passage);
                if let Some((_, number)) = whom {
                    Process::send_to(number, Signal::STOP);
                    frost.is_frozen.notify_one();
                }
            }
            false
        }));
    }

    fn is_for(&self, process: &Process) {
        *self.whom.lock().expect("nobody panics") = Some((process.passage.number, process.id()));
    }

    fn n_crossed(&self, process: &Process) -> usize {
        self.crossed.lock().expect("nobody panics").iter().filter(|passage| **passage == process.passage.number).count()
    }
}

/// A worker loses its job while it stands still, and wakes so soon that its own clock tells it nothing: the store refuses what
/// it writes then.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_early_is_refused_by_the_store_where_another_has_its_job() {
    let Some(cluster) = cluster().await else { return };
    let mut site = Site::on_postgres(cluster).await;
    let frost = Arc::new(Frost::default());
    // What comes next is the entry of a turn.
    frost.lay(&mut site, |crossing| crossing.path.ends_with("/responses"));
    let (_server, mut frozen) = (site.start(Duty::Serving).await, site.start(Duty::Working).await);
    frost.is_for(&frozen);
    let (asked, mut ear) = (ask(&site).await, site.storage.listen().await);
    frost.is_frozen.notified().await;
    let other = site.start(Duty::Working).await;
    // No clock goes by this: the other one has the job seconds later.
    site.storage.bury(frozen.id()).await;
    let journal = until(&site, &mut ear, is_over).await;
    assert_eq!(holder(&journal), other.id());
    frozen.send(Signal::CONT);
    frozen.says("the lease is lost").await;
    frozen.ends().await;
    assert_eq!(site.storage.journals().await, [journal]);
    site.is_done_once(&asked).await;
}

/// A machine that was suspended, or swapped for so long, wakes in the middle of an effect, and cannot ask the store. GitHub asks
/// for no lease, so the worker's own clock has to tell it that the job may be another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_frozen_past_its_lease_sends_nothing_when_it_wakes() {
    let Some(cluster) = cluster().await else { return };
    let mut site = Site::on_postgres(cluster).await;
    let frost = Arc::new(Frost::default());
    // It has heard that there is no comment of its own yet, so what comes next is to write one.
    frost.lay(&mut site, |crossing| crossing.method == "GET" && crossing.path.ends_with("/comments"));
    let (_server, mut frozen) = (site.start(Duty::Serving).await, site.start(Duty::Working).await);
    frost.is_for(&frozen);
    let (asked, mut ear) = (ask(&site).await, site.storage.listen().await);
    frost.is_frozen.notified().await;
    let other = site.start(Duty::Working).await;
    // A lease is a minute, of which a worker relies on half. Of the other half nobody waits for all.
    site.database().tamper("UPDATE job SET lease_until = lease_until - 25000 WHERE lease_until IS NOT NULL").await;
    let journal = until(&site, &mut ear, is_over).await;
    assert_eq!(holder(&journal), other.id());
    site.database().shut().await;
    let n_crossed = frost.n_crossed(&frozen);
    frozen.send(Signal::CONT);
    frozen.says("the lease is lost").await;
    assert_eq!(frost.n_crossed(&frozen), n_crossed, "it sends nothing more");
    site.database().unshut().await;
    frozen.ends().await;
    assert_eq!(site.storage.journals().await, [journal]);
    site.is_done_once(&asked).await;
}

/// Waits until the server that takes webhooks at this address says of itself that it is ready, or not, with words that begin so.
async fn until_ready(address: &str, status: u16, words: &str) {
    let page = address.replace("/webhooks/github", "/readyz");
    let client = reqwest::Client::builder().no_proxy().build().expect("the client needs nothing");
    let ready = timeout(PATIENCE, async {
        loop {
            let answer = client.get(&page).send().await.expect("it serves");
            let (found, text) = (answer.status().as_u16(), answer.text().await.expect("it is text"));
            if found == status && text.starts_with(words) {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    assert!(ready.await.is_ok(), "it does not come to {status}");
}

/// The database is started again, or fails over: no worker is to blame for that, and no job.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_handed_back_where_the_database_was_gone_for_a_while() {
    let Some(cluster) = cluster().await else { return };
    let site = Site::on_postgres(cluster).await;
    let (mut server, mut worker) = (site.begin(Duty::Serving).await, site.start(Duty::Working).await);
    let address = server.serves().await;
    site.github.send_webhooks_to(&address);
    let (asked, mut ear) = (ask(&site).await, site.storage.listen().await);
    until(&site, &mut ear, is_prepared).await;
    drop(ear);
    until_ready(&address, 200, "ready\n").await;
    site.database().shut().await;
    until_ready(&address, 503, "the store ").await;
    worker.says("the job is handed back as soon as the store is there").await;
    site.database().unshut().await;
    until_ready(&address, 200, "ready\n").await;
    let mut ear = site.storage.listen().await;
    let journal = until(&site, &mut ear, is_over).await;
    assert_eq!(claims(&journal), [true, true], "nobody died");
    site.is_done_once(&asked).await;
}
