//! A local checkout as a forge, for `patchwright run`: the request comes from the command line, the branch goes back
//! into the checkout, and there is nobody to write comments to.

use std::path::PathBuf;

use async_trait::async_trait;
use patchwright_domain::brief::Request;
use patchwright_domain::effect::{Effect, EffectKey, Receipt};
use patchwright_domain::event::{Actor, Event, RawDelivery, RepoRef, Role, Untrusted};
use patchwright_domain::job::{JobSpec, Task};
use patchwright_domain::policy::wanted::Policy;

use super::{Access, Attempt, Attempts, CheckedJob, CloneAccess, Cursor, Forge, ForgeError, PullRequest, RepoFacts, Unauthentic};

/// A checkout on this machine.
#[derive(Debug)]
pub struct LocalCheckout {
    /// The checkout's folder, or a bare repository's.
    pub path: PathBuf,
}

#[async_trait]
impl Forge for LocalCheckout {
    fn authenticate(&self, _signature: Option<&str>, _body: &[u8]) -> Result<(), Unauthentic> {
        Err(Unauthentic::Mismatch)
    }

    fn parse(&self, _delivery: &RawDelivery) -> Result<Event, String> {
        Err("a local checkout sends no events".into())
    }

    async fn facts(&self, _event: &Event) -> Result<RepoFacts, ForgeError> {
        Ok(RepoFacts {
            policy: Policy::default(),
            unread: None,
            role: Role::None,
            is_open: false,
            is_no_issue: false,
            check: None,
            pull: None,
        })
    }

    async fn role(&self, _repo: &RepoRef, _actor: &Actor) -> Result<Role, ForgeError> {
        Ok(Role::Admin)
    }

    async fn context(&self, spec: &JobSpec) -> Result<Request, ForgeError> {
        let Task::Local { request, .. } = &spec.task else {
            return Err(ForgeError::Rejected {
                what: "reading the request".into(),
                reason: "a local checkout has no issues".into(),
            });
        };
        let nothing = || Untrusted::new("");
        Ok(Request::new(nothing(), request.clone(), nothing()))
    }

    async fn pull_request(&self, _spec: &JobSpec) -> Result<Option<PullRequest>, ForgeError> {
        Ok(None)
    }

    async fn checked_job(&self, _repo: &RepoRef, _check: u64) -> Result<Option<CheckedJob>, ForgeError> {
        Ok(None)
    }

    async fn clone_access(&self, _repo: &RepoRef, _access: Access) -> Result<CloneAccess, ForgeError> {
        Ok(CloneAccess { url: self.path.display().to_string(), token: None })
    }

    async fn attempts(&self, _from: Option<&Cursor>) -> Result<Attempts, ForgeError> {
        Ok(Attempts::default())
    }

    async fn redeliver(&self, attempt: &Attempt) -> Result<(), ForgeError> {
        Err(ForgeError::Rejected {
            what: format!("asking for delivery {} again", attempt.delivery),
            reason: "a local checkout sends none".into(),
        })
    }

    async fn perform(&self, _repo: &RepoRef, _key: &EffectKey, _effect: &Effect) -> Result<Receipt, ForgeError> {
        Ok(Receipt::default())
    }
}
