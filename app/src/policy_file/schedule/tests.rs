use jiff::Timestamp;

use super::Times;
use crate::policy_file::parse;

/// The next times behind a Tuesday's noon.
fn next(cron: &str, n: usize) -> Vec<String> {
    let times = Times::parse(cron).unwrap();
    let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    std::iter::successors(times.next(noon), |after| times.next(*after)).take(n).map(|at| at.to_string()).collect()
}

/// What is wrong with an entry of a list, and where.
#[track_caller]
fn wrong(entry: &str) -> String {
    parse(format!("schedule:\n  - {entry}\n").as_bytes()).expect_err("something is wrong with it").to_string()
}

#[test]
fn times_are_those_of_a_crontab_in_utc() {
    assert_eq!(next("0 6 * * 1", 2), ["2026-11-30T06:00:00Z", "2026-12-07T06:00:00Z"]);
    assert_eq!(next("0 6 * * MON", 1), next("0 6 * * 1", 1));
    assert_eq!(next("0 6 * * 0", 1), next("0 6 * * 7", 1));
    assert_eq!(next("  5 \t* * * *  ", 2), ["2026-11-24T12:05:00Z", "2026-11-24T13:05:00Z"]);
    assert_eq!(next("0 0 29 2 *", 1), ["2028-02-29T00:00:00Z"]);
    assert_eq!(next("0 0 31 12 *", 2), ["2026-12-31T00:00:00Z", "2027-12-31T00:00:00Z"]);
    // Where both days are named, either of them counts, as in every cron.
    assert_eq!(next("0 0 1 * fri", 3), ["2026-11-27T00:00:00Z", "2026-12-01T00:00:00Z", "2026-12-04T00:00:00Z"]);
    // Behind a moment, and not at it.
    assert_eq!(next("0 12 * * *", 1), ["2026-11-25T12:00:00Z"]);
}

#[test]
fn a_time_that_is_none_or_comes_too_often_is_refused_where_it_stands() {
    let of = |cron: &str| wrong(&format!("{{cron: '{cron}', issue: 12, command: fix}}"));
    let often = "line 2 column 12: it comes more often than every hour: name one minute, such as '0 * * * *'";
    for cron in ["* * * * *", "*/30 * * * *", "0,59 6 * * *", "59,0 6 * * 1", "0-1 0 1 1 *", "*/59 * * * *"] {
        assert_eq!(of(cron), often, "{cron}");
    }
    for cron in ["0 * * * *", "59 */1 * * *", "*/60 6 * * *"] {
        let told = parse(format!("schedule: [{{cron: '{cron}', issue: 12, command: fix}}]").as_bytes());
        assert_eq!(told.is_ok(), !cron.starts_with('*'), "{cron}");
    }
    let fields = "fields, and there are 5: minute, hour, day of the month, month, day of the week";
    assert_eq!(of("0 6 * *"), format!("line 2 column 12: it has 4 {fields}"));
    assert_eq!(of("0 0 6 * * 1"), format!("line 2 column 12: it has 6 {fields}"));
    assert_eq!(of("0 6 * * 1 Europe/Berlin"), format!("line 2 column 12: it has 6 {fields}"));
    assert_eq!(of("@daily"), format!("line 2 column 12: it has 1 {fields}"));
    assert_eq!(of("0 0 30 2 *"), "line 2 column 12: it comes to no time within four years");
    assert_eq!(of("0 24 * * *"), "line 2 column 12: that is no time of cron: value must be in range 0..=23; found 24");
    for odd in ["0 6 L * *", "0 6 15W * *", "0 6 * * 5L", "0 6 * * 5#3", "0 6 ? * 1", "H 6 * * *"] {
        assert!(
            of(odd).ends_with("`*`, `,`, `-` and `/` in it, and nothing else".replace('`', "'").as_str()),
            "{odd}: {}",
            of(odd)
        );
    }
    for odd in ["", " ", "0 6 * * 8", "0 6 * 13 *", "0 6 * foo *", "x 6 * * *", "0/0 6 * * *", "5-1 6 * * *", "0 6 * * 1,"] {
        assert!(of(odd).starts_with("line 2 column 12: "), "{odd}: {}", of(odd));
    }
}

#[test]
fn a_command_that_begins_no_work_is_refused() {
    let of = |command: &str| wrong(&format!("{{cron: '0 6 * * 1', issue: 12, command: {command}}}"));
    for command in ["stop", "status", "help", "retry", "approve", "plann this", "fxi"] {
        assert!(of(command).contains("nothing is begun by that; write 'fix', 'ask'"), "{command}: {}", of(command));
    }
    for command in ["review", "prove", "review the tests"] {
        assert!(of(command).ends_with("'review' and 'prove' are of pull requests: say 'pull_request: true'"), "{}", of(command));
    }
    assert!(of("thanks!").ends_with("that is no command"), "{}", of("thanks!"));
    assert!(of("''").ends_with("there is nothing in it"), "{}", of("''"));
    assert!(of("\"fix\\n@patchwright ask\"").ends_with("it has a control character"));
    for command in ["fix", "fix the flaky tests", "ask what is slow?", "plan it", "make the tests faster", "'fix it '"] {
        let text = format!("schedule: [{{cron: '0 6 * * 1', issue: 12, command: {command}}}]");
        assert!(parse(text.as_bytes()).is_ok(), "{command}");
    }
    let folded = "schedule:\n- cron: 0 6 * * 1\n  issue: 12\n  command: >\n    fix the\n    flaky tests\n";
    assert!(parse(folded.as_bytes()).is_ok());
}

#[test]
fn an_entry_has_all_that_it_takes_and_there_are_ten_at_most() {
    assert_eq!(
        wrong("{cron: 0 6 * * 1, issue: 0, command: fix}"),
        "line 2 column 23: invalid value: integer '0', expected a nonzero u64"
    );
    assert!(wrong("{cron: 0 6 * * 1, command: fix}").contains("issue"));
    assert!(wrong("{cron: 0 6 * * 1, issue: 1}").contains("command"));
    assert!(wrong("{issue: 1, command: fix}").contains("cron"));
    assert!(
        wrong("{cron: 0 6 * * 1, issue: 1, command: fix, comand: ask}").contains("there is no key `comand` here; did you mean")
    );
    let many = |n: usize| format!("schedule: [{}]", vec!["{cron: 0 6 * * 1, issue: 1, command: fix}"; n].join(", "));
    assert_eq!(parse(many(10).as_bytes()).map(|policy| policy.schedule.len()), Ok(10));
    let told = parse(many(11).as_bytes()).expect_err("these are too many").what;
    assert_eq!(told, "it has 11 entries, and at most 10 are read");
    assert_eq!(parse(b"schedule: []").map(|policy| policy.schedule), Ok(Vec::new()));
}
