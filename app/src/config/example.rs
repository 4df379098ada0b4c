//! The list of all keys, read off the configuration's own types, and the example file made of it.

use std::fmt::Write as _;

use schemars::Schema;
use serde_json::Value;

use super::Config;

/// A key with its documentation.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its dotted name.
    pub name: String,
    /// What it says in the type's documentation.
    pub doc: String,
    /// Its default; `Null` where there is none.
    pub default: Value,
}

struct Section {
    name: String,
    doc: String,
    /// Whether there may be any number of it, none to begin with.
    is_list: bool,
    keys: Vec<Key>,
}

fn sections() -> Vec<Section> {
    let schema = schemars::schema_for!(Config);
    let mut sections = Vec::new();
    for (name, table) in properties(schema.as_value()) {
        add(&schema, name, &table, &mut sections);
    }
    sections
}

/// Adds a table's section, and after it those of the tables in it.
fn add(schema: &Schema, name: String, table: &Value, sections: &mut Vec<Section>) {
    let items = table.get("items");
    let target = resolve(schema, items.unwrap_or(table));
    let defaults = table.get("default").or_else(|| target.get("default")).cloned().unwrap_or_default();
    let is_table = |property: &Value| !properties(&resolve(schema, property.get("items").unwrap_or(property))).is_empty();
    let (tables, keys): (Vec<_>, Vec<_>) = properties(&target).into_iter().partition(|(_, property)| is_table(property));
    let key = |(field, property): (String, Value)| Key {
        name: format!("{name}.{field}"),
        doc: doc(&property),
        default: property.get("default").cloned().unwrap_or_else(|| defaults.get(&field).cloned().unwrap_or_default()),
    };
    let keys = keys.into_iter().map(key).collect();
    sections.push(Section { doc: doc(table), is_list: items.is_some(), keys, name: name.clone() });
    for (field, mut property) in tables {
        if let (Some(default), Some(property)) = (defaults.get(&field), property.as_object_mut()) {
            property.entry("default").or_insert_with(|| default.clone());
        }
        add(schema, format!("{name}.{field}"), &property, sections);
    }
}

fn properties(value: &Value) -> serde_json::Map<String, Value> {
    value.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn doc(value: &Value) -> String {
    value.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The schema that a `$ref` points to.
fn resolve(schema: &Schema, value: &Value) -> Value {
    let reference = value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| schema.as_value().pointer(pointer)).unwrap_or(value).clone()
}

/// Every key of the configuration.
pub fn keys() -> Vec<Key> {
    let of_section = |section: Section| {
        let Section { name, doc, is_list, mut keys } = section;
        if is_list {
            keys.push(Key { name, doc, default: Value::Array(Vec::new()) });
        }
        keys
    };
    sections().into_iter().flat_map(of_section).collect()
}

/// The example file: every key with its documentation and its default.
pub fn file() -> String {
    let mut text = String::from(
        "# Patchwright's configuration: every key with its default. Each is also a variable:\n\
         # `github.app_id` is PATCHWRIGHT__GITHUB__APP_ID, and the variable wins.\n",
    );
    for Section { name, doc, is_list, keys } in sections() {
        let _ = if is_list { write!(text, "\n# {doc}\n# [[{name}]]\n") } else { write!(text, "\n# {doc}\n[{name}]\n") };
        for key in keys {
            let field = key.name.rsplit('.').next().unwrap_or_default();
            for line in key.doc.lines() {
                let _ = writeln!(text, "# {line}");
            }
            let _ = match &key.default {
                Value::Null => writeln!(text, "# {field} ="),
                value if is_list => writeln!(text, "# {field} = {value}"),
                value => writeln!(text, "{field} = {value}"),
            };
        }
    }
    text
}
