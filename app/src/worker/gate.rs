//! What looks at the agent's work when it says that it is done, while it can still mend it.
//!
//! Nothing here proves anything: the agent's own executor is used, and the tests are run later, in a clean room, by
//! [`prove`](super::prove). What is missing is told in words for the model.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use patchwright_domain::answer::{self, Place};
use patchwright_domain::brief;
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::Prepared;
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::findings::Finding;
use patchwright_domain::proof::{self, Colour};
use patchwright_domain::turn::{Closing, Standing};

use super::{StepError, Tools, commands, conclusions, scope};
use crate::agent::{Ending, Gate};
use crate::sandbox::Executor;
use crate::workspace::{Message, Proposed, WorkspaceError};

/// Looks at changed files: there are some, they may be published, they are whole, and the repository's checks pass.
pub(super) struct ChangeGate<'a> {
    tools: &'a Tools,
    spec: &'a JobSpec,
    prepared: &'a Prepared,
    message: Message,
    /// What was told already: a model that insists may have its reasons, and the proof decides.
    told: Mutex<BTreeSet<String>>,
}

impl<'a> ChangeGate<'a> {
    pub(super) fn new(tools: &'a Tools, spec: &'a JobSpec, prepared: &'a Prepared, message: Message) -> Self {
        Self { tools, spec, prepared, message, told: Mutex::default() }
    }

    async fn look(&self, executor: &mut dyn Executor, closing: &Closing) -> Result<Option<String>, StepError> {
        let Prepared { base, plan, .. } = self.prepared;
        let files = executor.collect().await.map_err(|error| conclusions::sandbox(&error))?;
        let proposing = self.tools.workspaces.propose(&self.spec.repo, base, &files, &plan.droppings, self.message.clone());
        let proposed = match proposing.await {
            Ok(Some(proposed)) => proposed,
            Ok(None) if closing.standing == Standing::Done => return Ok(Some(NOTHING.to_owned())),
            Ok(None) => return Ok(None),
            Err(WorkspaceError::Refused(reason)) => return Ok(Some(refused(&reason))),
            Err(error) => return Err(error.into()),
        };
        let findings = match looked_at(self.tools, self.spec, self.prepared, &proposed).await? {
            Ok(findings) => findings,
            Err(Forbidden(reason)) => return Ok(Some(refused(&reason))),
        };
        if let Some(weakened) = proof::weakened_tests(&findings) {
            return Ok(Some(weakened));
        }
        if let Some(broken) = self.broken_syntax(executor, &proposed).await? {
            return Ok(Some(broken));
        }
        self.failing_check(executor).await
    }

    async fn broken_syntax(&self, executor: &mut dyn Executor, proposed: &Proposed) -> Result<Option<String>, StepError> {
        let mut broken = Vec::new();
        for change in &proposed.changes {
            let before = self.tools.workspaces.read(&self.spec.repo, &self.prepared.base, &change.path).await?;
            if let Ok(Some(FileState::Regular { content, .. })) = executor.read(&change.path).await {
                broken.extend(crate::syntax::breakage(&change.path, before.as_deref(), &content));
            }
        }
        Ok((!broken.is_empty()).then(|| format!("The syntax of what you changed is broken:\n{}", broken.join("\n"))))
    }

    /// Runs the checks that the repository's policy names, up to the first that fails.
    async fn failing_check(&self, executor: &mut dyn Executor) -> Result<Option<String>, StepError> {
        for check in &self.prepared.plan.checks {
            let evidence = commands::run(self.tools, executor, check).await?;
            if evidence.exit.colour() != Colour::Green {
                let output = brief::quoted("the end of its output", &evidence.excerpt);
                return Ok(Some(format!("The check `{check}` fails ({}).\n{output}", evidence.exit)));
            }
        }
        Ok(None)
    }
}

/// Why a proposal may be shown to nobody.
pub(super) struct Forbidden(pub(super) String);

/// What stands in a proposal against it, if it may be shown to anybody. One that is too large is not looked through at all.
pub(super) async fn looked_at(
    tools: &Tools,
    spec: &JobSpec,
    prepared: &Prepared,
    proposed: &Proposed,
) -> Result<Result<Vec<Finding>, Forbidden>, StepError> {
    let base = &prepared.base;
    let Proposed { commit, changes, .. } = proposed;
    if let Some(reason) = tools.settings.patch_size.exceeded(changes) {
        return Ok(Err(Forbidden(reason)));
    }
    if let Some(reason) = scope::left(&prepared.plan.scope, changes) {
        return Ok(Err(Forbidden(reason)));
    }
    let tests = tools.workspaces.test_files(&spec.repo, base, commit, changes).await?;
    let findings = tools.workspaces.findings(&spec.repo, base, commit, changes, tests, tools.kept()).await?;
    Ok(proof::forbidden(&findings).map_or(Ok(findings), |reason| Err(Forbidden(reason))))
}

const NOTHING: &str = "No file is changed. If the task can be done, do it. If it cannot be done, or a person has to answer a \
                       question first, call `done` with that outcome and say why.";

fn refused(reason: &str) -> String {
    format!("Your change cannot be published: {reason}. Take that part back.")
}

#[async_trait]
impl Gate for ChangeGate<'_> {
    async fn missing(&self, executor: &mut dyn Executor, closing: &Closing) -> Result<Option<String>, Ending> {
        match self.look(executor, closing).await {
            Ok(missing) => {
                let is_new = |missing: &String| {
                    let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                    told.insert(missing.clone())
                };
                Ok(missing.filter(is_new))
            }
            // What cannot be looked at now is looked at again when the proposal is made, and is told then.
            Err(error) => {
                tracing::warn!(error = %error, "the agent's work could not be looked at");
                Ok(None)
            }
        }
    }
}

/// Looks up the places that an answer names.
pub(super) struct AnswerGate;

#[async_trait]
impl Gate for AnswerGate {
    async fn missing(&self, executor: &mut dyn Executor, closing: &Closing) -> Result<Option<String>, Ending> {
        let missing = missing_places(executor, closing).await;
        let names: Vec<String> = missing.iter().map(Place::to_string).collect();
        let told = format!("These places do not exist: {}. Look again, and answer with places that do.", names.join(", "));
        Ok((!missing.is_empty()).then_some(told))
    }
}

/// The places of an answer that are not there.
pub(super) async fn missing_places(executor: &mut dyn Executor, closing: &Closing) -> Vec<Place> {
    let mut missing = Vec::new();
    for place in answer::places(closing) {
        let is_there = match executor.read(&place.path).await {
            Ok(Some(FileState::Regular { content, .. })) => (1..=n_lines(&content)).contains(&(place.line as usize)),
            Ok(Some(FileState::Symlink { .. })) => true,
            // A word with a dot and a number, such as an address, is a place only if there is such a file.
            Ok(None) => !place.path.contains('/'),
            // What cannot be looked up is not said to be missing.
            Err(_) => true,
        };
        if !is_there {
            missing.push(place);
        }
    }
    missing
}

fn n_lines(content: &[u8]) -> usize {
    content.iter().filter(|byte| **byte == b'\n').count() + usize::from(!content.is_empty() && !content.ends_with(b"\n"))
}
