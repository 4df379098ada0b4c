//! What Jest writes with `--json`, and Vitest with `--reporter=json`: one JSON object.

use serde::Deserialize;

use patchwright_domain::results::{Results, Status};

use super::Unreadable;

/// Where the workspace is inside; the file names are absolute.
const WORKSPACE: &str = "/workspace/";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    test_results: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    assertion_results: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    full_name: String,
    #[serde(default)]
    ancestor_titles: Vec<String>,
    #[serde(default)]
    title: String,
    status: String,
}

pub(super) fn read(text: &str) -> Result<Results, Unreadable> {
    let report: Report = serde_json::from_str(text).map_err(|e| Unreadable::Malformed(e.to_string()))?;
    let mut results = Results { is_complete: true, ..Results::default() };
    for file in report.test_results {
        let name = file.name.strip_prefix(WORKSPACE).unwrap_or(&file.name);
        if file.assertion_results.is_empty() && file.status == "failed" {
            results.add(name, Status::Errored)?;
        }
        for case in &file.assertion_results {
            let status = match case.status.as_str() {
                "passed" => Status::Passed,
                "failed" => Status::Failed,
                _ => Status::Skipped,
            };
            results.add(&format!("{name} > {}", case.name()), status)?;
        }
    }
    Ok(results)
}

impl Case {
    /// Its own title behind those around it, told apart, which they are not in its full name.
    fn name(&self) -> String {
        let titles: Vec<&str> = self.ancestor_titles.iter().chain([&self.title]).map(|title| title.trim()).collect();
        if self.title.is_empty() { self.full_name.trim().to_owned() } else { titles.join(" > ") }
    }
}
