//! What a setup does not reach, each with the reason that the log has for it.

use patchwright::egress::log::Verdict;
use patchwright::egress::name::Pattern;
use patchwright::egress::rules::Host;
use patchwright_domain::proof::Exit;

use super::world::{World, near};

/// Addresses that a setup asks the proxy for, and why they are refused.
const NAMES: &[(&str, &str, &str)] = &[
    ("a host that is not listed", "http://evil.test:{plain}/", "not on the list"),
    ("the same over TLS", "https://evil.test:{tls}/", "not on the list"),
    ("a listed name as the beginning", "http://registry.test.evil.test:{plain}/", "not on the list"),
    ("a listed name as the end", "http://evilregistry.test:{plain}/", "not on the list"),
    ("a name below a listed one", "http://a.registry.test:{plain}/", "not on the list"),
    ("the machine itself by name", "https://localhost.test:{tls}/", "not on the list"),
    ("another port", "http://registry.test:1/", "the port 1 is not on the list"),
    ("the usual port where others are listed", "https://registry.test/", "the port 443 is not on the list"),
    ("an address", "http://127.0.0.2:{plain}/", "only names"),
    ("an address in a tunnel", "https://127.0.0.2:{tls}/", "only names"),
    ("the metadata service", "http://169.254.169.254/latest/meta-data/", "only names"),
    ("an address with a dot behind it", "http://10.0.0.1.:{plain}/", "only names"),
];

#[tokio::test]
async fn what_is_not_listed_is_refused_before_anything_is_resolved() {
    let mut world = World::new().await;
    for (what, url, reason) in NAMES {
        let done = world.run(&format!("curl -sS --fail --max-time 30 --noproxy '' --path-as-is '{url}'")).await;
        assert_ne!(done.exit, Exit::Code(0), "{what}: {}", done.text);
        assert!(done.text.contains("403"), "{what}, {reason}: {}", done.text);
    }
    let (log, names, origin) = world.log().await;
    assert_eq!(log.entries.len(), NAMES.len(), "{}", log.to_json_lines());
    for ((what, _, reason), entry) in NAMES.iter().zip(&log.entries) {
        assert_eq!(entry.verdict, Verdict::Denied, "{what}");
        assert!(entry.reason.as_ref().is_some_and(|said| said.contains(reason)), "{what}: {:?}", entry.reason);
    }
    assert_eq!(names.asked(), [""; 0], "nothing was resolved");
    assert_eq!(origin.n_connections(), 0);
}

/// Hosts as only a raw request can name them.
const SPELLINGS: &[(&str, &str, &str)] = &[
    ("decimal", "2130706433", "only names"),
    ("hexadecimal", "0x7f000001", "only names"),
    ("octal", "0177.0.0.1", "only names"),
    ("short", "127.1", "only names"),
    ("IPv6", "[::1]", "only names"),
    ("IPv4 in IPv6", "[::ffff:127.0.0.1]", "only names"),
    ("IPv6 without brackets", "::1", ""),
    ("a user before it", "registry.test@evil.test", "user"),
    ("a user and a password before it", "u:registry.test@registry.test", "user"),
    ("an encoded dot", "registry%%2etest", ""),
    ("an encoded NUL", "registry.test%%00.evil.test", ""),
    ("a NUL", "registry.test\\0.evil.test", ""),
    ("another script", "reg\\xc3\\xadstry.test", ""),
    ("a backslash", "evil.test\\\\.registry.test", ""),
    ("a blank", "registry.test evil.test", ""),
    ("two dots", "registry..test", "no name"),
    ("nothing", "", ""),
];

