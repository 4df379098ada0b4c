//! Requests that are not what they seem, and limits.

use std::time::Duration;

use patchwright::egress::log::{Log, Verdict};
use patchwright_domain::proof::Exit;

use super::world::{World, near};

#[track_caller]
fn says(log: &Log, verdict: Verdict, reason: &str) {
    let is_meant = |said: &Option<String>| said.as_ref().is_some_and(|said| said.contains(reason));
    let found = log.entries.iter().any(|entry| entry.verdict == verdict && is_meant(&entry.reason));
    assert!(found, "{verdict:?} {reason}:\n{}", log.to_json_lines());
}

/// Requests that are answered without anybody else hearing of them, by what is behind the method and before the end.
const MALFORMED: &[(&str, &str, &str)] = &[
    ("another host in the header", "GET http://registry.test:{plain}/ HTTP/1.1\\r\\nHost: evil.test\\r\\n", "something else"),
    (
        "another port in the header",
        "GET http://registry.test:{plain}/ HTTP/1.1\\r\\nHost: registry.test:1\\r\\n",
        "something else",
    ),
    ("no host in the header", "GET http://registry.test:{plain}/ HTTP/1.1\\r\\n", "Host is missing"),
    ("an empty host in the header", "GET http://registry.test:{plain}/ HTTP/1.1\\r\\nHost:\\r\\n", "something else"),
    (
        "two hosts in the headers",
        "GET http://registry.test:{plain}/ HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\nHost: evil.test\\r\\n",
        "more than one",
    ),
    (
        "the same host twice",
        "GET http://registry.test:{plain}/ HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\nHost: registry.test:{plain}\\r\\n",
        "more than one",
    ),
    ("a tunnel with another host", "CONNECT registry.test:{tls} HTTP/1.1\\r\\nHost: evil.test:{tls}\\r\\n", "something else"),
    ("a tunnel without a port", "CONNECT registry.test HTTP/1.1\\r\\nHost: registry.test\\r\\n", ""),
    ("a tunnel to an address", "CONNECT http://registry.test:{tls}/ HTTP/1.1\\r\\nHost: registry.test:{tls}\\r\\n", "neither"),
    ("https without a tunnel", "GET https://registry.test:{tls}/ HTTP/1.1\\r\\nHost: registry.test:{tls}\\r\\n", "CONNECT"),
    ("another scheme", "GET ftp://registry.test:{plain}/ HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\n", "neither"),
    ("a path alone", "GET /echo HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\n", "names no host"),
    ("no path at all", "OPTIONS * HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\n", "names no host"),
    (
        "another protocol",
        "GET http://registry.test:{plain}/ HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n",
        "another protocol",
    ),
    (
        "two lengths",
        "POST http://registry.test:{plain}/ HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\nContent-Length: 0\\r\\nContent-Length: 5\\r\\n",
        "",
    ),
    (
        "a coding that is none",
        "POST http://registry.test:{plain}/ HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\nTransfer-Encoding: chunked, x\\r\\n",
        "",
    ),
    ("a blank before the colon", "GET http://registry.test:{plain}/ HTTP/1.1\\r\\nHost : registry.test:{plain}\\r\\n", ""),
    (
        "a header that goes on",
        "GET http://registry.test:{plain}/ HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\nA: b\\r\\n c: d\\r\\n",
        "",
    ),
    ("an older protocol", "GET http://registry.test:{plain}/ HTTP/0.9\\r\\nHost: registry.test:{plain}\\r\\n", ""),
    ("no HTTP", "EHLO registry.test\\r\\n", ""),
];

#[tokio::test]
async fn a_request_that_could_be_read_in_two_ways_is_refused() {
    let mut world = World::new().await;
    for (what, head, reason) in MALFORMED {
        let answer = world.says(&format!("{head}Connection: close\\r\\n\\r\\n")).await;
        assert!(answer.starts_with("HTTP/1.1 40"), "{what}: {answer:?}");
        assert!(answer.contains(reason), "{what}: {answer}");
    }
    let (log, names, origin) = world.log().await;
    assert_eq!(log.entries.len(), MALFORMED.len(), "{}", log.to_json_lines());
    assert!(log.entries.iter().all(|entry| entry.verdict == Verdict::Denied), "{}", log.to_json_lines());
    assert_eq!((names.asked().len(), origin.n_connections()), (0, 0));
}

