//! Check runs, with what is said beside the lines of their commit.
//!
//! GitHub takes fifty annotations at a time and adds those of every request to the ones that are there. They are sent in one
//! order and by nobody else, so those that are there are always the first ones, and how many there are says which are missing.
//! After every doubtful answer that is asked again.

use http::Method;
use patchwright_domain::effect::{Annotation, Button, CheckName, CheckUnderWay, EffectKey, Level, Receipt};
use patchwright_domain::event::RepoRef;
use patchwright_domain::journal::{CommitId, Outcome};
use serde_json::{Value, json};

use super::GitHub;
use super::client::Call;
use super::effects::{Ensured, ROUNDS_MAX, Write, receipt};
use super::tokens::Grant;
use crate::forge::ForgeError;

/// How many annotations GitHub takes in one request.
const ANNOTATIONS_MAX: usize = 50;
const WHAT: &str = "setting the check run";

/// What a check run says.
pub(super) struct Said<'a> {
    pub(super) name: CheckName,
    pub(super) outcome: Outcome,
    /// Title, summary and text.
    pub(super) output: Value,
    pub(super) annotations: &'a [Annotation],
    pub(super) buttons: &'a [Button],
}

impl Said<'_> {
    /// The next annotations behind those that are there.
    fn next(&self, n_there: usize) -> &[Annotation] {
        let missing = self.annotations.get(n_there..).unwrap_or_default();
        missing.get(..ANNOTATIONS_MAX).unwrap_or(missing)
    }

    /// The output with some of the annotations, as GitHub wants it.
    fn with(&self, annotations: &[Annotation]) -> Value {
        let mut output = self.output.clone();
        if !annotations.is_empty() {
            output["annotations"] = annotations.iter().map(shape).collect();
        }
        output
    }
}

impl GitHub {
    pub(super) async fn set_check(
        &self,
        repo: &RepoRef,
        key: &EffectKey,
        commit: &CommitId,
        said: &Said<'_>,
    ) -> Result<Receipt, ForgeError> {
        let grant = Grant::new(repo, &[("checks", "write")]);
        let collection = "/check-runs".to_owned();
        let first = said.next(0);
        let (name, conclusion) = (said.name.as_str(), conclusion(said.name, said.outcome));
        let actions: Vec<Value> = said.buttons.iter().map(|button| action(*button)).collect();
        let write = Write {
            find: place(commit, said.name),
            create: collection.clone(),
            body: json!({
                "name": name, "head_sha": commit.as_str(), "external_id": key.as_str(),
                "status": "completed", "conclusion": conclusion, "output": said.with(first), "actions": actions,
            }),
            update: Some((
                collection.clone(),
                json!({ "status": "completed", "conclusion": conclusion, "output": said.with(&[]), "actions": actions }),
            )),
            what: WHAT,
        };
        let (run, n_there) = match self.find_or_create(&grant, &write, |found| self.is_check(found, key)).await? {
            Ensured::Made(run) => (run, first.len()),
            Ensured::Found(run) => {
                let n_there = if said.annotations.is_empty() { 0 } else { count(&run)? };
                (run, n_there)
            }
        };
        if !said.next(n_there).is_empty() {
            let id = run["id"].as_u64().ok_or_else(|| ForgeError::Unavailable("GitHub's answer has no id".into()))?;
            self.annotate(&grant, &format!("{collection}/{id}"), said, n_there).await?;
        }
        Ok(receipt(&run))
    }

    /// Says that a check run is under way. One that is there is left as it is: it may be completed already.
    pub(super) async fn open_check(&self, repo: &RepoRef, key: &EffectKey, check: &CheckUnderWay) -> Result<(), ForgeError> {
        let CheckUnderWay { name, commit, title, summary } = check;
        let write = Write {
            find: place(commit, *name),
            create: "/check-runs".into(),
            body: json!({
                "name": name.as_str(), "head_sha": commit.as_str(), "external_id": key.as_str(),
                "status": "in_progress", "output": { "title": title, "summary": summary },
            }),
            update: None,
            what: WHAT,
        };
        let grant = Grant::new(repo, &[("checks", "write")]);
        self.find_or_create(&grant, &write, |found| self.is_check(found, key)).await.map(drop)
    }

    /// Whether a check run is ours, and the one with this key.
    fn is_check(&self, found: &Value, key: &EffectKey) -> bool {
        found["external_id"].as_str() == Some(key.as_str()) && found["app"]["id"] == self.app_id
    }

    /// Adds the annotations that are missing. Every turn sends some or uses up a round.
    async fn annotate(&self, grant: &Grant, run: &str, said: &Said<'_>, mut n_there: usize) -> Result<(), ForgeError> {
        let mut round = 1;
        loop {
            let batch = said.next(n_there);
            if batch.is_empty() {
                return Ok(());
            }
            let body = json!({ "output": said.with(batch) });
            let call = Call::adding(Method::PATCH, run.to_owned(), body, "adding annotations to the check run");
            match self.client.call(grant, &call).await {
                Ok(_) => n_there += batch.len(),
                Err(ForgeError::Unavailable(_)) if round < ROUNDS_MAX => {
                    round += 1;
                    let call = Call::get(run.to_owned(), "counting the annotations of the check run");
                    n_there = count(&self.client.call(grant, &call).await?.body)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// A button, as GitHub wants it.
fn action(button: Button) -> Value {
    json!({ "label": button.label(), "description": button.description(), "identifier": button.identifier() })
}

/// Where a commit's check runs of one name are listed.
fn place(commit: &CommitId, name: CheckName) -> String {
    let name = name.as_str().replace('/', "%2F");
    format!("/commits/{commit}/check-runs?check_name={name}&filter=all&per_page=100")
}

/// How many annotations a check run has. Without knowing it none may be sent, for they might come twice.
fn count(run: &Value) -> Result<usize, ForgeError> {
    let count = run.pointer("/output/annotations_count").and_then(Value::as_u64);
    let count = count.and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| ForgeError::Unavailable("GitHub's answer does not say how many annotations there are".into()))
}

fn shape(annotation: &Annotation) -> Value {
    let level = match annotation.level {
        Level::Notice => "notice",
        Level::Warning => "warning",
        Level::Failure => "failure",
    };
    json!({
        "path": annotation.path, "start_line": annotation.start_line, "end_line": annotation.end_line,
        "annotation_level": level, "title": annotation.title, "message": annotation.message,
    })
}

/// How an outcome shows beside the commit.
fn conclusion(name: CheckName, outcome: Outcome) -> &'static str {
    match outcome {
        // It says what another check is about, and must stop nothing by itself.
        _ if name == CheckName::Triage => "neutral",
        Outcome::Answered if name == CheckName::Policy => "success",
        Outcome::NeedsInput if name == CheckName::Policy => "failure",
        // What somebody else has proposed and does not merge is no proof and no fault; the forge itself keeps it from being merged.
        Outcome::NeedsInput if name == CheckName::Proof => "neutral",
        Outcome::Proven => "success",
        Outcome::Unproven | Outcome::Answered | Outcome::NoChange | Outcome::Superseded => "neutral",
        Outcome::NeedsInput | Outcome::BlockedByPolicy => "action_required",
        Outcome::TimedOut => "timed_out",
        Outcome::Cancelled => "cancelled",
        Outcome::BudgetExhausted | Outcome::EnvironmentFailed | Outcome::Failed => "failure",
    }
}
