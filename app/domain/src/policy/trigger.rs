//! What an event asks for, before anybody knows who may ask.

use super::Deployment;
use super::command::{self, Command};
use crate::effect::MARKER_START;
use crate::event::{Event, EventKind, IssueNumber, Place, Text, Untrusted};
use crate::job::{JobKey, Mode, Reply, Task};
use crate::journal::CommitId;

/// What is asked for.
pub(super) enum Wish {
    /// A job.
    Start(Start),
    /// That the issue's jobs stop, in somebody's words.
    Stop {
        /// What an answer would be called by, where nothing is under way.
        key: JobKey,
    },
    /// The issue was closed.
    Close,
    /// A check is red, which nobody has asked about.
    Triage {
        /// The commit.
        head: CommitId,
    },
    /// Something that cannot be had; whoever may give commands is told so.
    Refuse {
        /// What the answer is called by.
        key: JobKey,
        /// Why, in a sentence or two for the one who asked.
        told: String,
        /// Why, for the record.
        because: String,
    },
}

/// A job that is asked for.
pub(super) struct Start {
    pub(super) key: JobKey,
    pub(super) task: Task,
    /// Whether it is asked of a pull request, so that what that one proposes is meant.
    pub(super) is_of_pull: bool,
    pub(super) way: Way,
    /// What happened, for the reason.
    pub(super) what: &'static str,
}

/// In which way it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In words, which are answered.
    Words,
    /// By this label.
    Label(String),
    /// By assigning it to this account.
    Assignment(String),
}

impl Way {
    /// Whether nobody is told where nothing comes of it: an answer would stand where nobody has written.
    pub(super) fn is_silent(&self) -> bool {
        match self {
            Self::Words => false,
            Self::Label(_) | Self::Assignment(_) => true,
        }
    }
}

/// Reads the wish out of an event, or says why there is none.
pub(super) fn wish(event: &Event, deployment: &Deployment) -> Result<Wish, String> {
    match &event.kind {
        EventKind::Written { issue, place, text, before, on_pull_request, via_app } => {
            heard_by(event, deployment, &text.body, *via_app)?;
            let Some(command) = heard_now(&deployment.mention, text, before.as_ref()) else {
                return Err(format!("the text holds no command to {}", deployment.mention));
            };
            if before.as_ref().is_some_and(|before| stood_there(&deployment.mention, before, &command)) {
                return Err("the edit left the command as it was".into());
            }
            let key = match place {
                Place::Description => JobKey::of_description(&event.repo, *issue),
                Place::Comment(comment_id) => JobKey::of_comment(&event.repo, *issue, *comment_id),
                Place::Review(review_id) => JobKey::of_review(&event.repo, *issue, *review_id),
                // What stands beside lines arrives by itself, and is part of a review all the same.
                Place::ReviewComment { review: Some(review_id), .. } => JobKey::of_review(&event.repo, *issue, *review_id),
                Place::ReviewComment { comment, review: None } => JobKey::of_review_comment(&event.repo, *issue, *comment),
            };
            Ok(commanded(&Asked { key, issue: *issue, on_pull_request: *on_pull_request }, command, deployment))
        }
        EventKind::IssueLabeled { issue, label, is_open } => {
            if !is_open {
                return Err("the issue is closed".into());
            }
            if event.actor.is_bot {
                return Err("a bot put the label on the issue".into());
            }
            let key = JobKey::of_label(&event.repo, *issue, label, event.at);
            let task = Task::FixIssue { issue: *issue, request: None };
            Ok(Wish::Start(Start {
                key,
                task,
                is_of_pull: false,
                way: Way::Label(label.clone()),
                what: "the label was put on the issue",
            }))
        }
        EventKind::IssueAssigned { issue, assignee, is_open } => {
            if !is_open {
                return Err("the issue is closed".into());
            }
            if event.actor.is_bot {
                return Err("a bot assigned the issue".into());
            }
            let key = JobKey::of_assignment(&event.repo, *issue, event.at);
            let task = Task::FixIssue { issue: *issue, request: None };
            Ok(Wish::Start(Start {
                key,
                task,
                is_of_pull: false,
                way: Way::Assignment(assignee.clone()),
                what: "the issue was assigned to us",
            }))
        }
        EventKind::IssueClosed { .. } => Ok(Wish::Close),
        EventKind::CheckFailed { app, .. } if *app == Some(deployment.app_id) => Err("the check is this App's own".into()),
        EventKind::CheckFailed { head, .. } => Ok(Wish::Triage { head: head.clone() }),
    }
}

