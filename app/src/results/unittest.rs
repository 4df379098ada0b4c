//! What Python's unittest prints with `-v`: a line for each test, which its documentation or its own output may tear apart.

use patchwright_domain::results::{Results, Status};

use super::Unreadable;

pub(super) fn read(text: &str) -> Result<Results, Unreadable> {
    let mut results = Results::default();
    let mut pending: Option<String> = None;
    for line in text.lines() {
        if is_summary(line) {
            results.is_complete = true;
        }
        if line.starts_with("======") {
            // The failures are told in full from here on; their headlines look like tests.
            pending = None;
        }
        let (said, begun) = begun(line);
        if let Some(name) = begun {
            pending = Some(name);
        }
        let Some(name) = &pending else { continue };
        if let Some(status) = said.and_then(status) {
            let is_loading = name.starts_with("unittest.loader.");
            results.add(name, if is_loading && status == Status::Failed { Status::Errored } else { status })?;
            // A failing part of a test is a line of its own; the test is over with its next.
            pending = None;
        }
    }
    Ok(results)
}

/// `Ran 3 tests in 0.001s`
fn is_summary(line: &str) -> bool {
    line.strip_prefix("Ran ").and_then(|rest| rest.split(' ').next()).is_some_and(|n| n.parse::<u32>().is_ok())
}

/// What stands at a line's end, and the name of the test that begins in it.
fn begun(line: &str) -> (Option<&str>, Option<String>) {
    let said = line.rsplit_once(" ... ").map_or(line.strip_suffix(" ... ").map_or(line, |_| ""), |(_, said)| said);
    (Some(said.trim()), name(line).or_else(|| example(line)))
}

/// `test_add (package.Class.test_add)`; Python before 3.11 leaves the method out of the brackets.
fn name(line: &str) -> Option<String> {
    let line = line.trim_start();
    let (method, rest) = line.split_once(" (")?;
    let (class, _) = rest.split_once(')')?;
    let is_name =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '<' | '>'));
    if !is_name(method) || !is_name(class) || !class.contains('.') {
        return None;
    }
    Some(if class.ends_with(&format!(".{method}")) { class.to_owned() } else { format!("{class}.{method}") })
}

/// `Doctest: package.module.add ... ok`, below a line that names it by half.
fn example(line: &str) -> Option<String> {
    let (name, _) = line.split_once(" ... ")?;
    name.starts_with("Doctest: ").then(|| name.to_owned())
}

fn status(said: &str) -> Option<Status> {
    Some(match said {
        "ok" | "expected failure" => Status::Passed,
        // An exception that no assertion raised is the code's failure too.
        "FAIL" | "ERROR" | "unexpected success" => Status::Failed,
        said if said.starts_with("skipped ") => Status::Skipped,
        _ => return None,
    })
}
