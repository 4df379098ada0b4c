//! Reviews of pull requests: what somebody says of one as a whole, and beside its lines.

use serde_json::{Value, json};

use super::{
    Error, Rehearsal, body, git,
    scene::{Account, Issue, Pull, Repository, RepositoryId, Review, ReviewComment},
    world::World,
};

/// Something that a review says beside a line, or beside several.
#[derive(Clone, Copy, Debug)]
pub struct Remark<'a> {
    /// The file.
    pub path: &'a str,
    /// The first line after the change, where there are several.
    pub start_line: Option<u64>,
    /// The line after the change, from 1; it must be among those that the pull request shows.
    pub line: u64,
    /// Markdown.
    pub text: &'a str,
}

impl Rehearsal {
    /// Reviews a pull request: `state` is `commented`, `approved` or `changes_requested`. Gives the review's number.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such pull request, or it shows no such line.
    pub fn review(
        &self,
        repo: RepositoryId,
        pull_request: u64,
        user: &str,
        state: &'static str,
        (text, remarks): (&str, &[Remark<'_>]),
    ) -> Result<u64, Error> {
        self.shared.with(|world| {
            world.ensure_user(user, Account::User);
            world.add_review(repo, pull_request, user, (state, None), (text, remarks))
        })
    }

    /// The reviews of a pull request, oldest first.
    pub fn reviews(&self, repo: RepositoryId, pull_request: u64) -> Vec<Review> {
        let reviews = |world: &mut World| Some(world.issue(repo, pull_request)?.pull.as_ref()?.reviews.clone());
        self.shared.with(reviews).unwrap_or_default()
    }

    /// What reviews say beside the lines of a pull request, oldest first.
    pub fn review_comments(&self, repo: RepositoryId, pull_request: u64) -> Vec<ReviewComment> {
        let comments = |world: &mut World| {
            let pull = world.issue(repo, pull_request)?.pull.as_ref()?;
            Some(pull.reviews.iter().flat_map(|review| review.comments.clone()).collect())
        };
        self.shared.with(comments).unwrap_or_default()
    }

    /// Answers what a review says beside a line.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such comment, or it is an answer itself.
    pub fn reply_to_review_comment(&self, repo: RepositoryId, comment: u64, user: &str, text: &str) -> Result<u64, Error> {
        let reply = |world: &mut World| {
            world.ensure_user(user, Account::User);
            world.reply_to_remark(repo, comment, user, text)
        };
        self.shared.with(reply).ok_or(Error::Unknown("comment"))
    }

    /// Rewrites what a review says as a whole.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such review.
    pub fn edit_review(&self, repo: RepositoryId, review: u64, user: &str, text: &str) -> Result<(), Error> {
        self.shared.with(|world| world.edit_review(repo, review, user, text)).ok_or(Error::Unknown("review"))
    }

    /// Rewrites what a review says beside a line.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such comment.
    pub fn edit_review_comment(&self, repo: RepositoryId, comment: u64, user: &str, text: &str) -> Result<(), Error> {
        self.shared.with(|world| world.edit_review_comment(repo, comment, user, text)).ok_or(Error::Unknown("comment"))
    }
}

impl World {
    pub(super) fn add_review(
        &mut self,
        repo: RepositoryId,
        number: u64,
        user: &str,
        (state, of_commit): (&'static str, Option<&str>),
        (text, remarks): (&str, &[Remark<'_>]),
    ) -> Result<u64, Error> {
        let (id, now) = (self.next_id(), self.now());
        let found = self.repository(repo).ok_or(Error::Unknown("repository"))?;
        let pull = self.issue(repo, number).and_then(|issue| issue.pull.as_ref()).ok_or(Error::Unknown("pull request"))?;
        let (path, commit) = (found.path.clone(), of_commit.unwrap_or(&pull.head_sha).to_owned());
        let compared = git::compare(&path, &pull.base_sha, &commit).ok_or(Error::Unknown("pull request"))?;
        let mut comments = Vec::new();
        for Remark { path, start_line, line, text } in remarks {
            let change = compared.changes.iter().find(|change| change.path == *path);
            let hunk = change.and_then(|change| hunk_down_to(change.patch.as_deref()?, start_line.unwrap_or(*line), *line));
            comments.push(ReviewComment {
                id: self.next_id(),
                path: (*path).to_owned(),
                start_line: *start_line,
                line: *line,
                hunk: hunk.ok_or(Error::Unknown("line of the pull request"))?,
                body: (*text).to_owned(),
                answers: None,
                created_at: now,
                updated_at: now,
                reactions: Vec::new(),
            });
        }
        let remarked: Vec<u64> = comments.iter().map(|comment| comment.id).collect();
        let review = Review { id, user: user.into(), body: text.into(), state, commit, submitted_at: now, comments };
        let pull = self.issue_mut(repo, number).and_then(|issue| issue.pull.as_mut());
        pull.ok_or(Error::Unknown("pull request"))?.reviews.push(review);
        self.announce_review(repo, id, "submitted", user, json!({}));
        for comment in remarked {
            self.announce_review_comment(repo, comment, "created", user, json!({}));
        }
        Ok(id)
    }

    /// Answers a comment beside a line, which must head what is said there. GitHub makes a review of its own of that.
    pub(super) fn reply_to_remark(&mut self, repo: RepositoryId, comment: u64, user: &str, text: &str) -> Option<u64> {
        let (id, review_id, now) = (self.next_id(), self.next_id(), self.now());
        let (issue, _, review) = self.reviewed(repo, |review| review.comments.iter().any(|one| one.id == comment))?;
        let head = review.comments.iter().find(|one| one.id == comment && one.answers.is_none())?.clone();
        let (body, reactions) = (text.to_owned(), Vec::new());
        let reply = ReviewComment { id, body, answers: Some(comment), created_at: now, updated_at: now, reactions, ..head };
        let review = Review {
            id: review_id,
            user: user.into(),
            body: String::new(),
            state: "commented",
            commit: review.commit,
            submitted_at: now,
            comments: vec![reply],
        };
        self.issue_mut(repo, issue.number)?.pull.as_mut()?.reviews.push(review);
        self.announce_review(repo, review_id, "submitted", user, json!({}));
        self.announce_review_comment(repo, id, "created", user, json!({}));
        Some(id)
    }

    fn edit_review(&mut self, repo: RepositoryId, id: u64, user: &str, text: &str) -> Option<()> {
        let review = self.reviews_mut(repo)?.find(|review| review.id == id)?;
        let before = std::mem::replace(&mut review.body, text.to_owned());
        self.announce_review(repo, id, "edited", user, json!({"changes": {"body": {"from": before}}}));
        Some(())
    }

    fn edit_review_comment(&mut self, repo: RepositoryId, id: u64, user: &str, text: &str) -> Option<()> {
        let now = self.now();
        let comment = self.review_comment_mut(repo, id)?;
        let before = std::mem::replace(&mut comment.body, text.to_owned());
        comment.updated_at = now;
        self.announce_review_comment(repo, id, "edited", user, json!({"changes": {"body": {"from": before}}}));
        Some(())
    }

    fn reviews_mut(&mut self, repo: RepositoryId) -> Option<impl Iterator<Item = &mut Review>> {
        let pulls = self.repository_mut(repo)?.issues.values_mut().filter_map(|issue| issue.pull.as_mut());
        Some(pulls.flat_map(|pull| &mut pull.reviews))
    }

    pub(super) fn review_comment_mut(&mut self, repo: RepositoryId, id: u64) -> Option<&mut ReviewComment> {
        self.reviews_mut(repo)?.flat_map(|review| &mut review.comments).find(|comment| comment.id == id)
    }

    fn announce_review(&mut self, repo: RepositoryId, id: u64, action: &str, sender: &str, more: Value) {
        let is_it = |review: &Review| review.id == id;
        let Some((issue, pull, review)) = self.reviewed(repo, is_it) else { return };
        let shapes = self.shape(repo, |world, repo| {
            json!({
                "action": action,
                "review": review_body(world, repo, &issue, &review),
                "pull_request": body::pull_simple(world, repo, &issue, &pull),
            })
        });
        self.announce("pull_request_review", repo, sender, body::merged(shapes, more));
    }

    fn announce_review_comment(&mut self, repo: RepositoryId, id: u64, action: &str, sender: &str, more: Value) {
        let is_it = |comment: &&ReviewComment| comment.id == id;
        let Some((issue, pull, review)) = self.reviewed(repo, |review| review.comments.iter().any(|one| is_it(&one))) else {
            return;
        };
        let Some(comment) = review.comments.iter().find(is_it) else { return };
        let shapes = self.shape(repo, |world, repo| {
            json!({
                "action": action,
                "comment": comment_body(world, repo, &issue, (&review, comment)),
                "pull_request": body::pull_simple(world, repo, &issue, &pull),
            })
        });
        self.announce("pull_request_review_comment", repo, sender, body::merged(shapes, more));
    }

    fn reviewed(&self, repo: RepositoryId, is_it: impl Fn(&Review) -> bool) -> Option<(Issue, Pull, Review)> {
        self.repository(repo)?.issues.values().find_map(|issue| {
            let pull = issue.pull.as_ref()?;
            let review = pull.reviews.iter().find(|review| is_it(review))?;
            Some((issue.clone(), pull.clone(), review.clone()))
        })
    }
}

/// The hunk that shows all of some lines, down to the last, as it stands above a comment.
fn hunk_down_to(patch: &str, first: u64, line: u64) -> Option<String> {
    let (mut hunk, mut at, mut is_begun) = (Vec::new(), 0, false);
    for text in patch.lines() {
        if let Some(header) = text.strip_prefix("@@ ") {
            let start = header.split('+').nth(1)?.split([',', ' ']).next()?.parse::<u64>().ok()?;
            (hunk, at, is_begun) = (Vec::new(), start.saturating_sub(1), false);
        } else if text.starts_with(['+', ' ']) {
            at += 1;
        }
        hunk.push(text);
        is_begun |= at == first && text.starts_with(['+', ' ']);
        if at == line && is_begun && text.starts_with(['+', ' ']) {
            return Some(hunk.join("\n"));
        }
    }
    None
}

/// A review as the API tells of it, which writes its state in capitals; webhooks do not.
pub(super) fn shape(world: &World, repo: &Repository, issue: &Issue, found: &Review) -> Value {
    let mut shape = review_body(world, repo, issue, found);
    shape["body"] = found.body.as_str().into();
    shape["state"] = found.state.to_uppercase().into();
    shape
}

fn review_body(world: &World, repo: &Repository, issue: &Issue, found: &Review) -> Value {
    let (api, page) = (world.repository_api(repo), body::issue_page(world, repo, issue));
    let (page, pull) = (format!("{page}#pullrequestreview-{}", found.id), format!("{api}/pulls/{}", issue.number));
    json!({
        "id": found.id,
        "node_id": body::node_id("PullRequestReview", found.id),
        "user": body::user(world, &found.user),
        "body": if found.body.is_empty() { Value::Null } else { found.body.as_str().into() },
        "commit_id": found.commit,
        "submitted_at": body::time(found.submitted_at),
        "state": found.state,
        "html_url": page,
        "pull_request_url": pull,
        "author_association": body::association(repo, &found.user),
        "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
    })
}

/// All that stands beside lines of a pull request.
pub(super) fn comment_bodies(world: &World, repo: &Repository, issue: &Issue, pull: &Pull) -> Vec<Value> {
    let comments = pull.reviews.iter().flat_map(|review| review.comments.iter().map(move |comment| (review, comment)));
    comments.map(|comment| comment_body(world, repo, issue, comment)).collect()
}

fn comment_body(world: &World, repo: &Repository, issue: &Issue, (review, found): (&Review, &ReviewComment)) -> Value {
    let (api, page) = (world.repository_api(repo), body::issue_page(world, repo, issue));
    let url = format!("{api}/pulls/comments/{}", found.id);
    let (page, pull) = (format!("{page}#discussion_r{}", found.id), format!("{api}/pulls/{}", issue.number));
    // The position counts lines below the first hunk's header; ours is that of a file with one hunk.
    let position = found.hunk.lines().count().saturating_sub(1);
    let mut shape = json!({
        "url": url,
        "pull_request_review_id": review.id,
        "id": found.id,
        "node_id": body::node_id("PullRequestReviewComment", found.id),
        "diff_hunk": found.hunk,
        "path": found.path,
        "position": position,
        "original_position": position,
        "commit_id": review.commit,
        "original_commit_id": review.commit,
        "user": body::user(world, &review.user),
        "body": found.body,
        "created_at": body::time(found.created_at),
        "updated_at": body::time(found.updated_at),
        "html_url": page,
        "pull_request_url": pull,
        "author_association": body::association(repo, &review.user),
        "_links": {"self": {"href": url}, "html": {"href": page}, "pull_request": {"href": pull}},
        "reactions": body::reactions(&url, &found.reactions),
        "start_line": found.start_line,
        "original_start_line": found.start_line,
        "start_side": found.start_line.map(|_| "RIGHT"),
        "line": found.line,
        "original_line": found.line,
        "side": "RIGHT",
        "subject_type": "line",
    });
    if let Some(head) = found.answers {
        shape["in_reply_to_id"] = head.into();
    }
    shape
}
