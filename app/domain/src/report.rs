//! Every sentence that a user reads: pull requests, comments, check runs.
//!
//! What the model or a stranger wrote passes through [`neutral`] before it stands in one of them.

use std::fmt::Write as _;

use crate::effect::{self, PULL_REQUEST_PLACEHOLDER, Published};
use crate::event::IssueNumber;
use crate::job::{Budget, JobId, JobSpec, Task, Usage};
use crate::journal::{Adopted, Change, ChangeKind, CommitId, Conclusion, Digest, Outcome, Prepared, Triaged};
use crate::proof::Verdict;
use crate::review::Reviewed;
use crate::run::Judged;
use crate::walls::{self, Walls};

pub mod adopted;
mod annotations;
mod evidence;
pub mod neutral;
pub mod policy;
pub mod progress;
pub mod replies;
pub mod reviewed;
pub mod threads;
pub mod triaged;

pub use annotations::annotations;

use neutral::{cell, clip, code, fence, inert, plain};

/// How long a title of ours may be, in characters; GitHub cuts at 256.
const TITLE_CHARS_MAX: usize = 120;
/// How much of the model's own words is shown, in characters: of its last words, and of an answer that was asked for.
const LAST_WORDS_CHARS_MAX: usize = 6_000;
const ANSWER_CHARS_MAX: usize = 30_000;
/// How many changed files are listed.
const FILES_LISTED_MAX: usize = 50;
/// How much of a changed file's path is listed, in characters.
const PATH_CHARS_MAX: usize = 200;
/// How much of a command is shown, in characters.
const COMMAND_CHARS_MAX: usize = 1_000;
/// How much of a cause and of a next step is shown, in characters.
const SENTENCE_CHARS_MAX: usize = 1_000;
/// How long an envelope may be that is shown, in bytes.
const ENVELOPE_BYTES_MAX: usize = 60_000;
/// How long the details of a check run may be, in bytes; GitHub takes 65,535 characters.
const DETAILS_BYTES_MAX: usize = 65_000;
/// How long a body of ours may be; GitHub takes 65,536 characters, and the marker comes on top.
const BODY_CHARS_MAX: usize = 60_000;
/// How the last line of a pull request's text begins.
const LAST_LINE: &str = "\n\n<sub>Job ";

/// All that there is to tell at the end of a run.
#[derive(Clone, Copy, Debug)]
pub struct Story<'a> {
    /// The job.
    pub spec: &'a JobSpec,
    /// How it ended.
    pub conclusion: &'a Conclusion,
    /// What confined the repository's code, as far as any ran.
    pub walls: &'a [Walls],
    /// Somebody else's change that is proven, where it is one and was fetched.
    pub adopted: Option<&'a Adopted>,
    /// The commit that somebody else has proposed, also where it does not go into its branch.
    pub proposed: Option<&'a CommitId>,
    /// What a red check is about, where that was found out.
    pub triaged: Option<&'a Triaged>,
    /// The part of its job's log that shows the failure; empty where there is none.
    pub log: &'a str,
    /// What preparing found, if it came so far.
    pub prepared: Option<&'a Prepared>,
    /// The last proposal with its verdict, if there is one.
    pub judged: Option<&'a Judged>,
    /// The proposals of all attempts that are over, each with its verdict.
    pub finished: &'a [Judged],
    /// The issue's title, or the local task's first line.
    pub title: &'a str,
    /// The model's closing words.
    pub answer: &'a str,
    /// What a review has found that is to be told of.
    pub reviewed: Option<&'a Reviewed>,
    /// The branch that was pushed before the end was planned anew.
    pub branch: Option<&'a str>,
    /// What the run used.
    pub usage: &'a Usage,
    /// Whether prices are configured, so that the cost means something.
    pub is_priced: bool,
    /// The model's name.
    pub model: &'a str,
    /// Where the default branch points by now, if that is no longer the base; for somebody else's change, where its pull
    /// request points, if that is no longer the change.
    pub moved_to: Option<&'a CommitId>,
    /// The only host that links of the model may lead to.
    pub host: &'a str,
    /// The signed statement about the patch, where there is one.
    pub attestation: Option<&'a Sealed>,
    /// The comments that head the remarks of the review that called us, in the order in which the model was told of them.
    pub threads: &'a [u64],
    /// The jobs that are under way where a reply is written that tells of them.
    pub under_way: &'a [replies::UnderWay],
}

