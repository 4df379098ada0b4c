//! Every wire format over real HTTP, against the scripted model with all its faults.

use patchwright::model::chat::{ChatDialect, ChatModel};
use patchwright::model::draft::Draft;
use patchwright::model::endpoint::EndpointSettings;
use patchwright::model::messages::MessagesModel;
use patchwright::model::responses::ResponsesModel;
use patchwright::model::scripted::{Fault, Script, ScriptedModel, Step};
use patchwright::model::{Model, ModelError, Prompt};
use patchwright_domain::job::Mode;
use patchwright_domain::turn::tools::{self, EditForm};
use patchwright_domain::turn::{Item, Reply, Tool};
use secrecy::SecretString;
use serde_json::json;

mod chat;
mod conversation;
mod faults;
mod messages;
mod responses;
mod spoken;

const KEY: &str = "sk-very-secret-0123456789";

/// A wire format, and a way to speak it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Responses,
    Chat,
    /// Chat Completions of a server without tools.
    Spoken,
    Messages,
}

const FORMATS: [Format; 4] = [Format::Responses, Format::Chat, Format::Spoken, Format::Messages];

impl Format {
    fn model(self, settings: EndpointSettings) -> Result<Box<dyn Model>, ModelError> {
        let chat = |native_tools, settings| ChatModel::new(settings, ChatDialect { native_tools, ..ChatDialect::default() });
        Ok(match self {
            Self::Responses => Box::new(ResponsesModel::new(settings)?),
            Self::Chat => Box::new(chat(true, settings)?),
            Self::Spoken => Box::new(chat(false, settings)?),
            Self::Messages => Box::new(MessagesModel::new(settings)?),
        })
    }

    fn client(self, scripted: &ScriptedModel) -> Box<dyn Model> {
        self.model(settings(scripted.base_url())).expect("the settings are right")
    }

    fn tools(self) -> Vec<Tool> {
        let form = if self == Self::Responses { EditForm::Freeform } else { EditForm::Function };
        tools::on_offer(Mode::Fix, form)
    }

    /// One request of its own.
    async fn ask(self, model: &dyn Model, items: &[Item]) -> Result<Reply, ModelError> {
        self.ask_on(model, items, &mut Draft::default()).await
    }

    /// The next request of a conversation.
    async fn ask_on(self, model: &dyn Model, items: &[Item], draft: &mut Draft) -> Result<Reply, ModelError> {
        let tools = &self.tools();
        let prompt = Prompt { instructions: "Work.", tools, items, revision: 0, cache_key: "key-1", output_tokens_max: 100 };
        model.complete(&prompt, draft).await
    }

    /// What one request comes to when this goes wrong.
    async fn after(self, fault: Fault) -> Result<Reply, ModelError> {
        let scripted = start(Script::of([message("hi")]).with_faults([fault])).await;
        let reply = self.ask(&*self.client(&scripted), &user("x")).await;
        if let Err(error) = &reply {
            assert!(!format!("{error} {error:?}").contains(KEY), "{error}");
        }
        scripted.shutdown().await;
        reply
    }

    /// An error inside the stream, in the format's own form.
    fn failed(self, code: &str, message: &str) -> Fault {
        let error = json!({ "code": code, "type": code, "message": message });
        Fault::Events(vec![match self {
            Self::Responses => json!({ "type": "response.failed", "response": { "status": "failed", "error": error } }),
            Self::Chat | Self::Spoken => json!({ "error": error }),
            Self::Messages => json!({ "type": "error", "error": error }),
        }])
    }
}

fn user(text: &str) -> Vec<Item> {
    vec![Item::User { text: text.to_owned() }]
}

fn settings(base_url: String) -> EndpointSettings {
    EndpointSettings { api_key: Some(SecretString::from(KEY)), ..EndpointSettings::new(base_url, "model-1") }
}

async fn start(script: Script) -> ScriptedModel {
    ScriptedModel::start(script).await.expect("a free port")
}

fn message(text: &str) -> Step {
    Step::Message(text.to_owned())
}

fn status(code: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Status { code, headers, body: body.to_owned() }
}

#[track_caller]
fn check_rate_limit(reply: Result<Reply, ModelError>, expected: Option<f64>) {
    match reply {
        Err(ModelError::RateLimited { retry_after }) => assert_eq!(retry_after.map(|wait| wait.as_secs_f64()), expected),
        other => panic!("no rate limit: {other:?}"),
    }
}

/// The name of an error's variant and its text.
fn named(reply: Result<Reply, ModelError>) -> (&'static str, String) {
    let error = reply.expect_err("no reply");
    let name = match &error {
        ModelError::RateLimited { .. } => "rate limited",
        ModelError::Unavailable(_) => "unavailable",
        ModelError::BrokenOff { .. } => "broken off",
        ModelError::Unauthorized(_) => "unauthorized",
        ModelError::ContextOverflow(_) => "context overflow",
        ModelError::Rejected(_) => "rejected",
    };
    (name, error.to_string())
}
