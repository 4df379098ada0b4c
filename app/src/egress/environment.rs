//! The variables by which programs inside find the proxy, each in the spelling of its tool.

use crate::sandbox::OUTLET_PORT;

/// What is reached without the proxy: the sandbox's own loopback.
const NO_PROXY: &str = "localhost,127.0.0.1,::1";
/// Where a further certificate authority is inside.
pub(super) const CA_FILE: &str = "/run/outlet-ca.pem";

/// The variables for curl, git, pip, uv, npm, cargo, go, the JVM and most others.
pub(super) fn proxy() -> Vec<(String, String)> {
    let url = format!("http://127.0.0.1:{OUTLET_PORT}");
    let mut variables = Vec::new();
    let by_url = [
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "CARGO_HTTP_PROXY",
        "npm_config_proxy",
        "npm_config_https_proxy",
    ];
    variables.extend(by_url.map(|name| (name.to_owned(), url.clone())));
    variables.extend(["no_proxy", "NO_PROXY", "npm_config_noproxy"].map(|name| (name.to_owned(), NO_PROXY.to_owned())));
    let for_scheme = |scheme: &str| format!("-D{scheme}.proxyHost=127.0.0.1 -D{scheme}.proxyPort={OUTLET_PORT}");
    let jvm = format!("{} {} -Dhttp.nonProxyHosts=localhost|127.*|[::1]", for_scheme("http"), for_scheme("https"));
    variables.push(("JAVA_TOOL_OPTIONS".to_owned(), jvm));
    // What the sandbox says where nothing can be reached would keep the tools from trying.
    variables.push(("CARGO_NET_OFFLINE".to_owned(), "false".to_owned()));
    variables
}

/// The variables that make tools trust a bundle of certificates.
pub(super) fn authority(bundle: &str) -> Vec<(String, String)> {
    let names = [
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "CARGO_HTTP_CAINFO",
        "NODE_EXTRA_CA_CERTS",
        "PIP_CERT",
        "REQUESTS_CA_BUNDLE",
    ];
    names.map(|name| (name.to_owned(), bundle.to_owned())).into()
}
