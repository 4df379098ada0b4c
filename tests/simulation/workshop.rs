//! A workshop without files: what it does takes its time, costs tokens, and comes to something.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchwright::agent::{Ending, Meter as _, Reservation, Solution};
use patchwright::sandbox::{Capabilities, Executor, Limits, Refusal, Sandbox, Terms, Tree};
use patchwright::store::{Lease, StoreError};
use patchwright::worker::meter::LedgerMeter;
use patchwright::worker::solve::{self, Solve};
use patchwright::worker::workshop::Workshop;
use patchwright::worker::{Answer, Progress, StepError, Tools};
use patchwright::workspace::{Update, WorkspaceError};
use patchwright_domain::demands::{Demands, Isolation};
use patchwright_domain::ecosystem::Plan;
use patchwright_domain::effect::{Effect, Receipt};
use patchwright_domain::event::IssueNumber;
use patchwright_domain::job::{JobSpec, Usage};
use patchwright_domain::journal::{Change, ChangeKind, CommitId, Digest, EntryKind, Prepared, Proposal};
use patchwright_domain::proof::{Evidence, Exit, Verdict};
use patchwright_domain::run::Run;
use patchwright_domain::turn::Closing;
use tokio::sync::mpsc;

use super::github::WorldForge;
use super::without;
use super::world::World;

/// What a turn uses, in tokens, and the most that is reserved for it.
const TURN_TOKENS: u64 = 300;
const TURN_TOKENS_MAX: u64 = 1_000;
/// The issue on which whoever works dies, the one of which whoever pushes does, and the one of which whoever looks where its base is
/// when a patch is about to be told of.
pub(super) const POISONED: IssueNumber = IssueNumber(66);
pub(super) const POISONED_PUSH: IssueNumber = IssueNumber(67);
pub(super) const POISONED_PLAN: IssueNumber = IssueNumber(68);

/// Whether an issue kills workers.
pub(super) fn kills(issue: IssueNumber) -> bool {
    [POISONED, POISONED_PUSH, POISONED_PLAN].contains(&issue)
}

pub(super) struct WorldWorkshop {
    pub(super) world: Arc<World>,
    pub(super) process: usize,
    pub(super) forge: Arc<WorldForge>,
}

fn evidence(code: i32) -> Evidence {
    let said = if code == 0 { "test result: ok. 1 passed; 0 failed" } else { "test adds ... FAILED" };
    Evidence {
        command: "cargo test".into(),
        exit: Exit::Code(code),
        duration_ms: 1_234,
        output: Digest::of(said.as_bytes()),
        excerpt: said.into(),
        results: None,
    }
}

fn plan() -> Plan {
    Plan {
        source: "cargo".into(),
        setup: None,
        test: Some("cargo test".into()),
        runner: None,
        checks: Vec::new(),
        decided_by: Vec::new(),
        droppings: Vec::new(),
        demands: Demands::default(),
        scope: patchwright_domain::scope::Scope::default(),
    }
}

impl WorldWorkshop {
    /// Works for a while, longer than a lease at times.
    async fn toil(&self, tools: &Tools) {
        let seconds = {
            let mut state = self.world.state();
            let toil_s = state.toil_s.clone();
            state.rng.u64(toil_s)
        };
        tools.clock.wait(Duration::from_secs(seconds)).await;
    }

    /// Dies, where the issue is the one that kills at such a moment.
    async fn may_die(&self, spec: &JobSpec, poisoned: IssueNumber) {
        if spec.task.issue() == Some(poisoned) {
            self.world.state().books.killed.push(self.process);
            std::future::pending::<()>().await;
        }
    }

    fn commit(&self) -> CommitId {
        let digits = format!("{:040x}", self.world.state().rng.u128(..));
        CommitId::parse(&digits).expect("forty digits")
    }

    /// Asks the model a few times, and is paid for it.
    async fn converse(&self, tools: &Tools, meter: &LedgerMeter<'_>, turns: &mpsc::UnboundedSender<(Usage, String)>) -> Solution {
        let n_turns = self.world.state().rng.u32(1..=3);
        let most = Reservation { tokens: TURN_TOKENS_MAX, cost_microusd: 0 };
        let usage = Usage { turns: 1, input_tokens: TURN_TOKENS, ..Usage::default() };
        let mut ending = Ending::Finished;
        for _ in 0..n_turns {
            if let Err(exceeded) = meter.reserve(most).await {
                ending = Ending::BudgetExhausted { limit: exceeded.limit };
                break;
            }
            self.world.state().books.spent_tokens += TURN_TOKENS;
            self.toil(tools).await;
            meter.settle(most, Reservation::of(&usage)).await;
            // Nobody hears it where the solve was given up.
            let _ = turns.send((usage, "ran a command".into()));
        }
        Solution { ending, closing: Closing::of("It is mended."), usage: Usage::default(), transcript: b"transcript".to_vec() }
    }
}

