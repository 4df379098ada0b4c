//! What a process says over a connection, whichever sandbox it is in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::OwnedReadHalf;

/// What a process prints, or a launcher says. One that ends before it has read all its input resets the connection, behind
/// everything that it wrote: that is an end like any other.
pub(super) struct Printed(pub(super) OwnedReadHalf);

impl AsyncRead for Printed {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(context, buffer) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => Poll::Ready(Ok(())),
            polled => polled,
        }
    }
}
