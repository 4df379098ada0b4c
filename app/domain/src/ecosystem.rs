//! How a repository is set up and tested, read from its files.
//!
//! One file per ecosystem; [`ALL`] is the list, in the order in which they are asked. The policy file, where it names
//! commands, comes before all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::demands::Demands;
use crate::ecosystem::runner::Runner;
use crate::scope::Scope;

mod cargo;
mod go;
mod make;
mod npm;
mod python;
pub mod runner;

/// How to set up and test a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where the plan comes from: the policy file or an ecosystem's name.
    pub source: String,
    /// What to run once in a fresh tree, if anything.
    pub setup: Option<String>,
    /// What to run to test it, if anybody knows.
    pub test: Option<String>,
    /// The runner that the test command starts, if it is one that can be asked for a report of each test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<Runner>,
    /// What the agent's work must pass before it counts as done, such as a formatter's or a linter's check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// Files that decide how the tests are run; a patch that touches one cannot be proven by those tests.
    pub decided_by: Vec<String>,
    /// Names of files and folders that building and testing leaves behind and that are no part of a patch.
    pub droppings: Vec<String>,
    /// In what the commands must run.
    #[serde(default, skip_serializing_if = "Demands::is_empty")]
    pub demands: Demands,
    /// Which files an agent's patch may touch.
    #[serde(default, skip_serializing_if = "Scope::is_everything")]
    pub scope: Scope,
}

impl Plan {
    /// Whether this file decides how the tests are run: by its name, in whatever folder, or because the commands name it.
    pub fn decides_how_tests_run(&self, path: &str) -> bool {
        let commands = [&self.setup, &self.test].into_iter().flatten();
        self.decided_by.iter().any(|file| is_called(path, file))
            || commands.flat_map(|command| words(command)).any(|word| word == path)
    }
}

/// Whether the path ends with this name, or this name and its folders.
fn is_called(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
}

/// The files of a tree, as far as finding a plan needs them.
pub trait Files {
    /// A file's text, if there is such a file and it is text.
    fn read(&self, path: &str) -> Option<String>;

    /// The names in the root folder.
    fn names(&self) -> Vec<String>;

    /// Whether there is such a file.
    fn has(&self, path: &str) -> bool {
        self.read(path).is_some()
    }
}

/// Something that knows how one kind of repository is tested.
pub trait Ecosystem: Sync {
    /// Its name, as users know it.
    fn name(&self) -> &'static str;

    /// The test command, if this is such a repository and has tests to run.
    fn test(&self, files: &dyn Files) -> Option<String>;

    /// The files that decide how that command runs the tests.
    fn decided_by(&self) -> &'static [&'static str];

    /// The texts of commands that the test command runs in turn, such as a Makefile's; files that they name decide too.
    fn recipes(&self, _files: &dyn Files) -> Vec<String> {
        Vec::new()
    }

    /// What building and testing leaves behind.
    fn droppings(&self) -> &'static [&'static str];
}

/// All that are known, the last resort last.
pub static ALL: [&dyn Ecosystem; 5] = [&cargo::Cargo, &npm::Npm, &python::Python, &go::Go, &make::Make];

/// The commands that a policy file may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// What to run once in a fresh tree.
    pub setup: Option<String>,
    /// What to run to test it.
    pub test: Option<String>,
    /// What the agent's work must pass before it counts as done.
    pub checks: Vec<String>,
}

/// The words of a command, those that are paths from the root without their `./`.
fn words(command: &str) -> impl Iterator<Item = &str> {
    let words = command.split(|c: char| c.is_whitespace() || "'\"();&|=<>,[]{}$@`".contains(c));
    words.map(|word| word.strip_prefix("./").unwrap_or(word))
}

/// The words of a text that may be paths of scripts.
fn paths_in(text: &str) -> Vec<String> {
    words(text)
        .filter(|word| word.len() > 2 && word.contains(['/', '.']) && !word.starts_with(['/', '-']))
        .map(str::to_owned)
        .collect()
}

/// The [`Plan::source`] of a plan whose test command the policy file names.
const FROM_POLICY: &str = "policy file";

/// Build files of ecosystems that are not known here; a policy's command may be theirs.
const OTHER_BUILD_FILES: [&str; 14] = [
    "justfile",
    "Justfile",
    "Rakefile",
    "Gemfile",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "build.xml",
    "CMakeLists.txt",
    "meson.build",
    "Taskfile.yml",
    "composer.json",
    "phpunit.xml",
    "mix.exs",
];

