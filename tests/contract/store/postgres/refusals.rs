//! A database that cannot be used is refused with the reason and the next step, and no password is told.

use jiff::Timestamp;
use patchwright::store::postgres::address::Address;
use patchwright::store::postgres::schema::Schema;
use patchwright::store::postgres::{PostgresStore, Settings};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::postgres::{PASSWORD, cluster};

/// Why a database is refused.
async fn refusal(url: &str, password: &str) -> String {
    let address = Address::parse(url, Some(&SecretString::from(password))).expect("the address is well-formed");
    assert!(!format!("{address} {address:?}").contains(password), "the address tells no password");
    let settings = Settings { address, migrate: true, schema: Schema::default() };
    let refused = PostgresStore::open(settings, Timestamp::UNIX_EPOCH).await.map(|_| ()).expect_err("it cannot be used");
    let told = refused.to_string();
    assert!(!told.contains(password), "{told}");
    told
}

/// A server that answers a client's first words with these bytes.
async fn answers(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it listens").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(bytes).await;
            // The client closes it.
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_missing_database_are_told_apart() {
    let Some(cluster) = cluster().await else { return };
    let told = refusal(&cluster.url("now"), "wrong horse").await;
    let place = |told: &str| told.replace(&cluster.folder(), "FOLDER");
    insta::assert_snapshot!(place(&told), @"database `now` at FOLDER as user `patchwright` lets nobody in: password authentication failed for user \"patchwright\" (28P01); set `store.password` (or PATCHWRIGHT__STORE__PASSWORD) to this user's password");
    let told = refusal(&cluster.url("nowhere"), PASSWORD).await;
    insta::assert_snapshot!(place(&told), @"database `nowhere` at FOLDER as user `patchwright` lets nobody in: database \"nowhere\" does not exist (3D000); make it: `createdb nowhere`");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it listens").port();
    drop(listener);
    let told = refusal(&format!("postgres://ada@127.0.0.1:{port}/work"), "a secret").await;
    insta::assert_snapshot!(told.replace(&port.to_string(), "PORT"), @"PostgreSQL cannot be reached for database `work` at 127.0.0.1:PORT as user `ada`: Connection refused (os error 111); see that it runs, that it listens there, and that `store.url` names the right host and port");
}

/// Who names a network's host gets no connection that somebody on the way could read, or pretend to be the server on.
#[tokio::test]
async fn a_server_without_tls_is_refused() {
    let port = answers(b"N").await;
    let told = refusal(&format!("postgres://ada@127.0.0.1:{port}/work?sslmode=verify-full"), "a secret").await;
    insta::assert_snapshot!(told.replace(&port.to_string(), "PORT"), @"there is no TLS that holds with database `work` at 127.0.0.1:PORT as user `ada`: server does not support TLS; give the server a certificate for this host's name and name its authority with `sslrootcert=FILE` in `store.url`; `sslmode=require` takes any certificate, `sslmode=disable` none, both for networks of your own");
}

#[tokio::test]
async fn an_old_server_is_refused() {
    // It lets everybody in, is of this version, and is ready.
    let port = answers(b"R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x0012.9\0Z\0\0\0\x05I").await;
    let told = refusal(&format!("postgres://ada@127.0.0.1:{port}/work?sslmode=disable"), "a secret").await;
    insta::assert_snapshot!(told.replace(&port.to_string(), "PORT"), @"database `work` at 127.0.0.1:PORT as user `ada` is kept by PostgreSQL 12.9, and 13 is the oldest that is supported; upgrade it with pg_upgrade, or name another one in `store.url`");
}

#[test]
fn an_address_is_read_strictly() {
    let refused = |url: &str| Address::parse(url, None).map(|address| address.to_string()).expect_err(url);
    for secret in ["postgres://ada:s3cret@host/work", "postgres://host/work?password=s3cret"] {
        let told = refused(secret);
        assert!(told.contains("`store.password`") && !told.contains("s3cret"), "{told}");
    }
    insta::assert_snapshot!(refused("postgres://ada@host/work?sslmod=verify-full"), @"there is no parameter `sslmod`, only application_name, dbname, host, port, sslcert, sslkey, sslmode, sslrootcert, user");
    insta::assert_snapshot!(refused("postgres://ada@host/work?sslmode=prefer"), @"`sslmode` is verify-full, verify-ca, require or disable, not `prefer`");
    insta::assert_snapshot!(refused("postgres://ada@/work"), @"it is no address: empty host; write `postgres://USER@HOST/DATABASE`, or `postgres:///DATABASE?host=FOLDER&user=USER` for a socket");
}
