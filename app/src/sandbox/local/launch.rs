//! One command in a sandbox: what it is given, what it says, and its end.

use std::io::{self, PipeWriter, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::spec::Run;
use patchwright_launcher::status::{self, Status};
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::sandbox::live::Live;
use crate::sandbox::local::session::Session;
use crate::sandbox::output::Kept;
use crate::sandbox::signals;
use crate::sandbox::{Command, Limits, Output, Refusal, SandboxError};

/// How long the launcher may take to kill everything of a command.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);
const STATUS_BYTES_MAX: usize = 64 * 1024;

/// What was seen of one command, from its start to its end.
pub(super) struct Seen {
    output: Kept,
    statuses: Vec<u8>,
    at: Instant,
}

/// A command that was handed over. Dropping it kills everything of the command; its task then still sees to the end.
pub(super) struct Started {
    /// A byte asks the command to end; closing it kills.
    lifeline: PipeWriter,
    task: JoinHandle<io::Result<Seen>>,
    /// It prints more than it may.
    flooded: Arc<Notify>,
}

/// Runs one command to its end; what it prints is handed on meanwhile where somebody looks on.
pub(super) async fn run(
    session: &mut Session,
    run: &Run,
    command: &Command,
    limits: &Limits,
    live: Option<&Live>,
) -> Result<Output, SandboxError> {
    let began = Instant::now();
    let kept = Kept::new(command.output_bytes_max).at_most(limits.output_bytes);
    let started = start(session, run, kept, None, live.cloned()).await?;
    let (seen, is_over) = started.ended(command.timeout, limits.grace).await?;
    let exit = exit(&seen, is_over)?;
    let (output, omitted_bytes) = seen.output.into_parts();
    Ok(Output { exit, output, omitted_bytes, duration: seen.at.duration_since(began) })
}

/// Hands a command over; with `standard`, that is its input and output, and only its errors are kept.
pub(super) async fn start(
    session: &mut Session,
    run: &Run,
    kept: Kept,
    standard: Option<OwnedFd>,
    live: Option<Live>,
) -> Result<Started, SandboxError> {
    let making = |source| machine("making the command's pipes", source);
    let (lifeline_end, lifeline) = io::pipe().map_err(making)?;
    let (output, output_end) = io::pipe().map_err(making)?;
    let (statuses, status_end) = io::pipe().map_err(making)?;
    let mut descriptors = vec![lifeline_end.as_fd(), output_end.as_fd(), status_end.as_fd()];
    descriptors.extend(standard.iter().map(AsFd::as_fd));
    session.start(run, &descriptors).await?;
    // Copies kept here would hold the pipes open after the command closed them.
    drop((lifeline_end, output_end, status_end, standard));
    let output = receiver(output.into()).map_err(making)?;
    let statuses = receiver(statuses.into()).map_err(making)?;
    let flooded = Arc::new(Notify::new());
    let task = tokio::spawn(watch(output, statuses, kept, Arc::clone(&flooded), live));
    Ok(Started { lifeline, task, flooded })
}

fn receiver(end: OwnedFd) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(end)
}

/// Reads everything to its end. The statuses end when nothing of the command is left.
async fn watch(
    output: pipe::Receiver,
    statuses: pipe::Receiver,
    kept: Kept,
    flooded: Arc<Notify>,
    live: Option<Live>,
) -> io::Result<Seen> {
    let output = async {
        let kept = kept.read_live(output, live.as_ref()).await?;
        if kept.is_over() {
            flooded.notify_one();
        }
        Ok(kept)
    };
    let statuses = async {
        let statuses = Kept::new(STATUS_BYTES_MAX).read(statuses).await;
        live.iter().for_each(Live::finish);
        statuses
    };
    let (output, statuses) = tokio::try_join!(output, statuses)?;
    Ok(Seen { output, statuses: statuses.into_parts().0, at: Instant::now() })
}

impl Started {
    /// Waits for the end; after `time`, asks for it, and after `grace` more, kills. Says whether it was we who ended it.
    async fn ended(mut self, time: Duration, grace: Duration) -> Result<(Seen, bool), SandboxError> {
        tokio::select! {
            joined = &mut self.task => return Ok((seen(joined)?, false)),
            () = self.flooded.notified() => return Ok((self.killed().await?, false)),
            () = tokio::time::sleep(time) => {}
        }
        let _ = self.lifeline.write_all(b"t");
        if let Ok(joined) = timeout(grace, &mut self.task).await {
            return Ok((seen(joined)?, true));
        }
        Ok((self.killed().await?, true))
    }

    /// Kills everything of the command and waits until it is gone.
    pub(super) async fn killed(self) -> Result<Seen, SandboxError> {
        let Started { lifeline, mut task, .. } = self;
        drop(lifeline);
        match timeout(KILL_TIMEOUT, &mut task).await {
            Ok(joined) => seen(joined),
            Err(_) => {
                task.abort();
                Err(machine("ending the command", io::ErrorKind::TimedOut.into()))
            }
        }
    }

    /// Waits for the end, however long it takes.
    pub(super) async fn over(&mut self) -> Result<Seen, SandboxError> {
        seen((&mut self.task).await)
    }
}

fn seen(joined: Result<io::Result<Seen>, tokio::task::JoinError>) -> Result<Seen, SandboxError> {
    joined.map_err(io::Error::other).flatten().map_err(|source| machine("reading the command's output", source))
}

/// What was said about the end; `is_over` if it was we who ended it.
pub(super) fn exit(seen: &Seen, is_over: bool) -> Result<Exit, SandboxError> {
    let text = String::from_utf8_lossy(&seen.statuses);
    let statuses = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut exit = None;
    let mut exceeded = seen.output.is_over().then_some(Exit::Exceeded(Limit::Output));
    let mut lost = None;
    for status in statuses {
        match status {
            Status::Refused { missing, remedy } => return Err(Refusal { missing, remedy }.into()),
            Status::Ready => {}
            Status::Exited { code } => exit = Some(Exit::Code(code)),
            Status::Signaled { signal } => exit = Some(signals::end(signal)),
            Status::Exceeded { limit } => exceeded = Some(Exit::Exceeded(domain(limit))),
            Status::Lost { signal } => lost = Some(format!("signal {signal} from outside")),
        }
    }
    // What was killed for its time may still have ended by itself in the meantime; its time was over all the same.
    let ended = exceeded.or(is_over.then_some(Exit::TimedOut)).or(exit);
    let broken = || machine("keeping the sandbox up", io::Error::other(lost.unwrap_or_else(|| "the launcher is gone".into())));
    ended.ok_or_else(broken)
}

fn domain(limit: status::Limit) -> Limit {
    match limit {
        status::Limit::Cpu => Limit::Cpu,
        status::Limit::Memory => Limit::Memory,
        status::Limit::Disk => Limit::Disk,
        status::Limit::Files => Limit::Files,
    }
}

pub(super) fn machine(context: &str, source: io::Error) -> SandboxError {
    SandboxError::Machine { context: context.to_owned(), source }
}
