//! What a repository demands of the place in which its code is run.

use serde::{Deserialize, Serialize};

/// How strong a sandbox's walls are, the weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// None: only for machines that are thrown away after the run.
    #[default]
    None,
    /// Rules on files alone, in the host's own namespaces.
    Landlock,
    /// Namespaces and a system-call filter on the host's kernel.
    Namespaces,
    /// A container engine's, with ours inside.
    Container,
    /// A kernel of its own: gVisor or a virtual machine.
    Kernel,
}

impl std::fmt::Display for Isolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Landlock => "landlock",
            Self::Namespaces => "namespaces",
            Self::Container => "container",
            Self::Kernel => "kernel",
        })
    }
}

/// What a repository demands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Demands {
    /// The weakest walls with which its code is run; the operator's own minimum counts as well.
    pub isolation: Isolation,
    /// The image that its commands run in, where the server runs images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The hosts that its setup may reach, of those that the operator lets it reach; all of them where it names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
}

impl Demands {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
