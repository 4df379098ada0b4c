//! One command in the host's own namespaces: its launcher, what it says, and its end.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::NAME;
use patchwright_launcher::bare::{self, Bare, TERMINATE};
use patchwright_launcher::confined::{self, Confined, orphans};
use patchwright_launcher::spec;
use patchwright_launcher::status::{self, Status};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command as Program};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::sandbox::live::Live;
use crate::sandbox::output::{Kept, Tail};
use crate::sandbox::printed::Printed;
use crate::sandbox::resident::machine;
use crate::sandbox::{Command, Handle, Limits, Output, Refusal, Running, SandboxError, signals};

/// How long the launcher may take to end everything of a command.
const KILL_TIMEOUT: Duration = Duration::from_millis(500);
/// How often it is helped to: a command can stop it, and go on stopping it.
const KILLS_MAX: u32 = 60;
/// How long output is waited for that somebody still holds who got away.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How much a launcher may say.
const STATUS_BYTES_MAX: usize = 64 * 1024;
/// How much of the end of standard error is kept of a program that is talked to, in bytes.
const ERRORS_BYTES_MAX: usize = 8 * 1024;

/// What a launcher is to run.
pub(super) enum Order {
    Bare(Bare),
    Confined(Box<Confined>),
}

impl Order {
    /// The launcher's argument for it.
    fn mode(&self) -> &'static str {
        match self {
            Self::Bare(_) => bare::MODE,
            Self::Confined(_) => confined::MODE,
        }
    }

    /// The user of the command, by whom what is left of it can be told from all else.
    fn user(&self) -> Option<u32> {
        match self {
            Self::Bare(_) => None,
            Self::Confined(confined) => Some(confined.user),
        }
    }

    fn frame(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Bare(bare) => spec::frame(bare),
            Self::Confined(confined) => spec::frame(confined),
        }
    }
}

/// A launcher with its command. Dropping it, or only the connection, ends everything that the command started.
struct Started {
    launcher: Launcher,
    connection: OwnedWriteHalf,
    user: Option<u32>,
    statuses: JoinHandle<io::Result<Kept>>,
}

/// Runs one command to its end; what it prints is handed on meanwhile where somebody looks on.
pub(super) async fn run(
    launcher: &Path,
    order: &Order,
    command: &Command,
    limits: &Limits,
    live: Option<&Live>,
) -> Result<Output, SandboxError> {
    let began = Instant::now();
    let (output, output_end) = io::pipe().map_err(|source| machine("making the command's pipes", source))?;
    let errors_end = output_end.try_clone().map_err(|source| machine("making the command's pipes", source))?;
    let mut started = start(launcher, order, output_end.into(), errors_end.into()).await?;
    let output = pipe::Receiver::from_owned_fd(output.into()).map_err(|source| machine("making the command's pipes", source))?;
    let kept = Kept::new(command.output_bytes_max).at_most(limits.output_bytes);
    let shown = live.cloned();
    let mut reading = tokio::spawn(async move { kept.read_live(output, shown.as_ref()).await });
    let mut seen = None;
    let (text, is_over) = tokio::select! {
        text = ended(&mut started.statuses, &mut reading, &mut seen) => (text?, false),
        () = tokio::time::sleep(command.timeout) => {
            let _ = started.connection.write_all(&[TERMINATE]).await;
            let text = match timeout(limits.grace, ended(&mut started.statuses, &mut reading, &mut seen)).await {
                Ok(text) => text?,
                Err(_) => Some(started.killed().await?),
            };
            (text, true)
        }
    };
    let text = match text {
        Some(text) => text,
        // It prints more than it may.
        None => started.killed().await?,
    };
    started.end_orphans(&text).await;
    live.into_iter().for_each(Live::finish);
    let kept = match seen {
        Some(kept) => kept,
        None => drained(reading).await?,
    };
    let exit = exit(&text, is_over, kept.is_over())?;
    let (output, omitted_bytes) = kept.into_parts();
    Ok(Output { exit, output, omitted_bytes, duration: began.elapsed() })
}

/// Waits until the launcher has said how the command ended; `None` where its output was over the limit before that.
async fn ended(
    statuses: &mut JoinHandle<io::Result<Kept>>,
    reading: &mut JoinHandle<io::Result<Kept>>,
    seen: &mut Option<Kept>,
) -> Result<Option<String>, SandboxError> {
    loop {
        tokio::select! {
            said = &mut *statuses => return text(said).map(Some),
            read = &mut *reading, if seen.is_none() => {
                let kept = joined(read)?;
                let is_over = kept.is_over();
                *seen = Some(kept);
                if is_over {
                    return Ok(None);
                }
            }
        }
    }
}