#[tokio::test]
async fn no_spelling_of_an_address_or_a_name_slips_through() {
    let mut world = World::new().await;
    for (what, host, reason) in SPELLINGS {
        for request in [
            format!("CONNECT {host}:{{tls}} HTTP/1.1\\r\\nHost: {host}:{{tls}}\\r\\n\\r\\n"),
            format!("GET http://{host}:{{plain}}/ HTTP/1.1\\r\\nHost: {host}:{{plain}}\\r\\nConnection: close\\r\\n\\r\\n"),
        ] {
            let answer = world.says(&request).await;
            assert!(answer.starts_with("HTTP/1.1 40"), "{what}: {answer:?}");
            assert!(answer.contains(reason), "{what}: {answer}");
        }
    }
    let (log, names, origin) = world.log().await;
    assert_eq!(log.entries.len(), SPELLINGS.len() * 2, "{}", log.to_json_lines());
    assert!(log.entries.iter().all(|entry| entry.verdict == Verdict::Denied));
    assert_eq!((names.asked().len(), origin.n_connections()), (0, 0));
}

#[tokio::test]
async fn what_is_refused_says_which_host_why_and_which_key_allows_it() {
    let mut world = World::new().await;
    insta::assert_snapshot!(world.prints("curl -sS http://Evil.test/a").await,
        @"patchwright: the setup may not reach `Evil.test`: the host is not on the list. The operator allows it with `sandbox.egress.hosts = [\"evil.test\"]`.");
    let done = world.run("curl -sS https://evil.test/a").await;
    assert!(done.text.contains("403"), "{}", done.text);
    let answer = world.says("CONNECT evil.test:443 HTTP/1.1\\r\\n\\r\\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden by sandbox.egress: the host is not on the list\r\n"), "{answer}");
}

#[tokio::test]
async fn a_pattern_allows_what_is_below_it_alone() {
    let mut world = World::with(|mut settings, origin| {
        settings.hosts = vec![near("*.registry.test", origin)];
        settings
    })
    .await;
    world.prints("curl -sS --fail https://private.registry.test:{tls}/echo").await;
    for name in ["registry.test", "xregistry.test", "private.registry.test.evil.test"] {
        assert_ne!(world.run(&format!("curl -sS --fail https://{name}:{{tls}}/echo")).await.exit, Exit::Code(0), "{name}");
    }
    let (_, names, _) = world.log().await;
    assert_eq!(names.asked(), ["private.registry.test"]);
}

/// Names on the list that lead where nothing may go.
const ADDRESSES: &[(&str, bool)] = &[
    ("127.0.0.1", false),
    ("10.1.2.3", false),
    ("172.16.0.1", false),
    ("192.168.0.1", false),
    ("100.64.0.1", false),
    ("0.0.0.0", false),
    ("169.254.169.254", false),
    ("224.0.0.1", false),
    ("192.0.2.1", false),
    ("198.18.0.1", false),
    ("::1", false),
    ("::", false),
    ("fd00::1", false),
    ("fe80::1", false),
    ("::ffff:127.0.0.1", false),
    ("64:ff9b::7f00:1", false),
    ("2002:7f00:1::", false),
    ("169.254.169.254", true),
    ("0.0.0.0", true),
    ("::", true),
    ("::ffff:127.0.0.1", true),
    ("64:ff9b::7f00:1", true),
    ("fe80::1", true),
];

#[tokio::test]
async fn a_listed_name_that_leads_inwards_is_refused() {
    let mut world = World::with(|mut settings, origin| {
        let host = |index: usize, private: bool| {
            let pattern = Pattern::parse(&format!("host-{index}.test")).expect("it is a name");
            Host { ports: vec![origin.plain, origin.tls], private, ..Host::new(pattern) }
        };
        settings.hosts = ADDRESSES.iter().enumerate().map(|(index, (_, private))| host(index, *private)).collect();
        settings
    })
    .await;
    for (index, (address, private)) in ADDRESSES.iter().enumerate() {
        // One good address beside it does not help.
        world.names.lead(&format!("host-{index}.test"), &[&["93.184.215.14", address], &[address]]);
        for request in [
            "CONNECT host-{n}.test:{tls} HTTP/1.1\\r\\n\\r\\n",
            "GET http://host-{n}.test:{plain}/ HTTP/1.1\\r\\nHost: host-{n}.test:{plain}\\r\\nConnection: close\\r\\n\\r\\n",
        ] {
            let answer = world.says(&request.replace("{n}", &index.to_string())).await;
            assert!(answer.starts_with("HTTP/1.1 403 "), "{address} {private}: {answer}");
            assert!(answer.contains("the name leads to an address"), "{address} {private}: {answer}");
        }
    }
    let (log, names, origin) = world.log().await;
    assert!(log.entries.iter().all(|entry| entry.verdict == Verdict::Denied));
    assert_eq!((names.asked().len(), origin.n_connections()), (ADDRESSES.len() * 2, 0));
}

