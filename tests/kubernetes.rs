//! The executor of a Kubernetes cluster, against a double of one: its API as far as it is used, in which every object is
//! checked against Kubernetes' own schemas, and Pods whose programs really run in namespaces of this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use patchwright::sandbox::kubernetes::cluster::Access;
use patchwright::sandbox::kubernetes::{KubernetesSandbox, KubernetesSettings};
use patchwright::sandbox::stamps::{Kind, Look};
use patchwright::sandbox::{Command, Executor, Limits, Output, Profile, Refusal, Sandbox, SandboxError, Tree};
use patchwright_domain::excerpt::search::Search;
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::{Exit, Limit};
use tempfile::TempDir;

use crate::support::cluster::kubelet::POSSESSED_IMAGE;
use crate::support::cluster::{Double, Faults, check_objects};
use crate::support::onlooker::sees_what_is_printed_while_it_runs;
use crate::support::podman::TAKEN;

mod objects;
mod refusals;
mod way_out;

fn settings(double: &Double) -> KubernetesSettings {
    KubernetesSettings {
        access: Access { address: Some(double.address.clone()), ..Access::default() },
        namespace: "patchwright-sandbox".to_owned(),
        instance: "test".to_owned(),
        image: Some("registry.example/toolchains:1".to_owned()),
        launcher_image: "registry.example/patchwright:1".to_owned(),
        launcher_program: "/opt/bin/patchwright".to_owned(),
        template: Default::default(),
        runtime_class: None,
        image_pull_secrets: Vec::new(),
        host_users: false,
        cpus: "2".to_owned(),
        start_timeout: Duration::from_secs(60),
        lifetime: Duration::from_secs(3600),
        environment: Vec::new(),
        limits: Limits::default(),
    }
}

fn sandbox(settings: KubernetesSettings) -> KubernetesSandbox {
    KubernetesSandbox::new(PathBuf::from(env!("CARGO_BIN_EXE_patchwright")), settings)
}

fn command(script: &str) -> Command {
    Command { script: script.to_owned(), directory: String::new(), timeout: Duration::from_secs(60), output_bytes_max: 64 << 10 }
}

/// A workspace in a Pod. Namespaces of this machine are the root's to make.
struct Place {
    double: Arc<Double>,
    workspace: TempDir,
    executor: Box<dyn Executor>,
}

impl Place {
    async fn new() -> Place {
        Place::with(Faults::default(), |_| {}, Profile::Agent).await
    }

    async fn with(faults: Faults, change: impl FnOnce(&mut KubernetesSettings), profile: Profile) -> Place {
        let double = Double::start(faults).await;
        let mut settings = settings(&double);
        change(&mut settings);
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("src")).unwrap();
        fs::write(tree.join("src/lib.rs"), "fn first() {}\n").unwrap();
        fs::write(tree.join("run.sh"), "#!/bin/sh\necho ran in $(pwd)\n").unwrap();
        fs::set_permissions(tree.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink("src/lib.rs", tree.join("link")).unwrap();
        let executor = sandbox(settings).open(Tree::alone(&tree), profile.into()).await.unwrap();
        Place { double, workspace: folder, executor }
    }

    fn tree(&self) -> PathBuf {
        self.workspace.path().join("tree")
    }

    async fn run(&mut self, script: &str) -> Output {
        self.executor.execute(&command(script)).await.unwrap()
    }

    async fn prints(&mut self, script: &str) -> String {
        let output = self.run(script).await;
        assert_eq!(output.exit, Exit::Code(0), "{}", String::from_utf8_lossy(&output.output));
        String::from_utf8(output.output).unwrap()
    }
}

fn regular(content: &str) -> FileState {
    FileState::Regular { content: content.as_bytes().to_vec(), executable: false }
}

