//! The agent as a process: this benchmark's executable, started again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use patchwright::agent::turns::Turns;
use patchwright::agent::{Agent as _, Assignment, Ending, Open, Unmetered};
use patchwright::config::Config;
use patchwright::model::endpoint::EndpointSettings;
use patchwright::model::responses::ResponsesModel;
use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::{Profile, Sandbox as _, Tree};
use patchwright_domain::brief::{self, Request, Survey};
use patchwright_domain::ecosystem::Plan;
use patchwright_domain::event::{Actor, DeliveryId, RepoRef, Role, Untrusted};
use patchwright_domain::job::{Allowance, JobKey, JobSpec, Mode, Opening, Task};
use patchwright_domain::journal::{CommitId, Digest, Prepared};

use super::bare::Bare;

/// The first argument of a child.
const CHILD: &str = "--child";

/// What a child is to do.
pub(crate) struct Work {
    base_url: String,
    folder: PathBuf,
    is_sandboxed: bool,
}

impl Work {
    /// What the command line asks for; `None` where this is no child.
    pub(crate) fn from_arguments() -> Option<Self> {
        let mut arguments = std::env::args_os().skip(1);
        if arguments.next()? != *CHILD {
            return None;
        }
        let base_url = arguments.next()?.into_string().ok()?;
        let folder = PathBuf::from(arguments.next()?);
        Some(Self { base_url, folder, is_sandboxed: arguments.next()? == *"sandboxed" })
    }
}

/// How a child is started.
pub(crate) fn command(base_url: &str, folder: &Path, is_sandboxed: bool) -> anyhow::Result<Command> {
    let mut command = Command::new(super::this_program()?);
    let how = if is_sandboxed { "sandboxed" } else { "bare" };
    command.args([OsString::from(CHILD), base_url.into(), folder.into(), how.into()]);
    Ok(command)
}

/// Solves the task, as a worker would have it solved.
pub(crate) fn work(work: Work) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("starting the asynchronous runtime")?;
    runtime.block_on(async {
        // What `serve` reads at its start, so that it is paid for here as well.
        let config = Config::load(None, std::iter::empty()).context("loading the configuration")?;
        let model = ResponsesModel::new(EndpointSettings::new(work.base_url, config.model.model.clone()))?;
        let turns = Turns::new(Arc::new(model));
        let (spec, request, prepared) = task(&config)?;
        let brief = brief::brief(&spec, &request, &prepared, &Survey::default());
        let allowance = Allowance { turns: 200, tokens: u64::MAX, cost_microusd: u64::MAX, wall_clock_ms: 600_000 };
        let assignment = Assignment {
            brief: &brief,
            continued: None,
            allowance,
            meter: &Unmetered,
            gate: &Open,
            checks_max: 0,
            on_turn: &|_, _| {},
        };
        let solution = if work.is_sandboxed {
            let sandbox = LocalSandbox::new("/proc/self/exe".into(), LocalSettings::default());
            let mut executor = sandbox.open(Tree::alone(&work.folder), Profile::Agent.into()).await?;
            turns.solve(assignment, executor.as_mut()).await
        } else {
            turns.solve(assignment, &mut Bare::new(work.folder)).await
        };
        match solution.ending {
            Ending::Finished => Ok(()),
            other => bail!("the agent ended with {other:?}"),
        }
    })
}

/// The task, in the shape that the pipeline gives it.
fn task(config: &Config) -> anyhow::Result<(JobSpec, Request, Prepared)> {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let words = "mean() gives wrong results; fix it.";
    let spec = JobSpec {
        key: JobKey::of_command_line("main", words, now),
        repo: RepoRef::new(1, 0, "local", "bench", "main").map_err(|e| anyhow::anyhow!("{e}"))?,
        task: Task::Local { request: Untrusted::new(words), leaves_branch: false, mode: Mode::Fix },
        requested_by: Actor { id: 0, login: "bench".into(), is_bot: false },
        role: Role::Admin,
        needed: Role::None,
        delivery: DeliveryId::new("bench").map_err(|e| anyhow::anyhow!("{e}"))?,
        requested_at: now,
        budget: config.limits.budget(),
        described: None,
        plan: None,
        opening: Opening::default(),
        schedule: None,
    };
    let request = Request::new(Untrusted::new(words), Untrusted::new(""), Untrusted::new("bench"));
    let prepared = Prepared {
        rules: None,
        base: CommitId::parse(&"0".repeat(40)).context("forty digits")?,
        plan: Plan {
            source: "python".into(),
            setup: None,
            test: Some("python3 -m unittest".into()),
            runner: None,
            checks: Vec::new(),
            decided_by: Vec::new(),
            droppings: Vec::new(),
            demands: patchwright_domain::demands::Demands::default(),
            scope: patchwright_domain::scope::Scope::default(),
        },
        baseline: None,
        request: Digest::of(b""),
        reach: None,
        notes: Vec::new(),
    };
    Ok((spec, request, prepared))
}
