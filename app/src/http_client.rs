//! The one way in which this program makes HTTP clients: rustls with ring, no redirects, bounded connecting.

use std::time::Duration;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client to build on. Redirects are not followed: they would carry a request, and its secrets, to another host.
pub fn builder() -> reqwest::ClientBuilder {
    // Another call may have installed it before; either way it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(reqwest::redirect::Policy::none())
}
