//! The key that attestations are signed with: where it is, and who may make it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use patchwright::attestation::Attestor;
use patchwright::attestation::key::{FILE_NAME, Key};
use patchwright::config::Config;
use patchwright_domain::attestation::Deployment;
use patchwright_domain::journal::Digest;

use super::Failure;

/// Who signs for a server: with the operator's key, or with one that lies beside the store and is made at the first start.
/// None where neither is, for a store that forgets everything.
pub(super) fn of_server(config: &Config) -> Result<Option<Attestor>, Failure> {
    if let Some(file) = &config.attestation.key_file {
        return given(config, file).map(Some);
    }
    let Some(file) = beside_store(config) else { return Ok(None) };
    made(config, &file).map(Some)
}

/// Who signs on the command line: as for the server whose store is named, else with a key of the user's own.
pub(super) fn of_user(config: &Config) -> Result<Attestor, Failure> {
    if let Some(file) = &config.attestation.key_file {
        return given(config, file);
    }
    let file = file_of_user(config);
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = std::fs::create_dir_all(folder).with_context(|| format!("making `{}`", folder.display()));
        made.map_err(Failure::environment)?;
    }
    made(config, &file)
}

/// Where the key is that signs on the command line. The default store lies in the current folder, which may be a repository:
/// nothing there may say whose signatures count.
pub(super) fn file_of_user(config: &Config) -> PathBuf {
    let is_named = config.store.url != Config::default().store.url;
    beside_store(config).filter(|_| is_named).unwrap_or_else(|| data_folder().join(FILE_NAME))
}

fn given(config: &Config, file: &Path) -> Result<Attestor, Failure> {
    let key = Key::read(file).context("reading `attestation.key_file`").map_err(Failure::usage)?;
    attestor(config, key)
}

fn made(config: &Config, file: &Path) -> Result<Attestor, Failure> {
    let key = Key::ensure(file).context("the key for attestations").map_err(Failure::environment)?;
    attestor(config, key)
}

fn attestor(config: &Config, key: Key) -> Result<Attestor, Failure> {
    // Secrets are left out where a configuration is written.
    let written = serde_json::to_vec(config).context("writing the configuration").map_err(Failure::usage)?;
    let address = reqwest::Url::parse(&config.model.base_url).ok();
    let host = address.and_then(|address| {
        let host = address.host_str()?;
        Some(address.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    });
    let models = std::iter::once(&config.model.model).chain(&config.agent.attempt_models).cloned();
    let n_agents = 1 + config.agent.attempt_models.len().max(config.agent.attempt_efforts.len());
    // Attempts that only think more or less ask the first model.
    let models = models.chain(std::iter::repeat(config.model.model.clone())).take(n_agents).collect();
    let configuration = Digest::of(&written);
    let deployment = Deployment { version: env!("CARGO_PKG_VERSION").to_owned(), configuration, models, host };
    Ok(Attestor { key, deployment })
}

fn beside_store(config: &Config) -> Option<PathBuf> {
    let path = config.store.url.strip_prefix("sqlite:")?.trim_start_matches("//");
    Some(Path::new(path).parent().unwrap_or(Path::new("")).join(FILE_NAME))
}

/// Where a user's programs keep what is to last.
fn data_folder() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = folder("XDG_DATA_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/share")));
    data.unwrap_or_else(super::run::cache_folder).join("patchwright")
}

/// Writes an envelope to a file, with the end of its line.
pub(super) fn write(file: &Path, envelope: &[u8]) -> Result<(), Failure> {
    let written = std::fs::write(file, [envelope, b"\n"].concat());
    written.with_context(|| format!("writing `{}`", file.display())).map_err(Failure::environment)
}
