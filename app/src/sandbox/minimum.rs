//! A sandbox that is opened only while it is as strong as is asked for: what it gives is tried at the start and again every
//! hour, and what was not found to hold is not there.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::sandbox::{Capabilities, Executor, Isolation, Limits, Profile, Refusal, Sandbox, Terms, Tree};

/// How long a probe is believed.
const BELIEVED: Duration = Duration::from_secs(3600);
/// How long a refusal is, so that a machine that was mended is soon used again.
const REFUSAL_BELIEVED: Duration = Duration::from_secs(60);

/// A sandbox and the weakest walls that the operator takes.
pub struct Minimum {
    inner: Arc<dyn Sandbox>,
    isolation: Isolation,
    /// What the last probe found, and when.
    found: Mutex<Option<(Instant, Result<Capabilities, Refusal>)>>,
}

impl Minimum {
    /// Puts a sandbox behind this condition.
    pub fn new(inner: Arc<dyn Sandbox>, isolation: Isolation) -> Self {
        Self { inner, isolation, found: Mutex::default() }
    }

    /// What the last probe found, or a new one where that is too old.
    async fn last_found(&self) -> Result<Capabilities, Refusal> {
        let mut found = self.found.lock().await;
        if let Some((at, result)) = &*found {
            let believed = if result.is_ok() { BELIEVED } else { REFUSAL_BELIEVED };
            if at.elapsed() < believed {
                return result.clone();
            }
        }
        let result = self.inner.probe().await;
        *found = Some((Instant::now(), result.clone()));
        result
    }
}

#[async_trait]
impl Sandbox for Minimum {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn found(&self) -> Result<Capabilities, Refusal> {
        enough(self.last_found().await?, self.isolation, "the operator's `sandbox.isolation`")
    }

    async fn probe(&self) -> Result<Capabilities, Refusal> {
        let mut found = self.found.lock().await;
        let result = self.inner.probe().await;
        *found = Some((Instant::now(), result.clone()));
        drop(found);
        result.and_then(|capabilities| enough(capabilities, self.isolation, "the operator's `sandbox.isolation`"))
    }

    async fn open(&self, tree: Tree<'_>, terms: Terms<'_>) -> Result<Box<dyn Executor>, Refusal> {
        enough(self.found().await?, terms.isolation, "the repository's policy")?;
        self.inner.open(tree, terms).await
    }

    async fn layers(&self, place: &Path, profile: Profile) -> bool {
        self.inner.layers(place, profile).await
    }

    async fn sweep(&self) -> Result<(), Refusal> {
        self.inner.sweep().await
    }
}

/// Refuses walls that are weaker than somebody demands.
fn enough(found: Capabilities, demanded: Isolation, by: &str) -> Result<Capabilities, Refusal> {
    if found.isolation >= demanded {
        return Ok(found);
    }
    let remedy = match demanded {
        Isolation::None | Isolation::Landlock | Isolation::Namespaces => "use the executor `local` on a machine with namespaces",
        Isolation::Container => "set `sandbox.executor` to `container`, with Docker or Podman",
        Isolation::Kernel => "set `sandbox.executor` to `container` and `sandbox.container.runtime` to `runsc` (gVisor)",
    };
    Err(Refusal {
        missing: format!("walls as strong as {by} demands: `{demanded}`, and this machine gives `{}`", found.isolation),
        remedy: format!("{remedy}; or lower what is demanded. `patchwright doctor` says what each level takes"),
    })
}
