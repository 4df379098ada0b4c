//! What was asked for, as it stood when it was: the issue, and what was said below it until then.
//!
//! What is written or changed afterwards is nobody's request. Whoever gives a command has read what stood there, and nobody else's
//! words slip in between. Of whom each text is, and whether that one may push, is told with it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use patchwright_domain::brief::{Remark, Request};
use patchwright_domain::event::{Described, IssueNumber, Role, Untrusted};
use patchwright_domain::job::JobSpec;
use serde_json::Value;

use super::client::Call;
use super::tokens::Grant;
use super::{COMMENTS_MAX, GitHub, PAGES_MAX, issue_of};
use crate::forge::ForgeError;

/// For how many people is asked what they may do; of others it is not told.
const ROLES_MAX: usize = 10;

impl GitHub {
    pub(super) async fn request(&self, spec: &JobSpec) -> Result<Request, ForgeError> {
        let issue = issue_of(spec)?;
        let grant = Grant::new(&spec.repo, &[("metadata", "read"), ("issues", "read")]);
        let answer = self.client.call(&grant, &Call::get(format!("/issues/{issue}"), "reading the issue")).await?;
        let mut comments = self.comments(issue, &grant).await?;
        if spec.task.works_on().is_some() {
            comments.extend(self.beside_lines(spec, issue).await?);
            comments.sort_by_key(|comment| text(comment, "/created_at").parse::<Timestamp>().unwrap_or_default());
        }
        let theirs: Vec<&Value> = comments.iter().filter(|comment| !self.is_ours(comment)).collect();
        let (then, later): (Vec<&Value>, Vec<&Value>) = theirs.iter().partition(|comment| stood(comment, spec.requested_at));
        let n_omitted = then.len().saturating_sub(COMMENTS_MAX);
        let told = &then[n_omitted..];
        let authors = told.iter().rev().copied().chain([&answer.body]);
        let roles = self.roles(spec, authors, &grant).await?;
        let of = |value: &Value| roles.get(text(value, "/user/login")).copied();
        let untrusted = |value: &Value, pointer: &str| Untrusted::new(text(value, pointer));
        // Elsewhere nobody is answered beside lines.
        let review = spec.task.goes_onto().and_then(|_| spec.key.review());
        let mut answered = BTreeSet::new();
        let remark = |comment: &&Value| Remark {
            author: untrusted(comment, "/user/login"),
            body: in_its_place(comment),
            role: of(comment),
            thread: head_of(comment, review).filter(|head| answered.insert(*head)),
        };
        let now = Described::new(text(&answer.body, "/title"), text(&answer.body, "/body"));
        let edited = spec.described.clone().filter(|then| *then != now);
        let was_edited = edited.is_some();
        let whole = || (untrusted(&answer.body, "/title"), untrusted(&answer.body, "/body"));
        let (title, body) = edited.map_or_else(whole, Described::into_parts);
        Ok(Request {
            title,
            body,
            author: untrusted(&answer.body, "/user/login"),
            comments: told.iter().map(remark).collect(),
            comments_omitted: count(n_omitted),
            role: of(&answer.body),
            was_edited,
            comments_later: count(later.len()),
            plan: None,
            difference: None,
        })
    }

    /// What was said beside lines of a pull request.
    async fn beside_lines(&self, spec: &JobSpec, number: IssueNumber) -> Result<Vec<Value>, ForgeError> {
        let grant = Grant::new(&spec.repo, &[("pull_requests", "read")]);
        let path = format!("/pulls/{number}/comments");
        self.client.pages(&grant, (&path, "reading what stands beside lines"), PAGES_MAX, |body| body).await
    }

    /// What the authors of these may do now, as many as are asked for, the first of them first.
    async fn roles<'v>(
        &self,
        spec: &JobSpec,
        written: impl Iterator<Item = &'v Value>,
        grant: &Grant,
    ) -> Result<BTreeMap<&'v str, Role>, ForgeError> {
        let mut roles = BTreeMap::new();
        for author in written {
            let login = text(author, "/user/login");
            let is_plain = !login.is_empty() && login.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !is_plain || roles.contains_key(login) || roles.len() >= ROLES_MAX {
                continue;
            }
            if login == spec.requested_by.login {
                roles.insert(login, spec.role);
                continue;
            }
            match self.role_by_name(login, grant).await {
                Ok(role) => drop(roles.insert(login, role)),
                // Nobody is taken for more than he is.
                Err(ForgeError::Denied { .. } | ForgeError::Rejected { .. }) => drop(roles.insert(login, Role::None)),
                Err(error @ (ForgeError::RateLimited { .. } | ForgeError::Unavailable(_))) => return Err(error),
            }
        }
        Ok(roles)
    }
}

/// Whether a comment stood there at that moment as it stands there now. One whose times cannot be read did not.
fn stood(comment: &Value, moment: Timestamp) -> bool {
    let at = |pointer: &str| text(comment, pointer).parse::<Timestamp>().ok();
    at("/created_at").is_some_and(|at| at <= moment) && at("/updated_at").is_none_or(|at| at <= moment)
}

/// Of a remark of a review, the comment that heads what is said there; GitHub takes answers to that one alone.
fn head_of(comment: &Value, review: Option<u64>) -> Option<u64> {
    let is_of_review = review.is_some() && comment["pull_request_review_id"].as_u64() == review;
    let head = comment["in_reply_to_id"].as_u64().or_else(|| comment["id"].as_u64());
    head.filter(|_| is_of_review)
}

/// What somebody says, with the line that he says it of.
fn in_its_place(comment: &Value) -> Untrusted {
    let (path, body) = (text(comment, "/path"), text(comment, "/body"));
    if path.is_empty() {
        return Untrusted::new(body);
    }
    // Where a later commit has changed the line, there is only the one that it was.
    let line = ["/line", "/original_line"].into_iter().find_map(|at| comment.pointer(at)?.as_u64());
    let place = line.map_or_else(|| format!("On `{path}`"), |line| format!("Beside line {line} of `{path}`"));
    Untrusted::new(format!("{place}:\n\n{body}"))
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
