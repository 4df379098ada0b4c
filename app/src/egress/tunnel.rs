//! A tunnel: whether what begins in it is TLS for the host that was asked for, and then bytes both ways, counted.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::egress::log::Exchange;
use crate::egress::meter::{Count, Direction, Meter};
use crate::egress::name::HostName;
use crate::egress::rules::Denial;

/// The longest greeting of a TLS client, in bytes; a record has at most 16 KiB.
const HELLO_BYTES_MAX: usize = 32 * 1024;
/// How much is copied at once.
const PIECE_BYTES: usize = 16 * 1024;
/// The first byte of TLS.
const HANDSHAKE: u8 = 0x16;

/// Reads a TLS client's greeting and returns it, if it asks for the host that the tunnel is for.
pub(super) async fn greeting(inner: &mut (impl AsyncRead + Unpin), name: &HostName, idle: Duration) -> Result<Vec<u8>, Denial> {
    let mut acceptor = Acceptor::default();
    let mut hello = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = timeout(idle, inner.read(&mut piece)).await.map_err(|_| refused("nothing came through the tunnel"))?;
        let n_bytes = read.map_err(|_| refused("the tunnel broke off"))?;
        if n_bytes == 0 {
            return Err(refused("the tunnel was closed before anything was said in it"));
        }
        hello.extend_from_slice(&piece[..n_bytes]);
        if hello[0] != HANDSHAKE {
            return Err(refused("only TLS goes through a tunnel"));
        }
        if hello.len() > HELLO_BYTES_MAX {
            return Err(refused("the TLS greeting is too long"));
        }
        let mut unread = &piece[..n_bytes];
        while !unread.is_empty() {
            let n_read = acceptor.read_tls(&mut unread).map_err(|_| refused("the TLS greeting cannot be read"))?;
            let accepted = acceptor.accept().map_err(|_| refused("the TLS greeting cannot be read"))?;
            if let Some(accepted) = accepted {
                return match accepted.client_hello().server_name().map(HostName::parse) {
                    Some(Ok(asked)) if asked == *name => Ok(hello),
                    Some(_) => Err(refused("the TLS greeting asks for another host than the tunnel is for")),
                    None => Err(refused("the TLS greeting names no host")),
                };
            }
            if n_read == 0 {
                return Err(refused("the TLS greeting cannot be read"));
            }
        }
    }
}

fn refused(reason: &str) -> Denial {
    Denial::forbidden(reason, "A tunnel leads to the TLS server of its own host and nowhere else.")
}

/// Carries both directions to their ends, beginning with what was read already.
pub(super) async fn carry(
    inner: impl AsyncRead + AsyncWrite + Unpin,
    outer: impl AsyncRead + AsyncWrite + Unpin,
    hello: &[u8],
    meter: &Meter,
    idle: Duration,
    exchange: &mut Exchange,
) {
    let count = exchange.count.clone();
    let pulse = Pulse { started: Instant::now(), last_ms: AtomicU64::new(0) };
    let (inner_read, inner_write) = tokio::io::split(inner);
    let (outer_read, outer_write) = tokio::io::split(outer);
    let up = one_way(hello, inner_read, outer_write, Way { meter, direction: Direction::Up, count: &count, pulse: &pulse });
    let down = one_way(&[], outer_read, inner_write, Way { meter, direction: Direction::Down, count: &count, pulse: &pulse });
    let ended = tokio::select! {
        ended = async { tokio::try_join!(up, down) } => ended.map(drop),
        () = pulse.stops(idle) => Err(End::Cut("nothing moved in it for too long".to_owned())),
    };
    // That one side hung up is how most tunnels end.
    if let Err(End::Cut(reason)) = ended {
        exchange.cut(&reason);
    }
}

struct Way<'a> {
    meter: &'a Meter,
    direction: Direction,
    count: &'a Count,
    pulse: &'a Pulse,
}

/// Why a direction ended before its end.
enum End {
    Broken,
    Cut(String),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

async fn one_way(
    first: &[u8],
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way<'_>,
) -> Result<(), End> {
    let mut piece = first.to_vec();
    loop {
        if !piece.is_empty() {
            way.meter.take(way.direction, piece.len(), way.count).map_err(|denial| End::Cut(denial.reason))?;
            to.write_all(&piece).await?;
            to.flush().await?;
            way.pulse.beat();
        }
        piece.resize(PIECE_BYTES, 0);
        let n_bytes = from.read(&mut piece).await?;
        if n_bytes == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        piece.truncate(n_bytes);
    }
}

/// When something last moved.
struct Pulse {
    started: Instant,
    last_ms: AtomicU64,
}

impl Pulse {
    fn beat(&self) {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Returns when nothing has moved for so long.
    async fn stops(&self, idle: Duration) {
        loop {
            let due = self.started + Duration::from_millis(self.last_ms.load(Ordering::Relaxed)) + idle;
            if Instant::now() >= due {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }
}
