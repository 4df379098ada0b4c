use super::progress::{self, Stage, Standing};
use super::{BODY_CHARS_MAX, Story, check as check_run, commit_message, farewell, pull_request, title};
use crate::event::{Actor, IssueNumber, Untrusted};
use crate::job::{JobSpec, Mode, Task, Usage};
use crate::journal::{Change, ChangeKind, Conclusion, Outcome, Prepared, Proposal};
use crate::proof::{Doubt, Verdict};
use crate::run::Judged;
use crate::sample::{self, changed, local_spec, proven, spec, unproven};
use crate::walls::{Reach, Walls};

mod hostile;
mod replies;
mod reviewed;

/// What GitHub takes, in characters; a marker comes on top of a body.
const GITHUB_CHARS_MAX: usize = 65_536;

/// All that a story is told from, to be changed by each test.
struct Tale {
    spec: JobSpec,
    conclusion: Conclusion,
    walls: Vec<Walls>,
    prepared: Prepared,
    judged: Judged,
    finished: Vec<Judged>,
    title: String,
    answer: String,
    usage: Usage,
    is_priced: bool,
    moved_to: Option<crate::journal::CommitId>,
}

impl Tale {
    /// What is told while the agent works.
    fn progress(&self) -> String {
        let Self { spec, walls, usage, is_priced, .. } = self;
        let stage = Stage::Solving { attempt: 1, round: 2 };
        progress::comment(&Standing { spec, stage, walls, usage, elapsed_ms: 0, is_priced: *is_priced })
    }

    fn of(verdict: Verdict) -> Self {
        let conclusion = match &verdict {
            Verdict::Proven { .. } => {
                let cause = "The tests failed on the base and pass with the patch; the harness ran both.";
                Conclusion::new(Outcome::Proven, cause, "Review the pull request.")
            }
            Verdict::Unproven { doubt, .. } => Conclusion::new(Outcome::Unproven, doubt.sentence(), doubt.next_step()),
        };
        Self {
            spec: spec(),
            conclusion,
            walls: vec![sample::walls()],
            prepared: sample::prepared(),
            judged: Judged { proposal: sample::proposal(), verdict, attempt: 1, tokens: 0 },
            finished: Vec::new(),
            title: "The sum is wrong".into(),
            answer: "`add` subtracted; now it *adds*.".into(),
            usage: sample::usage(),
            is_priced: false,
            moved_to: None,
        }
    }

    fn story(&self) -> Story<'_> {
        Story {
            spec: &self.spec,
            conclusion: &self.conclusion,
            walls: &self.walls,
            adopted: None,
            proposed: None,
            triaged: None,
            log: "",
            prepared: Some(&self.prepared),
            judged: Some(&self.judged),
            finished: &self.finished,
            title: &self.title,
            answer: &self.answer,
            reviewed: None,
            branch: None,
            usage: &self.usage,
            is_priced: self.is_priced,
            model: "gpt-large",
            moved_to: self.moved_to.as_ref(),
            host: "github.com",
            attestation: None,
            threads: &[],
            under_way: &[],
        }
    }

    fn pull_request(&self) -> String {
        pull_request(&self.story(), &self.judged)
    }

    fn check(&self) -> (String, String) {
        check_run(&self.story(), &self.judged)
    }

    /// The paragraph, list or table below a heading of the pull request.
    fn section(&self, heading: &str) -> String {
        let body = self.pull_request();
        let (_, below) = body.split_once(&format!("### {heading}\n\n")).expect("the section is there");
        below.split("\n\n").next().unwrap_or(below).to_owned()
    }
}

