use super::{AMPLE, brief, open, reply, said, shell, terms};
use crate::job::Mode;
use crate::turn::context::RESULTS_KEPT;
use crate::turn::conversation::{Conversation, Terms};
use crate::turn::{Item, Next, Reply, TokenUsage};

/// A conversation whose context holds so many tokens.
fn narrow(context_tokens: u64) -> Conversation {
    Conversation::open(&brief(Mode::Fix), Terms { context_tokens, ..terms(AMPLE) })
}

/// Takes a turn with a call whose result is so long; the endpoint counts nothing.
fn turn(talk: &mut Conversation, n: usize, n_bytes: usize) {
    talk.reply(Reply { usage: None, ..reply(vec![shell(&format!("echo {n}"))]) });
    talk.result("c", format!("Exit code: {n}\n{}", "x".repeat(n_bytes)), &format!("ran `echo {n}`"));
}

fn masked(talk: &Conversation) -> usize {
    talk.items()
        .iter()
        .filter(|item| matches!(item, Item::Result { output, .. } if output.contains("left out to make room")))
        .count()
}

fn last_text(talk: &Conversation) -> &str {
    match talk.items().last() {
        Some(Item::User { text }) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn old_results_are_masked_in_one_batch_and_the_newest_stay() {
    let mut talk = narrow(40_000);
    let mut n = 0;
    while masked(&talk) == 0 {
        turn(&mut talk, n, 8_000);
        n += 1;
    }
    assert_eq!((talk.revision(), masked(&talk)), (1, n - RESULTS_KEPT));
    assert!(
        matches!(talk.items().iter().find(|item| matches!(item, Item::Result { .. })), Some(Item::Result { output, .. }) if output.starts_with("Exit code: 0\n["))
    );
    turn(&mut talk, n, 8_000);
    assert_eq!(talk.revision(), 1, "the next turn only adds");
}

#[test]
fn where_masking_does_not_help_the_model_sums_up_and_goes_on_from_there() {
    let mut talk = narrow(20_000);
    let tools = talk.tools().len();
    talk.reply(reply(vec![super::call("p", "plan", r#"{"steps":[{"step":"look","status":"completed"}]}"#, false)]));
    for n in 0..RESULTS_KEPT {
        turn(&mut talk, n, 7_900);
    }
    assert!(last_text(&talk).contains("Write a summary"));
    assert!(matches!(talk.next(), Next::Ask { .. }));
    assert_eq!(talk.tools().len(), tools, "the cached beginning stays");
    talk.reply(Reply {
        usage: Some(TokenUsage { input: 20_000, cached: 0, output: 10 }),
        ..reply(vec![said("I looked; a.rs is wrong."), shell("ls")])
    });
    assert_eq!(talk.items().len(), 2);
    assert_eq!(talk.items()[0], Item::User { text: "fix it".into() });
    insta::assert_snapshot!(last_text(&talk).replace("x".repeat(7_900).as_str(), "x"), @r"
    The history of your work was too long for the context and was replaced by this note. The files are as you left them. Go on from here, and do not repeat what is recorded as done.

    # Your own summary
    I looked; a.rs is wrong.

    # What the harness has recorded
    Your plan:
    - [completed] look

    No file was edited with the edit tool so far.
    What was done so far, oldest first:
    - ran `echo 0`
    - ran `echo 1`
    - ran `echo 2`
    - ran `echo 3`
    - ran `echo 4`
    - ran `echo 5`
    - ran `echo 6`
    - ran `echo 7`
    ");
    assert!(matches!(talk.next(), Next::Ask { .. }));
    let revision = talk.revision();
    turn(&mut talk, 1, 100);
    assert_eq!(talk.revision(), revision);
}

#[test]
fn an_overflow_is_mended_without_asking_the_endpoint() {
    let mut talk = open(AMPLE);
    for n in 0..RESULTS_KEPT + 2 {
        turn(&mut talk, n, 500);
    }
    assert!(talk.overflowed());
    assert_eq!(masked(&talk), 2);
    assert!(talk.overflowed());
    assert_eq!(talk.items().len(), 2);
    assert!(last_text(&talk).contains("ran `echo 9`"));
    assert!(!talk.overflowed(), "nothing is left to leave out");
}

#[test]
fn after_an_overflow_the_context_is_known_to_be_smaller() {
    let mut talk = narrow(1_000_000);
    for n in 0..3 {
        turn(&mut talk, n, 20_000);
    }
    assert!(talk.overflowed());
    let revision = talk.revision();
    for n in 3..7 {
        turn(&mut talk, n, 12_000);
    }
    assert!(talk.revision() > revision || last_text(&talk).contains("Write a summary"));
}

#[test]
fn a_task_that_fills_the_context_is_not_summed_up_again_and_again() {
    let mut brief = brief(Mode::Fix);
    brief.task = "word ".repeat(10_000);
    let mut talk = Conversation::open(&brief, Terms { context_tokens: 1_000, ..terms(AMPLE) });
    assert!(matches!(talk.next(), Next::Ask { .. }));
    assert_eq!(talk.items().len(), 1);
    assert!(!talk.overflowed());
}
