use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::{HITS_MAX, Hit, Left, NOT_SHOWN, Own, Scan, hits, new_hits, redacted};
use crate::proof::difference::Line;
use crate::proof::findings::Gate;

/// In two parts, so that this file holds none itself.
const TOKEN: &str = concat!("ghp", "_x7Qm2Lk9Rt4Vb8Nc1Zp6Ws3Yd5Fg0Hj2Kl4M");
const OWN: &[Own<'_>] = &[Own { name: "key of the model", value: "Grizzly-Marmalade-17" }];

fn lines(path: &str, text: &str) -> Vec<Line> {
    let numbered = text.lines().zip(10..);
    numbered
        .map(|(text, line)| Line {
            path: path.into(),
            line,
            text: text.into(),
            is_inline_test: false,
            is_of_program: false,
            depends_on_tests: false,
        })
        .collect()
}

/// The first secret that is found: its line and what is told of it.
fn found(text: &str) -> Option<(Option<u32>, String)> {
    let hits = hits(&lines("src/calc.py", text), &[], OWN);
    assert!(hits.is_whole);
    hits.found.first().map(Hit::finding).map(|finding| {
        assert_eq!((finding.gate, finding.path.as_str()), (Gate::Secret, "src/calc.py"));
        (finding.line, finding.told)
    })
}

#[track_caller]
fn is_found(text: &str, line: u32) {
    let told = found(text);
    assert_eq!(told, Some((Some(line), "rule github-pat: ghp_…".into())), "{text}");
}

#[test]
fn a_secret_is_found_as_it_stands() {
    is_found(&format!("TOKEN = '{TOKEN}'"), 10);
    is_found(&format!("first\nsecond {TOKEN} and more"), 11);
}

#[test]
fn a_secret_is_found_in_its_encodings() {
    let base64 = BASE64_STANDARD.encode(format!("the token is {TOKEN}"));
    let hex = hex::encode(TOKEN);
    let percent: String = TOKEN.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for (name, hidden) in [
        ("base64", base64.clone()),
        ("base64url", BASE64_URL_SAFE_NO_PAD.encode(TOKEN)),
        ("base64 twice", BASE64_STANDARD.encode(&base64)),
        ("base64 behind a path", format!("a/{base64}")),
        ("hex", hex),
        ("percent", percent),
        ("backwards", TOKEN.chars().rev().collect()),
    ] {
        let told = found(&format!("first\nx = '{hidden}'"));
        assert_eq!(told, Some((Some(11), "rule github-pat: ghp_…".into())), "{name}");
    }
}

#[test]
fn a_secret_is_found_over_the_ends_of_lines() {
    let (one, other) = TOKEN.split_at(20);
    is_found(&format!("x = '{one}' + '{other}'"), 10);
    is_found(&format!("x = ('{one}'\n     '{other}')\ny = 1"), 10);
    is_found(&format!("x = '{one}' + \\\n  '{other}'"), 10);
    is_found(&format!("x = \"{one}\\\n{other}\""), 10);
    is_found(&format!("x = ['{one}',\n     '{other}']"), 10);
    let base64 = BASE64_STANDARD.encode(TOKEN);
    let (one, other) = base64.split_at(30);
    is_found(&format!("first\nx = '''\n{one}\n{other}\n'''"), 12);
    is_found(&format!("x = (\n    '{one}'\n    '{other}'\n)"), 11);
    is_found(&format!("# {one}\n# {other}"), 10);
}

#[test]
fn a_key_is_found_as_a_whole() {
    let body = ["Abc4".repeat(16), "9Xyz".repeat(16)].join("\n");
    let begin = concat!("-----BEGIN RSA ", "PRIVATE KEY-----");
    let end = concat!("-----END RSA ", "PRIVATE KEY-----");
    let told = found(&format!("{begin}\n{body}\n{end}"));
    assert_eq!(told, Some((Some(10), "rule private-key: ----…".into())));
}

#[test]
fn a_secret_of_the_servers_own_is_found() {
    let told = |hidden: &str| found(hidden).expect("it is found");
    let expected = (Some(10), "the server's key of the model: Griz…".to_owned());
    assert_eq!(told("x = 'Grizzly-Marmalade-17'"), expected);
    assert_eq!(told(&format!("x = '{}'", BASE64_STANDARD.encode("Grizzly-Marmalade-17"))), expected);
    assert_eq!(told("x = '71-edalamraM-ylzzirG'").0, Some(10));
    assert_eq!(found("x = 'Grizzly-Marmalade-18'"), None);
}

#[test]
fn what_looks_like_a_secret_and_is_none_is_let_be() {
    for text in [
        "export OPENAI_API_KEY=sk-...",
        "api_key = 'your-api-key-here'",
        "token = os.environ['TOKEN']",
        concat!("aws_access_key_id = AKIA", "IOSFODNN7EXAMPLE"),
        "password = \"changeme\"",
        "sha256 = e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "integrity sha512-4n5Tt1wzKqkQ0bmqgvGcVyZ9g1lQ5cJx0mR2sVvJmXqFf7o1b6H8zYw3uDkE5pTqN2rL9aXcB1vM0sGjK8yWfQ==",
        "const isEqual = (one, other) => one.length === other.length;",
        "The quick brown fox jumps over the lazy dog and a very_long_identifier_of_many_words_is_here",
    ] {
        assert_eq!(found(text), None, "{text}");
    }
}

#[test]
fn the_name_of_a_file_is_no_excuse_and_no_place_to_hide() {
    let in_lock_file = hits(&lines("package-lock.json", &format!("\"x\": \"{TOKEN}\"")), &[], &[]);
    assert_eq!(in_lock_file.found.len(), 1);
    let name = format!("docs/{TOKEN}.md");
    let in_name = hits(&[], &[name.as_str()], &[]).found;
    let mut finding = in_name[0].finding();
    in_name[0].hide(&mut finding);
    assert_eq!((finding.path.as_str(), finding.line), ("docs/ghp_….md", None));
}

#[test]
fn a_secret_that_was_in_the_file_is_not_new() {
    let added = lines("a.py", &format!("moved = '{TOKEN}'"));
    let left = |removed: Vec<Line>, base: Option<String>| {
        let kept = new_hits(hits(&added, &[], OWN).found, &removed, |_| Ok::<_, ()>(base.clone()));
        kept.map(|hits| hits.len()).expect("nothing fails")
    };
    assert_eq!(left(vec![], Some(format!("first\nx = '{TOKEN}'\n"))), 0);
    assert_eq!(left(vec![], Some(format!("x = '{}'\n", BASE64_STANDARD.encode(TOKEN)))), 0);
    assert_eq!(left(vec![], Some("x = 1\n".into())), 1);
    assert_eq!(left(vec![], None), 1);
    assert_eq!(left(lines("b.py", &format!("x = '{TOKEN}'")), None), 0);
}

#[test]
fn words_for_people_hold_no_secret() {
    let told = redacted(&format!("I have put {TOKEN} there, and `{TOKEN}` here."), OWN);
    assert_eq!(told, "I have put ghp_… there, and `ghp_…` here.");
    assert_eq!(redacted("Grizzly-Marmalade-17.\n", OWN), "Griz….\n");
    assert_eq!(redacted("Done.", OWN), "Done.");
}

/// So many tokens, each in a line.
fn tokens(n_tokens: usize) -> String {
    let token = |n: usize| format!("x = '{}{n:06}'\n", &TOKEN[..TOKEN.len() - 6]);
    (0..n_tokens).map(token).collect()
}

#[test]
fn a_scan_stops_where_there_are_more_secrets_than_are_told_apart() {
    let few = hits(&lines("a.py", &tokens(3)), &[], &[]);
    assert_eq!((few.found.len(), few.is_whole), (3, true));
    let many = hits(&lines("a.py", &tokens(HITS_MAX + 1)), &[], &[]);
    assert_eq!((many.found.len(), many.is_whole), (HITS_MAX, false));
    assert_eq!(redacted(&tokens(HITS_MAX + 1), &[]), NOT_SHOWN);
}

/// How many matches and bytes a scan of a text takes.
fn taken(text: &str, left: Left) -> (usize, usize) {
    let mut scan = Scan::new(&[], left);
    scan.lines(&lines("a.py", text));
    (left.matches - scan.left.matches, left.bytes - scan.left.bytes)
}

#[test]
fn a_scan_stops_where_matches_are_none_and_where_rules_read_too_much() {
    let all = Left::default();
    // The same again and again: no further secret, and yet something to look at.
    let (n_matches, n_bytes) = taken(&format!("x = '{TOKEN}'\n").repeat(30), all);
    assert!(n_matches >= 30 && n_bytes > 0, "{n_matches} {n_bytes}");
    assert_eq!(taken(&format!("x = '{TOKEN}'\n").repeat(30), Left { matches: 10, ..all }).0, 10);
    let (_, n_bytes_with) = taken(&"ghp_ akia xoxb- sk_live_ glpat- npm_\n".repeat(30), all);
    let (_, n_bytes_without) = taken(&"a word that no rule is about, alas.\n".repeat(30), all);
    assert!(n_bytes_with > n_bytes_without * 2, "{n_bytes_with} {n_bytes_without}");
    assert_eq!(taken(&tokens(30), Left { bytes: 1, ..all }), (0, 1));
}

#[test]
fn what_there_is_no_time_to_look_up_is_new() {
    let added = lines("a.py", &format!("moved = '{TOKEN}'"));
    let before = format!("{}x = '{TOKEN}'\n", tokens(HITS_MAX));
    let kept = new_hits(hits(&added, &[], &[]).found, &[], |_| Ok::<_, ()>(Some(before.clone())));
    assert_eq!(kept.map(|hits| hits.len()), Ok(1));
}
