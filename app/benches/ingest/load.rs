//! A load of signed webhooks over connections that stay open: plain HTTP/1.1, one request at a time on each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::payloads::Payload;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// Makes every delivery's name one of its own.
static N_SENT: AtomicU64 = AtomicU64::new(0);

/// What to send where.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) n_connections: usize,
    pub(crate) n_requests: usize,
    pub(crate) time_max: Duration,
    /// How the answer begins where a delivery was taken.
    pub(crate) taken: &'static str,
}

/// How long each answer took, shortest first, and all of them together.
pub(crate) struct Measured {
    latencies: Vec<Duration>,
    elapsed: Duration,
}

impl Measured {
    pub(crate) fn n_accepted(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        let index = (self.latencies.len() as f64 * quantile) as usize;
        self.latencies.get(index.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

impl Load {
    /// Opens the connections, then sends until the requests or the time are used up. Any other answer than that it was taken is an error.
    pub(crate) async fn run(self, payloads: Arc<Vec<Payload>>) -> anyhow::Result<Measured> {
        let mut connections = Vec::with_capacity(self.n_connections);
        for _ in 0..self.n_connections {
            let connection = TcpStream::connect(self.address).await.context("connecting to the server")?;
            connection.set_nodelay(true)?;
            connections.push(connection);
        }
        let (n_taken, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
        let mut tasks = JoinSet::new();
        for connection in connections {
            let (n_taken, payloads) = (Arc::clone(&n_taken), Arc::clone(&payloads));
            tasks.spawn(async move { self.send_over(connection, &n_taken, begun, &payloads).await });
        }
        let mut latencies = Vec::with_capacity(self.n_requests);
        while let Some(sent) = tasks.join_next().await {
            latencies.extend(sent??);
        }
        let elapsed = begun.elapsed();
        latencies.sort_unstable();
        Ok(Measured { latencies, elapsed })
    }

    async fn send_over(
        self,
        mut connection: TcpStream,
        n_taken: &AtomicUsize,
        begun: Instant,
        payloads: &[Payload],
    ) -> anyhow::Result<Vec<Duration>> {
        let (mut latencies, mut request, mut answer) = (Vec::new(), Vec::new(), vec![0; ANSWER_BYTES_MAX]);
        while begun.elapsed() < self.time_max {
            let number = n_taken.fetch_add(1, Ordering::Relaxed);
            if number >= self.n_requests {
                break;
            }
            write_request(&mut request, &payloads[number % payloads.len()]);
            let sent = Instant::now();
            connection.write_all(&request).await.context("sending a delivery")?;
            read_taken(&mut connection, &mut answer, self.taken).await?;
            latencies.push(sent.elapsed());
        }
        Ok(latencies)
    }
}

fn write_request(request: &mut Vec<u8>, payload: &Payload) {
    let name = N_SENT.fetch_add(1, Ordering::Relaxed);
    let head = format!(
        "POST /webhooks/github HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: */*\r\nuser-agent: GitHub-Hookshot/7265686\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nx-github-event: {}\r\n\
         x-github-delivery: {:08x}-7265-11ee-8e68-{name:012x}\r\nx-hub-signature-256: {}\r\n\r\n",
        payload.body.len(),
        payload.event,
        // GitHub's names are not in order either.
        name.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32,
        payload.signature,
    );
    request.clear();
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(&payload.body);
}

/// Reads one whole answer, which must begin so.
async fn read_taken(connection: &mut TcpStream, answer: &mut [u8], taken: &str) -> anyhow::Result<()> {
    let mut n_read = 0;
    loop {
        let n = connection.read(&mut answer[n_read..]).await.context("reading an answer")?;
        ensure!(n > 0, "the server hung up, or its answer is longer than {ANSWER_BYTES_MAX} bytes");
        n_read += n;
        let text = std::str::from_utf8(&answer[..n_read]).context("reading an answer")?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if !head.starts_with(taken) {
            bail!("a delivery was answered with {text}");
        }
        let field = |name: &str| {
            head.lines().filter_map(|line| line.split_once(": ")).find(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        let is_whole = match field("content-length") {
            Some((_, length)) => body.len() >= length.parse::<usize>()?,
            None => body.ends_with("0\r\n\r\n"),
        };
        if is_whole {
            return Ok(());
        }
    }
}
