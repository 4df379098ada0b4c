//! `patchwright sandbox exec`: one command in the configured sandbox, for operators and tests.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use jiff::SignedDuration;
use patchwright::config::Config;
use patchwright::config::sandbox::ExecutorKind;
use patchwright::egress::Gate;
use patchwright::sandbox::live::{self, Shown};
use patchwright::sandbox::{self, Executor, Output, Profile, SandboxError, Terms, Tree};
use patchwright_domain::proof::Exit;
use patchwright_domain::turn::output::plain::Plain;

use super::{ConfigArguments, Failure, assemble, giving, terminal};

/// What `sandbox exec --help` says behind the options.
const EXIT_CODES: &str = "\
Exit codes: the command's own; 126 if it cannot be executed, 127 if it is not found, 128 and the signal's number if a \
signal ended it, 124 if its time was over, 137 if it was killed at another limit. Without the command having run: 2 usage \
or configuration, 3 the sandbox cannot be made. The command's own code can be 2 or 3 as well; `--json` tells them apart, \
for it prints an object only if the command ran.

The command's environment holds what the configuration lists and nothing of yours. It starts in the workspace, the one \
folder that lasts; its standard input is empty. As root, `exec` gives the workspace's files to the sandbox's user (id \
65532), as a server that is root does with its scratch trees, but for `--profile reader`, which sees what that user may \
read. It refuses a folder of the system, a home folder, and one in which files are neither root's nor that user's, unless \
`--take-ownership` is given. A configuration file is read only if it is named: the folder \
may be a repository.

In a workspace that is not read only, setuid and setgid bits can be taken off but not set: outside, such a file runs as its \
owner or its group. A call does not tell whether it is about a file or a folder, so folders cannot be given them either: \
`chmod 755` of a folder with setgid would set that bit again and fails, `chmod 00755` takes it off. What is made in such a \
folder gets its group as ever.";

/// How much output is kept, which only `--json` prints, in bytes: the first and the last half.
const OUTPUT_BYTES_MAX: usize = 16 << 20;
/// The longest `--timeout`.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What is to be done with the sandbox.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Run one command in the sandbox, as the commands of an agent, a setup or a test run
    ///
    /// Prints what the command prints, errors among it, to standard output, byte by byte and as it comes. On a terminal escape
    /// sequences are left out, because they are the command's and not yours. What is not read holds the command up, while its
    /// time goes on; where nothing more can be printed, the command is ended.
    #[command(after_help = EXIT_CODES)]
    Exec(Exec),
}

