//! What keeps a Pod from running, or a cluster from being used: every refusal names the cause and what to do about it.

use serde_json::json;

use super::*;

async fn refused(faults: Faults, change: impl FnOnce(&mut KubernetesSettings)) -> Refusal {
    let double = Double::start(faults).await;
    let mut settings = settings(&double);
    change(&mut settings);
    let workspace = tempfile::tempdir().unwrap();
    let refusal = sandbox(settings).open(Tree::alone(workspace.path()), Profile::Proof.into()).await.map(drop).unwrap_err();
    // Whatever was made is deleted again.
    double.empty().await;
    check_objects(&double);
    refusal
}

#[track_caller]
fn check(refusal: &Refusal, missing: &[&str], remedy: &str) {
    for missing in missing {
        assert!(refusal.missing.contains(missing), "{refusal:?}");
    }
    assert!(refusal.remedy.contains(remedy), "{refusal:?}");
}

fn stuck(status: serde_json::Value, events: Vec<serde_json::Value>) -> Faults {
    Faults { stuck: Some(status), events, ..Faults::default() }
}

fn event(reason: &str, message: &str) -> serde_json::Value {
    json!({ "metadata": { "name": "e", "namespace": "n" }, "involvedObject": {}, "type": "Warning", "reason": reason, "message": message })
}

