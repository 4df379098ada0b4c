//! Where our reading of patches differs from another program's, and that every difference is one we chose.
//!
//! ```text
//! cargo bench -p patchwright --bench differential -- --oracle /path/to/apply_patch --cases 10000 --seed 1
//! ```
//!
//! Small trees and patches are made up from a seed: right ones, slightly wrong ones, hostile ones. Ours is applied by the
//! function that `patchwright apply-patch` calls, theirs by a program called `apply_patch` that reads its standard input; it
//! must be named so, since the peer's binary goes by its name. Trees that differ must be explained by one of
//! [`explain::Reason`]. The first case that is not ends the run, cut to the fewest lines that still show it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};
use patchwright::sandbox::patching::{self, PatchingError};

use explain::Reason;

#[path = "differential/explain.rs"]
mod explain;
#[path = "differential/generate.rs"]
mod generate;

/// The files of a tree: content and whether they are executable.
pub(crate) type Tree = BTreeMap<String, (Vec<u8>, bool)>;

/// A tree and the patch for it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) before: Tree,
    pub(crate) patch: String,
}

/// What both made of a case.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ours: Tree,
    pub(crate) our_error: Option<PatchingError>,
    pub(crate) theirs: Tree,
    pub(crate) their_error: Option<String>,
}

/// What the command line says.
struct Arguments {
    oracle: PathBuf,
    n_cases: u64,
    seed: u64,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> anyhow::Result<Arguments> {
    let mut arguments = Arguments { oracle: PathBuf::new(), n_cases: 10_000, seed: 1 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--oracle" => {
                arguments.oracle = fs::canonicalize(Path::new(&value()?).parent().context("a path")?)?.join("apply_patch")
            }
            "--cases" => arguments.n_cases = value()?.parse()?,
            "--seed" => arguments.seed = value()?.parse()?,
            "--bench" => {}
            other => bail!("{other} is not known; say --oracle PATH/apply_patch [--cases N] [--seed N]"),
        }
    }
    anyhow::ensure!(arguments.oracle.is_file(), "--oracle must name a program called `apply_patch`");
    Ok(arguments)
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let mut n_equal = 0;
    let mut n_applied = 0;
    let mut reasons: BTreeMap<Vec<Reason>, u64> = BTreeMap::new();
    let mut out = std::io::stdout().lock();
    for number in 0..arguments.n_cases {
        let case = generate::case(arguments.seed, number);
        let outcome = outcome(&case, &arguments.oracle, folder.path())?;
        if outcome.ours == outcome.theirs {
            n_equal += 1;
            n_applied += u64::from(outcome.our_error.is_none() && outcome.their_error.is_none());
        } else if let Some(found) = explain::reasons(&case, &outcome) {
            *reasons.entry(found).or_default() += 1;
        } else {
            writeln!(out, "unexplained: --seed {} case {number}", arguments.seed)?;
            show(&mut out, &smallest(case, &arguments.oracle, folder.path())?, &arguments.oracle, folder.path())?;
            return Ok(ExitCode::FAILURE);
        }
    }
    writeln!(out, "{} cases: {n_equal} with equal trees, {n_applied} of them applied by both", arguments.n_cases)?;
    for (reasons, n) in reasons {
        writeln!(out, "{n:>6}  {reasons:?}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn outcome(case: &Case, oracle: &Path, folder: &Path) -> anyhow::Result<Outcome> {
    let (our_folder, their_folder) = (folder.join("ours"), folder.join("theirs"));
    for tree in [&our_folder, &their_folder] {
        if tree.exists() {
            fs::remove_dir_all(tree)?;
        }
        write(tree, &case.before)?;
    }
    let our_error = patching::apply(&our_folder, &case.patch).err();
    let mut child = Command::new(oracle)
        .current_dir(&their_folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting the oracle")?;
    let written = child.stdin.take().context("standard input is a pipe")?.write_all(case.patch.as_bytes());
    let done = child.wait_with_output()?;
    written.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })?;
    let their_error = (!done.status.success()).then(|| String::from_utf8_lossy(&done.stderr).into_owned());
    Ok(Outcome { ours: read(&our_folder)?, our_error, theirs: read(&their_folder)?, their_error })
}

fn write(folder: &Path, tree: &Tree) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for (path, (content, executable)) in tree {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().context("below the folder")?)?;
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(if *executable { 0o755 } else { 0o644 }))?;
    }
    Ok(())
}

fn read(folder: &Path) -> anyhow::Result<Tree> {
    let mut tree = Tree::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                let executable = fs::metadata(&path)?.permissions().mode() & 0o100 != 0;
                tree.insert(name, (fs::read(&path)?, executable));
            }
        }
    }
    Ok(tree)
}

/// Leaves out lines of the patch and of the files as long as the difference stays unexplained.
fn smallest(mut case: Case, oracle: &Path, folder: &Path) -> anyhow::Result<Case> {
    loop {
        let mut smaller = None;
        for candidate in without_a_line(&case) {
            let outcome = outcome(&candidate, oracle, folder)?;
            if outcome.ours != outcome.theirs && explain::reasons(&candidate, &outcome).is_none() {
                smaller = Some(candidate);
                break;
            }
        }
        match smaller {
            Some(smaller) => case = smaller,
            None => return Ok(case),
        }
    }
}

fn without_a_line(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    let lines: Vec<&str> = case.patch.split_inclusive('\n').collect();
    for at in 0..lines.len() {
        let patch = [&lines[..at], &lines[at + 1..]].concat().concat();
        cases.push(Case { patch, before: case.before.clone() });
    }
    for (path, (content, executable)) in &case.before {
        let mut fewer = case.clone();
        fewer.before.remove(path);
        cases.push(fewer);
        let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
        for at in 0..lines.len() {
            let mut shorter = case.clone();
            shorter.before.insert(path.clone(), ([&lines[..at], &lines[at + 1..]].concat().concat(), *executable));
            cases.push(shorter);
        }
    }
    cases
}

fn show(out: &mut impl std::io::Write, case: &Case, oracle: &Path, folder: &Path) -> anyhow::Result<()> {
    let outcome = outcome(case, oracle, folder)?;
    writeln!(out, "--- patch ---")?;
    for line in case.patch.split_inclusive('\n') {
        writeln!(out, "{line:?}")?;
    }
    for (name, tree) in [("before", &case.before), ("ours", &outcome.ours), ("theirs", &outcome.theirs)] {
        writeln!(out, "--- {name} ---")?;
        for (path, (content, executable)) in tree {
            writeln!(out, "{path}{} {:?}", if *executable { "*" } else { "" }, String::from_utf8_lossy(content))?;
        }
    }
    writeln!(out, "our error: {:?}\ntheir error: {:?}", outcome.our_error, outcome.their_error)?;
    Ok(())
}