#[tokio::test]
async fn a_workspace_goes_in_commands_run_and_it_comes_out() {
    let mut place = Place::new().await;
    assert_eq!(place.prints("./run.sh; cat link; id -u").await, "ran in /workspace\nfn first() {}\n65532\n");
    assert_eq!(place.executor.read("src/lib.rs").await.unwrap(), Some(regular("fn first() {}\n")));
    let link = FileState::Symlink { target: b"src/lib.rs".to_vec() };
    assert_eq!(place.executor.read("link").await.unwrap(), Some(link));
    assert_eq!(place.executor.read("nothing").await.unwrap(), None);
    let changes = [("src/new.rs".to_owned(), Some(regular("fn second() {}\n"))), ("run.sh".to_owned(), None)];
    place.executor.write(&changes).await.unwrap();
    assert_eq!(
        place.prints("cat src/new.rs; ls; mkdir -p made/deep; echo x > made/deep/file").await,
        "fn second() {}\nlink\nsrc\n"
    );
    let found = place.executor.search(&Search::for_pattern("fn [a-z]+")).await.unwrap();
    let hits: Vec<_> = found.hits.iter().map(|hit| (hit.path.as_str(), hit.line)).collect();
    assert_eq!(hits, [("src/lib.rs", 1), ("src/new.rs", 1)]);
    let collected = place.executor.collect().await.unwrap();
    assert_eq!(collected, place.tree());
    assert_eq!(fs::read_to_string(collected.join("made/deep/file")).unwrap(), "x\n");
    assert_eq!(fs::read_to_string(collected.join("src/new.rs")).unwrap(), "fn second() {}\n");
    assert!(!collected.join("run.sh").exists());
    // Nothing else is left beside it, and it can be collected again.
    place.run("rm -r made").await;
    assert!(!place.executor.collect().await.unwrap().join("made").exists());
    assert_eq!(fs::read_dir(place.workspace.path()).unwrap().count(), 1);
    check_objects(&place.double);
}

/// What a command has changed and put back, seen by this program in the Pod; nothing of it is carried out for that.
#[tokio::test]
async fn what_was_changed_in_a_pod_is_seen_there() {
    let mut place = Place::new().await;
    place.run("mkdir -p made/deep target .git; echo x > made/deep/file; echo x > target/built; echo x > .git/config").await;
    let look = Look { left_out: ["target".to_owned()].into(), ..Look::default() };
    let before = place.executor.stamps(&look).await.unwrap();
    assert!(before.is_whole);
    let kinds: Vec<_> = before.entries.iter().map(|(path, stamp)| (path.as_str(), stamp.kind)).collect();
    use Kind::{File, Folder, Link};
    let src = [("run.sh", File), ("src", Folder), ("src/lib.rs", File)];
    assert_eq!(kinds[..5], [("", Folder), ("link", Link), ("made", Folder), ("made/deep", Folder), ("made/deep/file", File)]);
    assert_eq!(kinds[5..], src);
    assert_eq!(place.executor.stamps(&look).await.unwrap(), before, "looking changes nothing");
    place.run("cp -p run.sh kept; echo 'exit 0' > run.sh; cat kept > run.sh; touch -r kept run.sh; rm kept").await;
    let after = place.executor.stamps(&look).await.unwrap();
    let changed: Vec<_> = after.entries.iter().filter(|(path, stamp)| before.entries.get(*path) != Some(stamp)).collect();
    assert_eq!(changed.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["", "run.sh"]);
    place.double.faults.lock().unwrap().says = Some(b"\0\0\0\x06\"done\"".to_vec());
    let unexpected = place.executor.stamps(&look).await.unwrap_err();
    assert!(format!("{:#}", anyhow::Error::from(unexpected)).contains("this is no answer to what was asked"));
    check_objects(&place.double);
}

#[tokio::test]
async fn a_command_ends_with_its_own_code_or_signal_and_starts_where_it_is_told() {
    let mut place = Place::new().await;
    for (script, exit) in
        [("true", Exit::Code(0)), ("exit 3", Exit::Code(3)), ("exit 255", Exit::Code(255)), ("kill -KILL $$", Exit::Signal(9))]
    {
        assert_eq!(place.run(script).await.exit, exit, "{script}");
    }
    let inside = Command { directory: "src".to_owned(), ..command("pwd") };
    assert_eq!(place.executor.execute(&inside).await.unwrap().output, b"/workspace/src\n");
    let outside = Command { directory: "../etc".to_owned(), ..command("pwd") };
    assert!(matches!(place.executor.execute(&outside).await, Err(SandboxError::Path { .. })));
    for path in ["../etc/passwd", "/etc/passwd", "src"] {
        assert!(matches!(place.executor.read(path).await, Err(SandboxError::Path { .. })), "{path}");
    }
}

