//! Which files are tests, and which of them the proof puts back.

use crate::journal::{Change, ChangeKind};

/// Whether a path is, by the conventions of the common languages, a test or what tests are configured by.
pub fn is_test_path(path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let in_test_folder = folder.split('/').any(|part| TEST_FOLDERS.contains(&part));
    let stem = file.split('.').next().unwrap_or(file);
    let by_name = ["test_", "test-"].iter().any(|start| stem.starts_with(start))
        || ["_test", "-test", "_tests", "_spec", "-spec"].iter().any(|end| stem.ends_with(end))
        || matches!(stem, "test" | "tests" | "spec")
        || [".test.", ".spec."].iter().any(|infix| file.contains(infix));
    let is_expectation = EXPECTATIONS.iter().any(|ending| file.ends_with(ending));
    in_test_folder || by_name || is_expectation || TEST_CONFIGURATION.contains(&file)
}

const TEST_FOLDERS: [&str; 7] = ["test", "tests", "__tests__", "spec", "specs", "testdata", "__snapshots__"];
/// How files end in which tools keep what tests expect.
const EXPECTATIONS: [&str; 2] = [".snap", ".ambr"];
const TEST_CONFIGURATION: [&str; 21] = [
    "conftest.py",
    "pytest.ini",
    ".pytest.ini",
    "tox.ini",
    ".coveragerc",
    "jest.config.js",
    "jest.config.ts",
    "jest.config.cjs",
    "jest.config.mjs",
    "jest.config.json",
    ".mocharc.js",
    ".mocharc.cjs",
    ".mocharc.json",
    ".mocharc.jsonc",
    ".mocharc.yml",
    ".mocharc.yaml",
    "vitest.config.ts",
    "vitest.config.js",
    "vitest.config.mts",
    "vitest.config.mjs",
    "nextest.toml",
];

/// Whether a file configures how tests are run, by its name.
pub(super) fn is_test_configuration(path: &str) -> bool {
    TEST_CONFIGURATION.contains(&path.rsplit_once('/').map_or(path, |(_, file)| file))
}

/// Source files in which tests may stand inside the code.
pub(super) fn may_hold_tests(changes: &[Change]) -> impl Iterator<Item = &str> {
    let may_hold = |c: &&Change| c.kind != ChangeKind::Deleted && c.path.ends_with(".rs") && !is_test_path(&c.path);
    changes.iter().filter(may_hold).map(|c| c.path.as_str())
}
