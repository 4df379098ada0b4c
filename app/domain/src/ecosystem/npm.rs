//! Node packages: whatever `npm test` runs, unless it is npm's own placeholder.

use super::{Ecosystem, Files};

pub(super) struct Npm;

const PLACEHOLDER: &str = "no test specified";

impl Ecosystem for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }

    fn test(&self, files: &dyn Files) -> Option<String> {
        let package: serde_json::Value = serde_json::from_str(&files.read("package.json")?).ok()?;
        let script = package.get("scripts")?.get("test")?.as_str()?;
        (!script.trim().is_empty() && !script.contains(PLACEHOLDER)).then(|| "npm test --silent".to_owned())
    }

    fn decided_by(&self) -> &'static [&'static str] {
        &["package.json", ".npmrc"]
    }

    fn recipes(&self, files: &dyn Files) -> Vec<String> {
        let package = files.read("package.json").and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        let scripts = package.as_ref().and_then(|package| package.get("scripts")?.as_object());
        scripts.into_iter().flat_map(|scripts| scripts.values()).filter_map(|script| script.as_str()).map(str::to_owned).collect()
    }

    fn droppings(&self) -> &'static [&'static str] {
        &["node_modules", ".nyc_output"]
    }
}