/// A signed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The digest of the envelope, by which it is kept.
    pub digest: Digest,
    /// The envelope: JSON in one line.
    pub envelope: String,
}

/// The pull request's title.
pub fn title(story: &Story<'_>) -> String {
    let title = inert(story.title, TITLE_CHARS_MAX);
    let title = match (story.spec.task.issue(), title.is_empty()) {
        (Some(issue), true) => format!("Fix issue #{issue}"),
        (None, true) => "Patch".to_owned(),
        (Some(_) | None, false) => title,
    };
    if is_bare(story.walls) { format!("{}{title}", walls::TITLE_MARK) } else { title }
}

/// The pull request's text.
pub fn pull_request(story: &Story<'_>, judged: &Judged) -> String {
    let mut body = headline(story);
    place(&mut body, story, judged);
    account(body, story, judged)
}

/// What is said on our own pull request of what goes onto its branch.
pub fn onto(story: &Story<'_>, judged: &Judged) -> String {
    let mut body = headline(story);
    let below = story.prepared.map_or_else(String::new, |prepared| format!(", on top of {}", code(prepared.base.short())));
    let _ = write!(body, "\n\nIt is on this pull request's branch now: {}{below}.", judged.proposal.commit);
    account(body, story, judged)
}

/// Where it goes, and what it is of.
fn place(body: &mut String, story: &Story<'_>, judged: &Judged) {
    if let Task::TriageCheck { pull_request, head, check, .. } = &story.spec.task {
        triaged::on_top(body, *pull_request, head, check);
    } else if let Some((head, _)) = story.spec.task.works_on() {
        on_top(body, story, head, judged);
    } else if let Some(issue) = story.spec.task.issue() {
        let _ = write!(body, "\n\nFixes #{issue}");
    }
}

/// What was asked, what came of it and what shows that.
fn account(mut body: String, story: &Story<'_>, judged: &Judged) -> String {
    asked(&mut body, story);
    let _ = write!(body, "\n\n### What changed and why\n\n");
    let words = neutral::markdown(story.answer, story.host, LAST_WORDS_CHARS_MAX);
    let words = if words.trim().is_empty() { "The model said nothing about it.".into() } else { words };
    let _ = write!(
        body,
        "{words}\n\n<sub>These are the model's words; nobody has checked them. What follows was executed.</sub>\n\n"
    );
    files(&mut body, &judged.proposal.changes);
    evidence::tests(&mut body, story, &judged.verdict);
    evidence::not_verified(&mut body, story, &judged.verdict);
    if let Some(sealed) = story.attestation {
        let _ = write!(body, "\n\n### Attestation\n\n{}", attested(sealed));
    }
    attempts(&mut body, story, judged);
    let _ = write!(body, "\n\n### Cost\n\n{}", cost(story));
    let _ = write!(body, "{LAST_LINE}{}. A person reviews and merges this; nothing here merges itself.</sub>", story.spec.id());
    clip(&body, BODY_CHARS_MAX)
}

/// The pull request's text with a section above its last line that says of the commit what was read on the branch, and no more.
pub fn with_commit(body: &str, planned: &CommitId, published: &Published) -> String {
    let Published { commit, is_verified, reason } = published;
    let mut told = format!("\n\n### Commit\n\n`{commit}` is ");
    told += if *is_verified { "**verified**, as GitHub shows it." } else { "**not verified**." };
    if let Some(reason) = reason {
        let _ = write!(told, " GitHub has not signed it: {}.", code(&plain(reason, SENTENCE_CHARS_MAX)));
    }
    if commit != planned {
        let _ = write!(
            told,
            " GitHub made it of `{planned}`, which is what was tested and what an attestation names: the same files on the same base."
        );
    }
    let (above, last) = body.split_at(body.rfind(LAST_LINE).unwrap_or(body.len()));
    format!("{above}{told}{last}")
}

