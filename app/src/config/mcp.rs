//! A server of the Model Context Protocol, as the operator sets it up.

use std::time::Duration;

use reqwest::Url;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::http_client;

/// A server of the Model Context Protocol whose tools the agent is offered.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mcp {
    /// Its name, of small letters, digits, `-` and `_`. Its tools are called `mcp__name__tool`.
    pub name: String,
    /// The program that is the server: its path, and its arguments. It runs in the agent's sandbox, without network.
    pub command: Vec<String>,
    /// The server's address, in the place of a program.
    pub url: Option<String>,
    /// The bearer token for the address. It goes over https only, or to this machine.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// The names of the tools that are offered; no others are.
    pub tools: Vec<String>,
    /// Whether the tools change nothing, so that they are offered for answers, plans and reviews too.
    pub read_only: bool,
    /// How many seconds one call may take.
    pub timeout_seconds: u64,
}

impl Default for Mcp {
    fn default() -> Self {
        Self {
            name: String::new(),
            command: Vec::new(),
            url: None,
            token: None,
            tools: Vec::new(),
            read_only: false,
            timeout_seconds: 60,
        }
    }
}

impl Mcp {
    /// How long one call may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// Says what is wrong with the servers, naming the key.
pub(super) fn check(servers: &[Mcp]) -> Result<(), String> {
    for (index, server) in servers.iter().enumerate() {
        let name = &server.name;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c)) {
            return Err(format!("`mcp.name` must be small letters, digits, `-` and `_`, not `{name}`"));
        }
        if servers[..index].iter().any(|other| other.name == *name) {
            return Err(format!("`mcp.name`: there are two servers `{name}`"));
        }
        if server.tools.is_empty() {
            return Err(format!("`mcp.tools` of `{name}` must name the tools that are offered"));
        }
        if server.timeout_seconds == 0 {
            return Err(format!("`mcp.timeout_seconds` of `{name}` must be at least 1"));
        }
        match (server.command.first(), &server.url) {
            (Some(program), None) if !program.starts_with('/') => {
                return Err(format!("`mcp.command` of `{name}` must begin with the program's whole path, not `{program}`"));
            }
            (Some(_), None) if server.token.is_some() => {
                return Err(format!("`mcp.token` of `{name}` is for an address: no secret goes into a sandbox"));
            }
            (Some(_), None) => {}
            (None, Some(url)) => check_address(name, url, server.token.is_some())?,
            (Some(_), Some(_)) | (None, None) => {
                return Err(format!("the MCP server `{name}` must have either `mcp.command` or `mcp.url`"));
            }
        }
    }
    Ok(())
}

fn check_address(name: &str, url: &str, has_token: bool) -> Result<(), String> {
    let wrong = || format!("`mcp.url` of `{name}` must be an http or https address without user and password");
    let url = Url::parse(url).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong());
    }
    if has_token && url.scheme() == "http" && !http_client::is_loopback(&url) {
        return Err(format!("`mcp.url` of `{name}` must be https: the token would be sent for all to read"));
    }
    Ok(())
}
