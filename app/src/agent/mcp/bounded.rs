//! How much a server may send until its next answer is complete, over a pipe and over HTTP.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse};
use sse_stream::Sse;
use tokio::io::{AsyncRead, ReadBuf};

/// How much a server may send for one answer, in bytes.
pub(super) const BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is left of it.
#[derive(Clone, Debug)]
pub(super) struct Left(Arc<AtomicUsize>);

impl Left {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(BYTES_MAX)))
    }

    /// The next answer is awaited.
    pub(super) fn renew(&self) {
        self.0.store(BYTES_MAX, Ordering::Relaxed);
    }

    /// Whether more was sent than may be.
    pub(super) fn is_used_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Takes what was received; false once it is too much.
    fn take(&self, n_bytes: usize) -> bool {
        let left = self.0.load(Ordering::Relaxed).saturating_sub(n_bytes);
        self.0.store(left, Ordering::Relaxed);
        left > 0
    }
}

/// A pipe that breaks where too much comes through it.
pub(super) struct BoundedRead<R> {
    pub(super) inner: R,
    pub(super) left: Left,
}

impl<R: AsyncRead + Unpin> AsyncRead for BoundedRead<R> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        match polled {
            Poll::Ready(Ok(())) if !self.left.take(buffer.filled().len() - before) => {
                Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()))
            }
            Poll::Ready(_) | Poll::Pending => polled,
        }
    }
}

/// An HTTP client that opens no stream for a server's own messages, and ends one that brings too much.
#[derive(Clone)]
pub(super) struct BoundedClient {
    pub(super) inner: reqwest::Client,
    pub(super) left: Left,
}

type Error = StreamableHttpError<reqwest::Error>;

/// Takes the address out of an error: it is written down, and an address may hold a key.
fn nameless(error: Error) -> Error {
    if let StreamableHttpError::Client(error) = error { StreamableHttpError::Client(error.without_url()) } else { error }
}

impl StreamableHttpClient for BoundedClient {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let posting =
            self.inner.post_message_with_max_sse_event_size(uri, message, session_id, auth_header, custom_headers, BYTES_MAX);
        Ok(match posting.await.map_err(nameless)? {
            StreamableHttpPostResponse::Sse(events, session) => {
                let left = self.left.clone();
                let bounded = events.take_while(move |event| {
                    // An event without data takes some bytes too.
                    let n_bytes = event.as_ref().map_or(0, |event| event.data.as_ref().map_or(0, String::len)) + 1;
                    std::future::ready(left.take(n_bytes))
                });
                StreamableHttpPostResponse::Sse(bounded.boxed(), session)
            }
            response => response,
        })
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Error> {
        self.inner.delete_session(uri, session_id, auth_header, custom_headers).await.map_err(nameless)
    }

    async fn get_stream(
        &self,
        _uri: Arc<str>,
        _session_id: Option<Arc<str>>,
        _last_event_id: Option<String>,
        _auth_header: Option<String>,
        _custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Error> {
        Err(StreamableHttpError::ServerDoesNotSupportSse)
    }
}
