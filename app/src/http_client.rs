//! The one way in which this program makes HTTP clients: rustls with ring, no redirects, bounded connecting.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client to build on. Redirects are not followed: they would carry a request, and its secrets, to another host.
pub fn builder() -> reqwest::ClientBuilder {
    // Another call may have installed it before; either way it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(reqwest::redirect::Policy::none())
}

/// A client for one address, which carries the token, if there is one, with every request.
///
/// # Errors
/// Says what is wrong with the address or the token, which is not repeated.
pub fn for_address(url: &str, token: Option<&SecretString>) -> Result<reqwest::Client, String> {
    let url = Url::parse(url).map_err(|error| format!("the address cannot be read: {error}"))?;
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
        let mut value = value.map_err(|_| "the token cannot stand in a header".to_owned())?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let mut client = builder().user_agent(concat!("patchwright/", env!("CARGO_PKG_VERSION"))).default_headers(headers);
    if is_loopback(&url) {
        client = client.no_proxy();
    }
    if url.scheme() == "http" {
        // Without TLS there is no need to read the machine's certificates, or to have any.
        client = client.tls_certs_only([]);
    }
    client.build().map_err(|error| chain(&error))
}

/// Whether an address is on this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string().lines().next().unwrap_or_default().to_owned(), |text, cause| {
        let cause = cause.to_string();
        let line = cause.lines().next().unwrap_or_default();
        if text.contains(line) { text } else { format!("{text}: {line}") }
    })
}
