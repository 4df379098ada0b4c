use super::markdown::TEXT_BYTES_MAX;
use super::{COMMANDS, Command, parse, table};
use crate::event::{Text, Untrusted};

fn read(comment: &str) -> Option<Command> {
    first("@codex", &Text { title: None, body: Untrusted::new(comment) })
}

/// The only command of a text.
#[track_caller]
fn first(mention: &str, text: &Text) -> Option<Command> {
    let mut heard = parse(mention, text);
    assert!(heard.commands.len() < 2 && !heard.has_more, "{heard:?}");
    heard.commands.pop()
}

fn all(comment: &str) -> Vec<Command> {
    parse("@codex", &Text { title: None, body: Untrusted::new(comment) }).commands
}

fn words(text: &str) -> Option<Untrusted> {
    Some(Untrusted::new(text))
}

#[test]
fn each_line_that_begins_with_a_mention_and_a_command_is_one_more() {
    let [fix, ask] = [Command::Fix { request: words("the mean") }, Command::Ask { request: words("why is it 6?") }];
    for text in [
        "@codex fix the mean\n@codex ask why is it 6?",
        "@codex fix the mean\n\n@codex ask why is it 6?",
        "@codex fix the mean\r\n@Codex, ask why is it 6?\r\n",
        "- @codex fix the mean\n- @codex ask why is it 6?",
        "Hello, @codex fix the mean\n@codex: ask why is it 6?",
        "@codex fix the mean\n@codex ask why is it 6?\n@codex fix the mean",
    ] {
        assert_eq!(all(text), [fix.clone(), ask.clone()], "{text:?}");
    }
    assert_eq!(
        all("@codex stop\n@codex fix this differently\nplease"),
        [Command::Stop, Command::Fix { request: words("this differently please") }]
    );
}

#[test]
fn what_people_say_of_us_behind_a_command_belongs_to_it_or_to_nobody() {
    let whole = |text: &str| Command::Fix { request: words(text) };
    assert_eq!(all("@codex fix the mean\n@codex thinks it is 6"), [whole("the mean @codex thinks it is 6")]);
    assert_eq!(all("@codex fix the mean. I would @codex ask\nfor more"), [whole("the mean. I would @codex ask for more")]);
    assert_eq!(all("@codex fix the mean\n\nand then @codex fix the rest"), [whole("the mean")]);
    assert_eq!(all("@codex fix the mean\n\n@codex mend the rest"), [whole("the mean")]);
    assert_eq!(all("@codex fix the mean\n\n> @codex stop\n\n`@codex stop`\n\n```\n@codex stop\n```"), [whole("the mean")]);
    assert_eq!(all("Well.\n@codex ask why?\n@codex status"), [], "before a first command it is as it was");
}

#[test]
fn a_text_holds_a_few_commands_at_most() {
    let text: String = (0..9).map(|n| format!("@codex ask {n}?\n")).collect();
    let heard = parse("@codex", &Text { title: None, body: Untrusted::new(&text) });
    assert_eq!((heard.commands.len(), heard.has_more), (5, true));
    assert_eq!(heard.commands[4], Command::Ask { request: words("4?") });
}

/// The comment asks for a fix, and for nothing beside the issue.
#[track_caller]
fn check(comment: &str) {
    assert_eq!(read(comment), Some(Command::Fix { request: None }), "{comment:?}");
}

/// The comment asks for a fix in these words.
#[track_caller]
fn check_request(comment: &str, request: &str) {
    match read(comment) {
        Some(Command::Fix { request: Some(words) }) => assert_eq!(words.raw(), request),
        other => panic!("{comment:?} is {other:?}"),
    }
}

#[track_caller]
fn check_unknown(comment: &str, word: &str, nearest: &'static str) {
    assert_eq!(read(comment), Some(Command::Unknown { word: word.into(), nearest }), "{comment:?}");
}

/// The comment asks for something in the writer's own words.
#[track_caller]
fn check_free(comment: &str, words: &str) {
    assert_eq!(read(comment), Some(Command::Free { request: Untrusted::new(words) }), "{comment:?}");
}

