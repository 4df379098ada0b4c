//! What an event asks for, before anybody knows who may ask.

use super::Deployment;
use super::command::{self, Command, Heard};
use crate::effect::MARKER_START;
use crate::event::{Event, EventKind, IssueNumber, OfCheck, Place, RepoRef, Role, Text, Untrusted};
use crate::job::{JobId, JobKey, Mode, Repair, Reply, Task};
use crate::journal::CommitId;
use crate::policy::schedule::Schedule;

/// What is asked for.
pub(super) enum Wish {
    /// A job.
    Start(Start),
    /// That the issue's jobs stop, in somebody's words.
    Stop {
        /// What an answer would be called by, where nothing is under way.
        key: JobKey,
    },
    /// That what was done last in this place goes on.
    Again {
        /// What the job is called by.
        key: JobKey,
        /// How.
        again: Again,
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

impl Wish {
    /// Whether a worker is to work for it, longer than it takes to say something.
    fn is_work(&self) -> bool {
        match self {
            Self::Start(start) => !matches!(start.task, Task::Reply { .. }),
            Self::Again { .. } | Self::Triage { .. } => true,
            Self::Stop { .. } | Self::Close | Self::Refuse { .. } => false,
        }
    }
}

/// How what was done last goes on.
pub(super) enum Again {
    /// It is done once more.
    Retry,
    /// The plan that came of it is carried out, and this besides.
    Approve(Option<Untrusted>),
}

/// A job that is asked for.
pub(super) struct Start {
    pub(super) key: JobKey,
    pub(super) task: Task,
    /// Whether it is asked of a pull request, so that what that one proposes is meant.
    pub(super) is_of_pull: bool,
    /// The role that it takes besides that of its command.
    pub(super) needed: Role,
    /// The job whose plan is carried out.
    pub(super) plan: Option<JobId>,
    pub(super) way: Way,
    /// What happened, for the reason.
    pub(super) what: &'static str,
}

impl Start {
    pub(super) fn new(key: JobKey, task: Task, way: Way, what: &'static str) -> Self {
        Self { key, task, is_of_pull: false, needed: Role::None, plan: None, way, what }
    }
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
    /// By asking this account for a review.
    ReviewRequest(String),
    /// By a button at the forge.
    Button,
    /// By this entry of the policy file.
    Schedule(Schedule),
    /// By a review that wants changes of what we have proposed. Its author is answered as one who has called us.
    Review,
}

impl Way {
    /// Whether nobody is told where nothing comes of it: an answer would stand where nobody has written.
    pub(super) fn is_silent(&self) -> bool {
        match self {
            Self::Words | Self::Review => false,
            Self::Label(_) | Self::Assignment(_) | Self::ReviewRequest(_) | Self::Button | Self::Schedule(_) => true,
        }
    }
}

/// Reads the wishes out of an event, at least one, or says why there is none.
pub(super) fn wishes(event: &Event, deployment: &Deployment) -> Result<Vec<Wish>, String> {
    match &event.kind {
        EventKind::Written { issue, place, text, before, on_pull_request, via_app, wants_changes } => {
            heard_by(event, deployment, &text.body, *via_app)?;
            let heard = heard_now(&deployment.mention, text, before.as_ref());
            if heard.commands.is_empty() && *wants_changes && before.is_none() {
                let request = Some(text.body.clone()).filter(|body| !body.is_blank());
                let (key, task) = (key_of(&event.repo, *issue, *place), Task::FixIssue { issue: *issue, request });
                let start = Start::new(key, task, Way::Review, "a review wants changes");
                return Ok(vec![Wish::Start(Start { is_of_pull: true, ..start })]);
            }
            if heard.commands.is_empty() {
                return Err(format!("the text holds no command to {}", deployment.mention));
            }
            let stood = before.as_ref().map(|before| stood_there(&deployment.mention, before)).unwrap_or_default();
            let commands: Vec<Command> = heard.commands.into_iter().filter(|command| !stood.contains(command)).collect();
            if commands.is_empty() {
                return Err("the edit left the command as it was".into());
            }
            let asked = Asked { key: key_of(&event.repo, *issue, *place), issue: *issue, on_pull_request: *on_pull_request };
            let more = heard.has_more.then(|| asked.refuse(MORE.into(), "the text asks for more than is heard"));
            Ok(one_work(commands.into_iter().map(|command| commanded(&asked, command, deployment)).chain(more), &asked))
        }
        EventKind::Dispatched { issue, on_pull_request, command } => {
            let asked = Asked {
                key: JobKey::of_dispatch(&event.repo, *issue, &event.delivery),
                issue: *issue,
                on_pull_request: *on_pull_request,
            };
            unless_bot(event, deployment, "a bot sent the command")?;
            let body = Untrusted::new(format!("{} {}", deployment.mention, command.raw()));
            let heard = command::parse(&deployment.mention, &Text { title: None, body });
            if heard.commands.is_empty() {
                return Err("what was sent is no command".into());
            }
            let wishes = heard.commands.into_iter().map(|command| commanded(&asked, command, deployment));
            Ok(one_work(wishes, &asked))
        }
        EventKind::Scheduled { schedule } => Ok(vec![scheduled(event, schedule, deployment)?]),
        EventKind::IssueLabeled { .. }
        | EventKind::IssueAssigned { .. }
        | EventKind::ReviewRequested { .. }
        | EventKind::IssueClosed { .. }
        | EventKind::CheckAsked { .. }
        | EventKind::CheckFailed { .. }
        | EventKind::Pushed { .. } => Ok(vec![unwritten(event, deployment)?]),
    }
}

/// Reads the wish out of an entry of the policy file. Nobody has written, so that nobody is answered where nothing comes of it.
fn scheduled(event: &Event, schedule: &Schedule, deployment: &Deployment) -> Result<Wish, String> {
    let asked = Asked {
        key: JobKey::of_schedule(&event.repo, schedule.issue, &event.delivery),
        issue: schedule.issue,
        on_pull_request: schedule.on_pull_request,
    };
    match commanded(&asked, schedule.command(&deployment.mention)?, deployment) {
        Wish::Start(start) => Ok(Wish::Start(Start { way: Way::Schedule(schedule.clone()), ..start })),
        Wish::Refuse { because, .. } => Err(because),
        Wish::Stop { .. } | Wish::Again { .. } | Wish::Close | Wish::Triage { .. } => Err("a schedule begins work alone".into()),
    }
}

/// What is said where a text holds more commands than are heard.
const MORE: &str = "A text is heard for its first commands only; write a new comment for what stands behind them.";

/// What is called by the place where it was written, whatever was asked for there: a text starts one piece of work at most.
fn key_of(repo: &RepoRef, issue: IssueNumber, place: Place) -> JobKey {
    match place {
        Place::Description => JobKey::of_description(repo, issue),
        Place::Comment(comment_id) => JobKey::of_comment(repo, issue, comment_id),
        Place::Review(review_id) => JobKey::of_review(repo, issue, review_id),
        // What stands beside lines arrives by itself, and is part of a review all the same.
        Place::ReviewComment { review: Some(review_id), .. } => JobKey::of_review(repo, issue, review_id),
        Place::ReviewComment { comment, review: None } => JobKey::of_review_comment(repo, issue, comment),
    }
}

/// Of several pieces of work the first is begun; whoever asks for more is told how to have it.
fn one_work(wishes: impl Iterator<Item = Wish>, asked: &Asked) -> Vec<Wish> {
    let mut has_work = false;
    let one = wishes.map(|wish| match wish.is_work() {
        true if has_work => {
            let told = "One piece of work is begun for a text, the first that it asks for. Ask for the next in a new comment.";
            asked.refuse(told.into(), "a text starts one piece of work")
        }
        is_work => {
            has_work |= is_work;
            wish
        }
    });
    one.collect()
}

/// Reads the wish out of what nobody has written.
fn unwritten(event: &Event, deployment: &Deployment) -> Result<Wish, String> {
    match &event.kind {
        EventKind::Written { .. } | EventKind::Dispatched { .. } | EventKind::Scheduled { .. } => Err("it is written".into()),
        EventKind::IssueLabeled { issue, label, is_open, on_pull_request } => {
            unless_closed(*is_open)?;
            unless_bot(event, deployment, "a bot put the label on the issue")?;
            let key = JobKey::of_label(&event.repo, *issue, label, event.at);
            let task = Task::FixIssue { issue: *issue, request: None };
            let start = Start::new(key, task, Way::Label(label.clone()), "the label was put on the issue");
            Ok(Wish::Start(Start { is_of_pull: *on_pull_request, ..start }))
        }
        EventKind::IssueAssigned { issue, assignee, is_open, on_pull_request } => {
            unless_closed(*is_open)?;
            unless_bot(event, deployment, "a bot assigned the issue")?;
            let key = JobKey::of_assignment(&event.repo, *issue, event.at);
            let task = Task::FixIssue { issue: *issue, request: None };
            let start = Start::new(key, task, Way::Assignment(assignee.clone()), "the issue was assigned to us");
            Ok(Wish::Start(Start { is_of_pull: *on_pull_request, ..start }))
        }
        EventKind::ReviewRequested { pull_request, reviewer, is_open } => {
            unless_closed(*is_open)?;
            unless_bot(event, deployment, "a bot asked for the review")?;
            let key = JobKey::of_review_request(&event.repo, *pull_request, event.at);
            let task = Task::Answer { issue: *pull_request, request: None, mode: Mode::Review };
            let start = Start::new(key, task, Way::ReviewRequest(reviewer.clone()), "a review was asked of us");
            Ok(Wish::Start(Start { is_of_pull: true, ..start }))
        }
        EventKind::Pushed { .. } => Err("what is pushed to a pull request starts nothing".into()),
        EventKind::IssueClosed { .. } => Ok(Wish::Close),
        EventKind::CheckAsked { check, app, wanted, .. } => {
            if app.is_some_and(|app| app != deployment.app_id) {
                return Err("the check is another App's".into());
            }
            if event.actor.is_bot {
                return Err("a bot asked for the check".into());
            }
            let Some(wanted) = wanted.clone() else {
                return Err("the check is no proof, or no pull request of it is known".into());
            };
            let key = JobKey::of_asked_check(&event.repo, wanted.pull_request(), *check, &event.delivery);
            Ok(Wish::Start(match wanted {
                OfCheck::Prove { pull_request, is_about_the_build } => {
                    let task = Task::ProvePullRequest { pull_request, is_about_the_build };
                    Start::new(key, task, Way::Button, "the check was asked for once more")
                }
                OfCheck::Mend { pull_request, head, check } => {
                    let task = Task::TriageCheck { pull_request, head, check, repair: Repair::Unwanted };
                    Start { is_of_pull: true, ..Start::new(key, task, Way::Button, "what is red was to be mended") }
                }
            }))
        }
        EventKind::CheckFailed { app, .. } if *app == Some(deployment.app_id) => Err("the check is this App's own".into()),
        EventKind::CheckFailed { head, .. } => Ok(Wish::Triage { head: head.clone() }),
    }
}

/// The commands in a text that was written or changed. A title is heard when it is written: one that an edit has left alone may be
/// somebody else's, of whose list an issue was made to which only now a text is added.
fn heard_now(mention: &str, text: &Text, before: Option<&Text>) -> Heard {
    let is_title_new = before.is_none_or(|before| before.title != text.title);
    let title = text.title.clone().filter(|_| is_title_new);
    command::parse(mention, &Text { title, body: text.body.clone() })
}

/// The commands that stood in a text or its title, heard or not: the edit has not given them.
fn stood_there(mention: &str, before: &Text) -> Vec<Command> {
    let parts = before.title.iter().chain([&before.body]);
    parts.flat_map(|part| command::parse(mention, &Text { title: None, body: part.clone() }).commands).collect()
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
        Wish::Start(Start::new(self.key.clone(), task, Way::Words, what))
    }

    /// Work on the issue, or on what the pull request proposes.
    fn on_either(&self, task: Task, what: &'static str) -> Wish {
        let is_of_pull = self.on_pull_request;
        Wish::Start(Start { is_of_pull, ..Start::new(self.key.clone(), task, Way::Words, what) })
    }

    fn reply(&self, reply: Reply, what: &'static str) -> Wish {
        self.work(Task::Reply { issue: self.issue, reply }, what)
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
        Command::Review { .. } if !asked.on_pull_request => {
            let told = format!("`review` is of pull requests. `{mention} ask` answers a question about the code here.");
            asked.refuse(told, "`review` was asked for on an issue")
        }
        Command::Review { request } => {
            asked.on_either(Task::Answer { issue, request, mode: Mode::Review }, "`review` was asked for")
        }
        // On an issue as well: whoever may ask is told where to.
        Command::Prove { is_about_the_build } => {
            let what = if is_about_the_build { "`prove build` was asked for" } else { "`prove` was asked for" };
            asked.work(Task::ProvePullRequest { pull_request: issue, is_about_the_build }, what)
        }
        Command::Retry => Wish::Again { key: asked.key.clone(), again: Again::Retry },
        Command::Approve { request } => Wish::Again { key: asked.key.clone(), again: Again::Approve(request) },
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

/// We never answer ourselves, nor another bot that nobody has let speak: by the App's number, by the hidden marker, by GitHub's own word.
fn heard_by(event: &Event, deployment: &Deployment, text: &Untrusted, via_app: Option<u64>) -> Result<(), String> {
    if via_app == Some(deployment.app_id) {
        Err("this App wrote the text itself".into())
    } else if text.raw().contains(MARKER_START) {
        Err("the text carries this program's own marker".into())
    } else {
        unless_bot(event, deployment, "a bot wrote the text")
    }
}

/// Refuses what a bot does that no repository may let do it.
fn unless_bot(event: &Event, deployment: &Deployment, because: &str) -> Result<(), String> {
    let is_heard = !event.actor.is_bot || deployment.bots.contains(&event.actor.id);
    is_heard.then_some(()).ok_or_else(|| because.to_owned())
}

fn unless_closed(is_open: bool) -> Result<(), String> {
    is_open.then_some(()).ok_or_else(|| "the issue is closed".to_owned())
}