#[tokio::test]
async fn nothing_of_a_command_is_left_when_it_has_ended() {
    let mut place = Place::new().await;
    place.run("setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' >/dev/null 2>&1 & echo started").await;
    assert_eq!(place.prints("set -- /proc/[0-9]*; echo $#").await, "3\n");
    // The first process cannot be ended from inside, nor be looked into.
    assert_eq!(place.prints("kill -TERM 1 2>&-; kill -KILL 1 2>&-; cat /proc/1/environ 2>&-; echo still").await, "still\n");
    assert_eq!(place.prints("echo again").await, "again\n");
}

#[tokio::test]
async fn nothing_of_an_image_gets_into_the_launcher_of_a_pod() {
    let possessed = |settings: &mut KubernetesSettings| settings.image = Some(POSSESSED_IMAGE.to_owned());
    let mut place = Place::with(Faults::default(), possessed, Profile::Agent).await;
    let seen = place.run(&format!("ls -d {TAKEN}; ls /etc/possessed.so; cat /etc/ld.so.preload; exit 7")).await;
    let text = String::from_utf8_lossy(&seen.output);
    assert_eq!(seen.exit, Exit::Code(7), "{text}");
    assert!(text.lines().any(|line| line == "/etc/possessed.so"), "the image has the library: {text}");
    assert!(!text.lines().any(|line| line == TAKEN), "the image's library is in the launcher: {text}");
}

#[tokio::test]
async fn a_command_whose_time_is_over_is_asked_to_end_and_then_killed() {
    let limits = Limits { grace: Duration::from_millis(300), ..Limits::default() };
    let mut place = Place::with(Faults::default(), |settings| settings.limits = limits, Profile::Agent).await;
    let within = |milliseconds, script: &str| Command { timeout: Duration::from_millis(milliseconds), ..command(script) };
    // Long enough for a shell to get as far as its trap.
    let asked =
        place.executor.execute(&within(2000, "trap 'echo asked; exit 0' TERM; while :; do sleep 0.1; done")).await.unwrap();
    assert_eq!((asked.exit, String::from_utf8_lossy(&asked.output).contains("asked")), (Exit::TimedOut, true));
    let deaf = place.executor.execute(&within(400, "trap '' TERM; while :; do sleep 0.1; done")).await.unwrap();
    assert_eq!(deaf.exit, Exit::TimedOut);
    sees_what_is_printed_while_it_runs(&mut *place.executor).await;
    assert_eq!(place.prints("echo after").await, "after\n");
}

