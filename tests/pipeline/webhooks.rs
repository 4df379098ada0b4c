//! The webhook server: what it takes, what it refuses, and what it says then.

use std::io::Read as _;
use std::path::Path;

use patchwright::server::{self, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::support::pipeline::post::{Answered, Post};
use crate::support::pipeline::{PREVIOUS_SECRET, Setup};

const EXAMPLES: &[u8] = include_bytes!("../fixtures/webhooks/examples.json.gz");
const BODY: &str = r#"{"zen":"Design for failure."}"#;

fn ping() -> Post {
    Post::signed("one", "ping", BODY)
}

#[tokio::test]
async fn a_delivery_that_lacks_something_is_refused_with_the_reason() {
    Setup::default()
        .play(async |world| {
            let mut refused = Vec::new();
            for post in [
                ping().without("x-hub-signature-256"),
                ping().with("x-hub-signature-256", "sha256=00"),
                ping().with("x-hub-signature-256", "sha1=00"),
                Post::signed_with("another secret", "one", "ping", BODY),
                ping().without("x-github-event"),
                ping().without("x-github-delivery"),
                ping().with("x-github-delivery", "a b"),
                Post::signed("one", "ping", "{"),
                Post::signed("one", "ping", "payload=%7B%7D").with("content-type", "application/x-www-form-urlencoded"),
            ] {
                let Answered { status, text, .. } = world.post(post).await;
                refused.push(format!("{status} {text}"));
            }
            insta::assert_snapshot!(refused.join("\n"), @r#"
            401 {"error":"the request carries no X-Hub-Signature-256 header; set a secret for the webhook"}
            401 {"error":"the signature does not match; the webhook's secret and `github.webhook_secret` differ"}
            401 {"error":"the signature does not match; the webhook's secret and `github.webhook_secret` differ"}
            401 {"error":"the signature does not match; the webhook's secret and `github.webhook_secret` differ"}
            400 {"error":"the X-GitHub-Event header is missing or too long"}
            400 {"error":"the X-GitHub-Delivery header is missing"}
            400 {"error":"the delivery id has characters that no delivery id has"}
            400 {"error":"the body is no JSON; set the webhook's content type to application/json (EOF while parsing an object at line 1 column 1)"}
            400 {"error":"the body is no JSON; set the webhook's content type to application/json (expected value at line 1 column 1)"}
            "#);
            let id = patchwright_domain::event::DeliveryId::new("one").expect("the name is one");
            assert!(world.tools.store.received_at(&id).await.is_err(), "nothing of it is stored");
        })
        .await;
}

#[tokio::test]
async fn an_unknown_event_is_stored_and_ignored_with_its_reason() {
    Setup::default()
        .play(async |world| {
            assert_eq!(world.post(Post::signed("one", "moon_landing", BODY)).await.status, 202);
            world.decide().await;
            insta::assert_snapshot!(world.reason_of("one").await, @"`moon_landing` events start nothing");
        })
        .await;
}

#[tokio::test]
async fn a_repeated_delivery_is_taken_and_not_stored_again() {
    Setup::default()
        .play(async |world| {
            let (first, again) = (world.post(ping()).await, world.post(Post::signed("one", "ping", "{}")).await);
            insta::assert_snapshot!(format!("{} {}\n{} {}", first.status, first.text, again.status, again.text), @r#"
            202 {"delivery":"one","new":true}
            202 {"delivery":"one","new":false}
            "#);
            // The issue's own delivery and this one.
            assert_eq!(world.decide().await, 2);
        })
        .await;
}

#[tokio::test]
async fn the_secret_from_before_is_still_taken() {
    Setup::default()
        .play(async |world| {
            assert_eq!(world.post(Post::signed_with(PREVIOUS_SECRET, "one", "ping", BODY)).await.status, 202);
        })
        .await;
}

#[tokio::test]
async fn a_body_of_more_than_25_mb_is_refused() {
    Setup::default()
        .play(async |world| {
            let answered = world.post(Post::signed("one", "ping", vec![b' '; 25 * 1024 * 1024 + 1])).await;
            insta::assert_snapshot!(format!("{} {}", answered.status, answered.text), @r#"413 {"error":"the body is longer than 25 MB"}"#);
        })
        .await;
}

/// Takes the deliveries' table away, or puts it back.
fn rename_table(folder: &Path, from: &str, to: &str) {
    let connection = rusqlite::Connection::open(folder.join("patchwright.db")).expect("the file is there");
    connection.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}")).expect("the table is there");
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_acknowledged() {
    Setup::default()
        .play(async |world| {
            world.decide().await;
            assert_eq!((world.get("/healthz").await.status, world.get("/readyz").await.status), (200, 200));
            rename_table(world.folder.path(), "delivery", "elsewhere");
            let (answered, ready) = (world.post(ping()).await, world.get("/readyz").await);
            assert_eq!((answered.status, answered.retry_after.as_deref()), (503, Some("5")));
            insta::assert_snapshot!(answered.text, @r#"{"error":"the delivery could not be stored; deliver it again"}"#);
            insta::assert_snapshot!(format!("{} {}", ready.status, ready.text), @"503 the store cannot be written to; its error is in the log");
            assert_eq!(world.get("/healthz").await.status, 200);
            rename_table(world.folder.path(), "elsewhere", "delivery");
            assert_eq!(world.post(ping()).await.status, 202);
        })
        .await;
}

#[tokio::test]
async fn stopping_finishes_the_requests_under_way() {
    Setup::default()
        .play(async |world| {
            let listener = server::listen(([127, 0, 0, 1], 0).into()).expect("loopback has a free port");
            let address = listener.local_addr().expect("a bound socket has an address");
            let tools = &world.tools;
            let (store, forge, clock) = (tools.store.clone(), tools.forge.clone(), tools.clock.clone());
            let server = Server { store, forge, clock, attestation_key: None };
            let stop = CancellationToken::new();
            let serving = tokio::spawn(server::serve(listener, server, stop.clone()));
            let mut client = TcpStream::connect(address).await.expect("the server listens");
            let mut head = format!("POST /webhooks/github HTTP/1.1\r\nhost: {address}\r\nexpect: 100-continue\r\n");
            ping().headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
            head.push_str(&format!("content-length: {}\r\n\r\n", BODY.len()));
            client.write_all(head.as_bytes()).await.expect("the server reads");
            let mut said = [0; 25];
            client.read_exact(&mut said).await.expect("the server asks for the body");
            assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
            stop.cancel();
            client.write_all(BODY.as_bytes()).await.expect("the server reads on");
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.expect("the server answers and closes");
            assert!(answer.starts_with("HTTP/1.1 202 Accepted"), "{answer}");
            serving.await.expect("the server does not panic").expect("the server ends well");
            assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
        })
        .await;
}

#[tokio::test]
async fn every_payload_that_github_publishes_is_taken_and_starts_nothing() {
    let mut text = String::new();
    flate2::read::GzDecoder::new(EXAMPLES).read_to_string(&mut text).expect("the fixture is gzip");
    let events: Vec<Value> = serde_json::from_str(&text).expect("the fixture is a list");
    let examples = |event: &Value| event["examples"].as_array().expect("an event has examples").clone();
    let payloads: Vec<(String, Value)> = events
        .iter()
        .flat_map(|event| {
            examples(event).into_iter().map(|payload| (event["name"].as_str().expect("it has a name").to_owned(), payload))
        })
        .collect();
    assert_eq!(payloads.len(), 329);
    Setup::default()
        .play(async |world| {
            for (number, (event, payload)) in payloads.iter().enumerate() {
                let answered = world.post(Post::signed(&format!("example-{number}"), event, payload.to_string())).await;
                assert_eq!(answered.status, 202, "{event} {}", answered.text);
            }
            assert_eq!(world.decide().await, 330);
            let mut reasons = Vec::new();
            for number in 0..payloads.len() {
                reasons.push(world.reason_of(&format!("example-{number}")).await);
            }
            reasons.retain(|reason| !reason.ends_with(" start nothing"));
            reasons.sort();
            reasons.dedup();
            insta::assert_snapshot!(reasons.join("\n"), @r"
            no job of this program has set the check that is asked for
            the button that was pressed is none of ours
            the check is not red
            the issue was closed and no job of it is open
            the label is not `codex`, which starts a run here
            the payload names no installation: it comes from a repository's own webhook, not from the App's
            the policy names no `triggers.assignee`
            the text holds no command to @codex
            the workflow's inputs hold no `patchwright`
            what is pushed to a pull request starts nothing
            ");
            assert_eq!(world.writes(), Vec::<String>::new());
        })
        .await;
}
