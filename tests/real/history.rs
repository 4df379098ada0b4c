//! The two commits that a patch is the difference of.

use std::path::Path;

use git2::{Diff, DiffFormat, IndexAddOption, Oid, Repository, Signature, Time};

/// Commits all files of the checkout.
pub(super) fn first(repository: &Repository) -> Oid {
    let mut index = repository.index().expect("there is an index");
    index.add_all(["*"], IndexAddOption::FORCE, None).expect("the files can be added");
    let tree = index.write_tree().expect("there is room for a tree");
    commit(repository, tree, None)
}

/// Commits what a patch makes of a commit, which has to be where the patch says it is.
pub(super) fn patched(repository: &Repository, base: Oid, patch: &str) -> Oid {
    let patch = Diff::from_buffer(patch.as_bytes()).expect("the patch can be read");
    let tree = repository.find_commit(base).and_then(|commit| commit.tree()).expect("the base is there");
    let mut index = repository.apply_to_tree(&tree, &patch, None).expect("the patch fits");
    let tree = index.write_tree_to(repository).expect("there is room for a tree");
    commit(repository, tree, Some(base))
}

fn commit(repository: &Repository, tree: Oid, parent: Option<Oid>) -> Oid {
    let tree = repository.find_tree(tree).expect("it was written");
    let who = Signature::new("Mona", "mona@example.com", &Time::new(0, 0)).expect("that is a name");
    let parent = parent.map(|parent| repository.find_commit(parent).expect("it was written"));
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    repository.commit(None, &who, &who, "a step", &tree, &parents).expect("there is room for a commit")
}

/// The lines that a commit adds to its base and that stand nowhere in the same file below `folder`.
pub(super) fn added(repository: &Repository, base: Oid, head: &str, folder: &Path) -> Vec<String> {
    let tree = |commit: Oid| repository.find_commit(commit).and_then(|commit| commit.tree()).expect("it was written");
    let head = Oid::from_str(head).expect("it is a commit");
    let diff = repository.diff_tree_to_tree(Some(&tree(base)), Some(&tree(head)), None).expect("they can be compared");
    let mut ours = Vec::new();
    diff.print(DiffFormat::Patch, |delta, _, line| {
        let text = String::from_utf8_lossy(line.content()).trim().to_owned();
        if line.origin() == '+' && !text.is_empty() {
            let path = delta.new_file().path().expect("it has a name");
            let theirs = std::fs::read_to_string(folder.join(path)).unwrap_or_default();
            if !theirs.lines().any(|there| there.trim() == text) {
                ours.push(text);
            }
        }
        true
    })
    .expect("it can be printed");
    ours
}
