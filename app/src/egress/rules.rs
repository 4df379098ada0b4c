//! The list of hosts that a setup may reach, and the words in which everything else is refused.

use http::header::HeaderValue;
use http::{Method, StatusCode};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

use crate::egress::name::{Authority, HostName, Pattern};

/// The ports of a host for which none are named.
pub const PORTS: [u16; 2] = [80, 443];

/// What stands in the place of a password where the user's name is a token.
const PASSWORDS_OF_TOKENS: [&str; 4] = ["", "x-oauth-basic", "nopass", "x"];
/// User names that stand beside a token and say no more than that, or nothing at all.
const NAMES_OF_TOKENS: [&str; 12] = [
    "__token__",
    "_json_key",
    "_json_key_base64",
    "anonymous",
    "gitlab-ci-token",
    "oauth2",
    "oauth2accesstoken",
    "personal-access-token",
    "private-token",
    "x-access-token",
    "x-token-auth",
    "username",
];
/// From how many characters on a user's name is taken for a token: one without a digit where no password stands beside it, and one
/// with a digit in any case, for some registries give pairs of tokens.
const TOKEN_CHARS_MIN: usize = 20;

/// What the proxy adds to requests to a host, and nobody inside sees.
#[derive(Clone)]
pub enum Credential {
    /// A bearer token.
    Token(SecretString),
    /// A token that stands in the header by itself, as cargo's registries take it.
    Bare(SecretString),
    /// A user's name and password.
    Password {
        /// The user's name.
        username: String,
        /// The password.
        password: SecretString,
    },
}

/// A user's name may be a token, so that nothing of it is shown.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential")
    }
}

impl Credential {
    /// What nobody may know of it: the token or password, and the user's name where that is a token itself.
    pub fn secrets(&self) -> impl Iterator<Item = SecretString> + use<> {
        let (secret, username) = match self {
            Self::Token(secret) | Self::Bare(secret) => (Some(secret), None),
            Self::Password { username, password } => {
                let stands_for_none = is_placeholder(password.expose_secret());
                ((!stands_for_none).then_some(password), Some(username).filter(|name| is_token(name, stands_for_none)))
            }
        };
        secret.cloned().into_iter().chain(username.map(|name| SecretString::from(name.as_str())))
    }

    /// The value of the header `Authorization`.
    ///
    /// # Errors
    /// Where it cannot stand in a header; it is not repeated.
    pub fn header(&self) -> Result<HeaderValue, &'static str> {
        let text = match self {
            Self::Token(token) => format!("Bearer {}", token.expose_secret()),
            Self::Bare(token) => token.expose_secret().to_owned(),
            Self::Password { username, password } => basic(username, password),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| "it cannot stand in a header")?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn is_placeholder(password: &str) -> bool {
    PASSWORDS_OF_TOKENS.iter().any(|placeholder| password.eq_ignore_ascii_case(placeholder))
}

/// Whether a user's name is a token. Names that are shorter than any secret that is looked for need no list.
fn is_token(username: &str, is_alone: bool) -> bool {
    let is_well_known = NAMES_OF_TOKENS.iter().any(|name| username.eq_ignore_ascii_case(name));
    let (is_long, has_digit) = (username.len() >= TOKEN_CHARS_MIN, username.contains(|c: char| c.is_ascii_digit()));
    let is_like_one = if is_alone { is_long || has_digit } else { is_long && has_digit };
    !is_well_known && !username.contains('@') && is_like_one
}

/// How often a path is decoded in the search for a way out of its prefix: servers and the proxies before them each may.
const DECODED_MAX: usize = 3;

/// A credential, and what it is for: reading, at and below one path.
///
/// Whoever can make the proxy ask for something can make it ask for anything, so a credential is never put to a request that
/// could publish, change or remove. Such a request goes on without it, and the host itself refuses it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The path at and below which it is added; `/` is the whole host.
    pub below: String,
    /// What is added.
    pub credential: Credential,
}

impl Grant {
    /// One that holds for the whole host.
    pub fn of_host(credential: Credential) -> Self {
        Self { below: "/".to_owned(), credential }
    }

    /// Whether it is for a path, as it is sent.
    fn covers(&self, path: &str) -> bool {
        let below = self.below.trim_end_matches('/');
        let rest = path.strip_prefix(below);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && (below.is_empty() || !leads_up(path))
    }
}

/// Whether a server that decodes a path may find a step out of it: `..` written in another way.
fn leads_up(path: &str) -> bool {
    let mut path = path.to_owned();
    for _ in 0..DECODED_MAX {
        if path.split(['/', '\\']).any(|segment| segment.split(';').next() == Some("..")) {
            return true;
        }
        path = decoded(&path);
    }
    // What is encoded more often than that is written to mislead.
    decoded(&path) != path
}

