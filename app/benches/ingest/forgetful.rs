//! A store that keeps nothing and answers at once: what is left of the server without durability.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use patchwright::store::ledger::{Limits, Reserved, Scope, Spending};
use patchwright::store::listing::{GivenUp, Listed, Wanted};
use patchwright::store::{
    Asking, Claim, Decided, Forgotten, JobState, Lanes, Lease, Received, Signals, Store, StoreError, Waiting,
};
use patchwright_domain::event::{DeliveryId, IssueNumber, RawDelivery};
use patchwright_domain::job::{JobId, JobKey, JobSpec};
use patchwright_domain::journal::{Digest, Entry, EntryKind};
use patchwright_domain::policy::Decision;
use patchwright_domain::policy::rates::Recent;

/// It says that every delivery is stored, and does nothing else.
#[derive(Default)]
pub(crate) struct Forgetful {
    signals: Signals,
}

fn nothing<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("this store keeps nothing".into()))
}

#[async_trait]
impl Store for Forgetful {
    async fn receive(&self, _: &RawDelivery) -> Result<Received, StoreError> {
        Ok(Received::Stored)
    }

    async fn undecided(&self, _: Timestamp, _: u32) -> Result<Vec<Waiting>, StoreError> {
        nothing()
    }

    async fn postpone(&self, _: &DeliveryId, _: Timestamp) -> Result<u32, StoreError> {
        nothing()
    }

    async fn decide(&self, _: &DeliveryId, _: &Decision, _: Timestamp) -> Result<Decided, StoreError> {
        nothing()
    }

    async fn received_at(&self, _: &DeliveryId) -> Result<Timestamp, StoreError> {
        nothing()
    }

    async fn decision(&self, _: &DeliveryId) -> Result<Option<Decision>, StoreError> {
        nothing()
    }

    async fn open_jobs(&self, _: u64, _: IssueNumber) -> Result<Vec<JobKey>, StoreError> {
        nothing()
    }

    async fn last_ended(&self, _: u64, _: IssueNumber) -> Result<Option<JobKey>, StoreError> {
        nothing()
    }

    async fn asked_last(&self, _: u64, _: IssueNumber, _: u32) -> Result<Vec<JobKey>, StoreError> {
        nothing()
    }

    async fn checked_last(&self, _: u64, _: IssueNumber, _: u32) -> Result<Vec<JobKey>, StoreError> {
        nothing()
    }

    async fn recent(&self, _: &Asking, _: Timestamp) -> Result<Recent, StoreError> {
        nothing()
    }

    async fn claim(&self, _: &str, _: Timestamp, _: Duration, _: Lanes) -> Result<Option<Claim>, StoreError> {
        nothing()
    }

    async fn renew(&self, _: &Lease, _: Timestamp, _: Duration) -> Result<(), StoreError> {
        nothing()
    }

    async fn append(&self, _: &Lease, _: u32, _: EntryKind, _: Timestamp) -> Result<Vec<Entry>, StoreError> {
        nothing()
    }

    async fn request_cancel(&self, _: &JobKey, _: &str, _: Timestamp) -> Result<(), StoreError> {
        nothing()
    }

    async fn release(&self, _: Lease, _: Timestamp) -> Result<(), StoreError> {
        nothing()
    }

    async fn job(&self, _: &JobId) -> Result<(JobSpec, JobState), StoreError> {
        nothing()
    }

    async fn jobs(&self, _: &Wanted, _: u32, _: Timestamp) -> Result<Vec<Listed>, StoreError> {
        nothing()
    }

    async fn given_up(&self, _: u32) -> Result<Vec<GivenUp>, StoreError> {
        nothing()
    }

    async fn journal(&self, _: &JobId, _: u32) -> Result<Vec<Entry>, StoreError> {
        nothing()
    }

    async fn reserve(&self, _: &Lease, _: Spending, _: &Limits, _: Timestamp) -> Result<Reserved, StoreError> {
        nothing()
    }

    async fn settle(&self, _: &Lease, _: Spending) -> Result<(), StoreError> {
        nothing()
    }

    async fn spending(&self, _: Scope, _: Date) -> Result<Spending, StoreError> {
        nothing()
    }

    async fn put_artifact(&self, _: Vec<u8>, _: Timestamp) -> Result<Digest, StoreError> {
        nothing()
    }

    async fn artifact(&self, _: &Digest) -> Result<Vec<u8>, StoreError> {
        nothing()
    }

    async fn remember_flaky(&self, _: u64, _: &[String], _: Timestamp) -> Result<(), StoreError> {
        nothing()
    }

    async fn flaky_tests(&self, _: u64, _: Timestamp) -> Result<BTreeSet<String>, StoreError> {
        nothing()
    }

    async fn forget(&self, _: Timestamp, _: u32) -> Result<Forgotten, StoreError> {
        Ok(Forgotten::default())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }
}
