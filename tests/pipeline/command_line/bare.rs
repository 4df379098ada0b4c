//! Running without a sandbox has to be wanted twice.

use serde_json::Value;

use super::{Checkout, folder, patchwright};
use crate::support::pipeline::mends;

/// All that the configuration says.
pub(super) const CONFIG: [(&str, &str); 3] = [
    ("PATCHWRIGHT__SANDBOX__EXECUTOR", "none"),
    ("PATCHWRIGHT__SANDBOX__ISOLATION", "none"),
    ("PATCHWRIGHT__SANDBOX__EGRESS__ENABLED", "false"),
];

#[tokio::test]
async fn the_configuration_or_the_flag_alone_is_an_error() {
    let folder = folder();
    let commands: [&[&str]; 6] = [
        &["demo"],
        &["serve"],
        &["doctor"],
        &["run", "--task", "x"],
        &["replay", "0123456789abcdef"],
        &["sandbox", "exec", "--workspace", ".", "--", "touch", "ran"],
    ];
    for command in commands {
        let ended = patchwright(folder.path(), command, &CONFIG).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{command:?}");
        insta::allow_duplicates! { insta::assert_snapshot!(ended.err.trim_end(), @"error: `sandbox.executor` is `none`, so the code of repositories and agents would run as this user with nothing around it: if this machine is thrown away after the run, say so a second time with `--without-sandbox`; otherwise use the executor `local`, `container` or `kubernetes`"); }
        let mut words: Vec<&str> = command.to_vec();
        let place = if command[0] == "sandbox" { 2 } else { 1 };
        words.insert(place, "--without-sandbox");
        let ended = patchwright(folder.path(), &words, &[]).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{words:?}");
        insta::allow_duplicates! { insta::assert_snapshot!(ended.err.trim_end(), @"error: `--without-sandbox` is given, and `sandbox.executor` is `local`: leave the flag out, or, if this machine is thrown away after the run, set `sandbox.executor` to `none` as well"); }
        for (n_said, said) in [(1, "sandbox.isolation"), (2, "sandbox.egress.enabled")] {
            let ended = patchwright(folder.path(), &words, &CONFIG[..n_said]).await;
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{words:?}");
            assert!(ended.err.contains(&format!("`{said}`")), "{}", ended.err);
        }
    }
    assert!(!folder.path().join("ran").exists());
}

#[tokio::test]
async fn the_demo_plays_in_the_sandbox_of_the_file_and_takes_nothing_else_from_it() {
    let folder = folder();
    let file = "[sandbox]\nexecutor = \"none\"\nisolation = \"none\"\n[sandbox.egress]\nenabled = false\n\
                [github]\nmention = \"@nobody\"\n[model]\nbase_url = \"http://127.0.0.1:1/v1\"\n[store]\nurl = \"sqlite:kept.db\"\n";
    std::fs::write(folder.path().join("some.toml"), file).expect("there is room");
    let ended = patchwright(folder.path(), &["demo", "--config", "some.toml", "--without-sandbox"], &[]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("Outcome:      proven") && ended.out.contains("WITHOUT A SANDBOX"), "{}", ended.out);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["some.toml"]);
    std::fs::write(folder.path().join("patchwright.toml"), "nonsense").expect("there is room");
    let unmade = patchwright(folder.path(), &["demo"], &[("PATCHWRIGHT__SANDBOX__ISOLATION", "kernel")]).await;
    assert_ne!(unmade.code, Some(0), "nothing runs behind weaker walls: {}", unmade.out);
    assert!(unmade.out.contains("kernel"), "{}{}", unmade.out, unmade.err);
}

#[tokio::test]
async fn a_command_that_is_wanted_twice_without_a_sandbox_runs_as_we_do() {
    let folder = folder();
    let all = ["sandbox", "exec", "--without-sandbox", "--workspace", ".", "--", "sh", "-c", "id -u; echo x > made; env"];
    let ended = patchwright(folder.path(), &all, &[CONFIG.as_slice(), &[("SECRET", "canary")]].concat()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.starts_with(&format!("{}\n", rustix::process::geteuid().as_raw())), "{}", ended.out);
    assert!(!ended.out.contains("canary"), "the environment is what is listed: {}", ended.out);
    assert!(folder.path().join("made").exists());
}

#[tokio::test]
async fn the_doctor_says_that_nothing_is_contained() {
    let folder = folder();
    let ended = patchwright(folder.path(), &["doctor", "--json", "--without-sandbox"], &CONFIG).await;
    let told = ended.json();
    let finding = |what: &str| {
        let findings = told["findings"].as_array().expect("it is a list");
        findings.iter().find(|finding| finding["what"] == what).expect("it is told")["detail"]
            .as_str()
            .expect("it is text")
            .to_owned()
    };
    insta::assert_snapshot!(finding("sandbox"), @"NONE. Nothing is contained: the code of repositories and agents runs as this user and reaches its files, its credentials, its processes and its network. Use it only on a machine that is thrown away after the run");
    insta::assert_snapshot!(finding("limits"), @"kept exactly: open files, file size, output; kept NOT: memory, processor time, processes, disk space, number of files");
}

#[tokio::test]
async fn a_task_tells_what_confined_it() {
    let checkout = Checkout::with_model(mends()).await;
    let ended = checkout.run(&["--task", "Mend the mean"]).await;
    let told = ended.json();
    assert_eq!((ended.code, &told["walls"][0]["isolation"]), (Some(0), &"namespaces".into()), "{}", ended.err);
    assert_eq!((&told["walls"][0]["executor"], &told["setup_reach"]), (&"local".into(), &Value::Null));
    let ended = checkout.run_with(&["--without-sandbox", "--task", "Mend the mean again"], &CONFIG).await;
    let told = ended.json();
    assert_eq!((ended.code, &told["outcome"]), (Some(0), &"proven".into()), "{}", ended.err);
    assert_eq!((&told["walls"][0]["executor"], &told["walls"][0]["isolation"]), (&"none".into(), &"none".into()));
}