/// Which signed statement there is, and how it is checked.
fn attested(sealed: &Sealed) -> String {
    format!(
        "What was executed is signed: `sha256:{}` is the envelope, in the details of this commit's check run. `patchwright verify FILE` checks it offline.",
        sealed.digest
    )
}

/// Which of several attempts this is, and what became of the others; they are kept as evidence.
fn attempts(body: &mut String, story: &Story<'_>, chosen: &Judged) {
    if story.finished.len() < 2 {
        return;
    }
    let _ = write!(
        body,
        "\n\n### Attempts\n\nThis is attempt {}. It was chosen by what was executed, then by its size.\n\n| Attempt | Lines | Result |\n| ---: | ---: | --- |",
        chosen.attempt
    );
    for judged in story.finished {
        let (added, removed) = judged
            .proposal
            .changes
            .iter()
            .fold((0, 0), |(added, removed), change| (added + change.lines_added, removed + change.lines_removed));
        let result = match &judged.verdict {
            Verdict::Proven { .. } => "Proven.",
            Verdict::Unproven { doubt, .. } => doubt.sentence(),
        };
        let _ = write!(body, "\n| {} | +{added} −{removed} | {result} |", judged.attempt);
    }
}

fn headline(story: &Story<'_>) -> String {
    let mut text = String::new();
    if is_bare(story.walls) {
        let _ = write!(
            text,
            "**{}** Nothing kept the repository's and the agent's code from the server's machine, its files and its network.\n\n",
            walls::MARK
        );
    }
    let _ = write!(text, "**{}.** {}", heading(story.conclusion.outcome), sentence(&story.conclusion.cause, story.host));
    text
}

/// Whether any of it ran without a sandbox.
fn is_bare(walls: &[Walls]) -> bool {
    walls.iter().any(Walls::are_missing)
}

/// A cause or a next step: ours, but what is named in it may not be. It stands behind other words in a line.
fn sentence(text: &str, host: &str) -> String {
    let line = plain(text, SENTENCE_CHARS_MAX);
    let written = neutral::markdown(&line, host, SENTENCE_CHARS_MAX);
    if written.contains('\n') { code(&line) } else { written }
}

/// The outcome in words.
pub fn heading(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Proven => "Proven",
        Outcome::Unproven => "Unproven",
        Outcome::Answered => "Answered",
        Outcome::NoChange => "No change",
        Outcome::NeedsInput => "Needs input",
        Outcome::BudgetExhausted => "Budget exhausted",
        Outcome::TimedOut => "Timed out",
        Outcome::EnvironmentFailed => "Environment failed",
        Outcome::BlockedByPolicy => "Blocked by policy",
        Outcome::Superseded => "Superseded",
        Outcome::Cancelled => "Cancelled",
        Outcome::Failed => "Failed",
    }
}

/// Where work on a pull request goes, in the text of its own one.
fn on_top(body: &mut String, story: &Story<'_>, head: &CommitId, judged: &Judged) {
    let Some(number) = story.spec.task.issue() else { return };
    let head = code(head.short());
    let below = story.spec.task.works_on().and_then(|(_, branch)| branch);
    // It may be that a pull request brings the default branch somewhere else.
    let besides = match below {
        Some(branch) if branch == story.spec.repo.default_branch() => format!("the default branch {}, too", code(branch)),
        Some(_) | None => "nothing else".to_owned(),
    };
    let _ = write!(
        body,
        "\n\nThis goes to the branch of #{number}, on top of its commit {head}: merging it changes that pull request, and {besides}."
    );
    if story.spec.task.goes_onto().is_some() {
        let because = match story.is_sound(judged) {
            true => "somebody has pushed there meanwhile",
            false => "only what passes the tests that were there, and has nothing against it, goes there",
        };
        let _ = write!(body, " It is not on that branch itself: {because}.");
    }
}

