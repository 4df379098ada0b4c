//! Cargo: it reads files and variables and tells nothing, so they are read as it would.

use toml::{Table, Value};

use super::{Found, Sources, defaults};

/// Where cargo finds settings inside, wherever it is started: above the workspace and the home directory.
const CONFIG: &str = "/.cargo/config.toml";
/// How many replacements of a source are followed.
const REPLACEMENTS_MAX: usize = 8;

/// Adds the registries of the host's cargo.
pub(super) fn add(sources: &Sources, found: &mut Found) {
    if !sources.has("cargo") {
        return;
    }
    let config = config(sources);
    let mut carried = Table::new();
    let is_replaced = replacement(&config, found, &mut carried);
    if !is_replaced {
        defaults::CARGO.iter().for_each(|host| found.host(host));
    }
    let registries = config.get("registries").and_then(Value::as_table);
    let mut inside = Table::new();
    for (name, registry) in registries.into_iter().flatten() {
        let index = registry.get("index").and_then(Value::as_str).and_then(|index| found.registry(index));
        if let Some(index) = index {
            inside.insert(name.clone(), Value::Table(Table::from_iter([("index".to_owned(), Value::String(index))])));
        }
    }
    if !inside.is_empty() {
        carried.insert("registries".to_owned(), Value::Table(inside));
    }
    for (name, value) in &sources.environment {
        if name.starts_with("CARGO_REGISTRIES_")
            && name.ends_with("_INDEX")
            && let Some(index) = found.registry(value)
        {
            found.set(name, index);
        }
    }
    if !carried.is_empty() {
        found.carried.files.push((CONFIG.into(), written(&carried)));
    }
}

/// What stands in the place of the default registry, as far as it is reached over the network.
fn replacement(config: &Table, found: &mut Found, carried: &mut Table) -> bool {
    let Some(all) = config.get("source").and_then(Value::as_table) else { return false };
    let mut name = "crates-io".to_owned();
    let mut inside = Table::new();
    for _ in 0..REPLACEMENTS_MAX {
        let Some(source) = all.get(&name).and_then(Value::as_table) else { break };
        let mut kept = Table::new();
        if let Some(registry) = source.get("registry").and_then(Value::as_str).and_then(|address| found.registry(address)) {
            kept.insert("registry".to_owned(), Value::String(registry));
        }
        let next = source.get("replace-with").and_then(Value::as_str);
        if let Some(next) = next {
            kept.insert("replace-with".to_owned(), Value::String(next.to_owned()));
        }
        inside.insert(name.clone(), Value::Table(kept));
        let Some(next) = next else { break };
        next.clone_into(&mut name);
    }
    let last = inside.get(&name).and_then(Value::as_table);
    let is_replaced = name != "crates-io" && last.is_some_and(|last| last.contains_key("registry"));
    if is_replaced {
        carried.insert("source".to_owned(), Value::Table(inside));
    }
    is_replaced
}

fn config(sources: &Sources) -> Table {
    let home = sources.variable("CARGO_HOME").map(Into::into).or_else(|| sources.below_home(".cargo"));
    let text = home.and_then(|home| sources.read(&home.join("config.toml")).or_else(|| sources.read(&home.join("config"))));
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The settings as text; there are only tables of texts in them.
fn written(table: &Table) -> String {
    let mut text = String::new();
    for (section, entries) in table.iter().filter_map(|(name, value)| Some((name, value.as_table()?))) {
        for (name, entry) in entries.iter().filter_map(|(name, value)| Some((name, value.as_table()?))) {
            text.push_str(&format!("[{section}.{}]\n", quoted(name)));
            for (key, value) in entry.iter().filter_map(|(key, value)| Some((key, value.as_str()?))) {
                text.push_str(&format!("{key} = {}\n", quoted(value)));
            }
        }
    }
    text
}

/// A text as TOML has it: JSON's way of quoting is one of TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
