//! Drives any agent that speaks the Agent Client Protocol, version 1: JSON-RPC 2.0, one message a line.
//!
//! We are the client. We offer no files and no terminals of ours, since the agent has its own inside, and we allow whatever
//! it asks a permission for.

use patchwright_domain::turn::Closing;
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::agent::Ending;
use crate::agent::external::lines::Lines;
use crate::agent::external::{Run, beginning, say};

/// The version that we speak.
const PROTOCOL: u64 = 1;
/// JSON-RPC's code for a method that nobody offers.
const METHOD_NOT_FOUND: i64 = -32601;
/// How much of a tool call's title is noted, in bytes.
const TITLE_BYTES_MAX: usize = 200;

/// Works until the agent is done and the gate has nothing to say, or has said it often enough.
pub(super) async fn drive(run: &mut Run<'_>) -> Result<(Ending, Closing), Ending> {
    let (input, lines) = run.spawn().await?;
    let mut talk = Talk { input, lines, n_requests: 0, answer: String::new() };
    let hello = json!({
        "protocolVersion": PROTOCOL,
        "clientCapabilities": { "fs": { "readTextFile": false, "writeTextFile": false }, "terminal": false },
        "clientInfo": { "name": "patchwright", "version": env!("CARGO_PKG_VERSION") },
    });
    let greeted = talk.call(run, "initialize", hello).await?;
    if greeted["protocolVersion"] != PROTOCOL {
        return Err(
            run.failed(&format!("it speaks version {} of ACP, not {PROTOCOL}", greeted["protocolVersion"]), &run.errors())
        );
    }
    let opened = talk.call(run, "session/new", json!({ "cwd": "/workspace", "mcpServers": [] })).await?;
    let Some(session) = opened["sessionId"].as_str().map(str::to_owned) else {
        return Err(run.failed("it opened a session without an id", &run.errors()));
    };
    let mut prompt = run.task();
    let mut n_checks = 0;
    loop {
        run.prompted(&prompt);
        talk.answer.clear();
        let prompting = json!({ "sessionId": session, "prompt": [{ "type": "text", "text": prompt }] });
        let ended = talk.call(run, "session/prompt", prompting).await?;
        let closing = Closing::of(talk.answer.trim());
        match ended["stopReason"].as_str().unwrap_or_default() {
            "end_turn" => {}
            "refusal" => return Ok((Ending::Refused, closing)),
            reason @ ("max_tokens" | "max_turn_requests") => {
                let limit = format!("The coding agent's own limit is reached: {reason}.");
                return Ok((Ending::BudgetExhausted { limit }, closing));
            }
            reason => return Err(run.failed(&format!("it stopped for the reason {reason:?}"), &run.errors())),
        }
        match run.check(&closing).await? {
            Some(missing) if n_checks < run.assignment.checks_max => prompt = missing,
            Some(_) | None => return Ok((Ending::Finished, closing)),
        }
        n_checks += 1;
    }
}

/// The conversation on the wire.
struct Talk {
    input: Box<dyn AsyncWrite + Send + Unpin>,
    lines: Lines,
    n_requests: u64,
    /// What the agent has said since its last tool call.
    answer: String,
}

impl Talk {
    /// Sends a request and serves what the agent sends until its answer is there.
    async fn call(&mut self, run: &mut Run<'_>, method: &str, params: Value) -> Result<Value, Ending> {
        self.n_requests += 1;
        let id = self.n_requests;
        self.send(run, json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await?;
        loop {
            let mut message = match self.lines.next().await {
                Ok(Some(message)) => message,
                Ok(None) => return Err(run.fail(&format!("its output ended before it answered `{method}`")).await),
                Err(broken) => return Err(run.failed(&broken.0, &run.errors())),
            };
            if let Some(asked) = message["method"].as_str().map(str::to_owned) {
                let params = message["params"].take();
                match message.get("id") {
                    Some(id) => {
                        let mut reply = answer_to(&asked, &params);
                        reply["jsonrpc"] = "2.0".into();
                        reply["id"] = id.clone();
                        self.send(run, reply).await?;
                    }
                    None if asked == "session/update" => self.update(run, &params["update"]),
                    None => {}
                }
            } else if message["id"] == id {
                if let Some(error) = message.get("error").filter(|error| !error.is_null()) {
                    return Err(run.failed(&format!("it answered `{method}` with an error: {error}"), &run.errors()));
                }
                return Ok(message["result"].take());
            }
        }
    }

    async fn send(&mut self, run: &mut Run<'_>, message: Value) -> Result<(), Ending> {
        let line = format!("{message}\n");
        let sent = async {
            self.input.write_all(line.as_bytes()).await?;
            self.input.flush().await
        };
        match sent.await {
            Ok(()) => Ok(()),
            Err(error) => Err(run.fail(&format!("it does not read any more: {error}")).await),
        }
    }

    fn update(&mut self, run: &Run<'_>, update: &Value) {
        match update["sessionUpdate"].as_str().unwrap_or_default() {
            "agent_message_chunk" => say(&mut self.answer, update["content"]["text"].as_str().unwrap_or_default()),
            "tool_call" => {
                // What was said before was no answer yet.
                self.answer.clear();
                let title = update["title"].as_str().unwrap_or("a tool");
                let title = title.lines().next().unwrap_or_default();
                run.notes.add(format!("used `{}`", beginning(title, TITLE_BYTES_MAX)));
            }
            // Thoughts, plans, modes and whatever comes later say nothing that we need.
            _ => {}
        }
    }
}

/// What a request of the agent's is answered with.
fn answer_to(method: &str, params: &Value) -> Value {
    if method != "session/request_permission" {
        return json!({ "error": { "code": METHOD_NOT_FOUND, "message": format!("there is no `{method}` here") } });
    }
    let options = params["options"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |kind: &str| options.iter().find(|option| option["kind"] == kind);
    match of("allow_always").or_else(|| of("allow_once")) {
        Some(option) => json!({ "result": { "outcome": { "outcome": "selected", "optionId": option["optionId"] } } }),
        None => json!({ "result": { "outcome": { "outcome": "cancelled" } } }),
    }
}

#[cfg(test)]
mod tests;