#[async_trait]
impl Workshop for WorldWorkshop {
    async fn ensure_base(&self, _tools: &Tools, _spec: &JobSpec, _run: &Run) -> Result<(), StepError> {
        Ok(())
    }

    async fn adopt(&self, _tools: &Tools, _spec: &JobSpec) -> Result<Answer, StepError> {
        let what = "adopting";
        Err(WorkspaceError::Rejected { what, reason: "nobody proposes anything here".into() }.into())
    }

    async fn triage(&self, _tools: &Tools, _spec: &JobSpec) -> Result<Answer, StepError> {
        Err(StoreError::Corrupt("no check is red in this world".into()).into())
    }

    async fn prepare(&self, tools: &Tools, spec: &JobSpec, _run: &Run) -> Result<Answer, StepError> {
        let request = tools.forge.context(spec).await?;
        let request = tools.store.put_artifact(serde_json::to_vec(&request).expect("it is text"), tools.clock.now()).await?;
        self.toil(tools).await;
        let base = CommitId::parse(&"a".repeat(40)).expect("forty digits");
        let prepared =
            Prepared { rules: None, base, plan: plan(), baseline: Some(evidence(101)), request, reach: None, notes: Vec::new() };
        Ok(Answer::entry(EntryKind::Prepared { prepared: Box::new(prepared) }))
    }

    async fn solve(
        &self,
        tools: &Tools,
        spec: &JobSpec,
        lease: &Lease,
        progress: &mut Progress,
        _solve: Solve,
    ) -> Result<Answer, StepError> {
        self.may_die(spec, POISONED).await;
        let (turns, mut taken) = mpsc::unbounded_channel();
        let meter = LedgerMeter::new(tools.store.as_ref(), tools.clock.as_ref(), lease, tools.settings.limits_of_day);
        let working = self.converse(tools, &meter, &turns);
        let Some(solution) = solve::watch(tools, lease, progress, working, &mut taken).await? else {
            return Ok(Answer::Written);
        };
        meter.check()?;
        let answer = tools.store.put_artifact(solution.closing.text.into_bytes(), tools.clock.now()).await?;
        let transcript = tools.store.put_artifact(solution.transcript, tools.clock.now()).await?;
        let pack = tools.store.put_artifact(b"pack".to_vec(), tools.clock.now()).await?;
        let change = Change { path: "src/lib.rs".into(), kind: ChangeKind::Modified, lines_added: 3, lines_removed: 1 };
        let proposal =
            Proposal { commit: self.commit(), pack, diff: pack, answer, transcript, changes: vec![change], fingerprint: None };
        Ok(Answer::entry(EntryKind::Solved { proposal }))
    }

    async fn verify(&self, tools: &Tools, _spec: &JobSpec, _run: &Run) -> Result<Answer, StepError> {
        self.toil(tools).await;
        let verdict = Verdict::Proven { base: evidence(101), head: evidence(0), account: None };
        Ok(Answer::entry(EntryKind::Verified { verdict }))
    }

    async fn base(&self, _tools: &Tools, spec: &JobSpec) -> Option<CommitId> {
        self.may_die(spec, POISONED_PLAN).await;
        CommitId::parse(&"a".repeat(40))
    }

    async fn push(&self, _tools: &Tools, spec: &JobSpec, update: &Update, _pack: Vec<u8>) -> Result<Receipt, StepError> {
        self.may_die(spec, POISONED_PUSH).await;
        if without::publishing_to_its_end(&self.world.state(), &spec.id()) {
            return Ok(Receipt::default());
        }
        let Update { branch, from, commit } = update.clone();
        let effect = Effect::PushBranch { branch: branch.clone(), commit: commit.clone(), pack: Digest::of(b"pack"), from };
        let is_ours = self.forge.change(spec.id(), &effect, move |state| {
            let there = state.github.branches.entry(branch).or_insert_with(|| commit.clone());
            *there == commit
        });
        match is_ours.await? {
            true => Ok(Receipt::default()),
            false => {
                let (what, reason) = ("pushing the branch", "it is there and points elsewhere".into());
                Err(WorkspaceError::Rejected { what, reason }.into())
            }
        }
    }
}

/// A sandbox in which nothing is ever run.
pub(super) struct NoSandbox;

#[async_trait]
impl Sandbox for NoSandbox {
    fn name(&self) -> &'static str {
        "none"
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    async fn probe(&self) -> Result<Capabilities, Refusal> {
        Ok(Capabilities { isolation: Isolation::Namespaces, layers: Vec::new(), limits: Vec::new(), advice: Vec::new() })
    }

    async fn open(&self, _tree: Tree<'_>, _terms: Terms<'_>) -> Result<Box<dyn Executor>, Refusal> {
        Err(Refusal { missing: "a sandbox".into(), remedy: "run nothing in a simulation".into() })
    }

    async fn sweep(&self) -> Result<(), Refusal> {
        Ok(())
    }
}
