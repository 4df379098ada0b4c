use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::{Found, Sources, discover, merge};
use crate::egress::name::Pattern;
use crate::egress::rules::{Credential, Grant, Host};

/// A machine with tools that say what they are told to, and files in a home directory.
async fn found(tools: &[(&str, &str)], files: &[(&str, &str)], environment: &[(&str, &str)]) -> Found {
    let folder = TempDir::new().unwrap();
    let (bin, home) = (folder.path().join("bin"), folder.path().join("home"));
    std::fs::create_dir_all(&bin).unwrap();
    for (name, script) in tools {
        std::fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (name, text) in files {
        std::fs::create_dir_all(home.join(name).parent().unwrap()).unwrap();
        std::fs::write(home.join(name), text).unwrap();
    }
    let environment: BTreeMap<_, _> = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let path = bin.into_os_string();
    discover(&Sources { path, home: Some(home), environment }).await
}

fn hosts(found: &Found) -> Vec<String> {
    let name = |host: &Host| match &host.pattern {
        Pattern::Exactly(name) => format!("{name}{}", if host.upgrade_to_tls { " upgraded" } else { "" }),
        Pattern::Below(name) => format!("*.{name}"),
    };
    found.hosts.iter().map(name).collect()
}

fn variable<'a>(found: &'a Found, name: &str) -> Option<&'a str> {
    found.carried.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn file<'a>(found: &'a Found, name: &str) -> Option<&'a str> {
    found.carried.files.iter().find(|(path, _)| path.to_str() == Some(name)).map(|(_, text)| text.as_str())
}

fn credential(host: &Host) -> Option<&Credential> {
    host.grants.first().map(|grant| &grant.credential)
}

