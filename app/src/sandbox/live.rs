//! What a command prints, handed on while it runs to one who looks on.
//!
//! Who looks on slowly holds the command up, as a full pipe does, until the command is over: what it had printed by then is
//! handed on without waiting, so that nobody who looks on keeps a command from having ended.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much may wait to be looked at while the command runs, in bytes.
const WAITING_BYTES_MAX: u32 = 1 << 20;
/// How much more may wait once it is over: what was on its way, in pipes and sockets.
const REST_BYTES_MAX: u32 = 8 << 20;
/// What a piece counts at least, in bytes, for it has its own cost.
const PIECE_BYTES_MIN: u32 = 256;

/// The side of the executor.
#[derive(Clone)]
pub struct Live {
    pieces: UnboundedSender<Piece>,
    /// In bytes.
    room: Arc<Semaphore>,
}

/// The side of the one who looks on. Dropping it ends nothing: what is printed then is lost.
pub struct Shown(UnboundedReceiver<Piece>);

/// Some output, and the room that it takes until it was looked at.
struct Piece {
    bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// Makes both sides.
pub fn live() -> (Live, Shown) {
    let (pieces, shown) = unbounded_channel();
    (Live { pieces, room: Arc::new(Semaphore::new(WAITING_BYTES_MAX as usize)) }, Shown(shown))
}

impl Live {
    /// Hands on what was printed, when there is room for it.
    pub(super) async fn push(&self, bytes: &[u8]) {
        for part in bytes.chunks(WAITING_BYTES_MAX as usize) {
            let n_bytes = u32::try_from(part.len()).unwrap_or(WAITING_BYTES_MAX).max(PIECE_BYTES_MIN);
            let room = Arc::clone(&self.room).acquire_many_owned(n_bytes);
            let room = tokio::select! {
                biased;
                // Nobody looks on any more, so nobody is waited for.
                () = self.pieces.closed() => return,
                room = room => room.ok(),
            };
            let _ = self.pieces.send(Piece { bytes: Bytes::copy_from_slice(part), _room: room });
        }
    }

    /// Says that the command is over, so that what is left has room.
    pub(super) fn finish(&self) {
        self.room.add_permits(REST_BYTES_MAX as usize);
    }
}

impl Shown {
    /// What was printed next; `None` when nothing more comes.
    pub async fn next(&mut self) -> Option<Bytes> {
        Some(self.0.recv().await?.bytes)
    }
}

#[cfg(test)]
mod tests;
