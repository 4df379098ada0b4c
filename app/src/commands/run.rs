//! `patchwright run`: one task on a local checkout, in the foreground.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use patchwright::config::Config;
use patchwright::store::Store;
use patchwright::worker::{Tools, Worker};
use patchwright::workspace;
use patchwright_domain::event::{RawDelivery, RepoRef, Untrusted};
use patchwright_domain::job::{Budget, JobSpec, Mode, Task};
use patchwright_domain::journal::{Conclusion, Digest, Entry, EntryKind, Outcome};
use patchwright_domain::policy::Decision;
use patchwright_domain::run::Run;
use patchwright_domain::turn::{Closing, Finding, output};
use tokio_util::sync::CancellationToken;

use super::{ConfigArguments, Failure, assemble, signing, story, terminal};

/// What is to be done, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The checkout; the current folder if none is named
    #[arg(long, value_name = "PATH", default_value = ".", hide_default_value = true)]
    repo: PathBuf,
    /// What is to be done, in your own words
    #[arg(long, value_name = "TEXT")]
    task: String,
    /// What kind of work it is; all but `fix` leave the files as they are, which the sandbox sees to
    #[arg(long, value_enum, default_value_t = ModeArgument::Fix)]
    mode: ModeArgument,
    /// How often the work may be begun anew; the best attempt counts, by what was executed, and the first proof ends it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    attempts: u32,
    /// How the repository is tested, in place of what its policy file or its files say
    #[arg(long, value_name = "CMD")]
    test: Option<String>,
    /// Write the patch to this file and leave no branch
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
    /// Write what was executed for the patch to this file, signed; `patchwright verify` checks it
    #[arg(long, value_name = "FILE")]
    attestation: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What kind of work a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ModeArgument {
    /// Make the problem visible, change the files until it is gone, and prove it
    Fix,
    /// Answer a question, with the places in the files that the answer rests on
    Ask,
    /// Say how the task would be done
    Plan,
    /// Say what is wrong with the code that the task names
    Review,
}

impl From<ModeArgument> for Mode {
    fn from(mode: ModeArgument) -> Self {
        match mode {
            ModeArgument::Fix => Self::Fix,
            ModeArgument::Ask => Self::Ask,
            ModeArgument::Plan => Self::Plan,
            ModeArgument::Review => Self::Review,
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    terminal::log("warn");
    if arguments.task.trim().is_empty() {
        return Err(Failure::usage(anyhow!("`--task` is empty: say what is to be done")));
    }
    let is_about_a_patch = arguments.patch.is_some() || arguments.attestation.is_some() || arguments.attempts > 1;
    if arguments.mode != ModeArgument::Fix && is_about_a_patch {
        let flags = "`--patch`, `--attestation` and `--attempts`";
        return Err(Failure::usage(anyhow!("{flags} are for `--mode fix`: the other modes change nothing")));
    }
    let mut config = arguments.config.load_named()?;
    if config.model.base_url == Config::default().model.base_url && config.model.api_key.is_none() {
        let hint = "set PATCHWRIGHT__MODEL__BASE_URL, or PATCHWRIGHT__MODEL__API_KEY for the default endpoint, or name a file with `--config`";
        return Err(Failure::usage(anyhow!("no model is configured: {hint}")));
    }
    if config.workspace.dir == Config::default().workspace.dir {
        config.workspace.dir = cache_folder();
    }
    let spec = spec(&arguments, &config)?;
    let tools = tools(&arguments, &config).await?;
    let store = Arc::clone(&tools.store);
    enqueue(store.as_ref(), &spec).await.context("queueing the task").map_err(Failure::environment)?;
    let worker = Worker::new("foreground", Arc::new(tools));
    let stop = CancellationToken::new();
    let telling = async {
        story::tell(store.as_ref(), &spec.id(), !arguments.json).await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), telling);
    let journal = store.journal(&spec.id(), 0).await.context("reading the journal").map_err(Failure::environment)?;
    let run = Run::fold(&spec, &journal).context("reading the journal").map_err(Failure::environment)?;
    let conclusion = journal.iter().rev().find_map(|entry| match &entry.kind {
        EntryKind::PublishPlanned { conclusion, .. } => Some(conclusion),
        _ => None,
    });
    let conclusion = conclusion.ok_or_else(|| Failure::environment(anyhow!("the run has not ended; its error is in the log")))?;
    let attested = attest(&arguments, &journal, store.as_ref()).await?;
    let left = leave(&arguments, &run, store.as_ref(), conclusion).await?;
    let said = said(&run, conclusion.outcome, &journal, store.as_ref())
        .await
        .context("reading the answer")
        .map_err(Failure::environment)?;
    report(&arguments, conclusion, &run, left.as_deref(), attested, &said);
    Ok(story::exit_code(conclusion.outcome))
}

/// Where mirrors are kept between runs: in the user's cache, and not in the checkout that the program may be called in.
pub(super) fn cache_folder() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("patchwright")
}

/// The checkout that was named.
pub(super) fn found(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().with_context(|| format!("finding `{}`", path.display())).map_err(Failure::usage)
}

/// A checkout as a repository: its mirror is known by its path.
pub(super) fn repo(path: &Path, branch: &str) -> Result<RepoRef, Failure> {
    let name: String = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    let digest = Digest::of(path.to_string_lossy().as_bytes()).to_string();
    let id = u64::from_str_radix(&digest[..12], 16).unwrap_or_default();
    let repo = RepoRef::new(id, 0, "local", if name.is_empty() { "checkout" } else { &name }, branch);
    repo.map_err(|e| Failure::usage(e.into()))
}