/// The command in a text that was written or changed. A title is heard when it is written: one that an edit has left alone may be
/// somebody else's, of whose list an issue was made to which only now a text is added.
fn heard_now(mention: &str, text: &Text, before: Option<&Text>) -> Option<Command> {
    let is_title_new = before.is_none_or(|before| before.title != text.title);
    let title = text.title.clone().filter(|_| is_title_new);
    command::parse(mention, &Text { title, body: text.body.clone() })
}

/// Whether a command stood in a text or its title, heard or not: then the edit has not given it.
fn stood_there(mention: &str, before: &Text, command: &Command) -> bool {
    let mut parts = before.title.iter().chain([&before.body]);
    parts.any(|part| command::parse(mention, &Text { title: None, body: part.clone() }).as_ref() == Some(command))
}

/// Where and when a command was given.
struct Asked {
    key: JobKey,
    issue: IssueNumber,
    on_pull_request: bool,
}

impl Asked {
    fn refuse(&self, told: String, because: impl Into<String>) -> Wish {
        Wish::Refuse { key: self.key.clone(), told, because: because.into() }
    }

    fn work(&self, task: Task, what: &'static str) -> Wish {
        Wish::Start(Start { key: self.key.clone(), task, is_of_pull: false, way: Way::Words, what })
    }

    /// Work on the issue, or on what the pull request proposes.
    fn on_either(&self, task: Task, what: &'static str) -> Wish {
        let is_of_pull = self.on_pull_request;
        Wish::Start(Start { key: self.key.clone(), task, is_of_pull, way: Way::Words, what })
    }

    fn reply(&self, reply: Reply, what: &'static str) -> Wish {
        Wish::Start(Start {
            key: self.key.clone(),
            task: Task::Reply { issue: self.issue, reply },
            is_of_pull: false,
            way: Way::Words,
            what,
        })
    }
}

fn commanded(asked: &Asked, command: Command, deployment: &Deployment) -> Wish {
    let (issue, mention) = (asked.issue, &deployment.mention);
    match command {
        Command::Fix { request } => asked.on_either(Task::FixIssue { issue, request }, "`fix` was asked for"),
        Command::Free { request } => {
            asked.on_either(Task::FixIssue { issue, request: Some(request) }, "a change was asked for in free words")
        }
        Command::Ask { request } => asked.on_either(Task::Answer { issue, request, mode: Mode::Ask }, "`ask` was asked for"),
        Command::Plan { request } => asked.on_either(Task::Answer { issue, request, mode: Mode::Plan }, "`plan` was asked for"),
        // On an issue as well: whoever may ask is told where to.
        Command::Prove { is_about_the_build } => {
            let what = if is_about_the_build { "`prove build` was asked for" } else { "`prove` was asked for" };
            asked.work(Task::ProvePullRequest { pull_request: issue, is_about_the_build }, what)
        }
        Command::Stop => Wish::Stop { key: asked.key.clone() },
        Command::StopWhat => {
            let told = format!("`{mention} stop` alone gives up what is under way; `{mention} fix stop …` asks for a change.");
            asked.refuse(told, "`stop` does not stand alone")
        }
        Command::Status => asked.reply(Reply::Status, "`status` was asked for"),
        Command::Help => asked.reply(Reply::Help { mention: mention.clone() }, "`help` was asked for"),
        Command::Unknown { word, nearest } => {
            let told =
                format!("There is no command `{word}`. `{mention} {nearest}` is nearest; `{mention} help` says which there are.");
            asked.refuse(told, format!("there is no command `{word}`"))
        }
    }
}

/// We never answer ourselves, nor another bot: by the App's number, by the hidden marker, by GitHub's own word.
fn heard_by(event: &Event, deployment: &Deployment, text: &Untrusted, via_app: Option<u64>) -> Result<(), String> {
    if via_app == Some(deployment.app_id) {
        Err("this App wrote the text itself".into())
    } else if text.raw().contains(MARKER_START) {
        Err("the text carries this program's own marker".into())
    } else if event.actor.is_bot {
        Err("a bot wrote the text".into())
    } else {
        Ok(())
    }
}
