//! Real git clones and pushes with a token.

use std::path::Path;

use patchwright::rehearsal::fault::Fault;
use serde_json::{Value, json};

use crate::support::github::{Stage, git};

async fn must(directory: &Path, arguments: &[&str]) -> String {
    let (succeeded, said) = git(directory, arguments).await;
    assert!(succeeded, "git {arguments:?}: {said}");
    said
}

/// Clones with a token and commits a change on a branch.
async fn clone_and_commit(stage: &Stage, token: &str, branch: &str) -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().expect("there is room for a folder");
    must(folder.path(), &["clone", "--quiet", &stage.remote(token), "."]).await;
    must(folder.path(), &["checkout", "--quiet", "-b", branch]).await;
    std::fs::write(folder.path().join("wings.txt"), "wings\n").expect("the folder is ours");
    must(folder.path(), &["add", "."]).await;
    must(folder.path(), &["commit", "--quiet", "--message", "Add wings"]).await;
    folder
}

#[tokio::test]
async fn a_push_shows_up() {
    let stage = Stage::set().await;
    let token = stage.token(Value::Null).await;
    let folder = clone_and_commit(&stage, &token, "fix").await;
    assert_eq!(std::fs::read_to_string(folder.path().join("README.md")).ok().as_deref(), Some("# Rocket\n"));
    must(folder.path(), &["push", "--quiet", "origin", "fix"]).await;
    let sha = must(folder.path(), &["rev-parse", "HEAD"]).await;
    assert_eq!(stage.github.branches(stage.repo)["fix"], sha.trim());
    assert_eq!(stage.github.file(stage.repo, "fix", "wings.txt").await, Some((b"wings\n".to_vec(), false)));
    assert_eq!(stage.github.file(stage.repo, "fix", "bin/launch").await.map(|(_, executable)| executable), Some(true));
    let found = stage.get("/repos/octo/rocket/branches/fix", &token).await.body;
    assert_eq!(found["commit"]["files"][0]["filename"], "wings.txt");
    stage.github.stop().await;
}

#[tokio::test]
async fn a_push_needs_a_token_that_may_write_there() {
    let stage = Stage::set().await;
    stage.github.create_repository("octo", "other", &[("a", b"a", false)]).await.expect("the names are fine");
    let reader = stage.token(json!({"permissions": {"contents": "read"}})).await;
    let folder = clone_and_commit(&stage, &reader, "fix").await;
    let elsewhere = stage.token(json!({"repositories": ["other"]})).await;
    let blind = stage.token(json!({"permissions": {"issues": "write"}})).await;
    for (token, expected) in
        [(reader.as_str(), "403"), (&blind, "403"), (&elsewhere, "not found"), ("ghs_made_up", "Authentication failed")]
    {
        let (succeeded, said) = git(folder.path(), &["push", &stage.remote(token), "fix"]).await;
        assert!(!succeeded && said.contains(expected), "{expected}: {said}");
    }
    for token in [&elsewhere, &blind] {
        assert!(!git(folder.path(), &["ls-remote", &stage.remote(token)]).await.0);
    }
    assert_eq!(stage.github.branches(stage.repo).len(), 1);
    stage.github.stop().await;
}

#[tokio::test]
async fn a_push_beyond_gits_post_buffer_arrives_whole() {
    let stage = Stage::set().await;
    let token = stage.token(Value::Null).await;
    let folder = clone_and_commit(&stage, &token, "fix").await;
    // What does not compress is sent in chunks of unknown total length.
    let mut state = 1u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let noise: Vec<u8> = (0..2 << 20).map(step).collect();
    std::fs::write(folder.path().join("noise"), &noise).expect("the folder is ours");
    must(folder.path(), &["add", "."]).await;
    must(folder.path(), &["commit", "--quiet", "--message", "Add noise"]).await;
    must(folder.path(), &["push", "--quiet", "origin", "fix"]).await;
    assert!(stage.github.file(stage.repo, "fix", "noise").await.is_some_and(|(bytes, _)| bytes == noise));
    stage.github.stop().await;
}

#[tokio::test]
async fn an_app_without_the_permission_pushes_no_workflows() {
    let stage = Stage::set().await;
    let token = stage.token(Value::Null).await;
    let folder = clone_and_commit(&stage, &token, "fix").await;
    std::fs::create_dir_all(folder.path().join(".github/workflows")).expect("the folder is ours");
    std::fs::write(folder.path().join(".github/workflows/ci.yml"), "on: push\n").expect("the folder is ours");
    must(folder.path(), &["add", "."]).await;
    must(folder.path(), &["commit", "--quiet", "--message", "Add a workflow"]).await;
    let (succeeded, said) = git(folder.path(), &["push", "origin", "fix"]).await;
    let expected = "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows`";
    assert!(!succeeded && said.contains(expected), "{said}");
    must(folder.path(), &["push", "origin", "HEAD~1:refs/heads/fix"]).await;
    stage.github.stop().await;
}

#[tokio::test]
async fn a_push_can_be_refused_or_its_answer_lost() {
    let stage = Stage::set().await;
    let token = stage.token(Value::Null).await;
    let folder = clone_and_commit(&stage, &token, "fix").await;
    stage.github.fault(Fault::refuse_push("octo/rocket", "no pushing on Sundays"));
    let (succeeded, said) = git(folder.path(), &["push", "origin", "fix"]).await;
    assert!(!succeeded && said.contains("no pushing on Sundays") && said.contains("remote rejected"), "{said}");
    stage.github.protect_branch(stage.repo, "main").expect("the repository is there");
    let (succeeded, said) = git(folder.path(), &["push", "origin", "fix:main"]).await;
    assert!(!succeeded && said.contains("GH006"), "{said}");
    assert_eq!(stage.github.branches(stage.repo).len(), 1);
    stage.github.fault(Fault::lose_answer("POST", "/octo/rocket.git/git-receive-pack"));
    assert!(!git(folder.path(), &["push", "origin", "fix"]).await.0);
    assert_eq!(stage.github.branches(stage.repo).len(), 2);
    must(folder.path(), &["push", "origin", "fix"]).await;
    stage.github.stop().await;
}