#[tokio::test]
async fn nothing_is_smuggled_behind_a_body_of_two_lengths() {
    let mut world = World::new().await;
    let smuggled = "GET http://registry.test:{plain}/smuggled HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\n\\r\\n";
    let head = "POST http://registry.test:{plain}/echo HTTP/1.1\\r\\nHost: registry.test:{plain}\\r\\nConnection: close\\r\\n";
    world.says(&format!("{head}Content-Length: 4\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n{smuggled}")).await;
    world
        .says(&format!(
            "{head}Transfer-Encoding: chunked\\r\\nContent-Length: 4\\r\\n\\r\\n5\\r\\nhello\\r\\n0\\r\\n\\r\\n{smuggled}"
        ))
        .await;
    let (_, _, origin) = world.log().await;
    for asked in origin.asked() {
        assert_eq!(asked.line, "POST /echo", "{asked:?}");
        let framings = ["content-length", "transfer-encoding"].iter().filter(|name| asked.headers.contains_key(**name)).count();
        assert!(framings <= 1, "{asked:?}");
        assert!(["", "hello"].contains(&String::from_utf8_lossy(&asked.body).as_ref()), "{asked:?}");
    }
}

#[tokio::test]
async fn what_belongs_to_a_connection_goes_no_further() {
    let mut world = World::new().await;
    world
        .prints(
            "curl -sS --fail http://registry.test:{plain}/echo -H 'Connection: X-Hop' -H 'X-Hop: 1' -H 'Keep-Alive: 5' \
             -H 'Proxy-Authorization: Basic eA==' -H 'TE: trailers' -H 'Upgrade: h2c' -H 'X-End: 2' -H 'Authorization: mine' -d body",
        )
        .await;
    let (_, _, origin) = world.log().await;
    let asked = origin.asked();
    let headers = &asked[0].headers;
    for name in ["x-hop", "keep-alive", "proxy-authorization", "te", "proxy-connection", "upgrade"] {
        assert!(!headers.contains_key(name), "{name}: {headers:?}");
    }
    assert_eq!(
        (&headers["x-end"], &headers["authorization"], &asked[0].body[..]),
        (&"2".parse().unwrap(), &"mine".parse().unwrap(), &b"body"[..])
    );
}

#[tokio::test]
async fn a_flood_of_headers_is_cut_off() {
    let mut world = World::new().await;
    let url = "http://registry.test:{plain}/echo";
    for flood in
        ["for i in $(seq 100); do echo \"X-$i: x\"; done > h", "{ printf 'X: '; head -c 100000 /dev/zero | tr '\\0' x; } > h"]
    {
        let done = world.run(&format!("cd /tmp; {flood}; curl -sS --fail -H @h {url}")).await;
        assert_ne!(done.exit, Exit::Code(0), "{}", done.text);
    }
    world.prints(&format!("curl -sS --fail {url}")).await;
    let (log, _, origin) = world.log().await;
    assert_eq!((origin.asked().len(), log.entries.len()), (1, 3), "{}", log.to_json_lines());
    says(&log, Verdict::Denied, "no request");
}

#[tokio::test]
async fn a_head_that_does_not_end_and_a_tunnel_that_says_nothing_are_closed() {
    let mut world = World::with(|mut settings, _| {
        settings.limits.head = Duration::from_millis(300);
        settings.limits.idle = Duration::from_millis(300);
        settings
    })
    .await;
    // `cat` ends when the proxy hangs up, and not before.
    world
        .prints("exec 3<>/dev/tcp/127.0.0.1/3128; printf 'GET http://registry.test:{plain}/ HTTP/1.1\\r\\nHost: ' >&3; cat <&3")
        .await;
    world.says("CONNECT registry.test:{tls} HTTP/1.1\\r\\n\\r\\n").await;
    // The beginning of a greeting, and never its end.
    world.says("CONNECT registry.test:{tls} HTTP/1.1\\r\\n\\r\\n\\x16\\x03\\x01\\x02\\x00\\x01").await;
    let done = world.run("curl -sS --fail http://registry.test:{plain}/never").await;
    assert_ne!(done.exit, Exit::Code(0), "{}", done.text);
    let (log, ..) = world.log().await;
    says(&log, Verdict::Denied, "no request");
    says(&log, Verdict::Denied, "nothing came through the tunnel");
    says(&log, Verdict::Cut, "the host does not answer");
    assert_eq!(log.entries.len(), 4, "{}", log.to_json_lines());
}

