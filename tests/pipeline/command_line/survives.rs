//! What a machine can run out of: the service says so, loses nothing, and goes on by itself when there is some again.

use std::io::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::service::{Outside, PATIENCE, Running};
use crate::support::mounts;
use crate::support::pipeline::post::Post;
use crate::support::pipeline::{ISSUE, MAINTAINER};

/// A store on a disk of its own, which is as large as this.
const DISK: &str = "mkdir store && mount -t tmpfs -o size=2m none store && exec \"$@\"";
/// How many deliveries are sent to fill it at most, and how large each is.
const DELIVERIES_MAX: usize = 2_000;
const DELIVERY_BYTES: usize = 3_000;
/// How many descriptors the service may have, and how many connections try to take them.
const DESCRIPTORS: &str = "ulimit -n 80; exec \"$@\"";
const CONNECTIONS: usize = 160;

/// One connection, on which requests follow each other.
struct Connection(TcpStream);

impl Connection {
    async fn to(running: &Running) -> Self {
        Self(TcpStream::connect(running.host()).await.expect("the service listens"))
    }

    /// Sends a request and gives the answer's head and body, in small letters.
    async fn ask(&mut self, method: &str, path: &str, headers: &[(&str, String)], body: &[u8]) -> String {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: here\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
        let request = [format!("{request}\r\n").as_bytes(), body].concat();
        self.0.write_all(&request).await.expect("the service reads");
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let n_read = self.0.read_buf(&mut answer).await.expect("the service answers");
            assert!(n_read > 0, "the service closes: {}", String::from_utf8_lossy(&answer));
        }
        String::from_utf8_lossy(&answer).to_lowercase()
    }

    async fn get(&mut self, path: &str) -> String {
        self.ask("GET", path, &[], b"").await
    }

    async fn post(&mut self, Post { headers, body }: Post) -> String {
        self.ask("POST", "/webhooks/github", &headers, &body).await
    }
}

/// Whether an answer is there with as much of a body as its head says.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// A delivery that nothing comes of, and that does not get smaller.
fn delivery(number: usize) -> Post {
    let mut rng = fastrand::Rng::with_seed(u64::try_from(number).expect("it is small"));
    let text: String = std::iter::repeat_with(|| rng.alphanumeric()).take(DELIVERY_BYTES).collect();
    Post::signed(&format!("number-{number}"), "ping", format!(r#"{{"zen":"{text}"}}"#))
}

fn has_status(answer: &str, status: u16) -> bool {
    answer.starts_with(&format!("http/1.1 {status} "))
}

/// Waits until people are told that it is proven, and reads what the service says meanwhile.
async fn until_proven(outside: &Outside, running: &mut Running) {
    let told = || {
        let comments = outside.github.comments(outside.repo, ISSUE);
        comments.iter().any(|comment| comment.via_app && comment.body.contains("**Proven.**"))
    };
    let waited = tokio::time::timeout(PATIENCE, async {
        while !told() {
            running.goes_on().await;
        }
    });
    assert!(waited.await.is_ok(), "nobody is told");
}

#[tokio::test]
async fn a_service_whose_disk_is_full_says_so_and_goes_on_when_there_is_room() {
    let Some(unshared) = mounts::own() else { return };
    let outside = Outside::new().await;
    let wrapped = [unshared, &["sh", "-c", DISK, "sh"]].concat();
    let mut running = outside.serve_in(&wrapped, "sqlite:store/store.db").await;
    let mut connection = Connection::to(&running).await;
    assert!(has_status(&connection.get("/readyz").await, 200));
    let place = format!("/proc/{}/root{}/store/other", running.id(), outside.folder.path().display());
    let mut other = std::fs::File::create(&place).expect("the disk is there");
    let chunk = vec![7; 4096];
    let mut accepted = Vec::new();
    let mut unready = None;
    for number in 0..DELIVERIES_MAX {
        // Whoever else writes on this disk takes what is left.
        while other.write_all(&chunk).is_ok() {}
        let answer = connection.post(delivery(number)).await;
        if has_status(&answer, 202) {
            accepted.push(number);
            continue;
        }
        assert!(has_status(&answer, 503) && answer.contains("retry-after: 5"), "{answer}");
        let answer = connection.get("/readyz").await;
        if has_status(&answer, 503) {
            unready = Some(answer);
            break;
        }
    }
    let unready = unready.expect("the disk is full some time");
    assert!(unready.contains("the store cannot be written to; the disk of its database is full"), "{unready}");
    assert!(has_status(&connection.get("/healthz").await, 200));
    std::fs::remove_file(&place).expect("it is there");
    drop(other);
    assert!(has_status(&connection.get("/readyz").await, 200), "it is ready by itself");
    for number in accepted {
        let again = connection.post(delivery(number)).await;
        assert!(has_status(&again, 202) && again.contains(r#""new":false"#), "{number} was accepted: {again}");
    }
    outside.github.comment(outside.repo, ISSUE, MAINTAINER, "@codex fix this").expect("the issue is there");
    until_proven(&outside, &mut running).await;
    running.process.kill().await.expect("it runs");
    outside.is_done_once();
}

#[tokio::test]
async fn a_service_without_file_descriptors_hands_its_job_back_and_goes_on_when_there_are_some() {
    let outside = Outside::new().await;
    let mut running = outside.serve_in(&["sh", "-c", DESCRIPTORS, "sh"], "sqlite:store.db").await;
    let mut first = Connection::to(&running).await;
    assert!(has_status(&first.get("/readyz").await, 200));
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        held.push(Connection::to(&running).await);
    }
    running.says(&["a connection cannot be taken"]).await;
    // Whoever was let in is served.
    assert!(has_status(&first.get("/healthz").await, 200) && has_status(&first.get("/readyz").await, 200));
    outside.github.hold_webhooks();
    outside.github.comment(outside.repo, ISSUE, MAINTAINER, "@codex fix this").expect("the issue is there");
    let asked = outside.github.deliveries().pop().expect("somebody asked");
    let answer = first.post(Post::signed(&asked.guid, asked.event, asked.payload.to_string())).await;
    assert!(has_status(&answer, 202) && answer.contains(r#""new":true"#), "{answer}");
    running.says(&["a decision is put off", "handed back: "]).await;
    drop(held);
    outside.wait_no_longer();
    let ended = |journal: &[String]| journal.last().is_some_and(|entry| entry == "completed");
    outside.until(&mut running, ended).await;
    assert!(!outside.journal().iter().any(|entry| entry == "failed"), "{:?}", outside.journal());
    assert!(has_status(&Connection::to(&running).await.get("/readyz").await, 200));
    running.process.kill().await.expect("it runs");
    outside.is_done_once();
}
