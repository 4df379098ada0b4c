//! npm: it tells its registries; the tokens for them are read from the user's settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::Value;

use super::{Found, Sources};
use crate::egress::rules::{Credential, Grant};

/// Where the settings are inside that hold for every project, and that a project's own go before.
const CONFIG: &str = "/run/outlet-npmrc";

/// Where the certificate authorities are inside that the host's Node trusts beside its own.
const AUTHORITIES: &str = "/run/outlet-node-ca.pem";

/// What npm says of itself.
pub(super) async fn ask(sources: &Sources) -> Option<Value> {
    serde_json::from_str(&sources.ask("npm", &["config", "list", "--json"]).await?).ok()
}

/// Adds the default registry and those of scopes.
pub(super) fn add(sources: &Sources, told: Option<Value>, found: &mut Found) {
    let Some(Value::Object(told)) = told else { return };
    let secrets = secrets(sources);
    let is_secret = |name: &str| ["_authToken", "_auth", "_password"].iter().any(|end| name.ends_with(end));
    let values = secrets.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value);
    found.others.extend(values.flat_map(|value| [Some(value.clone()), decoded(value)]).flatten().map(SecretString::from));
    let mut lines = String::new();
    for (key, value) in &told {
        let is_registry = key == "registry" || key.starts_with('@') && key.ends_with(":registry");
        let Some(address) = value.as_str().filter(|_| is_registry) else { continue };
        if let Some(inside) = found.registry_with(address, grant(address, &secrets)) {
            lines.push_str(&format!("{key}={inside}\n"));
        }
    }
    if !lines.is_empty() {
        found.carried.files.push((CONFIG.into(), lines));
        found.set("npm_config_globalconfig", CONFIG);
    }
    // Node has certificates of its own, and whoever needs others beside them says so here.
    let authorities = sources.variable("NODE_EXTRA_CA_CERTS").and_then(|file| sources.read(file.as_ref()));
    if let Some(authorities) = authorities {
        found.carried.files.push((AUTHORITIES.into(), authorities));
        found.set("NODE_EXTRA_CA_CERTS", AUTHORITIES);
    }
}

/// The settings of the form `//host/path/:name=value`.
fn secrets(sources: &Sources) -> BTreeMap<String, String> {
    let file = sources.variable("NPM_CONFIG_USERCONFIG").or_else(|| sources.variable("npm_config_userconfig"));
    let file = file.map(PathBuf::from).or_else(|| sources.below_home(".npmrc"));
    let text = file.and_then(|file| sources.read(&file)).unwrap_or_default();
    let pairs = text.lines().filter(|line| line.trim_start().starts_with("//")).filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), expanded(sources, value.trim().trim_matches('"')))).collect()
}

/// A value in which `${NAME}` stands for a variable.
fn expanded(sources: &Sources, value: &str) -> String {
    let name = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.and_then(|name| sources.variable(name)).unwrap_or(value).to_owned()
}

/// What is set for the longest beginning of an address, and holds for that alone.
fn grant(address: &str, secrets: &BTreeMap<String, String>) -> Option<Grant> {
    let mut place = format!("//{}", address.split_once("://")?.1);
    loop {
        let trimmed = place.trim_end_matches('/').to_owned();
        let below =
            trimmed.trim_start_matches('/').split_once('/').map_or_else(|| "/".to_owned(), |(_, path)| format!("/{path}/"));
        for place in [format!("{trimmed}/"), trimmed.clone()] {
            let set = |name: &str| secrets.get(&format!("{place}:{name}")).map(String::as_str);
            if let Some(token) = set("_authToken") {
                return Some(Grant { below, credential: Credential::Token(SecretString::from(token)) });
            }
            if let Some(pair) = set("_auth").and_then(decoded) {
                let (username, password) = pair.split_once(':')?;
                return Some(Grant { below, credential: password_of(username, password) });
            }
            if let (Some(username), Some(password)) = (set("username"), set("_password").and_then(decoded)) {
                return Some(Grant { below, credential: password_of(username, password) });
            }
        }
        let end = trimmed.rfind('/').filter(|end| *end > 1)?;
        place = trimmed[..end].to_owned();
    }
}

fn password_of(username: &str, password: impl Into<SecretString>) -> Credential {
    Credential::Password { username: username.to_owned(), password: password.into() }
}

fn decoded(text: &str) -> Option<String> {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok()
}