/// What was printed; where somebody who got away holds the other end, no more is waited for.
async fn drained(mut reading: JoinHandle<io::Result<Kept>>) -> Result<Kept, SandboxError> {
    match timeout(DRAIN_TIMEOUT, &mut reading).await {
        Ok(read) => joined(read),
        Err(_) => {
            reading.abort();
            Err(machine("ending the command", io::Error::other("something that it started got away and still runs")))
        }
    }
}

impl Started {
    /// Ends everything of the command and waits until it is gone.
    async fn killed(&mut self) -> Result<String, SandboxError> {
        let shut: &UnixStream = self.connection.as_ref();
        let _ = rustix::net::shutdown(shut, rustix::net::Shutdown::Write);
        for _ in 0..KILLS_MAX {
            self.launcher.go_on();
            if let Ok(said) = timeout(KILL_TIMEOUT, &mut self.statuses).await {
                return text(said);
            }
            self.launcher.kill_descendants().await;
        }
        self.launcher.send(Signal::KILL);
        self.end_orphans("").await;
        Err(machine("ending the command", io::ErrorKind::TimedOut.into()))
    }

    /// Ends what is left of the command where its launcher was killed and could not say how it ended. Only a user of its own
    /// tells it from all else; without one its processes are the server's.
    async fn end_orphans(&self, said: &str) {
        let is_gone = matches!(exit(said, false, false), Err(SandboxError::Machine { .. }));
        if let (true, Some(user)) = (is_gone, self.user) {
            let is_over = tokio::task::spawn_blocking(move || orphans::end(user)).await;
            if !is_over.unwrap_or_default() {
                tracing::error!("a command's launcher was killed, and processes of user {user} that it left go on: end them");
            }
        }
    }
}

/// The launcher's process, by a handle that means no other.
struct Launcher {
    process: OwnedFd,
    number: i32,
}

impl Launcher {
    fn of(child: &Child) -> io::Result<Self> {
        let number = child.id().and_then(|number| i32::try_from(number).ok()).unwrap_or_default();
        let pid = Pid::from_raw(number).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { process: pidfd_open(pid, PidfdFlags::empty())?, number })
    }

    /// One that is gone needs no signal.
    fn send(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.process, signal);
    }

    /// A command is the same user and can stop it; then it would hear of nothing any more.
    fn go_on(&self) {
        self.send(Signal::CONT);
    }

    /// Ends what it is kept from ending. As long as its process is there, its number is no other's.
    async fn kill_descendants(&self) {
        let number = self.number;
        let is_there = pidfd_send_signal(&self.process, Signal::CONT).is_ok();
        if is_there {
            // What cannot be looked for now is looked for the next time.
            let _ = tokio::task::spawn_blocking(move || bare::kill_descendants(number)).await;
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.go_on();
    }
}

/// Starts a launcher with these as its standard output and error, and hands it the command.
async fn start(launcher: &Path, order: &Order, output: OwnedFd, errors: OwnedFd) -> Result<Started, SandboxError> {
    let connecting = |source| machine("making a connection", source);
    let frame = order.frame().map_err(|error| unsaid(&error))?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(connecting)?;
    ours.set_nonblocking(true).map_err(connecting)?;
    let mut program = Program::new(launcher);
    program.arg0(NAME).arg(order.mode()).env_clear().current_dir("/");
    program.stdin(OwnedFd::from(theirs)).stdout(Stdio::from(output)).stderr(Stdio::from(errors));
    let mut child = program.spawn().map_err(|error| Refusal {
        missing: format!("the launcher: {}: {error}", launcher.display()),
        remedy: "start the server from the patchwright binary, and leave that file in place while it runs".to_owned(),
    })?;
    let handle = Launcher::of(&child).map_err(|source| machine("keeping the command's launcher", source))?;
    // It holds the ends that it was given; copies kept here would hold the pipes open after the command closed them.
    drop(program);
    // It ends when it has ended everything; somebody has to take notice.
    tokio::spawn(async move { child.wait().await });
    let (statuses, mut connection) = UnixStream::from_std(ours).map_err(connecting)?.into_split();
    // A launcher that is gone already is seen by the missing answer.
    let _ = connection.write_all(&frame).await;
    let user = order.user();
    Ok(Started {
        launcher: handle,
        connection,
        user,
        statuses: tokio::spawn(Kept::new(STATUS_BYTES_MAX).read(Printed(statuses))),
    })
}

