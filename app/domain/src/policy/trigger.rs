//! What an event asks for, before anybody knows who may ask.

use super::{Deployment, command};
use crate::effect::MARKER_START;
use crate::event::{Event, EventKind, Untrusted};
use crate::job::{JobKey, Task};

/// What is asked for.
pub(super) enum Wish {
    /// A job.
    Start(Start),
    /// That the issue's jobs stop.
    Stop,
}

/// A job that is asked for.
pub(super) struct Start {
    pub(super) key: JobKey,
    pub(super) task: Task,
    /// The label that was put on, if that is what asks.
    pub(super) label: Option<String>,
    /// What happened, for the reason.
    pub(super) what: &'static str,
}

/// Reads the wish out of an event, or says why there is none.
pub(super) fn wish(event: &Event, deployment: &Deployment) -> Result<Wish, String> {
    match &event.kind {
        EventKind::CommentCreated { issue, comment_id, body, on_pull_request, is_open, via_app } => {
            heard_by(event, deployment, body, *via_app)?;
            let key = JobKey::of_comment(&event.repo, *issue, *comment_id);
            let (task, what) = match command::parse(&deployment.mention, body) {
                Some(command::Command::Fix { .. }) if *on_pull_request => {
                    return Err("`fix` on pull requests is not served yet".into());
                }
                Some(command::Command::Fix { request }) => (Task::FixIssue { issue: *issue, request }, "`fix` was asked for"),
                // On an issue as well: whoever may ask is told where to.
                Some(command::Command::Prove { is_about_the_build }) => {
                    let what = if is_about_the_build { "`prove build` was asked for" } else { "`prove` was asked for" };
                    (Task::ProvePullRequest { pull_request: *issue, is_about_the_build }, what)
                }
                Some(command::Command::Unknown { word }) => return Err(format!("there is no command `{word}`")),
                None => return Err(format!("the comment holds no command to {}", deployment.mention)),
            };
            open(*is_open)?;
            Ok(Wish::Start(Start { key, task, label: None, what }))
        }
        EventKind::IssueLabeled { issue, label, is_open } => {
            open(*is_open)?;
            if event.actor.is_bot {
                return Err("a bot put the label on the issue".into());
            }
            let key = JobKey::of_label(&event.repo, *issue, label, event.at);
            let task = Task::FixIssue { issue: *issue, request: None };
            Ok(Wish::Start(Start { key, task, label: Some(label.clone()), what: "the label was put on the issue" }))
        }
        EventKind::IssueClosed { .. } => Ok(Wish::Stop),
    }
}

fn open(is_open: bool) -> Result<(), String> {
    if is_open { Ok(()) } else { Err("the issue is closed".into()) }
}

/// We never answer ourselves, nor another bot: by the App's number, by the hidden marker, by GitHub's own word.
fn heard_by(event: &Event, deployment: &Deployment, body: &Untrusted, via_app: Option<u64>) -> Result<(), String> {
    if via_app == Some(deployment.app_id) {
        Err("this App wrote the comment itself".into())
    } else if body.raw().contains(MARKER_START) {
        Err("the comment carries this program's own marker".into())
    } else if event.actor.is_bot {
        Err("a bot wrote the comment".into())
    } else {
        Ok(())
    }
}
