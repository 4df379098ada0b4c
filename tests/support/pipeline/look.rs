//! What a person sees on GitHub, as text that is the same in every run.

use std::fmt::Write as _;

use patchwright_domain::run::Run;

use super::{ISSUE, World};
use crate::support::github::git;

impl World {
    /// The issue's comments, the pull requests and our check runs.
    pub(crate) async fn page(&self) -> String {
        let mut page = String::new();
        for comment in self.github.comments(self.repo, ISSUE) {
            let reactions: Vec<&str> = comment.reactions.iter().map(|reaction| reaction.content.as_str()).collect();
            let reactions = if reactions.is_empty() { String::new() } else { format!(" ({})", reactions.join(", ")) };
            let _ = writeln!(page, "{}:{reactions}\n{}\n", comment.user, indented(without_marker(&comment.body)));
        }
        for (issue, pull) in self.github.pull_requests(self.repo) {
            let draft = if pull.draft { "draft " } else { "" };
            let _ = writeln!(page, "{draft}pull request #{} of {} to {}: {}", issue.number, pull.head, pull.base, issue.title);
        }
        for check in self.github.check_runs(self.repo) {
            let conclusion = check.conclusion.as_deref().unwrap_or("none");
            let _ = writeln!(page, "check {} ({conclusion}): {}", check.name, check.output["title"].as_str().unwrap_or_default());
        }
        self.stable(page.trim_end()).await
    }

    /// The text of the only pull request.
    pub(crate) async fn pull_request_body(&self) -> String {
        let pulls = self.github.pull_requests(self.repo);
        assert_eq!(pulls.len(), 1, "one pull request");
        let body = pulls[0].0.body.clone().expect("it has a text");
        self.stable(without_marker(&body)).await
    }

    /// The last comment of the bot's on the issue.
    pub(crate) async fn last_words(&self) -> String {
        let comments = self.github.comments(self.repo, ISSUE);
        let ours: Vec<_> = comments.iter().filter(|comment| comment.via_app).collect();
        assert_eq!(ours.len(), 1, "one comment, which is edited and never repeated");
        self.stable(without_marker(&ours[0].body)).await
    }

    /// What was written through the API but check runs: those of one key are one, however often they are written.
    pub(crate) fn writes_beside_checks(&self) -> Vec<String> {
        self.writes().into_iter().filter(|write| !write.contains("/check-runs")).collect()
    }

    /// The files of a branch as `git ls-tree` lists them: mode, kind, object, path.
    pub(crate) async fn tree(&self, branch: &str) -> String {
        self.git(&["ls-tree", "-r", branch]).await
    }

    /// The message of a branch's last commit.
    pub(crate) async fn commit_message(&self, branch: &str) -> String {
        let message = self.git(&["show", "--no-patch", "--format=%an <%ae>%n%B", branch]).await;
        self.stable(message.trim_end()).await
    }

    /// What git says of the repository.
    pub(crate) async fn git(&self, arguments: &[&str]) -> String {
        let path = self.github.repository_path(self.repo).expect("the repository is there");
        let (done, said) = git(&path, arguments).await;
        assert!(done, "{said}");
        said
    }

    /// Puts names in the place of what differs from run to run.
    pub(crate) async fn stable(&self, text: &str) -> String {
        let web = self.github.web_url();
        let host = web.trim_start_matches("http://");
        let mut text = text.replace(web, "https://github.test").replace(host, "github.test");
        for spec in self.started().await {
            let journal = self.tools.store.journal(&spec.id(), 0).await.expect("the journal holds together");
            let run = Run::fold(&spec, &journal).expect("the journal folds");
            text = text.replace(spec.id().as_str(), "JOB").replace(spec.id().short(), "job");
            let usage = run.usage();
            // The end of another run's number is none of one that has used nothing.
            text = text.replace(&format!(" {} tokens in", usage.input_tokens), " N tokens in");
            text = text.replace(&format!(" {} out", usage.output_tokens), " N out");
            let base = run.prepared().map(|prepared| (prepared.base.clone(), "BASE"));
            let head = run.judged().map(|judged| judged.proposal.commit.clone()).or_else(|| run.proposed().cloned());
            if let Some(signed) = run.published().filter(|published| Some(&published.commit) != head.as_ref()) {
                text = text.replace(signed.commit.as_str(), "SIGNED").replace(signed.commit.short(), "SIGNED");
            }
            for (commit, name) in base.into_iter().chain(head.map(|head| (head, "HEAD"))) {
                text = text.replace(commit.as_str(), name).replace(commit.short(), name);
            }
        }
        if let Some(main) = self.github.branches(self.repo).get("main") {
            text = text.replace(main, "MAIN").replace(&main[..10], "MAIN");
        }
        let same = |line: &str| match line.split_once("; limits ") {
            _ if line.starts_with("| time |") => "| time | T | T |".to_owned(),
            // How they are kept depends on the machine.
            Some((walls, _)) if line.starts_with("Sandbox: ") => format!("{walls}; LIMITS."),
            Some(_) | None => line.to_owned(),
        };
        text.lines().map(same).collect::<Vec<_>>().join("\n")
    }
}

pub(super) fn without_marker(text: &str) -> &str {
    text.rsplit_once("\n<!-- patchwright:").map_or(text, |(text, _)| text)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
