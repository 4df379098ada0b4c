use super::{cell, clip, code, fence, inert, markdown, plain};

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(markdown(text, "github.com", 1_000), expected);
}

#[test]
fn nobody_is_mentioned() {
    check("thanks @octocat and @org/team!", "thanks `@octocat` and `@org/team!`");
    check("\\@octocat", "`@octocat`");
    check("&commat;octocat", "`@octocat`");
    check("**@**octocat", "`**@**octocat`");
    check("*@*octocat @*me*", "`*@*octocat` `@`*me*");
    check("mail a@b.example", "mail `a@b.example`");
}

#[test]
fn no_issue_is_closed_or_linked() {
    check("Fixes #12, closes org/repo#3 and GH-4", "Fixes `#12,` closes `org/repo#3` and `GH-4`");
}

#[test]
fn links_lead_to_the_forge_or_nowhere() {
    check("[here](https://github.com/o/r)", "[here](https://github.com/o/r)");
    check("[here](https://evil.example/?q=1)", "here (`https://evil.example/?q=1`)");
    check("[here](https://github.com.evil.example/)", "here (`https://github.com.evil.example/`)");
    check("[here](javascript:alert(1))", "here (`javascript:alert(1)`)");
    check("see https://evil.example/x now", "see `https://evil.example/x` now");
    check("www.evil.example", "`www.evil.example`");
    check("<https://evil.example>", "`https://evil.example` (`https://evil.example`)");
    check("[r]\n\n[r]: https://evil.example", "r (`https://evil.example`)");
}

#[test]
fn no_image_is_loaded_and_no_html_is_raw() {
    check("![pixel](https://evil.example/p.png?secret)", "pixel (`https://evil.example/p.png?secret`)");
    check("a <img src=x> b", "a `<img src=x>` b");
    check("<script>\nalert(1)\n</script>", "`<script>``alert(1)``</script>`");
    check("seen<!-- not seen -->", "seen");
    check("a\u{202e}b\u{200b}c", "abc");
}

#[test]
fn ordinary_markdown_survives() {
    check(
        "A *fix* of `f()`:\n\n- one\n- two\n\n```rust\nlet a = \"@x\";\n```",
        "A *fix* of `f()`:\n\n* one\n* two\n\n````rust\nlet a = \"@x\";\n````",
    );
}

#[test]
fn active_code_blocks_become_text() {
    check("```mermaid\ngraph\n```", "````text\ngraph\n````");
    check("```suggestion\nx\n```", "````text\nx\n````");
}

#[test]
fn lengths_are_counted_in_characters() {
    assert_eq!(clip("ääää", 4), "ääää");
    assert_eq!(clip("äääää", 4), "äää…");
    assert_eq!(plain(" a\n b\u{7} ", 10), "a b");
    assert_eq!(code("a`b"), "``a`b``");
    assert_eq!(code("`"), "`` ` ``");
}

#[test]
fn a_title_does_nothing_in_a_commit_message() {
    let check = |text: &str, expected: &str| assert_eq!(inert(text, 100), expected);
    check("Fixes #12, closes org/repo#3 and GH-4", "Fixes # 12, closes org/repo# 3 and GH- 4");
    check("thanks @octocat and @org/team", "thanks @ octocat and @ org/team");
    check("resolves https://github.com/o/r/issues/1", "resolves https: //github.com/o/r/issues/1");
    check("C# and #tag: no number", "C# and #tag: no number");
    check("@\u{200b}octocat\nFixes #\u{2060}1", "@ octocat Fixes # 1");
    assert_eq!(inert(&"@".repeat(300), 10).chars().count(), 10);
}

#[test]
fn a_cell_holds_its_pipes() {
    assert_eq!(cell("cargo test | tee log", 100), "`cargo test \\| tee log`");
    assert_eq!(cell("a\\|@octocat", 100), "`a\\¦@octocat`");
    assert_eq!(cell("a`|`b\nc", 100), "``a`\\|`b c``");
    assert_eq!(cell("abcdef", 4), "`abc…`");
}

#[test]
fn a_code_block_cannot_be_ended_from_within() {
    assert_eq!(fence("a\n```\nb"), "````text\na\n```\nb\n````");
    assert_eq!(fence("</details>\r\n\u{1b}[31mred\u{202e}"), "```text\n</details>\n[31mred\n```");
    assert_eq!(fence(&"`".repeat(21)), format!("```text\n{}\n```", "'".repeat(21)));
    assert_eq!(code(&"`".repeat(21)), format!("`{}`", "'".repeat(21)));
}

#[test]
fn nested_markdown_does_not_grow_without_bound() {
    for text in [format!("{}a{}", ">".repeat(500), "\na".repeat(2_000)), format!("{}a{}", "- ".repeat(500), "\na".repeat(2_000))]
    {
        assert!(markdown(&text, "github.com", 6_000).chars().count() <= 18_000);
    }
    assert_eq!(markdown(&"日本語".repeat(1_000), "github.com", 6_000), "日本語".repeat(1_000));
}

#[test]
fn a_cut_answer_stays_harmless() {
    for n in 0..40 {
        let written = markdown("see `@octocat` and ``a`b`` [x](https://evil.example) #12 <b>", "github.com", n);
        assert!(super::is_harmless(&written, "github.com"), "{written}");
    }
}
