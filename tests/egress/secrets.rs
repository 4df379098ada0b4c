//! What the proxy adds and nobody inside sees, and the proxy that the server itself may have to go through.

use std::sync::Arc;
use std::sync::Mutex;

use patchwright::egress::dial::Upstream;
use patchwright::egress::log::Verdict;
use patchwright::egress::name::Pattern;
use patchwright::egress::rules::{Credential, Grant, Host};
use patchwright_domain::proof::Exit;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::origin::Origin;
use super::world::{World, near};

const SECRET: &str = "hunter2";

async fn world() -> World {
    world_below("/").await
}

/// One whose token is for what is below a path.
async fn world_below(path: &'static str) -> World {
    World::with(move |mut settings, origin| {
        let name = Pattern::parse("private.registry.test").expect("it is a name");
        let grants = vec![Grant { below: path.to_owned(), credential: Credential::Token(SECRET.into()) }];
        let ports = vec![origin.tls];
        settings.hosts.push(Host { ports, private: true, upgrade_to_tls: true, grants, ..Host::new(name) });
        settings
    })
    .await
}

#[tokio::test]
async fn a_token_reaches_its_host_over_tls_and_no_other() {
    let mut world = world().await;
    world.origin.put("/file", "what is there\n");
    let url = "http://private.registry.test:{tls}/file";
    assert_eq!(world.prints(&format!("curl -sS --fail {url}")).await, "what is there\n");
    // What somebody inside would rather be is not asked.
    world.prints(&format!("curl -sS --fail -H 'Authorization: Bearer mine' {url}")).await;
    world.prints("curl -sS --fail http://registry.test:{plain}/file https://registry.test:{tls}/file").await;
    // In a tunnel nothing is added.
    world.prints("curl -sS --fail https://private.registry.test:{tls}/file").await;
    let (_, _, origin) = world.log().await;
    let sent: Vec<Option<String>> = origin
        .asked()
        .iter()
        .map(|asked| asked.headers.get("authorization").map(|value| value.to_str().expect("it is text").to_owned()))
        .collect();
    let token = Some(format!("Bearer {SECRET}"));
    assert_eq!(sent, [token.clone(), token, None, None, None]);
    assert_eq!(origin.asked()[0].headers["host"], format!("private.registry.test:{}", origin.tls));
}

/// Which requests arrived with the token.
fn with_token(origin: &Origin) -> Vec<bool> {
    let asked = origin.asked();
    asked
        .iter()
        .map(|asked| asked.headers.get("authorization").is_some_and(|value| value.as_bytes().ends_with(SECRET.as_bytes())))
        .collect()
}

#[tokio::test]
async fn a_token_goes_with_no_request_that_could_change_something() {
    let mut world = world().await;
    let url = "http://private.registry.test:{tls}/echo";
    let changing = ["-X PUT -d x", "-X DELETE", "-d x", "-X PATCH -d x", "-X MKCOL"];
    for arguments in changing {
        world.run(&format!("curl -sS {arguments} {url}")).await;
    }
    world.run(&format!("curl -sS -H 'X-HTTP-Method-Override: DELETE' {url}")).await;
    world.run(&format!("curl -sS -I {url}")).await;
    let (_, _, origin) = world.log().await;
    assert_eq!(with_token(&origin), [false, false, false, false, false, true, true]);
    assert!(!origin.asked()[5].headers.contains_key("x-http-method-override"), "it would be another request");
}

#[tokio::test]
async fn a_token_goes_to_no_path_but_those_that_it_is_for() {
    let mut world = world_below("/npm/").await;
    let at = |path: &str| format!("curl -sS --path-as-is 'http://private.registry.test:{{tls}}{path}'");
    let meant = ["/npm", "/npm/@corp%2fname", "/x/../npm/name"];
    let other =
        ["/", "/npmx", "/api", "/npm/../api", "/npm/%2e%2e/api", "/npm/..%2fapi", "/npm/%252e%252e%252fapi", "/npm/..;/api"];
    for path in meant.iter().chain(&other) {
        world.run(&at(path)).await;
    }
    let (_, _, origin) = world.log().await;
    assert_eq!(with_token(&origin), [[true; 3].as_slice(), [false; 8].as_slice()].concat());
}