/// Nothing that is carried in holds a secret.
#[track_caller]
fn is_clean(found: &Found) {
    assert!(!format!("{:?}", found.carried).contains("hunter2"), "{:?}", found.carried);
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_machine_without_tools_has_no_registries() {
    let found = found(&[], &[(".npmrc", "registry=https://npm.test/\n")], &[("PIP_INDEX_URL", "https://pip.test/")]).await;
    assert!(found.hosts.is_empty() && found.carried.environment.is_empty() && found.carried.files.is_empty());
}

#[tokio::test]
async fn cargo_without_settings_has_its_own_registry() {
    let found = found(&[("cargo", "")], &[], &[]).await;
    assert_eq!(hosts(&found), super::defaults::CARGO);
    assert!(found.carried.files.is_empty());
}

#[tokio::test]
async fn cargos_replacement_is_followed_and_carried_without_its_password() {
    let config = "[source.crates-io]\nreplace-with = \"a\"\n[source.a]\nreplace-with = \"b\"\n\
                  [source.b]\nregistry = \"sparse+https://me:hunter2@crates.test:8443/index/\"\n\
                  [source.unused]\nregistry = \"https://unused.test/\"\n\
                  [registries.own]\nindex = \"sparse+https://own.test/index/\"\ntoken = \"hunter2\"\n";
    let found =
        found(&[("cargo", "")], &[(".cargo/config.toml", config)], &[("CARGO_REGISTRIES_X_INDEX", "https://x.test/")]).await;
    assert_eq!(hosts(&found), ["crates.test upgraded", "own.test upgraded", "x.test"]);
    assert!(matches!(credential(&found.hosts[1]), Some(Credential::Bare(_))));
    assert_eq!(found.hosts[0].ports, [8443]);
    insta::assert_snapshot!(file(&found, "/.cargo/config.toml").unwrap(), @r#"
    [registries."own"]
    credential-provider = "cargo:token"
    index = "sparse+http://own.test/index/"
    token = "added-outside"
    [source."a"]
    replace-with = "b"
    [source."b"]
    registry = "sparse+http://crates.test:8443/index/"
    [source."crates-io"]
    replace-with = "a"
    "#);
    assert_eq!(variable(&found, "CARGO_REGISTRIES_X_INDEX"), Some("https://x.test/"));
    is_clean(&found);
}

#[tokio::test]
async fn cargos_tokens_stay_outside_wherever_they_are_kept() {
    let config = "[source.crates-io]\nreplace-with = \"by-login\"\n[registries.by-login]\nindex = \"sparse+https://a.test/i/\"\n\
                  [registries.by-variable]\nindex = \"sparse+https://b.test/i/\"\n[registries.open]\nindex = \"sparse+https://c.test/\"\n";
    let files = [(".cargo/config.toml", config), (".cargo/credentials.toml", "[registries.by-login]\ntoken = \"hunter2\"\n")];
    let variables = [
        ("CARGO_REGISTRIES_BY_VARIABLE_TOKEN", "hunter2"),
        ("CARGO_REGISTRIES_X_INDEX", "sparse+https://x.test/"),
        ("CARGO_REGISTRIES_X_TOKEN", "hunter2"),
    ];
    let found = found(&[("cargo", "")], &files, &variables).await;
    assert_eq!(hosts(&found), ["a.test upgraded", "b.test upgraded", "c.test", "x.test upgraded"]);
    let carried = file(&found, "/.cargo/config.toml").unwrap();
    assert!(carried.contains("[source.\"crates-io\"]\nreplace-with = \"by-login\""), "{carried}");
    assert_eq!(
        (carried.matches("token = \"added-outside\"").count(), carried.matches("sparse+http://").count()),
        (2, 2),
        "{carried}"
    );
    assert_eq!(variable(&found, "CARGO_REGISTRIES_X_INDEX"), Some("sparse+http://x.test/"));
    assert_eq!(variable(&found, "CARGO_REGISTRIES_X_TOKEN"), Some("added-outside"));
    is_clean(&found);
}

#[tokio::test]
async fn what_netrc_says_of_a_host_is_added_outside() {
    let netrc = "# ours\nmachine go.test login me password hunter2\nmacdef init\nmachine trap.test login x password hunter2\n\n\
                 machine pip.test\n  login you\n  account z\n  password hunter2\nmachine plain.test login a password hunter2\n\
                 default login anybody password hunter2\n";
    let go = r#"echo '{"GOPROXY": "https://go.test|https://other.test,http://plain.test", "GONOPROXY": "*.corp"}'"#;
    let variables = [("UV_DEFAULT_INDEX", "https://pip.test/simple"), ("UV_INDEX", "https://trap.test/s")];
    let found = found(&[("go", go), ("uv", "")], &[(".netrc", netrc)], &variables).await;
    assert_eq!(hosts(&found), ["pip.test upgraded", "trap.test", "go.test upgraded", "other.test", "plain.test"]);
    assert_eq!(variable(&found, "GOPROXY"), Some("http://go.test/|https://other.test/,http://plain.test/"));
    assert_eq!(variable(&found, "GONOPROXY"), Some("*.corp"));
    let who = |host: &Host| match credential(host) {
        Some(Credential::Password { username, .. }) => username.clone(),
        Some(Credential::Token(_) | Credential::Bare(_)) | None => String::new(),
    };
    assert_eq!(found.hosts.iter().map(who).collect::<Vec<_>>(), ["you", "", "me", "", ""]);
    is_clean(&found);
}

#[tokio::test]
async fn npms_registries_are_what_it_says_and_their_tokens_stay_outside() {
    let npm = r#"echo '{"registry": "https://npm.test/main/", "@corp:registry": "https://corp.test/npm/", "cache": "/x"}'"#;
    let npmrc = "//corp.test/npm/:_authToken=${TOKEN}\n//npm.test/:_auth=bWU6aHVudGVyMg==\n";
    let found = found(&[("npm", npm)], &[(".npmrc", npmrc)], &[("TOKEN", "hunter2")]).await;
    assert_eq!(hosts(&found), ["corp.test upgraded", "npm.test upgraded"]);
    assert!(matches!(credential(&found.hosts[0]), Some(Credential::Token(_))));
    assert!(matches!(credential(&found.hosts[1]), Some(Credential::Password { username, .. }) if username == "me"));
    assert_eq!(file(&found, "/run/outlet-npmrc"), Some("@corp:registry=http://corp.test/npm/\nregistry=http://npm.test/main/\n"));
    assert_eq!(variable(&found, "npm_config_globalconfig"), Some("/run/outlet-npmrc"));
    is_clean(&found);
}

/// Also of those that no setup can use: a registry at an address, one that nothing leads to, a machine that nobody asks.
#[tokio::test]
async fn every_secret_that_was_read_is_known() {
    use secrecy::ExposeSecret as _;
    let files = [
        (
            ".npmrc",
            "//npm.test/:_authToken=npm-token\n//unused.test/:_password=dW51c2VkLXBhc3N3b3Jk\n//npm.test/:email=a@b.test\n",
        ),
        (".cargo/config.toml", "[registries.own]\nindex = \"sparse+https://own.test/\"\ntoken = \"cargo-token\"\n"),
        (".cargo/credentials.toml", "[registry]\ntoken = \"login-token\"\n[registries.unused]\ntoken = \"unused-token\"\n"),
        (".netrc", "machine nobody.test login me password netrc-password\n"),
    ];
    let tools = [("npm", r#"echo '{"registry": "https://npm.test/"}'"#), ("cargo", ""), ("uv", "")];
    let found = found(&tools, &files, &[("UV_DEFAULT_INDEX", "http://me:pip-password@10.0.0.1/simple")]).await;
    let secrets: Vec<String> = found.secrets().map(|secret| secret.expose_secret().to_owned()).collect();
    for secret in ["npm-token", "unused-password", "cargo-token", "login-token", "unused-token", "netrc-password", "pip-password"]
    {
        assert!(secrets.iter().any(|known| known == secret), "{secret}: {secrets:?}");
    }
    assert!(!secrets.iter().any(|secret| secret.contains('@')), "{secrets:?}");
}

/// Where a token stands in the place of the user's name, that name is the secret; names that many share are none.
#[tokio::test]
async fn a_token_that_stands_as_a_users_name_is_known() {
    use secrecy::ExposeSecret as _;
    let secrets = async |address: &str, netrc: &str| -> Vec<String> {
        let found = found(&[("uv", "")], &[(".netrc", netrc)], &[("UV_DEFAULT_INDEX", address)]).await;
        assert!(!format!("{found:?}").contains("4f6c1d"), "{found:?}");
        found.secrets().map(|secret| secret.expose_secret().to_owned()).collect()
    };
    for address in ["https://tok-4f6c1d@a.test/", "https://tok-4f6c1d:@a.test/", "https://tok-4f6c1d:x-oauth-basic@a.test/"] {
        assert_eq!(secrets(address, "").await, ["tok-4f6c1d"], "{address}");
    }
    assert_eq!(secrets("https://a.test/", "machine b.test login tok-4f6c1d password x-oauth-basic\n").await, ["tok-4f6c1d"]);
    for name in ["__token__", "gitlab-ci-token", "deploy-robot"] {
        assert_eq!(secrets(&format!("https://{name}@a.test/"), "").await, [""; 0], "{name}");
    }
    assert_eq!(secrets("https://oauth2accesstoken:pass-4f6c1d@a.test/", "").await, ["pass-4f6c1d"]);
    assert_eq!(secrets("https://deploy-robot:pass-4f6c1d@a.test/", "").await, ["pass-4f6c1d"]);
    assert_eq!(secrets("https://:pass-4f6c1d@a.test/", "").await, ["pass-4f6c1d"]);
    let pair = secrets("https://a1b2c3d4e5f6a7b8c9d0:pass-4f6c1d@a.test/", "").await;
    assert_eq!(pair, ["pass-4f6c1d", "a1b2c3d4e5f6a7b8c9d0"]);
}

#[tokio::test]
async fn npms_tokens_are_for_the_paths_that_they_are_set_for() {
    let npm = r#"echo '{"@a:registry": "https://npm.test/a/", "@b:registry": "https://npm.test/b/c/", "@d:registry": "https://npm.test/d/"}'"#;
    let npmrc = "//npm.test/a/:_authToken=hunter2\n//npm.test/b/:_authToken=hunter2\n";
    let found = found(&[("npm", npm)], &[(".npmrc", npmrc)], &[]).await;
    let paths: Vec<&str> = found.hosts[0].grants.iter().map(|grant| grant.below.as_str()).collect();
    assert_eq!((hosts(&found), paths), (vec!["npm.test upgraded".to_owned()], vec!["/a/", "/b/"]));
}

#[tokio::test]
async fn what_the_hosts_node_trusts_is_trusted_inside() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "an authority").unwrap();
    let path = file.path().to_str().unwrap();
    let found = found(&[("npm", r#"echo '{"registry": "https://npm.test/"}'"#)], &[], &[("NODE_EXTRA_CA_CERTS", path)]).await;
    assert_eq!(self::file(&found, variable(&found, "NODE_EXTRA_CA_CERTS").unwrap()), Some("an authority"));
}

#[tokio::test]
async fn pip_tells_its_index_in_its_settings_or_in_its_help() {
    let help = "[ $1 = download ] && echo '  -i, --index-url <url>  Base URL (default\n   https://index.test/simple). This'";
    let plain = found(&[("pip", help)], &[], &[]).await;
    assert_eq!((hosts(&plain), variable(&plain, "PIP_INDEX_URL")), (vec!["index.test".to_owned()], None));
    let list = "[ $1 = config ] && printf '%s\\n' \"global.index-url='https://a.test/simple'\" \
                \"global.extra-index-url='https://b.test/s\\nhttps://c.test/s'\" || true";
    let told = found(&[("pip", list)], &[], &[]).await;
    assert_eq!(hosts(&told), ["a.test", "b.test", "c.test"]);
    assert_eq!(variable(&told, "PIP_EXTRA_INDEX_URL"), Some("https://b.test/s https://c.test/s"));
    let set = found(&[("pip", list)], &[], &[("PIP_INDEX_URL", "https://me:hunter2@d.test:1/s")]).await;
    assert_eq!(variable(&set, "PIP_INDEX_URL"), Some("http://d.test:1/s"));
    assert_eq!(variable(&set, "PIP_TRUSTED_HOST"), Some("d.test:1"));
    is_clean(&set);
}

#[tokio::test]
async fn uvs_indexes_are_read_from_variables_and_files() {
    let uv = "index-url = \"https://a.test/simple\"\n[[index]]\nname = \"x\"\nurl = \"https://b.test/simple\"\n";
    let of_file = found(&[("uv", "")], &[(".config/uv/uv.toml", uv)], &[]).await;
    assert_eq!(hosts(&of_file), ["a.test", "b.test"]);
    assert_eq!(variable(&of_file, "UV_DEFAULT_INDEX"), Some("https://a.test/simple"));
    let set = found(&[("uv", "")], &[], &[("UV_INDEX_URL", "https://c.test/simple"), ("UV_INDEX", "n=https://d.test/s")]).await;
    assert_eq!(
        (hosts(&set), variable(&set, "UV_INDEX")),
        (vec!["c.test".to_owned(), "d.test".to_owned()], Some("https://d.test/s"))
    );
    assert!(hosts(&found(&[("uv", "")], &[], &[]).await).contains(&super::defaults::PYTHON.to_owned()));
}

#[tokio::test]
async fn go_tells_its_proxies_and_its_checksums() {
    let go = r#"echo '{"GOPROXY": "https://me:hunter2@a.test/go|https://b.test,direct", "GOSUMDB": "sum.test+key", "GOPRIVATE": "*.corp"}'"#;
    let found = found(&[("go", go)], &[], &[]).await;
    assert_eq!(hosts(&found), ["a.test upgraded", "b.test", "sum.test"]);
    assert_eq!(variable(&found, "GOPROXY"), Some("http://a.test/go|https://b.test/,direct"));
    is_clean(&found);
}

#[tokio::test]
async fn a_registry_at_an_address_is_not_allowed() {
    let found = found(&[("uv", "")], &[], &[("UV_DEFAULT_INDEX", "http://10.0.0.1:8080/simple")]).await;
    assert_eq!(variable(&found, "UV_DEFAULT_INDEX"), None);
    assert!(hosts(&found).is_empty());
    assert_eq!(found.skipped, ["10.0.0.1"], "and the operator can be told");
}

#[test]
fn what_the_operator_says_of_a_name_holds_for_the_tools_entry() {
    let host = |name: &str| Host::new(Pattern::parse(name).unwrap());
    let grants = || vec![Grant::of_host(Credential::Token("t".into()))];
    let operator = [Host { private: true, ..host("a.test") }, Host { grants: grants(), ..host("b.test") }];
    let tools = [Host { grants: grants(), ..host("a.test") }, host("b.test"), host("c.test")];
    let merged = merge(&operator, &tools);
    let first = |name: &str| merged.iter().find(|found| found.pattern == Pattern::parse(name).unwrap()).unwrap();
    assert!(first("a.test").private && !first("a.test").grants.is_empty());
    assert!(!first("b.test").grants.is_empty() && !first("c.test").private);
}
