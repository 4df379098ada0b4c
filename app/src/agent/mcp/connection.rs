//! A connection to one server: opened, asked and closed, each in bounded time.

use std::sync::Arc;
use std::time::Duration;

use patchwright_domain::turn::output;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest, ClientResult, ErrorCode, ErrorData, Implementation,
    ListToolsRequest, PaginatedRequestParams, ServerNotification, ServerRequest, ServerResult, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, RunningService, Service};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::common::client_side_sse::NeverRetry;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceError, ServiceExt as _};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::answer::{self, Answer};
use super::bounded::{BYTES_MAX, BoundedClient, BoundedRead, Left};
use crate::sandbox::{Handle, Running};

/// How many pages of tools are read.
const PAGES_MAX: usize = 32;
/// How long a server has for its farewell.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of what a program wrote to its standard error is told, in bytes.
const ERRORS_BYTES_MAX: usize = 500;

/// A server that is not to be asked again.
#[derive(Debug)]
pub(super) struct Broken {
    /// Why.
    pub(super) reason: String,
}

impl Broken {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Our side of the protocol: it has no capabilities, and refuses whatever a server asks for.
struct Refusing;

impl Service<RoleClient> for Refusing {
    async fn handle_request(
        &self,
        request: ServerRequest,
        _context: RequestContext<RoleClient>,
    ) -> Result<ClientResult, ErrorData> {
        match request {
            ServerRequest::PingRequest(_) => Ok(ClientResult::empty(())),
            _ => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "refused", None)),
        }
    }

    async fn handle_notification(
        &self,
        _notification: ServerNotification,
        _context: NotificationContext<RoleClient>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("patchwright", env!("CARGO_PKG_VERSION")))
    }
}

/// A server that is started, and has not said anything.
pub(super) enum Stream {
    /// A program in the sandbox.
    Program(Running),
    /// An address.
    Address { url: String, client: reqwest::Client },
}

/// A server that has introduced itself.
pub(super) struct Connection {
    service: RunningService<RoleClient, Refusing>,
    /// Dropped, it kills the program.
    program: Option<Box<dyn Handle>>,
    left: Left,
}

impl Connection {
    /// Introduces us, and reads what tools there are.
    pub(super) async fn open(stream: Stream, limit: Duration) -> Result<(Self, Vec<Tool>), String> {
        let left = Left::new();
        let (mut program, serving) = match stream {
            Stream::Program(Running { input, output, handle }) => {
                let output = BoundedRead { inner: output, left: left.clone() };
                let transport = AsyncRwTransport::new_client(output, input).with_max_line_length(BYTES_MAX);
                (Some(handle), timeout(limit, Refusing.serve(transport)).await)
            }
            Stream::Address { url, client } => {
                let mut config = StreamableHttpClientTransportConfig::with_uri(url).reinit_on_expired_session(false);
                config.retry_config = Arc::new(NeverRetry::default());
                let client = BoundedClient { inner: client, left: left.clone() };
                let transport = StreamableHttpClientTransport::with_client(client, config);
                (None, timeout(limit, Refusing.serve(transport)).await)
            }
        };
        let service = match serving {
            Ok(Ok(service)) => service,
            Ok(Err(error)) => return Err(farewell(&mut program, format!("it cannot be talked to: {error}")).await),
            Err(_) => return Err(farewell(&mut program, silent(limit)).await),
        };
        let mut connection = Self { service, program, left };
        let listed = match timeout(limit, connection.list()).await {
            Ok(listed) => listed,
            Err(_) => Err(silent(limit)),
        };
        match listed {
            Ok(tools) => Ok((connection, tools)),
            Err(reason) => {
                let reason = farewell(&mut connection.program, reason).await;
                connection.close().await;
                Err(reason)
            }
        }
    }

    async fn list(&mut self) -> Result<Vec<Tool>, String> {
        let (mut tools, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            self.left.renew();
            let params = Some(PaginatedRequestParams::default().with_cursor(cursor));
            let request = ListToolsRequest { params, ..ListToolsRequest::default() };
            let asking = self.service.send_request(ClientRequest::ListToolsRequest(request));
            let answered = asking.await.map_err(|error| self.why(&error))?;
            let ServerResult::ListToolsResult(page) = answered else { return Err(self.why(&ServiceError::UnexpectedResponse)) };
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(tools);
            }
        }
        Err(format!("its tools fill more than {PAGES_MAX} pages"))
    }

    /// Calls a tool by the server's own name for it.
    pub(super) async fn call(&mut self, tool: &str, arguments: &Map<String, Value>, limit: Duration) -> Result<Answer, Broken> {
        self.left.renew();
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments.clone());
        match timeout(limit, self.service.call_tool_once(request)).await {
            Err(_) => Err(Broken { reason: silent(limit) }),
            Ok(Ok(response)) => answer::of(response),
            // The server is well, and does not like the call.
            Ok(Err(ServiceError::McpError(error))) => Ok(Answer { text: error.message.into_owned(), is_error: true }),
            Ok(Err(error)) => Err(Broken { reason: self.why(&error) }),
        }
    }

    fn why(&self, error: &ServiceError) -> String {
        if self.left.is_used_up() {
            return format!("it sent more than {BYTES_MAX} bytes for one answer");
        }
        match error {
            ServiceError::TransportClosed => "it broke off".to_owned(),
            ServiceError::UnexpectedResponse => "it answered with something that was not asked for".to_owned(),
            ServiceError::McpError(error) => format!("it says: {}", error.message),
            // What the transport says may hold what the server said.
            other => output::excerpt(other.to_string().as_bytes(), 0, ERRORS_BYTES_MAX).text,
        }
    }

    /// Ends the program, or takes leave of the address.
    pub(super) async fn close(mut self) {
        if let Some(program) = &mut self.program {
            // Whether it could be killed shows when it is dropped at the latest.
            let _ = timeout(CLOSE_TIMEOUT, program.kill()).await;
        }
        let _ = self.service.close_with_timeout(CLOSE_TIMEOUT).await;
    }
}

fn silent(limit: Duration) -> String {
    format!("it said nothing for {} s", limit.as_secs_f32())
}

/// Kills a program that is not wanted any more, and adds what it left behind to the reason.
async fn farewell(program: &mut Option<Box<dyn Handle>>, reason: String) -> String {
    let Some(program) = program else { return reason };
    let killed = timeout(CLOSE_TIMEOUT, program.kill()).await;
    let refused = match killed {
        Ok(Err(error)) => format!("; {error}"),
        Ok(Ok(_)) | Err(_) => String::new(),
    };
    let errors = output::excerpt(program.errors().as_bytes(), 0, ERRORS_BYTES_MAX).text;
    let errors = errors.trim();
    if errors.is_empty() { format!("{reason}{refused}") } else { format!("{reason}{refused}; it wrote: {errors}") }
}
