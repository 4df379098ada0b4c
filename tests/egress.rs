//! What a setup reaches and what it does not: the real proxy, from inside the real sandbox.

use patchwright_domain::proof::Exit;

mod forbidden;
pub(crate) mod origin;
mod requests;
mod secrets;
mod tools;
pub(crate) mod world;

use world::World;

#[tokio::test]
async fn curl_reaches_a_listed_host_over_http_and_https() {
    let mut world = World::new().await;
    world.origin.put("/file", "what is there\n");
    assert_eq!(world.prints("curl -sS --fail http://registry.test:{plain}/file").await, "what is there\n");
    assert_eq!(world.prints("curl -sS --fail https://registry.test:{tls}/file").await, "what is there\n");
    assert_eq!(world.prints("curl -sS --fail http://REGISTRY.test.:{plain}/file").await, "what is there\n");
    let (log, ..) = world.log().await;
    let lines: Vec<_> = log.entries.iter().map(|entry| (entry.host.as_str(), entry.verdict)).collect();
    assert_eq!(lines.len(), 3, "{}", log.to_json_lines());
    assert!(log.entries.iter().all(|entry| entry.host == "registry.test" && entry.bytes_up > 0 && entry.bytes_down > 14));
}

#[tokio::test]
async fn an_agents_command_has_no_proxy_at_all() {
    let mut world = World::without_a_gate().await;
    assert_eq!(world.prints("env | grep -ic proxy || true").await, "0\n");
    let done = world.run("exec 3<>/dev/tcp/127.0.0.1/3128").await;
    assert_ne!(done.exit, Exit::Code(0), "{}", done.text);
    assert_eq!(world.prints("ls -A /run").await, "");
}
