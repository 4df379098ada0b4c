use super::*;
use crate::job::JobSpec;

/// A comment that says this now.
fn said(body: &str, before: Option<&str>) -> Event {
    let text = |body: &str| Text { title: None, body: Untrusted::new(body) };
    let (place, on_pull_request, via_app) = (Place::Comment(345), false, None);
    event(EventKind::Written {
        issue: ISSUE,
        place,
        text: text(body),
        before: before.map(text),
        on_pull_request,
        via_app,
        wants_changes: false,
    })
}

fn open() -> Facts {
    let other = JobKey::of_comment(&sample::repo(), ISSUE, 1);
    Facts { open_jobs: vec![other.clone()], stoppable: vec![other], ..facts() }
}

/// What follows, a line each.
fn followed(event: &Event, facts: &Facts) -> Vec<String> {
    let decision = decide(event, &deployment(), facts);
    let text = serde_json::to_string(&decision).unwrap();
    assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision, "it is stored as it was made");
    let of = |part: &Decision| match part {
        Decision::Start { spec, .. } => match &spec.task {
            Task::Reply { reply: Reply::Refused { because }, .. } => format!("told: {because}"),
            task => format!("{} {}", task.command(), spec.key.as_str()),
        },
        Decision::Cancel { keys, .. } => format!("stops {}", keys.len()),
        Decision::Ignore { because, .. } => format!("nothing: {because}"),
        Decision::Several { .. } => "several".into(),
    };
    decision.parts().iter().map(of).collect()
}

#[test]
fn what_a_text_stops_is_in_nobodys_way_behind_that() {
    assert_eq!(followed(&said("@codex stop\n@codex fix this", None), &open()), ["stops 1", "fix 99/issue/12/comment/345"]);
    let decision = decide(&said("@codex stop\n@codex fix this", None), &deployment(), &open());
    assert_eq!(decision.because(), "octocat asked to stop; `fix` was asked for by octocat, who has the role write");
    let told = followed(&said("@codex fix this\n@codex stop", None), &open());
    assert!(told[0].starts_with("told: Job 538db742fcb50de3 is still under way here.") && told[1] == "stops 1", "{told:?}");
}

#[test]
fn a_text_starts_one_piece_of_work_and_gets_all_its_answers() {
    let told = followed(&said("@codex ask why?\n@codex status\n@codex fix this\n@codex help", None), &facts());
    assert_eq!(told[0], "ask 99/issue/12/comment/345");
    assert!(told[1].starts_with("reply 99/issue/12/comment/345/reply/"), "{told:?}");
    assert_eq!(
        told[2],
        "told: One piece of work is begun for a text, the first that it asks for. Ask for the next in a new comment."
    );
    assert!(told[3].starts_with("reply ") && told[3] != told[1], "{told:?}");
}

/// An answer to one command takes nothing from another.
#[test]
fn a_command_that_takes_a_higher_role_does_not_keep_the_others_from_whoever_has_theirs() {
    let mut facts = facts();
    facts.policy.triggers.roles = [("stop", Role::Maintain)].into_iter().collect();
    let told = followed(&said("@codex stop\n@codex fix this\n@codex status", None), &facts);
    assert!(told[0].starts_with("told: This takes the role `maintain` here"), "{told:?}");
    assert_eq!(told[1], "fix 99/issue/12/comment/345");
    let Decision::Several { decisions } = decide(&said("@codex stop\n@codex fix this", None), &deployment(), &facts) else {
        panic!("several")
    };
    let keys: Vec<_> = decisions
        .iter()
        .filter_map(|part| match part {
            Decision::Start { spec, .. } => Some(spec.key.clone()),
            Decision::Cancel { .. } | Decision::Several { .. } | Decision::Ignore { .. } => None,
        })
        .collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
}

#[test]
fn what_stands_behind_the_last_command_that_is_heard_is_said_to_be_left() {
    let text: String = ["why?", "who?", "when?", "how?", "where?", "which?"].map(|what| format!("@codex ask {what}\n")).concat();
    let told = followed(&said(&text, None), &facts());
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(told[5], "told: A text is heard for its first commands only; write a new comment for what stands behind them.");
}

#[test]
fn an_edit_gives_the_commands_that_it_adds_and_no_other() {
    let both = "@codex fix this\n@codex status";
    let told = followed(&said(both, Some("@codex fix this")), &facts());
    assert!(told.len() == 1 && told[0].starts_with("reply "), "{told:?}");
    assert_eq!(
        followed(&said("@codex status\n\n@codex fix this", Some(both)), &facts()),
        ["nothing: the edit left the command as it was"]
    );
    let work = decide(&said(both, Some("@codex status")), &deployment(), &facts());
    let Decision::Start { spec, .. } = work else { panic!("one start: {work:?}") };
    assert_eq!(*spec, JobSpec { ..sample::spec() });
}

#[test]
fn whoever_may_nothing_hears_nothing_however_often_he_asks() {
    let stranger = Facts { role: Role::Read, ..facts() };
    let because = "octocat has the role read here, and write is needed to start a run";
    let twice = decide(&said("@codex status\n@codex fix this", None), &deployment(), &stranger);
    assert_eq!(twice, Decision::ignore(format!("{because}; {because}")));
}
