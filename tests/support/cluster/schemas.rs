//! Kubernetes' published schemas, reduced; `tests/fixtures/kubernetes/README.md` says whence.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

static SCHEMAS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../fixtures/kubernetes/schemas.json")).expect("the fixture is JSON"));
static VALIDATORS: LazyLock<Mutex<BTreeMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// What of an object is not as its kind says.
pub(crate) fn errors(kind: &str, object: &Value) -> Vec<String> {
    let mut validators = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let validator = validators.entry(kind.to_owned()).or_insert_with(|| {
        assert!(SCHEMAS["$defs"][kind].is_object(), "{kind} is not in the fixture");
        let mut schema = SCHEMAS.clone();
        schema["$ref"] = json!(format!("#/$defs/{kind}"));
        let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(false);
        options.build(&schema).expect("the fixture is a schema")
    });
    validator.iter_errors(object).map(|error| format!("{kind}{}: {error}", error.instance_path())).collect()
}

/// The definition of an object that names its kind itself.
pub(crate) fn kind(object: &Value) -> &'static str {
    match (object["apiVersion"].as_str(), object["kind"].as_str()) {
        (Some("v1"), Some("Namespace")) => "io.k8s.api.core.v1.Namespace",
        (Some("v1"), Some("ServiceAccount")) => "io.k8s.api.core.v1.ServiceAccount",
        (Some("v1"), Some("Pod")) => "io.k8s.api.core.v1.Pod",
        (Some("networking.k8s.io/v1"), Some("NetworkPolicy")) => "io.k8s.api.networking.v1.NetworkPolicy",
        (Some("rbac.authorization.k8s.io/v1"), Some("Role")) => "io.k8s.api.rbac.v1.Role",
        (Some("rbac.authorization.k8s.io/v1"), Some("RoleBinding")) => "io.k8s.api.rbac.v1.RoleBinding",
        other => panic!("{other:?} is not known here"),
    }
}
