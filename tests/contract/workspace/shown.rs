//! What a pull request changes, as the forge shows it.

use git2::{Oid, Repository};
use patchwright_domain::journal::CommitId;
use patchwright_domain::review::{Difference, Hunk, SHOWN_CHARS_MAX};

use super::pull::{behind, pulled};
use super::{Desk, PLAIN, tree_of};

const PULL: &str = "refs/pull/3/head";

/// Twenty lines, some of them others.
fn lines(others: &[(usize, &str)]) -> String {
    let line = |n: usize| others.iter().find(|(at, _)| *at == n).map_or_else(|| format!("line {n}"), |(_, text)| (*text).into());
    (1..=20).map(|n| line(n) + "\n").collect()
}

/// The text of a difference, which nobody outside of the domain may look into but as it is stored.
fn text(difference: &Difference) -> String {
    let stored = serde_json::to_value(difference).expect("it holds text and numbers");
    stored["text"].as_str().expect("it is text").to_owned()
}

async fn shown(desk: &Desk, head: &CommitId) -> Difference {
    let base = pulled(desk).await.adopted.base;
    desk.workspaces.shown(&desk.repo, &base, head).await.expect("both are there")
}

fn hunk(path: &str, first_line: u32, last_line: u32) -> Hunk {
    Hunk { path: path.into(), first_line, last_line }
}

fn tree(bare: &Repository, files: &[(&str, &str)]) -> Oid {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_bytes(), PLAIN)).collect();
    tree_of(bare, &files)
}

#[tokio::test]
async fn what_a_pull_request_changes_is_shown_from_where_it_left_its_branch() {
    let before = lines(&[]);
    let desk = Desk::with(&[("a", before.as_bytes(), PLAIN), ("gone", b"x\n", PLAIN)]).await;
    let bare = desk.bare();
    let after = lines(&[(2, "second"), (18, "eighteenth")]);
    let head = behind(&bare, &desk.base, PULL, tree(&bare, &[("a", &after), ("new", "one\ntwo\n")]));
    behind(&bare, &desk.base, "refs/heads/main", tree(&bare, &[("a", &before), ("gone", "x\n"), ("gained", "y\n")]));
    let difference = shown(&desk, &head).await;
    assert_eq!(difference.hunks, [hunk("a", 1, 5), hunk("a", 15, 20), hunk("new", 1, 2)], "where all is gone no line is left");
    assert!(difference.is_whole);
    let text = text(&difference);
    assert!(text.contains("@@ -1,5 +1,5 @@\n line 1\n-line 2\n+second\n line 3\n"), "{text}");
    assert!(text.contains("+one\n+two\n") && text.contains("-x\n") && !text.contains("gained"), "{text}");
}

#[tokio::test]
async fn a_long_difference_is_shown_from_its_beginning_and_says_so() {
    let desk = Desk::with(&[("a", b"x\n", PLAIN)]).await;
    let bare = desk.bare();
    let long = "many words\n".repeat(SHOWN_CHARS_MAX / 10);
    let wide = "w".repeat(5_000);
    let head = behind(&bare, &desk.base, PULL, tree(&bare, &[("a", &wide), ("b", &long), ("c", "last\n")]));
    let difference = shown(&desk, &head).await;
    let text = text(&difference);
    assert!(!difference.is_whole && text.len() <= SHOWN_CHARS_MAX && text.ends_with("+many words\n"), "{} bytes", text.len());
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest < Some(3_000) && text.contains("www…\n"), "{widest:?}");
    assert_eq!(difference.hunks.last(), Some(&hunk("c", 1, 1)), "beside what is not shown something can be said, too");
}
