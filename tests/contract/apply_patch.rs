//! The portable cases of the apply_patch format; the final tree is what counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use patchwright_domain::patch::{Change, FileState, Patch, PatchError};

type Tree = BTreeMap<String, Option<FileState>>;
type Applied = (Vec<Change>, Option<PatchError>);

fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/apply_patch").join(kind);
    let mut cases: Vec<PathBuf> =
        fs::read_dir(folder).expect("the fixtures are there").map(|entry| entry.expect("readable").path()).collect();
    cases.retain(|case| case.is_dir());
    cases.sort();
    cases
}

fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("readable").path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8").to_owned();
                let content = fs::read(&path).expect("readable");
                tree.insert(name, Some(FileState::Regular { content, executable: false }));
            }
        }
    }
    tree
}

#[track_caller]
fn check(kind: &str, n_cases: usize, apply: fn(&Patch, &Tree) -> Applied) {
    let cases = cases(kind);
    assert_eq!(cases.len(), n_cases);
    for case in cases {
        let mut files = tree(&case.join("input"));
        let text = fs::read_to_string(case.join("patch.txt")).expect("a patch");
        let (changes, error) = match Patch::parse(&text) {
            Ok(patch) => apply(&patch, &files),
            Err(error) => (Vec::new(), Some(error)),
        };
        for (path, state) in changes {
            files.insert(path, state);
        }
        files.retain(|_, state| state.is_some());
        assert_eq!(files, tree(&case.join("expected")), "{}: {error:?}", case.display());
    }
}

fn strictly(patch: &Patch, files: &Tree) -> Applied {
    match patch.apply(files) {
        Ok(changes) => (changes, None),
        Err(error) => (Vec::new(), Some(error)),
    }
}

#[test]
fn the_peers_cases_pass_in_the_peers_reading() {
    check("peer", 23, Patch::apply_like_codex);
}

#[test]
fn our_cases_pass_by_default() {
    check("ours", 5, strictly);
}

#[test]
fn one_case_of_the_peer_is_read_otherwise_by_default() {
    let differs = |case: &PathBuf| {
        let files = tree(&case.join("input"));
        let text = fs::read_to_string(case.join("patch.txt")).expect("a patch");
        Patch::parse(&text).is_ok_and(|patch| strictly(&patch, &files).0 != patch.apply_like_codex(&files).0)
    };
    let names: Vec<String> = cases("peer")
        .into_iter()
        .filter(differs)
        .map(|case| case.file_name().expect("named").to_string_lossy()[..3].to_owned())
        .collect();
    assert_eq!(names, ["015"]);
}
