//! From a name on the list to a connection: resolved once, every address checked, and connected to exactly those.
//!
//! Where the server itself has to go through a proxy, that one resolves, and nothing can be checked here but the name.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::egress::address::{self, Scope};
use crate::egress::name::{HostName, Pattern};
use crate::egress::resolve::{ADDRESSES_MAX, Resolve};
use crate::egress::rules::decoded;
use crate::egress::rules::{Denial, Host, basic};

/// How long DNS may take.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest answer of a proxy to `CONNECT`, in bytes.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

/// A proxy that the server itself has to go through.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are there, if it asks.
    pub login: Option<(String, SecretString)>,
    /// What is reached without it.
    pub direct: Vec<Pattern>,
}

impl Upstream {
    /// Reads the address of a proxy, and the list of what is reached without it as `NO_PROXY` has it.
    ///
    /// # Errors
    /// What cannot be used; a password is not repeated.
    pub fn parse(address: &str, direct: &str) -> Result<Self, &'static str> {
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let url = reqwest::Url::parse(&address).map_err(|_| "it is no address")?;
        if url.scheme() != "http" {
            return Err("only a proxy that is spoken to in plain HTTP can be gone through");
        }
        let host = url.host_str().ok_or("it has no host")?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let login = (!url.username().is_empty())
            .then(|| (decoded(url.username()), SecretString::from(decoded(url.password().unwrap_or_default()))));
        let names = direct.split(',').map(|name| name.trim().trim_start_matches("*.").trim_start_matches('.'));
        // A name stands for itself and what is below it; addresses are never asked for.
        let names: Vec<HostName> = names.filter_map(|name| HostName::parse(name).ok()).collect();
        let direct = names.into_iter().flat_map(|name| [Pattern::Exactly(name.clone()), Pattern::Below(name)]).collect();
        Ok(Self { host, port: url.port_or_known_default().unwrap_or(80), login, direct })
    }
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Dialler {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) upstream: Option<Arc<Upstream>>,
    pub(super) connect_timeout: Duration,
}

impl Dialler {
    /// The proxy that a name is reached through, if there is one.
    pub(super) fn upstream(&self, name: &HostName) -> Option<&Upstream> {
        self.upstream.as_deref().filter(|upstream| !upstream.direct.iter().any(|pattern| pattern.matches(name)))
    }

    /// The addresses of an allowed name, all of which may be connected to.
    pub(super) async fn addresses(&self, name: &HostName, port: u16, host: &Host) -> Result<Vec<SocketAddr>, Denial> {
        let found = match timeout(RESOLVE_TIMEOUT, self.resolver.addresses(name.as_str())).await {
            Ok(Ok(found)) if !found.is_empty() => found,
            Ok(Ok(_)) => return Err(Denial::unreachable("the name has no address")),
            Ok(Err(error)) => {
                tracing::debug!(error = %error, "{name} cannot be resolved");
                return Err(Denial::unreachable("the name cannot be resolved"));
            }
            Err(_) => return Err(Denial::unreachable("resolving the name took too long")),
        };
        for address in &found {
            match address::scope(*address) {
                Scope::Global => {}
                Scope::Private if host.private => {}
                Scope::Private => {
                    let remedy = "If that is meant, the operator says so with `private = true` in `[[sandbox.egress.host]]`.";
                    return Err(Denial::forbidden("the name leads to an address of this machine or its networks", remedy));
                }
                Scope::Never => {
                    let remedy = "The operator should see what DNS says of this name; no key allows it.";
                    return Err(Denial::forbidden("the name leads to an address that is never reached", remedy));
                }
            }
        }
        Ok(found.into_iter().take(ADDRESSES_MAX).map(|address| SocketAddr::new(address, port)).collect())
    }

    /// A connection to an allowed host.
    pub(super) async fn connect(&self, name: &HostName, port: u16, host: &Host) -> Result<TcpStream, Denial> {
        if let Some(upstream) = self.upstream(name) {
            let through = timeout(self.connect_timeout, through(upstream, name, port)).await;
            return through.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten().map_err(|error| {
                tracing::warn!(error = %error, "{name} cannot be reached through {}:{}", upstream.host, upstream.port);
                Denial::unreachable("the server's own proxy does not lead there")
            });
        }
        let addresses = self.addresses(name, port, host).await?;
        // One limit for all of them.
        let connected = timeout(self.connect_timeout, TcpStream::connect(addresses.as_slice())).await;
        let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten().map_err(|error| {
            tracing::debug!(error = %error, "{name} cannot be reached");
            Denial::unreachable("the host does not answer")
        })?;
        // What is sent in small pieces is sent at once; without it everything works, slower.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

async fn through(upstream: &Upstream, name: &HostName, port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((upstream.host.as_str(), upstream.port)).await?;
    let login = upstream.login.as_ref().map(|(user, password)| basic(user, password));
    let login = login.map(|login| format!("Proxy-Authorization: {login}\r\n")).unwrap_or_default();
    let request = format!("CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n{login}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Byte by byte, so that nothing behind the answer is taken from who comes after us.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == ANSWER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the proxy's answer is too long"));
        }
        answer.push(stream.read_u8().await?);
    }
    let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if status != b"200" {
        let status = String::from_utf8_lossy(status).chars().take(3).collect::<String>();
        return Err(io::Error::other(format!("the proxy answers {status}")));
    }
    Ok(stream)
}