/// What is run, where and how.
#[derive(Debug, clap::Args)]
pub(super) struct Exec {
    #[command(flatten)]
    config: ConfigArguments,
    /// The folder that is the workspace inside
    #[arg(long, value_name = "DIR")]
    workspace: PathBuf,
    /// Whose commands it is run like
    #[arg(long, value_enum, default_value_t = ProfileArgument::Agent)]
    profile: ProfileArgument,
    /// How long it may take, such as `90s` or `1h 30m`; then all of it is killed
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    timeout: Duration,
    /// As root, give the workspace to the sandbox's user even if it is a folder of the system, somebody's home folder, or has
    /// files of others in it
    #[arg(long)]
    take_ownership: bool,
    /// Print one JSON object: `exit`, `output`, `omitted_bytes`, `duration_ms`
    #[arg(long)]
    json: bool,
    /// The program and its arguments, as they are; for a script say `sh -c SCRIPT`
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Whose commands are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ProfileArgument {
    /// Those that fetch what a repository needs: the hosts of `sandbox.egress` can be reached
    Setup,
    /// The agent's
    Agent,
    /// Those of an agent that is to change nothing: the workspace can be read only
    Reader,
    /// The repository's tests
    Proof,
}

impl From<ProfileArgument> for Profile {
    fn from(profile: ProfileArgument) -> Self {
        match profile {
            ProfileArgument::Setup => Self::Setup,
            ProfileArgument::Agent => Self::Agent,
            ProfileArgument::Reader => Self::Reader,
            ProfileArgument::Proof => Self::Proof,
        }
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<SignedDuration>().map_err(|error| error.to_string())?;
    let time = Duration::try_from(time).ok().filter(|time| !time.is_zero() && *time <= TIMEOUT_MAX);
    time.ok_or_else(|| "it is between a moment and a day".to_owned())
}

pub(super) async fn sandbox(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments {
        Arguments::Exec(arguments) => exec(arguments).await,
    }
}

async fn exec(arguments: Exec) -> Result<ExitCode, Failure> {
    let mut config = arguments.config.load_named()?;
    if config.workspace.dir == Config::default().workspace.dir {
        // It works in no folder of its own, and makes none in the current one to try the limits in.
        config.workspace.dir = std::env::temp_dir();
    }
    let script = script(&arguments.command).map_err(Failure::usage)?;
    let workspace = std::fs::canonicalize(&arguments.workspace)
        .with_context(|| format!("`--workspace {}`", arguments.workspace.display()))
        .map_err(Failure::usage)?;
    if !workspace.is_dir() {
        return Err(Failure::usage(anyhow!("`--workspace {}` is no folder", arguments.workspace.display())));
    }
    let gives_away = arguments.profile != ProfileArgument::Reader;
    let can_give = rustix::process::geteuid().is_root()
        && match config.sandbox.executor {
            ExecutorKind::Local | ExecutorKind::Container => true,
            // Commands run as root itself, or on a copy.
            ExecutorKind::None | ExecutorKind::Kubernetes => false,
        };
    if gives_away && can_give && !arguments.take_ownership {
        giving::check(&workspace).map_err(Failure::usage)?;
    }
    let sandbox = assemble::sandbox(&config).await?;
    let egress = match arguments.profile {
        ProfileArgument::Setup => assemble::egress(&config.sandbox.egress)?,
        ProfileArgument::Agent | ProfileArgument::Reader | ProfileArgument::Proof => None,
    };
    let gate = match &egress {
        Some(egress) => Some(egress.open().await.context("opening the setup's way out").map_err(Failure::environment)?),
        None => None,
    };
    let terms = Terms { outlet: gate.as_ref().map(Gate::outlet), ..Profile::from(arguments.profile).into() };
    let tree = Tree { is_owned: !gives_away, ..Tree::alone(&workspace) };
    let opened = sandbox.open(tree, terms).await;
    let mut executor = opened.map_err(|refusal| unmade(refusal.into()))?;
    let command =
        sandbox::Command { script, directory: String::new(), timeout: arguments.timeout, output_bytes_max: OUTPUT_BYTES_MAX };
    let ended =
        if arguments.json { executor.execute(&command).await.map_err(unmade)? } else { shown(&mut *executor, &command).await? };
    if let Some(gate) = gate {
        let log = gate.close().await;
        if let hosts @ [_, ..] = log.denied().as_slice() {
            terminal::complain(&anyhow!("it was refused {}", hosts.join(" ")));
        }
    }
    if arguments.json {
        terminal::say(object(&ended));
    } else {
        match ended.exit {
            Exit::TimedOut | Exit::Exceeded(_) => terminal::complain(&anyhow!("{}", ended.exit)),
            Exit::Code(_) | Exit::Signal(_) => {}
        }
    }
    Ok(ExitCode::from(code(ended.exit)))
}

/// The script that becomes exactly this program.
fn script(command: &[OsString]) -> anyhow::Result<String> {
    let words = command.iter().map(|word| {
        let word = word.to_str().ok_or_else(|| anyhow!("the command is not UTF-8: {}", word.display()))?;
        Ok(quoted(word))
    });
    let words = words.collect::<anyhow::Result<Vec<_>>>()?;
    let program = command.first().and_then(|program| program.to_str()).unwrap_or_default();
    // The shell's `exec` would take these for an option of its own, or for nothing at all.
    if program.is_empty() || program.starts_with('-') {
        return Err(anyhow!("`{program}` is no program"));
    }
    Ok(format!("exec {}", words.join(" ")))
}

/// A word that a POSIX shell reads as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn unmade(error: SandboxError) -> Failure {
    let remedy = match &error {
        SandboxError::Refused(refusal) => Some(refusal.remedy.clone()),
        SandboxError::Path { .. } | SandboxError::Machine { .. } => None,
    };
    let error = anyhow::Error::from(error);
    Failure::environment(match remedy {
        Some(remedy) => anyhow!("{error:#}; {remedy}"),
        None => error,
    })
}

/// Runs the command and prints what it prints.
async fn shown(executor: &mut dyn Executor, command: &sandbox::Command) -> Result<Output, Failure> {
    let (live, shown) = live::live();
    let running = async {
        let ended = executor.execute_live(command, &live).await;
        drop(live);
        Ok(ended)
    };
    let (ended, ()) = tokio::try_join!(running, print(shown)).map_err(|error: io::Error| {
        Failure::environment(anyhow::Error::from(error).context("writing to standard output, so the command was ended"))
    })?;
    ended.map_err(unmade)
}

/// Prints what comes, until nothing more does. A writer that waits keeps only a thread of its own waiting.
async fn print(mut shown: Shown) -> io::Result<()> {
    let mut plain = io::stdout().is_terminal().then(Plain::default);
    while let Some(bytes) = shown.next().await {
        write(match &mut plain {
            Some(plain) => plain.push(&bytes).into(),
            None => bytes,
        })
        .await?;
    }
    write(plain.map(Plain::end).unwrap_or_default().into()).await
}

async fn write(bytes: Bytes) -> io::Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout().lock();
        out.write_all(&bytes)?;
        out.flush()
    });
    written.await.map_err(io::Error::other)?
}

fn object(ended: &Output) -> serde_json::Value {
    serde_json::json!({
        "exit": ended.exit,
        "output": String::from_utf8_lossy(&ended.output),
        "omitted_bytes": ended.omitted_bytes,
        "duration_ms": u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX),
    })
}

/// As `timeout`, `env` and shells put the end of another program into their own.
fn code(exit: Exit) -> u8 {
    const TIMED_OUT: u8 = 124;
    const SIGNALLED: i32 = 128;
    const KILLED: u8 = 137;
    match exit {
        Exit::Code(code) => u8::try_from(code).unwrap_or(u8::MAX),
        Exit::Signal(signal) => u8::try_from(SIGNALLED + signal).unwrap_or(u8::MAX),
        Exit::TimedOut => TIMED_OUT,
        Exit::Exceeded(_) => KILLED,
    }
}
