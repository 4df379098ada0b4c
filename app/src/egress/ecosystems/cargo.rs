//! Cargo: it reads files and variables and tells nothing, so they are read as it would.

use std::path::PathBuf;

use secrecy::SecretString;
use toml::{Table, Value};

use super::{Found, Sources, defaults};
use crate::egress::rules::{Credential, Grant};

/// Where cargo finds settings inside, wherever it is started: above the workspace and the home directory.
const CONFIG: &str = "/.cargo/config.toml";
/// What stands inside in the place of a token: cargo asks a registry that wants one only with one, and the proxy puts the
/// true one in its place.
const TOKEN: &str = "added-outside";
/// How cargo is to come by it.
const PROVIDER: &str = "cargo:token";
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
    let credentials = credentials(sources);
    found.others.extend(tokens(&credentials).map(SecretString::from));
    let mut inside = Table::new();
    for (name, registry) in registries.into_iter().flatten() {
        let token = token(sources, &credentials, name, registry);
        let is_private = token.is_some();
        let index = registry.get("index").and_then(Value::as_str).and_then(|index| found.registry_with(index, token));
        if let Some(index) = index {
            let known = [("index", index.as_str())];
            let private = [("credential-provider", PROVIDER), ("token", TOKEN)];
            let pairs = known.into_iter().chain(private.into_iter().filter(|_| is_private));
            let pairs = pairs.map(|(key, value)| (key.to_owned(), Value::String(value.to_owned())));
            inside.insert(name.clone(), Value::Table(pairs.collect()));
        }
    }
    if !inside.is_empty() {
        carried.insert("registries".to_owned(), Value::Table(inside));
    }
    for (name, value) in &sources.environment {
        if name.starts_with("CARGO_REGISTRIES_") && name.ends_with("_INDEX") {
            let set = name.strip_suffix("_INDEX").unwrap_or(name);
            let token = sources.variable(&format!("{set}_TOKEN")).map(granted);
            let is_private = token.is_some();
            let Some(index) = found.registry_with(value, token) else { continue };
            found.set(name, index);
            if is_private {
                found.set(&format!("{set}_TOKEN"), TOKEN);
                found.set(&format!("{set}_CREDENTIAL_PROVIDER"), PROVIDER);
            }
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
    // A replacement can also be a registry's name, which is carried with the registries.
    let is_registry = config.get("registries").and_then(|all| all.get(&name)).is_some();
    let is_replaced = name != "crates-io" && (is_registry || last.is_some_and(|last| last.contains_key("registry")));
    if is_replaced {
        carried.insert("source".to_owned(), Value::Table(inside));
    }
    is_replaced
}

fn config(sources: &Sources) -> Table {
    settings(sources, ["config.toml", "config"])
}

/// Where `cargo login` keeps tokens.
fn credentials(sources: &Sources) -> Table {
    settings(sources, ["credentials.toml", "credentials"])
}

fn settings(sources: &Sources, names: [&str; 2]) -> Table {
    let home: Option<PathBuf> = sources.variable("CARGO_HOME").map(Into::into).or_else(|| sources.below_home(".cargo"));
    let text = home.and_then(|home| names.iter().find_map(|name| sources.read(&home.join(name))));
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The token for a registry: of a variable, of the settings, or of `cargo login`. What another program would tell is not
/// asked.
fn token(sources: &Sources, credentials: &Table, name: &str, registry: &Value) -> Option<Grant> {
    let variable = format!("CARGO_REGISTRIES_{}_TOKEN", name.to_uppercase().replace(['-', '.'], "_"));
    let text = |value: &Value| value.get("token").and_then(Value::as_str).map(str::to_owned);
    let kept = || credentials.get("registries").and_then(|all| all.get(name)).and_then(text);
    let token = sources.variable(&variable).map(str::to_owned).or_else(|| text(registry)).or_else(kept);
    token.as_deref().map(granted)
}

/// Every token that `cargo login` has kept: that of the default registry, and those of others.
fn tokens(credentials: &Table) -> impl Iterator<Item = &str> {
    let registries = credentials.get("registries").and_then(Value::as_table);
    let kept = registries.into_iter().flat_map(Table::values).chain(credentials.get("registry"));
    kept.filter_map(|registry| registry.get("token").and_then(Value::as_str))
}

/// A token for the whole host: where the crates are the index says, and that is seldom below the index.
fn granted(token: &str) -> Grant {
    Grant::of_host(Credential::Bare(SecretString::from(token)))
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
