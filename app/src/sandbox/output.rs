//! Output of any length in bounded memory: the head and the tail are kept, the middle is counted.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::sandbox::live::Live;

const CHUNK_BYTES: usize = 64 * 1024;

/// What is kept of one stream.
pub(super) struct Kept {
    head: Vec<u8>,
    head_bytes_max: usize,
    tail: VecDeque<u8>,
    tail_bytes_max: usize,
    omitted_bytes: u64,
    /// How much is read at all; what comes after is an end.
    read_bytes_max: u64,
    read_bytes: u64,
    shown: Option<Tail>,
}

/// The end of a stream that is still being read.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<Vec<u8>>>);

impl Tail {
    /// The text so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Kept {
    pub(super) fn new(bytes_max: usize) -> Kept {
        let head_bytes_max = bytes_max / 2;
        let tail_bytes_max = bytes_max - head_bytes_max;
        Kept {
            head: Vec::new(),
            head_bytes_max,
            tail: VecDeque::new(),
            tail_bytes_max,
            omitted_bytes: 0,
            read_bytes_max: u64::MAX,
            read_bytes: 0,
            shown: None,
        }
    }

    /// Keeps the tail alone, which can be looked at meanwhile.
    pub(super) fn tail(bytes_max: usize) -> (Kept, Tail) {
        let tail = Tail::default();
        let kept = Kept { head_bytes_max: 0, tail_bytes_max: bytes_max, shown: Some(tail.clone()), ..Kept::new(0) };
        (kept, tail)
    }

    /// Reads no more than this, and one chunk over it.
    pub(super) fn at_most(self, bytes: u64) -> Kept {
        Kept { read_bytes_max: bytes, ..self }
    }

    /// Whether there was more than may be read.
    pub(super) fn is_over(&self) -> bool {
        self.read_bytes > self.read_bytes_max
    }

    /// Reads a stream to its end, or until there is more than may be read.
    pub(super) async fn read(self, stream: impl AsyncRead + Unpin) -> io::Result<Kept> {
        self.read_live(stream, None).await
    }

    /// Reads a stream likewise, and hands on all of it.
    pub(super) async fn read_live(mut self, mut stream: impl AsyncRead + Unpin, live: Option<&Live>) -> io::Result<Kept> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match stream.read(&mut chunk).await? {
                0 => return Ok(self),
                n_bytes => {
                    self.push(&chunk[..n_bytes]);
                    if let Some(live) = live {
                        live.push(&chunk[..n_bytes]).await;
                    }
                    self.read_bytes += n_bytes as u64;
                    if self.is_over() {
                        return Ok(self);
                    }
                }
            }
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_bytes_max - self.head.len()));
        self.head.extend_from_slice(head);
        let skipped = rest.len().saturating_sub(self.tail_bytes_max);
        let rest = &rest[skipped..];
        let pushed_out = (self.tail.len() + rest.len()).saturating_sub(self.tail_bytes_max);
        self.tail.drain(..pushed_out);
        self.tail.extend(rest);
        self.omitted_bytes += (skipped + pushed_out) as u64;
        if let Some(shown) = &self.shown {
            *shown.0.lock().unwrap_or_else(PoisonError::into_inner) = self.tail.iter().copied().collect();
        }
    }

    /// Returns head and tail as one, and how many bytes were between them.
    pub(super) fn into_parts(mut self) -> (Vec<u8>, u64) {
        let (first, second) = self.tail.as_slices();
        self.head.extend_from_slice(first);
        self.head.extend_from_slice(second);
        (self.head, self.omitted_bytes)
    }
}

#[cfg(test)]
mod tests;
