//! One run of the tests, with what the runner reports of each: asked for, fetched and read.

use std::collections::BTreeMap;

use patchwright_domain::ecosystem::runner::canary::Canary;
use patchwright_domain::ecosystem::runner::report::{self, Reporting};
use patchwright_domain::journal::Digest;
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::inquiry::Canaries;
use patchwright_domain::proof::{Evidence, Exit};
use patchwright_domain::results::{Results, Status};
use tracing::warn;

use super::watch::{self, Watched};
use super::{StepError, Tools, commands, conclusions};
use crate::results;
use crate::sandbox::stamps::Look;
use crate::sandbox::{Command, Executor};

/// Has Python keep nothing of the modules that it compiles: what it finds kept of one it loads in the place of that.
const NOTHING_KEPT: &str = "export PYTHONDONTWRITEBYTECODE=1; ";

/// What one run of the tests showed.
#[derive(Debug)]
pub(super) struct Tested {
    pub(super) evidence: Evidence,
    /// What was reported of each test that is the repository's.
    pub(super) results: Option<Results>,
    /// What became of the tests that must fail, if there were any.
    pub(super) canaries: Option<Canaries>,
    /// What of the tests was changed meanwhile, with the setup before them; `None` where that could not be seen.
    pub(super) rewritten: Option<Vec<String>>,
}

/// Runs the tests, beside them those that must fail, if any.
pub(super) async fn test(
    tools: &Tools,
    executor: &mut dyn Executor,
    watched: Watched<'_>,
    test: &str,
    canary: Option<&Canary>,
    look: &Look,
) -> Result<Tested, StepError> {
    let Watched { plan, .. } = watched;
    if let Some(canary) = canary {
        let file = FileState::Regular { content: canary.content.clone().into_bytes(), executable: false };
        let laid = executor.write(&[(canary.path.clone(), Some(file))]).await;
        laid.map_err(|error| conclusions::sandbox(&error))?;
    }
    watch::make_way(executor, plan).await?;
    let before = watch::stamps(executor, &Look { is_first: true, ..look.clone() }).await?;
    let reporting = plan.runner.and_then(|runner| Reporting::of(runner, test));
    let script = reporting.as_ref().map_or(test, |reporting| &reporting.command);
    let script = format!("{NOTHING_KEPT}{script}");
    let (mut evidence, printed) = commands::run_for_output(tools, executor, test, &script).await?;
    let rewritten = watch::changed(&before, &watch::stamps(executor, look).await?, watched);
    let report = match &reporting {
        None => None,
        Some(reporting) if reporting.is_file => fetched(tools, executor).await?,
        Some(_) => Some(printed),
    };
    let results = reporting.zip(report).and_then(|(reporting, report)| match results::read(reporting.format, &report) {
        Ok(results) => Some(results).filter(|results| !results.tests.is_empty()),
        Err(error) => {
            warn!("the runner's report is left out: {error}");
            None
        }
    });
    let (results, canaries) = apart(results, canary);
    if let Some(results) = &results {
        let kept = serde_json::to_vec(results).expect("names and states");
        evidence.results = Some(tools.store.put_artifact(kept, tools.clock.now()).await?);
    }
    Ok(Tested { evidence, results, canaries, rewritten })
}

/// Brings the file in which the runner reports; `None` where it has written none.
async fn fetched(tools: &Tools, executor: &mut dyn Executor) -> Result<Option<Vec<u8>>, StepError> {
    let command = Command {
        script: format!("cat {}", report::PATH),
        directory: String::new(),
        timeout: tools.settings.test_timeout,
        output_bytes_max: results::REPORT_BYTES_MAX,
    };
    let output = executor.execute(&command).await.map_err(|error| conclusions::sandbox(&error))?;
    Ok((output.exit == Exit::Code(0) && output.omitted_bytes == 0).then_some(output.output))
}

/// Takes the tests that must fail out of a report.
fn apart(results: Option<Results>, canary: Option<&Canary>) -> (Option<Results>, Option<Canaries>) {
    let Some(canary) = canary else { return (results, None) };
    let Some(results) = results else { return (None, Some(Canaries { n_laid: canary.n_tests, n_failed: 0 })) };
    let Results { tests, is_complete } = results;
    let (laid, mut tests): (BTreeMap<_, _>, BTreeMap<_, _>) =
        tests.into_iter().partition(|(name, _)| name.contains(&canary.mark));
    tests.retain(|name, _| !name.contains(&canary.copied));
    let n_failed = laid.values().filter(|status| **status == Status::Failed).count();
    (Some(Results { tests, is_complete }), Some(Canaries { n_laid: canary.n_tests, n_failed }))
}

/// What was read of an earlier run.
pub(super) async fn kept(tools: &Tools, results: Option<Digest>) -> Result<Option<Results>, StepError> {
    let Some(digest) = results else { return Ok(None) };
    let kept = tools.store.artifact(&digest).await?;
    let read =
        serde_json::from_slice(&kept).map_err(|e| crate::store::StoreError::Corrupt(format!("the results {digest}: {e}")))?;
    Ok(Some(read))
}