/// What the launcher cannot be told.
fn unsaid(error: &io::Error) -> Refusal {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return Refusal {
            missing: format!("a command with its environment that fits into {} MiB", spec::SPEC_BYTES_MAX >> 20),
            remedy: "keep long data in files of the workspace".to_owned(),
        };
    }
    Refusal {
        missing: format!("a command with its folders that can be told: {error}"),
        remedy: "give the workspace, and every folder that is shown beside it, a path in UTF-8".to_owned(),
    }
}

fn joined(read: Result<io::Result<Kept>, tokio::task::JoinError>) -> Result<Kept, SandboxError> {
    read.map_err(io::Error::other).flatten().map_err(|source| machine("reading the command's output", source))
}

fn text(said: Result<io::Result<Kept>, tokio::task::JoinError>) -> Result<String, SandboxError> {
    joined(said).map(|kept| String::from_utf8_lossy(&kept.into_parts().0).into_owned())
}

/// What was said about the end; `is_over` if it was we who ended it.
fn exit(text: &str, is_over: bool, is_flooded: bool) -> Result<Exit, SandboxError> {
    let (mut exit, mut exceeded) = (None, None);
    for status in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
        match status {
            Status::Refused { missing, remedy } => return Err(Refusal { missing, remedy }.into()),
            Status::Exited { code } => exit = Some(Exit::Code(code)),
            Status::Signaled { signal } => exit = Some(signals::end(signal)),
            Status::Exceeded { limit } => exceeded = Some(Exit::Exceeded(domain(limit))),
            Status::Ready | Status::Lost { .. } => {}
        }
    }
    let gone = || {
        machine("keeping the command's launcher", io::Error::other("it is gone, or could not end all that the command started"))
    };
    let ended = exceeded.or(is_flooded.then_some(Exit::Exceeded(Limit::Output))).or(is_over.then_some(Exit::TimedOut));
    // What ended its launcher is at large, whatever else is known of it.
    exit.map(|exit| ended.unwrap_or(exit)).ok_or_else(gone)
}

fn domain(limit: status::Limit) -> Limit {
    match limit {
        status::Limit::Memory => Limit::Memory,
        status::Limit::Cpu => Limit::Cpu,
        status::Limit::Disk => Limit::Disk,
        status::Limit::Files => Limit::Files,
    }
}

/// Starts a program that is talked to.
pub(super) async fn spawn(launcher: &Path, order: &Order) -> Result<Running, SandboxError> {
    let making = |source| machine("making the process's standard input and output", source);
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(making)?;
    ours.set_nonblocking(true).map_err(making)?;
    let (errors, errors_end) = io::pipe().map_err(making)?;
    let started = start(launcher, order, theirs.into(), errors_end.into()).await?;
    let (kept, tail) = Kept::tail(ERRORS_BYTES_MAX);
    tokio::spawn(kept.read(pipe::Receiver::from_owned_fd(errors.into()).map_err(making)?));
    let (output, input) = UnixStream::from_std(ours).map_err(making)?.into_split();
    let handle = PlainHandle { started, errors: tail, end: None };
    Ok(Running { input: Box::new(input), output: Box::new(Printed(output)), handle: Box::new(handle) })
}

/// The process, which is killed when this is dropped.
struct PlainHandle {
    started: Started,
    errors: Tail,
    end: Option<Exit>,
}

#[async_trait]
impl Handle for PlainHandle {
    fn errors(&self) -> String {
        self.errors.text()
    }

    async fn wait(&mut self) -> Result<Exit, SandboxError> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        let text = text((&mut self.started.statuses).await)?;
        self.started.end_orphans(&text).await;
        let exit = exit(&text, false, false)?;
        self.end = Some(exit);
        Ok(exit)
    }

    async fn kill(&mut self) -> Result<Exit, SandboxError> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        let text = self.started.killed().await?;
        self.started.end_orphans(&text).await;
        let exit = exit(&text, true, false)?;
        self.end = Some(exit);
        Ok(exit)
    }
}
