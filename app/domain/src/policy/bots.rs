//! Which bots are heard. GitHub says of no App's account what it may do, so that it is a choice by number: the operator's and the
//! repository's. What programs say to each other ends by itself.

use super::{Asked, PullHead, WRITER, trigger};
use crate::effect::is_own_branch;
use crate::event::Role;

/// How many jobs in a row bots may ask for in one place; a person has to ask for the next.
pub const BOTS_IN_A_ROW_MAX: u32 = 3;

impl Asked<'_> {
    /// What whoever asks may do here. A bot that gets so far may do what somebody may who can push; the policy file has no role.
    pub(super) fn role(&self) -> Role {
        match self.schedule() {
            Some(_) => Role::None,
            None if self.event.actor.is_bot => WRITER,
            None => self.facts.role,
        }
    }

    /// Why a bot is not heard, if it is not. Closing is no request, neither is a red check, and a schedule is no bot's.
    pub(super) fn refuse_bot(&self, wish: &trigger::Wish) -> Option<String> {
        let actor = &self.event.actor;
        if !actor.is_bot || self.schedule().is_some() || matches!(wish, trigger::Wish::Close | trigger::Wish::Triage { .. }) {
            return None;
        }
        let is_own = |pull: &PullHead| pull.branch.as_deref().is_some_and(is_own_branch);
        if !self.facts.policy.triggers.bots.contains(&actor.id) {
            Some(format!(
                "{} is a bot, and `triggers.bots` of the policy file does not name its number {}",
                actor.login, actor.id
            ))
        } else if self.facts.pull.as_ref().is_some_and(is_own) {
            Some(format!("{} is a bot, and the pull request is this App's own", actor.login))
        } else if self.facts.n_by_bots >= BOTS_IN_A_ROW_MAX {
            Some(format!("bots have asked for the last {BOTS_IN_A_ROW_MAX} jobs here, so that a person has to ask for the next"))
        } else {
            None
        }
    }
}
