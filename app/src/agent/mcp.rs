//! Tools of servers that speak the Model Context Protocol, as the operator has set them up.
//!
//! A server is either a program in the agent's own sandbox, without network, or an address. Nothing that a server says is
//! believed: only the tools that the operator named are offered, everything is bounded in size and time, answers are
//! fenced, and a server that breaks the protocol is not asked again. Its requests to us are refused.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};
use patchwright_domain::job::Mode;
use patchwright_domain::turn::{Tool, output, tools};
use rmcp::model::Tool as Declared;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::agent::toolbox::{LeftOut, Toolbox, Tools};
use crate::sandbox::{Executor, Process};

mod answer;
mod bounded;
mod connection;

use connection::{Broken, Connection, Stream};

/// How many tools are offered at most, of all servers together.
const TOOLS_MAX: usize = 64;
/// How much of an answer the model is shown, in bytes: the head and the tail, half each.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// The longest that connecting may take, whatever a server's own limit is.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// How much of a reason is kept for the operator, in bytes.
const REASON_BYTES_MAX: usize = 1_000;

/// What came of connecting to a server: the connection and its tools, or why there is none.
type Introduced = Result<(Connection, Vec<Declared>), String>;

/// A server, as the operator has set it up.
#[derive(Clone, Debug)]
pub struct McpServer {
    /// Its name: small letters, digits, hyphens and underscores.
    pub name: String,
    /// How it is reached.
    pub reach: Reach,
    /// The names of the tools that are offered; no others are.
    pub tools: Vec<String>,
    /// Whether its tools change nothing, so that they are offered where nothing may be changed.
    pub read_only: bool,
    /// How long one call, and connecting, may take.
    pub timeout: Duration,
}

/// How a server is reached.
#[derive(Clone)]
pub enum Reach {
    /// A program inside the agent's sandbox: its path there, and its arguments.
    Program(Vec<String>),
    /// An address, with the client that asks it; a token, if there is one, is among the headers of the client.
    Address {
        /// Where its one endpoint is.
        url: String,
        /// A client that follows no redirects.
        client: reqwest::Client,
    },
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(arguments) => f.debug_tuple("Program").field(arguments).finish(),
            // An address may hold a key.
            Self::Address { .. } => f.debug_struct("Address").finish_non_exhaustive(),
        }
    }
}

/// All servers that the operator has set up.
#[derive(Clone, Debug, Default)]
pub struct McpServers(pub Vec<McpServer>);

impl McpServers {
    /// Connects to the servers that have something to offer in this mode, all at the same time.
    pub async fn connect(&self, mode: Mode, executor: &mut dyn Executor, time_left: Duration) -> Mcp {
        let is_wanted = |server: &&McpServer| mode.edits() || server.read_only;
        let wanted: Vec<McpServer> = self.0.iter().filter(is_wanted).cloned().collect();
        let mut introducing = Vec::new();
        for server in &wanted {
            let limit = server.timeout.min(CONNECT_TIMEOUT_MAX).min(time_left);
            let started = match server.reach.clone() {
                Reach::Program(argv) => {
                    let process = Process { argv, ..Process::default() };
                    match timeout(limit, executor.spawn(&process)).await {
                        Ok(started) => started.map(Stream::Program).map_err(|error| error.to_string()),
                        Err(_) => Err("it could not be started in time".to_owned()),
                    }
                }
                Reach::Address { url, client } => Ok(Stream::Address { url, client }),
            };
            introducing.push(introduce(started, limit));
        }
        let mut mcp = Mcp::default();
        for (server, introduced) in wanted.into_iter().zip(join_all(introducing).await) {
            match introduced {
                Ok((connection, declared)) => mcp.take(&server, connection, declared),
                Err(reason) => mcp.leave_out(&server.name, &reason),
            }
        }
        mcp.settle();
        mcp
    }
}

#[async_trait]
impl Toolbox for McpServers {
    async fn open(&self, mode: Mode, executor: &mut dyn Executor, time_left: Duration) -> Box<dyn Tools> {
        Box::new(self.connect(mode, executor, time_left).await)
    }
}