#[tokio::test]
async fn a_tunnel_carries_tls_for_its_own_host_alone() {
    let mut world = World::with(|mut settings, origin| {
        settings.hosts.push(near("fronted.test", origin));
        settings
    })
    .await;
    world.prints("curl -sS --fail https://fronted.test:{tls}/echo").await;
    let n_asked = world.origin.asked().len();
    for (what, script) in [
        (
            "another name in the greeting",
            "curl -sS --fail --connect-to fronted.test:{tls}:registry.test:{tls} https://fronted.test:{tls}/echo",
        ),
        (
            "no name in the greeting",
            "openssl s_client -noservername -proxy 127.0.0.1:3128 -connect registry.test:{tls} </dev/null",
        ),
        ("plain HTTP in a tunnel", "curl -sS --fail -p http://registry.test:{plain}/echo"),
    ] {
        assert_ne!(world.run(script).await.exit, Exit::Code(0), "{what}");
    }
    world.says("CONNECT registry.test:{plain} HTTP/1.1\\r\\n\\r\\nSSH-2.0-x\\r\\n").await;
    let (log, _, origin) = world.log().await;
    assert_eq!(origin.asked().len(), n_asked);
    says(&log, Verdict::Denied, "asks for another host");
    says(&log, Verdict::Denied, "only TLS goes through a tunnel");
    if log.entries.len() == 5 {
        // Where the machine has no `openssl`, there are four.
        says(&log, Verdict::Denied, "names no host");
    }
}

#[tokio::test]
async fn a_session_moves_so_many_bytes_and_no_more() {
    for (path, script, reason) in [
        ("down, plain", "curl -sS --fail -o /dev/null http://registry.test:{plain}/bytes/200000", "bytes down is used up"),
        ("down, in a tunnel", "curl -sS --fail -o /dev/null https://registry.test:{tls}/bytes/200000", "bytes down is used up"),
        (
            "up, plain",
            "head -c 200000 /dev/zero | curl -sS --fail --data-binary @- http://registry.test:{plain}/echo",
            "bytes up is used up",
        ),
        (
            "up, in a tunnel",
            "head -c 200000 /dev/zero | curl -sS --fail --data-binary @- https://registry.test:{tls}/echo",
            "bytes up is used up",
        ),
        (
            "up, in the address",
            "curl -sS --fail http://registry.test:{plain}/$(head -c 20000 /dev/zero | tr '\\0' x)",
            "bytes up is used up",
        ),
    ] {
        let mut world = World::with(|mut settings, _| {
            settings.limits.up_bytes = 10_000;
            settings.limits.down_bytes = 100_000;
            settings
        })
        .await;
        world.prints("curl -sS --fail -o /dev/null http://registry.test:{plain}/bytes/1000").await;
        assert_ne!(world.run(script).await.exit, Exit::Code(0), "{path}");
        // The session is over for small pieces too.
        assert_ne!(world.run(script).await.exit, Exit::Code(0), "{path}");
        assert_ne!(world.run("curl -sS --fail https://registry.test:{tls}/echo").await.exit, Exit::Code(0), "{path}");
        let (log, ..) = world.log().await;
        assert!(log.entries.iter().map(|entry| entry.bytes_up).sum::<u64>() <= 10_000, "{path}");
        assert!(log.entries.iter().map(|entry| entry.bytes_down).sum::<u64>() <= 100_000, "{path}");
        let is_meant = |said: &Option<String>| said.as_ref().is_some_and(|said| said.contains(reason));
        assert!(
            log.entries.iter().any(|entry| entry.verdict != Verdict::Allowed && is_meant(&entry.reason)),
            "{path}: {}",
            log.to_json_lines()
        );
    }
}

#[tokio::test]
async fn a_further_connection_waits_for_a_place() {
    let mut world = World::with(|mut settings, _| {
        settings.limits.n_connections = 2;
        settings
    })
    .await;
    let curl = "curl -sS --fail --max-time 1 -o /dev/null http://registry.test:{plain}/echo";
    let held = "exec 3<>/dev/tcp/127.0.0.1/3128 4<>/dev/tcp/127.0.0.1/3128";
    let text =
        world.prints(&format!("{held}; {curl}; echo $?; exec 3<&- 4<&-; {}; echo $?", curl.replace("--max-time 1", ""))).await;
    assert!(text.contains("28\n") && text.ends_with("\n0\n"), "{text}");
}

#[tokio::test]
async fn closing_the_gate_breaks_off_what_is_under_way_and_writes_it_down() {
    for url in ["http://registry.test:{plain}/never", "https://registry.test:{tls}/never"] {
        let (done, log) = World::new().await.closed_during(&format!("curl -sS --fail {url}")).await;
        assert_ne!(done.exit, Exit::Code(0), "{}", done.text);
        assert_eq!(log.entries.len(), 1, "{}", log.to_json_lines());
    }
}
