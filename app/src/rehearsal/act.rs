//! What happens in the rehearsed GitHub: each act changes the world and sends the webhooks that GitHub would send.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    body, check_body, git, repository_body,
    scene::{Account, CheckRun, Comment, Installation, Issue, Pull, Reaction, Repository, RepositoryId, Role, State},
    world::World,
};

const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// What a new pull request is made of.
pub(super) struct NewPull {
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) head_repo: RepositoryId,
    pub(super) head: String,
    pub(super) base: String,
    pub(super) draft: bool,
    pub(super) maintainer_can_modify: bool,
}

impl World {
    /// Registers a repository whose git side is there already, and installs the App for its owner.
    pub(super) fn add_repository(&mut self, owner: &str, name: &str, default_branch: &str) -> RepositoryId {
        let repository = self.new_repository(owner, name, default_branch);
        let id = repository.id;
        let brief = repository_body::brief(&repository);
        self.repositories.push(repository);
        if self.installation_of(owner).is_some() {
            let more = json!({"repository_selection": "all", "repositories_added": [brief], "repositories_removed": [], "requester": null});
            self.announce_installation("installation_repositories", "added", owner, more);
        } else {
            let permissions = self.settings.permissions.clone();
            let id = self.next_id() % 100_000_000;
            let created_at = self.now();
            self.installations.push(Installation { id, account: owner.to_owned(), permissions, created_at, suspended_at: None });
            self.announce_installation("installation", "created", owner, json!({"repositories": [brief]}));
        }
        id
    }

    /// Registers a fork whose git side is there already; the App knows nothing of it.
    pub(super) fn add_fork(&mut self, of: RepositoryId, user: &str) -> Option<RepositoryId> {
        let (name, branch) = self.repository(of).map(|repo| (repo.name.clone(), repo.default_branch.clone()))?;
        let fork = Repository { fork_of: Some(of), ..self.new_repository(user, &name, &branch) };
        let id = fork.id;
        self.repositories.push(fork);
        Some(id)
    }

    fn new_repository(&mut self, owner: &str, name: &str, default_branch: &str) -> Repository {
        self.ensure_user(owner, Account::User);
        let path = self.root.join(owner).join(format!("{name}.git"));
        let heads = git::heads(&path).unwrap_or_default();
        Repository {
            id: RepositoryId(self.next_id()),
            owner: owner.to_owned(),
            name: name.to_owned(),
            default_branch: default_branch.to_owned(),
            fork_of: None,
            path,
            heads,
            is_archived: false,
            pushed_at: self.now(),
            has_issues: true,
            protected: BTreeSet::new(),
            roles: BTreeMap::from([(owner.to_lowercase(), Role::Admin)]),
            teams: BTreeSet::new(),
            issues: BTreeMap::new(),
            checks: Vec::new(),
            created_at: self.now(),
        }
    }

    pub(super) fn announce_installation(&mut self, event: &'static str, action: &str, owner: &str, more: Value) {
        let installation = self.installation_of(owner).map_or(Value::Null, |found| body::installation(self, found));
        let payload = json!({"action": action, "installation": installation, "sender": body::user(self, owner)});
        self.send(event, body::merged(payload, more));
    }

    /// Suspends the App's installation of an account, or lifts the suspension.
    pub(super) fn set_suspended(&mut self, owner: &str, suspended: bool) -> Option<()> {
        let now = self.now();
        let found = self.installations.iter_mut().find(|found| found.account.eq_ignore_ascii_case(owner))?;
        found.suspended_at = suspended.then_some(now);
        let action = if suspended { "suspend" } else { "unsuspend" };
        self.announce_installation("installation", action, owner, json!({}));
        Some(())
    }

    fn announce_issue(&mut self, repo: RepositoryId, number: u64, action: &str, sender: &str, more: Value) {
        let Some(issue) = self.issue(repo, number) else { return };
        let (event, name) = if issue.pull.is_some() { ("pull_request", "pull_request") } else { ("issues", "issue") };
        let shape = self.shape(repo, |world, repo| match &issue.pull {
            Some(pull) => body::pull(world, repo, issue, pull),
            None => body::issue(world, repo, issue),
        });
        let mut fields = json!({"action": action, name: shape});
        if issue.pull.is_some() {
            fields = body::merged(fields, json!({"number": number}));
        }
        self.announce(event, repo, sender, body::merged(fields, more));
    }

