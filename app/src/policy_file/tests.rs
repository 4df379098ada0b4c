use patchwright_domain::event::Role;
use patchwright_domain::job::{Drafts, Opening};
use patchwright_domain::policy::schedule::Schedule;
use patchwright_domain::policy::wanted::{Checks, Policy, Source};

use super::problem::Problem;
use super::{ALIASES_MAX, FILE_BYTES_MAX, NODES_MAX, parse};

/// A file with every key that there is.
pub(super) const EVERYTHING: &str = r#"
triggers:
  label: robot
  assignee: robot-account
  minimum_role: write
  roles: {fix: maintain, ask: triage, plan: triage, prove: write, stop: triage}
  sources: [comment, label]
  branches: [main, release/*]
  checks: own
commands:
  setup: npm ci
  test: |
    npm run build
    npm test
  format: npx prettier --check .
  lint: npx eslint .
paths:
  allowed: [/src/, /tests/]
  protected: ["*.sql"]
limits: {wall_clock_minutes: 20, rounds: 2, turns: 40, max_tokens: 1000000, max_cost_usd: 1.5}
attempts: 2
sandbox:
  isolation: namespaces
  image: node:22
  hosts: [packages.example, "*.packages.example"]
pull_requests:
  draft: unproven
  labels: [by a robot]
  reviewers: [ada, "team:core-devs"]
schedule:
  - {cron: "0 6 * * 1", issue: 12, command: fix the flaky tests}
  - {cron: "30 */4 1,15 jan-jun mon-fri", issue: 7, pull_request: true, command: review}
"#;

fn wrong(text: impl AsRef<[u8]>) -> Problem {
    parse(text.as_ref()).expect_err("something is wrong with it")
}

/// What is wrong and where, in one line.
#[track_caller]
fn check(text: &str, told: &str) {
    assert_eq!(wrong(text).to_string(), told, "{text}");
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "\n", "# nothing\n", "  # nothing\n\n# at all", "\u{feff}", "{}"] {
        assert_eq!(parse(text.as_bytes()).unwrap(), Policy::default(), "{text:?}");
    }
}

#[test]
fn every_key_is_read() {
    let policy = parse(EVERYTHING.as_bytes()).unwrap();
    assert_eq!((policy.triggers.label.as_str(), policy.triggers.assignee.as_deref()), ("robot", Some("robot-account")));
    assert_eq!(policy.triggers.roles["fix"], Role::Maintain);
    assert_eq!(policy.triggers.roles.len(), 5);
    assert_eq!(policy.triggers.sources, [Source::Comment, Source::Label].into_iter().collect());
    assert_eq!(policy.triggers.branches, ["main", "release/*"]);
    assert_eq!(policy.triggers.checks, Checks::Own);
    assert_eq!(policy.commands.test.as_deref(), Some("npm run build\nnpm test\n"));
    assert_eq!(policy.commands.checks, ["npx prettier --check .", "npx eslint ."]);
    assert_eq!(policy.scope.allowed, ["/src/", "/tests/"]);
    assert_eq!(policy.scope.protected, ["*.sql"]);
    assert_eq!((policy.limits.wall_clock_ms, policy.limits.cost_microusd), (Some(1_200_000), Some(1_500_000)));
    assert_eq!((policy.limits.rounds, policy.limits.turns, policy.limits.tokens), (Some(2), Some(40), Some(1_000_000)));
    assert_eq!(policy.demands.hosts.as_deref().map(<[String]>::len), Some(2));
    assert_eq!(policy.attempts, 2);
    let Opening { drafts, labels, reviewers, teams } = policy.opening;
    assert_eq!((drafts, labels), (Drafts::Unproven, vec!["by a robot".to_owned()]));
    assert_eq!((reviewers, teams), (vec!["ada".to_owned()], vec!["core-devs".to_owned()]));
    let said = |Schedule { cron, issue, on_pull_request, command }: &Schedule| {
        (cron.clone(), issue.0, *on_pull_request, serde_json::to_value(command).unwrap())
    };
    assert_eq!(said(&policy.schedule[0]), ("0 6 * * 1".to_owned(), 12, false, "fix the flaky tests".into()));
    assert_eq!(said(&policy.schedule[1]), ("30 */4 1,15 jan-jun mon-fri".to_owned(), 7, true, "review".into()));
}

