//! The way out of a setup's Pod, which itself reaches nothing: connections to a port of its loopback come out over a program
//! that was started in it, and lead to the proxy's socket here.
//!
//! The program is our own, beside the files and not beside the commands: a Pod's containers share their loopback and nothing
//! else of it, so no command can end it or be it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::sandbox::kubernetes::cluster::Cluster;
use crate::sandbox::kubernetes::connection::Connection;
use crate::sandbox::kubernetes::life::Life;
use crate::sandbox::kubernetes::pod::FILES;
use crate::sandbox::{Refusal, relay};

/// How long the program in the Pod may take until it listens.
const GREETING_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a stream that was cut is begun again, in all and in a row, and the first pause in such a row; it doubles.
const STREAMS_MAX: u32 = 1000;
const TRIES_MAX: u32 = 6;
const TRY_PAUSE: Duration = Duration::from_millis(100);

/// A way out that is kept open. Dropping it closes it, and the program in the Pod ends.
pub(super) struct WayOut {
    keeping: JoinHandle<()>,
}

impl Drop for WayOut {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl WayOut {
    /// Opens the way from a Pod to a Unix socket of this machine; it can be used when this returns.
    pub(super) async fn open(life: &Life, program: &str, socket: &Path) -> Result<WayOut, Refusal> {
        let end = End {
            cluster: Arc::clone(&life.cluster),
            pod: life.name.clone(),
            command: [program, "in-pod", "relay"].map(str::to_owned).to_vec(),
            socket: socket.to_owned(),
        };
        let stream = end.stream().await?;
        Ok(WayOut { keeping: tokio::spawn(async move { end.keep(stream).await }) })
    }
}

/// What one way out leads from and to.
struct End {
    cluster: Arc<Cluster>,
    pod: String,
    command: Vec<String>,
    socket: PathBuf,
}

impl End {
    async fn keep(&self, mut stream: Connection) {
        for _ in 0..STREAMS_MAX {
            let ended = relay::follow(stream, &self.socket).await;
            let why = ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
            tracing::debug!(pod = self.pod, "the way out of Pod {} was cut: {why}", self.pod);
            stream = match self.again().await {
                Ok(stream) => stream,
                Err(refusal) => {
                    tracing::warn!(pod = self.pod, "the setup in Pod {} reaches nothing any more: {refusal}", self.pod);
                    return;
                }
            };
        }
        tracing::warn!(pod = self.pod, "the setup in Pod {} reaches nothing any more: its way out was cut too often", self.pod);
    }

    /// Begins again. What is left of the cut stream may hold the port a little longer.
    async fn again(&self) -> Result<Connection, Refusal> {
        let mut pause = TRY_PAUSE;
        for _ in 1..TRIES_MAX {
            sleep(pause).await;
            if let Ok(stream) = self.stream().await {
                return Ok(stream);
            }
            pause *= 2;
        }
        sleep(pause).await;
        self.stream().await
    }

    /// A stream whose other end listens.
    async fn stream(&self) -> Result<Connection, Refusal> {
        let mut stream = self.cluster.execute(&self.pod, FILES, self.command.clone()).await?;
        let why = match timeout(GREETING_TIMEOUT, stream.read_u8()).await {
            Ok(Ok(relay::READY)) => return Ok(stream),
            Ok(Ok(_)) => "it says something else".to_owned(),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => stream.complaint().await,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it does not listen within {} seconds", GREETING_TIMEOUT.as_secs()),
        };
        Err(Refusal {
            missing: format!("a way out of Pod `{}`: `{}`: {why}", self.pod, self.command.join(" ")),
            remedy:
                "use a launcher image of this version (`patchwright --version`), and look whether something that the cluster \
                     adds to the Pods listens there"
                    .to_owned(),
        })
    }
}