/// How many languages are named.
const LANGUAGES_MAX: usize = 4;

/// The languages that the files are written in, by their extensions, the most frequent first.
pub fn languages(extensions: &BTreeMap<String, u32>) -> Vec<String> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for (extension, n_files) in extensions {
        if let Some((_, language)) = LANGUAGES.iter().find(|(known, _)| known == extension) {
            *counts.entry(language).or_default() += n_files;
        }
    }
    let mut languages: Vec<(&str, u32)> = counts.into_iter().collect();
    languages.sort_by_key(|(language, n_files)| (std::cmp::Reverse(*n_files), *language));
    languages.into_iter().take(LANGUAGES_MAX).map(|(language, _)| language.to_owned()).collect()
}

/// The language that a file is written in, by its extension.
pub(crate) fn language(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    LANGUAGES.iter().find(|(known, _)| *known == extension).map(|(_, language)| *language)
}

const LANGUAGES: [(&str, &str); 34] = [
    ("c", "C"),
    ("h", "C"),
    ("cc", "C++"),
    ("cpp", "C++"),
    ("hpp", "C++"),
    ("cs", "C#"),
    ("clj", "Clojure"),
    ("dart", "Dart"),
    ("ex", "Elixir"),
    ("exs", "Elixir"),
    ("go", "Go"),
    ("hs", "Haskell"),
    ("java", "Java"),
    ("js", "JavaScript"),
    ("cjs", "JavaScript"),
    ("mjs", "JavaScript"),
    ("jsx", "JavaScript"),
    ("jl", "Julia"),
    ("kt", "Kotlin"),
    ("lua", "Lua"),
    ("ml", "OCaml"),
    ("php", "PHP"),
    ("pl", "Perl"),
    ("py", "Python"),
    ("rb", "Ruby"),
    ("rs", "Rust"),
    ("scala", "Scala"),
    ("sh", "Shell"),
    ("bash", "Shell"),
    ("sql", "SQL"),
    ("swift", "Swift"),
    ("ts", "TypeScript"),
    ("tsx", "TypeScript"),
    ("zig", "Zig"),
];

/// Finds the plan: the policy's commands first, then the first ecosystem that fits.
pub fn plan(commands: &Commands, files: &dyn Files) -> Plan {
    let detected = ALL.iter().find_map(|ecosystem| ecosystem.test(files).map(|test| (*ecosystem, test)));
    let all_deciding =
        || ALL.iter().flat_map(|ecosystem| ecosystem.decided_by()).chain(&OTHER_BUILD_FILES).copied().collect::<Vec<_>>();
    let (source, test, decided_by) = match (&commands.test, detected) {
        (Some(test), _) => (FROM_POLICY, Some(test.clone()), all_deciding()),
        (None, Some((ecosystem, test))) => (ecosystem.name(), Some(test), ecosystem.decided_by().to_vec()),
        (None, None) => ("nothing", None, Vec::new()),
    };
    let runner = test.as_ref().and_then(|test| Runner::of(test, recipe(test, files).as_deref()));
    let named = ALL.iter().flat_map(|ecosystem| ecosystem.recipes(files)).flat_map(|text| paths_in(&text));
    let decided_by = decided_by.into_iter().map(str::to_owned).chain(named.filter(|_| source != "cargo")).collect();
    let source = source.to_owned();
    let droppings = ALL.iter().flat_map(|ecosystem| ecosystem.droppings()).map(|&name| name.to_owned()).collect();
    Plan {
        source,
        setup: commands.setup.clone(),
        test,
        runner,
        checks: commands.checks.clone(),
        decided_by,
        droppings,
        demands: Demands::default(),
        scope: Scope::default(),
    }
}

/// What a command runs in turn, where it calls something that reads its commands from a file.
fn recipe(command: &str, files: &dyn Files) -> Option<String> {
    let ecosystem: &dyn Ecosystem = match command.split_whitespace().next()? {
        "npm" | "pnpm" | "yarn" => &npm::Npm,
        "make" | "gmake" => &make::Make,
        _ => return None,
    };
    Some(ecosystem.recipes(files).join("\n"))
}

#[cfg(test)]
mod tests;