fn asked(body: &mut String, story: &Story<'_>) {
    let who = code(&story.spec.requested_by.login);
    let how = match &story.spec.schedule {
        Some(schedule) => format!("by its schedule {}", code(&schedule.cron)),
        None => story.spec.role.to_string(),
    };
    let _ = match &story.spec.task {
        Task::Answer { issue, .. } | Task::Reply { issue, .. } => {
            let command = story.spec.task.command();
            write!(body, "\n\n{who} ({how}) asked for {command} on #{issue}.")
        }
        Task::WorkOnPull { pull_request: issue, request: None, mode, .. } => {
            write!(body, "\n\n{who} ({how}) asked for {} on #{issue}.", mode.as_str())
        }
        Task::FixIssue { issue, request: None } => write!(body, "\n\n{who} ({how}) asked for a fix of #{issue}."),
        Task::FixIssue { issue, request: Some(words) } | Task::WorkOnPull { pull_request: issue, request: Some(words), .. } => {
            let words = neutral::markdown(words.raw(), story.host, 1_000).replace('\n', "\n> ");
            write!(body, "\n\n{who} ({how}) asked on #{issue}:\n\n> {words}")
        }
        Task::ProvePullRequest { is_about_the_build: true, .. } => {
            write!(body, "\n\n{who} ({how}) asked for a proof that it mends what does not build or load.")
        }
        Task::ProvePullRequest { .. } => write!(body, "\n\n{who} ({how}) asked for a proof."),
        Task::TriageCheck { .. } if story.spec.requested_by.is_bot => Ok(()),
        Task::TriageCheck { .. } => write!(body, "\n\n{who} ({how}) asked for it."),
        Task::Local { .. } => write!(body, "\n\nAsked for on the command line."),
    };
    if let Some(job) = &story.spec.plan {
        let _ = write!(body, "\n\nIt carries out the plan that job {job} has made, which {who} approved.");
    }
}

fn files(body: &mut String, changes: &[Change]) {
    let _ = write!(body, "| File | | Lines |\n|---|---|---|\n");
    for change in changes.iter().take(FILES_LISTED_MAX) {
        let kind = match change.kind {
            ChangeKind::Added => "added",
            ChangeKind::Modified => "changed",
            ChangeKind::Deleted => "deleted",
        };
        let path = cell(&change.path, PATH_CHARS_MAX);
        let _ = writeln!(body, "| {path} | {kind} | +{} −{} |", change.lines_added, change.lines_removed);
    }
    if let Some(n_more) = changes.len().checked_sub(FILES_LISTED_MAX).filter(|n| *n > 0) {
        let _ = writeln!(body, "\nand {n_more} more files.");
    }
}

fn cost(story: &Story<'_>) -> String {
    let usage = story.usage;
    let budget: &Budget = &story.spec.budget;
    let money = if story.is_priced {
        format!("${} of ${}", dollars(usage.cost_microusd), dollars(budget.cost_microusd))
    } else {
        "no prices are configured, so the cost is not known".into()
    };
    format!(
        "{} of {} model calls of {}; {} tokens in ({} cached), {} out; {money}.",
        usage.turns,
        budget.turns,
        code(story.model),
        usage.input_tokens,
        usage.cached_tokens,
        usage.output_tokens
    )
}

