//! What a pull request makes of the policy file, which is said on its commit at once: no job is of that, and nobody has to ask.
//!
//! It is looked at before the delivery is decided, so that a crash has it looked at again; the check run is found by its key then.

use patchwright_domain::event::Event;
use patchwright_domain::job::{JobId, JobKey};
use patchwright_domain::report::policy;
use tracing::warn;

use super::{Intake, Undecided};
use crate::forge::ForgeError;
use crate::policy_file;

impl Intake {
    /// Looks at the policy file of what is proposed, where that changes it, and says on its commit whether it can be read. Gives what
    /// was done, for the record.
    pub(super) async fn check_policy(&self, event: &Event) -> Result<Option<&'static str>, Undecided> {
        let (Some(head), Some(number)) = (&event.proposes, event.kind.issue()) else { return Ok(None) };
        let said = async {
            let Some(proposed) = self.forge.proposed_policy(&event.repo, number, head).await? else { return Ok(None) };
            let effect = policy::check(head, policy_file::PATH, proposed.as_ref().err());
            let job = JobId::of(&JobKey::of_policy(&event.repo, number, head));
            self.forge.perform(&event.repo, &effect.key(&job), &effect).await?;
            Ok(Some(match proposed {
                Ok(()) => "the policy file of the pull request can be read, and its commit says so",
                Err(_) => "the policy file of the pull request cannot be read, and its commit says so",
            }))
        };
        match said.await {
            Ok(said) => Ok(said),
            Err(error @ (ForgeError::RateLimited { .. } | ForgeError::Unavailable(_))) => Err(error.into()),
            // Whoever may not set check runs sets none; what the delivery asks for besides does not depend on it.
            Err(error @ (ForgeError::Denied { .. } | ForgeError::Rejected { .. })) => {
                warn!(error = %error, "what a pull request makes of the policy file is not said");
                Ok(None)
            }
        }
    }
}
