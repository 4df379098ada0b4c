//! What may go where people rely on it.

use super::Judged;
use crate::ecosystem::Plan;
use crate::journal::{Change, ChangeKind};
use crate::proof::findings::Weight;
use crate::proof::inquiry::decides_how_tests_run;
use crate::proof::{Doubt, Verdict, is_test_path};
use crate::report::Story;

impl Judged {
    /// Whether the tests pass with it and nothing was found that speaks against it: at worst nothing shows that it does what it should.
    /// Where nothing failed before, their passing says that nothing broke only as long as they are the same tests, run in the same way.
    pub(crate) fn is_sound(&self, plan: &Plan) -> bool {
        match &self.verdict {
            Verdict::Proven { .. } => true,
            Verdict::Unproven { doubt: Doubt::GreenBefore, account: Some(account), .. } => {
                let touches = |change: &Change| {
                    let is_old_test = change.kind != ChangeKind::Added && is_test_path(&change.path);
                    is_old_test || decides_how_tests_run(plan, change)
                };
                let is_clean = account.findings.iter().all(|finding| finding.gate.weight() == Weight::Told);
                is_clean && !self.proposal.changes.iter().any(touches)
            }
            Verdict::Unproven { .. } => false,
        }
    }
}

impl Story<'_> {
    /// Whether this patch may go where people rely on it.
    pub(crate) fn is_sound(&self, judged: &Judged) -> bool {
        self.prepared.is_some_and(|prepared| judged.is_sound(&prepared.plan))
    }
}
