//! One start of the launcher: what it is told, what it says, and its end.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use patchwright_domain::proof::Exit;
use patchwright_launcher::NAME;
use patchwright_launcher::spec::Spec;
use patchwright_launcher::status::Status;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::sandbox::output::Kept;
use crate::sandbox::{Output, Refusal, SandboxError};

/// How long the launcher may take to kill everything inside.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);
const STATUS_BYTES_MAX: usize = 64 * 1024;

/// What was seen of one launcher, from its start to its end.
pub(super) struct Seen {
    output: Kept,
    statuses: Vec<u8>,
    end: ExitStatus,
    at: Instant,
}

/// Runs one command in a sandbox of its own.
///
/// A future that is dropped closes the lifeline, which kills everything inside; the task below then reaps the launcher.
pub(super) async fn run(launcher: &Path, spec: &Spec, time: Duration, output_bytes_max: usize) -> Result<Output, SandboxError> {
    let started = Instant::now();
    let frame = spec.frame().map_err(|source| machine("describing the command", source))?;
    let (mut lifeline, mut task) = start(launcher, output_bytes_max)?;
    // A launcher that is gone already has said why on its status channel, which is read in any case.
    let finished = timeout(time, async {
        let _ = lifeline.write_all(&frame).await;
        (&mut task).await
    });
    let (joined, is_over) = match finished.await {
        Ok(joined) => (joined, false),
        Err(_) => (killed(lifeline, task).await?, true),
    };
    let seen = joined.map_err(io::Error::other).flatten().map_err(|source| machine("reading the command's output", source))?;
    let exit = exit(&seen, is_over)?;
    let (output, omitted_bytes) = seen.output.into_parts();
    Ok(Output { exit, output, omitted_bytes, duration: seen.at.duration_since(started) })
}

fn start(launcher: &Path, output_bytes_max: usize) -> Result<(ChildStdin, JoinHandle<io::Result<Seen>>), SandboxError> {
    let (child, lifeline) = launch(launcher)?;
    Ok((lifeline, tokio::spawn(watch(child, Kept::new(output_bytes_max)))))
}

/// Starts the launcher, which waits for its spec on the lifeline.
pub(super) fn launch(launcher: &Path) -> Result<(Child, ChildStdin), SandboxError> {
    let mut command = tokio::process::Command::new(launcher);
    command.arg0(NAME).env_clear().current_dir("/").process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Refusal {
        missing: format!("the launcher: {}: {error}", launcher.display()),
        remedy: "start the server from the patchwright binary, and leave that file in place while it runs".to_owned(),
    })?;
    let lifeline = child.stdin.take().ok_or_else(|| machine("starting the launcher", io::ErrorKind::BrokenPipe.into()))?;
    Ok((child, lifeline))
}

/// Reads everything to its end and reaps the launcher. It ends soon after the lifeline is closed, if not before.
pub(super) async fn watch(mut child: Child, kept: Kept) -> io::Result<Seen> {
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let output = kept.read(stdout);
    let statuses = Kept::new(STATUS_BYTES_MAX).read(stderr);
    let (output, statuses, end) = tokio::try_join!(output, statuses, child.wait())?;
    Ok(Seen { output, statuses: statuses.into_parts().0, end, at: Instant::now() })
}

pub(super) async fn killed(
    lifeline: ChildStdin,
    mut task: JoinHandle<io::Result<Seen>>,
) -> Result<Result<io::Result<Seen>, tokio::task::JoinError>, SandboxError> {
    drop(lifeline);
    if let Ok(joined) = timeout(KILL_TIMEOUT, &mut task).await {
        return Ok(joined);
    }
    // Aborting drops the child, which kills the launcher itself; its namespace goes with it.
    task.abort();
    Err(machine("ending the command", io::ErrorKind::TimedOut.into()))
}

/// What the launcher said about the end; `is_over` if it was we who ended it.
pub(super) fn exit(seen: &Seen, is_over: bool) -> Result<Exit, SandboxError> {
    let text = String::from_utf8_lossy(&seen.statuses);
    let statuses: Vec<Status> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut exit = is_over.then_some(Exit::TimedOut);
    let mut is_ready = false;
    for status in statuses {
        match status {
            Status::Refused { missing, remedy } => return Err(Refusal { missing, remedy }.into()),
            Status::Ready => is_ready = true,
            Status::Exited { code } => exit = Some(Exit::Code(code)),
            Status::Signaled { signal } => exit = Some(Exit::Signal(signal)),
            Status::Lost { signal } => {
                let source = io::Error::other(format!("signal {signal} from outside"));
                return Err(machine("keeping the sandbox up", source));
            }
        }
    }
    if let Some(exit) = exit {
        return Ok(exit);
    }
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    if is_ready {
        return Err(machine("keeping the sandbox up", io::Error::other(format!("the launcher ended: {}", seen.end))));
    }
    Err(Refusal {
        missing: format!("a launcher that answers: it ended with {} ({last})", seen.end),
        remedy: "point the sandbox at the patchwright binary of this version, on a file system that is not noexec".to_owned(),
    }
    .into())
}

pub(super) fn machine(context: &str, source: io::Error) -> SandboxError {
    SandboxError::Machine { context: context.to_owned(), source }
}