#[tokio::test]
async fn a_name_that_is_bound_anew_is_asked_for_once_and_connected_to_as_it_was_checked() {
    let mut world = World::new().await;
    // Whoever asked a second time would be led to where nothing listens.
    world.names.lead("registry.test", &[&["127.0.0.1"], &["127.0.0.99"]]);
    world.prints("curl -sS --fail https://registry.test:{tls}/echo").await;
    assert_eq!(world.names.asked(), ["registry.test"]);
    world.names.lead("registry.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    world.prints("curl -sS --fail http://registry.test:{plain}/echo").await;
    assert_eq!(world.names.asked(), ["registry.test", "registry.test"]);
    let done = world.run("curl -sS --fail http://registry.test:{plain}/echo").await;
    assert!(done.text.contains("403"), "{}", done.text);
}

/// Ways around the proxy, which end at the sandbox's own walls: each must fail, whatever it prints.
const DETOURS: &[(&str, &str)] = &[
    ("the host's loopback", "curl -sS --noproxy '*' --max-time 10 http://127.0.0.1:{plain}/"),
    ("the host's loopback by name", "curl -sS --noproxy '*' --max-time 10 http://localhost:{plain}/"),
    ("the host's loopback over IPv6", "curl -sS --noproxy '*' --max-time 10 'http://[::1]:{plain}/'"),
    ("a listed host without the proxy", "curl -sS --noproxy '*' --max-time 10 http://registry.test:{plain}/"),
    ("an address on the internet", "curl -sS --noproxy '*' --max-time 10 http://1.1.1.1/"),
    ("an IPv6 address on the internet", "curl -sS --noproxy '*' --max-time 10 'http://[2606:4700:4700::1111]/'"),
    ("the metadata service", "curl -sS --noproxy '*' --max-time 10 http://169.254.169.254/"),
    ("DNS by the C library", "getent hosts example.com"),
    ("DNS over UDP", "echo x > /dev/udp/8.8.8.8/53"),
    (
        "an echo request",
        "perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 1) or die $!; send(S, \"\\x08\\0\\xf7\\xff\\0\\0\\0\\0\", 0, sockaddr_in(0, inet_aton(\"1.1.1.1\"))) or die $!'",
    ),
    ("a raw socket", "perl -MSocket -e 'socket(S, PF_INET, SOCK_RAW, 1) or die $!'"),
    ("a packet socket", "perl -e 'socket(S, 17, 3, 0) or die $!'"),
    ("the hypervisor's sockets", "perl -e 'socket(S, 40, 1, 0) or die $!'"),
    ("the container engine", "curl -sS --max-time 10 --unix-socket /var/run/docker.sock http://localhost/version"),
    ("SOCKS at the proxy's port", "curl -sS --max-time 10 --socks5-hostname 127.0.0.1:3128 http://registry.test:{plain}/echo"),
];

#[tokio::test]
async fn there_is_no_way_around_the_proxy() {
    let mut world = World::new().await;
    world.prints("curl -sS --fail http://registry.test:{plain}/echo").await;
    let n_connections = world.origin.n_connections();
    for (what, script) in DETOURS {
        let done = world.run(script).await;
        assert_ne!(done.exit, Exit::Code(0), "{what}: {}", done.text);
    }
    assert_eq!(world.origin.n_connections(), n_connections);
}

#[tokio::test]
async fn the_socket_itself_is_the_only_thing_of_the_host_in_run() {
    let mut world = World::new().await;
    assert_eq!(world.prints("ls -A /run").await, "outlet-ca.pem\noutlet.sock\n");
    let done = world.run("touch /run/other || rm -f /run/outlet.sock || echo x >> /run/outlet-ca.pem").await;
    assert_ne!(done.exit, Exit::Code(0), "{}", done.text);
}
