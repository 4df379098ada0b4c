//! The trees that a proof runs the tests in: the base with the patch's code, its tests, or both, each a commit of its own.

use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::{Change, CommitId, Proposal};
use patchwright_domain::proof::Stand;
use patchwright_domain::proof::inquiry::Mixed;
use patchwright_domain::proof::test_files::TestFiles;

use super::{StepError, Tools};
use crate::syntax::inline::{self, Parsing, Parts};
use crate::workspace::{Composition, WorkspaceError};

/// A patch, taken apart.
pub(super) struct Trees<'a> {
    base: &'a CommitId,
    proposal: &'a Proposal,
    /// Both versions of each mixed file, in their order.
    parts: Vec<(Parts, Parts)>,
    /// The files in which code and tests stand together.
    pub(super) mixed: Vec<Mixed>,
    /// Which of the patch's files are tests.
    pub(super) test_files: TestFiles,
    /// Whether tests that stand inside a source file are changed and cannot be told from it.
    pub(super) has_inline_tests: bool,
}

/// A source that cannot be read for certain in one of its versions.
struct Unreadable {
    may_have_tests: bool,
}

/// Both versions of a source.
async fn taken_apart(before: Vec<u8>, after: Vec<u8>) -> Result<Result<(Parts, Parts), Unreadable>, StepError> {
    let take = move || match (inline::parts(&before), inline::parts(&after)) {
        (Some(before), Some(after)) => Ok((before, after)),
        _ => {
            let marks = |text: &[u8]| String::from_utf8_lossy(text).lines().any(inline::may_mark_a_test);
            Err(Unreadable { may_have_tests: marks(&before) || marks(&after) })
        }
    };
    let parsed = tokio::task::spawn_blocking(take).await;
    let broken =
        |error: tokio::task::JoinError| WorkspaceError::Unavailable { what: "reading a source", reason: error.to_string() };
    Ok(parsed.map_err(broken)?)
}

impl<'a> Trees<'a> {
    pub(super) async fn of(
        tools: &Tools,
        spec: &JobSpec,
        base: &'a CommitId,
        proposal: &'a Proposal,
        test_files: TestFiles,
    ) -> Result<Trees<'a>, StepError> {
        let (mut parts, mut mixed) = (Vec::new(), Vec::new());
        let mut trees = Trees { base, proposal, parts: Vec::new(), mixed: Vec::new(), test_files, has_inline_tests: false };
        let (mut parsing_base, mut parsing_head) = (Parsing::default(), Parsing::default());
        for path in trees.test_files.mixed(&proposal.changes) {
            // Of a new file the base has neither code nor tests.
            let before = tools.workspaces.read(&spec.repo, base, path).await?.unwrap_or_default();
            let Some(after) = tools.workspaces.read(&spec.repo, &proposal.commit, path).await? else {
                // A link in the place of a source: what it leads to is not looked at.
                trees.has_inline_tests = true;
                continue;
            };
            if !parsing_base.takes(before.len()) || !parsing_head.takes(after.len()) {
                // What is behind that may hold anything, and the findings say so.
                trees.has_inline_tests = true;
                break;
            }
            match taken_apart(before, after).await? {
                Ok((before, after)) => {
                    // Tests deeper inside the code than at its top are not told from it.
                    trees.has_inline_tests |= !before.nested.is_empty() && before.nested != after.nested;
                    let (has_code, has_tests) = (before.code != after.code, before.tests != after.tests);
                    mixed.push(Mixed { path: path.to_owned(), has_code, has_tests });
                    parts.push((before, after));
                }
                Err(Unreadable { may_have_tests }) => trees.has_inline_tests |= may_have_tests,
            }
        }
        (trees.parts, trees.mixed) = (parts, mixed);
        Ok(trees)
    }

    /// The commit with so much of the patch.
    pub(super) async fn commit(&self, tools: &Tools, spec: &JobSpec, stand: Stand) -> Result<CommitId, StepError> {
        let parts = self.mixed.iter().zip(&self.parts);
        let written = match stand {
            Stand::Base => return Ok(self.base.clone()),
            Stand::Head => return Ok(self.proposal.commit.clone()),
            Stand::Code => parts.map(|(file, (base, head))| (file.path.clone(), head.with_tests_of(base))).collect(),
            // Nobody names a file that is new, and it stays out with its code.
            Stand::Tests => {
                let known = parts.filter(|(_, (base, _))| !base.is_empty());
                known.map(|(file, (base, head))| (file.path.clone(), base.with_tests_of(head))).collect()
            }
        };
        let composition = Composition { restored: stand.restored(&self.proposal.changes, &self.test_files), written };
        Ok(tools.workspaces.compose(&spec.repo, &self.proposal.commit, self.base, composition).await?)
    }

    /// The files in which that commit may differ from the base.
    pub(super) fn changed(&self, stand: Stand) -> Vec<Change> {
        let restored = stand.restored(&self.proposal.changes, &self.test_files);
        let is_mixed = |path: &str| self.mixed.iter().any(|mixed| mixed.path == path);
        let differs = |change: &&Change| !restored.contains(&change.path) || is_mixed(&change.path);
        self.proposal.changes.iter().filter(differs).cloned().collect()
    }
}
