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

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string().lines().next().unwrap_or_default().to_owned(), |text, cause| {
        let cause = cause.to_string();
        let line = cause.lines().next().unwrap_or_default();
        if text.contains(line) { text } else { format!("{text}: {line}") }
    })
}
