//! pip and uv: pip tells what it is configured to and, in its help, where it goes otherwise; uv's settings are read.

use std::path::PathBuf;

use reqwest::Url;
use toml::{Table, Value};

use super::{Found, Sources, defaults};

/// What pip says of itself.
#[derive(Debug, Default)]
pub(super) struct Told {
    config: String,
    help: String,
}

pub(super) async fn ask(sources: &Sources) -> Option<Told> {
    let name = ["pip", "pip3"].into_iter().find(|name| sources.has(name))?;
    let (config, help) = tokio::join!(sources.ask(name, &["config", "list"]), sources.ask(name, &["download", "--help"]));
    Some(Told { config: config.unwrap_or_default(), help: help.unwrap_or_default() })
}

/// Adds the indexes of pip and uv.
pub(super) fn add(sources: &Sources, told: &Option<Told>, found: &mut Found) {
    if let Some(told) = told {
        let index = configured(sources, &told.config, "index-url", "PIP_INDEX_URL");
        carry(found, "PIP_INDEX_URL", &index);
        if index.is_empty() {
            default_of_help(&told.help).iter().for_each(|address| allow_default(found, address));
        }
        let further = configured(sources, &told.config, "extra-index-url", "PIP_EXTRA_INDEX_URL");
        carry(found, "PIP_EXTRA_INDEX_URL", &further);
    }
    if sources.has("uv") {
        let (index, further) = of_uv(sources);
        carry(found, "UV_DEFAULT_INDEX", &index);
        if index.is_empty() {
            allow_default(found, &format!("https://{}/", defaults::PYTHON));
        }
        carry(found, "UV_INDEX", &further);
    }
}

/// Allows the addresses and sets the variable to what they are inside.
fn carry(found: &mut Found, variable: &str, addresses: &[String]) {
    let inside: Vec<String> = addresses.iter().filter_map(|address| found.registry_with_login(address)).collect();
    if inside.is_empty() {
        return;
    }
    // pip takes plain HTTP only from hosts that are named to it; what is plain inside goes out over TLS.
    let plain = inside.iter().filter_map(|address| Url::parse(address).ok()).filter(|url| url.scheme() == "http");
    let named = |url: Url| {
        let host = url.host_str()?.to_owned();
        Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
    };
    let trusted: Vec<String> = plain.filter_map(named).collect();
    if variable.starts_with("PIP_") && !trusted.is_empty() {
        let before = found.carried.environment.iter().position(|(name, _)| name == "PIP_TRUSTED_HOST");
        let before = before.map(|index| found.carried.environment.remove(index).1);
        found.set("PIP_TRUSTED_HOST", before.into_iter().chain(trusted).collect::<Vec<_>>().join(" "));
    }
    found.set(variable, inside.join(" "));
}

fn allow_default(found: &mut Found, address: &str) {
    // The default is what the tool uses anyway, so nothing has to be carried.
    let _ = found.registry(address);
    let host = Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    defaults::PYTHON_FILES.iter().filter(|(index, _)| *index == host).for_each(|(_, files)| found.host(files));
}

/// The addresses of a setting: the variable's, or the last in pip's own list, which has the strongest last.
fn configured(sources: &Sources, list: &str, name: &str, variable: &str) -> Vec<String> {
    let of_list = || {
        let line = list.lines().rev().filter_map(|line| line.split_once('=')).find(|(key, _)| {
            key.split_once('.')
                .is_some_and(|(section, key)| key.trim() == name && ["global", "download", "install"].contains(&section))
        })?;
        Some(line.1.trim().trim_matches(['\'', '"']).replace("\\n", " "))
    };
    let text = sources.variable(variable).map(str::to_owned).or_else(of_list).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// The address in `--index-url <url> … (default ADDRESS)`.
fn default_of_help(help: &str) -> Option<String> {
    let words: Vec<&str> = help.split_whitespace().collect();
    let place = words.windows(2).find(|pair| pair[0] == "(default" && pair[1].starts_with("http"))?;
    Some(place[1].trim_end_matches(['.', ')']).to_owned())
}

/// uv's index and those beside it: variables before the user's file before the machine's.
fn of_uv(sources: &Sources) -> (Vec<String>, Vec<String>) {
    let words = |text: Option<&str>| text.into_iter().flat_map(str::split_whitespace).map(named).collect::<Vec<_>>();
    let mut index = words(sources.variable("UV_DEFAULT_INDEX").or_else(|| sources.variable("UV_INDEX_URL")));
    let mut further = words(sources.variable("UV_INDEX"));
    further.extend(words(sources.variable("UV_EXTRA_INDEX_URL")));
    let files = [sources.below_home(".config/uv/uv.toml"), Some(PathBuf::from("/etc/uv/uv.toml"))];
    for file in files.into_iter().flatten() {
        let table: Table = sources.read(&file).and_then(|text| text.parse().ok()).unwrap_or_default();
        for table in [Some(&table), table.get("pip").and_then(Value::as_table)].into_iter().flatten() {
            let (of_table, beside) = of_table(table);
            if index.is_empty() {
                index = of_table;
            }
            further.extend(beside);
        }
    }
    (index, further)
}

fn of_table(table: &Table) -> (Vec<String>, Vec<String>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut index: Vec<String> = table.get("index-url").and_then(text).into_iter().collect();
    let mut further: Vec<String> =
        table.get("extra-index-url").and_then(Value::as_array).into_iter().flatten().filter_map(text).collect();
    for entry in table.get("index").and_then(Value::as_array).into_iter().flatten() {
        let is_default = entry.get("default").and_then(Value::as_bool).unwrap_or_default();
        let address = entry.get("url").and_then(text);
        if is_default { index.extend(address) } else { further.extend(address) }
    }
    (index, further)
}

/// An address without the name that uv lets one write before it.
fn named(text: &str) -> String {
    text.split_once("=http").map_or_else(|| text.to_owned(), |(_, rest)| format!("http{rest}"))
}
