use std::time::Duration;

use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

/// How long something may take that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Both ends over one stream: where to connect inside, and who listens outside.
struct Way {
    inside: std::net::SocketAddr,
    outside: UnixListener,
    ends: [JoinHandle<io::Result<()>>; 2],
    _folder: tempfile::TempDir,
}

impl Way {
    async fn open() -> Way {
        let (inner, outer) = tokio::io::duplex(8 << 10);
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let outside = UnixListener::bind(&socket).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let inside = listener.local_addr().unwrap();
        let ends = [
            tokio::spawn(async move { lead(&listener, inner).await }),
            tokio::spawn(async move { follow(greeted(outer).await, &socket).await }),
        ];
        Way { inside, outside, ends, _folder: folder }
    }

    /// A connection over which one byte has gone: none comes out before.
    async fn connected(&self) -> (TcpStream, UnixStream) {
        let connecting = async {
            let mut inner = TcpStream::connect(self.inside).await.unwrap();
            inner.write_all(b"!").await.unwrap();
            let mut outer = self.outside.accept().await.unwrap().0;
            outer.read_exact(&mut [0]).await.unwrap();
            (inner, outer)
        };
        timeout(PATIENCE, connecting).await.unwrap()
    }
}

async fn greeted(mut stream: DuplexStream) -> DuplexStream {
    assert_eq!(stream.read_u8().await.unwrap(), READY);
    stream
}

async fn all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut read)).await.unwrap().unwrap();
    read
}

#[tokio::test]
async fn the_end_of_a_question_is_heard_and_the_answer_still_comes() {
    let way = Way::open().await;
    let (mut inner, mut outer) = way.connected().await;
    inner.write_all(b"question").await.unwrap();
    inner.shutdown().await.unwrap();
    assert_eq!(all(&mut outer).await, "question");
    outer.write_all(b"answer").await.unwrap();
    drop(outer);
    assert_eq!(all(&mut inner).await, "answer");
}

#[tokio::test]
async fn a_connection_that_is_closed_outside_is_closed_inside() {
    let way = Way::open().await;
    let (mut inner, outer) = way.connected().await;
    drop(outer);
    assert_eq!(all(&mut inner).await, "");
}

#[tokio::test]
async fn one_connection_that_nobody_reads_does_not_hold_up_another() {
    let way = Way::open().await;
    let ((mut full, unread), (mut inner, mut outer)) = (way.connected().await, way.connected().await);
    // More than all that lies between the two ends can hold.
    let flood = tokio::spawn(async move { full.write_all(&vec![b'x'; 32 << 20]).await });
    inner.write_all(b"question").await.unwrap();
    inner.shutdown().await.unwrap();
    assert_eq!(all(&mut outer).await, "question");
    assert!(!flood.is_finished());
    drop(unread);
    flood.abort();
}

#[tokio::test]
async fn a_connection_over_the_bound_waits_until_another_has_ended() {
    let way = Way::open().await;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        open.push(way.connected().await);
    }
    let mut further = TcpStream::connect(way.inside).await.unwrap();
    further.write_all(b"question").await.unwrap();
    further.shutdown().await.unwrap();
    // All that the ends can do now they have done once this has gone both ways.
    let (inner, outer) = open.last_mut().unwrap();
    inner.write_all(b"ping").await.unwrap();
    timeout(PATIENCE, outer.read_exact(&mut [0; 4])).await.unwrap().unwrap();
    let more = std::future::poll_fn(|context| Poll::Ready(way.outside.poll_accept(context).is_ready())).await;
    assert!(!more);
    open.pop();
    let mut outer = timeout(PATIENCE, way.outside.accept()).await.unwrap().unwrap().0;
    assert_eq!(all(&mut outer).await, "question");
}

#[tokio::test]
async fn either_end_ends_with_the_stream_and_so_do_its_connections() {
    let way = Way::open().await;
    let (mut inner, mut outer) = way.connected().await;
    let Way { ends: [inside, outside], .. } = way;
    outside.abort();
    assert!(timeout(PATIENCE, inside).await.unwrap().is_ok());
    assert_eq!(all(&mut outer).await, "");
    // Broken off, as whoever asks must know that there is no more of the answer.
    let mut rest = String::new();
    let _ = timeout(PATIENCE, inner.read_to_string(&mut rest)).await.unwrap();
    assert_eq!(rest, "");
}

#[tokio::test]
async fn a_peer_that_talks_something_else_ends_the_stream() {
    let (mut peer, outer) = tokio::io::duplex(8 << 10);
    peer.write_all(&[0xff; 4096]).await.unwrap();
    let ended = timeout(PATIENCE, follow(outer, Path::new("/nowhere"))).await.unwrap();
    assert!(ended.is_err());
}
