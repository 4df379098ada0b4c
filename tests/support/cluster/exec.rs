//! A program in a Pod over a websocket, in the fifth version of the protocol: the first byte of each message is its channel.

use std::process::Stdio;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Double, locked, status};

const PROTOCOL: &str = "v5.channel.k8s.io";
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const CLOSE: u8 = 255;
/// Messages that wait for being sent.
const MESSAGES_MAX: usize = 16;

pub(super) async fn exec(
    State(double): State<Arc<Double>>,
    Path((_, name)): Path<(String, String)>,
    mut request: Request,
) -> Response {
    let query: Vec<(String, String)> = request.uri().query().unwrap_or_default().split('&').filter_map(pair).collect();
    let all = |wanted: &str| -> Vec<String> {
        query.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect()
    };
    for stream in ["stdin", "stdout", "stderr"] {
        assert_eq!(all(stream), ["true"], "{query:?}");
    }
    let (container, command) = (all("container").concat(), all("command"));
    let offered = request.headers()["sec-websocket-protocol"].to_str().unwrap_or_default().to_owned();
    assert!(offered.split(", ").any(|protocol| protocol == PROTOCOL), "{offered}");
    let program = locked(&double.pods).get(&name).map(|kept| kept.kubelet.as_ref().map(|it| it.program(&container, &command)));
    let mut program = match program {
        None => return status(404, "NotFound", &format!("pods \"{name}\" not found")),
        Some(None | Some(None)) => {
            return status(400, "BadRequest", &format!("container {container} is not valid for pod {name}"));
        }
        Some(Some(Some(program))) => program,
    };
    let key = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            let is_relay = command.last().is_some_and(|last| last == "relay");
            let (says, cut) = {
                let mut faults = locked(&double.faults);
                if let (true, Some(word)) = (is_relay, faults.relay_says) {
                    program = tokio::process::Command::new("printf");
                    program.arg(word);
                }
                if let (true, Some(n_left)) = (container == "commands", faults.n_killed.checked_sub(1)) {
                    faults.n_killed = n_left;
                    program = tokio::process::Command::new("sh");
                    program.args(["-c", "kill -KILL $$"]);
                }
                let says = if container == "files" { faults.says.take() } else { None };
                (says, if container == "commands" { faults.cut_after.take() } else { None })
            };
            let is_cut = is_relay.then(|| double.relay_cuts.subscribe());
            run(socket, program, says, cut, is_cut).await;
        }
    });
    let response = Response::builder()
        .status(101)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", key)
        .header("sec-websocket-protocol", PROTOCOL);
    response.body(Body::empty()).unwrap_or_default()
}

/// A part of a query; `+` and `%xx` stand for other characters.
fn pair(part: &str) -> Option<(String, String)> {
    let (name, value) = part.split_once('=')?;
    let bytes = value.replace('+', " ").into_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 3).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match (bytes[at], code) {
            (b'%', Some(code)) => {
                plain.push(code);
                at += 3;
            }
            (byte, _) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    Some((name.to_owned(), String::from_utf8(plain).ok()?))
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn run(
    socket: Socket,
    mut program: tokio::process::Command,
    says: Option<Vec<u8>>,
    cut: Option<usize>,
    is_cut: Option<watch::Receiver<u64>>,
) {
    let (mut sending, mut receiving) = socket.split();
    if let Some(says) = says {
        // Not before it was asked.
        let _ = receiving.next().await;
        for chunk in says.chunks(16 << 10) {
            let _ = sending.send(message(STDOUT, chunk)).await;
        }
        let _ = sending.send(message(ERROR, json!({ "metadata": {}, "status": "Success" }).to_string().as_bytes())).await;
        return;
    }
    let spawned = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else { return };
    let (Some(mut input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return;
    };
    let (send, mut outgoing) = mpsc::channel::<Message>(MESSAGES_MAX);
    let readers = [tokio::spawn(read(output, STDOUT, send.clone())), tokio::spawn(read(errors, STDERR, send.clone()))];
    drop(send);
    let mut cutting = is_cut.clone();
    let writer = tokio::spawn(async move {
        loop {
            let received = tokio::select! {
                received = receiving.next() => received,
                () = changed(&mut cutting) => return Some(input),
            };
            let Some(Ok(received)) = received else { break };
            let Message::Binary(bytes) = received else { continue };
            let is_over = match bytes.first() {
                Some(&STDIN) => input.write_all(&bytes[1..]).await.is_err() || input.flush().await.is_err(),
                first => first == Some(&CLOSE),
            };
            if is_over {
                break;
            }
        }
        None
    });
    let (mut n_sent, mut is_cut) = (0, is_cut);
    loop {
        let message = tokio::select! {
            message = outgoing.recv() => message,
            () = changed(&mut is_cut) => {
                // A node may notice late, so that the program keeps its input and goes on.
                let input = writer.await;
                drop(sending);
                let _ = child.wait().await;
                drop(input);
                return;
            }
        };
        let Some(message) = message else { break };
        n_sent += message.len();
        if sending.send(message).await.is_err() || cut.is_some_and(|most| n_sent > most) {
            // The program loses its input and goes on, as on a node.
            writer.abort();
            readers.iter().for_each(tokio::task::JoinHandle::abort);
            drop(sending);
            let _ = child.wait().await;
            return;
        }
    }
    let end = child.wait().await.ok().and_then(|end| end.code());
    let _ = sending.send(message(ERROR, ended(end).to_string().as_bytes())).await;
    let _ = sending.close().await;
    writer.abort();
}

/// Waits for a change; for ever where there is none to come.
async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    let is_changed = match changes {
        Some(changes) => changes.changed().await.is_ok(),
        None => false,
    };
    if !is_changed {
        std::future::pending().await
    }
}

fn ended(code: Option<i32>) -> Value {
    match code {
        Some(0) => json!({ "metadata": {}, "status": "Success" }),
        code => {
            let code = code.unwrap_or(137).to_string();
            json!({ "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
                "message": format!("command terminated with non-zero exit code: exit status {code}"),
                "details": { "causes": [{ "reason": "ExitCode", "message": code }] } })
        }
    }
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    Message::binary([&[channel], bytes].concat())
}

async fn read(mut from: impl tokio::io::AsyncRead + Unpin, channel: u8, to: mpsc::Sender<Message>) {
    let mut chunk = vec![0; 16 << 10];
    while let Ok(n_bytes @ 1..) = from.read(&mut chunk).await {
        if to.send(message(channel, &chunk[..n_bytes])).await.is_err() {
            break;
        }
    }
}
