//! What the cluster is told, as it is told, and what the manifests say.

use serde_json::Value;

use super::*;
use crate::support::cluster::schemas;

/// One line for each value, sorted by where it is.
fn lines(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| lines(value, &format!("{path}.{name}"), out)),
        Value::Array(values) => values.iter().enumerate().for_each(|(at, value)| lines(value, &format!("{path}[{at}]"), out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push(format!("{path} = {value}")),
    }
}

#[tokio::test]
async fn a_pod_has_no_privilege_no_token_and_bounds_on_all_that_it_uses() {
    let double = Double::start(Faults { refusals: [(403, "Forbidden", "not now")].into(), ..Faults::default() }).await;
    let workspace = tempfile::tempdir().unwrap();
    let template = serde_json::from_value(serde_json::json!({
        "metadata": { "labels": { "team": "tools", "app.kubernetes.io/instance": "not-ours" } },
        "spec": { "containers": [], "nodeSelector": { "pool": "untrusted" } },
    }));
    let settings = KubernetesSettings {
        template: template.unwrap(),
        runtime_class: Some("gvisor".to_owned()),
        image_pull_secrets: vec!["registry".to_owned()],
        ..settings(&double)
    };
    let refused = sandbox(settings).open(Tree::alone(workspace.path()), Profile::Reader.into()).await;
    refused.map(drop).unwrap_err();
    check_objects(&double);
    let made = double.made.lock().unwrap()[0].clone();
    let mut all = Vec::new();
    lines(&made, "", &mut all);
    let name = made["metadata"]["name"].as_str().unwrap();
    let telling: Vec<String> = all
        .into_iter()
        .filter(|line| !line.contains(".command[") && !line.contains("patchwright.dev/"))
        .map(|line| line.replace(name, "NAME"))
        .collect();
    insta::assert_snapshot!(telling.join("\n"), @r#"
    .apiVersion = "v1"
    .kind = "Pod"
    .metadata.labels.app.kubernetes.io/component = "sandbox"
    .metadata.labels.app.kubernetes.io/instance = "test"
    .metadata.labels.app.kubernetes.io/managed-by = "patchwright"
    .metadata.labels.app.kubernetes.io/name = "patchwright"
    .metadata.labels.team = "tools"
    .metadata.name = "NAME"
    .metadata.namespace = "patchwright-sandbox"
    .spec.activeDeadlineSeconds = 3600
    .spec.automountServiceAccountToken = false
    .spec.containers[0].env[0].name = "GLIBC_TUNABLES"
    .spec.containers[0].env[0].value = ""
    .spec.containers[0].env[1].name = "LD_AUDIT"
    .spec.containers[0].env[1].value = ""
    .spec.containers[0].env[2].name = "LD_LIBRARY_PATH"
    .spec.containers[0].env[2].value = ""
    .spec.containers[0].env[3].name = "LD_PRELOAD"
    .spec.containers[0].env[3].value = ""
    .spec.containers[0].image = "registry.example/toolchains:1"
    .spec.containers[0].imagePullPolicy = "IfNotPresent"
    .spec.containers[0].name = "commands"
    .spec.containers[0].resources.limits.cpu = "2"
    .spec.containers[0].resources.limits.ephemeral-storage = "10737418240"
    .spec.containers[0].resources.limits.memory = "4294967296"
    .spec.containers[0].resources.requests.cpu = "100m"
    .spec.containers[0].resources.requests.memory = "4294967296"
    .spec.containers[0].securityContext.allowPrivilegeEscalation = false
    .spec.containers[0].securityContext.capabilities.drop[0] = "ALL"
    .spec.containers[0].securityContext.privileged = false
    .spec.containers[0].securityContext.readOnlyRootFilesystem = true
    .spec.containers[0].securityContext.runAsNonRoot = true
    .spec.containers[0].volumeMounts[0].mountPath = "/workspace"
    .spec.containers[0].volumeMounts[0].name = "workspace"
    .spec.containers[0].volumeMounts[0].readOnly = true
    .spec.containers[0].volumeMounts[1].mountPath = "/home/agent"
    .spec.containers[0].volumeMounts[1].name = "home"
    .spec.containers[0].volumeMounts[2].mountPath = "/opt/base/objects"
    .spec.containers[0].volumeMounts[2].name = "objects"
    .spec.containers[0].volumeMounts[2].readOnly = true
    .spec.containers[0].volumeMounts[3].mountPath = "/opt/patchwright/launcher"
    .spec.containers[0].volumeMounts[3].name = "launcher"
    .spec.containers[0].volumeMounts[3].readOnly = true
    .spec.containers[0].volumeMounts[4].mountPath = "/etc/ld.so.preload"
    .spec.containers[0].volumeMounts[4].name = "launcher"
    .spec.containers[0].volumeMounts[4].readOnly = true
    .spec.containers[0].volumeMounts[4].subPath = "nothing"
    .spec.containers[0].volumeMounts[5].mountPath = "/tmp"
    .spec.containers[0].volumeMounts[5].name = "tmp"
    .spec.containers[0].volumeMounts[6].mountPath = "/var/tmp"
    .spec.containers[0].volumeMounts[6].name = "var-tmp"
    .spec.containers[0].volumeMounts[7].mountPath = "/dev/shm"
    .spec.containers[0].volumeMounts[7].name = "shm"
    .spec.containers[0].workingDir = "/"
    .spec.containers[1].image = "registry.example/patchwright:1"
    .spec.containers[1].imagePullPolicy = "IfNotPresent"
    .spec.containers[1].name = "files"
    .spec.containers[1].resources.limits.cpu = "500m"
    .spec.containers[1].resources.limits.ephemeral-storage = "10737418240"
    .spec.containers[1].resources.limits.memory = "512Mi"
    .spec.containers[1].resources.requests.cpu = "100m"
    .spec.containers[1].resources.requests.memory = "512Mi"
    .spec.containers[1].securityContext.allowPrivilegeEscalation = false
    .spec.containers[1].securityContext.capabilities.drop[0] = "ALL"
    .spec.containers[1].securityContext.privileged = false
    .spec.containers[1].securityContext.readOnlyRootFilesystem = true
    .spec.containers[1].securityContext.runAsNonRoot = true
    .spec.containers[1].volumeMounts[0].mountPath = "/workspace"
    .spec.containers[1].volumeMounts[0].name = "workspace"
    .spec.containers[1].volumeMounts[1].mountPath = "/home/agent"
    .spec.containers[1].volumeMounts[1].name = "home"
    .spec.containers[1].volumeMounts[2].mountPath = "/opt/base/objects"
    .spec.containers[1].volumeMounts[2].name = "objects"
    .spec.containers[1].workingDir = "/"
    .spec.dnsPolicy = "Default"
    .spec.enableServiceLinks = false
    .spec.hostIPC = false
    .spec.hostNetwork = false
    .spec.hostPID = false
    .spec.hostUsers = false
    .spec.hostname = "sandbox"
    .spec.imagePullSecrets[0].name = "registry"
    .spec.initContainers[0].image = "registry.example/patchwright:1"
    .spec.initContainers[0].imagePullPolicy = "IfNotPresent"
    .spec.initContainers[0].name = "carry"
    .spec.initContainers[0].resources.limits.cpu = "500m"
    .spec.initContainers[0].resources.limits.ephemeral-storage = "10737418240"
    .spec.initContainers[0].resources.limits.memory = "512Mi"
    .spec.initContainers[0].resources.requests.cpu = "100m"
    .spec.initContainers[0].resources.requests.memory = "512Mi"
    .spec.initContainers[0].securityContext.allowPrivilegeEscalation = false
    .spec.initContainers[0].securityContext.capabilities.drop[0] = "ALL"
    .spec.initContainers[0].securityContext.privileged = false
    .spec.initContainers[0].securityContext.readOnlyRootFilesystem = true
    .spec.initContainers[0].securityContext.runAsNonRoot = true
    .spec.initContainers[0].volumeMounts[0].mountPath = "/opt/patchwright/launcher"
    .spec.initContainers[0].volumeMounts[0].name = "launcher"
    .spec.initContainers[0].workingDir = "/"
    .spec.nodeSelector.pool = "untrusted"
    .spec.restartPolicy = "Never"
    .spec.runtimeClassName = "gvisor"
    .spec.securityContext.fsGroup = 65532
    .spec.securityContext.runAsGroup = 65532
    .spec.securityContext.runAsNonRoot = true
    .spec.securityContext.runAsUser = 65532
    .spec.securityContext.seccompProfile.type = "RuntimeDefault"
    .spec.shareProcessNamespace = false
    .spec.terminationGracePeriodSeconds = 1
    .spec.volumes[0].emptyDir.sizeLimit = "10737418240"
    .spec.volumes[0].name = "workspace"
    .spec.volumes[1].emptyDir.sizeLimit = "10737418240"
    .spec.volumes[1].name = "home"
    .spec.volumes[2].emptyDir.sizeLimit = "10737418240"
    .spec.volumes[2].name = "objects"
    .spec.volumes[3].emptyDir.sizeLimit = "536870912"
    .spec.volumes[3].name = "launcher"
    .spec.volumes[4].emptyDir.medium = "Memory"
    .spec.volumes[4].emptyDir.sizeLimit = "1073741824"
    .spec.volumes[4].name = "tmp"
    .spec.volumes[5].emptyDir.medium = "Memory"
    .spec.volumes[5].emptyDir.sizeLimit = "1073741824"
    .spec.volumes[5].name = "var-tmp"
    .spec.volumes[6].emptyDir.medium = "Memory"
    .spec.volumes[6].emptyDir.sizeLimit = "1073741824"
    .spec.volumes[6].name = "shm"
    "#);
}

#[test]
fn the_schemas_know_a_typo() {
    let pod = |spec: Value| serde_json::json!({ "apiVersion": "v1", "kind": "Pod", "spec": spec });
    let check = |spec: Value| schemas::errors("io.k8s.api.core.v1.Pod", &pod(spec)).join("\n");
    assert_eq!(check(serde_json::json!({ "containers": [{ "name": "a" }], "hostUsers": false })), "");
    let typo = check(serde_json::json!({ "containers": [{ "name": "a" }], "hostUser": false }));
    assert!(typo.contains("'hostUser' was unexpected"), "{typo}");
    let deep = check(serde_json::json!({ "containers": [{ "name": "a", "securityContext": { "runAsNonroot": true } }] }));
    assert!(deep.contains("'runAsNonroot' was unexpected"), "{deep}");
    let kind = check(serde_json::json!({ "containers": [{ "name": "a" }], "activeDeadlineSeconds": "60" }));
    assert!(kind.contains("activeDeadlineSeconds"), "{kind}");
}

#[test]
fn the_manifest_is_as_the_schemas_say_and_allows_what_is_asked_for() {
    let text = include_str!("../../manifests/kubernetes.yaml");
    let objects: Vec<Value> = text.split("\n---\n").map(|one| serde_saphyr::from_str(one).unwrap()).collect();
    let kinds: Vec<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Namespace", "NetworkPolicy", "ServiceAccount", "Role", "RoleBinding"]);
    for object in &objects {
        let errors = schemas::errors(schemas::kind(object), object);
        assert!(errors.is_empty(), "{errors:?}");
    }
    assert_eq!(objects[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
    // No rule under both types is what forbids everything.
    assert_eq!(objects[1]["spec"], serde_json::json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }));
    assert!(objects[1..].iter().all(|object| object["metadata"]["namespace"] == "patchwright-sandbox"));
}
