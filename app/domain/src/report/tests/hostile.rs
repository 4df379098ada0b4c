//! What strangers and the model wrote, in everything that is published.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, TextMergeStream};

use super::*;
use crate::effect::{PULL_REQUEST_PLACEHOLDER, REVIEW_PLACEHOLDER};

/// All that text can try, each with a word to find it by.
pub(super) const HOSTILE: &str = "@evil-user org/@evil-team Fixes #666 closes evil/repo#667 GH-668 \
[evil](https://evil.example) ![evil](https://evil.example/p.png) https://evil.example www.evil.example \
<img src=evil.example> </details> <!-- patchwright:evil --> `evil ``evil | evil || \\| @evil | \\\\| @evil \
\n\n# evil\n\n```\nevil\n\n@evil\n\n</details>\n\n<script>evil()</script>\n\n| evil | @evil |\n|---|---|\n\nFixes #669 <!-- pull-request -->";

fn tale(verdict: Verdict, hostile: &str) -> Tale {
    let mut tale = Tale::of(verdict);
    tale.spec.task = Task::FixIssue { issue: IssueNumber(12), request: Some(Untrusted::new(hostile)) };
    tale.spec.requested_by = Actor { id: 1, login: hostile.into(), is_bot: false };
    tale.conclusion.cause = hostile.into();
    tale.conclusion.next_step = hostile.into();
    tale.prepared.plan.setup = Some(hostile.into());
    let change = Change { path: hostile.chars().take(5_000).collect(), ..changed("", ChangeKind::Added) };
    tale.judged.proposal = Proposal { changes: vec![change; 51], ..sample::proposal() };
    (tale.title, tale.answer) = (hostile.into(), hostile.into());
    match &mut tale.judged.verdict {
        Verdict::Proven { base, head, .. } | Verdict::Unproven { base: Some(base), head: Some(head), .. } => {
            for evidence in [base, head] {
                evidence.command = hostile.into();
                evidence.excerpt = hostile.into();
            }
        }
        Verdict::Unproven { .. } => {}
    }
    tale
}

/// Every text that is published as Markdown.
fn bodies(tale: &Tale) -> Vec<String> {
    vec![tale.pull_request(), farewell(&tale.story(), true), farewell(&tale.story(), false), tale.check().1, tale.progress()]
}

/// The running text, without code, of Markdown as GitHub reads it; and its HTML, links and images.
fn read(body: &str) -> (String, Vec<String>) {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_GFM;
    let (mut text, mut active, mut in_code) = (String::new(), Vec::new(), false);
    for event in TextMergeStream::new(Parser::new_ext(body, options)) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Text(words) if !in_code => text.push_str(&words),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => active.push(dest_url.into_string()),
            Event::Html(html) | Event::InlineHtml(html) => active.push(html.trim().to_owned()),
            Event::Start(_) | Event::End(_) | Event::SoftBreak | Event::HardBreak => text.push('\n'),
            _ => {}
        }
    }
    (text, active)
}

/// The HTML that we write ourselves.
const OURS: [&str; 8] = [
    PULL_REQUEST_PLACEHOLDER,
    REVIEW_PLACEHOLDER,
    "<sub>",
    "</sub>",
    "</details>",
    "<details><summary>How to reproduce</summary>",
    "<details><summary>The end of the output on base</summary>",
    "<details><summary>The end of the output on this patch</summary>",
];

#[track_caller]
pub(super) fn check_harmless(body: &str) {
    let (text, active) = read(body);
    let quiet = text.replace("Fixes #12", "").replace("fix of #12", "").replace("asked on #12", "");
    let acts = |word: &str| {
        let lower = word.to_lowercase();
        ["@", "://", "www."].iter().any(|mark| lower.contains(mark)) || word.contains("#6") || lower.contains("gh-6")
    };
    let acting: Vec<&str> = quiet.split_whitespace().filter(|word| acts(word)).collect();
    assert!(acting.is_empty(), "{acting:?} in\n{body}");
    let foreign: Vec<&String> = active.iter().filter(|active| !OURS.contains(&active.as_str())).collect();
    assert!(foreign.is_empty(), "{foreign:?} in\n{body}");
    let n_of = |tag: &str| active.iter().filter(|active| active.starts_with(tag)).count();
    assert_eq!((n_of("<details"), n_of("<sub")), (n_of("</details"), n_of("</sub")), "{body}");
}

