//! Holds recorded exchanges against GitHub's published API description (`tests/fixtures/openapi`).

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use jsonschema::{Draft, Validator};
use patchwright::rehearsal::scene::Exchange;
use serde_json::{Map, Value, json};

const SOURCE: &str = include_str!("../fixtures/openapi/github.json");

/// GitHub's API description, as far as it is served; every schema is compiled when it is first needed.
pub(crate) struct Description {
    operations: Map<String, Value>,
    definitions: Value,
    compiled: BTreeMap<String, Validator>,
}

impl Description {
    pub(crate) fn read() -> Self {
        let source = SOURCE.replace("#/components/schemas/", "#/definitions/");
        let source: Value = serde_json::from_str(&source).expect("the fixture is JSON");
        let source = with_null(source);
        let operations = source["operations"].as_object().expect("the fixture lists operations").clone();
        Self { operations, definitions: source["schemas"].clone(), compiled: BTreeMap::new() }
    }

    /// The operations, such as `GET /app`.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.operations.keys().cloned().collect()
    }

    /// Lists what an exchange breaks. What a fault answered is not held against GitHub.
    pub(crate) fn violations(&mut self, exchange: &Exchange) -> Vec<String> {
        let Exchange { method, path, status, .. } = exchange;
        let Some(template) = exchange.template else {
            let is_refused = *status == 404 || exchange.faulty;
            return if is_refused { Vec::new() } else { vec![format!("{method} {path}: no operation, yet {status}")] };
        };
        let name = format!("{method} {template}");
        let Some(operation) = self.operations.get(&name).cloned() else { return vec![format!("{name} is not described")] };
        let mut violations = Vec::new();
        let is_accepted = *status < 300 && !exchange.faulty;
        if is_accepted && !operation["request"].is_null() && !exchange.request.is_null() {
            violations.extend(self.check(&format!("{name} request"), &operation["request"], &exchange.request));
        }
        if exchange.faulty {
            return violations;
        }
        let described = match operation["responses"].get(status.to_string()) {
            Some(described) => described.clone(),
            // Of every GET, and of every address that has moved: that is said beside the description, for all at once.
            None if *status == 304 && method == "GET" => Value::Null,
            None if matches!(*status, 301 | 307) => json!({"$ref": "#/definitions/basic-error"}),
            None if *status >= 400 => json!({"$ref": "#/definitions/basic-error"}),
            None => return vec![format!("{name}: {status} is not described")],
        };
        if described.is_null() {
            violations.extend((!exchange.response.is_null()).then(|| format!("{name}: {status} has a body")));
        } else {
            violations.extend(self.check(&format!("{name} {status}"), &described, &exchange.response));
        }
        violations
    }

    fn check(&mut self, name: &str, schema: &Value, value: &Value) -> Vec<String> {
        let definitions = &self.definitions;
        let validator = self.compiled.entry(name.to_owned()).or_insert_with(|| compile(schema, definitions));
        validator.iter_errors(value).map(|error| format!("{name}: {error} at {}", error.instance_path())).collect()
    }
}

/// Compiles a schema that refers to `#/definitions`; formats are not asserted.
pub(crate) fn compile(schema: &Value, definitions: &Value) -> Validator {
    let root = json!({"allOf": [schema], "definitions": definitions});
    let options = jsonschema::options().with_draft(Draft::Draft7).should_validate_formats(false);
    options.build(&root).expect("the described schema is a schema")
}

/// Fails if an exchange is not as GitHub's would be.
#[track_caller]
pub(crate) fn assert_conform(exchanges: &[Exchange]) {
    // Compiling the schemas takes longer than most tests, so all of them share one description.
    static DESCRIPTION: LazyLock<Mutex<Description>> = LazyLock::new(|| Mutex::new(Description::read()));
    let mut description = DESCRIPTION.lock().unwrap_or_else(PoisonError::into_inner);
    let mut violations: Vec<String> = exchanges.iter().flat_map(|exchange| description.violations(exchange)).collect();
    violations.sort();
    violations.dedup();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// Says `nullable` in the words of JSON Schema.
fn with_null(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(with_null).collect()),
        Value::Object(mut fields) => {
            let nullable = fields.get("nullable") == Some(&json!(true));
            if nullable {
                fields.remove("nullable");
            }
            let fields = Value::Object(fields.into_iter().map(|(name, item)| (name, with_null(item))).collect());
            if nullable { json!({"anyOf": [{"type": "null"}, fields]}) } else { fields }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
