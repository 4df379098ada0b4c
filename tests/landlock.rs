//! Rules on files alone: the contract of sandboxes as far as they keep it, and when they are used. That there are no
//! namespaces is the kernel's own word here, as in a container that was started with defaults: root lacks the capability.
//! To a plain user they are refused, which `hostile::landlock` sees.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use patchwright::sandbox::landlock::LandlockSandbox;
use patchwright::sandbox::local::LocalSettings;
use patchwright::sandbox::{self, Isolation, Limits, Outlet, Process, Profile, Refusal, Sandbox as _, SandboxError, Terms, Tree};
use patchwright_domain::journal::Outcome;
use patchwright_domain::proof::{Exit, Limit};
use tempfile::TempDir;

use crate::support::pipeline::Setup;

#[expect(clippy::duplicate_mod, reason = "the contract is the same for every sandbox, and compiled for each")]
#[path = "contract/sandbox.rs"]
mod contract;
mod subject;

fn program() -> PathBuf {
    std::env::var_os("PATCHWRIGHT_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_patchwright")), PathBuf::from)
}

fn landlock(limits: Limits) -> LandlockSandbox {
    LandlockSandbox::new(program(), LocalSettings { limits, toolchain_path: None, ..LocalSettings::default() })
}

/// Whether these walls are there at all.
fn are_there() -> bool {
    rustix::process::geteuid().is_root()
}

