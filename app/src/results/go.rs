//! What `go test -json` prints (`go doc test2json`): events, one JSON object a line.

use std::collections::BTreeSet;

use serde::Deserialize;

use patchwright_domain::results::{Results, Status};

use super::Unreadable;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'a> {
    #[serde(borrow)]
    action: &'a str,
    #[serde(default)]
    package: String,
    #[serde(default)]
    test: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Results, Unreadable> {
    let mut results = Results::default();
    let (mut begun, mut ended, mut broken) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(package) = not_built(line) {
            broken.insert(package.to_owned());
            continue;
        }
        let Ok(event) = serde_json::from_str::<Event<'_>>(line) else { continue };
        let status = match event.action {
            "pass" => Some(Status::Passed),
            "fail" => Some(Status::Failed),
            "skip" => Some(Status::Skipped),
            _ => None,
        };
        match (status, event.test) {
            (Some(status), Some(test)) => results.add(&format!("{} > {test}", event.package), status)?,
            (Some(status), None) => {
                if status == Status::Failed {
                    broken.insert(event.package.clone());
                }
                ended.insert(event.package);
            }
            (None, _) => {
                begun.insert(event.package);
            }
        }
    }
    // A package that fails without a test that does could not be built.
    for package in broken {
        let prefix = format!("{package} > ");
        let of_package = |(name, status): (&String, &Status)| name.starts_with(&prefix) && *status == Status::Failed;
        if !results.tests.iter().any(of_package) {
            results.add(&package, Status::Errored)?;
        }
    }
    results.is_complete = !ended.is_empty() && begun.is_subset(&ended);
    Ok(results)
}

/// The package of `FAIL\tPACKAGE [build failed]`, which older versions print without JSON.
fn not_built(line: &str) -> Option<&str> {
    let (package, why) = line.strip_prefix("FAIL\t")?.split_once(" [")?;
    matches!(why, "build failed]" | "setup failed]").then_some(package)
}
