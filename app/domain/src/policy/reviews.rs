//! Reviews of our own pull requests: who wants changes of what we have proposed has called us.

use super::{Asked, PullHead, trigger};

impl Asked<'_> {
    /// Why a review that wants changes calls nobody, if it does not: it is of somebody else's work, or the policy wants us called by name.
    pub(super) fn is_not_ours(&self, way: &trigger::Way) -> Option<&'static str> {
        if *way != trigger::Way::Review {
            return None;
        }
        if !matches!(self.facts.pull, Some(PullHead { is_own: true, .. })) {
            return Some("the review wants changes of a pull request that this App has not opened");
        }
        (!self.facts.policy.triggers.reviews)
            .then_some("`triggers.reviews` of the policy file is off, and the text holds no command")
    }
}
