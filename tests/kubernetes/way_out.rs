//! What a setup in a Pod reaches over its exec streams, through the real proxy, and what nothing else there reaches.

use std::process::Command as Program;

use patchwright::egress::{Carried, Egress};
use patchwright::sandbox::Terms;
use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::egress::origin::{AUTHORITY, Origin};
use crate::egress::world::{self, World, near};

/// The port of a Pod's loopback, as the shell tries it.
const DIAL: &str = "(exec 3<>/dev/tcp/127.0.0.1/3128) 2>&-";

/// A setup in a Pod that may reach `registry.test`.
async fn setup(carried: impl FnOnce(&Origin) -> Carried) -> (Arc<Double>, World) {
    let double = Double::start(Faults::default()).await;
    let (origin, names) = world::origin().await;
    let mut gate = world::settings(&names, vec![near("registry.test", &origin)]);
    gate.carried = carried(&origin);
    let world = World::within(origin, names, Some(gate), &sandbox(settings(&double)), Profile::Setup).await;
    (double, world)
}

async fn plain_setup() -> (Arc<Double>, World) {
    setup(|_| Carried::default()).await
}

/// The relays that run in the only Pod.
fn relays(double: &Double) -> Vec<u32> {
    let programs = double.programs(&double.pods()[0], "files");
    programs.into_iter().filter(|(_, line)| line.ends_with("in-pod relay")).map(|(pid, _)| pid).collect()
}

#[tokio::test]
async fn curl_reaches_a_listed_host_from_a_pod_and_no_other() {
    let (double, mut world) = plain_setup().await;
    world.origin.put("/file", "what is there\n");
    assert_eq!(world.prints("curl -sS --fail http://registry.test:{plain}/file").await, "what is there\n");
    assert_eq!(world.prints("curl -sS --fail https://registry.test:{tls}/file").await, "what is there\n");
    let sent =
        world.prints("head -c 3000000 /dev/zero | curl -sS --fail --data-binary @- http://registry.test:{plain}/echo | wc -c");
    assert!(sent.await.trim().parse::<u64>().unwrap() > 3_000_000);
    for elsewhere in ["http://evil.test:{plain}/", "https://evil.test:{tls}/", "http://169.254.169.254/latest/"] {
        let done = world.run(&format!("curl -sS --fail {elsewhere}")).await;
        assert!(done.exit != Exit::Code(0) && done.text.contains("403"), "{elsewhere}: {}", done.text);
    }
    // Past the proxy there is still nothing.
    let past = world.run("curl -sS --noproxy '*' --max-time 20 http://127.0.0.1:{plain}/file").await;
    assert_ne!(past.exit, Exit::Code(0), "{}", past.text);
    check_objects(&double);
    let (log, ..) = world.log().await;
    assert_eq!(log.denied().len(), 3, "{}", log.to_json_lines());
    assert!(log.entries.iter().take(2).all(|entry| entry.host == "registry.test" && entry.bytes_down > 14));
}

#[tokio::test]
async fn git_clones_in_a_pod() {
    let (_double, mut world) = plain_setup().await;
    let folder = tempfile::tempdir().unwrap();
    let script = "git init -q a && cd a && echo hello > file && git add . && \
                  git -c user.name=a -c user.email=a@a.test commit -qm one && git clone -q --bare . ../b && \
                  cd ../b && git update-server-info";
    assert!(Program::new("sh").args(["-c", script]).current_dir(folder.path()).status().unwrap().success());
    for entry in walk(&folder.path().join("b")) {
        let path = format!("/b.git/{}", entry.strip_prefix(folder.path().join("b")).unwrap().display());
        world.origin.put(&path, fs::read(&entry).unwrap());
    }
    assert_eq!(world.prints("git clone -q https://registry.test:{tls}/b.git b && cat b/file").await, "hello\n");
}

