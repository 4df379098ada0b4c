//! Versions as they were published, fetched by the package managers that everybody has.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::uml::is_required;

/// Where archives are kept between runs, with cargo's other results.
const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/real");

/// A package manager.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Client {
    Cargo,
    Npm,
    Pip,
}

impl Client {
    fn program(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Npm => "npm",
            Self::Pip => "pip",
        }
    }

    /// Fetches packages into a folder, as they are used from there without a registry.
    fn fetch_tools(self, tools: &BTreeMap<String, String>, folder: &Path) -> Result<(), String> {
        let named =
            |separator: &str| tools.iter().map(|(name, version)| format!("{name}{separator}{version}")).collect::<Vec<_>>();
        match self {
            Self::Cargo => {
                manifest(tools, folder)?;
                run(Command::new("cargo").args(["vendor", "--quiet", "vendored"]).current_dir(folder))
            }
            Self::Npm => {
                let options = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "."];
                run(Command::new("npm").args(options).args(named("@")).current_dir(folder))
            }
            Self::Pip => {
                let options = ["download", "--quiet", "--only-binary", ":all:", "--no-deps", "--dest", "."];
                run(Command::new("pip").args(options).args(named("==")).current_dir(folder))
            }
        }
    }

    /// Fetches a version into a folder, and returns where it is.
    fn fetch(self, project: &str, version: &str, folder: &Path) -> Result<PathBuf, String> {
        match self {
            Self::Cargo => crate_file(project, version, folder),
            Self::Npm => {
                run(Command::new("npm").args(["pack", "--silent", &format!("{project}@{version}")]).current_dir(folder))?;
                only_file(folder)
            }
            Self::Pip => {
                let package = format!("{project}=={version}");
                let options = ["download", "--quiet", "--no-binary", ":all:", "--no-deps", "--dest", "."];
                run(Command::new("pip").args(options).arg(package).current_dir(folder))?;
                only_file(folder)
            }
        }
    }
}

/// The archive of a version, from the last time if there was one. `None` where it cannot be had, which is said.
///
/// # Panics
/// Where what was fetched is not what the recipe pins, and where it is required and cannot be had.
pub(super) fn fetch(client: Client, project: &str, version: &str, sha256: &str) -> Option<PathBuf> {
    let kept = Path::new(CACHE).join(format!("{project}-{version}"));
    if kept.is_file() && digest(&kept) == sha256 {
        return Some(kept);
    }
    let folder = new_folder();
    let fetched = client.fetch(project, version, folder.path());
    let fetched = fetched.map_err(|problem| left_out(client, &format!("{project} {version}"), &problem)).ok()?;
    assert_eq!(digest(&fetched), sha256, "{project} {version} is not what its recipe pins");
    // Whoever looks at the same time finds all of it or nothing.
    let mine = folder.path().join("kept");
    std::fs::copy(&fetched, &mine).expect("there is room for a file");
    std::fs::rename(&mine, &kept).expect("it is the same file system");
    Some(kept)
}

/// The folder with these packages, from the last time if there was one; `None` as for [`fetch`].
///
/// # Panics
/// Where they are required and cannot be had.
pub(super) fn tools(client: Client, recipe: &str, tools: &BTreeMap<String, String>) -> Option<PathBuf> {
    let versions: Vec<String> = tools.iter().map(|(name, version)| format!("{name}-{version}")).collect();
    let kept = Path::new(CACHE).join(format!("tools-of-{recipe}-{}", versions.join("-")));
    if kept.is_dir() {
        return Some(kept);
    }
    let folder = new_folder();
    let fetched = if tools.is_empty() { Ok(()) } else { client.fetch_tools(tools, folder.path()) };
    fetched.map_err(|problem| left_out(client, &versions.join(", "), &problem)).ok()?;
    std::fs::rename(folder.keep(), &kept).expect("only this recipe has tools of that name");
    Some(kept)
}

/// A folder on the cache's file system.
fn new_folder() -> TempDir {
    std::fs::create_dir_all(CACHE).expect("there is room for a folder");
    TempDir::new_in(CACHE).expect("there is room for a folder")
}

/// Says what is not tried.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tried")]
fn left_out(client: Client, what: &str, problem: &str) {
    let told = format!("{} does not fetch {what}, so a recipe is not tried: {problem}", client.program());
    assert!(!is_required("registries"), "{told}");
    eprintln!("{told}");
}

/// What cargo keeps of a version, which is what was published.
fn crate_file(project: &str, version: &str, folder: &Path) -> Result<PathBuf, String> {
    manifest(&BTreeMap::from([(project.to_owned(), version.to_owned())]), folder)?;
    run(Command::new("cargo").args(["fetch", "--quiet"]).current_dir(folder))?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).ok_or("cargo has no home")?;
    let registries = std::fs::read_dir(home.join("registry/cache")).map_err(|error| error.to_string())?;
    let name = format!("{project}-{version}.crate");
    let mut files = registries.filter_map(|entry| entry.ok().map(|entry| entry.path().join(&name)));
    files.find(|file| file.is_file()).ok_or_else(|| format!("cargo keeps no {name}"))
}

/// Writes a package that does nothing but depend on others.
fn manifest(packages: &BTreeMap<String, String>, folder: &Path) -> Result<(), String> {
    let head = "[package]\nname = \"fetching\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\n";
    let packages: String = packages.iter().map(|(name, version)| format!("{name} = \"={version}\"\n")).collect();
    let written = std::fs::write(folder.join("Cargo.toml"), format!("{head}{packages}"))
        .and_then(|()| std::fs::create_dir(folder.join("src")))
        .and_then(|()| std::fs::write(folder.join("src/lib.rs"), ""));
    written.map_err(|error| error.to_string())
}

fn run(command: &mut Command) -> Result<(), String> {
    let done = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()) }
}

fn only_file(folder: &Path) -> Result<PathBuf, String> {
    let entry = std::fs::read_dir(folder).map_err(|error| error.to_string())?.next().ok_or("nothing was fetched")?;
    entry.map(|entry| entry.path()).map_err(|error| error.to_string())
}

fn digest(file: &Path) -> String {
    hex::encode(Sha256::digest(std::fs::read(file).expect("it is readable")))
}

/// Unpacks an archive, whose files are all in one folder, and returns that folder, below `world`.
pub(super) fn unpack(archive: &Path, world: &Path, name: &str) -> PathBuf {
    let folder = world.join(name);
    let file = File::open(archive).expect("it is readable");
    tar::Archive::new(GzDecoder::new(file)).unpack(&folder).expect("it can be unpacked");
    only_file(&folder).expect("an archive holds one folder")
}
