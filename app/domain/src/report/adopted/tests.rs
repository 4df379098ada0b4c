use super::super::progress::{self, Stage, Standing};
use crate::job::Usage;
use crate::sample;

#[test]
fn the_progress_of_a_proof_names_no_solving_and_no_publishing() {
    let (spec, walls, usage) = (sample::prove_spec(), [sample::walls()], Usage::default());
    let standing = |stage| Standing { spec: &spec, stage, walls: &walls, usage: &usage, elapsed_ms: 60_000, is_priced: true };
    let told = [Stage::Preparing, Stage::Verifying].map(|stage| progress::comment(&standing(stage)));
    insta::assert_snapshot!(told.join("\n=====\n"), @r"
    On it, for `octocat`.

    - [ ] Prepare: fetch the pull request and run the tests of its base ← now
    - [ ] Prove: run the tests with what it changes
    - [ ] Tell: set the check run and write the result here

    So far: 1 of 30 minutes.

    <sub>Job 42832cb716e3f588.</sub>
    =====
    On it, for `octocat`.

    - [x] Prepare: fetch the pull request and run the tests of its base
    - [ ] Prove: run the tests with what it changes ← now
    - [ ] Tell: set the check run and write the result here

    So far: 1 of 30 minutes.

    <sub>Job 42832cb716e3f588.</sub>
    ");
}
