use super::{clip, code, markdown, plain, title};

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
    check("*@*octocat @*me*", "*`@`*octocat `@`*me*");
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
    check("A *fix* of `f()`:\n\n- one\n- two\n\n```rust\nlet a = \"@x\";\n```", "A *fix* of `f()`:\n\n* one\n* two\n\n````rust\nlet a = \"@x\";\n````");
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
fn a_title_calls_nobody_and_closes_nothing() {
    assert_eq!(title("Fix @octocat's bug, closes #7 and octo/other#8", 100), "Fix octocat's bug, closes 7 and octo/other8");
    assert_eq!(title("fixes https://github.com/o/r/issues/9 and GH-10", 100), "fixes https: github.com/o/r/issues/9 and GH 10");
    assert_eq!(title("C# and F# panic at 50% <br>", 100), "C# and F# panic at 50% <br>");
    assert_eq!(title(&"a".repeat(10), 5), "aaaa…");
}
