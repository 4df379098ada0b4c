//! The proof, put to faults that real projects had and to the patches that mended them.
//!
//! A recipe, `tests/real/*/recipe.toml`, names a project, the version that was published with the fault and the one that was
//! published without it, and what must be found about three patches to the former: its maintainers' own, one that is about
//! something else, and one that would deceive. Nobody's code is in this repository but the lines of these patches: the
//! versions are fetched by the project's own package manager, once, and held against the digests that the recipe pins.
//!
//! Without that package manager, or where it does not reach its registry, a recipe is said to be left out; `registries` in
//! `PATCHWRIGHT_REQUIRE` makes that a failure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use git2::Repository;
use serde::Deserialize;
use serde_json::Value;

mod archive;
mod history;

use archive::Client;

/// Where the recipes are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/real");

/// A fault that was real.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    project: String,
    /// For whoever reads this; the projects' licences are theirs.
    #[expect(dead_code, reason = "it is told, and checked to be there")]
    licence: String,
    /// What was wrong and what became of it, in a sentence.
    #[expect(dead_code, reason = "it is told, and checked to be there")]
    change: String,
    /// Where the project, or an advisory, says so.
    #[expect(dead_code, reason = "it is told, and checked to be there")]
    reference: String,
    client: Client,
    faulty: Version,
    mended: Version,
    /// Packages of others that the tests are run with, and their versions.
    #[serde(default)]
    tools: BTreeMap<String, String>,
    /// What the policy file says, where the repository's own files do not say it.
    policy: Option<Policy>,
    fix: Fix,
    irrelevant: Refused,
    tampering: Refused,
}

/// A version as it was published.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    version: String,
    sha256: String,
}

/// Commands, in which `{tools}` is the folder with the [`Recipe::tools`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    setup: Option<String>,
    test: Option<String>,
}

/// What must be found about the maintainers' patch: it is proven.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fix {
    /// The tests that fail without it and pass with it; none where only exit codes can be compared.
    reproducers: Vec<String>,
    /// Whether tests of the harness's own could be laid, and were seen to fail.
    has_canaries: bool,
    /// Lines that `fix.patch` adds and the mended version does not have, and that are therefore ours.
    #[serde(default)]
    own_lines: Vec<String>,
}

/// What must be found about another patch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    doubt: String,
    /// The gates at which something was found.
    #[serde(default)]
    findings: Vec<String>,
}