    /// Opens an issue and gives its number.
    pub(super) fn open_issue(&mut self, repo: RepositoryId, user: &str, title: &str, body: &str) -> Option<u64> {
        let issue = self.new_issue(repo, user, title, Some(body.to_owned()))?;
        let number = issue.number;
        self.repository_mut(repo)?.issues.insert(number, issue);
        self.announce_issue(repo, number, "opened", user, json!({}));
        Some(number)
    }

    fn new_issue(&mut self, repo: RepositoryId, user: &str, title: &str, body: Option<String>) -> Option<Issue> {
        let number = self.repository(repo)?.issues.last_key_value().map_or(0, |(last, _)| *last) + 1;
        let now = self.now();
        self.ensure_user(user, Account::User);
        Some(Issue {
            id: self.next_id(),
            number,
            user: user.to_owned(),
            title: title.to_owned(),
            body,
            labels: Vec::new(),
            assignees: Vec::new(),
            state: State::Open,
            locked: false,
            via_app: user == self.bot_login(),
            created_at: now,
            updated_at: now,
            closed_at: None,
            comments: Vec::new(),
            reactions: Vec::new(),
            pull: None,
        })
    }

    /// Puts a label on an issue or pull request, or takes it off.
    pub(super) fn set_label(&mut self, repo: RepositoryId, number: u64, user: &str, label: &str, on: bool) -> Option<()> {
        let issue = self.issue_mut(repo, number)?;
        let action = if on { "labeled" } else { "unlabeled" };
        issue.labels.retain(|name| name != label);
        if on {
            issue.labels.push(label.to_owned());
        }
        let shape = self.shape(repo, |world, repo| body::label(world, repo, label));
        self.announce_issue(repo, number, action, user, json!({"label": shape}));
        Some(())
    }

    /// Assigns an issue or pull request to somebody more.
    pub(super) fn assign(&mut self, repo: RepositoryId, number: u64, user: &str, assignee: &str) -> Option<()> {
        self.ensure_user(assignee, Account::User);
        let now = self.now();
        let issue = self.issue_mut(repo, number)?;
        issue.assignees.push(assignee.to_owned());
        issue.updated_at = now;
        self.announce_issue(repo, number, "assigned", user, json!({"assignee": body::user(self, assignee)}));
        Some(())
    }

    pub(super) fn request_review(&mut self, repo: RepositoryId, number: u64, user: &str, reviewer: &str) -> Option<()> {
        self.ensure_user(reviewer, Account::User);
        let now = self.now();
        let issue = self.issue_mut(repo, number)?;
        issue.pull.as_mut()?.requested_reviewers.push(reviewer.to_owned());
        issue.updated_at = now;
        let asked = json!({"requested_reviewer": body::user(self, reviewer)});
        self.announce_issue(repo, number, "review_requested", user, asked);
        Some(())
    }

    pub(super) fn request_team_review(&mut self, repo: RepositoryId, number: u64, user: &str, team: &str) -> Option<()> {
        let now = self.now();
        let issue = self.issue_mut(repo, number)?;
        issue.pull.as_mut()?.requested_teams.push(team.to_owned());
        issue.updated_at = now;
        let asked = self.shape(repo, |world, repo| json!({"requested_team": body::team(world, repo, team)}));
        self.announce_issue(repo, number, "review_requested", user, asked);
        Some(())
    }

    pub(super) fn dispatch(&mut self, repo: RepositoryId, user: &str, event_type: &str, payload: Value) -> Option<()> {
        self.ensure_user(user, Account::User);
        let branch = self.repository(repo)?.default_branch.clone();
        let fields = json!({"action": event_type, "branch": branch, "client_payload": payload});
        self.announce("repository_dispatch", repo, user, fields);
        Some(())
    }

    pub(super) fn start_workflow(&mut self, repo: RepositoryId, user: &str, file: &str, inputs: Value) -> Option<()> {
        self.ensure_user(user, Account::User);
        let reference = format!("refs/heads/{}", self.repository(repo)?.default_branch);
        let fields = json!({"inputs": inputs, "ref": reference, "workflow": format!(".github/workflows/{file}")});
        self.announce("workflow_dispatch", repo, user, fields);
        Some(())
    }