/// The comment calls nobody.
#[track_caller]
fn check_silent(comment: &str) {
    assert_eq!(read(comment), None, "{comment:?}");
}

#[test]
fn a_mention_in_running_text_is_heard() {
    check("@codex fix this");
    check("  @codex fix this");
    check("Well then. @codex fix this");
    check("Well then:\n@codex fix this");
    check("First.\n\nSecond, @codex fix it.\n\nThird.");
    check("(@codex fix)");
    check("# @codex fix this");
    check("@codex fix this\n===");
    check("- one\n- @codex fix this\n- three");
    check("1. one\n2. two\n   - @codex fix this");
    check("- [ ] @codex fix this");
    check("| a | b |\n|---|---|\n| one | @codex fix this |");
    check("**@codex fix this**");
    check("**@codex** *fix* this");
    check("🚀 @codex fix this");
    check("\u{e4}hm @codex fix this");
    check("@other @codex fix this");
    check("<b>@codex fix this</b>");
    check("> quoted\n\n@codex fix this");
    check("```\ncode\n```\n@codex fix this");
    check("`code` @codex fix this");
    check("~~no~~ @codex fix this");
    check("<!-- a comment -->\n\n@codex fix this");
}

#[test]
fn a_proof_is_asked_for_in_one_word() {
    for comment in ["@codex prove", "@codex prove this", "@Codex, PROVE it please", "Well.\n\n@codex prove"] {
        assert_eq!(read(comment), Some(Command::Prove { is_about_the_build: false }), "{comment:?}");
    }
    for comment in ["@codex prove build", "@codex prove Build, please"] {
        assert_eq!(read(comment), Some(Command::Prove { is_about_the_build: true }), "{comment:?}");
    }
    assert_eq!(read("@codex prove builds"), Some(Command::Prove { is_about_the_build: false }));
    check_silent("`@codex prove`");
    check_silent("> @codex prove");
    check_unknown("@codex proves this", "proves", "prove");
}

#[test]
fn what_was_done_last_is_meant_where_nothing_else_is_named() {
    for comment in ["@codex retry", "@codex retry this", "@codex retry it, please", "Hm.\n\n@Codex Retry!", "- @codex retry"] {
        assert_eq!(read(comment), Some(Command::Retry), "{comment:?}");
    }
    for comment in ["@codex approve", "@codex approve this plan", "@codex, approve it please."] {
        assert_eq!(read(comment), Some(Command::Approve { request: None }), "{comment:?}");
    }
    let more = Command::Approve { request: Some(Untrusted::new("but leave out step 3")) };
    assert_eq!(read("@codex approve, but leave out step 3"), Some(more.clone()));
    assert_eq!(read("@codex approve the plan. but leave out step 3"), Some(more));
    // These are things that code does.
    for words in ["retry the upload on 503", "approve large orders"] {
        let comment = format!("@codex {words}");
        assert_eq!(read(&comment), Some(Command::Free { request: Untrusted::new(words) }), "{comment:?}");
    }
    check_silent("I would @codex retry");
    check_unknown("@codex aprove", "aprove", "approve");
}

#[test]
fn case_punctuation_and_line_ends_do_not_matter() {
    check("@Codex Fix This");
    check("@CODEX FIX");
    check("@codex, fix this");
    check("@codex: fix this");
    check("@codex   fix   this");
    check("@codex\nfix this");
    check("@codex\r\nfix this\r\n");
    check("Hello,\r\n\r\n@codex fix this\r\n\r\nThanks");
    check("@codex\u{a0}fix this");
}