/// Text in which `%` stands for bytes; what is wrongly written stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let query = format!("x={}", text.replace('+', "%2B").replace('&', "%26").replace('#', "%23"));
    let pair = Url::parse(&format!("http://x/?{query}"))
        .ok()
        .and_then(|url| url.query_pairs().next().map(|(_, value)| value.into_owned()));
    pair.unwrap_or_else(|| text.to_owned())
}

/// The value that stands for a user's name and password.
pub(super) fn basic(username: &str, password: &SecretString) -> String {
    use base64::Engine as _;
    let pair = format!("{username}:{}", password.expose_secret());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// One host, or all below one, that a setup may reach.
#[derive(Clone, Debug)]
pub struct Host {
    /// Which names.
    pub pattern: Pattern,
    /// Which ports.
    pub ports: Vec<u16>,
    /// Whether its addresses may be this machine's or its networks'.
    pub private: bool,
    /// Whether a plain request to it goes out over TLS, so that the proxy can add to it.
    pub upgrade_to_tls: bool,
    /// What the proxy adds to plain requests that read.
    pub grants: Vec<Grant>,
}

impl Host {
    /// A host on the internet, at the usual ports.
    pub fn new(pattern: Pattern) -> Self {
        Self { pattern, ports: PORTS.to_vec(), private: false, upgrade_to_tls: false, grants: Vec::new() }
    }

    /// What is added to a request: nothing to one that could change something, otherwise what holds for the longest beginning
    /// of its path. npm asks for audits by POST, and installs without an answer; nothing else that reads is asked for so.
    pub(super) fn credential(&self, method: &Method, path: &str) -> Option<&Credential> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let covering = self.grants.iter().filter(|grant| grant.covers(path));
        covering.max_by_key(|grant| grant.below.len()).map(|grant| &grant.credential)
    }
}

/// Why a request is refused, in the words that are told inside and written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denial {
    pub(super) status: StatusCode,
    /// The reason, without the host.
    pub(super) reason: String,
    /// What the operator can do about it.
    pub(super) remedy: String,
}

impl Denial {
    fn new(status: StatusCode, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), remedy: remedy.into() }
    }

    /// Against the rules.
    pub(super) fn forbidden(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, reason, remedy)
    }

    /// No request that could be passed on.
    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, "Ask by CONNECT for https, and with the whole address for http.")
    }

    /// Allowed, but the host cannot be reached.
    pub(super) fn unreachable(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, reason, "Try again, or have the operator see whether the server reaches this host.")
    }

    /// The session has used up what it may.
    pub(super) fn used_up(direction: &str, key: &str) -> Self {
        Self::forbidden(format!("the session's limit of bytes {direction} is used up"), format!("The operator sets `{key}`."))
    }
}

/// What may be reached; the first entry that fits counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// What the operator allows.
    pub(super) hosts: Vec<Host>,
    /// What the repository wants of it, if it says so.
    pub(super) only: Option<Vec<Pattern>>,
}

impl Rules {
    /// The entry for a host and port, before anything is resolved.
    pub(super) fn allows(&self, name: &HostName, port: u16) -> Result<&Host, Denial> {
        let mut meant = self.hosts.iter().filter(|host| host.pattern.matches(name)).peekable();
        if meant.peek().is_none() {
            let remedy = format!("The operator allows it with `sandbox.egress.hosts = [\"{name}\"]`.");
            return Err(Denial::forbidden("the host is not on the list", remedy));
        }
        if self.only.as_ref().is_some_and(|only| !only.iter().any(|pattern| pattern.matches(name))) {
            let remedy = format!("The repository allows it with `sandbox.hosts: [\"{name}\"]` in its policy file.");
            return Err(Denial::forbidden("the repository's policy does not name the host", remedy));
        }
        meant.find(|host| host.ports.contains(&port)).ok_or_else(|| {
            let remedy = format!("The operator allows it with `ports = [{port}]` in `[[sandbox.egress.host]]`, for this name.");
            Denial::forbidden(format!("the port {port} is not on the list for this host"), remedy)
        })
    }
}

/// Reads the host and port of a request; `port` is what is meant where none is said.
pub(super) fn authority(text: &str, port: Option<u16>) -> Result<(HostName, u16), Denial> {
    let remedy =
        "Only names can be allowed, in `sandbox.egress.hosts`: an address needs a name, in DNS or in the server's `/etc/hosts`.";
    let Authority { name, port: said } = Authority::parse(text).map_err(|reason| Denial::forbidden(reason, remedy))?;
    let port = said.or(port).ok_or_else(|| Denial::malformed("the port is missing"))?;
    Ok((name, port))
}
