//! Which files of a repository an agent's patch may touch, as its policy says it.

use serde::{Deserialize, Serialize};

/// Which files may be touched. It can only forbid: what the gates keep from being published stays there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// Globs of which one must fit, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// Globs of which none may fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<String>,
}

impl Scope {
    /// Whether every file may be touched.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}