    /// Closes or reopens an issue or pull request.
    pub(super) fn set_state(&mut self, repo: RepositoryId, number: u64, user: &str, state: State) -> Option<()> {
        let now = self.now();
        let issue = self.issue_mut(repo, number)?;
        if issue.state == state {
            return Some(());
        }
        issue.state = state;
        issue.closed_at = (state == State::Closed).then_some(now);
        issue.updated_at = now;
        let action = if state == State::Closed { "closed" } else { "reopened" };
        self.announce_issue(repo, number, action, user, json!({}));
        Some(())
    }

    /// Changes the title, the body or the base of an issue or pull request.
    pub(super) fn edit_issue(&mut self, repo: RepositoryId, number: u64, user: &str, wanted: &Value) -> Option<()> {
        let (now, heads) = (self.now(), self.repository(repo)?.heads.clone());
        let issue = self.issue_mut(repo, number)?;
        let mut changes = json!({});
        if let Some(title) = wanted.get("title").and_then(Value::as_str).filter(|title| *title != issue.title) {
            changes = body::merged(changes, json!({"title": {"from": issue.title}}));
            issue.title = title.to_owned();
        }
        if let Some(text) = wanted.get("body").and_then(Value::as_str).filter(|text| Some(*text) != issue.body.as_deref()) {
            changes = body::merged(changes, json!({"body": {"from": issue.body}}));
            issue.body = Some(text.to_owned());
        }
        let base = wanted.get("base").and_then(Value::as_str);
        if let (Some(pull), Some(base)) = (&mut issue.pull, base) {
            changes = body::merged(changes, json!({"base": {"ref": {"from": pull.base}, "sha": {"from": pull.base_sha}}}));
            pull.base_sha = heads.get(base)?.clone();
            pull.base = base.to_owned();
        }
        if changes != json!({}) {
            issue.updated_at = now;
            self.announce_issue(repo, number, "edited", user, json!({"changes": changes}));
        }
        Some(())
    }

    fn announce_comment(&mut self, repo: RepositoryId, id: u64, action: &str, sender: &str, more: Value) {
        let Some((issue, comment)) = self.comment(repo, id) else { return };
        let (issue, comment) = (issue.clone(), comment.clone());
        let issue_shape = self.shape(repo, |world, repo| body::issue(world, repo, &issue));
        let comment_shape = self.shape(repo, |world, repo| body::comment(world, repo, &issue, &comment));
        let fields = json!({"action": action, "issue": issue_shape, "comment": comment_shape});
        self.announce("issue_comment", repo, sender, body::merged(fields, more));
    }

    /// Comments on an issue or pull request and gives the comment's number.
    pub(super) fn comment_on(&mut self, repo: RepositoryId, number: u64, user: &str, body: &str) -> Option<u64> {
        let (id, now, via_app) = (self.next_id(), self.now(), user == self.bot_login());
        self.issue(repo, number)?;
        self.ensure_user(user, Account::User);
        let (user, body) = (user.to_owned(), body.to_owned());
        let author = user.clone();
        let comment = Comment { id, issue: number, user, body, via_app, created_at: now, updated_at: now, reactions: Vec::new() };
        self.issue_mut(repo, number)?.comments.push(comment);
        self.announce_comment(repo, id, "created", &author, json!({}));
        Some(id)
    }

    /// Rewrites a comment.
    pub(super) fn edit_comment(&mut self, repo: RepositoryId, id: u64, user: &str, text: &str) -> Option<()> {
        let now = self.now();
        let comment = self.comment_mut(repo, id)?;
        let before = std::mem::replace(&mut comment.body, text.to_owned());
        comment.updated_at = now;
        self.announce_comment(repo, id, "edited", user, json!({"changes": {"body": {"from": before}}}));
        Some(())
    }

    /// Deletes a comment.
    pub(super) fn delete_comment(&mut self, repo: RepositoryId, id: u64, user: &str) -> Option<()> {
        let number = self.comment(repo, id)?.0.number;
        self.announce_comment(repo, id, "deleted", user, json!({}));
        self.issue_mut(repo, number)?.comments.retain(|comment| comment.id != id);
        Some(())
    }

    /// Makes a reaction; GitHub sends no webhook for it.
    pub(super) fn new_reaction(&mut self, user: &str, content: &str) -> Reaction {
        Reaction { id: self.next_id(), user: user.to_owned(), content: content.to_owned(), created_at: self.now() }
    }