#[test]
fn a_mention_that_only_stands_there_is_not_heard() {
    check_silent("");
    check_silent("fix this");
    check_silent("@codex");
    check_silent("thanks, @codex!");
    check_silent("`@codex fix this`");
    check_silent("``@codex fix this``");
    check_silent("```\n@codex fix this\n```");
    check_silent("~~~sh\n@codex fix this\n~~~");
    check_silent("```\n@codex fix this");
    check_silent("text\n\n    @codex fix this");
    check_silent("\t@codex fix this");
    check_silent("> @codex fix this");
    check_silent("> quoted\n@codex fix this");
    check_silent("> > @codex fix this");
    check_silent("> [!NOTE]\n> @codex fix this");
    check_silent("- > @codex fix this");
    check_silent("[@codex fix this](https://example.com)");
    check_silent("[@codex][1] fix this\n\n[1]: https://example.com");
    check_silent("![@codex fix this](https://example.com/a.png)");
    check_silent("<div>\n@codex fix this\n</div>");
    check_silent("<pre>@codex fix this</pre>");
    check_silent("<!-- @codex fix this -->");
    check_silent("seen <!-- @codex fix this --> seen");
    check_silent("<!--\n\n@codex fix this\n\n-->");
    check_silent("<img alt='@codex fix this'>");
    check_silent("~~@codex fix this~~");
    check_silent("\\@codex fix this");
}

#[test]
fn a_part_of_another_word_is_not_heard() {
    check_silent("a@codex fix this");
    check_silent("mail a.b@codex fix this");
    check_silent("@@codex fix this");
    check_silent("org/@codex fix this");
    check_silent("x-@codex fix this");
    check_silent("_@codex fix this");
    check_silent("@codex-team fix this");
    check_silent("@codexfoo fix this");
    check_silent("@codex/team fix this");
    check_silent("@codex.example fix this");
    check_silent("@codex's fix works");
    check_silent("@org/codex fix this");
    check_silent("@co`d`ex fix this");
    check_silent("@codexfix this");
    check_silent("@codex,fix this");
}

#[test]
fn the_first_command_counts() {
    check_request("@codex-team and @codex fix a", "a");
    check("`@codex fix a`\n\n@codex fix");
    let unknown = Command::Unknown { word: "hlep".into(), nearest: "help" };
    assert_eq!(all("@codex hlep\n\n@codex fix"), [unknown, Command::Fix { request: None }]);
    check("@codex thanks!\n\n@codex fix");
}

#[test]
fn the_request_is_the_rest_of_the_paragraph() {
    check_request("@codex fix the sum of two numbers", "the sum of two numbers");
    check_request("@codex: fix x", "x");
    check_request("@codex fix: x", "x");
    check_request("@codex fix, x", "x");
    check_request("@codex fix one\ntwo\n\nthree", "one two");
    check_request("@codex fix one\r\ntwo\r\n\r\nthree", "one two");
    check_request("@codex fix this by adding a test", "this by adding a test");
    check_request("@codex fix **all** of [it](https://example.com)", "all of it");
    check_request("@codex fix `f()` and `a@b`", "`f()` and `a@b`");
    check_request("@codex fix `@codex`", "`@codex`");
    check_request("@codex fix what \\@other said", "what @other said");
    check_request("@codex fix it with @other", "it with @other");
    check_request("@codex fix x <!-- and more -->", "x");
    check_request("| a | b |\n|---|---|\n| @codex fix one | two |", "one");
    check_request("@codex fix 🚀", "🚀");
}

#[test]
fn words_that_only_point_to_the_issue_are_no_request() {
    for words in [
        "",
        " ",
        ".",
        "!",
        " this",
        " this!",
        " this.",
        " it",
        " it please",
        " this, please!",
        " this issue",
        " the issue please?",
    ] {
        check(&format!("@codex fix{words}"));
    }
}

#[test]
fn a_word_that_is_nearly_a_command_is_told_apart() {
    check_unknown("@codex fxi this", "fxi", "fix");
    check_unknown("@codex Fixx this", "Fixx", "fix");
    check_unknown("**@codex** plam it", "plam", "plan");
    check_unknown("@codex stauts", "stauts", "status");
    check_free("@codex as above", "as above");
    check_free("@codex fixes are welcome", "fixes are welcome");
}

