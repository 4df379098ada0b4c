//! Go: it tells its proxies and where checksums are, configured or not.

use serde_json::Value;

use super::{Found, Sources};

/// What go says of itself.
pub(super) async fn ask(sources: &Sources) -> Option<Value> {
    serde_json::from_str(
        &sources.ask("go", &["env", "-json", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY"]).await?,
    )
    .ok()
}

/// Adds the proxies of modules and the database of checksums.
pub(super) fn add(told: Option<Value>, found: &mut Found) {
    let Some(told) = told else { return };
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut inside = String::new();
    let mut rest = text("GOPROXY");
    // Commas and bars mean different things, so they stay where they are.
    while !rest.is_empty() {
        let end = rest.find([',', '|']).unwrap_or(rest.len());
        let (proxy, mark) = (&rest[..end], rest[end..].chars().next());
        inside.push_str(&found.registry_with_login(proxy).unwrap_or_else(|| proxy.to_owned()));
        inside.extend(mark);
        rest = &rest[(end + mark.map_or(0, char::len_utf8))..];
    }
    if !inside.is_empty() && inside != "off" {
        found.set("GOPROXY", inside);
    }
    let mut words = text("GOSUMDB").split_whitespace();
    let (name, address) = (words.next().unwrap_or_default(), words.next());
    match address {
        Some(address) => drop(found.registry(address)),
        // A key may stand behind the name.
        None if name != "off" => found.host(name.split('+').next().unwrap_or_default()),
        None => {}
    }
    for name in ["GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY"] {
        if !text(name).is_empty() {
            found.set(name, text(name));
        }
    }
}
