//! A model endpoint, a test command or a sandbox that does not work.

use patchwright::model::scripted::{Fault, Step};
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{Setup, mends};

fn status(code: u16, headers: &[(&str, &str)]) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Status { code, headers, body: r#"{"error":{"message":"not now, sk-model-key-canary-9f21a7"}}"#.into() }
}

#[tokio::test]
async fn a_model_endpoint_that_is_dead_is_named() {
    // Port 1 of loopback is not listened to.
    let setup = Setup { model_url: Some("http://127.0.0.1:1/v1".into()), ..Setup::default() };
    insta::assert_snapshot!(setup.ends(Outcome::EnvironmentFailed).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Environment failed.** The model endpoint was not available, and asking again did not help. Try again later; if it stays so, the operator has to check the endpoint.

        Next step: An operator should run `patchwright doctor` on the server and mend what it names, then ask again.

        <sub>No model has answered. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn a_key_that_the_model_endpoint_refuses_is_named() {
    insta::assert_snapshot!(Setup::faulty_model([status(401, &[])]).ends(Outcome::EnvironmentFailed).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Environment failed.** The model endpoint refused the credentials. The operator has to check the model's API key and what it may use.

        Next step: An operator should run `patchwright doctor` on the server and mend what it names, then ask again.

        <sub>No model has answered. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn a_model_endpoint_that_says_how_long_to_wait_is_waited_for() {
    Setup::faulty_model([status(429, &[("retry-after", "0")])]).ends(Outcome::Proven).await;
}

#[tokio::test]
async fn a_model_endpoint_that_asks_for_more_time_than_there_is_ends_the_run() {
    let setup = Setup::faulty_model([status(429, &[("retry-after", "3600")])]);
    insta::assert_snapshot!(setup.ends(Outcome::EnvironmentFailed).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Environment failed.** The model endpoint limits the rate of requests and did not let this run go on. Try again later, or have the operator raise the limit.

        Next step: An operator should run `patchwright doctor` on the server and mend what it names, then ask again.

        <sub>No model has answered. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn a_model_endpoint_that_limits_without_saying_how_long_is_asked_again_a_few_times() {
    Setup::faulty_model(vec![status(429, &[]); 2]).ends(Outcome::Proven).await;
    insta::assert_snapshot!(Setup::faulty_model(vec![status(429, &[]); 3]).ends(Outcome::EnvironmentFailed).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Environment failed.** The model endpoint limits the rate of requests and did not let this run go on. Try again later, or have the operator raise the limit.

        Next step: An operator should run `patchwright doctor` on the server and mend what it names, then ask again.

        <sub>No model has answered. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn a_stream_that_is_cut_is_asked_for_again() {
    Setup::faulty_model([Fault::CutAfter(300), Fault::EndAfter(300)]).ends(Outcome::Proven).await;
}

#[tokio::test]
async fn a_stream_that_is_always_cut_ends_the_run() {
    insta::assert_snapshot!(Setup::faulty_model(vec![Fault::CutAfter(300); 3]).ends(Outcome::EnvironmentFailed).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Environment failed.** The model endpoint was not available, and asking again did not help. Try again later; if it stays so, the operator has to check the endpoint.

        Next step: An operator should run `patchwright doctor` on the server and mend what it names, then ask again.

        <sub>No model has answered. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn what_the_agent_had_done_before_the_model_failed_is_not_published() {
    let faults = [Fault::Garbage, Fault::Garbage, status(401, &[])];
    Setup::faulty_model(faults)
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::EnvironmentFailed);
            assert_eq!((world.own_branches().len(), world.run().await.usage().turns), (0, 2));
        })
        .await;
}

#[tokio::test]
async fn a_test_command_that_is_missing_ends_the_run_before_the_model_is_asked() {
    Setup::default()
        .file((".github/patchwright.yml", "commands:\n  test: no-such-program --all\n", false))
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::EnvironmentFailed);
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                **Environment failed.** The test command does not work on the base: `no-such-program --all` ended with exit code 127. /bin/bash: line 1: no-such-program: command not found

                Next step: Name a test command that works offline in `.github/patchwright.yml`, or install what it needs on the server.

                <sub>No model has answered. Job JOB.</sub>
            ");
            assert_eq!(world.model.requests().len(), 0);
        })
        .await;
}

#[tokio::test]
async fn a_setup_command_that_fails_ends_the_run_before_the_model_is_asked() {
    Setup::default()
        .file((".github/patchwright.yml", "commands:\n  setup: echo 'no network'; exit 3\n  test: sh tests/run.sh\n", false))
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::EnvironmentFailed);
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                **Environment failed.** The setup command does not work on the base: `echo 'no network'; exit 3` ended with exit code 3. no network

                Next step: Name a setup command that works offline in `.github/patchwright.yml`, or install what it needs on the server.

                <sub>No model has answered. Job JOB.</sub>
            ");
            assert_eq!(world.model.requests().len(), 0);
        })
        .await;
}

#[tokio::test]
async fn a_setup_command_runs_in_every_fresh_tree() {
    let policy = "commands:\n  setup: test ! -e made && echo yes > made\n  test: test -e made && sh tests/run.sh\n";
    let setup = Setup::model(mends()).file((".github/patchwright.yml", policy, false)).file((".gitignore", "made\n", false));
    setup.ends(Outcome::Proven).await;
}

#[tokio::test]
async fn a_machine_without_a_sandbox_runs_nothing() {
    Setup { launcher: "/nowhere/patchwright".into(), ..Setup::model([Step::Shell("true".into())]) }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::EnvironmentFailed);
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                **Environment failed.** The sandbox cannot be made: the launcher: /nowhere/patchwright: No such file or directory (os error 2).

                Next step: Start the server from the patchwright binary, and leave that file in place while it runs.

                <sub>No model has answered. Job JOB.</sub>
            ");
            assert_eq!(world.model.requests().len(), 0);
        })
        .await;
}