/// A future without borrows, in a box: otherwise the compiler does not see that it may go to another thread.
fn introduce(started: Result<Stream, String>, limit: Duration) -> BoxFuture<'static, Introduced> {
    Box::pin(async move { Connection::open(started?, limit).await })
}

/// A server that is, or was, connected.
struct Connected {
    name: String,
    timeout: Duration,
    /// None once it broke.
    connection: Option<Connection>,
}

/// The servers of one solve.
#[derive(Default)]
pub struct Mcp {
    servers: Vec<Connected>,
    on_offer: Vec<Tool>,
    left_out: Vec<LeftOut>,
    /// Which server and which of its tools a name on offer means.
    targets: BTreeMap<String, (usize, String)>,
}

impl Mcp {
    /// Takes over those of a server's tools that the operator named.
    fn take(&mut self, server: &McpServer, connection: Connection, declared: Vec<Declared>) {
        for name in &server.tools {
            let whole = format!("{}/{name}", server.name);
            let Some(tool) = declared.iter().find(|tool| tool.name == *name) else {
                self.leave_out(&whole, "the server has no such tool");
                continue;
            };
            let description = tool.description.as_deref().unwrap_or_default();
            match tools::external(&server.name, name, description, &tool.input_schema) {
                Ok(tool) if self.targets.contains_key(tool.name()) => self.leave_out(&whole, "another tool has its name"),
                Ok(tool) => {
                    self.targets.insert(tool.name().to_owned(), (self.servers.len(), name.clone()));
                    self.on_offer.push(tool);
                }
                Err(reason) => self.leave_out(&whole, &reason),
            }
        }
        tracing::info!(server = server.name, "the MCP server {} is connected", server.name);
        self.servers.push(Connected { name: server.name.clone(), timeout: server.timeout, connection: Some(connection) });
    }

    fn leave_out(&mut self, what: &str, reason: &str) {
        let reason = output::excerpt(reason.as_bytes(), 0, REASON_BYTES_MAX).text;
        tracing::warn!(what, "{what} is left out: {reason}");
        self.left_out.push(LeftOut { what: what.to_owned(), reason });
    }

    /// Brings the tools into their order, and leaves out those that are too many.
    fn settle(&mut self) {
        self.on_offer.sort_by(|a, b| a.name().cmp(b.name()));
        let beyond = self.on_offer.split_off(self.on_offer.len().min(TOOLS_MAX));
        for tool in beyond {
            self.targets.remove(tool.name());
            self.leave_out(tool.name(), "there are too many tools");
        }
    }
}

#[async_trait]
impl Tools for Mcp {
    fn on_offer(&self) -> &[Tool] {
        &self.on_offer
    }

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    async fn call(&mut self, name: &str, arguments: &Map<String, Value>) -> Result<String, String> {
        let unknown = || format!("{name}: there is no such tool");
        let (index, tool) = self.targets.get(name).ok_or_else(unknown)?;
        let server = self.servers.get_mut(*index).ok_or_else(unknown)?;
        let gone = || format!("{name} is no longer there: its server broke off, and is not asked again");
        let connection = server.connection.as_mut().ok_or_else(gone)?;
        match connection.call(tool, arguments, server.timeout).await {
            Ok(answer) => {
                let fenced = output::of_external(name, &answer.text, ANSWER_BYTES_MAX);
                if answer.is_error { Err(format!("The tool says that it failed.\n{fenced}")) } else { Ok(fenced) }
            }
            Err(Broken { reason }) => {
                tracing::warn!(server = server.name, "the MCP server {} is not asked again: {reason}", server.name);
                if let Some(connection) = server.connection.take() {
                    connection.close().await;
                }
                Err(format!("{name} gave no answer, and its server is not asked again: {reason}"))
            }
        }
    }

    async fn close(&mut self) {
        join_all(self.servers.iter_mut().filter_map(|server| server.connection.take()).map(Connection::close)).await;
    }
}