    /// Opens a pull request between two branches that are there, and gives its number.
    pub(super) fn open_pull(&mut self, repo: RepositoryId, user: &str, new: NewPull) -> Option<u64> {
        let from = self.repository(new.head_repo)?;
        let (head_sha, source) = (from.heads.get(&new.head)?.clone(), from.path.clone());
        let target = self.repository(repo)?;
        let (base_sha, path) = (target.heads.get(&new.base)?.clone(), target.path.clone());
        let mut issue = self.new_issue(repo, user, &new.title, new.body)?;
        let number = issue.number;
        git::show_pull(&path, &source, number, &new.head).ok()?;
        issue.pull = Some(Pull {
            id: self.next_id(),
            draft: new.draft,
            head_repo: new.head_repo,
            head: new.head,
            head_sha,
            base: new.base,
            base_sha,
            maintainer_can_modify: new.maintainer_can_modify,
            mergeability_known: false,
            reviews: Vec::new(),
            requested_reviewers: Vec::new(),
            requested_teams: Vec::new(),
        });
        self.repository_mut(repo)?.issues.insert(number, issue);
        self.announce_issue(repo, number, "opened", user, json!({}));
        Some(number)
    }

    /// Adds a check run or replaces the one of the same number, and tells of it.
    pub(super) fn put_check(&mut self, repo: RepositoryId, run: CheckRun, sender: &str) -> Option<()> {
        let checks = &mut self.repository_mut(repo)?.checks;
        let known = checks.iter().position(|other| other.id == run.id);
        let was_completed = known.is_some_and(|at| checks[at].status == "completed");
        match known {
            Some(at) => checks[at] = run.clone(),
            None => checks.push(run.clone()),
        }
        let shape = self.shape(repo, |world, repo| {
            let suite = json!({"check_suite": check_body::check_suite(world, repo, &run)});
            body::merged(check_body::check_run(world, repo, &run), suite)
        });
        if known.is_none() {
            self.announce("check_run", repo, sender, json!({"action": "created", "check_run": shape}));
        }
        if run.status == "completed" && !was_completed {
            self.announce("check_run", repo, sender, json!({"action": "completed", "check_run": shape}));
        }
        Some(())
    }

    /// Tells of a check run that somebody asks for once more.
    pub(super) fn ask_for_check(&mut self, repo: RepositoryId, check: u64, user: &str) -> Option<()> {
        self.tell_of_wish(repo, check, user, json!({"action": "rerequested"}))
    }

    /// Tells of a button beside a check run that somebody presses, where it is there.
    pub(super) fn press(&mut self, repo: RepositoryId, check: u64, user: &str, identifier: &str) -> Option<()> {
        let run = self.repository(repo)?.checks.iter().find(|run| run.id == check)?;
        run.actions.iter().find(|action| action["identifier"] == identifier)?;
        let pressed = json!({"action": "requested_action", "requested_action": {"identifier": identifier}});
        self.tell_of_wish(repo, check, user, pressed)
    }

    fn tell_of_wish(&mut self, repo: RepositoryId, check: u64, user: &str, wish: Value) -> Option<()> {
        let run = self.repository(repo)?.checks.iter().find(|run| run.id == check)?.clone();
        let shape = self.shape(repo, |world, repo| {
            let suite = json!({"check_suite": check_body::check_suite(world, repo, &run)});
            body::merged(check_body::check_run(world, repo, &run), suite)
        });
        self.announce("check_run", repo, user, body::merged(wish, json!({"check_run": shape})));
        Some(())
    }

    /// Tells of a job that has ended what GitHub tells beside its check run: its suite, its workflow's run, and nothing in order.
    pub(super) fn tell_of_job(&mut self, repo: RepositoryId, run: &CheckRun) {
        let suite = self.shape(repo, |world, repo| check_body::check_suite(world, repo, run));
        self.announce("check_suite", repo, "github-actions[bot]", json!({"action": "completed", "check_suite": suite}));
        let workflow = self.shape(repo, |world, repo| check_body::workflow_run(world, repo, run));
        self.announce("workflow_run", repo, "github-actions[bot]", json!({"action": "completed", "workflow_run": workflow}));
    }

