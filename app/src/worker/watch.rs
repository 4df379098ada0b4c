//! Which files of tests a run of the tests changes.
//!
//! Code under test that rewrites a test before that is loaded has it pass. It can put the file back, too, but not the time at
//! which the kernel saw it changed. What is asked for that is a command of its own, which no process of the tests outlives.

use std::collections::BTreeMap;

use patchwright_domain::ecosystem::Plan;
use patchwright_domain::proof::is_test_path;

use super::{StepError, Tools, conclusions};
use crate::results;
use crate::sandbox::{Command, Executor};

/// When each file of tests was changed for the last time, and its number on the disk.
pub(super) type Stamps = BTreeMap<String, String>;

/// Looks at the tree. There is nothing to be seen where its image has no program to look.
pub(super) async fn stamps(tools: &Tools, executor: &mut dyn Executor, plan: &Plan) -> Result<Stamps, StepError> {
    let left_out = plan.droppings.iter().map(|name| format!(" -o -name '{name}'")).collect::<String>();
    let command = Command {
        script: format!("find . \\( -name .git{left_out} \\) -prune -o -type f -exec stat -c '%z %i %n' {{}} +"),
        directory: String::new(),
        timeout: tools.settings.test_timeout,
        output_bytes_max: results::REPORT_BYTES_MAX,
    };
    let said = executor.execute(&command).await.map_err(|error| conclusions::sandbox(&error))?;
    // A folder that is shut makes it fail, and all the others are told.
    if said.omitted_bytes > 0 {
        return Ok(Stamps::new());
    }
    let text = String::from_utf8_lossy(&said.output).into_owned();
    let stamps = text.lines().filter_map(|line| line.split_once(" ./"));
    Ok(stamps.filter(|(_, path)| is_test_path(path)).map(|(stamp, path)| (path.to_owned(), stamp.to_owned())).collect())
}

/// The files that are not as they were. Where they could be looked at before and cannot any more, that is all of them.
pub(super) fn changed(before: Stamps, after: &Stamps) -> Vec<String> {
    let is_changed = |(path, stamp): &(String, String)| after.get(path) != Some(stamp);
    before.into_iter().filter(is_changed).map(|(path, _)| path).collect()
}
