//! The operator's Pod template: where Pods run and whose they are, and nothing that the sandbox stands on.

use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use crate::sandbox::Refusal;

/// The longest template, in bytes.
const TEMPLATE_BYTES_MAX: u64 = 64 * 1024;
const METADATA: [&str; 2] = ["labels", "annotations"];
const SPEC: [&str; 7] = [
    "affinity",
    "imagePullSecrets",
    "nodeSelector",
    "priorityClassName",
    "schedulerName",
    "tolerations",
    "topologySpreadConstraints",
];

/// Reads a template.
///
/// # Errors
/// [`Refusal`] for a file that cannot be read, is no Pod, or says more than a template may.
pub fn read(path: &Path) -> Result<Pod, Refusal> {
    let wrong = |why: String| Refusal {
        missing: format!("a Pod template: {}: {why}", path.display()),
        remedy: format!(
            "correct the file of `sandbox.kubernetes.pod_template`: it is a Pod in YAML with `metadata.{{{}}}` and \
             `spec.{{{}}}` alone",
            METADATA.join(","),
            SPEC.join(",")
        ),
    };
    let text = std::fs::metadata(path).and_then(|found| match found.len() {
        0..=TEMPLATE_BYTES_MAX => std::fs::read_to_string(path),
        _ => Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("it is over {TEMPLATE_BYTES_MAX} bytes"))),
    });
    parse(&text.map_err(|error| wrong(error.to_string()))?).map_err(wrong)
}

fn parse(text: &str) -> Result<Pod, String> {
    let told: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    for (field, value) in told.as_object().ok_or("it is no object")? {
        let allowed: &[&str] = match (field.as_str(), value.as_str()) {
            ("apiVersion", Some("v1")) | ("kind", Some("Pod")) => continue,
            ("metadata", _) => &METADATA,
            ("spec", _) => &SPEC,
            _ => return Err(format!("`{field}` may not be in it")),
        };
        let inside = value.as_object().ok_or_else(|| format!("`{field}` is no object"))?;
        if let Some(inner) = inside.keys().find(|inner| !allowed.contains(&inner.as_str())) {
            return Err(format!("`{field}.{inner}` may not be in it"));
        }
    }
    let mut whole = told.clone();
    if let Some(spec) = whole.get_mut("spec").and_then(Value::as_object_mut) {
        // Required of a Pod; ours come later.
        spec.insert("containers".to_owned(), Value::Array(Vec::new()));
    }
    let pod: Pod = serde_json::from_value(whole).map_err(|error| error.to_string())?;
    let known = serde_json::to_value(&pod).map_err(|error| error.to_string())?;
    match lost(&told, &known, "") {
        Some(path) => Err(format!("`{path}` is unknown")),
        None => Ok(pod),
    }
}

/// The first field of `told` that is not in `known`: a typo would otherwise say nothing and do nothing.
fn lost(told: &Value, known: &Value, path: &str) -> Option<String> {
    match (told, known) {
        (Value::Object(told), known) => told.iter().find_map(|(field, value)| {
            let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
            match known.get(field) {
                Some(known) => lost(value, known, &path),
                None => Some(path),
            }
        }),
        (Value::Array(told), Value::Array(known)) => {
            told.iter().zip(known).enumerate().find_map(|(at, (told, known))| lost(told, known, &format!("{path}[{at}]")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
