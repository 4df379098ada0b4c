//! What the policy file has done at certain times.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::schedule::Scheduler;
use patchwright_domain::journal::Outcome;
use patchwright_domain::policy::schedule::EVENT;

use crate::support::pipeline::post::Post;
use crate::support::pipeline::{ISSUE, MAINTAINER, SAMPLE, Setup, World};

const PATH: &str = SAMPLE[0].0;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
/// When it is time, from the beginning on: ten minutes later.
const SOON: SignedDuration = SignedDuration::from_mins(10);
/// It is time then, whatever second it began in, and the policy files that were read are still those that count.
const DUE: i64 = 11 * MINUTE;

/// A world in which something is done each day ten minutes after it began.
fn daily(command: &str) -> Setup {
    Setup::default().file((PATH, Box::leak(policy(SystemClock.now(), command).into_boxed_str()), false))
}

fn policy(now: Timestamp, command: &str) -> String {
    let at = (now + SOON).to_zoned(TimeZone::UTC);
    let entry = format!("{{cron: {} {} * * *, issue: {ISSUE}, command: {command}}}", at.minute(), at.hour());
    format!("commands: {{test: sh tests/run.sh}}\nschedule: [{entry}]\n")
}

fn scheduler(world: &World) -> Scheduler {
    Scheduler::new(world.tools.store.clone(), world.tools.forge.clone(), world.tools.clock.clone())
}

/// How many ticks a server finds that nobody has found before.
async fn found(scheduler: &mut Scheduler) -> usize {
    scheduler.look().await.expect("the store is there").len()
}

/// The tick that a server finds.
async fn tick(scheduler: &mut Scheduler) -> String {
    let found = scheduler.look().await.expect("the store is there");
    assert_eq!(found.len(), 1);
    found[0].to_string()
}

#[tokio::test]
async fn what_is_scheduled_is_done_once_however_many_servers_look() {
    daily("fix this")
        .play(async |world| {
            let (mut one, mut other) = (scheduler(world), scheduler(world));
            assert_eq!((found(&mut one).await, found(&mut other).await), (0, 0), "it is not time");
            world.clock.pass(DUE);
            let tick = tick(&mut one).await;
            assert_eq!((found(&mut one).await, found(&mut other).await), (0, 0), "it was found");
            assert_eq!(found(&mut scheduler(world)).await, 0, "a server that begins anew finds it no more");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            let because = "`fix` was asked for by the policy file, whose `schedule` has it at ";
            assert!(world.reason_of(&tick).await.starts_with(because), "{}", world.reason_of(&tick).await);
            let body = world.pull_request_body().await;
            assert!(body.contains("`.github/patchwright.yml` (by its schedule `"), "{body}");
            assert_eq!(world.github.issue(world.repo, ISSUE).expect("it is there").reactions.len(), 0, "nobody waits for a sign");
            world.clock.pass(24 * HOUR);
            assert_eq!((found(&mut one).await, found(&mut other).await), (1, 0), "the next day is another one");
        })
        .await;
}

#[tokio::test]
async fn what_was_missed_is_done_within_an_hour_and_not_after_it() {
    for (passed, n_found) in [(DUE + 58 * MINUTE, 1), (DUE + HOUR, 0)] {
        daily("fix this")
            .play(async |world| {
                world.clock.pass(passed);
                assert_eq!(found(&mut scheduler(world)).await, n_found);
            })
            .await;
    }
}

#[tokio::test]
async fn nothing_comes_of_an_entry_that_was_taken_away_before_it_was_decided() {
    daily("fix this")
        .play(async |world| {
            let mut scheduler = scheduler(world);
            assert_eq!(found(&mut scheduler).await, 0);
            world.push("main", &[SAMPLE[0]]).await;
            world.clock.pass(DUE);
            let tick = tick(&mut scheduler).await;
            world.work().await;
            let because = "`schedule` of the policy file has no entry any more that says so at ";
            assert!(world.reason_of(&tick).await.starts_with(because), "{}", world.reason_of(&tick).await);
            assert_eq!((world.jobs().await.len(), world.said_on(ISSUE).await.len()), (0, 0));
        })
        .await;
}

#[tokio::test]
async fn nothing_is_published_of_an_entry_that_is_taken_away_meanwhile() {
    daily("fix this")
        .play(async |world| {
            world.clock.pass(DUE);
            assert_eq!(found(&mut scheduler(world)).await, 1);
            world.work_while(async || drop(world.push("main", &[SAMPLE[0]]).await)).await;
            assert_eq!((world.outcome().await, world.own_branches().len()), (Outcome::BlockedByPolicy, 0));
            let said = world.last_words().await;
            assert!(said.contains("has no entry any more that says so") && said.contains("Put the entry back"), "{said}");
        })
        .await;
}

/// What a branch or a pull request says of the policy never counts.
#[tokio::test]
async fn a_branch_schedules_nothing() {
    Setup::default()
        .play(async |world| {
            let text = policy(SystemClock.now(), "fix this");
            world.push("mend", &[(PATH, Box::leak(text.into_boxed_str()), false)]).await;
            world.github.open_pull_request(world.repo, MAINTAINER, "Mend", "mend", "main").await.expect("both are there");
            world.clock.pass(DUE);
            assert_eq!(found(&mut scheduler(world)).await, 0);
        })
        .await;
}

#[tokio::test]
async fn one_piece_of_work_at_a_time_is_under_way_whoever_asks() {
    daily("fix this")
        .play(async |world| {
            world.clock.pass(DUE);
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            let tick = tick(&mut scheduler(world)).await;
            world.work().await;
            assert_eq!(world.reason_of(&tick).await, "a job of issue #1 is still open; one at a time");
            assert_eq!((world.jobs().await.len(), world.github.pull_requests(world.repo).len()), (1, 1));
        })
        .await;
}

/// Whoever knows the secret of the webhooks could else have anything done as nobody.
#[tokio::test]
async fn a_tick_does_not_come_from_outside() {
    daily("fix this")
        .play(async |world| {
            world.clock.pass(DUE);
            for event in [EVENT, "Patchwright_Schedule"] {
                let answered = world.post(Post::signed("schedule:1:0:2026-01-01T00:00:00Z", event, "{}")).await;
                assert_eq!(answered.status, 403, "{}", answered.text);
            }
        })
        .await;
}
