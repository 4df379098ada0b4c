//! How a Kubernetes cluster runs commands, as the operator sets it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a Kubernetes cluster runs commands: one Pod for each executor, in a namespace of their own.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kubernetes {
    /// The namespace of the Pods; `manifests/kubernetes.yaml` makes it, with what the server may do there.
    pub namespace: String,
    /// The image that commands run in: with a shell, and the toolchains that repositories need.
    pub image: Option<String>,
    /// Patchwright's own image, of the server's version; it puts the launcher in, and keeps the files.
    pub launcher_image: Option<String>,
    /// Where the program is in that image.
    pub launcher_program: String,
    /// A Pod in YAML that says where Pods run: labels, annotations, node selector, tolerations, affinity, priority,
    /// scheduler, pull secrets. Nothing that weakens the sandbox may be in it.
    pub pod_template: Option<PathBuf>,
    /// The cluster's RuntimeClass for the Pods, such as `gvisor`, which gives every Pod a kernel of its own. That is believed of
    /// a class whose name says so (gVisor, Kata, krun) and whose Pods see another kernel than the server.
    pub runtime_class: Option<String>,
    /// Secrets of that namespace with which the images are fetched.
    pub image_pull_secrets: Vec<String>,
    /// Whether Pods may do without a user namespace, where the cluster's nodes have none.
    pub host_users: bool,
    /// A kubeconfig file; without one that of `KUBECONFIG` or the home directory, and inside a cluster the Pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// The context in that file, where it is not to be the current one.
    pub context: Option<String>,
    /// How many processors one Pod may use, such as `1.5`.
    pub cpus: f64,
    /// How long a Pod may take until it runs, with fetching its images, in seconds.
    pub start_timeout_seconds: u64,
    /// How long a Pod may be there at all, in seconds; the cluster ends it then.
    pub lifetime_seconds: u64,
    /// A name for this installation, where several use one namespace.
    pub instance: String,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            namespace: "patchwright-sandbox".to_owned(),
            image: None,
            launcher_image: None,
            launcher_program: "patchwright".to_owned(),
            pod_template: None,
            runtime_class: None,
            image_pull_secrets: Vec::new(),
            host_users: false,
            kubeconfig: None,
            context: None,
            cpus: 2.0,
            start_timeout_seconds: 300,
            lifetime_seconds: 6 * 3600,
            instance: "patchwright".to_owned(),
        }
    }
}