fn spec(arguments: &Arguments, config: &Config) -> Result<JobSpec, Failure> {
    let path = found(&arguments.repo)?;
    let branch = workspace::current_branch(&path).map_err(|e| Failure::usage(e.into()))?;
    let task = Task::Local {
        request: Untrusted::new(arguments.task.clone()),
        leaves_branch: arguments.patch.is_none(),
        mode: arguments.mode.into(),
    };
    let budget = Budget { attempts: arguments.attempts, ..config.limits.budget() };
    assemble::spec_of_user("run", (&branch, &arguments.task), repo(&path, &branch)?, task, budget)
}

async fn enqueue(store: &dyn Store, spec: &JobSpec) -> anyhow::Result<()> {
    let delivery =
        RawDelivery { id: spec.delivery.clone(), event: "run".into(), body: Vec::new(), received_at: spec.requested_at };
    store.receive(&delivery).await?;
    let decision = Decision::Start { spec: Box::new(spec.clone()), because: "asked for on the command line".into() };
    store.decide(&spec.delivery, &decision, spec.requested_at).await?;
    Ok(())
}

async fn tools(arguments: &Arguments, config: &Config) -> Result<Tools, Failure> {
    let (test, is_attested) = (arguments.test.clone(), arguments.attestation.is_some());
    let tools = assemble::tools_of_user(config, found(&arguments.repo)?, test, is_attested).await?;
    Ok(Tools { agents: assemble::agents(config)?, ..tools })
}

/// Writes the attestation to its file, where one is wanted and there is a patch to attest, and says whether it did.
async fn attest(arguments: &Arguments, journal: &[Entry], store: &dyn Store) -> Result<bool, Failure> {
    let attestation = journal.iter().rev().find_map(|entry| match &entry.kind {
        EntryKind::PublishPlanned { attestation, .. } => *attestation,
        _ => None,
    });
    let (Some(file), Some(digest)) = (&arguments.attestation, attestation) else { return Ok(false) };
    let envelope = store.artifact(&digest).await.context("reading the attestation").map_err(Failure::environment)?;
    signing::write(file, &envelope)?;
    Ok(true)
}

/// Writes the patch file, or names the branch that was left.
async fn leave(arguments: &Arguments, run: &Run, store: &dyn Store, conclusion: &Conclusion) -> Result<Option<String>, Failure> {
    let (Some(judged), true) = (run.judged(), conclusion.outcome.is_positive()) else { return Ok(None) };
    let Some(file) = &arguments.patch else { return Ok(run.branch().map(str::to_owned)) };
    let diff = store.artifact(&judged.proposal.diff).await.context("reading the patch").map_err(Failure::environment)?;
    std::fs::write(file, diff).with_context(|| format!("writing `{}`", file.display())).map_err(Failure::environment)?;
    Ok(Some(file.display().to_string()))
}

/// What the agent said at the end.
struct Said {
    text: String,
    /// What a review found, in its parts.
    findings: Vec<Finding>,
}

async fn said(run: &Run, outcome: Outcome, journal: &[Entry], store: &dyn Store) -> anyhow::Result<Said> {
    let text = match run.answer(outcome) {
        Some(digest) => String::from_utf8_lossy(&store.artifact(&digest).await?).into_owned(),
        None => String::new(),
    };
    let closing = journal.iter().rev().find_map(|entry| match &entry.kind {
        EntryKind::Answered { closing, .. } => Some(*closing),
        _ => None,
    });
    let findings = match closing {
        Some(digest) => serde_json::from_slice::<Closing>(&store.artifact(&digest).await?)?.findings,
        None => Vec::new(),
    };
    Ok(Said { text, findings })
}

fn report(arguments: &Arguments, conclusion: &Conclusion, run: &Run, left: Option<&str>, is_attested: bool, said: &Said) {
    let attestation = arguments.attestation.as_ref().filter(|_| is_attested);
    if arguments.json {
        terminal::say(serde_json::json!({
            "outcome": conclusion.outcome, "cause": conclusion.cause, "next_step": conclusion.next_step,
            "branch": left.filter(|_| arguments.patch.is_none()), "patch": left.filter(|_| arguments.patch.is_some()),
            "attestation": attestation,
            "attempt": run.judged().map(|judged| judged.attempt),
            "answer": said.text, "findings": said.findings, "usage": run.usage(),
            "walls": run.walls(), "setup_reach": run.prepared().and_then(|prepared| prepared.reach.as_ref()),
        }));
        return;
    }
    if arguments.mode != ModeArgument::Fix && !said.text.is_empty() {
        terminal::say(format_args!("\n{}\n", output::plain(said.text.as_bytes())));
    }
    terminal::say(format_args!("{}: {}", conclusion.outcome, conclusion.cause));
    match left {
        Some(left) if arguments.patch.is_some() => terminal::say(format_args!("The patch is in {left}.")),
        Some(left) => terminal::say(format_args!("It is on the branch {left}.")),
        None if conclusion.outcome.is_positive() => {}
        None => terminal::say(format_args!("Next step: {}", conclusion.next_step)),
    }
    match (attestation, &arguments.attestation) {
        (Some(file), _) => terminal::say(format_args!("The attestation is in {}.", file.display())),
        (None, Some(_)) => terminal::say("There is no attestation: no patch was judged."),
        (None, None) => {}
    }
}
