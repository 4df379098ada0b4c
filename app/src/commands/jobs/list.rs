//! `patchwright jobs list`: which jobs there are, what became of each, and what those that wait are waiting for.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::store::listing::{Hindrance, LISTED_MAX, Listed, Name, Standing, Wanted};
use patchwright::store::{JobState, Lanes, Store};
use patchwright_domain::job::JobId;
use patchwright_domain::journal::{Conclusion, Entry, EntryKind, Outcome};
use patchwright_domain::report::neutral;
use patchwright_domain::turn::output::plain;
use serde_json::{Value, json};

use super::super::{ConfigArguments, Failure, store, terminal};

/// How many jobs are listed where nobody says how many.
const LISTED: u32 = 50;
/// How long a line may be, in letters.
const LINE_CHARS_MAX: usize = 400;
/// How far back can be asked for, in days.
const SINCE_DAYS_MAX: u64 = 36_500;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which jobs.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Only jobs that stand there
    #[arg(long, value_name = "STATE", value_parser = standing)]
    state: Option<Standing>,
    /// Only jobs that ended so; those that ended as `failed` are for a person to look at
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    outcome: Option<Outcome>,
    /// Only jobs of this repository, by the name that it had when they were asked for
    #[arg(long, value_name = "OWNER/NAME", value_parser = repository)]
    repo: Option<Name>,
    /// Only jobs that were made in so long, such as `7d` or `12h`
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Duration>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = LISTED, value_parser = clap::value_parser!(u32).range(1..=i64::from(LISTED_MAX)))]
    limit: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn standing(text: &str) -> Result<Standing, String> {
    let all = [Standing::Waiting, Standing::Running, Standing::Done];
    let named = all.into_iter().find(|standing| standing.as_str() == text);
    named.ok_or_else(|| "it is one of `waiting`, `running` and `done`".to_owned())
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let all = "`proven`, `unproven`, `answered`, `no_change`, `needs_input`, `budget_exhausted`, `timed_out`, \
               `environment_failed`, `blocked_by_policy`, `superseded`, `cancelled` and `failed`";
    serde_json::from_value(Value::from(text)).map_err(|_| format!("it is one of {all}"))
}

fn repository(text: &str) -> Result<Name, String> {
    Name::parse(text).ok_or_else(|| "it is an owner and a name, such as `octo/rocket`".to_owned())
}

/// A number of days, or what else says how long something is. jiff's durations know no days, for they are not all equally long.
fn since(text: &str) -> Result<Duration, String> {
    if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()) {
        return Ok(DAY * u32::try_from(days.min(SINCE_DAYS_MAX)).unwrap_or(u32::MAX));
    }
    let time = text.parse::<SignedDuration>().map_err(|_| "it is a time such as `7d`, `12h` or `30m`".to_owned())?;
    Duration::try_from(time).map_err(|_| "it is a time in the past, so it is more than nothing".to_owned())
}

