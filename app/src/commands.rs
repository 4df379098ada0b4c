//! The command line. Together with the tests this is the only place that names adapters.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Parser, Subcommand};
use patchwright::config::Config;
use patchwright::config::sandbox::ExecutorKind;

mod apply_patch;
mod assemble;
mod demo;
mod doctor;
mod explain;
mod giving;
mod in_pod;
mod interruption;
mod jobs;
mod migrate;
mod policy;
mod prove;
mod replay;
mod run;
mod sandbox;
mod serve;
mod signing;
mod store;
mod story;
mod terminal;
mod verify;
mod work;

/// The coding agent that maintainers can trust with their repositories.
///
/// Somebody writes `@codex fix this` on an issue; this server has an agent mend it in a sandbox, proves the patch by
/// running the repository's own tests before and after, and opens a pull request for a person to review.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 the work's outcome was negative, 2 usage or configuration, 3 environment; \
130 and 143 interrupted by SIGINT or SIGTERM.
Begin with `patchwright demo`: it needs no account and no network.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the whole thing on this machine: an issue, a webhook, a patch, its proof, a pull request
    ///
    /// Needs no account, no network and no model: the GitHub is on loopback, with a small repository that has a bug, and the
    /// model is scripted. The signed webhook, the queue, the sandbox, the git push, the proof and the pull request are real.
    ///
    /// Of a configuration file that is named, and of the variables, only the table `sandbox` is used, without its `egress`: it
    /// says in what the demo's commands run, for machines that have no namespaces.
    Demo(demo::Arguments),
    /// Do one task on a local checkout and leave a branch or a patch
    ///
    /// Works on the commit that the checkout's branch points to. Changes that are not committed are neither seen nor touched.
    Run(run::Arguments),
    /// Serve webhooks and work on jobs
    ///
    /// Serves until it gets SIGINT or SIGTERM; then it takes no more deliveries, hands back its jobs and ends. It needs the
    /// App's number, private key and webhook secret; `manifests/patchwright.example.toml` has all keys.
    Serve(serve::Arguments),
    /// Work on the jobs that servers have taken in, on this or any other machine
    ///
    /// Serves nothing. It needs the same configuration as the servers, and a store that several processes share: PostgreSQL.
    /// Works until it gets SIGINT or SIGTERM; then it hands back its jobs and ends.
    Work(work::Arguments),
    /// Bring the schema of the store's database up to date
    #[command(after_help = migrate::HELP)]
    Migrate(migrate::Arguments),
    /// Say what works on this machine and what to do about what does not
    ///
    /// Tries sandbox, git, folders, store, model endpoint and the App's credentials for real. Exit code 3 if the machine or a
    /// service lacks something, 2 if the configuration does.
    Doctor(doctor::Arguments),
    /// Prove any patch, whoever made it, by running the tests without and with it
    ///
    /// Takes the difference of two commits of a checkout and runs the repository's tests in fresh trees, in the sandbox: on the
    /// base, with the patch's code under the base's tests, and, where that shows nothing, with the patch's own tests without and
    /// with its code. Needs no model and no network. Exit code 0 if it is proven, 1 if not.
    Prove(prove::Arguments),
    /// Check an attestation: that it is signed, whole, and says of git what is so
    ///
    /// Asks nobody and runs nothing. Checks the signature over the exact bytes, the types, that there is nothing in it but what
    /// this version writes, and every digest that can be computed again; with `--repo` also commits, tree, files and difference.
    #[command(after_help = verify::HELP)]
    Verify(verify::Arguments),
    /// Check a repository's policy file before it counts
    #[command(subcommand)]
    Policy(policy::Arguments),
    /// Look at what a server has kept of its jobs
    #[command(subcommand)]
    Jobs(jobs::Arguments),
    /// Say what became of a delivery or a job, or which deliveries nobody could decide on
    ///
    /// A delivery that could not be read, or that GitHub did not answer for in many tries, is given up: nothing comes of it, and
    /// nobody is told. Without an ID these are listed, newest first, each with the reason; who mends that can have GitHub deliver
    /// it again, under another ID.
    Explain(explain::Arguments),
    /// Drive a run again from what was recorded of it, and compare the files that it comes to
    ///
    /// The model is not asked: its recorded replies are played. Edits and commands are real, in the same sandbox. Exit code 1
    /// at a difference, which is named with its turn.
    Replay(replay::Arguments),
    /// Apply a patch from standard input to the current directory, whole or not at all
    ///
    /// The same patches that the agent makes, by the same code; see below for the format.
    #[command(after_help = apply_patch::GRAMMAR)]
    ApplyPatch,
    /// Try the sandbox in which all commands run
    #[command(subcommand)]
    Sandbox(sandbox::Arguments),
    /// What this program is in the Pods of the Kubernetes executor
    #[command(subcommand, hide = true)]
    InPod(in_pod::Arguments),
}

