//! The command line as scripts see it: what is printed where, and the exit code.

use std::path::Path;

use patchwright::model::scripted::{Script, ScriptedModel, Step};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::github::git;
use crate::support::pipeline::{SAMPLE, mends};

mod bare;
mod interrupted;
mod killed;
mod listing;
mod modes;
mod ownership;
mod policy;
mod sandbox;
mod schema;
mod service;
mod survives;

/// What a command left: exit code, standard output, standard error.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// Runs the program in a folder with nothing of this process's environment but what a shell has.
async fn patchwright(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwright"));
    command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().copied());
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder).kill_on_drop(true);
    let output = command.output().await.expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn folder() -> TempDir {
    TempDir::with_prefix("command-line-").expect("there is room for a folder")
}

#[tokio::test]
async fn the_demo_proves_a_pull_request_and_prints_one_object() {
    let folder = folder();
    let ended = patchwright(folder.path(), &["demo", "--json"], &[]).await;
    let told = ended.json();
    assert_eq!(
        (ended.code, &told["outcome"], &told["proof"]["verdict"]),
        (Some(0), &"proven".into(), &"proven".into()),
        "{}",
        ended.err
    );
    let keys: Vec<&String> = told.as_object().expect("it is an object").keys().collect();
    assert_eq!(keys, ["branch", "deliveries", "elapsed_ms", "outcome", "phases_ms", "proof", "pull_request"]);
    let phases = told["phases_ms"].as_object().expect("it lists the phases");
    assert_eq!(phases.keys().collect::<Vec<_>>(), ["decide", "delivery", "prepare", "prove", "publish", "solve"]);
    assert!(phases.values().all(Value::is_u64), "every phase has its milliseconds: {told}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0, "the demo leaves nothing behind");
}

#[tokio::test]
async fn the_demo_tells_its_story_to_people() {
    let ended = patchwright(folder().path(), &["demo"], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for told in
        ["A GitHub on loopback is at http://127.0.0.1:", "@codex fix this", "  proven ", "Outcome:      proven", "/pull/2"]
    {
        assert!(ended.out.contains(told), "{told} is missing in\n{}", ended.out);
    }
}

#[tokio::test]
async fn serving_without_a_secret_is_refused() {
    let folder = folder();
    std::fs::write(folder.path().join("key.pem"), patchwright::rehearsal::WORTHLESS_PRIVATE_KEY).expect("there is room");
    let app = [("PATCHWRIGHT__GITHUB__APP_ID", "7"), ("PATCHWRIGHT__GITHUB__PRIVATE_KEY_FILE", "key.pem")];
    let ended = patchwright(folder.path(), &["serve"], &app).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    insta::assert_snapshot!(ended.err.trim_end(), @"error: `github.webhook_secret` is not set (or PATCHWRIGHT__GITHUB__WEBHOOK_SECRET): without it anybody could send orders, so the server does not start");
}

#[tokio::test]
async fn a_configuration_key_that_is_none_is_refused_with_the_nearest() {
    let folder = folder();
    std::fs::write(folder.path().join("patchwright.toml"), "[model]\nbase_uri = \"http://localhost/v1\"\n")
        .expect("there is room");
    for arguments in [["serve"].as_slice(), &["doctor"], &["run", "--task", "x", "--config", "patchwright.toml"]] {
        let ended = patchwright(folder.path(), arguments, &[]).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
        insta::allow_duplicates! { insta::assert_snapshot!(ended.err.trim_end(), @"error: there is no configuration key `model.base_uri`; did you mean `model.base_url`?"); }
    }
}

#[tokio::test]
async fn a_checkout_does_not_say_where_the_models_key_goes() {
    let folder = folder();
    std::fs::write(folder.path().join("patchwright.toml"), "[model]\nbase_uri = \"http://localhost/v1\"\n")
        .expect("there is room");
    let ended = patchwright(folder.path(), &["run", "--task", "x"], &[]).await;
    // The file has a key that there is not: reading it would have said so.
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(ended.err.trim_end(), @"error: no model is configured: set PATCHWRIGHT__MODEL__BASE_URL, or PATCHWRIGHT__MODEL__API_KEY for the default endpoint, or name a file with `--config`");
    let modes = patchwright(folder.path(), &["run", "--task", "x", "--mode", "ask", "--attempts", "2"], &[]).await;
    assert!(modes.err.contains("the other modes change nothing"), "{}", modes.err);
}

#[tokio::test]
async fn the_doctor_says_what_works_as_one_object() {
    let folder = folder();
    let ended =
        patchwright(folder.path(), &["doctor", "--json"], &[("PATCHWRIGHT__MODEL__BASE_URL", "http://127.0.0.1:1/v1")]).await;
    let told = ended.json();
    assert_eq!(ended.code, Some(3), "the model cannot be reached: {told}");
    insta::assert_snapshot!(serde_json::to_string_pretty(&told["findings"].as_array().map(|list| list.iter().map(|finding| format!("{}", finding["what"])).collect::<Vec<_>>())).expect("it is JSON"), @r#"
    [
      "\"sandbox\"",
      "\"limits\"",
      "\"trees\"",
      "\"toolchains\"",
      "\"egress\"",
      "\"secrets\"",
      "\"git\"",
      "\"workspace\"",
      "\"store\"",
      "\"model\"",
      "\"GitHub App\""
    ]
    "#);
}

#[tokio::test]
async fn the_doctor_names_registries_that_no_setup_reaches() {
    let folder = folder();
    let (bin, path) = (folder.path().join("bin"), folder.path().join("bin/uv"));
    std::fs::create_dir(&bin).expect("there is room");
    std::fs::write(&path, "#!/bin/sh\n").expect("there is room");
    let variables = [("UV_DEFAULT_INDEX", "http://10.1.2.3:8080/simple"), ("PATH", bin.to_str().expect("it is text"))];
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwright"));
    command.args(["doctor", "--json"]).current_dir(folder.path()).env_clear().envs(variables).env("HOME", folder.path());
    let output = command.output().await.expect("the program starts");
    let told: Value = serde_json::from_slice(&output.stdout).expect("it is one object");
    let findings = told["findings"].as_array().expect("it is a list");
    let egress = findings.iter().find(|finding| finding["what"] == "egress").expect("it is told");
    assert_eq!(egress["status"], "broken");
    insta::assert_snapshot!(egress["detail"].as_str().expect("it is text"), @"setups reach no host; not the registries that are configured by an address: 10.1.2.3");
}

#[tokio::test]
async fn the_doctor_prints_a_profile_for_apparmor() {
    let folder = folder();
    let ended = patchwright(folder.path(), &["doctor", "--apparmor"], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    insta::assert_snapshot!(ended.out.replace(env!("CARGO_BIN_EXE_patchwright"), "PROGRAM"), @r"
    # Save as /etc/apparmor.d/patchwright, then: apparmor_parser -r /etc/apparmor.d/patchwright
    abi <abi/4.0>,
    include <tunables/global>

    profile patchwright PROGRAM flags=(unconfined) {
      userns,
      include if exists <local/patchwright>
    }
    ");
}

/// A checkout of the sample, and a model.
struct Checkout {
    folder: TempDir,
    model: ScriptedModel,
}

impl Checkout {
    async fn with_model(steps: Vec<Step>) -> Self {
        let folder = folder();
        let root = folder.path().join("rocket");
        for (path, text, _) in SAMPLE {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("there is room");
            std::fs::write(path, text).expect("there is room");
        }
        for arguments in [["init", "-q", "-b", "main"].as_slice(), &["add", "-A"], &["commit", "-q", "-m", "Begin"]] {
            let (done, said) = git(&root, arguments).await;
            assert!(done, "{said}");
        }
        Self { folder, model: ScriptedModel::start(Script::of(steps)).await.expect("loopback has a free port") }
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[]).await
    }

    async fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let url = self.model.base_url();
        let all = [["run", "--repo", "rocket", "--json"].as_slice(), arguments].concat();
        let own = [("PATCHWRIGHT__MODEL__BASE_URL", url.as_str()), ("USER", "ada")];
        patchwright(self.folder.path(), &all, &[own.as_slice(), variables].concat()).await
    }

    async fn branches(&self) -> Vec<String> {
        let (_, said) = git(&self.folder.path().join("rocket"), &["branch", "--format=%(refname:short)"]).await;
        said.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_task_on_a_checkout_leaves_a_branch() {
    let checkout = Checkout::with_model(mends()).await;
    let ended = checkout.run(&["--task", "Mend the mean"]).await;
    let told = ended.json();
    assert_eq!((ended.code, &told["outcome"], &told["patch"]), (Some(0), &"proven".into(), &Value::Null), "{}", ended.err);
    let branch = told["branch"].as_str().expect("it names the branch").to_owned();
    assert!(branch.starts_with("codex/mend-the-mean-"), "{branch}");
    assert_eq!(checkout.branches().await, [branch.as_str(), "main"]);
    let (_, status) = git(&checkout.folder.path().join("rocket"), &["status", "--porcelain"]).await;
    assert_eq!(status, "", "the checkout is not touched");
}

#[tokio::test]
async fn a_task_with_a_patch_file_leaves_no_branch() {
    let checkout = Checkout::with_model(mends()).await;
    let ended = checkout.run(&["--task", "Mend the mean", "--patch", "mean.patch"]).await;
    let told = ended.json();
    assert_eq!((ended.code, &told["branch"], &told["patch"]), (Some(0), &Value::Null, &"mean.patch".into()), "{}", ended.err);
    assert_eq!(checkout.branches().await, ["main"]);
    let (applies, said) = git(&checkout.folder.path().join("rocket"), &["apply", "--check", "../mean.patch"]).await;
    assert!(applies, "{said}");
}

#[tokio::test]
async fn the_exit_code_tells_how_a_task_ended() {
    let checkout = Checkout::with_model(vec![Step::Message("Nothing to do.".into())]).await;
    let ended = checkout.run(&["--task", "Mend the mean"]).await;
    assert_eq!((ended.code, &ended.json()["outcome"]), (Some(1), &"no_change".into()), "{}", ended.err);
    let ended = checkout.run(&["--task", " "]).await;
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(ended.err.trim_end(), @"error: `--task` is empty: say what is to be done");
    let ended = checkout.run(&["--task", "Mend the mean", "--test", "no-such-program"]).await;
    assert_eq!((ended.code, &ended.json()["outcome"]), (Some(3), &"environment_failed".into()), "{}", ended.err);
}

#[tokio::test]
async fn every_command_explains_itself() {
    let folder = folder();
    let help = async |arguments: &'static [&'static str]| {
        let ended = patchwright(folder.path(), arguments, &[]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        ended.out.trim_end().to_owned()
    };
    insta::assert_snapshot!(help(&["--help"]).await, @r"
    The coding agent that maintainers can trust with their repositories.

    Somebody writes `@codex fix this` on an issue; this server has an agent mend it in a sandbox, proves
    the patch by running the repository's own tests before and after, and opens a pull request for a
    person to review.

    Usage: patchwright <COMMAND>

    Commands:
      demo         Play the whole thing on this machine: an issue, a webhook, a patch, its proof, a pull
                   request
      run          Do one task on a local checkout and leave a branch or a patch
      serve        Serve webhooks and work on jobs
      work         Work on the jobs that servers have taken in, on this or any other machine
      migrate      Bring the schema of the store's database up to date
      doctor       Say what works on this machine and what to do about what does not
      prove        Prove any patch, whoever made it, by running the tests without and with it
      verify       Check an attestation: that it is signed, whole, and says of git what is so
      policy       Check a repository's policy file before it counts
      jobs         Look at what a server has kept of its jobs
      explain      Say what became of a delivery or a job, or which deliveries nobody could decide on
      replay       Drive a run again from what was recorded of it, and compare the files that it comes
                   to
      apply-patch  Apply a patch from standard input to the current directory, whole or not at all
      sandbox      Try the sandbox in which all commands run
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Exit codes: 0 done, 1 the work's outcome was negative, 2 usage or configuration, 3 environment; 130
    and 143 interrupted by SIGINT or SIGTERM.
    Begin with `patchwright demo`: it needs no account and no network.
    ");
    insta::assert_snapshot!(help(&["demo", "--help"]).await, @r"
    Play the whole thing on this machine: an issue, a webhook, a patch, its proof, a pull request

    Needs no account, no network and no model: the GitHub is on loopback, with a small repository that
    has a bug, and the model is scripted. The signed webhook, the queue, the sandbox, the git push, the
    proof and the pull request are real.

    Of a configuration file that is named, and of the variables, only the table `sandbox` is used,
    without its `egress`: it says in what the demo's commands run, for machines that have no namespaces.

    Usage: patchwright demo [OPTIONS]

    Options:
          --config <FILE>
              The configuration file; for `serve` and `doctor` `patchwright.toml` where there is one

          --without-sandbox
              Run the code of repositories and agents as this user, with nothing around it: only for a
              machine that is thrown away after the run, and only where `sandbox.executor` is `none` as
              well

          --json
              Print one JSON object and nothing else

          --hold
              Keep everything up at the end to look around, until interrupted

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["run", "--help"]).await, @r"
    Do one task on a local checkout and leave a branch or a patch

    Works on the commit that the checkout's branch points to. Changes that are not committed are neither
    seen nor touched.

    Usage: patchwright run [OPTIONS] --task <TEXT>

    Options:
          --config <FILE>
              The configuration file; for `serve` and `doctor` `patchwright.toml` where there is one

          --without-sandbox
              Run the code of repositories and agents as this user, with nothing around it: only for a
              machine that is thrown away after the run, and only where `sandbox.executor` is `none` as
              well

          --repo <PATH>
              The checkout; the current folder if none is named

          --task <TEXT>
              What is to be done, in your own words

          --mode <MODE>
              What kind of work it is; all but `fix` leave the files as they are, which the sandbox sees
              to

              Possible values:
              - fix:    Make the problem visible, change the files until it is gone, and prove it
              - ask:    Answer a question, with the places in the files that the answer rests on
              - plan:   Say how the task would be done
              - review: Say what is wrong with the code that the task names
              
              [default: fix]

          --attempts <N>
              How often the work may be begun anew; the best attempt counts, by what was executed, and
              the first proof ends it
              
              [default: 1]

          --test <CMD>
              How the repository is tested, in place of what its policy file or its files say

          --patch <FILE>
              Write the patch to this file and leave no branch

          --attestation <FILE>
              Write what was executed for the patch to this file, signed; `patchwright verify` checks it

          --json
              Print one JSON object

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["serve", "--help"]).await, @r"
    Serve webhooks and work on jobs

    Serves until it gets SIGINT or SIGTERM; then it takes no more deliveries, hands back its jobs and
    ends. It needs the App's number, private key and webhook secret;
    `manifests/patchwright.example.toml` has all keys.

    Usage: patchwright serve [OPTIONS]

    Options:
          --config <FILE>
              The configuration file; for `serve` and `doctor` `patchwright.toml` where there is one

          --without-sandbox
              Run the code of repositories and agents as this user, with nothing around it: only for a
              machine that is thrown away after the run, and only where `sandbox.executor` is `none` as
              well

          --no-work
              Take and decide deliveries, but work on no job

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["doctor", "--help"]).await, @r"
    Say what works on this machine and what to do about what does not

    Tries sandbox, git, folders, store, model endpoint and the App's credentials for real. Exit code 3
    if the machine or a service lacks something, 2 if the configuration does.

    Usage: patchwright doctor [OPTIONS]

    Options:
          --config <FILE>
              The configuration file; for `serve` and `doctor` `patchwright.toml` where there is one

          --without-sandbox
              Run the code of repositories and agents as this user, with nothing around it: only for a
              machine that is thrown away after the run, and only where `sandbox.executor` is `none` as
              well

          --json
              Print one JSON object

          --apparmor
              Print the AppArmor profile that lets this program make user namespaces, as Ubuntu 24.04
              and newer demand, and do nothing else

      -h, --help
              Print help (see a summary with '-h')
    ");
}
