//! What a policy file has done at certain times. The file of the default branch is what says so: whoever may change that has asked for
//! it, and as long as it says so somebody asks.
//!
//! A tick is told by a delivery of our own, whose name follows from what it is of: however many servers hand it in, it is one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::command::{self, Command};
use super::{Asked, trigger};
use crate::event::{Actor, DeliveryId, Event, EventKind, IssueNumber, RawDelivery, RepoRef, Text, Untrusted};

/// What kind of event a delivery of ours is. No forge sends it, and none that comes from outside is taken.
pub const EVENT: &str = "patchwright_schedule";
/// Who asks: the file itself. No account is called so, and none has this number.
const FILE: (&str, u64) = (".github/patchwright.yml", 0);

/// What is to be done, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// When: the five fields of cron, in UTC.
    pub cron: String,
    /// The issue that it is about.
    pub issue: IssueNumber,
    /// Whether that is said to be a pull request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_pull_request: bool,
    /// The command, without the mention.
    pub command: Untrusted,
}

impl Schedule {
    /// The command, by the words behind the mention.
    ///
    /// # Errors
    /// Why nothing could ever come of it.
    pub fn command(&self, mention: &str) -> Result<Command, String> {
        let body = Untrusted::new(format!("{mention} {}", self.command.raw()));
        let mut heard = command::parse(mention, &Text { title: None, body }).commands;
        let Some(command) = heard.pop() else { return Err("that is no command".into()) };
        if !heard.is_empty() {
            return Err("these are several commands; give each an entry".into());
        }
        match &command {
            Command::Review { .. } | Command::Prove { .. } if !self.on_pull_request => {
                Err("`review` and `prove` are of pull requests: say `pull_request: true`".into())
            }
            Command::Fix { .. }
            | Command::Ask { .. }
            | Command::Plan { .. }
            | Command::Review { .. }
            | Command::Prove { .. }
            | Command::Free { .. } => Ok(command),
            Command::Approve { .. }
            | Command::Retry
            | Command::Stop
            | Command::StopWhat
            | Command::Status
            | Command::Help
            | Command::Unknown { .. } => {
                Err("nothing is begun by that; write `fix`, `ask`, `plan`, `review`, `prove`, or words of your own".into())
            }
        }
    }

    /// A name for all that it says.
    fn digest(&self) -> String {
        let all = serde_json::to_vec(self).expect("texts and numbers are JSON");
        hex::encode(&Sha256::digest(all)[..8])
    }
}

/// A time at which something was to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Where.
    pub repo: RepoRef,
    /// What.
    pub schedule: Schedule,
    /// The minute.
    pub at: Timestamp,
}

impl Tick {
    /// The name of its delivery: the same whoever hands it in, and however often.
    pub fn id(&self) -> DeliveryId {
        let Self { repo, schedule, at } = self;
        DeliveryId::new(format!("schedule:{}:{}:{at}", repo.id, schedule.digest())).expect("numbers, digits and a time are one")
    }

    /// The delivery that tells of it.
    pub fn delivery(&self, received_at: Timestamp) -> RawDelivery {
        let body = serde_json::to_vec(self).expect("texts, numbers and times are JSON");
        RawDelivery { id: self.id(), event: EVENT.into(), body, received_at }
    }

    /// Reads what a delivery of this event tells.
    ///
    /// # Errors
    /// The reason, where it is none of ours.
    pub fn event(delivery: &RawDelivery) -> Result<Event, String> {
        let tick: Self = serde_json::from_slice(&delivery.body).map_err(|e| format!("the payload cannot be read: {e}"))?;
        if tick.id() != delivery.id {
            return Err("the delivery is called as none of its schedule is".into());
        }
        let (login, id) = FILE;
        Ok(Event {
            delivery: delivery.id.clone(),
            repo: tick.repo,
            actor: Actor { id, login: login.into(), is_bot: true },
            at: delivery.received_at,
            kind: EventKind::Scheduled { schedule: tick.schedule },
            described: None,
            proposes: None,
        })
    }
}

impl Asked<'_> {
    /// The entry of the policy file that asks, if one does.
    pub(super) fn schedule(&self) -> Option<&Schedule> {
        match &self.event.kind {
            EventKind::Scheduled { schedule } => Some(schedule),
            EventKind::Written { .. }
            | EventKind::IssueLabeled { .. }
            | EventKind::IssueAssigned { .. }
            | EventKind::ReviewRequested { .. }
            | EventKind::Dispatched { .. }
            | EventKind::Pushed { .. }
            | EventKind::IssueClosed { .. }
            | EventKind::CheckFailed { .. }
            | EventKind::CheckAsked { .. } => None,
        }
    }

    /// Who asks, for the record.
    pub(super) fn by_whom(&self) -> String {
        match self.schedule() {
            Some(schedule) => format!("the policy file, whose `schedule` has it at `{}`", schedule.cron),
            None => format!("{}, who has the role {}", self.event.actor.login, self.role()),
        }
    }

    /// Why a tick starts nothing by the policy as it is now: it may have been told while another one counted.
    pub(super) fn is_unscheduled(&self, way: &trigger::Way) -> Option<String> {
        let trigger::Way::Schedule(schedule) = way else { return None };
        let is_there = self.facts.policy.schedule.contains(schedule);
        (!is_there).then(|| format!("`schedule` of the policy file has no entry any more that says so at `{}`", schedule.cron))
    }
}