#[test]
fn how_pull_requests_are_opened_has_bounds() {
    let opening = |text: &str| parse(format!("pull_requests: {text}\n").as_bytes()).map(|policy| policy.opening);
    assert_eq!(opening("{}"), Ok(Opening::default()));
    assert_eq!(opening("{draft: always, labels: [], reviewers: []}"), Ok(Opening::default()));
    let many = |n: usize| (0..n).map(|n| format!("n{n}")).collect::<Vec<_>>().join(", ");
    for key in ["labels", "reviewers"] {
        assert!(opening(&format!("{{{key}: [{}]}}", many(10))).is_ok(), "{key}");
        let told = "it has 11 entries, and at most 10 are read";
        assert_eq!(opening(&format!("{{{key}: [{}]}}", many(11))).map_err(|problem| problem.what), Err(told.into()), "{key}");
    }
    assert!(opening("{reviewers: [octo_corp, 'team:a.b-c_d']}").is_ok());
    for odd in ["'@ada'", "octo/core", "'team:'", "'team:octo/core'", "'ada lovelace'", "''", "['ada']"] {
        assert!(opening(&format!("{{reviewers: [{odd}]}}")).is_err(), "{odd}");
    }
    assert!(opening(&format!("{{labels: [{}]}}", "x".repeat(50))).is_ok());
    for odd in ["''", "' '", "\"a\\nb\"", &"x".repeat(51)] {
        assert!(opening(&format!("{{labels: [{odd}]}}")).is_err(), "{odd}");
    }
    check(
        "pull_requests:\n  reviewers: ['@ada']\n",
        "line 2 column 15: that is no reviewer: write a login, or 'team:' and what the team's address ends with",
    );
    check(
        "pull_requests: {draft: never}\n",
        "line 1 column 24: `never` is no value of this; the values here are `always`, `unproven`",
    );
}

#[test]
fn a_mistake_is_named_with_its_place_and_what_was_meant() {
    check("commands:\n  tset: make\n", "line 2 column 3: there is no key `tset` here; did you mean `test`?");
    check("trigers: {}\n", "line 1 column 1: there is no key `trigers` here; did you mean `triggers`?");
    check(
        "reviewers: []\n",
        "line 1 column 1: there is no key `reviewers` here; the keys here are `triggers`, `commands`, `paths`, `limits`, `attempts`, `sandbox`, `pull_requests`, `schedule`",
    );
    check(
        "triggers:\n  minimum_role: read\n",
        "line 2 column 17: `read` is no value of this; the values here are `triage`, `write`, `maintain`, `admin`",
    );
    check("triggers:\n  minimum_role: wirte\n", "line 2 column 17: `wirte` is no value of this; did you mean `write`?");
    check("attempts: 1\nattempts: 2\n", "line 2 column 1: the key `attempts` stands here a second time; keep one of them");
    check("attempts: many\n", "line 1 column 11: invalid u32");
    check("attempts: 0\n", "line 1 column 1: invalid value: integer '0', expected a nonzero u32");
    check("commands: make\n", "line 1 column 11: expected mapping start");
    check("commands:\n  test: [make]\n", "line 2 column 9: expected string scalar");
    check("paths:\n  protected:\n    - src/\n    - '!src/a'\n", "line 4 column 7: a glob must not begin with '!' or '#'");
    check(
        "sandbox:\n  hosts: [a.test, 'http://b.test']\n",
        "line 2 column 19: that is no host: addresses are not taken, only names",
    );
    check("triggers:\n  sources: []\n", "line 2 column 12: it must have an entry; leave it out to say nothing");
    check("limits:\n  max_cost_usd: -1\n", "line 2 column 17: it must be more than 0 and at most 1000000");
    check("commands: {test: make\n", "line 1 column 11: unclosed bracket '{'");
    check("attempts: 1\n---\nattempts: 2\n", "line 2 column 1: budget breached: Documents { documents: 2 }");
    assert_eq!(wrong("commands:\n  tset: make\n").picture.unwrap(), "  tset: make\n  ^");
    assert_eq!((wrong(b"a: 1\nb: \xff\n").line, wrong(b"a: 1\nb: \xff\n").column), (2, 4));
}

