//! The maker of the Pods of one executor, and what their commands find around them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use patchwright_launcher::spec::HOME;

use crate::clock::{Clock as _, SystemClock};
use crate::sandbox::carried::Carried;
use crate::sandbox::kubernetes::beside::Beside;
use crate::sandbox::kubernetes::cluster::Cluster;
use crate::sandbox::kubernetes::life::Life;
use crate::sandbox::kubernetes::pod::{self, Purpose};
use crate::sandbox::kubernetes::{KubernetesSettings, leftovers};
use crate::sandbox::{Outlet, Profile, Refusal};

static N_MADE: AtomicU64 = AtomicU64::new(0);

/// Makes the Pods of one executor, one after another.
pub(super) struct Maker {
    pub(super) cluster: Arc<Cluster>,
    pub(super) carried: Arc<Carried>,
    pub(super) settings: KubernetesSettings,
    pub(super) profile: Profile,
    pub(super) image: String,
    pub(super) beside: Beside,
}

impl Maker {
    pub(super) async fn make(&self) -> Result<Life, Refusal> {
        let now = SystemClock.now();
        let number = N_MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("patchwright-{:x}-{}-{number}", now.as_millisecond(), std::process::id());
        let worker = leftovers::worker();
        let lifetime = i64::try_from(self.settings.lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires = now.as_second().saturating_add(lifetime);
        let purpose = Purpose {
            name: &name,
            worker: &worker,
            expires,
            profile: self.profile,
            image: &self.image,
            folders: &self.beside.folders,
        };
        let pod = pod::pod(&self.settings, &self.carried, &purpose);
        Life::start(&self.cluster, &pod, self.settings.start_timeout).await
    }
}

/// The operator's image; a repository's own choice is not theirs.
pub(super) fn chosen<'a>(own: Option<&'a str>, named: Option<&str>) -> Result<&'a str, Refusal> {
    let own = own.ok_or_else(|| Refusal {
        missing: "an image for the Pods".to_owned(),
        remedy: "name one with the toolchains that repositories need in `sandbox.kubernetes.image`".to_owned(),
    })?;
    match named {
        Some(named) if named != own => Err(Refusal {
            missing: format!("the image `{named}`, which the repository names"),
            remedy: format!("take it out of the repository's settings: in this cluster commands run in `{own}`"),
        }),
        Some(_) | None => Ok(own),
    }
}

/// What commands find in their environment, where it is said twice the later.
pub(super) fn environment(further: &[(String, String)], outlet: Option<&Outlet>) -> BTreeMap<String, String> {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let base = [("HOME", HOME), ("LANG", "C.UTF-8"), ("LOGNAME", "agent"), ("PATH", PATH), ("TMPDIR", "/tmp"), ("USER", "agent")];
    let mut all: BTreeMap<String, String> = base.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    all.extend(outlet.into_iter().flat_map(|outlet| outlet.environment.iter().cloned()));
    all.extend(further.iter().cloned());
    all
}
