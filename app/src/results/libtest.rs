//! What Rust's test harness prints under `cargo test`: a headline for each test binary, a line for each test, a result.

use patchwright_domain::results::{Results, Status};

use super::Unreadable;

pub(super) fn read(text: &str) -> Result<Results, Unreadable> {
    let mut results = Results::default();
    let (mut n_begun, mut n_ended, mut binary) = (0_usize, 0_usize, String::new());
    for line in text.lines() {
        if let Some(name) = headline(line) {
            binary = name;
            n_begun += 1;
        } else if line.starts_with("test result: ") {
            n_ended += 1;
        } else if let Some((name, status)) = test(line) {
            results.add(&format!("{binary} > {name}"), status)?;
        } else if line.starts_with("error: could not compile ") || line.starts_with("error[E") {
            results.add("the build", Status::Errored)?;
        }
    }
    results.is_complete = n_begun > 0 && n_begun == n_ended;
    Ok(results)
}

/// The binary that a headline names, without the hash in its file name, which differs from tree to tree.
fn headline(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(format!("doc-tests {package}"));
    }
    let (what, file) = line.strip_prefix("Running ")?.strip_suffix(')')?.split_once(" (")?;
    let file = file.rsplit('/').next()?;
    let binary = file.rsplit_once('-').map_or(file, |(binary, _)| binary);
    Some(format!("{binary} {}", what.strip_prefix("unittests ").unwrap_or(what)))
}

fn test(line: &str) -> Option<(&str, Status)> {
    let (name, end) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    // The line of a documentation test changes with whatever stands above it.
    let name = name.split(" (line ").next()?;
    let status = match end.split([' ', ',']).next()? {
        "ok" => Status::Passed,
        "FAILED" => Status::Failed,
        "ignored" => Status::Skipped,
        _ => return None,
    };
    Some((name, status))
}
