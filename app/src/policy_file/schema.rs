//! The JSON schema of the policy file, made of the types that read it. Editors show and check by it what somebody writes.

use schemars::generate::SchemaSettings;

use crate::policy_file::format::File;

/// The schema, as the reference file has it.
pub fn text() -> String {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<File>();
    schema.insert("title".into(), "Patchwright's policy file, .github/patchwright.yml".into());
    let text = serde_json::to_string_pretty(schema.as_value()).expect("a schema holds only what JSON can hold");
    format!("{text}\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::policy_file::{read, schema};

    #[test]
    fn the_schema_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/policy.schema.json");
        if std::env::var_os("UPDATE_REFERENCES").is_some() {
            std::fs::write(&path, schema::text()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), schema::text(), "run this test once with UPDATE_REFERENCES=1");
    }

    /// What an editor says by the schema is what the server says.
    #[test]
    fn the_schema_takes_what_is_read_and_nothing_else() {
        let schema: serde_json::Value = serde_json::from_str(&schema::text()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for (text, is_good) in [
            (super::super::tests::EVERYTHING, true),
            ("attempts: 2", true),
            ("sandbox: {hosts: []}", true),
            ("attempts: 0", false),
            ("attempts: two", false),
            ("triggers: {minimum_role: read}", false),
            ("triggers: {roles: {fxi: admin}}", false),
            ("triggers: {sources: []}", false),
            ("triggers: {sources: [email]}", false),
            ("triggers: {label: ''}", false),
            ("commands: {tset: make}", false),
            ("paths: {allowed: []}", false),
            ("paths: {allowed: src}", false),
            ("limits: {max_cost_usd: 0}", false),
            ("limits: {turns: -1}", false),
            ("sandbox: {isolation: steel}", false),
            ("schedules: []", false),
            ("schedule: []", true),
            ("schedule: [{cron: 0 6 * * 1, issue: 1}]", false),
            ("schedule: [{cron: 0 6 * * 1, issue: 0, command: fix}]", false),
            ("schedule: [{cron: '', issue: 1, command: fix}]", false),
        ] {
            let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
            assert_eq!((validator.is_valid(&value), read(text.as_bytes()).is_ok()), (is_good, is_good), "{text}");
        }
        let long = format!("triggers: {{label: {}}}", "x".repeat(300));
        let many = format!("sandbox: {{hosts: [{}]}}", ["a.test"; 101].join(", "));
        for text in [long, many] {
            let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            assert!(!validator.is_valid(&value) && read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