fn dollars(microusd: u64) -> String {
    let cents = microusd.div_ceil(10_000);
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// An answer as people are shown it: what of it stands in the comment, and nothing that they do not see there.
pub fn answer(words: &str, host: &str) -> String {
    neutral::markdown(words, host, ANSWER_CHARS_MAX)
}

/// The comment at the end of a run.
pub fn farewell(story: &Story<'_>, has_pull_request: bool) -> String {
    let mut body = headline(story);
    if has_pull_request {
        let _ = write!(body, "\n\nPull request: {PULL_REQUEST_PLACEHOLDER}");
    }
    let is_answer = story.conclusion.outcome == Outcome::Answered;
    let chars_max = if is_answer { ANSWER_CHARS_MAX } else { LAST_WORDS_CHARS_MAX };
    let words = match is_answer {
        true => answer(story.answer, story.host),
        false => neutral::markdown(story.answer, story.host, LAST_WORDS_CHARS_MAX),
    };
    if !has_pull_request && !words.trim().is_empty() {
        let whose = if is_answer { "The model's words, which nobody has checked:" } else { "The model's last words:" };
        let _ = write!(body, "\n\n{whose}\n\n> {}", words.trim().replace('\n', "\n> "));
        if is_answer && story.answer.chars().nth(chars_max).is_some() {
            let _ = write!(body, "\n\nThe answer is longer; these are its first {chars_max} characters.");
        }
    }
    if let (false, Some(branch)) = (has_pull_request, story.branch) {
        let _ = write!(body, "\n\nThe branch {} was pushed before that.", code(branch));
    }
    let _ = write!(body, "\n\nNext step: {}", sentence(&story.conclusion.next_step, story.host));
    if story.usage.turns > 0 {
        let _ = write!(body, "\n\n<sub>{} Job {}.</sub>", cost(story), story.spec.id());
    } else {
        let _ = write!(body, "\n\n<sub>No model has answered. Job {}.</sub>", story.spec.id());
    }
    clip(&body, BODY_CHARS_MAX)
}

/// The check run's title and summary.
pub fn check(story: &Story<'_>, judged: &Judged) -> (String, String) {
    let title = format!("{}: {}", heading(story.conclusion.outcome), plain(&story.conclusion.cause, TITLE_CHARS_MAX));
    let mut summary = headline(story) + "\n";
    evidence::tests(&mut summary, story, &judged.verdict);
    let _ = match (effect::onto(story, judged), story.spec.task.issue()) {
        (Some(_), Some(number)) => write!(summary, "\n\nPull request: #{number}"),
        (Some(_) | None, _) => write!(summary, "\n\nPull request: {PULL_REQUEST_PLACEHOLDER}"),
    };
    (clip(&title, TITLE_CHARS_MAX), clip(&summary, BODY_CHARS_MAX))
}

/// What stands below the check run's summary: the tests one by one, where they are known, and the signed statement, where
/// there is one. The statement goes before the tests where there is not room for both.
pub fn check_details(story: &Story<'_>, verdict: &Verdict) -> Option<String> {
    let statement = story.attestation.map(|sealed| statement(sealed, &story.spec.id()));
    let room = DETAILS_BYTES_MAX.saturating_sub(statement.as_ref().map_or(0, String::len));
    let tests = verdict.account().and_then(|account| evidence::test_by_test(account, room));
    let parts: Vec<String> = tests.into_iter().chain(statement).collect();
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

/// The signed statement itself, where it is short enough.
fn statement(sealed: &Sealed, job: &JobId) -> String {
    let Sealed { digest, envelope } = sealed;
    if envelope.len() > ENVELOPE_BYTES_MAX {
        let n_bytes = envelope.len();
        return format!(
            "The signed statement, `sha256:{digest}`, has {n_bytes} bytes and is too long to stand here. The server keeps it: `patchwright jobs attestation {job}` brings it out there, for `patchwright verify FILE`."
        );
    }
    let fenced = fence(envelope);
    format!(
        "The signed statement, `sha256:{digest}`. Put the line below into a file for `patchwright verify FILE`.\n\n<details><summary>Attestation</summary>\n\n{fenced}\n\n</details>"
    )
}

/// The commit's message.
pub fn commit_message(spec: &JobSpec, title: &str) -> String {
    let title = inert(title, 72);
    let subject = if title.is_empty() { "Patch".to_owned() } else { title };
    match spec.task.issue() {
        Some(IssueNumber(number)) if matches!(spec.task, Task::TriageCheck { .. } | Task::WorkOnPull { .. }) => {
            format!("{subject}\n\nFor pull request #{number}. Job {}.\n", spec.id())
        }
        Some(IssueNumber(issue)) => format!("{subject}\n\nFor issue #{issue}. Job {}.\n", spec.id()),
        None => format!("{subject}\n\nJob {}.\n", spec.id()),
    }
}

#[cfg(test)]
mod tests;
