//! What the model is told; the only place that renders untrusted text for it.

/// The opening of a conversation with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// What the model is and how it works here: static for a version of the program, so that it can be cached.
    pub instructions: String,
    /// The task, the repository's instructions and facts, with everything from outside fenced.
    pub task: String,
    /// Equal for jobs on the same repository, so that they share the endpoint's cache.
    pub cache_key: String,
}