fn walk(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn connections_of_a_pod_do_not_wait_for_each_other() {
    let (_double, mut world) = plain_setup().await;
    // One that says nothing, one that is not answered, and one whose answer is not read, under a hundred that are.
    let script = "exec 3<>/dev/tcp/127.0.0.1/3128; curl -s http://registry.test:{plain}/never & never=$!; \
                  mkfifo pipe; curl -s http://registry.test:{plain}/bytes/8000000 > pipe & exec 4<pipe; \
                  for n in $(seq 100); do curl -sS --fail http://registry.test:{plain}/bytes/300000 | wc -c > size-$n & all=\"$all $!\"; \
                  [ $((n % 20)) = 0 ] && wait $all; done; kill $never; sort -u size-*; wc -c <&4";
    assert_eq!(world.prints(script).await, "300000\n8000000\n");
}

#[tokio::test]
async fn what_no_outlet_was_given_to_reaches_nothing_while_a_setup_does() {
    let (double, mut world) = plain_setup().await;
    world.prints(DIAL).await;
    for profile in [Profile::Setup, Profile::Agent, Profile::Reader, Profile::Proof] {
        let folder = tempfile::tempdir().unwrap();
        let mut executor = sandbox(settings(&double)).open(Tree::alone(folder.path()), profile.into()).await.unwrap();
        let script =
            format!("env | grep -ci proxy; {DIAL} && echo reached; curl -s --max-time 5 -x 127.0.0.1:3128 http://registry.test/");
        let done = executor.execute(&command(&script)).await.unwrap();
        assert_eq!((done.output.as_slice(), done.exit), (&b"0\n"[..], Exit::Code(7)), "{profile:?}");
    }
    world.prints(DIAL).await;
}

#[tokio::test]
async fn only_a_setup_is_let_out_of_a_pod() {
    let double = Double::start(Faults::default()).await;
    let (origin, names) = world::origin().await;
    let gate = Egress::new(world::settings(&names, vec![near("registry.test", &origin)])).open().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for profile in [Profile::Agent, Profile::Reader, Profile::Proof] {
        let terms = Terms { outlet: Some(gate.outlet()), ..profile.into() };
        let refusal = sandbox(settings(&double)).open(Tree::alone(folder.path()), terms).await.map(drop).unwrap_err();
        assert!(refusal.missing.contains("only setups may"), "{refusal:?}");
    }
    assert!(double.made.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_relay_is_out_of_reach_of_commands_and_ends_with_its_session() {
    let (double, mut world) = plain_setup().await;
    let relay = relays(&double);
    assert_eq!(relay.len(), 1);
    let name = double.pods()[0].clone();
    // No command sees it, so none can end it, and it outlives them.
    let seen = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'in-pod rela[y]' || true";
    assert_eq!(world.prints(seen).await.trim(), "0");
    world.prints(DIAL).await;
    assert_eq!(relays(&double), relay);
    drop(world.log().await);
    double.empty().await;
    assert_eq!(double.programs(&name, "files"), []);
    assert!(!std::path::Path::new(&format!("/proc/{}", relay[0])).exists());
}

#[tokio::test]
async fn a_relay_that_was_killed_is_replaced() {
    let (double, mut world) = plain_setup().await;
    world.origin.put("/file", "what is there\n");
    for _ in 0..2 {
        let relay = relays(&double);
        kill_process(Pid::from_raw(relay[0] as i32).unwrap(), Signal::KILL).unwrap();
        let again = format!("until {DIAL}; do :; done; curl -sS --fail https://registry.test:{{tls}}/file");
        assert_eq!(world.prints(&again).await, "what is there\n");
        assert_ne!(relays(&double), relay);
    }
}

#[tokio::test]
async fn a_stream_that_was_cut_is_replaced() {
    let (double, mut world) = plain_setup().await;
    let relay = relays(&double);
    double.cut_relays();
    let reached = "until curl -s --fail -o file https://registry.test:{tls}/bytes/5; do :; done; cat file";
    assert_eq!(world.prints(reached).await, "xxxxx");
    assert_ne!(relays(&double), relay);
}

#[tokio::test]
async fn a_gate_that_is_closed_ends_what_goes_through_it_from_a_pod() {
    let (_double, world) = plain_setup().await;
    let (done, log) =
        world.closed_during("curl -sS http://registry.test:{plain}/never; curl -sS http://registry.test:{plain}/").await;
    assert_ne!(done.exit, Exit::Code(0), "{}", done.text);
    assert_eq!(log.entries.len(), 1, "{}", log.to_json_lines());
}

#[tokio::test]
async fn what_is_carried_in_beside_a_workspace_can_be_read_only() {
    let files = vec![("/.cargo/config.toml".into(), "[net]\n".to_owned()), ("/run/outlet/deep.toml".into(), "deep\n".to_owned())];
    let (double, mut world) = setup(|_| Carried { environment: vec![("CARRIED".into(), "yes".into())], files }).await;
    let seen = "cat /.cargo/config.toml /run/outlet/deep.toml; echo $CARRIED; cat /run/outlet-ca.pem";
    assert_eq!(world.prints(seen).await, format!("[net]\ndeep\nyes\n{AUTHORITY}"));
    let changed = "echo x > /run/outlet-ca.pem; echo x > /.cargo/new; mv /run/outlet /run/other; ls /run /.cargo";
    assert!(
        world.prints(&format!("({changed}) 2>&-")).await.ends_with("/.cargo:\nconfig.toml\n\n/run:\noutlet\noutlet-ca.pem\n")
    );
    check_objects(&double);
    let made = double.made.lock().unwrap()[0].clone();
    let mounts = |container: usize| made["spec"]["containers"][container]["volumeMounts"].as_array().unwrap().clone();
    let beside = |mount: &serde_json::Value| mount["name"].as_str().unwrap().starts_with("beside-");
    assert!(mounts(0).iter().filter(|mount| beside(mount)).all(|mount| mount["readOnly"] == true));
    assert_eq!(mounts(1).iter().filter(|mount| beside(mount)).count(), 2);
}

#[tokio::test]
async fn what_a_setup_was_told_is_there_for_who_comes_after_it() {
    let double = Double::start(Faults::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let [tree, file] = ["tree", "file"].map(|name| folder.path().join(name));
    fs::create_dir(&tree).unwrap();
    fs::write(&file, "told\n").unwrap();
    let read_only = [(file.clone(), PathBuf::from("/run/outlet-npmrc"))];
    let whole = Tree { read_only: &read_only, ..Tree::alone(&tree) };
    let mut proof = sandbox(settings(&double)).open(whole, Profile::Proof.into()).await.unwrap();
    assert_eq!(proof.execute(&command("cat /run/outlet-npmrc")).await.unwrap().output, b"told\n");
    for target in ["/etc/npmrc", "/run", "/run/../etc/npmrc", "/usr/lib/x", "run/x", "/"] {
        let read_only = [(file.clone(), PathBuf::from(target))];
        let whole = Tree { read_only: &read_only, ..Tree::alone(&tree) };
        let refusal = sandbox(settings(&double)).open(whole, Profile::Proof.into()).await.map(drop).unwrap_err();
        assert!(refusal.missing.contains(target) && refusal.remedy.contains("below /run"), "{refusal:?}");
    }
    check_objects(&double);
}

#[tokio::test]
async fn a_setup_that_moves_to_another_pod_keeps_its_way_out() {
    let files = vec![("/run/told".into(), "told\n".to_owned())];
    let (double, mut world) = setup(|_| Carried { environment: Vec::new(), files }).await;
    assert_eq!(world.prints("cat /run/told").await, "told\n");
    let first = double.pods()[0].clone();
    let (ended, ()) = tokio::join!(world.run("while :; do sleep 1; done"), async { double.end_for_memory(&first) });
    assert_eq!(ended.exit, Exit::Exceeded(Limit::Memory));
    assert_eq!(world.prints("cat /run/told; curl -sS --fail https://registry.test:{tls}/bytes/5").await, "told\nxxxxx");
    assert_ne!(double.pods()[0], first);
    assert_eq!(double.pods().len(), 1);
}

#[tokio::test]
async fn a_relay_that_does_not_listen_is_told_of_before_anything_runs() {
    let (origin, names) = world::origin().await;
    let gate = Egress::new(world::settings(&names, vec![near("registry.test", &origin)])).open().await.unwrap();
    let double = Double::start(Faults { relay_says: Some("no"), ..Faults::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let terms = Terms { outlet: Some(gate.outlet()), ..Profile::Setup.into() };
    let refusal = sandbox(settings(&double)).open(Tree::alone(folder.path()), terms).await.map(drop).unwrap_err();
    assert!(refusal.missing.contains("a way out of") && refusal.remedy.contains("launcher image"), "{refusal:?}");
    double.empty().await;
}
