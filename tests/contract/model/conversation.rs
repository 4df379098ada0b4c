//! Whole conversations, whatever the format.

use patchwright::model::draft::Draft;
use patchwright::model::scripted::{Fault, Script, Step};
use patchwright_domain::turn::{Item, Stop};

use super::{FORMATS, Format, message, start, status, user};

/// What the harness says to a reply: a result for every call.
fn results(items: &[Item]) -> Vec<Item> {
    let result = |item: &Item| match item {
        Item::Call { call_id, freeform, .. } => {
            Some(Item::Result { call_id: call_id.clone(), output: "ok \"so\"\n```\n".into(), freeform: *freeform })
        }
        Item::User { .. } | Item::Assistant { .. } | Item::Reasoning { .. } | Item::Result { .. } => None,
    };
    items.iter().filter_map(result).collect()
}

#[tokio::test]
async fn every_kind_of_item_comes_over_the_wire() {
    let think = Step::Reasoned { summary: "hm".into(), then: Box::new(Step::Shell("ls".into())) };
    let no_object = Step::Call { name: "read".into(), arguments: "[1]".into() };
    let script = Script::of([think, Step::ApplyPatch("*** Begin".into()), no_object, message("done")]);
    for format in FORMATS {
        let scripted = start(script.clone()).await;
        let model = format.client(&scripted);
        let mut items = user("x");
        let mut draft = Draft::default();
        for _ in 0..4 {
            let reply = format.ask_on(&*model, &items, &mut draft).await.unwrap_or_else(|error| panic!("{format:?}: {error}"));
            assert!(reply.usage.is_some_and(|usage| usage.input > 0 && usage.output > 0));
            assert_eq!(reply.stop, Stop::Complete);
            let results = results(&reply.items);
            items.extend(reply.items);
            items.extend(results);
        }
        let calls: Vec<(&str, &str, bool)> = items
            .iter()
            .filter_map(|item| match item {
                Item::Call { name, arguments, freeform, .. } => Some((name.as_str(), arguments.as_str(), *freeform)),
                Item::User { .. } | Item::Assistant { .. } | Item::Reasoning { .. } | Item::Result { .. } => None,
            })
            .collect();
        let is_plain = format == Format::Responses;
        let patch = if is_plain { "*** Begin" } else { r#"{"input":"*** Begin"}"# };
        let expected = [("shell", r#"{"command":"ls"}"#, false), ("apply_patch", patch, is_plain), ("read", "[1]", false)];
        assert_eq!(calls, expected, "{format:?}");
        assert_eq!(items.last(), Some(&Item::Assistant { text: "done".into() }));
        let Item::Reasoning { summary, opaque } = &items[1] else { panic!("{format:?}: {:?}", items[1]) };
        assert_eq!((summary.as_str(), opaque.is_empty()), ("hm", matches!(format, Format::Chat | Format::Spoken)));
        scripted.shutdown().await;
    }
}

#[tokio::test]
async fn each_request_is_the_beginning_of_the_next_one_on_a_single_connection() {
    let think = |n| Step::Reasoned { summary: "hm".into(), then: Box::new(Step::Shell(format!("echo {n}"))) };
    let steps = (0..19).map(|n| if n % 2 == 0 { think(n) } else { Step::ApplyPatch("*** \"Begin\"\n".into()) });
    let script = Script::of(steps.chain([message("done")]));
    for format in FORMATS {
        let scripted = start(script.clone()).await;
        let model = format.client(&scripted);
        let (mut items, mut draft) = (user("x"), Draft::default());
        for turn in 0..20 {
            let reply = format.ask_on(&*model, &items, &mut draft).await.unwrap_or_else(|error| panic!("{format:?}: {error}"));
            let results = results(&reply.items);
            assert_eq!(results.len(), usize::from(turn < 19), "{format:?}");
            items.extend(reply.items);
            items.extend(results);
        }
        let requests = scripted.requests();
        for pair in requests.windows(2) {
            let closing = pair[0].bytes.iter().rev().take_while(|byte| b"]}\"".contains(byte)).count();
            let kept = &pair[0].bytes[..pair[0].bytes.len() - closing];
            assert!(pair[1].bytes.starts_with(kept), "{format:?}");
            assert_ne!(pair[1].body, serde_json::Value::Null, "{format:?}");
        }
        // The same conversation written at once has the same bytes.
        items.pop();
        format.ask(&*model, &items).await.expect("a reply");
        let whole = scripted.requests().pop().expect("recorded").bytes;
        assert!(whole == requests[19].bytes, "{format:?}");
        assert_eq!((scripted.n_connections(), requests.len()), (1, 20), "{format:?}");
        scripted.shutdown().await;
    }
}

#[tokio::test]
async fn errors_and_unknown_events_keep_the_connection() {
    for format in FORMATS {
        let faults = [Fault::Garbage, status(500, &[], "oops"), status(429, &[("retry-after", "1")], "{}")];
        let scripted = start(Script::of([message("hi")]).with_faults(faults)).await;
        let model = format.client(&scripted);
        for n in 0..20 {
            let reply = format.ask(&*model, &user("x")).await;
            assert_eq!(reply.is_ok(), n != 1 && n != 2);
            if let Ok(reply) = reply {
                assert_eq!(reply.items, [Item::Assistant { text: "hi".into() }], "{format:?}");
            }
        }
        assert_eq!((scripted.requests().len(), scripted.n_connections()), (20, 1), "{format:?}");
        scripted.shutdown().await;
    }
}

#[tokio::test]
async fn a_reply_at_its_limit_is_a_reply_without_the_cut_call() {
    for format in FORMATS {
        let scripted = start(Script::of([Step::Cut])).await;
        let reply = format.ask(&*format.client(&scripted), &user("x")).await.expect("a reply");
        assert_eq!(reply.stop, Stop::OutputLimit, "{format:?}");
        assert_eq!(reply.items, [Item::Assistant { text: "I was about to".into() }], "{format:?}");
        assert!(reply.usage.is_some());
        scripted.shutdown().await;
    }
}

#[tokio::test]
async fn a_refusal_is_a_reply_with_the_words_of_it() {
    for format in FORMATS {
        let scripted = start(Script::of([Step::Refuse("I will not.".into())])).await;
        let reply = format.ask(&*format.client(&scripted), &user("x")).await.expect("a reply");
        assert_eq!(reply.stop, Stop::Refused, "{format:?}");
        assert_eq!(reply.items, [Item::Assistant { text: "I will not.".into() }], "{format:?}");
        scripted.shutdown().await;
    }
}

#[tokio::test]
async fn a_reply_of_nothing_can_be_followed_by_words_of_the_user() {
    for format in FORMATS {
        let thought = Step::Reasoned { summary: "hm".into(), then: Box::new(Step::Empty) };
        let scripted = start(Script { for_tasks: vec![("y".into(), vec![message("hi")])], ..Script::of([thought]) }).await;
        let model = format.client(&scripted);
        let (mut items, mut draft) = (user("x"), Draft::default());
        let nothing = format.ask_on(&*model, &items, &mut draft).await.expect("a reply");
        let expected = [Item::Reasoning { summary: "hm".into(), opaque: String::new() }];
        assert_eq!(nothing.items, expected, "a thought that leads to nothing cannot go back");
        items.extend(nothing.items);
        items.extend(user(""));
        items.extend(user("y"));
        let reply = format.ask_on(&*model, &items, &mut draft).await.unwrap_or_else(|error| panic!("{format:?}: {error}"));
        assert_eq!(reply.items, [Item::Assistant { text: "hi".into() }], "{format:?}");
        scripted.shutdown().await;
    }
}

#[tokio::test]
async fn a_script_is_chosen_by_the_last_words_of_the_user_and_then_by_the_first() {
    let for_tasks = vec![("first".to_owned(), vec![message("one")]), ("second".to_owned(), vec![message("two")])];
    for format in FORMATS {
        let scripted = start(Script { for_tasks: for_tasks.clone(), ..Script::of([message("none")]) }).await;
        let model = format.client(&scripted);
        for (words, expected) in [
            (&["the first"][..], "one"),
            (&["the first", "the second"], "two"),
            (&["the first", "else"], "one"),
            (&["else"], "none"),
        ] {
            let mut items: Vec<Item> = Vec::new();
            for text in words {
                items.extend([Item::User { text: (*text).into() }, Item::Assistant { text: "yes".into() }]);
            }
            items.pop();
            let reply = format.ask(&*model, &items).await.expect("a reply");
            assert_eq!(reply.items, [Item::Assistant { text: expected.into() }], "{format:?} {words:?}");
        }
        scripted.shutdown().await;
    }
}
