use std::sync::Mutex;

use axum::routing::post;
use patchwright_domain::brief::Brief;
use patchwright_domain::job::{Allowance, Mode, Usage};
use patchwright_domain::turn::Prices;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};

use super::*;
use crate::agent::external::books::{Books, Closed, Notes};
use crate::agent::external::record::Record;
use crate::agent::{Assignment, Open, Unmetered};
use crate::gateway::Endpoint;

const AMPLE: Allowance = Allowance { turns: 100, tokens: 10_000_000, cost_microusd: 1_000_000, wall_clock_ms: 60_000 };

/// An endpoint that answers when it is let, and how many requests it holds at most at a time.
struct Held {
    let_go: Semaphore,
    arrived: Semaphore,
    now_and_most: Mutex<(usize, usize)>,
}

impl Held {
    fn new() -> Arc<Self> {
        let (let_go, arrived) = (Semaphore::new(0), Semaphore::new(0));
        Arc::new(Self { let_go, arrived, now_and_most: Mutex::default() })
    }
}

async fn next(semaphore: &Semaphore) {
    semaphore.acquire().await.expect("it is never closed").forget();
}

async fn endpoint(held: Arc<Held>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("it listens"));
    let handler = move || {
        let held = Arc::clone(&held);
        async move {
            let arrived = |by: fn(usize) -> usize| {
                let mut counts = held.now_and_most.lock().expect("no panic");
                counts.0 = by(counts.0);
                counts.1 = counts.1.max(counts.0);
            };
            arrived(|n| n + 1);
            held.arrived.add_permits(1);
            next(&held.let_go).await;
            arrived(|n| n - 1);
            "{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}"
        }
    };
    let router = Router::new().route("/v1/responses", post(handler));
    let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    (base_url, task)
}

/// Sends one request and returns the whole response.
async fn ask(socket: &Path, head: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.expect("it listens");
    let request = format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("it answers");
    response
}

/// Runs a conversation with a proxy whose books are kept meanwhile.
async fn with_proxy<F: Future<Output = ()>>(base_url: String, talk: impl FnOnce(PathBuf) -> F) -> Closed {
    let brief = Brief { mode: Mode::Fix, instructions: String::new(), task: String::new(), cache_key: String::new() };
    let on_turn = |_: &Usage, _: &str| {};
    let assignment = Assignment {
        brief: &brief,
        continued: None,
        allowance: AMPLE,
        meter: &Unmetered,
        gate: &Open,
        checks_max: 0,
        on_turn: &on_turn,
    };
    let endpoint = Endpoint { base_url, model: "ours".into(), api_key: None, idle_timeout: std::time::Duration::from_secs(60) };
    let gateway = Gateway::new(endpoint).expect("the settings are right");
    let (sender, entries) = mpsc::channel(16);
    let mut books = Books::open(&assignment, Prices::default(), entries, Notes::default(), Record::default());
    let proxy = Proxy::start(gateway, sender, Pulse::start()).expect("a socket can be made");
    tokio::select! {
        () = talk(proxy.socket()) => {}
        () = books.keep() => panic!("the budget is ample"),
    }
    drop(proxy);
    books.close().await
}

#[tokio::test]
async fn no_more_than_so_many_requests_are_on_their_way_at_once() {
    const ASKED: usize = 3 * REQUESTS_MAX;
    let held = Held::new();
    let (base_url, task) = endpoint(Arc::clone(&held)).await;
    let closed = with_proxy(base_url, |socket| async move {
        let all = futures_util::future::join_all((0..ASKED).map(|_| ask(&socket, "POST /v1/responses", "{}")));
        let letting = async {
            for _ in 0..ASKED {
                next(&held.arrived).await;
                held.let_go.add_permits(1);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answers = all => assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200 "))),
            () = letting => {}
        }
        assert!(held.now_and_most.lock().expect("no panic").1 <= REQUESTS_MAX);
    });
    let usage = closed.await.usage;
    assert_eq!((usage.turns as usize, usage.input_tokens as usize, usage.output_tokens as usize), (ASKED, 3 * ASKED, 4 * ASKED));
    task.abort();
}

#[tokio::test]
async fn a_request_that_is_broken_off_is_settled_and_others_never_go_out() {
    let held = Held::new();
    let (base_url, task) = endpoint(Arc::clone(&held)).await;
    let closed = with_proxy(base_url, |socket| async move {
        for (head, body, status) in [
            ("GET /v1/responses", "", "404"),
            ("POST /v1/files", "{}", "404"),
            ("POST /v1/responses", "[]", "400"),
            ("POST /v1/responses", "no JSON", "400"),
            (
                "POST /v1/responses",
                r#"{"input":[{"role":"user","content":[{"type":"input_file","file_url":"https://x"}]}]}"#,
                "400",
            ),
            ("POST /v1/messages", r#"{"container":"id"}"#, "400"),
        ] {
            let answer = ask(&socket, head, body).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
        }
        let mut stream = UnixStream::connect(&socket).await.expect("it listens");
        let too_long = format!("POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", REQUEST_BYTES_MAX + 1);
        stream.write_all(too_long.as_bytes()).await.expect("it reads");
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.expect("it answers");
        assert_eq!(&status, b"HTTP/1.1 413");
        tokio::select! {
            answer = ask(&socket, "POST /v1/responses", "{}") => panic!("{answer}"),
            () = next(&held.arrived) => {}
        }
    });
    let closed = closed.await;
    assert_eq!((closed.usage.turns, closed.usage.tokens(), closed.exhausted), (1, 0, None));
    task.abort();
}
