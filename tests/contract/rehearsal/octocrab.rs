//! The client library that the real forge adapter uses understands what the rehearsal says.

use jsonwebtoken::EncodingKey;
use octocrab::{
    Octocrab, Page,
    models::{AppId, IssueState, issues::Comment, reactions::ReactionContent},
    params::{State, repos::Reference},
};
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::rehearsal::WORTHLESS_PRIVATE_KEY;

use crate::support::{
    github::{APP_ID, Stage},
    openapi::assert_conform,
};

#[tokio::test]
async fn octocrab_works_as_with_the_real_one() -> octocrab::Result<()> {
    // The library reads the machine's clock for the App's own token.
    let stage = Stage::set_at(SystemClock.now().as_second()).await;
    let number = stage.github.open_issue(stage.repo, "ada", "It does not fly", "At all.").expect("the repository is there");
    let asked = stage.github.comment(stage.repo, number, "ada", "@codex fix this").expect("the issue is there");
    stage.github.push_commit(stage.repo, "fix", "ada", &[("a", b"a", false)], "Fix").await.expect("git takes the files");
    let key = EncodingKey::from_rsa_pem(WORTHLESS_PRIVATE_KEY.as_bytes()).expect("the key is PEM");
    let app = Octocrab::builder().base_uri(stage.github.api_url())?.app(AppId(APP_ID), key).build()?;
    let installation = app.apps().get_repository_installation("octo", "rocket").await?;
    let client = app.installation(installation.id)?;
    let issues = client.issues("octo", "rocket");
    assert_eq!(issues.get(number).await?.state, IssueState::Open);
    let comment = issues.create_comment(number, "I shall").await?;
    issues.update_comment(comment.id, "I shall now").await?;
    issues.create_comment_reaction(asked, ReactionContent::Eyes).await?;
    // An installation's client sends its token to relative addresses and api.github.com only, so the link to the next
    // page is followed by its path.
    let first = issues.list_comments(number).per_page(1).send().await?;
    let next = first.next.as_ref().and_then(|next| next.path_and_query()).expect("there is a second page").to_string();
    let second: Page<Comment> = client.get(next, None::<&()>).await?;
    assert_eq!(first.items[0].body.as_deref(), Some("@codex fix this"));
    assert_eq!(second.items[0].body.as_deref(), Some("I shall now"));
    let pulls = client.pulls("octo", "rocket");
    let pull = pulls.create("Fix it", "fix", "main").body("Done.").draft(true).send().await?;
    let found = pulls.list().state(State::Open).head("octo:fix").send().await?;
    assert_eq!(found.items.first().map(|found| found.number), Some(pull.number));
    assert_eq!(pulls.get(pull.number).await?.draft, Some(true));
    let repos = client.repos("octo", "rocket");
    assert_eq!(repos.get().await?.default_branch.as_deref(), Some("main"));
    assert!(repos.get_ref(&Reference::Branch("fix".to_owned())).await.is_ok());
    let contents = repos.get_content().path("README.md").r#ref("main").send().await?;
    assert_eq!(contents.items[0].decoded_content().as_deref(), Some("# Rocket\n"));
    let sha = &stage.github.branches(stage.repo)["fix"];
    let run = client.checks("octo", "rocket").create_check_run("proof", sha).external_id("job-1").send().await?;
    assert_eq!(run.name, "proof");
    assert_conform(&stage.github.exchanges());
    stage.github.stop().await;
    Ok(())
}
