use super::check;
use crate::effect::Effect;
use crate::event::CheckRef;
use crate::event::Untrusted;
use crate::job::Usage;
use crate::journal::{Conclusion, Outcome, Triaged};
use crate::report::Story;
use crate::sample;
use crate::triage::{Side, Verdict};

fn told(triaged: Option<&Triaged>, conclusion: &Conclusion, name: &str, log: &str) -> (String, String, Option<String>) {
    let (spec, walls, usage) = (sample::triage_spec(), [sample::walls()], Usage::default());
    let story = Story {
        spec: &spec,
        conclusion,
        walls: &walls,
        adopted: None,
        proposed: None,
        triaged,
        log,
        prepared: None,
        judged: None,
        finished: &[],
        title: "",
        answer: "",
        reviewed: None,
        branch: None,
        usage: &usage,
        is_priced: false,
        model: "none",
        moved_to: None,
        host: "github.com",
        attestation: None,
        threads: &[],
        under_way: &[],
    };
    let check = check(&story, &sample::commit('b'), &CheckRef { id: 77, name: Untrusted::new(name) });
    let Effect::SetCheck { title, summary, text, .. } = check else { panic!("a check run, not {check:?}") };
    (title, summary, text)
}

fn of(verdict: &Verdict) -> Conclusion {
    Conclusion::new(Outcome::Answered, verdict.sentence(), verdict.next_step())
}

#[test]
fn a_check_run_says_what_the_red_one_is_about() {
    let triaged = sample::triaged();
    let (title, summary, text) = told(Some(&triaged), &of(&triaged.verdict), "test (3.12)", "E   assert 1 == 2");
    insta::assert_snapshot!(format!("{title}\n\n{summary}\n\n{}", text.unwrap_or_default()), @r#"
    test (3.12): It always fails with this change, and passes where the pull request is to go.

    **Answered.** It always fails with this change, and passes where the pull request is to go.

    This is about the check `test (3.12)` of the commit `bbbbbbbbbb`.

    Its job was run again here, in fresh trees:

    ```text
    pytest -q
    ```

    | Tree | Runs |
    | --- | --- |
    | with the change, `bbbbbbbbbb` | ❌ |
    | without it, `aaaaaaaaaa` | ✅ |

    The tests that always fail:

    - `tests/test_a.py::adds|@octocat`

    What is different here from where the check ran:

    - The job asks for python 3.12; what this machine has of it is used.

    Sandbox: `namespaces`, by the executor `local`; limits kept exactly: processor time, processes; limits looked at again and again: memory.

    Next step: Mend it in this pull request.

    <sub>No model was asked and nothing was changed. This check run is neutral whatever it says. Job 42832cb716e3f588.</sub>

    The end of what failed on GitHub, from the job's log:

    ```text
    E   assert 1 == 2
    ```
    "#);
}

#[test]
fn nothing_that_others_have_named_acts() {
    let hostile = "](x) `@octocat` <img src=x> #1\n## Proven";
    let verdict = Verdict::Infrastructure { because: hostile.into() };
    let triaged = Triaged {
        command: Some(format!("true {hostile}\n```\n# Proven")),
        differences: vec![hostile.into()],
        verdict: Verdict::BaseRed { tests: vec![hostile.into()] },
        ..sample::triaged()
    };
    let (title, summary, text) = told(Some(&triaged), &of(&verdict), hostile, "```\n@octocat\n```");
    insta::assert_snapshot!(format!("{title}\n\n{summary}\n\n{}", text.unwrap_or_default()), @r#"
    ](x) `@octocat` <img src=x> #1 ## Proven: Nothing of the repository has failed. ](x) `@octocat` <img src=x> #1 ## Proven

    **Answered.** Nothing of the repository has failed. ](x) `@octocat` `<img src=x>` `#1` ## Proven

    This is about the check ``](x) `@octocat` <img src=x> #1 ## Proven`` of the commit `bbbbbbbbbb`.

    Its job was run again here, in fresh trees:

    ````text
    true ](x) `@octocat` <img src=x> #1
    ## Proven
    ```
    # Proven
    ````

    | Tree | Runs |
    | --- | --- |
    | with the change, `bbbbbbbbbb` | ❌ |
    | without it, `aaaaaaaaaa` | ✅ |

    The tests that always fail:

    - ``](x) `@octocat` <img src=x> #1 ## Proven``

    What is different here from where the check ran:

    - \](x) `@octocat` `<img src=x>` `#1` ## Proven

    Sandbox: `namespaces`, by the executor `local`; limits kept exactly: processor time, processes; limits looked at again and again: memory.

    Next step: Run the job again.

    <sub>No model was asked and nothing was changed. This check run is neutral whatever it says. Job 42832cb716e3f588.</sub>

    The end of what failed on GitHub, from the job's log:

    ````text
    ```
    @octocat
    ```
    ````
    "#);
}

#[test]
fn each_verdict_is_told_in_a_sentence() {
    let because = || "The job was cancelled.".to_owned();
    let verdicts = [
        Verdict::Infrastructure { because: because() },
        Verdict::Unreproducible { because: because() },
        Verdict::Flaky { side: Side::Head, n_red: 0, n_green: 3 },
        Verdict::Flaky { side: Side::Head, n_red: 1, n_green: 2 },
        Verdict::Flaky { side: Side::Base, n_red: 1, n_green: 2 },
        Verdict::BaseRed { tests: Vec::new() },
        Verdict::Red { tests: Vec::new(), is_base_green: true },
        Verdict::Red { tests: Vec::new(), is_base_green: false },
        Verdict::Red { tests: vec!["a".into()], is_base_green: false },
    ];
    let said: Vec<String> = verdicts.iter().map(|verdict| format!("{} {}", verdict.sentence(), verdict.next_step())).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    Nothing of the repository has failed. The job was cancelled. Run the job again.
    It could not be seen here. The job was cancelled. Look at the job's log.
    It is flaky: it failed on GitHub, and passed here in 3 of 3 runs. Run the job again, and mend what does not always end alike.
    It is flaky: it failed here in 1 of 3 runs. Run the job again, and mend what does not always end alike.
    It always fails here, and where the pull request is to go it is flaky: there it failed in 1 of 3 runs. Run the job again, and mend what does not always end alike.
    Run here, it fails where the pull request is to go as well, without its change: that is red, too, or both lack something that this machine does not have. Mend it where the pull request is to go.
    It always fails with this change, and passes where the pull request is to go. Mend it in this pull request.
    It always fails with this change; what it is to go to gives no result to compare with. Mend it in this pull request.
    Tests always fail with this change that never failed where the pull request is to go. Mend it in this pull request.
    "#);
}