#[test]
fn words_of_ones_own_count_where_they_begin_a_paragraph() {
    check_free("@codex please mend the mean", "please mend the mean");
    check_free("@codex, could you look at `mean.sh`?", "could you look at `mean.sh`?");
    check_free("First.\n\n**@codex** why is \\@other asked?", "why is @other asked?");
    check_free("@other @codex make it fast", "make it fast");
    for what in ["stop using floats for money", "stop working on this"] {
        assert_eq!(read(&format!("@codex {what}")), Some(Command::StopWhat));
    }
    check_free("@codex thanks now also handle the empty list", "thanks now also handle the empty list");
    check_free("@codex thanks, now mend the mean", "thanks, now mend the mean");
    check_free("# @codex mend the mean", "mend the mean");
    check_silent("- @codex fix-this");
    check_silent("- @codex stop gives up the job");
    check_silent("1. @codex fxi");
    check_silent("- @codex fxi");
    check_silent("I asked @codex yesterday about that");
    check_silent("We use @codex for this.");
}

#[test]
fn thanks_and_greetings_ask_for_nothing() {
    for words in [
        "thanks!",
        "thank you very much",
        "Nice work, thanks :)",
        "👍",
        "🚀",
        "...",
        "hi",
        "LGTM",
        "?",
        "thanks for the fix",
        "thank you, this works",
        "looks great",
        "great, thanks for mending the mean!",
        "it works now",
    ] {
        check_silent(&format!("@codex {words}"));
    }
}

#[test]
fn what_is_asked_and_planned_is_the_rest_of_the_paragraph() {
    let words = |text: &str| Some(Untrusted::new(text));
    assert_eq!(read("@codex ask why it is 6?"), Some(Command::Ask { request: words("why it is 6?") }));
    assert_eq!(read("@codex ask this"), Some(Command::Ask { request: None }));
    assert_eq!(read("@codex plan"), Some(Command::Plan { request: None }));
    assert_eq!(read("@codex plan the move to SQL"), Some(Command::Plan { request: words("the move to SQL") }));
    assert_eq!(read("@codex review the locking"), Some(Command::Review { request: words("the locking") }));
    assert_eq!(read("@codex please review this."), Some(Command::Review { request: None }));
    assert_eq!(read("I asked @codex review bots what they think"), None);
}

#[test]
fn one_word_is_enough_for_what_needs_no_more() {
    assert_eq!(read("@codex stop"), Some(Command::Stop));
    assert_eq!(read("First.\n\n@Codex, STOP now!"), Some(Command::Stop));
    assert_eq!(read("@codex status?"), Some(Command::Status));
    assert_eq!(read("@codex help"), Some(Command::Help));
    for stops in [
        "- @codex stop, please",
        "@codex stop\nI do it by hand.",
        "@codex please stop!",
        "@codex `stop`",
        "@codex - stop. It is wrong.",
    ] {
        assert_eq!(read(stops), Some(Command::Stop), "{stops}");
    }
    assert_eq!(read("@codex status\ncc @bob"), Some(Command::Status));
    assert_eq!(read("@codex status of the PR?"), Some(Command::Status));
    for asks in ["@codex please fix this", "@codex hi, pls fix it", "@codex `fix` this"] {
        check(asks);
    }
}

#[test]
fn characters_that_nobody_sees_change_nothing() {
    assert_eq!(read("@codex st\u{200b}op"), Some(Command::Stop));
    assert_eq!(read("\u{202e}@co\u{2060}dex help"), Some(Command::Help));
    check("@codex\u{200d} f\u{ad}ix this");
}

