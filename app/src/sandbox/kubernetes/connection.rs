//! The standard input and output of one program in a Pod, as one stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use kube::api::AttachedProcess;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, SimplexStream, WriteHalf};
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
    /// What the program, or the cluster in its place, complains of.
    complaint: JoinHandle<String>,
    _process: AttachedProcess,
}

impl Connection {
    pub(super) fn new(mut process: AttachedProcess) -> io::Result<Connection> {
        let (Some(input), Some(output), Some(errors)) = (process.stdin(), process.stdout(), process.stderr()) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let ended = process.take_status();
        let complaint = tokio::spawn(async move {
            // Read to its end, or the connection would stand still once its buffer is full.
            let kept = Kept::tail(ERRORS_BYTES_MAX).0.read(errors).await;
            let text = kept.map(|kept| String::from_utf8_lossy(&kept.into_parts().0).into_owned()).unwrap_or_default();
            let status = match ended {
                Some(ended) => ended.await.and_then(|status| status.message),
                None => None,
            };
            let all: Vec<String> = [Some(text), status].into_iter().flatten().filter(|text| !text.trim().is_empty()).collect();
            shortened(all.join("; ").trim())
        });
        Ok(Connection { input, output, complaint, _process: process })
    }

    /// What was complained of, once the program has ended.
    pub(super) async fn complaint(&mut self) -> String {
        match timeout(COMPLAINT_TIMEOUT, &mut self.complaint).await {
            Ok(Ok(text)) => text,
            Ok(Err(_)) | Err(_) => String::new(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.complaint.abort();
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}
