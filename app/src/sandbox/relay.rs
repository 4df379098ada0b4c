//! The relay: connections to a port inside that come out over one stream, each to a Unix socket outside.
//!
//! Its inner end runs where no process of a command is and listens on the loopback that it shares with commands; the outer
//! end is in the server. Between them is one stream, such as the standard input and output of a program in a Pod, in which
//! yamux keeps the connections apart and holds back whoever sends faster than is read. It knows nothing of what is said, but
//! whoever connects has to speak first: a connection comes out with its first byte.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::compat::{FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};
use yamux::{Config, Connection, ConnectionError, DEFAULT_CREDIT, Mode};

use crate::sandbox::OUTLET_PORT;

/// What the inner end says first, once it listens.
pub(super) const READY: u8 = b'r';

/// How long an earlier inner end may take to be gone once it is killed.
const END_TIMEOUT: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Connections at a time; a further one waits in the kernel's queue inside.
const CONNECTIONS_MAX: usize = 64;
/// The same as the outer end sees it, where the end of one may be noticed after the beginning of the next; one more is closed.
const CONNECTIONS_OUTSIDE_MAX: usize = 2 * CONNECTIONS_MAX;
/// The most that either end knows of, with those whose end is still on its way; one more ends the stream.
const STREAMS_MAX: usize = 2 * CONNECTIONS_OUTSIDE_MAX;

/// What may be on its way is what each connection may have at least, so that no peer makes it more.
fn config() -> Config {
    let mut config = Config::default();
    config.set_max_num_streams(STREAMS_MAX);
    config.set_max_connection_receive_window(Some(STREAMS_MAX * DEFAULT_CREDIT as usize));
    config
}

/// Serves as the inner end over standard input and output, until they end.
///
/// # Errors
/// What the system says, such as that the port is taken.
pub fn serve() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let served = runtime.block_on(async {
        end_earlier()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, OUTLET_PORT)).await?;
        // Whatever the node connects them to, pipes or sockets, they can be read and written as files.
        let file = |end: BorrowedFd<'_>| end.try_clone_to_owned().map(|end| File::from_std(end.into()));
        lead(&listener, tokio::io::join(file(io::stdin().as_fd())?, file(io::stdout().as_fd())?)).await
    });
    // A thread of it may be waiting for input.
    runtime.shutdown_background();
    served
}

/// Ends an earlier inner end that has not noticed that nobody is left at its stream: it holds the port.
fn end_earlier() -> io::Result<()> {
    let own = std::fs::read("/proc/self/cmdline")?;
    let ids = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for id in ids.filter(|id| i32::try_from(std::process::id()) != Ok(*id)) {
        let is_another = std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line == own);
        let Some(process) = Pid::from_raw(id).filter(|_| is_another) else { continue };
        // One that has ended meanwhile holds nothing.
        let Ok(process) = pidfd_open(process, PidfdFlags::empty()) else { continue };
        pidfd_send_signal(&process, Signal::KILL)?;
        // A descriptor of a process can be read once it is over.
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&END_TIMEOUT))?;
    }
    Ok(())
}

/// Leads what connects to the listener out over the stream, until that ends.
async fn lead(listener: &TcpListener, mut stream: impl AsyncRead + AsyncWrite + Send + Unpin) -> io::Result<()> {
    stream.write_all(&[READY]).await?;
    stream.flush().await?;
    let mut connection = Connection::new(stream.compat(), config(), Mode::Client);
    let (mut carried, mut waiting) = (JoinSet::new(), None);
    std::future::poll_fn(|context| {
        loop {
            // The stream moves only while this is asked; the outer end opens nothing, and what it opens is dropped.
            match connection.poll_next_inbound(context) {
                Poll::Ready(Some(Ok(_))) => continue,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(ended(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => {}
            }
            reap(&mut carried, context);
            if waiting.is_none() && carried.len() < CONNECTIONS_MAX {
                match listener.poll_accept(context) {
                    Poll::Ready(Ok((inner, _))) => waiting = Some(inner),
                    // Whoever it was has gone again.
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
            }
            let Some(inner) = waiting.take() else { return Poll::Pending };
            match connection.poll_new_outbound(context) {
                Poll::Ready(Ok(outer)) => {
                    // Only what is sent late is lost by this.
                    let _ = inner.set_nodelay(true);
                    carried.spawn(carry(inner, outer.compat()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(ended(error)),
                Poll::Pending => {
                    waiting = Some(inner);
                    return Poll::Pending;
                }
            }
        }
    })
    .await
}

/// Leads what comes over the stream on to the socket, until the stream ends, behind its [`READY`].
pub(super) async fn follow(stream: impl AsyncRead + AsyncWrite + Send + Unpin, socket: &Path) -> io::Result<()> {
    let mut connection = Connection::new(stream.compat(), config(), Mode::Server);
    let mut carried = JoinSet::new();
    loop {
        let next = std::future::poll_fn(|context| {
            reap(&mut carried, context);
            connection.poll_next_inbound(context)
        });
        match next.await {
            Some(Ok(inner)) if carried.len() < CONNECTIONS_OUTSIDE_MAX => {
                let (inner, socket) = (inner.compat(), socket.to_owned());
                carried.spawn(async move {
                    // Where nobody listens any more the connection inside just ends.
                    if let Ok(outer) = UnixStream::connect(socket).await {
                        carry(inner, outer).await;
                    }
                });
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return ended(error),
            None => return Ok(()),
        }
    }
}

fn ended(error: ConnectionError) -> io::Result<()> {
    match error {
        ConnectionError::Closed => Ok(()),
        ConnectionError::Io(error) => Err(error),
        other => Err(io::Error::other(other)),
    }
}

fn reap(carried: &mut JoinSet<()>, context: &mut Context<'_>) {
    while let Poll::Ready(Some(_)) = carried.poll_join_next(context) {}
}

/// Carries both directions. The end of what comes from inside is handed on; the end of what comes from outside is the end of
/// all, for then nobody answers any more.
async fn carry(inner: impl AsyncRead + AsyncWrite + Unpin, outer: impl AsyncRead + AsyncWrite + Unpin) {
    let ((mut inner_reads, mut inner_writes), (mut outer_reads, mut outer_writes)) =
        (tokio::io::split(inner), tokio::io::split(outer));
    let up = async {
        // Either way nothing more comes from there.
        let _ = tokio::io::copy(&mut inner_reads, &mut outer_writes).await;
        let _ = outer_writes.shutdown().await;
        std::future::pending::<()>().await;
    };
    let down = async {
        let _ = tokio::io::copy(&mut outer_reads, &mut inner_writes).await;
        let _ = inner_writes.shutdown().await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

#[cfg(test)]
mod tests;