#[test]
fn hostile_files_are_refused_in_few_words() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &('b'..='z')
            .map(|c| {
                let before = char::from_u32(u32::from(c) - 1).unwrap();
                format!("{c}: &{c} [{}]\n", vec![format!("*{before}"); 9].join(","))
            })
            .collect::<String>();
    let anchors: String = (0..2_000).map(|n| format!("k{n}: &k{n} 1\n")).collect();
    for text in [
        "x".repeat(10 << 20),
        format!("# {}\n", "x".repeat(FILE_BYTES_MAX)),
        bomb,
        anchors,
        format!("attempts: {}{}", "[".repeat(20_000), "]".repeat(20_000)),
        format!("attempts: {}", "{a: ".repeat(10_000)),
        (0..5_000).map(|n| format!("{}- x\n", " ".repeat(n % 100))).collect(),
        "? ".repeat(20_000),
        "- ".repeat(20_000),
        format!("{}: 1", "k".repeat(60_000)),
        format!("commands: {{test: \"{}\"}}", "y".repeat(60_000)),
        "<<: *a\n".repeat(1_000),
        "!!binary x: 1".into(),
        "\0".into(),
    ] {
        let told = wrong(&text);
        let n_bytes = told.to_string().len() + told.picture.unwrap_or_default().len();
        assert!(n_bytes < 1_500, "{n_bytes} bytes are told of {:?}", &text[..text.len().min(40)]);
    }
}

/// Each is far below the other bounds, so that it is this one that refuses it.
#[test]
fn each_bound_of_a_file_refuses_by_itself() {
    let protected = |globs: &str| format!("paths: {{protected: [{globs}]}}\n");
    let aliases = |n: usize| protected(&format!("&a x{}", ", *a".repeat(n)));
    let anchors = |n: usize| protected(&(0..n).map(|n| format!("&a{n} x")).collect::<Vec<_>>().join(", "));
    for text in [aliases(ALIASES_MAX), anchors(ALIASES_MAX)] {
        assert!(parse(text.as_bytes()).is_ok(), "{text}");
    }
    for (text, bound) in [
        (aliases(ALIASES_MAX + 1), "Aliases"),
        (anchors(ALIASES_MAX + 1), "Anchors"),
        (protected(&"x, ".repeat(NODES_MAX)), "Nodes"),
    ] {
        let told = wrong(&text).what;
        assert!(told.starts_with(&format!("budget breached: {bound}")), "{told}");
    }
}

#[test]
fn a_command_has_no_other_control_characters_than_ends_of_lines_and_tabs() {
    assert!(parse(b"commands: {test: \"make\\n\\tcheck\"}").is_ok());
    for odd in ["\\e[2J", "\\r", "\\0", "\\u0085"] {
        check(&format!("commands: {{test: \"make{odd}\"}}"), "line 1 column 18: it has a control character");
    }
}

#[test]
fn a_long_name_is_not_repeated_whole() {
    let told = wrong(format!("{}: 1\n", "k".repeat(900))).what;
    assert_eq!(told, format!("there is no key `{}…` here", "k".repeat(200)));
}

#[test]
fn what_is_repeated_of_a_file_shows_as_what_it_is() {
    for text in [
        "\"a\\u001b[2Jb\\r\\n::error::c\": 1\n",
        "\"a\\u202eb\\u200bc\": 1\n",
        "triggers: {minimum_role: \"wr\\u0007ite\\n\"}\n",
        "\"a`b`\": 1\n",
        "\u{202e}a: 1\n",
        "paths: {protected: [\"\\u001b[31m!\"]}\n",
        "attempts: \"\\u001b]0;x\\u0007\"\n",
    ] {
        let told = wrong(text);
        let all = format!("{told}{}", told.picture.clone().unwrap_or_default().replace('\n', ""));
        let is_odd = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{200b}');
        assert!(!all.contains(is_odd), "{all:?}");
        assert_eq!(told.what.matches('`').count() % 2, 0, "{told}");
    }
}

#[test]
fn branches_are_named_by_globs() {
    let branches =
        |text: &str| parse(format!("triggers: {{branches: {text}}}\n").as_bytes()).map(|policy| policy.triggers.branches);
    assert_eq!(branches("[main, '**/stable']"), Ok(vec!["main".to_owned(), "**/stable".to_owned()]));
    assert_eq!(parse(b"triggers: {}\n").map(|policy| policy.triggers.branches), Ok(Vec::new()));
    for odd in ["[]", "main", "['!main']", "['']", "['/']", "[[main]]"] {
        assert!(branches(odd).is_err(), "{odd}");
    }
}

#[test]
fn whose_checks_are_looked_into_is_a_word() {
    let checks = |word: &str| parse(format!("triggers:\n  checks: {word}\n").as_bytes()).map(|policy| policy.triggers.checks);
    assert_eq!(parse(b"triggers: {}\n").map(|policy| policy.triggers.checks), Ok(Checks::Off));
    for (word, wanted) in [("off", Checks::Off), ("own", Checks::Own), ("all", Checks::All), ("\"off\"", Checks::Off)] {
        assert_eq!(checks(word), Ok(wanted), "{word}");
    }
    assert!(checks("some").is_err() && checks("true").is_err());
}
