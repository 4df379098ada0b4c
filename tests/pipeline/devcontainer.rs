//! The image of a repository's `devcontainer.json`, as far as a plan for it goes; whether it is allowed is the executor's.

use patchwright::model::scripted::Step;
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{FIX, SAMPLE, Setup};

const FILE: &str = ".devcontainer/devcontainer.json";

/// The image that a run's commands are to be run in, and the pull request.
async fn image(setup: Setup) -> (Option<String>, String) {
    setup
        .play(async |world| {
            world.fix_this().await;
            let run = world.run().await;
            let prepared = run.prepared().expect("it came so far").clone();
            (prepared.plan.demands.image, world.pull_request_body().await)
        })
        .await
}

fn reading() -> Setup {
    Setup { reads_devcontainer: true, ..Setup::default() }
}

#[tokio::test]
async fn an_image_is_taken_from_the_base_where_the_operator_wants_it() {
    let named = (FILE, "{ // ours\n\"image\": \"node:22\" }", false);
    let (image, told) = self::image(reading().file(named)).await;
    assert_eq!(image.as_deref(), Some("node:22"));
    assert!(told.contains("The commands ran in the image `node:22`, which `.devcontainer/devcontainer.json` names."), "{told}");
    let (image, told) = self::image(Setup::default().file(named)).await;
    assert!(image.is_none() && !told.contains("node:22"), "by default it is not read: {told}");
}

#[tokio::test]
async fn the_policys_image_goes_before_it_and_the_patchs_never_counts() {
    let policy = "commands:\n  test: sh tests/run.sh\nsandbox:\n  image: rust:1\n";
    let setup = reading().file((SAMPLE[0].0, policy, false)).file((FILE, "{\"image\": \"node:22\"}", false));
    assert_eq!(image(setup).await.0.as_deref(), Some("rust:1"));
    let steps = [
        Step::ApplyPatch(FIX.into()),
        Step::Shell("mkdir -p .devcontainer && echo '{\"image\": \"evil:1\"}' > .devcontainer/devcontainer.json".into()),
        Step::Message("Mended.".into()),
    ];
    let setup = Setup { reads_devcontainer: true, ..Setup::model(steps) };
    let (image, told) = image(setup.file((".devcontainer.json", "{\"image\": \"node:22\"}", false))).await;
    assert_eq!(image.as_deref(), Some("node:22"), "{told}");
}

#[tokio::test]
async fn a_devcontainer_that_must_be_built_is_said_to_be_unsupported() {
    let built = (FILE, "{\"build\": {\"dockerfile\": \"Dockerfile\"}}", false);
    let (image, told) = self::image(reading().file(built)).await;
    assert_eq!(image, None);
    assert!(told.contains("was not used, for its `build` is not supported"), "{told}");
    let page =
        reading().file(built).file((SAMPLE[0].0, "commands:\n  test: no-such-program\n", false)).ends(Outcome::EnvironmentFailed);
    let page = page.await;
    assert!(page.contains("its `build` is not supported"), "{page}");
}

#[tokio::test]
async fn an_image_that_is_not_allowed_is_left_out_and_that_is_said() {
    for (name, reason) in [("debian:12", "it is not allowed"), ("node:22 --privileged", "is no image's name")] {
        let text: &'static str = Box::leak(format!("{{\"image\": \"{name}\"}}").into_boxed_str());
        let (image, told) = self::image(reading().file((FILE, text, false))).await;
        assert_eq!(image, None, "{told}");
        assert!(told.contains("was not used, for the image") && told.contains(reason), "{told}");
    }
}
