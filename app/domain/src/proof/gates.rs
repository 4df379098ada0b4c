//! What the difference itself says against a patch, whatever the tests say.

use crate::journal::{Change, ChangeKind};
use crate::proof::paths::is_test_path;
use crate::report::neutral::code;

/// Why a change may not be published at all, whatever the tests say.
pub fn forbidden(changes: &[Change]) -> Option<String> {
    let change = changes.iter().find(|change| is_protected(&change.path))?;
    let kinds = "workflows, actions, code owners and the settings of update bots are not for an agent to change";
    Some(format!("the patch changes {}; {kinds}", code(&change.path)))
}

fn is_protected(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let file = path.rsplit('/').next().unwrap_or(&path);
    path.split('/').next() == Some(".github") || PROTECTED_FILES.contains(&file)
}

/// In lower case; whatever folder they are in.
const PROTECTED_FILES: [&str; 7] =
    ["codeowners", "action.yml", "action.yaml", "renovate.json", "renovate.json5", ".renovaterc", "dependabot.yml"];

/// What a change does to the tests that only the task can justify, in words for the model: tests that are deleted, and
/// tests that are told not to run.
pub fn weakened_tests(changes: &[Change], diff: &str) -> Option<String> {
    let is_deleted = |change: &&Change| change.kind == ChangeKind::Deleted && is_test_path(&change.path);
    let deleted: Vec<&str> = changes.iter().filter(is_deleted).map(|change| change.path.as_str()).collect();
    let skipped = |line: &&str| line.starts_with('+') && !line.starts_with("+++") && SKIPS.iter().any(|skip| line.contains(skip));
    let skips: Vec<&str> = diff.lines().filter(skipped).take(WEAKENED_SHOWN_MAX).map(str::trim_end).collect();
    let told = match (deleted.is_empty(), skips.is_empty()) {
        (true, true) => return None,
        (false, _) => format!("Your change deletes tests: {}.", deleted.join(", ")),
        (true, false) => format!("Your change keeps tests from running:\n{}", skips.join("\n")),
    };
    Some(format!("{told}\nTake that back unless the task asks for it; mend the code instead."))
}

/// How many lines are shown that keep tests from running.
const WEAKENED_SHOWN_MAX: usize = 10;

/// How the common test runners are told to leave a test out.
const SKIPS: [&str; 16] = [
    "#[ignore",
    "@pytest.mark.skip",
    "@pytest.mark.xfail",
    "pytest.skip(",
    "@unittest.skip",
    "self.skipTest(",
    "raise SkipTest",
    "it.skip(",
    "test.skip(",
    "describe.skip(",
    "xit(",
    "xdescribe(",
    "t.Skip(",
    "t.SkipNow(",
    "@Disabled",
    "@Ignore",
];
