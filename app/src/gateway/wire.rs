//! Which requests are let through, and what of them is ours to say: the model's name, the output's limit, the key's header.

use serde_json::{Map, Value, json};

/// A kind of request, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// OpenAI's Responses API.
    Responses,
    /// OpenAI's chat completions.
    Chat,
    /// Anthropic's messages.
    Messages,
    /// Gemini's `generateContent`, whole.
    Generate,
    /// Gemini's `streamGenerateContent`.
    StreamGenerate,
}

impl Wire {
    /// The kind of a path, with or without its version; none for anything that is not to be let through.
    pub fn of(path: &str) -> Option<Self> {
        let bare = path.strip_prefix("/v1beta").or_else(|| path.strip_prefix("/v1")).unwrap_or(path);
        if let Some((_, method)) = bare.strip_prefix("/models/").and_then(|rest| rest.rsplit_once(':')) {
            return match method {
                "generateContent" => Some(Self::Generate),
                "streamGenerateContent" => Some(Self::StreamGenerate),
                _ => None,
            };
        }
        match bare {
            "/responses" => Some(Self::Responses),
            "/chat/completions" => Some(Self::Chat),
            "/messages" => Some(Self::Messages),
            _ => None,
        }
    }

    /// The path, for the record.
    pub fn path(self) -> &'static str {
        match self {
            Self::Responses => "/responses",
            Self::Chat => "/chat/completions",
            Self::Messages => "/messages",
            Self::Generate => "/models/MODEL:generateContent",
            Self::StreamGenerate => "/models/MODEL:streamGenerateContent",
        }
    }

    /// The address that is asked; nothing of it comes from inside.
    pub(super) fn url(self, base_url: &str, model: &str) -> String {
        let base_url = base_url.trim_end_matches('/');
        let query = match self {
            Self::Messages => "?beta=true",
            Self::StreamGenerate => "?alt=sse",
            Self::Responses | Self::Chat | Self::Generate => "",
        };
        format!("{base_url}{}{query}", self.path().replace("MODEL", model))
    }

    /// The header that the key goes into; none for `Authorization`.
    pub(super) fn key_header(self) -> Option<&'static str> {
        match self {
            Self::Responses | Self::Chat => None,
            Self::Messages => Some("x-api-key"),
            Self::Generate | Self::StreamGenerate => Some("x-goog-api-key"),
        }
    }

    fn output_keys(self) -> &'static [&'static str] {
        match self {
            Self::Responses => &["max_output_tokens"],
            Self::Chat => &["max_completion_tokens", "max_tokens"],
            Self::Messages => &["max_tokens"],
            Self::Generate | Self::StreamGenerate => &["maxOutputTokens"],
        }
    }

    fn output_limits(self, body: &Map<String, Value>) -> Option<&Map<String, Value>> {
        match self {
            Self::Responses | Self::Chat | Self::Messages => Some(body),
            Self::Generate | Self::StreamGenerate => body.get("generationConfig").and_then(Value::as_object),
        }
    }

    /// The most tokens of output that the request asks for, if it says so; of several limits the largest.
    pub(super) fn output_asked(self, body: &Map<String, Value>) -> Option<u64> {
        let limits = self.output_limits(body)?;
        self.output_keys().iter().filter_map(|key| limits.get(*key).and_then(Value::as_u64)).max()
    }

    /// The request for our model, and for no more output than was granted.
    pub(super) fn adapt(self, mut body: Map<String, Value>, model: &str, output_tokens_max: Option<u64>) -> Map<String, Value> {
        match self {
            Self::Responses | Self::Messages => drop(body.insert("model".to_owned(), model.into())),
            Self::Chat => {
                body.insert("model".to_owned(), model.into());
                if body.get("stream") == Some(&Value::Bool(true)) {
                    // Otherwise the endpoint does not say what was used.
                    body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
                }
            }
            Self::Generate | Self::StreamGenerate => {}
        }
        if let Some(most) = output_tokens_max {
            self.cap(&mut body, most);
        }
        body
    }

    fn cap(self, body: &mut Map<String, Value>, most: u64) {
        let limits = match self {
            Self::Responses | Self::Chat | Self::Messages => body,
            Self::Generate | Self::StreamGenerate => {
                let limits = body.entry("generationConfig").or_insert_with(|| json!({}));
                if !limits.is_object() {
                    *limits = json!({});
                }
                limits.as_object_mut().expect("it was just made one")
            }
        };
        let keys = self.output_keys();
        let given = keys.iter().find(|key| limits.contains_key(**key)).unwrap_or(&keys[0]);
        // Of two limits the endpoint might heed the other one.
        keys.iter().for_each(|key| drop(limits.remove(*key)));
        limits.insert((*given).to_owned(), most.into());
    }
}

#[cfg(test)]
mod tests;
