//! `patchwright prove`: the proof alone, for a patch that anybody has made.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use patchwright::config::Config;
use patchwright::worker::attest;
use patchwright::worker::prove::{self, About, Proof};
use patchwright::workspace::{Adopted, WorkspaceError};
use patchwright_domain::event::Untrusted;
use patchwright_domain::job::{JobSpec, Mode, Task};
use patchwright_domain::proof::findings::Finding;
use patchwright_domain::proof::{Account, Colour, Run, Verdict};
use patchwright_domain::results::table::Movement;

use super::run::{cache_folder, found, repo};
use super::{ConfigArguments, Failure, NEGATIVE, assemble, signing, terminal};

/// How many tests are named.
const TESTS_NAMED_MAX: usize = 10;
/// How many places in the patch are named.
const FINDINGS_NAMED_MAX: usize = 20;

/// What is proven, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The checkout; the current folder if none is named
    #[arg(long, value_name = "PATH", default_value = ".", hide_default_value = true)]
    repo: PathBuf,
    /// What the patch is against: a commit, branch or tag of the checkout; what it has gained since is merged with the patch
    #[arg(long, value_name = "REV")]
    base: String,
    /// The commit with the patch
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    head: String,
    /// How the repository is tested, in place of what its policy file or its files say
    #[arg(long, value_name = "CMD")]
    test: Option<String>,
    /// The patch mends what does not build or load: a base whose tests cannot be built or imported counts as red
    #[arg(long)]
    build: bool,
    /// Write what was executed to this file, signed; `patchwright verify` checks it
    #[arg(long, value_name = "FILE")]
    attestation: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn prove(arguments: Arguments) -> Result<ExitCode, Failure> {
    terminal::log(if arguments.json { "warn" } else { "warn,patchwright::worker=info" });
    let mut config = arguments.config.load_named()?;
    if config.workspace.dir == Config::default().workspace.dir {
        config.workspace.dir = cache_folder();
    }
    let path = found(&arguments.repo)?;
    let spec = spec(&arguments, &config, &path)?;
    let about = if arguments.build { About::Build } else { About::Tests };
    // Nobody solves anything here.
    let (test, is_attested) = (arguments.test.clone(), arguments.attestation.is_some());
    let tools = assemble::tools_of_user(&config, path.clone(), test, is_attested).await?;
    let adopted = tools.workspaces.adopt(&spec.repo, path, &arguments.base, &arguments.head).await;
    let adopted = adopted.map_err(|error| match error {
        WorkspaceError::Rejected { .. } | WorkspaceError::Refused(_) => Failure::usage(error.into()),
        WorkspaceError::Unavailable { .. } => Failure::environment(error.into()),
    })?;
    if adopted.changes.is_empty() {
        return Err(Failure::usage(anyhow!(
            "`{}` and `{}` have the same files: there is no patch",
            arguments.base,
            arguments.head
        )));
    }
    if let Some(head) = &adopted.proposed {
        let tree = &adopted.tree;
        terminal::note(format!("The base has gained commits since: what is tested is {head} merged into it, tree {tree}."));
    }
    let proof = prove::prove(&tools, &spec, &adopted, about).await.map_err(|failure| told(&failure))?;
    if let Some(file) = &arguments.attestation {
        let attested = attest::of_patch(&tools, &spec, &adopted, &proof).await.map_err(|failure| told(&failure))?;
        let envelope =
            attested.ok_or_else(|| Failure::environment(anyhow!("there is no attestation; its error is in the log")))?;
        signing::write(file, envelope.as_bytes())?;
    }
    if arguments.json {
        terminal::say(json(&adopted, &proof))
    } else {
        terminal::say(text(&proof.verdict))
    }
    let is_proven = matches!(proof.verdict, Verdict::Proven { .. });
    Ok(if is_proven { ExitCode::SUCCESS } else { ExitCode::from(NEGATIVE) })
}

fn told(failure: &patchwright_domain::journal::Failure) -> Failure {
    Failure::environment(anyhow!("{} {}", failure.conclusion.cause, failure.conclusion.next_step))
}

fn spec(arguments: &Arguments, config: &Config, path: &std::path::Path) -> Result<JobSpec, Failure> {
    let task = Task::Local { request: Untrusted::new(""), leaves_branch: false, mode: Mode::Fix };
    // Nothing is fetched, so the branch is a name and no more.
    let repo = repo(path, "HEAD")?;
    assemble::spec_of_user("prove", (&arguments.head, &arguments.base), repo, task, config.limits.budget())
}

fn json(adopted: &Adopted, proof: &Proof) -> serde_json::Value {
    serde_json::json!({
        "base": adopted.base, "head": adopted.head, "tree": adopted.tree, "proposed": adopted.proposed, "changes": adopted.changes,
        "plan": proof.prepared.plan, "verdict": proof.verdict,
    })
}

fn text(verdict: &Verdict) -> String {
    let mut lines = Vec::new();
    if let Some(account) = verdict.account() {
        lines.extend(account.runs.iter().map(ran));
        lines.extend(tests(account));
        lines.extend(account.findings.iter().take(FINDINGS_NAMED_MAX).map(place));
    }
    match verdict {
        Verdict::Proven { account, .. } => {
            lines.extend(account.iter().filter_map(|account| account.untried()).map(|sentence| format!("  {sentence}")));
            let proven = if verdict.is_by_build() {
                "the tests cannot be built or loaded without the patch and pass with it, each that the base's files name"
            } else {
                "the tests fail without the patch and pass with it"
            };
            lines.push(format!("Proven: {proven}; all of it was run."));
        }
        Verdict::Unproven { doubt, .. } => {
            lines.push(format!("Unproven: {}", doubt.sentence()));
            lines.push(format!("Next step: {}", doubt.next_step()));
        }
    }
    lines.join("\n")
}

fn ran(run: &Run) -> String {
    let colour = match run.colour {
        Colour::Green => "passes",
        Colour::Red => "fails",
        Colour::None => "no result",
    };
    format!("  {:<32} {colour:<9} {}, {} ms", run.stand.name(), run.exit, run.duration_ms)
}

fn tests(account: &Account) -> Vec<String> {
    let Some(table) = &account.table else { return vec!["  Only exit codes could be compared.".into()] };
    let mut lines: Vec<String> =
        account.reproducers.iter().take(TESTS_NAMED_MAX).map(|test| format!("  mended: {}", plain(test))).collect();
    let broken = table.moved(Movement::Broken).chain(table.moved(Movement::Gone)).chain(table.moved(Movement::Flaky));
    lines.extend(broken.take(TESTS_NAMED_MAX).map(|row| format!("  {}: {}", row.movement.word(), plain(&row.test))));
    lines.push(format!("  {} unchanged, {} new", table.count(Movement::Unchanged), table.count(Movement::New)));
    lines
}

fn place(finding: &Finding) -> String {
    let place = finding.place().map(|place| format!("{}: ", plain(&place))).unwrap_or_default();
    format!("  {place}{} {}", finding.gate.sentence(), plain(&finding.told))
}

fn plain(name: &str) -> String {
    patchwright_domain::turn::output::plain(name.as_bytes()).replace('\n', " ")
}