#[tokio::test]
async fn a_redirect_to_the_hosts_own_https_comes_back_to_the_proxy() {
    let mut world = world().await;
    world.origin.put("/file", "what is there\n");
    assert_eq!(world.prints("curl -sSL --fail http://private.registry.test:{tls}/redirect").await, "what is there\n");
    let (_, _, origin) = world.log().await;
    assert!(origin.asked().iter().all(|asked| asked.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_token_is_nowhere_inside() {
    let mut world = world().await;
    world.prints("curl -sS --fail -o /dev/null http://private.registry.test:{tls}/bytes/10").await;
    let places = "/proc/*/environ /proc/*/cmdline /run /etc /home /tmp /workspace /.cargo";
    let found = world.prints(&format!("env | grep -c {SECRET}; grep -rIls {SECRET} {places}; true")).await;
    assert_eq!(found, "0\n");
    let (log, ..) = world.log().await;
    assert!(!log.to_json_lines().contains(SECRET));
}

/// A proxy as companies have them: it takes `CONNECT` and whole addresses, and leads everything to the origin.
async fn upstream(origin: &Origin, asked: Arc<Mutex<Vec<String>>>) -> Upstream {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let ports = (origin.plain, origin.tls);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(lead(stream, ports, Arc::clone(&asked)));
        }
    });
    Upstream::parse(&format!("http://me:{SECRET}@127.0.0.1:{port}"), "direct.test, .direct.test").expect("it is a proxy")
}

async fn lead(stream: TcpStream, (plain, tls): (u16, u16), asked: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.unwrap_or_default() == 0 {
            return;
        }
    }
    asked.lock().expect("no test panics in here").push(head.clone());
    let is_tunnel = head.starts_with("CONNECT ");
    let Ok(mut origin) = TcpStream::connect(("127.0.0.1", if is_tunnel { tls } else { plain })).await else { return };
    let (first, to): (&[u8], &mut (dyn tokio::io::AsyncWrite + Send + Unpin)) =
        if is_tunnel { (b"HTTP/1.1 200 OK\r\n\r\n", stream.get_mut()) } else { (head.as_bytes(), &mut origin) };
    if to.write_all(first).await.is_ok() {
        // That one side hung up is its end.
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut origin).await;
    }
}

#[tokio::test]
async fn where_the_server_has_a_proxy_names_are_held_against_the_list_and_resolved_there() {
    let (origin, names) = super::world::origin().await;
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let upstream = upstream(&origin, Arc::clone(&asked)).await;
    let hosts = vec![Host::new(Pattern::parse("registry.test").expect("it is a name"))];
    let settings = patchwright::egress::Settings { upstream: Some(upstream), ..super::world::settings(&names, hosts) };
    let local = patchwright::sandbox::local::LocalSettings {
        toolchain_path: None,
        ..patchwright::sandbox::local::LocalSettings::default()
    };
    let mut world = World::open(origin, names, Some(settings), local, patchwright::sandbox::Profile::Setup).await;
    world.origin.put("/file", "what is there\n");
    assert_eq!(world.prints("curl -sS --fail https://registry.test/file").await, "what is there\n");
    assert_eq!(world.prints("curl -sS --fail http://registry.test/file").await, "what is there\n");
    assert_ne!(world.run("curl -sS --fail https://evil.test/file").await.exit, Exit::Code(0));
    assert!(!world.prints("env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'").await.contains(SECRET));
    let (log, names, _) = world.log().await;
    assert_eq!(names.asked(), [""; 0], "nothing is resolved here");
    assert_eq!(log.entries.iter().filter(|entry| entry.verdict == Verdict::Allowed).count(), 2, "{}", log.to_json_lines());
    let asked = asked.lock().expect("no test panics in here").clone();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked.iter().all(|head| head.to_lowercase().contains("proxy-authorization: basic bwu6ahvudgvymg==")), "{asked:?}");
}

#[tokio::test]
async fn a_host_of_the_list_without_a_credential_gets_none() {
    let mut world = World::with(|mut settings, origin| {
        settings.hosts = vec![near("*.registry.test", origin)];
        settings
    })
    .await;
    world.prints("curl -sS --fail http://private.registry.test:{plain}/echo").await;
    let (_, _, origin) = world.log().await;
    assert!(!origin.asked()[0].headers.contains_key("authorization"));
}
