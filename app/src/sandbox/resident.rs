//! The connection to the resident launcher of one container or Pod, and one task over it.

use std::io;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::resident::orders::{FRAME_BYTES_MAX, OUTPUT, Order, REPORT, Report, Task};
use patchwright_launcher::status;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::sandbox::live::Live;
use crate::sandbox::output::Kept;
use crate::sandbox::signals;
use crate::sandbox::{Output, Refusal, SandboxError};

/// How long the launcher may take to end everything and to say so.
pub(super) const KILL_TIMEOUT: Duration = Duration::from_secs(30);
/// A frame's kind and length.
const HEADER_BYTES: usize = 5;

/// What comes from the launcher.
pub(super) enum Frame {
    /// What the command printed.
    Output(Bytes),
    /// What the launcher says.
    Report(Report),
}

/// What carries the connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A connection to the launcher.
pub(super) struct Session {
    stream: Box<dyn Stream>,
    received: BytesMut,
}

impl Session {
    pub(super) fn new(stream: impl Stream + 'static) -> Session {
        Session { stream: Box::new(stream), received: BytesMut::new() }
    }

    pub(super) async fn order(&mut self, order: &Order) -> io::Result<()> {
        self.stream.write_all(&order.frame()?).await?;
        self.stream.flush().await
    }

    /// The next frame; one of which only a part has come stays for the next call, however this one ends.
    pub(super) async fn next(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.parse()? {
                return Ok(frame);
            }
            self.received.reserve(HEADER_BYTES + FRAME_BYTES_MAX as usize);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn parse(&mut self) -> io::Result<Option<Frame>> {
        let Some((kind, length)) = self.received.split_at_checked(HEADER_BYTES).map(|(header, _)| {
            let length = [header[1], header[2], header[3], header[4]];
            (header[0], u32::from_be_bytes(length))
        }) else {
            return Ok(None);
        };
        if length > FRAME_BYTES_MAX || !matches!(kind, OUTPUT | REPORT) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the launcher says what is no frame"));
        }
        if self.received.len() < HEADER_BYTES + length as usize {
            return Ok(None);
        }
        self.received.advance(HEADER_BYTES);
        let content = self.received.split_to(length as usize).freeze();
        Ok(Some(if kind == OUTPUT { Frame::Output(content) } else { Frame::Report(serde_json::from_slice(&content)?) }))
    }
}

/// What one run of a task may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Until it is asked to end.
    pub(super) time: Duration,
    /// From there until it is killed.
    pub(super) grace: Duration,
    /// What of its output is kept, in bytes.
    pub(super) kept_bytes_max: usize,
    /// What it may print before it is killed, in bytes.
    pub(super) output_bytes_max: u64,
}

/// How a task was ended by us, if it was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Asked,
    Killed,
}

/// Runs one task to its end; no process of it is left when this returns. What it prints is handed on meanwhile where somebody
/// looks on.
pub(super) async fn run(
    session: &mut Session,
    task: Task,
    patience: Patience,
    live: Option<&Live>,
) -> Result<Output, SandboxError> {
    let started = Instant::now();
    let broken = |source| machine("keeping the container up", source);
    session.order(&Order::Run(Box::new(task))).await.map_err(broken)?;
    let mut kept = Kept::new(patience.kept_bytes_max);
    let (mut n_bytes, mut stage, mut ours) = (0_u64, Stage::Running, None);
    let mut wait_until = tokio::time::Instant::now() + patience.time;
    let mut shown = None;
    let report = loop {
        let Ok(frame) = tokio::time::timeout_at(wait_until, next(session, live, &mut shown)).await else {
            ours = ours.or(Some(Exit::TimedOut));
            let (order, next, pause) = match stage {
                Stage::Running => (Order::Terminate, Stage::Asked, patience.grace),
                Stage::Asked => (Order::Kill, Stage::Killed, KILL_TIMEOUT),
                Stage::Killed => return Err(machine("ending the command", io::ErrorKind::TimedOut.into())),
            };
            session.order(&order).await.map_err(broken)?;
            if next == Stage::Killed {
                live.into_iter().for_each(Live::finish);
            }
            (stage, wait_until) = (next, tokio::time::Instant::now() + pause);
            continue;
        };
        match frame.map_err(broken)? {
            Frame::Output(bytes) => {
                kept.push(&bytes);
                n_bytes += bytes.len() as u64;
                shown = Some(bytes);
                if n_bytes > patience.output_bytes_max && stage != Stage::Killed {
                    ours = ours.or(Some(Exit::Exceeded(Limit::Output)));
                    session.order(&Order::Kill).await.map_err(broken)?;
                    live.into_iter().for_each(Live::finish);
                    (stage, wait_until) = (Stage::Killed, tokio::time::Instant::now() + KILL_TIMEOUT);
                }
            }
            Frame::Report(Report::Ready { .. } | Report::Started) => {}
            Frame::Report(report) => break report,
        }
    };
    let exit = ended(report)?;
    let (output, omitted_bytes) = kept.into_parts();
    Ok(Output { exit: ours.unwrap_or(exit), output, omitted_bytes, duration: started.elapsed() })
}

/// The next frame, once what came before is handed on; what could not be, for its time was over, is the next time.
async fn next(session: &mut Session, live: Option<&Live>, shown: &mut Option<Bytes>) -> io::Result<Frame> {
    if let (Some(live), Some(bytes)) = (live, shown.as_ref()) {
        live.push(bytes).await;
    }
    *shown = None;
    session.next().await
}

/// How a task ended, by the launcher's last word about it.
pub(super) fn ended(report: Report) -> Result<Exit, SandboxError> {
    match report {
        Report::Ended { code: Some(0), .. } => Ok(Exit::Code(0)),
        Report::Ended { exceeded: Some(limit), .. } => Ok(Exit::Exceeded(match limit {
            status::Limit::Cpu => Limit::Cpu,
            status::Limit::Memory => Limit::Memory,
            status::Limit::Disk => Limit::Disk,
            status::Limit::Files => Limit::Files,
        })),
        Report::Ended { signal: Some(signal), .. } => Ok(signals::end(signal)),
        Report::Ended { code, signal: None, .. } => Ok(Exit::Code(code.unwrap_or(255))),
        Report::Refused { missing, remedy } => Err(Refusal { missing, remedy }.into()),
        Report::Ready { .. } | Report::Started => Err(machine("running a command", io::ErrorKind::InvalidData.into())),
    }
}

/// Waits for the launcher's first word, which is what its kernel calls itself.
pub(super) async fn greet(session: &mut Session, time: Duration) -> io::Result<String> {
    match timeout(time, session.next()).await {
        Ok(Ok(Frame::Report(Report::Ready { kernel }))) => Ok(kernel),
        Ok(Ok(Frame::Report(Report::Refused { missing, .. }))) => Err(io::Error::other(missing)),
        Ok(Ok(Frame::Output(_) | Frame::Report(_))) => Err(io::ErrorKind::InvalidData.into()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

pub(super) fn machine(context: &str, source: io::Error) -> SandboxError {
    SandboxError::Machine { context: context.to_owned(), source }
}
