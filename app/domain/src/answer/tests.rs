use super::{Place, places, text};
use crate::turn::{Closing, Finding};

fn finding(priority: u8) -> Finding {
    Finding {
        title: format!("Wrong {priority}"),
        body: "It is.".into(),
        priority,
        confidence_percent: 80,
        path: "src/a.rs".into(),
        first_line: 3,
        last_line: if priority == 0 { 5 } else { 3 },
        suggestion: (priority == 0).then(|| "let it = 0;".into()),
    }
}

#[test]
fn places_are_found_in_prose() {
    let closing = Closing::of(
        "See `src/a.rs:12` and (lib/b.py:3-9), also ./c.go:7. At 12:30, v1.2:x, https://x.org:80 and Makefile:1 nothing; \
         `/workspace/d.rs:L4`: yes.",
    );
    let found: Vec<String> = places(&closing).iter().map(Place::to_string).collect();
    assert_eq!(found, ["c.go:7", "d.rs:4", "lib/b.py:9", "src/a.rs:12"]);
    let closing = Closing { findings: vec![finding(0)], ..Closing::default() };
    assert_eq!(places(&closing).iter().map(Place::to_string).collect::<Vec<_>>(), ["src/a.rs:5"]);
}

#[test]
fn a_review_is_told_with_the_most_urgent_finding_first() {
    let closing = Closing { findings: vec![finding(2), finding(0)], ..Closing::of("Not correct.\n") };
    insta::assert_snapshot!(text(&closing, &[Place { path: "src/b.rs".into(), line: 99 }]), @r"
    Not correct.

    ### P0: Wrong 0

    `src/a.rs:3-5` (80 % sure)

    It is.

    Suggested instead:

    ```text
    let it = 0;
    ```

    ### P2: Wrong 2

    `src/a.rs:3` (80 % sure)

    It is.

    (The harness looked these places up, and they do not exist: `src/b.rs:99`.)
    ");
}