#[test]
fn a_proven_pull_request_tells_what_was_executed() {
    insta::assert_snapshot!(Tale::of(proven()).pull_request(), @r"
    **Proven.** The tests failed on the base and pass with the patch; the harness ran both.

    Fixes #12

    `octocat` (write) asked for a fix of #12.

    ### What changed and why

    `add` subtracted; now it *adds*.

    <sub>These are the model's words; nobody has checked them. What follows was executed.</sub>

    | File | | Lines |
    |---|---|---|
    | `src/lib.rs` | changed | +3 −1 |

    ### Tests

    | `cargo test` | Base `aaaaaaaaaa` | With this patch |
    |---|---|---|
    | result | ❌ fail (exit code 101) | ✅ pass (exit code 0) |
    | time | 1.2 s | 1.2 s |

    Each ran in a fresh tree, without network, by the harness. Existing test files were put back to the base's before the run on the patch.

    Sandbox: `namespaces`, by the executor `local`; limits kept exactly: processor time, processes; limits looked at again and again: memory.

    <details><summary>How to reproduce</summary>

    ```text
    git checkout aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    cargo test
    git checkout bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    cargo test
    ```

    </details>

    <details><summary>The end of the output on base</summary>

    ```text
    test adds ... FAILED
    ```

    </details>

    <details><summary>The end of the output on this patch</summary>

    ```text
    test result: ok.
    ```

    </details>

    ### Not verified

    - Only the command above was run, as a whole: its exit codes are compared, not single tests.
    - Nothing was checked that these tests do not check.

    ### Cost

    7 of 50 model calls of `gpt-large`; 12000 tokens in (9000 cached), 800 out; no prices are configured, so the cost is not known.

    <sub>Job 42832cb716e3f588. A person reviews and merges this; nothing here merges itself.</sub>
    ");
}

#[test]
fn an_unproven_pull_request_says_so_first_and_last() {
    let mut tale = Tale::of(unproven(Doubt::StillRed, 101));
    tale.spec.task = Task::FixIssue { issue: IssueNumber(12), request: Some(Untrusted::new("the sum,\nnot the tests")) };
    tale.answer = String::new();
    tale.prepared.plan.setup = Some("cargo fetch".into());
    tale.judged.proposal.changes = vec![changed("src/lib.rs", ChangeKind::Added), changed("src/a|b.rs", ChangeKind::Deleted)];
    insta::assert_snapshot!(tale.pull_request(), @r"
    **Unproven.** The tests fail with the patch, as they did before it.

    Fixes #12

    `octocat` (write) asked on #12:

    > the sum,
    > not the tests

    ### What changed and why

    The model said nothing about it.

    <sub>These are the model's words; nobody has checked them. What follows was executed.</sub>

    | File | | Lines |
    |---|---|---|
    | `src/lib.rs` | added | +3 −1 |
    | `src/a\|b.rs` | deleted | +3 −1 |

    ### Tests

    | `cargo test` | Base `aaaaaaaaaa` | With this patch |
    |---|---|---|
    | result | ❌ fail (exit code 101) | ❌ fail (exit code 101) |
    | time | 1.2 s | 1.2 s |

    Each ran in a fresh tree, without network, by the harness. Existing test files were put back to the base's before the run on the patch.

    Sandbox: `namespaces`, by the executor `local`; limits kept exactly: processor time, processes; limits looked at again and again: memory.

    <details><summary>How to reproduce</summary>

    ```text
    git checkout aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    cargo fetch
    cargo test
    git checkout bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    cargo fetch
    cargo test
    ```

    </details>

    <details><summary>The end of the output on base</summary>

    ```text
    test adds ... FAILED
    ```

    </details>

    <details><summary>The end of the output on this patch</summary>

    ```text
    left: 5, right: 4
    ```

    </details>

    ### Not verified

    - The tests fail with the patch, as they did before it. Take the patch as a draft to go on from, or ask again with more detail.
    - Only the command above was run, as a whole: its exit codes are compared, not single tests.
    - Nothing was checked that these tests do not check.

    ### Cost

    7 of 50 model calls of `gpt-large`; 12000 tokens in (9000 cached), 800 out; no prices are configured, so the cost is not known.

    <sub>Job 42832cb716e3f588. A person reviews and merges this; nothing here merges itself.</sub>
    ");
}

#[test]
fn without_a_test_command_nothing_is_said_to_have_run() {
    let tale = Tale::of(Verdict::Unproven { doubt: Doubt::NoTestCommand, base: None, head: None, account: None });
    assert_eq!(tale.section("Tests"), "None were run: no test command is known for this repository.");
    insta::assert_snapshot!(tale.section("Not verified"), @r#"- No test command is known for this repository, so nothing was executed to check the patch. Name the test command in `.github/patchwright.yml`: `commands: { test: "…" }`."#);
}

#[test]
fn a_command_with_a_pipe_keeps_its_table() {
    let mut tale = Tale::of(proven());
    if let Verdict::Proven { base, .. } = &mut tale.judged.verdict {
        base.command = "make test | tee log || false".into();
    }
    assert!(
        tale.section("Tests")
            .starts_with("| `make test \\| tee log \\|\\| false` | Base `aaaaaaaaaa` | With this patch |\n|---|---|---|\n")
    );
}

#[test]
fn a_base_that_has_moved_on_is_told() {
    let tale = Tale { moved_to: Some(sample::commit('c')), ..Tale::of(proven()) };
    insta::assert_snapshot!(tale.section("Not verified"), @r"
    - Only the command above was run, as a whole: its exit codes are compared, not single tests.
    - Nothing was checked that these tests do not check.
    - `main` has moved on to `cccccccccc` since the base `aaaaaaaaaa` was fixed; the result holds for the base.
    ");
}

#[test]
fn the_cost_is_told_in_money_where_prices_are_known() {
    let tale = Tale { is_priced: true, ..Tale::of(proven()) };
    insta::assert_snapshot!(tale.section("Cost"), @"7 of 50 model calls of `gpt-large`; 12000 tokens in (9000 cached), 800 out; $0.13 of $5.00.");
    insta::assert_snapshot!(Tale::of(proven()).section("Cost"), @"7 of 50 model calls of `gpt-large`; 12000 tokens in (9000 cached), 800 out; no prices are configured, so the cost is not known.");
}

#[test]
fn a_local_task_has_no_issue() {
    let tale = Tale { spec: local_spec(), ..Tale::of(proven()) };
    let body = tale.pull_request();
    assert!(!body.contains("Fixes #") && body.contains("\n\nAsked for on the command line.\n\n"), "{body}");
}

#[test]
fn many_files_are_counted() {
    let mut tale = Tale::of(proven());
    tale.judged.proposal.changes = (0..53).map(|n| changed(&format!("src/{n}.rs"), ChangeKind::Added)).collect();
    let body = tale.pull_request();
    assert!(body.contains("| `src/49.rs` | added | +3 −1 |\n\nand 3 more files.\n\n### Tests"), "{body}");
    assert!(!body.contains("src/50.rs"));
    tale.judged.proposal.changes.truncate(50);
    assert!(!tale.pull_request().contains("more files"));
}

#[test]
fn the_farewell_leads_to_the_pull_request() {
    insta::assert_snapshot!(farewell(&Tale::of(proven()).story(), true), @r"
    **Proven.** The tests failed on the base and pass with the patch; the harness ran both.

    Pull request: <!-- pull-request -->

    Next step: Review the pull request.

    <sub>7 of 50 model calls of `gpt-large`; 12000 tokens in (9000 cached), 800 out; no prices are configured, so the cost is not known. Job 42832cb716e3f588.</sub>
    ");
}

#[test]
fn the_farewell_without_a_pull_request_quotes_the_model() {
    let mut tale = Tale::of(proven());
    tale.conclusion =
        Conclusion::new(Outcome::NoChange, "The agent changed no file.", "Add what is missing to the issue, and ask again.");
    tale.answer = "Which sum?\n\n- of `a`\n- of `b`\n".into();
    insta::assert_snapshot!(farewell(&tale.story(), false), @r"
    **No change.** The agent changed no file.

    The model's last words:

    > Which sum?
    > 
    > * of `a`
    > * of `b`

    Next step: Add what is missing to the issue, and ask again.

    <sub>7 of 50 model calls of `gpt-large`; 12000 tokens in (9000 cached), 800 out; no prices are configured, so the cost is not known. Job 42832cb716e3f588.</sub>
    ");
}

#[test]
fn a_run_that_asked_no_model_says_so() {
    let mut tale = Tale::of(proven());
    tale.conclusion = Conclusion::new(
        Outcome::Cancelled,
        "The run was cancelled: issue #12 was closed by octocat.",
        "Ask again when the work is wanted after all.",
    );
    (tale.answer, tale.usage) = (String::new(), Usage::default());
    insta::assert_snapshot!(farewell(&tale.story(), false), @r"
    **Cancelled.** The run was cancelled: issue `#12` was closed by octocat.

    Next step: Ask again when the work is wanted after all.

    <sub>No model has answered. Job 42832cb716e3f588.</sub>
    ");
}

#[test]
fn a_check_run_tells_outcome_and_evidence() {
    let (title, summary) = Tale::of(proven()).check();
    insta::assert_snapshot!(format!("{title}\n=====\n{summary}"), @r"
    Proven: The tests failed on the base and pass with the patch; the harness ran both.
    =====
    **Proven.** The tests failed on the base and pass with the patch; the harness ran both.

    ### Tests

    | `cargo test` | Base `aaaaaaaaaa` | With this patch |
    |---|---|---|
    | result | ❌ fail (exit code 101) | ✅ pass (exit code 0) |
    | time | 1.2 s | 1.2 s |

    Each ran in a fresh tree, without network, by the harness. Existing test files were put back to the base's before the run on the patch.

    Sandbox: `namespaces`, by the executor `local`; limits kept exactly: processor time, processes; limits looked at again and again: memory.

    <details><summary>How to reproduce</summary>

    ```text
    git checkout aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    cargo test
    git checkout bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    cargo test
    ```

    </details>

    <details><summary>The end of the output on base</summary>

    ```text
    test adds ... FAILED
    ```

    </details>

    <details><summary>The end of the output on this patch</summary>

    ```text
    test result: ok.
    ```

    </details>

    Pull request: <!-- pull-request -->
    ");
}

#[test]
fn a_title_is_the_issues_or_ours() {
    let told = |text: &str, spec: JobSpec| title(&Tale { title: text.into(), spec, ..Tale::of(proven()) }.story());
    assert_eq!(told("The  sum\nis wrong", spec()), "The sum is wrong");
    assert_eq!(told("", spec()), "Fix issue #12");
    assert_eq!(told("\u{200b}", spec()), "Fix issue #12");
    assert_eq!(told(" ", local_spec()), "Patch");
    assert_eq!(told(&"ä".repeat(300), spec()).chars().count(), 120);
}

#[test]
fn a_commit_names_its_issue_and_its_job() {
    insta::assert_snapshot!(commit_message(&spec(), "The sum is wrong"), @r"
    The sum is wrong

    For issue #12. Job 42832cb716e3f588.
    ");
    assert_eq!(commit_message(&local_spec(), ""), format!("Patch\n\nJob {}.\n", spec().id()));
    assert_eq!(commit_message(&spec(), &"x".repeat(300)).lines().next().map(str::len), Some(71 + '…'.len_utf8()));
}

#[test]
fn the_attempts_that_lost_are_told() {
    let mut tale = Tale::of(proven());
    tale.judged.attempt = 2;
    let lost = Judged { verdict: unproven(Doubt::StillRed, 101), attempt: 1, ..tale.judged.clone() };
    tale.finished = vec![lost, tale.judged.clone()];
    let body = tale.pull_request();
    let (_, section) = body.split_once("### Attempts\n\n").unwrap();
    insta::assert_snapshot!(section.split("\n\n###").next().unwrap(), @r"
    This is attempt 2. It was chosen by what was executed, then by its size.

    | Attempt | Lines | Result |
    | ---: | ---: | --- |
    | 1 | +3 −1 | The tests fail with the patch, as they did before it. |
    | 2 | +3 −1 | Proven. |
    ");
    tale.finished.truncate(1);
    assert!(!tale.pull_request().contains("Attempts"), "a single attempt is not worth a word");
}

#[test]
fn a_run_without_a_sandbox_is_marked_wherever_its_result_is_told() {
    let tale = Tale { walls: vec![sample::no_walls()], ..Tale::of(proven()) };
    for text in [tale.pull_request(), tale.check().1, farewell(&tale.story(), true), farewell(&tale.story(), false)] {
        assert!(text.starts_with("**This ran without a sandbox.** "), "{text}");
        assert!(text.contains("\n\n**Proven.** "), "{text}");
    }
    assert!(!tale.pull_request().contains("without network"), "nothing is claimed of a network that nothing kept");
    let told = tale.progress();
    assert!(told.contains("work on the code, without a sandbox"), "{told}");
    // One part of the run is enough.
    let changed = Tale { walls: vec![sample::no_walls(), sample::walls()], ..Tale::of(proven()) };
    assert!(changed.pull_request().contains("**This ran without a sandbox.**"));
}

#[test]
fn the_walls_of_a_run_are_told_in_a_line() {
    let line = |tale: &Tale| {
        let body = tale.pull_request();
        body.lines().find(|line| line.starts_with("Sandbox: ")).map(str::to_owned)
    };
    let tale = Tale::of(proven());
    insta::assert_snapshot!(line(&tale).unwrap(), @"Sandbox: `namespaces`, by the executor `local`; limits kept exactly: processor time, processes; limits looked at again and again: memory.");
    let hosts = (0..22).map(|n| format!("h{n}.test"));
    let reached = Prepared { reach: Some(Reach::of(hosts, false)), ..sample::prepared() };
    let changed = Tale { walls: vec![sample::walls(), sample::no_walls()], prepared: reached, ..Tale::of(proven()) };
    insta::assert_snapshot!(line(&changed).unwrap(), @"Sandbox: `namespaces`, by the executor `local`; limits kept exactly: processor time, processes; limits looked at again and again: memory; later none, by the executor `none`; limits NOT kept: memory. The setup could reach h0.test, h1.test, h2.test, h3.test, h4.test, h5.test, h6.test, h7.test, h8.test, h9.test, h10.test, h11.test, h12.test, h13.test, h14.test, h15.test, h16.test, h17.test, h18.test, h19.test and 2 more, on the base alone.");
    let of_old = Tale { walls: Vec::new(), ..Tale::of(proven()) };
    assert_eq!(line(&of_old), None);
}

#[test]
fn what_was_run_is_told_tree_by_tree_and_test_by_test() {
    use crate::journal::Digest;
    use crate::proof::{Account, Colour, Exit, Run, Stand};
    use crate::results::table::Table;
    use crate::results::{Results, Status};

    let run = |stand, colour, code| {
        let output = Digest::of(b"output");
        Run { stand, exit: Exit::Code(code), colour, duration_ms: 900, output, command: "cargo test".into() }
    };
    let results = |adds| {
        let tests = [("adds > two | three", adds), ("names", Status::Passed)];
        Results { tests: tests.map(|(name, status)| (name.to_owned(), status)).into(), is_complete: true }
    };
    let account = Account {
        runs: vec![
            run(Stand::Base, Colour::Red, 101),
            run(Stand::Code, Colour::Green, 0),
            run(Stand::Base, Colour::Red, 101),
            run(Stand::Code, Colour::Green, 101),
        ],
        reproducers: vec!["adds > two | three".into()],
        table: Some(Table::of(&[results(Status::Failed)], &[results(Status::Passed)])),
        is_runner_honest: Some(true),
        findings: Vec::new(),
    };
    let mut tale = Tale::of(sample::proven());
    if let Verdict::Proven { account: told, .. } = &mut tale.judged.verdict {
        *told = Some(Box::new(account));
    }
    let body = tale.pull_request();
    let (_, tests) = body.split_once("Each ran in a fresh tree").expect("the section is there");
    let (tests, _) = tests.split_once("<details>").expect("what follows is there");
    insta::assert_snapshot!(tests, @r"
    , without network, by the harness. Existing test files were put back to the base's before the run on the patch.

    | Tree | Runs |
    | --- | --- |
    | base | ❌ ❌ |
    | patch under the base's tests | ✅ ✅ |

    **1 test fails without the patch's code and passes with it, every time.**

    Test by test: 1 mended, 1 unchanged.

    | Test | Without | With |
    | --- | --- | --- |
    | `adds > two \| three` | fails | passes |

    Tests of the harness that must fail were laid beside them, and were reported as failing.

    Sandbox: `namespaces`, by the executor `local`; limits kept exactly: processor time, processes; limits looked at again and again: memory.
    ");
    insta::assert_snapshot!(tale.section("Not verified"), @"- Nothing was checked that these tests do not check.");
}

#[test]
fn what_merging_work_on_a_pull_request_changes_is_said() {
    let told = |branch: &str| {
        let mut tale = Tale::of(proven());
        let head = tale.prepared.base.clone();
        let (pull_request, branch) = (tale.spec.task.issue().unwrap(), Some(branch.to_owned()));
        tale.spec.task = Task::WorkOnPull { pull_request, head, branch, is_own: false, request: None, mode: Mode::Fix };
        tale.pull_request()
    };
    assert!(told("mine").contains("merging it changes that pull request, and nothing else."), "{}", told("mine"));
    assert!(
        told("main").contains("merging it changes that pull request, and the default branch `main`, too."),
        "{}",
        told("main")
    );
}