fn waiting(reason: &str, message: &str) -> serde_json::Value {
    let waiting = json!({ "waiting": { "reason": reason, "message": message } });
    let container =
        json!({ "name": "commands", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": waiting });
    json!({ "phase": "Pending", "containerStatuses": [container] })
}

#[tokio::test]
async fn a_pod_that_cannot_start_says_why() {
    let pull = waiting("ImagePullBackOff", "Back-off pulling image \"registry.example/toolchains:1\"");
    let denied = event("Failed", "Failed to pull image: pull access denied");
    let refusal = refused(stuck(pull, vec![denied]), |_| {}).await;
    check(&refusal, &["ImagePullBackOff of container `commands`", "pull access denied"], "image_pull_secrets");

    let name = refused(stuck(waiting("InvalidImageName", "couldn't parse image"), Vec::new()), |_| {}).await;
    check(&name, &["InvalidImageName", "couldn't parse image"], "sandbox.kubernetes.image");

    let evicted = json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory." });
    check(&refused(stuck(evicted, Vec::new()), |_| {}).await, &["The node was low on resource"], "kubectl get events");

    let sandbox = event("FailedCreatePodSandBox", "Failed to create pod sandbox: no runtime for \"gvisor\" is configured");
    let runtime = |settings: &mut KubernetesSettings| {
        settings.runtime_class = Some("gvisor".to_owned());
        settings.start_timeout = Duration::from_millis(300);
    };
    let refusal = refused(stuck(waiting("ContainerCreating", ""), vec![sandbox]), runtime).await;
    check(&refusal, &["did not run within", "no runtime for"], "runtime_class");
}

#[tokio::test]
async fn a_pod_for_which_there_is_no_room_is_not_awaited_for_ever() {
    let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient memory." });
    for is_watch_short in [false, true] {
        let status = json!({ "phase": "Pending", "conditions": [condition] });
        let faults = Faults { is_watch_short, ..stuck(status, Vec::new()) };
        let refusal = refused(faults, |settings| settings.start_timeout = Duration::from_millis(700)).await;
        check(&refusal, &["Unschedulable: 0/3 nodes are available: 3 Insufficient memory."], "start_timeout_seconds");
    }
}

#[tokio::test]
async fn what_the_api_refuses_is_told_with_what_to_do() {
    for (code, reason, message, remedy) in [
        (403, "Forbidden", "pods \"x\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10", "ResourceQuota"),
        (403, "Forbidden", "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": seccompProfile", "`restricted`"),
        (
            403,
            "Forbidden",
            "pods \"x\" is forbidden: pod rejected: RuntimeClass \"gvisor\" not found",
            "kubectl get runtimeclass",
        ),
        (403, "Forbidden", "pods is forbidden: User \"u\" cannot create resource \"pods\"", "give the server's account the Role"),
        (401, "Unauthorized", "Unauthorized", "renew the credentials"),
        (404, "NotFound", "namespaces \"patchwright-sandbox\" not found", "make the namespace"),
        (409, "AlreadyExists", "pods \"x\" already exists", "sandbox.kubernetes.instance"),
        (500, "InternalError", "etcdserver: request timed out", "overloaded or broken"),
    ] {
        let refusal = refused(Faults { refusals: [(code, reason, message)].into(), ..Faults::default() }, |_| {}).await;
        check(&refusal, &["making a Pod in namespace `patchwright-sandbox`", message, &format!("({code})")], remedy);
    }
}

#[tokio::test]
async fn a_request_that_was_turned_away_for_now_is_made_again_but_not_for_ever() {
    let busy = (429, "TooManyRequests", "the server has received too many requests");
    let place = Place::with(Faults { refusals: [busy, busy].into(), ..Faults::default() }, |_| {}, Profile::Proof).await;
    assert_eq!(place.double.made.lock().unwrap().len(), 3);
    let refusal = refused(Faults { refusals: [busy; 5].into(), ..Faults::default() }, |_| {}).await;
    check(&refusal, &["too many requests", "(429)"], "overloaded or broken");
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_or_is_not_there_is_not_awaited_for_ever() {
    let double = Double::start(Faults { is_silent: true, ..Faults::default() }).await;
    let workspace = tempfile::tempdir().unwrap();
    let mut silent = settings(&double);
    silent.access.request_timeout = Duration::from_millis(200);
    let refusal = sandbox(silent).open(Tree::alone(workspace.path()), Profile::Proof.into()).await.map(drop).unwrap_err();
    check(&refusal, &["making a Pod", "no answer within"], "can be reached from this machine");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut absent = settings(&double);
    absent.access.address = Some(format!("http://{closed}"));
    let refusal = sandbox(absent).open(Tree::alone(workspace.path()), Profile::Proof.into()).await.map(drop).unwrap_err();
    check(&refusal, &["making a Pod"], "can be reached from this machine");

    let mut unknown = settings(&double);
    unknown.access = Access { kubeconfig: Some(PathBuf::from("/nowhere/kubeconfig")), ..Access::default() };
    let refusal = sandbox(unknown).probe().await.unwrap_err();
    check(&refusal, &["access to a Kubernetes cluster", "/nowhere/kubeconfig"], "sandbox.kubernetes.kubeconfig");
}

#[tokio::test]
async fn what_no_pod_can_be_given_is_refused_before_one_is_made() {
    let double = Double::start(Faults::default()).await;
    let workspace = tempfile::tempdir().unwrap();
    let outlet =
        patchwright::sandbox::Outlet { socket: PathBuf::from("/run/proxy.sock"), environment: Vec::new(), read_only: Vec::new() };
    let terms = patchwright::sandbox::Terms { outlet: Some(&outlet), ..Profile::Agent.into() };
    let refusal = sandbox(settings(&double)).open(Tree::alone(workspace.path()), terms).await.map(drop).unwrap_err();
    check(&refusal, &["only setups may"], "without a way out");
    let layered = Tree { layer: Some((workspace.path(), workspace.path())), ..Tree::alone(workspace.path()) };
    let refusal = sandbox(settings(&double)).open(layered, Profile::Agent.into()).await.map(drop).unwrap_err();
    check(&refusal, &["lie over"], "the executor `local`");
    let terms = patchwright::sandbox::Terms { image: Some("strange:1"), ..Profile::Agent.into() };
    let refusal = sandbox(settings(&double)).open(Tree::alone(workspace.path()), terms).await.map(drop).unwrap_err();
    check(&refusal, &["`strange:1`"], "registry.example/toolchains:1");
    let none = KubernetesSettings { image: None, ..settings(&double) };
    let refusal = sandbox(none).open(Tree::alone(workspace.path()), Profile::Agent.into()).await.map(drop).unwrap_err();
    check(&refusal, &["an image"], "sandbox.kubernetes.image");
    assert!(double.made.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_probe_finds_what_holds() {
    let double = Double::start(Faults::default()).await;
    let found = sandbox(settings(&double)).probe().await.unwrap();
    assert_eq!(found.isolation, patchwright::sandbox::Isolation::Container);
    insta::assert_snapshot!(found.layers.join("\n"), @r"
    Pods in namespace `patchwright-sandbox`
    the nodes' own runtime
    no network beyond the Pod
    allow-listed root
    private workspace, /tmp and home
    pid namespace
    network namespace
    own loopback
    no nested user namespace
    no mounts
    system-call filter
    no privileges
    Landlock
    ");
    double.empty().await;
    check_objects(&double);
}

#[tokio::test]
async fn a_probe_names_the_rights_that_are_missing_and_the_role_that_gives_them() {
    let double = Double::start(Faults { denied: vec!["create pods/exec", "list events"], ..Faults::default() }).await;
    let refusal = sandbox(settings(&double)).probe().await.unwrap_err();
    check(&refusal, &["rights in namespace `patchwright-sandbox`: create pods/exec, list events"], "kubectl apply -f");
    let (_, role) = refusal.remedy.split_once(":\n").unwrap();
    let role: serde_json::Value = serde_saphyr::from_str(role).unwrap();
    let errors = crate::support::cluster::schemas::errors("io.k8s.api.rbac.v1.Role", &role);
    assert!(errors.is_empty(), "{errors:?}");
    let manifest = include_str!("../../manifests/kubernetes.yaml");
    let all = manifest.split("\n---\n").map(|one| serde_saphyr::from_str::<serde_json::Value>(one).unwrap());
    let ours = all.into_iter().find(|object| object["kind"] == "Role").unwrap();
    assert_eq!(role["rules"], ours["rules"]);
}

#[tokio::test]
async fn a_probe_sees_a_network_policy_that_nobody_keeps() {
    let double = Double::start(Faults { is_network_open: true, ..Faults::default() }).await;
    let refusal = sandbox(settings(&double)).probe().await.unwrap_err();
    let address = double.address.trim_start_matches("http://");
    check(&refusal, &["from inside a Pod", address], "Calico or Cilium");
    double.empty().await;
}

#[tokio::test]
async fn a_sweep_deletes_the_pods_of_servers_that_are_gone_and_no_others() {
    let double = Double::start(Faults::default()).await;
    let place = tempfile::tempdir().unwrap();
    let ours = sandbox(settings(&double)).open(Tree::alone(place.path()), Profile::Proof.into()).await.unwrap();
    let own = double.made.lock().unwrap()[0].clone();
    let copy = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut pod = own.clone();
        pod["metadata"]["name"] = json!(name);
        change(&mut pod);
        double.put(pod);
    };
    let (worker, expires) = ("patchwright.dev/worker", "patchwright.dev/expires");
    let elsewhere = json!("another-host/boot/1/1");
    copy("gone", &|pod| {
        let annotation = &mut pod["metadata"]["annotations"][worker];
        *annotation = json!(format!("{}0", annotation.as_str().unwrap()));
    });
    copy("expired", &|pod| {
        pod["metadata"]["annotations"][worker] = elsewhere.clone();
        pod["metadata"]["annotations"][expires] = json!("1");
    });
    copy("ended", &|pod| {
        pod["metadata"]["annotations"][worker] = elsewhere.clone();
        pod["status"] = json!({ "phase": "Failed" });
    });
    copy("unmarked", &|pod| pod["metadata"]["annotations"] = json!({}));
    copy("elsewhere", &|pod| pod["metadata"]["annotations"][worker] = elsewhere.clone());
    copy("others", &|pod| {
        pod["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("others");
        pod["metadata"]["annotations"] = json!({});
    });
    sandbox(settings(&double)).sweep().await.unwrap();
    let mut left = double.pods();
    left.retain(|name| *name != own["metadata"]["name"].as_str().unwrap());
    assert_eq!(left, ["elsewhere", "others"]);
    assert_eq!(double.pods().len(), 3);
    drop(ours);
    check_objects(&double);
}