pub(in crate::commands) async fn list(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { config, state, outcome, repo, since, limit, json } = arguments;
    let config = config.load()?;
    // Servers hold their leases against a clock that nobody can set (`SteadyClock`), and tell it to nobody. While they come back to a
    // time of day that was set, a lease is told of here as it would be without that.
    let (store, now) = (store::kept(&config).await?, SystemClock.now());
    let since = since.and_then(|since| now.checked_sub(SignedDuration::try_from(since).ok()?).ok());
    let wanted = Wanted { job: None, standing: state, outcome, repository: repo, since };
    let lines = lines(store.as_ref(), &wanted, limit, config.limits.lanes(), now).await?;
    if json {
        terminal::say(json!({ "jobs": lines.iter().map(Line::to_json).collect::<Vec<_>>() }));
    } else if lines.is_empty() {
        terminal::note("There is no such job.");
    } else {
        lines.iter().for_each(|line| terminal::say(line.to_text()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The wanted jobs with all that is told of them.
async fn lines(store: &dyn Store, wanted: &Wanted, limit: u32, lanes: Lanes, now: Timestamp) -> Result<Vec<Line>, Failure> {
    let listed = store.jobs(wanted, limit, now).await.context("reading the store").map_err(Failure::environment)?;
    let mut lines = Vec::new();
    for listed in listed {
        lines.push(Line::of(store, listed, lanes, now).await);
    }
    Ok(lines)
}

/// The one job of this name, as the list tells it, if it is there.
pub(in crate::commands) async fn line(
    store: &dyn Store,
    job: JobId,
    lanes: Lanes,
    now: Timestamp,
) -> Result<Option<String>, Failure> {
    let wanted = Wanted { job: Some(job), ..Wanted::default() };
    Ok(lines(store, &wanted, 1, lanes, now).await?.first().map(Line::to_text))
}

/// A job as it is told.
struct Line {
    listed: Listed,
    /// Why it ended so, as people were told; of one that is not over, why it will.
    conclusion: Option<Conclusion>,
    /// What keeps it from being worked on.
    waits_for: Option<String>,
    /// Why it cannot be read.
    problem: Option<String>,
}

impl Line {
    async fn of(store: &dyn Store, listed: Listed, lanes: Lanes, now: Timestamp) -> Self {
        let (mut conclusion, mut waits_for, mut problem) = (None, None, None);
        match &listed.job {
            Ok((spec, state)) => {
                waits_for = waiting(&listed, *state, lanes, now);
                match store.journal(&spec.id(), 0).await {
                    Ok(journal) => conclusion = concluded(&journal, *state).cloned(),
                    Err(error) => problem = Some(error.to_string()),
                }
            }
            Err(error) => problem = Some(error.to_string()),
        }
        Self { listed, conclusion, waits_for, problem }
    }

    fn to_json(&self) -> Value {
        let Self { listed, conclusion, waits_for, problem } = self;
        let job = listed.job.as_ref().ok();
        let ended = job.and_then(|(_, state)| ended(*state));
        json!({
            "job": listed.id,
            "state": job.map(|(_, state)| Standing::from(*state).as_str()),
            "outcome": ended,
            "repository": job.map(|(spec, _)| spec.repo.to_string()),
            "issue": job.and_then(|(spec, _)| spec.task.place()).map(|issue| issue.0),
            "asked_by": job.map(|(spec, _)| &spec.requested_by.login),
            "delivery": job.map(|(spec, _)| &spec.delivery),
            "asked_at": job.map(|(spec, _)| spec.requested_at),
            "made_at": listed.made_at,
            "ended_at": listed.ended_at,
            "n_claims": listed.n_claims,
            "cause": conclusion.as_ref().map(|conclusion| &conclusion.cause),
            "next_step": conclusion.as_ref().map(|conclusion| &conclusion.next_step),
            "waits_for": waits_for,
            "problem": problem,
        })
    }

    fn to_text(&self) -> String {
        let Self { listed, conclusion, waits_for, problem } = self;
        let Listed { id, made_at, ended_at, n_claims, .. } = listed;
        let asked_at = listed.job.as_ref().map_or(*made_at, |(spec, _)| spec.requested_at);
        let what = match &listed.job {
            Ok((spec, state)) => {
                let issue = spec.task.place().map(|issue| format!("#{issue}")).unwrap_or_default();
                let stands = ended(*state).map_or(Standing::from(*state).as_str(), Outcome::as_str);
                format!("{stands}  {}{issue}  by {}", spec.repo, spec.requested_by.login)
            }
            Err(_) => "cannot be read".to_owned(),
        };
        let ended = ended_at.map(|at| format!(", ended {}", time(at))).unwrap_or_default();
        let times = if *n_claims == 1 { "once".to_owned() } else { format!("{n_claims} times") };
        let mut text = one_line(&format!("{id}  {what}  asked {}{ended}, claimed {times}", time(asked_at)));
        let reason = conclusion.as_ref().map(|Conclusion { cause, next_step, .. }| format!("{cause} {next_step}"));
        for told in [reason, waits_for.clone(), problem.clone()].into_iter().flatten() {
            text += &format!("\n    {}", one_line(&told));
        }
        text
    }
}

/// To the second, which is enough for people.
pub(in crate::commands) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// What others have written, in one line of a terminal that acts on nothing in it.
pub(in crate::commands) fn one_line(text: &str) -> String {
    let columns = plain(text.as_bytes());
    let columns: Vec<String> = columns.split("  ").map(|column| neutral::plain(column, LINE_CHARS_MAX)).collect();
    let line = columns.join("  ");
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn ended(state: JobState) -> Option<Outcome> {
    match state {
        JobState::Done(outcome) => Some(outcome),
        JobState::Ready | JobState::Running => None,
    }
}

/// What people were told of how it ended. An effect that was refused changes the end or not; so the last word about this end counts.
fn concluded(journal: &[Entry], state: JobState) -> Option<&Conclusion> {
    let mut last_first = journal.iter().rev().filter_map(told);
    match ended(state) {
        Some(outcome) => last_first.find(|conclusion| conclusion.outcome == outcome),
        None => last_first.next(),
    }
}

fn told(entry: &Entry) -> Option<&Conclusion> {
    if let EntryKind::Failed { failure, .. } = &entry.kind {
        return Some(&failure.conclusion);
    }
    if let EntryKind::PublishPlanned { conclusion, .. } = &entry.kind { Some(conclusion) } else { None }
}

/// What keeps a job from being worked on now, by what a claim would find.
fn waiting(listed: &Listed, state: JobState, lanes: Lanes, now: Timestamp) -> Option<String> {
    let is_abandoned = match state {
        JobState::Done(_) => return None,
        JobState::Running if listed.leased_until.is_none_or(|until| until > now) => return None,
        JobState::Running => true,
        JobState::Ready => false,
    };
    let hindrance = hindrance(listed, lanes, now);
    Some(match (is_abandoned, hindrance) {
        (true, None) => "Its worker is gone, and it waits for another one.".to_owned(),
        (true, Some(hindrance)) => format!("Its worker is gone. {hindrance}"),
        (false, None) => "It waits for a worker.".to_owned(),
        (false, Some(hindrance)) => hindrance,
    })
}

/// Why a claim would pass a job over.
fn hindrance(listed: &Listed, lanes: Lanes, now: Timestamp) -> Option<String> {
    if listed.free_at > now {
        let why = if listed.n_claims > 0 { "It was handed back, and waits" } else { "It waits" };
        return Some(format!("{why} until {}.", time(listed.free_at)));
    }
    Some(match listed.beside.hindrance(lanes)? {
        Hindrance::Issue(other) => format!("It waits for job {other}, which is of the same issue."),
        Hindrance::Repository(lane) => {
            format!("It waits for a place among the {lane} of its repository (`limits.repository_jobs`).")
        }
        Hindrance::Installation(lane) => {
            format!("It waits for a place among the {lane} of its installation (`limits.installation_jobs`).")
        }
    })
}
