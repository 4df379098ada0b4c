//! The standard input and output of one program in a Pod, as one stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::AttachedProcess;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, ReadHalf, SimplexStream, WriteHalf};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::sandbox::kubernetes::cluster::shortened;
use crate::sandbox::output::Kept;

/// How much of the end of standard error is kept, in bytes.
const ERRORS_BYTES_MAX: usize = 4 * 1024;
/// How long the cluster may take to say why a program has ended.
const COMPLAINT_TIMEOUT: Duration = Duration::from_secs(5);

/// A program in a Pod. Dropping this ends the connection, which the program sees as the end of its input.
pub(super) struct Connection {
    input: WriteHalf<SimplexStream>,
    output: ReadHalf<SimplexStream>,
    /// Ends with the connection, however that ends: the other two then only stand still.
    end: JoinHandle<String>,
    /// What the program, or the cluster in its place, complained of; there once the connection has ended.
    complaint: Option<String>,
    _process: AttachedProcess,
}

impl Connection {
    pub(super) fn new(mut process: AttachedProcess) -> io::Result<Connection> {
        let streams = (process.stdin(), process.stdout(), process.stderr(), process.take_status());
        let (Some(input), Some(output), Some(errors), Some(status)) = streams else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let end = tokio::spawn(complaint(errors, status));
        Ok(Connection { input, output, end, complaint: None, _process: process })
    }

    /// What was complained of, once the connection has ended.
    pub(super) async fn complaint(&mut self) -> String {
        // Without an answer there is less to tell.
        let _ = timeout(COMPLAINT_TIMEOUT, std::future::poll_fn(|context| self.poll_end(context))).await;
        self.complaint.clone().unwrap_or_default()
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.complaint.is_none() {
            let said = std::task::ready!(Pin::new(&mut self.end).poll(context));
            self.complaint = Some(said.unwrap_or_default());
        }
        Poll::Ready(())
    }
}

/// Reads standard error, or the connection would stand still once its buffer is full, until the connection ends.
async fn complaint(mut errors: ReadHalf<SimplexStream>, status: impl Future<Output = Option<Status>>) -> String {
    let mut kept = Kept::tail(ERRORS_BYTES_MAX).0;
    let mut status = std::pin::pin!(status);
    let mut chunk = [0; ERRORS_BYTES_MAX];
    let mut is_open = true;
    let status = loop {
        tokio::select! {
            biased;
            read = errors.read(&mut chunk), if is_open => match read {
                Ok(n_bytes @ 1..) => kept.push(&chunk[..n_bytes]),
                Ok(_) | Err(_) => is_open = false,
            },
            status = &mut status => break status,
        }
    };
    let said = String::from_utf8_lossy(&kept.into_parts().0).into_owned();
    let message = status.and_then(|status| status.message).unwrap_or_default();
    let all: Vec<&str> = [said.trim(), message.trim()].into_iter().filter(|text| !text.is_empty()).collect();
    shortened(&all.join("; "))
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end.abort();
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // What has come before the end is read first; behind it nothing more comes, not even an end.
        if let read @ Poll::Ready(_) = Pin::new(&mut self.output).poll_read(context, buffer) {
            return read;
        }
        std::task::ready!(self.poll_end(context));
        match Pin::new(&mut self.output).poll_read(context, buffer) {
            Poll::Pending => Poll::Ready(Ok(())),
            read => read,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.poll_end(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Poll::Pending => Pin::new(&mut self.input).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}
