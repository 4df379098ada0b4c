//! One piece of work at a time in one place.

use super::*;

#[test]
fn an_issue_has_one_job_at_a_time() {
    let same = Facts { open_jobs: vec![key()], ..facts() };
    check_ignored(&comment(FIX), &same, "the same request has already started a job");
    let other = Facts { open_jobs: vec![JobKey::of_comment(&sample::repo(), ISSUE, 1)], ..facts() };
    let told = "Job 538db742fcb50de3 is still under way here. Ask again in a new comment when its result is here, or after `@codex stop`; `@codex status` says how far it is.";
    check_refused(&comment(FIX), &other, told);
    check_ignored(&labeled("codex"), &same, "a job of issue #12 is still open; one at a time");
}

#[test]
fn closing_the_issue_cancels_its_jobs() {
    let open = Facts { open_jobs: vec![key()], role: Role::None, ..facts() };
    let decision = decide(&closed(), &deployment(), &open);
    assert_eq!(decision, Decision::Cancel { keys: vec![key()], because: "issue #12 was closed by octocat".into() });
    assert_eq!(decide(&from_a_bot(closed()), &deployment(), &open).because(), "issue #12 was closed by renovate[bot]");
    check_ignored(&closed(), &facts(), "the issue was closed and no job of it is open");
}

#[test]
fn who_may_start_may_stop() {
    let open = Facts { open_jobs: vec![key()], stoppable: vec![key()], ..facts() };
    let stop = comment(Comment { body: "@codex stop", ..FIX });
    let decision = decide(&stop, &deployment(), &open);
    assert_eq!(decision, Decision::Cancel { keys: vec![key()], because: "octocat asked to stop".into() });
    let stranger = Facts { role: Role::Triage, ..open };
    check_ignored(&stop, &stranger, "octocat has the role triage here, and write is needed to start a run");
}

#[test]
fn a_text_that_was_answered_before_its_edit_is_not_silently_ignored() {
    let answered = Facts { was_answered: true, ..facts() };
    let mended = edit(("Mean", "@codex fix this"), ("Mean", "@codex ask why it is 6"));
    check_refused(&mended, &answered, "This was answered before it was edited. Write a new comment to ask for more.");
    check_starts(&mended, &facts());
    assert_eq!(super::super::edited(&mended, &deployment()), Some(JobKey::of_description(&sample::repo(), ISSUE)));
    assert_eq!(super::super::edited(&comment(FIX), &deployment()), None);
}