#[test]
fn hostile_text_never_gets_out_raw() {
    for verdict in [proven(), unproven(Doubt::StillRed, 101)] {
        bodies(&tale(verdict, HOSTILE)).iter().for_each(|body| check_harmless(body));
    }
}

#[test]
fn each_piece_of_hostile_text_is_harmless_alone() {
    for piece in HOSTILE.split_whitespace().chain(["`", "``", "\\", "|", "\\|", "\\\\|", "a`\\|`@evil", "\r@evil", "```\r@evil"])
    {
        for text in [piece.to_owned(), format!("`{piece}"), format!("{piece}` @evil"), format!("x\n\n{piece}\n\n@evil")] {
            bodies(&tale(proven(), &text)).iter().for_each(|body| check_harmless(body));
        }
    }
}

#[test]
fn titles_and_commits_do_nothing() {
    let tale = tale(proven(), HOSTILE);
    for text in [title(&tale.story()), commit_message(&local_spec(), HOSTILE)] {
        let (subject, _) = text.split_once('\n').unwrap_or((&text, ""));
        for (at, _) in subject.match_indices(['@', '#']) {
            assert!(subject[at + 1..].starts_with([' ', '…']), "{subject}");
        }
    }
    let (title, _) = tale.check();
    assert!(title.chars().count() <= 120 && !title.contains('\n'), "{title}");
}

#[test]
fn the_models_words_are_seen_as_code() {
    let mut tale = Tale::of(proven());
    tale.answer = "Thanks @octocat! Fixes #7.\n\n</details><img src=x>\n\n[more](https://evil.example)".into();
    insta::assert_snapshot!(tale.section("What changed and why"), @"Thanks `@octocat!` Fixes `#7.`");
    let body = tale.pull_request();
    let (_, words) = body.split_once("### What changed and why\n\n").unwrap();
    let (words, _) = words.split_once("\n\n<sub>").unwrap();
    insta::assert_snapshot!(words, @r"
    Thanks `@octocat!` Fixes `#7.`

    `</details><img src=x>`

    more (`https://evil.example`)
    ");
}

#[test]
fn the_end_of_an_output_stays_in_its_block() {
    let mut tale = Tale::of(proven());
    if let Verdict::Proven { head, .. } = &mut tale.judged.verdict {
        head.excerpt = "```\n</details>\n\n@octocat \u{1b}[31mred\u{202e}\r\nend".into();
    }
    let body = tale.pull_request();
    let (_, block) = body.split_once("The end of the output on this patch</summary>\n\n").unwrap();
    let (block, _) = block.split_once("\n\n### Not verified").unwrap();
    insta::assert_snapshot!(block, @r"
    ````text
    ```
    </details>

    @octocat [31mred
    end
    ````

    </details>
    ");
}

#[test]
fn bodies_stay_below_githubs_limit_and_lose_no_ending() {
    for unit in
        ["x", "x ", "@a ", "`", "` ", "|", "\\|", "*", "<", "日", "🚀", "\n", "> ", "- a\n", "#1 ", "[a](b) ", "&", HOSTILE]
    {
        let tale = tale(unproven(Doubt::StillRed, 101), &unit.repeat(70_000 / unit.len()));
        for body in bodies(&tale) {
            let n_chars = body.chars().count();
            assert!(n_chars <= BODY_CHARS_MAX && n_chars + 100 < GITHUB_CHARS_MAX, "{n_chars} characters of {unit:?}");
            assert!(!body.ends_with('…'), "a body of {unit:?} was cut: {n_chars}");
            check_harmless(&body);
        }
        let (title, _) = tale.check();
        assert!(title.chars().count() <= 120);
    }
}
