//! What cargo-nextest prints: a line for each test that ended, and a summary.

use patchwright_domain::results::{Results, Status};

use super::Unreadable;

pub(super) fn read(text: &str) -> Result<Results, Unreadable> {
    let mut results = Results::default();
    for line in text.lines().map(str::trim) {
        if line.starts_with("Summary [") {
            results.is_complete = true;
            // What follows names the failures once more.
            break;
        }
        if let Some((name, status)) = test(line) {
            results.add(name, status)?;
        } else if line.starts_with("error: could not compile ") || line.starts_with("error[E") {
            results.add("the build", Status::Errored)?;
        }
    }
    Ok(results)
}

/// `PASS [   0.005s] (1/2) crate module::name`, the place in the queue being newer versions'.
fn test(line: &str) -> Option<(&str, Status)> {
    let (word, rest) = line.split_once(" [")?;
    let status = match word.trim_end() {
        "PASS" | "LEAK" | "SLOW PASS" | "FLAKY" => Status::Passed,
        "FAIL" | "TIMEOUT" | "ABORT" | "LEAK-FAIL" => Status::Failed,
        "SKIP" => Status::Skipped,
        signal if signal.starts_with("SIG") && !signal.contains(' ') => Status::Failed,
        _ => return None,
    };
    let (_, name) = rest.split_once(']')?;
    let name = name.trim_start();
    let name = if name.starts_with('(') { name.split_once(')').map_or(name, |(_, name)| name) } else { name };
    Some((name.trim(), status))
}
