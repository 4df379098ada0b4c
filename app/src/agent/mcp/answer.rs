//! What a tool answered, as text.

use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, ResourceContents};

use super::connection::Broken;

/// An answer.
pub(super) struct Answer {
    /// Its text, as it came.
    pub(super) text: String,
    /// Whether the tool says that it failed.
    pub(super) is_error: bool,
}

/// Takes the text out of a response; what else is in it is only named.
pub(super) fn of(response: CallToolResponse) -> Result<Answer, Broken> {
    match response {
        CallToolResponse::Complete(result) => Ok(text(&result)),
        CallToolResponse::InputRequired(_) => {
            Ok(Answer { text: "(The tool asks for something in return, which is refused.)".to_owned(), is_error: true })
        }
        // We never say that we know tasks or whatever comes after them.
        _ => Err(Broken::new("it answered with something that was not asked for")),
    }
}

fn text(result: &CallToolResult) -> Answer {
    let mut parts: Vec<String> = result.content.iter().map(part).collect();
    if let (true, Some(structured)) = (parts.is_empty(), &result.structured_content) {
        parts.push(structured.to_string());
    }
    if parts.is_empty() {
        parts.push("(The answer is empty.)".to_owned());
    }
    Answer { text: parts.join("\n"), is_error: result.is_error == Some(true) }
}

fn part(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => format!("(An image of {} bytes is left out.)", image.data.len()),
        ContentBlock::Audio(audio) => format!("(A sound of {} bytes is left out.)", audio.data.len()),
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { text, .. } => format!("(A resource of {} bytes is left out.)", text.len()),
            _ => "(A resource is left out.)".to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("(A link to a resource is left out: {})", link.uri),
        _ => "(A part of an unknown kind is left out.)".to_owned(),
    }
}
