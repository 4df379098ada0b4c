//! The build scripts of Rust that a commit's manifests name.
//!
//! One that is called `build.rs` is known by that name. A manifest that cannot be read names none, and cargo cannot read it either.

use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::CommitId;
use toml::{Table, Value};
use tracing::warn;

use super::{StepError, Tools};
use crate::syntax::modules::plain;

/// What a package of Rust is configured by.
pub(super) const MANIFEST: &str = "Cargo.toml";
/// How many manifests are read.
const MANIFESTS_MAX: usize = 2_000;
/// How large one may be that is read, in bytes.
const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// The paths of those scripts.
pub(super) async fn named(tools: &Tools, spec: &JobSpec, commit: &CommitId) -> Result<Vec<String>, StepError> {
    let is_manifest =
        |path: &String| path.strip_suffix(MANIFEST).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'));
    let mut manifests = tools.workspaces.paths(&spec.repo, commit).await?.into_iter().filter(is_manifest);
    let mut scripts = Vec::new();
    for path in manifests.by_ref().take(MANIFESTS_MAX) {
        let text = tools.workspaces.read(&spec.repo, commit, &path).await?.unwrap_or_default();
        scripts.extend(script(&path, &text));
    }
    if manifests.next().is_some() {
        warn!("there are more than {MANIFESTS_MAX} manifests; what further ones build with is not known");
    }
    Ok(scripts)
}

/// The script that a manifest names.
fn script(path: &str, text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MANIFEST_BYTES_MAX)?;
    let table: Table = toml::from_str(text).ok()?;
    let script = table.get("package")?.get("build").and_then(Value::as_str)?;
    plain(&format!("{}{script}", path.strip_suffix(MANIFEST)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: Option<&str>) {
        assert_eq!(script(path, text.as_bytes()).as_deref(), expected);
    }

    #[test]
    fn a_build_script_is_found_by_the_manifest_that_names_it() {
        check("Cargo.toml", "[package]\nbuild = \"make.rs\"\n", Some("make.rs"));
        check("a/b/Cargo.toml", "[package]\nbuild = \"./tools/make.rs\"\n", Some("a/b/tools/make.rs"));
        check("a/b/Cargo.toml", "[package]\nbuild = \"../make.rs\"\n", Some("a/make.rs"));
        check("Cargo.toml", "[package]\nbuild = false\n", None);
        check("Cargo.toml", "[package]\nname = \"a\"\n", None);
        check("Cargo.toml", "[package\n", None);
        let long = format!("[package]\nbuild = \"make.rs\"\n{}", " ".repeat(MANIFEST_BYTES_MAX));
        check("Cargo.toml", &long, None);
    }
}
