//! Things that go wrong on request: refusals, lost answers, broken connections.

use serde_json::{Value, json};

/// What goes wrong, for which requests, and how often.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The method it is for; every one if none.
    pub method: Option<&'static str>,
    /// The path it is for, in which `*` stands for anything: `/repos/*/pulls` of the API, or `/o/r.git/*` of git.
    pub path: String,
    /// How many requests it still strikes.
    pub times: u32,
    /// Whether the request is carried out all the same, and only its answer lost.
    pub effect: Effect,
    /// What the caller gets to see.
    pub answer: FaultyAnswer,
}

/// Whether a struck request is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing happens.
    Withheld,
    /// It happens, and the caller cannot know.
    Applied,
}

/// What the caller of a struck request gets to see.
#[derive(Clone, Debug)]
pub enum FaultyAnswer {
    /// A status with headers and a body.
    Response {
        /// The status.
        status: u16,
        /// Headers besides the usual ones.
        headers: Vec<(&'static str, String)>,
        /// The JSON body.
        body: Value,
    },
    /// A connection that breaks.
    Disconnect,
    /// Nothing, until the caller gives up.
    Silence,
    /// A push refused by a hook with these words; requests other than pushes pass.
    RefusePush(String),
}

impl Fault {
    /// Answers the next request with a status and a message, without carrying it out.
    pub fn refuse(method: &'static str, path: &str, status: u16, message: &str) -> Self {
        let body = json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()});
        let answer = FaultyAnswer::Response { status, headers: Vec::new(), body };
        Self { method: Some(method), path: path.to_owned(), times: 1, effect: Effect::Withheld, answer }
    }

    /// Answers the next request as a secondary rate limit does: with 403 or 429, and seconds to wait.
    pub fn rate_limit(method: &'static str, path: &str, status: u16, retry_after_seconds: u32) -> Self {
        let mut fault = Self::refuse(method, path, status, "You have exceeded a secondary rate limit. Please wait.");
        if let FaultyAnswer::Response { headers, .. } = &mut fault.answer {
            headers.push(("retry-after", retry_after_seconds.to_string()));
        }
        fault
    }

    /// Carries out the next request and answers 502 nevertheless.
    pub fn lose_answer(method: &'static str, path: &str) -> Self {
        Self { effect: Effect::Applied, ..Self::refuse(method, path, 502, "Server Error") }
    }

    /// Breaks the connection of the next request, without carrying it out.
    pub fn disconnect(method: &'static str, path: &str) -> Self {
        Self { answer: FaultyAnswer::Disconnect, ..Self::refuse(method, path, 500, "") }
    }

    /// Never answers the next request, and does not carry it out.
    pub fn silence(method: &'static str, path: &str) -> Self {
        Self { answer: FaultyAnswer::Silence, ..Self::refuse(method, path, 500, "") }
    }

    /// Has a hook refuse the next push to `owner/name`.
    pub fn refuse_push(repository: &str, message: &str) -> Self {
        let path = format!("/{repository}.git/git-receive-pack");
        Self { answer: FaultyAnswer::RefusePush(message.to_owned()), ..Self::refuse("POST", &path, 403, message) }
    }

    /// Has the fault strike that many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    pub(super) fn strikes(&self, method: &str, path: &str) -> bool {
        self.times > 0 && self.method.is_none_or(|wanted| wanted == method) && matches(&self.path, path)
    }
}

/// Takes the first fault that strikes this request, and counts it.
pub(super) fn strike(faults: &mut Vec<Fault>, method: &str, path: &str) -> Option<Fault> {
    let fault = faults.iter_mut().find(|fault| fault.strikes(method, path))?;
    fault.times -= 1;
    let struck = fault.clone();
    faults.retain(|fault| fault.times > 0);
    Some(struck)
}

fn matches(pattern: &str, path: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == path };
    let Some(path) = path.strip_prefix(start) else { return false };
    (0..=path.len()).filter(|at| path.is_char_boundary(*at)).any(|at| matches(rest, &path[at..]))
}
