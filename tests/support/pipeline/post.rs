//! Deliveries as somebody other than the rehearsed GitHub posts them: signed or not, whole or not.

use patchwright::rehearsal::hook::signature;

use super::{WEBHOOK_SECRET, World};

/// A webhook to be posted; take away what should be missing.
pub(crate) struct Post {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) text: String,
}

impl Post {
    /// A delivery that lacks nothing.
    pub(crate) fn signed(id: &str, event: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::signed_with(WEBHOOK_SECRET, id, event, body)
    }

    /// A delivery that lacks nothing, signed with this secret.
    pub(crate) fn signed_with(secret: &str, id: &str, event: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let headers = vec![
            ("content-type", "application/json".into()),
            ("x-github-delivery", id.to_owned()),
            ("x-github-event", event.to_owned()),
            ("x-hub-signature-256", signature(secret.as_bytes(), &body)),
        ];
        Self { headers, body }
    }

    /// The same without a header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self
    }

    /// The same with another value of a header.
    pub(crate) fn with(self, name: &'static str, value: &str) -> Self {
        let mut changed = self.without(name);
        changed.headers.push((name, value.to_owned()));
        changed
    }
}

impl World {
    /// Posts a webhook to the server.
    pub(crate) async fn post(&self, post: Post) -> Answered {
        let mut request = self.client.post(format!("{}/webhooks/github", self.url)).body(post.body);
        for (name, value) in post.headers {
            request = request.header(name, value);
        }
        answered(request).await
    }

    /// Gets a page of the server.
    pub(crate) async fn get(&self, path: &str) -> Answered {
        answered(self.client.get(format!("{}{path}", self.url))).await
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Answered {
    let answer = request.send().await.expect("the server answers");
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().expect("a header is text").to_owned());
    Answered { status, retry_after, text: answer.text().await.expect("the answer is text") }
}
