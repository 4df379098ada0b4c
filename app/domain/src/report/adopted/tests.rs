use super::super::{Stage, progress};
use crate::sample;

#[test]
fn the_progress_of_a_proof_names_no_solving_and_no_publishing() {
    let told = [Stage::Preparing, Stage::Verifying].map(|stage| progress(&sample::prove_spec(), stage, &[sample::walls()]));
    insta::assert_snapshot!(told.join("\n=====\n"), @r"
    On it, for `octocat`.

    - [ ] Prepare: fetch the pull request and run the tests of its base ← now
    - [ ] Prove: run the tests with what it changes
    - [ ] Tell: set the check run and write the result here

    <sub>Job 42832cb716e3f588.</sub>
    =====
    On it, for `octocat`.

    - [x] Prepare: fetch the pull request and run the tests of its base
    - [ ] Prove: run the tests with what it changes ← now
    - [ ] Tell: set the check run and write the result here

    <sub>Job 42832cb716e3f588.</sub>
    ");
}
