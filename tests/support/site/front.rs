//! What stands before the server, as a balancer does: one address for GitHub, whichever process is behind it.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A front; it is gone when it is dropped.
pub(crate) struct Front {
    /// Where it is, as host and port.
    pub(crate) address: SocketAddr,
    behind: watch::Sender<Option<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Front {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (behind, server) = watch::channel(None);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(lead(connection, server.clone()));
            }
        });
        Self { address, behind, task }
    }

    /// Leads there from now on; to nobody, whoever comes waits.
    pub(crate) fn lead_to(&self, server: Option<SocketAddr>) {
        self.behind.send_replace(server);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Leads one connection to the server, and breaks it where that breaks.
async fn lead(mut connection: TcpStream, mut server: watch::Receiver<Option<SocketAddr>>) {
    let Ok(address) = server.wait_for(Option::is_some).await.map(|address| address.expect("it was waited for")) else { return };
    if let Ok(mut server) = TcpStream::connect(address).await {
        // However it ends, both sides are closed then.
        let _ = copy_bidirectional(&mut connection, &mut server).await;
    }
}