/// Where the configuration is; its keys can be given as variables too, such as PATCHWRIGHT__GITHUB__APP_ID.
#[derive(Debug, clap::Args)]
struct ConfigArguments {
    /// The configuration file; for `serve` and `doctor` `patchwright.toml` where there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run the code of repositories and agents as this user, with nothing around it: only for a machine that is thrown away
    /// after the run, and only where `sandbox.executor` is `none` as well
    #[arg(long)]
    without_sandbox: bool,
}

/// The configuration file that is used where none is named.
const DEFAULT_FILE: &str = "patchwright.toml";

impl ConfigArguments {
    fn load(&self) -> Result<Config, Failure> {
        let default = PathBuf::from(DEFAULT_FILE);
        self.read(self.config.clone().or_else(|| default.is_file().then_some(default)))
    }

    /// Reads only a file that was named: the folder may be a repository, and it must not say where the model's key goes.
    fn load_named(&self) -> Result<Config, Failure> {
        self.read(self.config.clone())
    }

    fn read(&self, file: Option<PathBuf>) -> Result<Config, Failure> {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let config = Config::load(file.as_deref(), variables).map_err(|error| Failure::usage(error.into()))?;
        self.check_that_it_is_wanted_twice(&config).map_err(Failure::usage)?;
        Ok(config)
    }

    /// Running without a sandbox takes two hands: a file or a variable may be a copy of another machine's, and a command line
    /// may be.
    fn check_that_it_is_wanted_twice(&self, config: &Config) -> anyhow::Result<()> {
        let executor = config.sandbox.executor;
        match (executor == ExecutorKind::None, self.without_sandbox) {
            (true, true) | (false, false) => Ok(()),
            (true, false) => Err(anyhow!(
                "`sandbox.executor` is `none`, so the code of repositories and agents would run as this user with nothing \
                 around it: if this machine is thrown away after the run, say so a second time with `--without-sandbox`; \
                 otherwise use the executor `local`, `container` or `kubernetes`"
            )),
            (false, true) => Err(anyhow!(
                "`--without-sandbox` is given, and `sandbox.executor` is `{}`: leave the flag out, or, if this machine is \
                 thrown away after the run, set `sandbox.executor` to `none` as well",
                executor.as_str()
            )),
        }
    }
}

/// Why a command did not do its work: the exit code and the chain of causes.
#[derive(Debug)]
struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    /// Called or configured in a way that cannot work.
    fn usage(error: anyhow::Error) -> Self {
        Self { code: 2, error }
    }

    /// The machine or a service lacks something.
    fn environment(error: anyhow::Error) -> Self {
        Self { code: 3, error }
    }
}

/// The work was done, with a negative outcome.
const NEGATIVE: u8 = 1;

/// Parses the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let done = match command_line.command {
        // It is called in loops, and needs no runtime to be started for it.
        Command::ApplyPatch => apply_patch::apply_patch(),
        Command::Demo(arguments) => block_on(demo::demo(arguments)),
        Command::Run(arguments) => interruptible(run::run(arguments)),
        Command::Serve(arguments) => block_on(serve::serve(arguments)),
        Command::Work(arguments) => block_on(work::work(arguments)),
        Command::Migrate(arguments) => interruptible(migrate::migrate(arguments)),
        Command::Prove(arguments) => interruptible(prove::prove(arguments)),
        Command::Verify(arguments) => verify::verify(&arguments),
        Command::Policy(arguments) => policy::policy(&arguments),
        Command::Jobs(arguments) => interruptible(jobs::jobs(arguments)),
        Command::Explain(arguments) => interruptible(explain::explain(arguments)),
        Command::Replay(arguments) => interruptible(replay::replay(arguments)),
        Command::Doctor(arguments) => interruptible(doctor::doctor(arguments)),
        Command::Sandbox(arguments) => interruptible(sandbox::sandbox(arguments)),
        Command::InPod(arguments) => in_pod::in_pod(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(Failure { code, error }) => {
            terminal::complain(&error);
            ExitCode::from(code)
        }
    }
}

/// For what listens for signals itself.
fn block_on(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    runtime()?.block_on(work)
}

/// For what a signal is to end at any moment.
fn interruptible(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    interruption::block_on(runtime()?, work)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    patchwright_launcher::keep_little_memory();
    tokio::runtime::Runtime::new()
        .map_err(|error| Failure::environment(anyhow::Error::from(error).context("starting the asynchronous runtime")))
}