/// This program on a machine that gives no namespaces; its configuration demands this much.
fn without_namespaces(folder: &TempDir, isolation: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let config = folder.path().join("patchwright.toml");
    let text =
        format!("[sandbox]\nisolation = \"{isolation}\"\n[workspace]\ndir = \"{}\"\n", folder.path().join("work").display());
    fs::write(&config, text).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-sys_admin", "--inh-caps", "-all"]);
    command.arg(program()).args(&arguments[..1]).arg("--config").arg(config);
    command.args(&arguments[1..]).current_dir(folder.path()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("TMPDIR", std::env::temp_dir());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn doctors_walls(folder: &TempDir, isolation: &str) -> serde_json::Value {
    let (_, said) = without_namespaces(folder, isolation, &["doctor", "--json"]);
    let start = said.find('{').unwrap_or_else(|| panic!("{said}"));
    let all: serde_json::Value = serde_json::Deserializer::from_str(&said[start..]).into_iter().next().unwrap().unwrap();
    all["findings"][0].clone()
}

fn folder() -> TempDir {
    let folder = TempDir::with_prefix("patchwright-landlock-").unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn without_namespaces_rules_on_files_are_used_where_the_operator_takes_them() {
    if !are_there() {
        return;
    }
    let folder = folder();
    let walls = doctors_walls(&folder, "landlock");
    let detail = walls["detail"].as_str().unwrap();
    assert!(walls["status"] == "works" && detail.starts_with("landlock: rules on files (Landlock), "), "{walls}");
    assert!(detail.contains("no sockets") && detail.contains("no signals to others"), "{walls}");
}

#[test]
fn without_namespaces_nothing_runs_where_the_operator_has_not_said_that_less_is_enough() {
    if !are_there() {
        return;
    }
    let folder = folder();
    let walls = doctors_walls(&folder, "namespaces");
    let remedy = walls["remedy"].as_str().unwrap();
    assert!(walls["status"] == "broken" && remedy.contains("the last resort, `sandbox.isolation = \"landlock\"`"), "{walls}");
    assert!(remedy.contains("loopback tests will fail"), "{walls}");
}

#[tokio::test]
async fn with_namespaces_they_are_used_whatever_less_would_be_enough() {
    let settings = LocalSettings { toolchain_path: None, ..LocalSettings::default() };
    let local = patchwright::sandbox::local::LocalSandbox::new(program(), settings);
    let both = sandbox::fallback::Fallback::new(local, landlock(Limits::default()));
    assert_eq!(both.probe().await.unwrap().isolation, Isolation::Namespaces);
}

#[tokio::test]
async fn a_refusal_for_another_reason_is_no_reason_to_take_less() {
    let settings = LocalSettings { toolchain_path: None, ..LocalSettings::default() };
    let broken = patchwright::sandbox::local::LocalSandbox::new("/bin/false".into(), settings);
    let both = sandbox::fallback::Fallback::new(broken, landlock(Limits::default()));
    let refusal = both.probe().await.unwrap_err();
    assert!(refusal.missing.contains("a launcher that answers"), "{refusal:?}");
    assert!(both.open(Tree::alone(folder().path()), Profile::Agent.into()).await.is_err());
}

#[tokio::test]
async fn a_way_out_is_refused_because_there_are_no_sockets() {
    let folder = folder();
    let outlet = Outlet { socket: folder.path().join("none"), environment: Vec::new(), read_only: Vec::new() };
    let terms = Terms { outlet: Some(&outlet), ..Profile::Setup.into() };
    let refusal = landlock(Limits::default()).open(Tree::alone(folder.path()), terms).await.err().unwrap();
    assert!(refusal.missing.contains("no sockets") && refusal.remedy.contains("`sandbox.egress.enabled`"), "{refusal:?}");
}

#[tokio::test]
async fn an_external_agent_is_refused_because_it_could_not_reach_its_model() {
    if !are_there() {
        return;
    }
    let folder = folder();
    let sandbox = landlock(Limits::default());
    let mut executor = sandbox.open(Tree::alone(folder.path()), Profile::Agent.into()).await.unwrap();
    let agent = Process {
        argv: vec!["/bin/true".into()],
        sockets: vec![(folder.path().join("socket"), "/run/model.sock".into())],
        ..Process::default()
    };
    match executor.spawn(&agent).await.err() {
        Some(SandboxError::Refused(Refusal { missing, remedy })) => {
            assert!(missing.contains("no sockets") && remedy.contains("`agent.kind = \"builtin\"`"), "{missing}; {remedy}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_workspace_that_the_commands_user_cannot_get_to_is_named() {
    if !are_there() {
        return;
    }
    let closed = TempDir::new().unwrap();
    fs::set_permissions(closed.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let workspace = closed.path().join("tree");
    fs::create_dir(&workspace).unwrap();
    let mut executor = landlock(Limits::default()).open(Tree::alone(&workspace), Profile::Agent.into()).await.unwrap();
    match executor.execute(&command("true")).await {
        Err(SandboxError::Refused(Refusal { missing, remedy })) => {
            assert!(missing.contains(&workspace.display().to_string()) && remedy.contains("o+x"), "{missing}; {remedy}");
        }
        other => panic!("{other:?}"),
    }
}

fn command(script: &str) -> sandbox::Command {
    sandbox::Command {
        script: script.to_owned(),
        directory: String::new(),
        timeout: Duration::from_secs(60),
        output_bytes_max: 64 * 1024,
    }
}

#[tokio::test]
async fn a_reader_changes_nothing_and_home_and_temporary_files_are_gone_with_the_executor() {
    if !are_there() {
        return;
    }
    let folder = folder();
    fs::write(folder.path().join("file"), "there\n").unwrap();
    let outside = TempDir::new().unwrap();
    fs::set_permissions(outside.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let theirs = outside.path().join("theirs");
    fs::write(&theirs, "x").unwrap();
    std::os::unix::fs::chown(&theirs, Some(LocalSettings::default().uid), None).unwrap();
    let before = fs::metadata(&theirs).unwrap();
    let mut executor = landlock(Limits::default()).open(Tree::alone(folder.path()), Profile::Reader.into()).await.unwrap();
    let script = "cat file; (echo x > file) 2>/dev/null || echo kept; echo y > \"$TMPDIR/y\" && echo z > \"$HOME/z\" && pwd; dirname \"$HOME\"";
    let output = executor.execute(&command(script)).await.unwrap();
    let text = String::from_utf8(output.output).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["there", "kept"]);
    assert_eq!(lines[2], folder.path().canonicalize().unwrap().display().to_string());
    assert!(fs::symlink_metadata(lines[3]).is_ok());
    // The files are its user's own, so that only the filter keeps it from these.
    let script = format!(
        "for file in file '{}'; do chmod 777 \"$file\" && echo mode; touch -c -d @1 \"$file\" && echo time; done 2>/dev/null; echo over",
        theirs.display()
    );
    assert_eq!(String::from_utf8(executor.execute(&command(&script)).await.unwrap().output).unwrap(), "over\n");
    let (mode, time) = (MetadataExt::mode, MetadataExt::mtime);
    let after = fs::metadata(&theirs).unwrap();
    assert_eq!((mode(&after), time(&after)), (mode(&before), time(&before)));
    drop(executor);
    assert!(fs::symlink_metadata(lines[3]).is_err(), "{text}");
}

#[tokio::test]
async fn what_is_over_a_limit_ends_and_is_named() {
    if !are_there() {
        return;
    }
    const MIB: u64 = 1 << 20;
    let folder = folder();
    let limits = Limits { memory_bytes: 64 * MIB, disk_bytes: 8 * MIB, tmp_bytes: 4 * MIB, n_files: 200, ..Limits::default() };
    let mut executor = landlock(limits).open(Tree::alone(folder.path()), Profile::Agent.into()).await.unwrap();
    let hog = "for part in 1 2 3 4; do perl -e '$x = \"x\" x (24 << 20); sleep 100' & done; wait";
    let fill = "while :; do dd if=/dev/zero of=big bs=1M count=1 oflag=append conv=notrunc 2>/dev/null; done";
    let nameless = "exec 9> gone; rm gone; while :; do dd if=/dev/zero bs=1M count=1 >&9 2>/dev/null; done";
    let temporary = "while :; do dd if=/dev/zero of=$TMPDIR/big bs=1M count=1 oflag=append conv=notrunc 2>/dev/null; done";
    let many = "n=0; while :; do n=$((n + 1)); : > file-$n; done";
    for (script, limit) in
        [(hog, Limit::Memory), (nameless, Limit::Disk), (fill, Limit::Disk), (temporary, Limit::Disk), (many, Limit::Files)]
    {
        let exit = executor.execute(&command(script)).await.unwrap().exit;
        assert_eq!(exit, Exit::Exceeded(limit), "{script}");
        executor.execute(&command("rm -f big file-* $TMPDIR/big")).await.unwrap();
    }
}

/// Limits of processor time alone.
fn computing() -> Limits {
    Limits { cpu_seconds: 1, ..Limits::default() }
}

#[tokio::test]
async fn the_processor_time_of_others_is_not_held_against_a_command() {
    if !are_there() {
        return;
    }
    let folder = folder();
    let mut executor = landlock(computing()).open(Tree::alone(folder.path()), Profile::Agent.into()).await.unwrap();
    let over = folder.path().join("over");
    rustix::fs::mkfifoat(rustix::fs::CWD, &over, rustix::fs::Mode::from_raw_mode(0o666)).unwrap();
    fs::set_permissions(&over, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    // It burns twice the limit while the command waits for it.
    let burn = "while ((times)[0] < 2) {} open my $over, '>', $ENV{OVER} or die";
    let mut other = Command::new("perl").args(["-e", burn]).env("OVER", &over).spawn().unwrap();
    let output = executor.execute(&command("cat over; echo alive")).await.unwrap();
    // Where the command was ended nobody hears it any more.
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!((output.exit, String::from_utf8(output.output).unwrap().as_str()), (Exit::Code(0), "alive\n"));
}

#[tokio::test]
async fn the_processor_time_of_what_lets_go_of_its_parents_counts() {
    if !are_there() {
        return;
    }
    let folder = folder();
    let mut executor = landlock(computing()).open(Tree::alone(folder.path()), Profile::Agent.into()).await.unwrap();
    // Each of them alone is below the limit, and none of them is the command's child any more.
    let burn = "while ((times)[0] < 0.6) {}";
    let script = format!("for n in 1 2 3; do (setsid perl -e '{burn}' >/dev/null 2>&1 &); done; sleep 100000");
    assert_eq!(executor.execute(&command(&script)).await.unwrap().exit, Exit::Exceeded(Limit::Cpu));
}

#[tokio::test]
async fn a_run_behind_rules_on_files_is_proven_and_says_so() {
    if !are_there() {
        return;
    }
    Setup { is_landlock: true, ..Setup::default() }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven, "{}", world.page().await);
            let told = world.pull_request_body().await;
            let line = told.lines().find(|line| line.starts_with("Sandbox: ")).expect("it is told");
            assert!(line.starts_with("Sandbox: `landlock`, by the executor `local`"), "{line}");
        })
        .await;
}
