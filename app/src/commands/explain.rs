//! `patchwright explain`: what became of a delivery or a job, and which deliveries nobody could decide on.

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::store::listing::{GivenUp, LISTED_MAX};
use patchwright::store::{Lanes, Store, StoreError};
use patchwright_domain::effect::{Published, Receipt};
use patchwright_domain::event::{DeliveryId, Role};
use patchwright_domain::job::{JobId, JobSpec};
use patchwright_domain::journal::EntryKind;
use patchwright_domain::policy::Decision;
use serde_json::json;

use super::jobs::list::{line, one_line, time};
use super::{ConfigArguments, Failure, store, terminal};

/// How many deliveries are listed where nobody says how many.
const LISTED: u32 = 50;

/// What is to be explained.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// A delivery, as GitHub's page of the App's deliveries names it, or a job; without one, the deliveries that were given up
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// At most so many deliveries that were given up
    #[arg(long, value_name = "N", default_value_t = LISTED, value_parser = clap::value_parser!(u32).range(1..=i64::from(LISTED_MAX)))]
    limit: u32,
    /// Print the list as one JSON object
    #[arg(long, conflicts_with = "id")]
    json: bool,
}

pub(super) async fn explain(Arguments { config, id, limit, json }: Arguments) -> Result<ExitCode, Failure> {
    terminal::log("warn");
    let config = config.load()?;
    let (store, lanes) = (store::kept(&config).await?, config.limits.lanes());
    let Some(id) = id else {
        given_up(store.as_ref(), limit, json).await?;
        return Ok(ExitCode::SUCCESS);
    };
    let is_known = match JobId::parse(&id) {
        Some(job) => tell_job(store.as_ref(), job, lanes).await?,
        None => false,
    };
    let delivery = DeliveryId::new(id).map_err(|error| Failure::usage(error.into()))?;
    if !is_known && !tell_delivery(store.as_ref(), &delivery, lanes).await? {
        return Err(Failure::usage(anyhow!(
            "the store knows no delivery and no job `{delivery}`: it did not arrive, was forgotten, or `--config` is that of \
             another server"
        )));
    }
    Ok(ExitCode::SUCCESS)
}

/// An answer of the store's, none where it does not know what it is asked for.
fn known<T>(answer: Result<T, StoreError>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(StoreError::Unknown { .. }) => Ok(None),
        Err(error @ (StoreError::LeaseLost { .. } | StoreError::Unavailable(_) | StoreError::Corrupt(_))) => {
            Err(Failure::environment(anyhow::Error::from(error).context("reading the store")))
        }
    }
}

async fn given_up(store: &dyn Store, limit: u32, json: bool) -> Result<(), Failure> {
    let found = store.given_up(limit).await.context("reading the store").map_err(Failure::environment)?;
    if json {
        let told = |GivenUp { id, event, received_at, because }: &GivenUp| json!({ "delivery": id, "event": event, "received_at": received_at, "because": because });
        terminal::say(json!({ "given_up": found.iter().map(told).collect::<Vec<_>>() }));
    } else if found.is_empty() {
        terminal::note("No delivery was given up.");
    }
    for GivenUp { id, event, received_at, because } in found.iter().filter(|_| !json) {
        terminal::say(one_line(&format!("{id}  {event}  came {}", time(*received_at))));
        terminal::say(format!("    {}", one_line(because)));
    }
    Ok(())
}

/// Tells what became of a delivery, and says whether it is there.
async fn tell_delivery(store: &dyn Store, id: &DeliveryId, lanes: Lanes) -> Result<bool, Failure> {
    let Some(received_at) = known(store.received_at(id).await)? else { return Ok(false) };
    terminal::say(format!("delivery {id} came {}", time(received_at)));
    let Some(decision) = known(store.decision(id).await)?.flatten() else {
        terminal::say("    It waits for a decision.");
        return Ok(true);
    };
    for part in decision.parts() {
        tell_part(store, part, lanes).await?;
    }
    Ok(true)
}

