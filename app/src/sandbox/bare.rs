//! No sandbox, for machines that are thrown away after the run: commands are run as the server's own user.
//!
//! It keeps order and nothing else: time and output are limited, each process has the kernel's limits, and what a command
//! leaves behind is ended. It keeps nobody from the machine's files, its network or its other processes, and it says so
//! wherever it is asked. The operator has to want it twice, see `commands::ConfigArguments`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::proof::{Exit, Limit};

use crate::private_folder::PrivateFolder;
use crate::sandbox::files::Files;
use crate::sandbox::plain::{PlainExecutor, borrow, unusable};
use crate::sandbox::{
    Capabilities, Command, Enforcement, Executor, Isolation, Limits, Output, Profile, Refusal, Sandbox, SandboxError, Terms, Tree,
};

/// How each limit is kept: those of a single process by the kernel, what is printed as it is read, the rest by nobody. Of
/// memory and processor time each process has its share, and nobody adds them up.
const LIMITS: [(Limit, Enforcement); 8] = [
    (Limit::Memory, Enforcement::Missing),
    (Limit::Cpu, Enforcement::Missing),
    (Limit::Processes, Enforcement::Missing),
    (Limit::OpenFiles, Enforcement::Exact),
    (Limit::FileSize, Enforcement::Exact),
    (Limit::Disk, Enforcement::Missing),
    (Limit::Files, Enforcement::Missing),
    (Limit::Output, Enforcement::Exact),
];
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
const PROBE_OUTPUT_BYTES_MAX: usize = 4 * 1024;
/// The `PATH` of commands where the server has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs commands as this process's own user.
pub struct BareSandbox {
    launcher: PathBuf,
    limits: Limits,
    /// Environment variables beside the few that every command gets.
    environment: Vec<(String, String)>,
}

impl BareSandbox {
    /// The launcher is the `patchwright` binary at `launcher`; `environment` is added to that of commands.
    pub fn new(launcher: PathBuf, limits: Limits, environment: Vec<(String, String)>) -> Self {
        Self { launcher, limits, environment }
    }

    /// The variables of the host that its tools do not work without, once they are listed: where they are, and which
    /// toolchain is the default.
    pub fn tools_of_this_machine() -> Vec<(String, String)> {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let rustup = text("RUSTUP_HOME").or_else(|| text("HOME").map(|home| format!("{home}/.rustup")));
        let rustup = rustup.filter(|folder| Path::new(folder).is_dir()).map(|folder| ("RUSTUP_HOME".to_owned(), folder));
        text("PATH").map(|path| ("PATH".to_owned(), path)).into_iter().chain(rustup).collect()
    }

    fn executor(&self, tree: Tree<'_>, profile: Profile) -> io::Result<PlainExecutor> {
        let private = PrivateFolder::new()?;
        let temporary = private.path().join("tmp");
        std::fs::create_dir(&temporary)?;
        let home = match tree.home {
            Some(home) => home.to_owned(),
            None => {
                let home = private.path().join("home");
                std::fs::create_dir(&home)?;
                home
            }
        };
        let text = |path: &Path| path.display().to_string();
        let user = "agent".to_owned();
        let base = [
            ("HOME", text(&home)),
            ("LANG", "C.UTF-8".to_owned()),
            ("LOGNAME", user.clone()),
            ("PATH", PATH.to_owned()),
            ("TMPDIR", text(&temporary)),
            ("USER", user),
        ];
        let mut environment: BTreeMap<String, String> = base.map(|(name, value)| (name.to_owned(), value)).into();
        environment.extend(self.environment.iter().cloned());
        let files = Files::open(tree.path, None)?;
        if let Some(objects) = tree.objects {
            borrow(&files, objects)?;
        }
        Ok(PlainExecutor {
            launcher: self.launcher.clone(),
            limits: self.limits.clone(),
            workspace: tree.path.to_owned(),
            environment: environment.into_iter().collect(),
            is_read_only: matches!(profile, Profile::Reader),
            files: Arc::new(files),
            _private: private,
            _pen: None,
            walls: None,
        })
    }
}

#[async_trait]
impl Sandbox for BareSandbox {
    fn name(&self) -> &'static str {
        "none"
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    async fn probe(&self) -> Result<Capabilities, Refusal> {
        let no_room = |error: io::Error| unusable(&std::env::temp_dir(), &error);
        // No limit is tried, so it does not have to be where workspaces are.
        let folder = PrivateFolder::new().map_err(no_room)?;
        let mut executor = self.executor(Tree::alone(folder.path()), Profile::Proof).map_err(no_room)?;
        let command = Command {
            script: "exit 0".to_owned(),
            directory: String::new(),
            timeout: PROBE_TIMEOUT,
            output_bytes_max: PROBE_OUTPUT_BYTES_MAX,
        };
        let broken = |missing: String| Refusal { missing, remedy: "install a working /bin/sh on this machine".to_owned() };
        match executor.execute(&command).await {
            Ok(Output { exit: Exit::Code(0), .. }) => {
                Ok(Capabilities { isolation: Isolation::None, layers: Vec::new(), limits: LIMITS.to_vec(), advice: Vec::new() })
            }
            Ok(output) => Err(broken(format!("a shell: `exit 0` ended with {}", output.exit))),
            Err(SandboxError::Refused(refusal)) => Err(refusal),
            Err(error @ (SandboxError::Path { .. } | SandboxError::Machine { .. })) => Err(broken(format!("a shell: {error}"))),
        }
    }

    async fn open(&self, tree: Tree<'_>, terms: Terms<'_>) -> Result<Box<dyn Executor>, Refusal> {
        if terms.outlet.is_some() || tree.layer.is_some() || !tree.read_only.is_empty() {
            return Err(Refusal {
                missing: "walls that something could be let through: the executor `none` has none".to_owned(),
                remedy: "set `sandbox.egress.enabled` to false, or use another executor".to_owned(),
            });
        }
        let executor = self.executor(tree, terms.profile).map_err(|error| unusable(tree.path, &error))?;
        Ok(Box::new(executor))
    }

    async fn sweep(&self) -> Result<(), Refusal> {
        Ok(())
    }
}