/// As it happens where the launcher of an earlier connection learns late that this is gone: it ends everything around it.
#[tokio::test]
async fn a_launcher_that_was_killed_before_it_said_anything_is_started_again_but_not_for_ever() {
    let faults = Faults { n_killed: 2, ..Faults::default() };
    let mut place = Place::with(faults, |_| {}, Profile::Agent).await;
    assert_eq!(place.prints("echo there").await, "there\n");
    let faults = Faults { n_killed: u32::MAX, ..Faults::default() };
    let mut place = Place::with(faults, |_| {}, Profile::Agent).await;
    match place.executor.execute(&command("true")).await {
        Err(SandboxError::Refused(refusal)) => assert!(refusal.missing.contains("the launcher in Pod"), "{refusal}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_flood_of_output_is_ended_and_only_its_head_and_tail_are_kept() {
    let limits = Limits { output_bytes: 1 << 20, ..Limits::default() };
    let mut place = Place::with(Faults::default(), |settings| settings.limits = limits, Profile::Agent).await;
    let some = Command { output_bytes_max: 8, ..command("printf 'head'; printf '%0100d' 0; printf 'tail'") };
    let some = place.executor.execute(&some).await.unwrap();
    assert_eq!((some.output.as_slice(), some.omitted_bytes), (&b"headtail"[..], 100));
    let flood = place.run("while :; do echo 0123456789012345678901234567890123456789; done").await;
    assert_eq!(flood.exit, Exit::Exceeded(Limit::Output));
    assert!(flood.output.len() <= 64 << 10);
    assert_eq!(place.prints("echo after").await, "after\n");
}

#[tokio::test]
async fn a_reader_changes_nothing() {
    let mut place = Place::with(Faults::default(), |_| {}, Profile::Reader).await;
    assert_eq!(place.run("echo x > file").await.exit, Exit::Code(1));
    assert_eq!(place.prints("cat src/lib.rs").await, "fn first() {}\n");
    let written = place.executor.write(&[("file".to_owned(), Some(regular("x")))]).await;
    assert!(matches!(written, Err(SandboxError::Path { path, .. }) if path == "file"));
}

#[tokio::test]
async fn a_connection_that_is_cut_ends_what_it_ran_and_leaves_the_files() {
    let faults = Faults { cut_after: Some(64 << 10), ..Faults::default() };
    let mut place = Place::with(faults, |_| {}, Profile::Agent).await;
    let script =
        "(while :; do echo y >> alive; sleep 0.05; done) & while :; do echo 0123456789012345678901234567890123456789; done";
    match place.executor.execute(&command(script)).await {
        Err(error @ SandboxError::Machine { .. }) => assert!(error.to_string().contains("keeping"), "{error}"),
        other => panic!("{other:?}"),
    }
    // The next connection ends what the first one left running before it runs anything.
    assert_eq!(place.prints("set -- /proc/[0-9]*; echo $#; test -s alive || test ! -e alive").await, "3\n");
    assert_eq!(place.executor.read("src/lib.rs").await.unwrap(), Some(regular("fn first() {}\n")));
}

#[tokio::test]
async fn a_command_that_took_too_much_memory_is_said_to_and_the_files_go_on_in_another_pod() {
    let mut place = Place::new().await;
    place.run("echo kept > file; echo kept > ~/file").await;
    let first = place.double.pods()[0].clone();
    let double = Arc::clone(&place.double);
    let endless = command("while :; do sleep 1; done");
    let (ended, ()) = tokio::join!(place.executor.execute(&endless), async { double.end_for_memory(&first) });
    assert_eq!(ended.unwrap().exit, Exit::Exceeded(Limit::Memory));
    assert_eq!(place.executor.read("file").await.unwrap(), Some(regular("kept\n")));
    assert_eq!(place.prints("cat file ~/file src/lib.rs").await, "kept\nkept\nfn first() {}\n");
    assert!(!place.double.pods().contains(&first));
    assert_eq!(place.double.pods().len(), 1);
    check_objects(&place.double);
}

#[tokio::test]
async fn a_pod_is_deleted_with_its_executor() {
    let Place { double, executor, workspace } = Place::new().await;
    assert_eq!(double.pods().len(), 1);
    drop(executor);
    double.empty().await;
    drop(workspace);
    check_objects(&double);
}

#[tokio::test]
async fn what_comes_out_is_as_hostile_as_what_ran_there() {
    let mut place = Place::new().await;
    let outside = place.workspace.path().join("outside");
    fs::write(&outside, "untouched").unwrap();
    let archive = |entries: &[(tar::EntryType, &str, &str)]| {
        let mut out = tar::Builder::new(Vec::new());
        for (kind, path, target) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(0);
            header.set_mtime(0);
            header.set_cksum();
            out.append(&header, std::io::empty()).unwrap();
        }
        let mut said = out.into_inner().unwrap();
        said.extend(b"\0\0\0\x06\"done\"");
        said
    };
    use tar::EntryType as Kind;
    for (entries, wrong) in [
        (vec![(Kind::Regular, "../outside", "")], "it leads out of the tree"),
        (vec![(Kind::Symlink, "up", ".."), (Kind::Regular, "up/outside", "")], "up/outside"),
        (vec![(Kind::Link, "hard", "../../outside")], "no directory, no regular file and no symbolic link"),
        (vec![(Kind::Char, "null", "")], "no directory, no regular file and no symbolic link"),
    ] {
        place.double.faults.lock().unwrap().says = Some(archive(&entries));
        let error = place.executor.collect().await.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains(wrong), "{why}");
        assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
        assert_eq!(fs::read_to_string(place.tree().join("src/lib.rs")).unwrap(), "fn first() {}\n");
    }
    // Cut before its end, or no archive at all: the folder stays as it was.
    let whole = archive(&[(Kind::Regular, "file", "")]);
    for said in [whole[..600].to_vec(), whole[..512].to_vec(), b"nothing".to_vec(), Vec::new()] {
        place.double.faults.lock().unwrap().says = Some(said);
        assert!(place.executor.collect().await.is_err());
        assert!(place.tree().join("src/lib.rs").exists());
    }
    place.double.faults.lock().unwrap().says = Some(whole);
    assert_eq!(fs::read_dir(place.executor.collect().await.unwrap()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(place.workspace.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn a_tree_that_is_too_large_to_be_carried_out_is_refused_and_what_to_do_is_said() {
    let limits = Limits { disk_bytes: 1 << 20, n_files: 50, ..Limits::default() };
    let mut place = Place::with(Faults::default(), |settings| settings.limits = limits, Profile::Agent).await;
    let hole = regular(&"x".repeat(600 << 10));
    for name in ["one", "two"] {
        place.executor.write(&[(name.to_owned(), Some(hole.clone()))]).await.unwrap();
    }
    let error = place.executor.collect().await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        why.contains("larger than what may be carried: 1 MiB in 50 entries") && why.contains("remove what they build"),
        "{why}"
    );
    assert_eq!(fs::read_to_string(place.tree().join("src/lib.rs")).unwrap(), "fn first() {}\n");
    place.executor.write(&[("one".to_owned(), None)]).await.unwrap();
    assert!(place.executor.collect().await.unwrap().join("two").exists());
}

#[tokio::test]
async fn what_a_command_takes_of_a_pods_disk_is_held_against_its_limit() {
    let limits = Limits { disk_bytes: 16 << 20, n_files: 200, ..Limits::default() };
    let mut place = Place::with(Faults::default(), |settings| settings.limits = limits, Profile::Agent).await;
    let files = "perl -e 'for (1 .. 1000) { open my $file, \">\", \"f$_\" or die } sleep 100000'";
    assert_eq!(place.run(files).await.exit, Exit::Exceeded(Limit::Files));
    place.prints("rm -f f*").await;
    let disk =
        "perl -e 'open my $file, \">\", \"big\" or die; print $file \"x\" x (1 << 20) for 1 .. 40; close $file; sleep 100000'";
    assert_eq!(place.run(disk).await.exit, Exit::Exceeded(Limit::Disk));
    assert_eq!(place.prints("rm big; echo on it goes").await, "on it goes\n");
}

#[tokio::test]
async fn links_and_pipes_that_commands_leave_are_carried_as_they_are() {
    let mut place = Place::new().await;
    place.run("ln -s /etc/passwd secret; ln -s .. up; mkfifo pipe; mkdir shut; echo x > shut/file; chmod 0 shut/file shut").await;
    let collected = place.executor.collect().await.unwrap();
    assert_eq!(fs::read_link(collected.join("secret")).unwrap(), PathBuf::from("/etc/passwd"));
    assert_eq!(fs::read_link(collected.join("up")).unwrap(), PathBuf::from(".."));
    assert!(fs::symlink_metadata(collected.join("pipe")).is_err());
    assert_eq!(fs::read_to_string(collected.join("shut/file")).unwrap(), "x\n");
}

#[tokio::test]
async fn a_home_that_is_kept_and_the_objects_of_git_go_in_and_what_a_setup_fetched_comes_out() {
    let double = Double::start(Faults::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let [tree, home, objects] = ["tree", "home", "objects"].map(|name| folder.path().join(name));
    for folder in [&tree, &home, &objects] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(objects.join("pack"), "objects\n").unwrap();
    let whole = Tree { objects: Some(&objects), home: Some(&home), ..Tree::alone(&tree) };
    let mut setup = sandbox(settings(&double)).open(whole, Profile::Setup.into()).await.unwrap();
    let ran = setup.execute(&command("cat /opt/base/objects/pack; echo x > /opt/base/objects/pack || echo kept > ~/file")).await;
    assert!(String::from_utf8_lossy(&ran.unwrap().output).starts_with("objects\n"));
    assert_eq!(fs::read_to_string(home.join("file")).unwrap(), "kept\n");
    drop(setup);
    let mut proof = sandbox(settings(&double)).open(whole, Profile::Proof.into()).await.unwrap();
    assert_eq!(proof.execute(&command("cat ~/file")).await.unwrap().output, b"kept\n");
}