/// Tells one thing that followed from a delivery.
async fn tell_part(store: &dyn Store, part: &Decision, lanes: Lanes) -> Result<(), Failure> {
    match part {
        Decision::Start { spec, because } => {
            terminal::say(format!("    It started job {}: {}", spec.id(), one_line(because)));
            match line(store, spec.id(), lanes, SystemClock.now()).await? {
                Some(line) => terminal::say(line),
                None => terminal::say("    The job was forgotten since."),
            }
        }
        Decision::Cancel { keys, because } => {
            let jobs: Vec<String> = keys.iter().map(|key| JobId::of(key).to_string()).collect();
            terminal::say(format!("    It stopped {}: {}", jobs.join(", "), one_line(because)));
        }
        Decision::Ignore { because, is_given_up } => {
            let what = if *is_given_up { "It was given up" } else { "Nothing came of it" };
            terminal::say(format!("    {what}: {}", one_line(because)));
        }
        several @ Decision::Several { .. } => terminal::say(format!("    {}", one_line(&several.because()))),
    }
    Ok(())
}

/// Tells where a job stands and what asked for it, and says whether it is there.
async fn tell_job(store: &dyn Store, job: JobId, lanes: Lanes) -> Result<bool, Failure> {
    let Some(line) = line(store, job.clone(), lanes, SystemClock.now()).await? else { return Ok(false) };
    terminal::say(line);
    let Ok(Some((spec, _))) = known(store.job(&job).await) else { return Ok(true) };
    if let Some(received_at) = known(store.received_at(&spec.delivery).await)? {
        terminal::say(format!("    Delivery {} asked for it, which came {}.", spec.delivery, time(received_at)));
    }
    terminal::say(format!("    {}", one_line(&asked_by(&spec))));
    if let Some(plan) = &spec.plan {
        terminal::say(format!("    It carries out the plan of job {plan}."));
    }
    for entry in known(store.journal(&job, 0).await)?.unwrap_or_default() {
        match &entry.kind {
            EntryKind::Prepared { prepared } => {
                prepared.notes.iter().for_each(|note| terminal::say(format!("    {}", one_line(note))));
            }
            EntryKind::Performed { receipt: Receipt { published: Some(published), .. }, .. } => {
                terminal::say(format!("    {}", one_line(&on_branch(published))));
            }
            EntryKind::Performed { .. }
            | EntryKind::Claimed { .. }
            | EntryKind::Confined { .. }
            | EntryKind::Adopted { .. }
            | EntryKind::Unmerged { .. }
            | EntryKind::Triaged { .. }
            | EntryKind::TurnTaken { .. }
            | EntryKind::Solved { .. }
            | EntryKind::Answered { .. }
            | EntryKind::GaveUp { .. }
            | EntryKind::Verified { .. }
            | EntryKind::PublishPlanned { .. }
            | EntryKind::CancelRequested { .. }
            | EntryKind::Failed { .. }
            | EntryKind::Completed { .. } => {}
        }
    }
    Ok(true)
}

/// Who asked for a job, and what that took.
fn asked_by(JobSpec { requested_by, role, needed, schedule, .. }: &JobSpec) -> String {
    if let Some(schedule) = schedule {
        return format!("It is for {}, whose `schedule` has it at `{}`.", requested_by.login, schedule.cron);
    }
    let who = format!("{} (number {})", requested_by.login, requested_by.id);
    match needed {
        Role::None if requested_by.is_bot => format!("It is for {who}, a bot."),
        Role::None => format!("It is for {who}, who has the role {role}; it takes none that is asked about again."),
        needed => format!("It is for {who}, who had the role {role}; it takes {needed}."),
    }
}

/// What is on the branch of a job whose commit the forge was asked to sign.
fn on_branch(Published { commit, is_verified, reason }: &Published) -> String {
    let signed = if *is_verified { "is verified" } else { "is not verified" };
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("Its branch has commit {commit}, which {signed}{reason}.")
}