/// Puts a recipe's three patches to the proof.
fn check(name: &str) {
    let folder = Path::new(FOLDER).join(name);
    let read = |file: &str| {
        let path = folder.join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let recipe: Recipe = toml::from_str(&read("recipe.toml")).unwrap_or_else(|error| panic!("{name}: {error}"));
    let archive = |version: &Version| archive::fetch(recipe.client, &recipe.project, &version.version, &version.sha256);
    let (Some(faulty), Some(mended)) = (archive(&recipe.faulty), archive(&recipe.mended)) else { return };
    let Some(tools) = archive::tools(recipe.client, name, &recipe.tools) else { return };

    let world = tempfile::tempdir().expect("there is room for a folder");
    let (faulty, mended) = (archive::unpack(&faulty, world.path(), "faulty"), archive::unpack(&mended, world.path(), "mended"));
    if let Some(policy) = &recipe.policy {
        policy.write(&faulty, &tools);
    }
    let repository = Repository::init(&faulty).expect("a repository can be made");
    let base = history::first(&repository);
    let head = |patch: &str| history::patched(&repository, base, &read(patch)).to_string();

    let fix = head("fix.patch");
    let ours = history::added(&repository, base, &fix, &mended);
    assert_eq!(ours, recipe.fix.own_lines, "{name}: lines that fix.patch adds and {} does not have", recipe.mended.version);

    let config = format!("[sandbox]\nread_only = [{tools:?}]\n\n[limits]\nproof_runs = 2\n");
    std::fs::write(world.path().join("config.toml"), config).expect("there is room for a file");
    let judged = |head: &str| prove(world.path(), &faulty, &base.to_string(), head);
    let mut wrong = Vec::new();
    wrong.extend(differs("fix.patch", &judged(&fix), &recipe.fix.expected()));
    for (patch, expected) in [("irrelevant.patch", &recipe.irrelevant), ("tampering.patch", &recipe.tampering)] {
        wrong.extend(differs(patch, &judged(&head(patch)), &expected.expected()));
    }
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
}

impl Policy {
    /// Writes the policy file as a maintainer would.
    fn write(&self, checkout: &Path, tools: &Path) {
        let mut lines = vec!["commands:".to_owned()];
        let filled = |command: &str| command.replace("{tools}", &tools.display().to_string());
        let quoted = |command: &str| serde_json::to_string(&filled(command)).expect("a string is written");
        lines.extend(self.setup.as_deref().map(|setup| format!("  setup: {}", quoted(setup))));
        lines.extend(self.test.as_deref().map(|test| format!("  test: {}", quoted(test))));
        std::fs::create_dir_all(checkout.join(".github")).expect("there is room for a folder");
        std::fs::write(checkout.join(".github/patchwright.yml"), lines.join("\n") + "\n").expect("there is room for a file");
    }
}

impl Fix {
    fn expected(&self) -> String {
        let canaries = if self.has_canaries { "canaries failed" } else { "no canaries" };
        format!("proven; {canaries}; {}", self.reproducers.join(", "))
    }
}

impl Refused {
    fn expected(&self) -> String {
        format!("{}; {}", self.doubt, self.findings.join(", "))
    }
}

/// What was found, in the words of [`Fix::expected`] and [`Refused::expected`].
fn found(said: &Value) -> String {
    let (verdict, account) = (&said["verdict"], &said["verdict"]["account"]);
    let texts = |list: &Value, field: Option<&str>| {
        let text = |item: &Value| field.map_or(item, |field| &item[field]).as_str().unwrap_or_default().to_owned();
        list.as_array().map(|list| list.iter().map(text).collect::<Vec<_>>().join(", ")).unwrap_or_default()
    };
    match verdict["doubt"].as_str() {
        Some(doubt) => format!("{doubt}; {}", texts(&account["findings"], Some("gate"))),
        None => {
            let canaries = match account["is_runner_honest"].as_bool() {
                Some(true) => "canaries failed",
                Some(false) => "canaries deceived",
                None => "no canaries",
            };
            format!("{}; {canaries}; {}", verdict["verdict"].as_str().unwrap_or_default(), texts(&account["reproducers"], None))
        }
    }
}

fn differs(patch: &str, said: &Value, expected: &str) -> Option<String> {
    let found = found(said);
    (found != expected).then(|| format!("{patch}:\n  found    {found}\n  expected {expected}\n{said:#}"))
}

/// What `patchwright prove --json` says of a patch.
fn prove(world: &Path, checkout: &Path, base: &str, head: &str) -> Value {
    let done = Command::new(env!("CARGO_BIN_EXE_patchwright"))
        .args(["prove", "--json", "--base", base, "--head", head, "--repo"])
        .arg(checkout)
        .arg("--config")
        .arg(world.join("config.toml"))
        .env("XDG_CACHE_HOME", world.join("cache"))
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&done.stdout);
    let problem = String::from_utf8_lossy(&done.stderr);
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{}\n{said}\n{problem}", done.status))
}

/// The names of all recipes.
fn names() -> Vec<String> {
    let entries = std::fs::read_dir(FOLDER).expect("the folder is there").map(|entry| entry.expect("it is readable").path());
    let recipes = entries.filter(|path| path.join("recipe.toml").is_file());
    let mut names: Vec<String> = recipes.filter_map(|path: PathBuf| path.file_name()?.to_str().map(str::to_owned)).collect();
    names.sort();
    names
}

macro_rules! recipes {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                check($name);
            }
        )*

        #[test]
        fn every_recipe_is_tried() {
            assert_eq!(names(), [$($name),*]);
        }
    };
}

recipes! {
    a_sentinel_that_copying_doubled_in_boltons: "boltons",
    an_empty_piece_behind_the_last_split_in_more_itertools: "more-itertools",
    a_wildcard_that_is_not_alone_in_semver: "semver",
    an_escape_out_of_quotes_in_shell_quote: "shell-quote",
    a_secret_behind_a_third_wildcard_in_slow_redact: "slow-redact",
    bytes_behind_the_buffer_in_smallvec: "smallvec",
}