    /// Compares the branches with what was last seen, and tells of every one that was made, moved or removed.
    pub(super) fn observe_branches(&mut self, repo: RepositoryId, pusher: &str) -> Result<(), git2::Error> {
        let Some(found) = self.repository(repo) else { return Ok(()) };
        let now = git::heads(&found.path)?;
        let (before, at) = (found.heads.clone(), self.now());
        if let Some(found) = self.repository_mut(repo).filter(|found| found.heads != now) {
            found.heads.clone_from(&now);
            found.pushed_at = at;
        }
        let branches: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        for branch in branches {
            let (old, new) = (before.get(branch), now.get(branch));
            if old != new {
                self.announce_push(repo, branch, old, new, pusher);
                self.move_pulls(repo, branch, new, pusher);
            }
        }
        Ok(())
    }

    fn announce_push(&mut self, id: RepositoryId, branch: &str, old: Option<&String>, new: Option<&String>, pusher: &str) {
        let Some(repo) = self.repository(id) else { return };
        let page = format!("{}/{}", self.web, repo.full_name());
        let short = |sha: Option<&String>| sha.map_or(NO_COMMIT, String::as_str)[..12].to_owned();
        let forced = matches!((old, new), (Some(old), Some(new)) if git::is_forced(&repo.path, old, new));
        let commits: Vec<Value> = match new {
            Some(new) => git::pushed(&repo.path, old.map(String::as_str), new),
            None => Vec::new(),
        }
        .iter()
        .filter_map(|sha| git::read_commit(&repo.path, sha))
        .map(|commit| pushed_commit(&page, &commit))
        .collect();
        let fields = json!({
            "ref": format!("refs/heads/{branch}"),
            "before": old.map_or(NO_COMMIT, String::as_str),
            "after": new.map_or(NO_COMMIT, String::as_str),
            "created": old.is_none(),
            "deleted": new.is_none(),
            "forced": forced,
            "base_ref": null,
            "compare": format!("{page}/compare/{}...{}", short(old), short(new)),
            "head_commit": commits.last(),
            "commits": commits,
            "pusher": {"name": pusher, "email": null},
            "repository": repository_body::pushed(self, repo),
        });
        self.announce("push", id, pusher, fields);
    }

    /// Moves the open pull requests of a branch.
    fn move_pulls(&mut self, repo: RepositoryId, branch: &str, new: Option<&String>, pusher: &str) {
        let is_from_it = |pull: &Pull| pull.head_repo == repo && pull.head == branch;
        let is_it = |issue: &&Issue| issue.state == State::Open && issue.pull.as_ref().is_some_and(is_from_it);
        let Some(source) = self.repository(repo).map(|found| found.path.clone()) else { return };
        let of = |found: &Repository| {
            let numbers = found.issues.values().filter(is_it).map(|issue| issue.number);
            numbers.map(|number| (found.id, found.path.clone(), number)).collect::<Vec<_>>()
        };
        let pulls: Vec<_> = self.repositories.iter().flat_map(of).collect();
        for (repo, path, number) in pulls {
            let Some(new) = new else {
                self.set_state(repo, number, pusher, State::Closed);
                continue;
            };
            if let Err(error) = git::show_pull(&path, &source, number, branch) {
                tracing::warn!(%error, "a pull request could not be moved");
                continue;
            }
            let Some(pull) = self.issue_mut(repo, number).and_then(|issue| issue.pull.as_mut()) else { continue };
            let before = std::mem::replace(&mut pull.head_sha, new.clone());
            pull.mergeability_known = false;
            self.announce_issue(repo, number, "synchronize", pusher, json!({"before": before, "after": new}));
        }
    }
}

fn pushed_commit(page: &str, commit: &git::Committed) -> Value {
    let of = |status: &str| -> Vec<&str> {
        commit.changes.iter().filter(|change| change.status == status).map(|change| change.path.as_str()).collect()
    };
    json!({
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": true,
        "message": commit.message,
        "timestamp": commit.committer["date"],
        "url": format!("{page}/commit/{}", commit.sha),
        "author": {"name": commit.author["name"], "email": commit.author["email"]},
        "committer": {"name": commit.committer["name"], "email": commit.committer["email"]},
        "added": of("added"),
        "removed": of("removed"),
        "modified": of("modified"),
    })
}