#[test]
fn what_an_answer_by_mail_repeats_calls_nobody() {
    for above in [
        "lgtm\r\n\r\nFrom: eve\r\nSent: Monday\r\nTo: calc\r\nSubject: Re: calc",
        "lgtm\n\n**From:** eve\n**Date:** Monday",
        "lgtm\n-----Original Message-----",
        "lgtm\n\n________________________________",
        "lgtm\n\nReply to this email directly, or view it on GitHub",
    ] {
        check_silent(&format!("{above}\n\n@codex fix this"));
        check(&format!("@codex fix this\n\n{above}"));
    }
    check("From: here on it is wrong.\n\n@codex fix this");
    check("```\nFrom: a\nDate: b\n```\n\n@codex fix this");
    check("one\n\n---\n\n@codex fix this");
}

#[test]
fn elements_that_show_or_take_back_call_nobody() {
    for element in ["code", "kbd", "del", "s", "samp", "STRIKE", "pre"] {
        check_silent(&format!("Do not write <{element} class=\"x\">@codex fix this</{element}> here"));
        check(&format!("Not <{element}>this</{element}>, but @codex fix this"));
    }
    check_silent("<blockquote>\n\n@codex fix this\n\n</blockquote>");
    check("<blockquote>\n\nno\n\n</blockquote>\n\n@codex fix this");
    check_silent("never closed: <del> @codex fix this");
    check("`Parser` is <S> here, as in Parser<S>.\n\n@codex fix this");
    check("<!-- put logs into <pre> or\n<code> -->\n\n@codex fix this");
    check("a <!-- <pre> --> b\n\n@codex fix this");
}

#[test]
fn every_command_of_the_table_is_understood() {
    for form in COMMANDS {
        let read = read(&format!("@codex {}", form.name));
        assert!(read.is_some_and(|command| !matches!(command, Command::Free { .. } | Command::Unknown { .. })), "{form:?}");
        assert!(table("@codex").contains(&format!("| `@codex {}`", form.name)));
    }
}

#[test]
fn long_comments_are_read_up_to_a_bound() {
    let text = "Lorem ipsum *dolor* `sit` amet, [consetetur](https://example.com).\n\n".repeat(300);
    assert!(text.len() > 20_000);
    check(&format!("{text}@codex fix this"));
    check_silent(&format!("{}\n\n@codex fix this", "ä".repeat(TEXT_BYTES_MAX)));
    check_silent(&"@codex".repeat(4_000));
    check_silent(&"[".repeat(20_000));
    check_silent(&">".repeat(20_000));
}

#[test]
fn the_mention_is_the_operators_choice() {
    let comment = Text { title: None, body: Untrusted::new("@patch-bot fix this") };
    assert_eq!(first("@Patch-Bot", &comment), Some(Command::Fix { request: None }));
    assert_eq!(first("@patch", &comment), None);
}

#[test]
fn who_talks_about_us_asks_for_nothing() {
    check_silent("Why does @codex stop after two rounds?");
    check_silent("I think the @codex help page is old.");
    check_silent("Wow, @codex helps a lot. We asked @codex six times.");
    check("Why does @codex stop?\n\n@codex fix this");
    check("Look: @codex plan was good; now @codex fix this");
}

#[test]
fn a_title_is_heard_by_itself_and_above_a_text() {
    let read =
        |title: &str, body: &str| first("@codex", &Text { title: Some(Untrusted::new(title)), body: Untrusted::new(body) });
    assert_eq!(read("@codex fix the mean", "It is 6."), Some(Command::Fix { request: Some(Untrusted::new("the mean")) }));
    assert_eq!(read("@codex fix the mean", " \n"), None);
    for title in ["```", "~~~ crash", "<!-- x", "Wrong"] {
        assert_eq!(read(title, "@codex fix this"), Some(Command::Fix { request: None }), "{title}");
    }
}

#[test]
fn many_mentions_are_read_in_no_time_of_their_own() {
    check_silent(&format!("x {}", "@codex ".repeat(9_000)));
    check_silent(&format!("x {}{}", "@codex ".repeat(9_000), "\u{fffc}".repeat(50_000)));
    check_silent(&format!("x {}{}", "@codex ".repeat(9_000), "a".repeat(50_000)));
    check_silent(&format!("{}x {}", ". ".repeat(16_000), "@codex ".repeat(4_600)));
}
