//! Which run of which job a check is, by the name under which GitHub shows it.

use super::expression::{Fuel, Known, plain};
use super::matrix::{self, Run};
use super::{Job, Workflow};
use crate::event::Untrusted;

/// How many jobs of all files together are looked at.
const JOBS_MAX: usize = 500;

/// A run of a job.
#[derive(Clone, Debug)]
pub struct Found<'w> {
    /// The file.
    pub workflow: &'w Workflow,
    /// The job.
    pub job: &'w Job,
    /// Its values.
    pub run: Run<'w>,
}

/// Finds the run that a check is of. `called` is what its workflow is called, where GitHub says so.
///
/// # Errors
/// Why there is none that it surely is, as a sentence.
pub fn find<'w>(
    workflows: &'w [Workflow],
    called: Option<&str>,
    check: &Untrusted,
    others: &[(&'static str, String)],
) -> Result<Found<'w>, String> {
    let mut found: Vec<(usize, Found<'w>)> = Vec::new();
    let mut unknown = Vec::new();
    let check = check.raw();
    let fuel = Fuel::default();
    // One without a name is called by its path.
    let is_called = |workflow: &&Workflow| called.is_none_or(|called| workflow.name.as_ref().unwrap_or(&workflow.path) == called);
    let jobs = workflows.iter().filter(is_called).flat_map(|workflow| workflow.jobs.iter().map(move |job| (workflow, job)));
    for (workflow, job) in jobs.take(JOBS_MAX) {
        let runs = match &job.matrix {
            None => Ok(vec![Run::default()]),
            Some(matrix) => matrix.runs(),
        };
        let runs = match runs {
            Ok(runs) => runs,
            Err(because) => {
                unknown.push(format!("of the job `{}` in `{}`, {because}", plain(&job.id), plain(&workflow.path)));
                continue;
            }
        };
        for run in runs {
            let known = Known { matrix: run.values(), env: Vec::new(), others: others.to_vec(), fuel: fuel.clone() };
            // Names that GitHub is less likely to show come later, and count only where no other run has it for its first.
            let names = matrix::names(job, &run, &known).unwrap_or_default();
            if let Some(rank) = names.iter().position(|name| name == check) {
                found.push((rank, Found { workflow, job, run }));
            }
        }
    }
    let best = found.iter().map(|(rank, _)| *rank).min();
    let mut best: Vec<Found<'w>> = found.into_iter().filter(|(rank, _)| Some(*rank) == best).map(|(_, found)| found).collect();
    match (best.pop(), best.pop()) {
        (Some(only), None) => Ok(only),
        (Some(one), Some(other)) => Err(format!(
            "The check `{}` may be more than one job's: `{}` in `{}` and `{}` in `{}`.",
            plain(check),
            plain(&other.job.id),
            plain(&other.workflow.path),
            plain(&one.job.id),
            plain(&one.workflow.path)
        )),
        (None, _) if unknown.is_empty() => Err(format!("No job in a workflow file is called `{}`.", plain(check))),
        (None, _) => Err(format!(
            "No job in a workflow file is known to be called `{}`; {}.",
            plain(check),
            unknown.first().map(String::as_str).unwrap_or_default()
        )),
    }
}

#[cfg(test)]
mod tests;
