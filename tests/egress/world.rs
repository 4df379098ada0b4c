//! A gate with a host behind it, and a sandbox in front.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use patchwright::clock::SystemClock;
use patchwright::egress::log::Log;
use patchwright::egress::name::Pattern;
use patchwright::egress::resolve::Resolve;
use patchwright::egress::rules::Host;
use patchwright::egress::{Carried, Egress, Gate, Limits, Settings};
use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::{Command, Executor, Profile, Sandbox, Terms, Tree};
use patchwright_domain::proof::Exit;
use tempfile::TempDir;

use super::origin::{AUTHORITY, Origin};

/// A resolver that answers by a script and remembers what it was asked.
#[derive(Default)]
pub(crate) struct Names {
    answers: Mutex<BTreeMap<String, VecDeque<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    /// What a name leads to, the first time it is asked for, the second, and so on; the last answer stays.
    pub(crate) fn lead(&self, name: &str, answers: &[&[&str]]) {
        let addresses = |texts: &&[&str]| texts.iter().map(|text| text.parse().expect("it is an address")).collect();
        let answers = answers.iter().map(addresses).collect();
        self.answers.lock().expect("no test panics in here").insert(name.to_owned(), answers);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics in here").clone()
    }
}

#[async_trait]
impl Resolve for Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().expect("no test panics in here").push(name.to_owned());
        let mut answers = self.answers.lock().expect("no test panics in here");
        let Some(queue) = answers.get_mut(name) else { return Err(io::ErrorKind::NotFound.into()) };
        let answer = if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() };
        answer.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A host of the list on loopback.
pub(crate) fn near(name: &str, origin: &Origin) -> Host {
    let pattern = Pattern::parse(name).expect("it is a pattern");
    Host { ports: vec![origin.plain, origin.tls], private: true, ..Host::new(pattern) }
}

pub(crate) fn settings(names: &Arc<Names>, hosts: Vec<Host>) -> Settings {
    let certificate = reqwest::Certificate::from_pem(AUTHORITY.as_bytes()).expect("the fixture is a certificate");
    Settings {
        hosts,
        limits: Limits::default(),
        resolver: Arc::clone(names) as Arc<dyn Resolve>,
        clock: Arc::new(SystemClock),
        upstream: None,
        certificates: vec![certificate],
        ca_bundle: Some(AUTHORITY.to_owned()),
        sources: None,
        carried: Carried::default(),
        for_patches: false,
    }
}

/// An origin at `registry.test` and names that lead there, before a gate is opened.
pub(crate) async fn origin() -> (Origin, Arc<Names>) {
    let (origin, names) = (Origin::start().await, Arc::<Names>::default());
    for name in ["registry.test", "private.registry.test", "fronted.test", "evil.test", "localhost"] {
        names.lead(name, &[&["127.0.0.1"]]);
    }
    (origin, names)
}

/// What a script did.
pub(crate) struct Done {
    pub(crate) exit: Exit,
    pub(crate) text: String,
}

/// A sandbox with a gate, or without.
pub(crate) struct World {
    pub(crate) origin: Origin,
    pub(crate) names: Arc<Names>,
    gate: Option<Gate>,
    _workspace: TempDir,
    executor: Box<dyn Executor>,
}

impl World {
    /// A setup that may reach `registry.test`, without the machine's toolchains.
    pub(crate) async fn new() -> World {
        World::with(|settings, _| settings).await
    }

    /// The same with other settings.
    pub(crate) async fn with(change: impl FnOnce(Settings, &Origin) -> Settings) -> World {
        let (origin, names) = origin().await;
        let settings = change(settings(&names, vec![near("registry.test", &origin)]), &origin);
        let local = LocalSettings { toolchain_path: None, ..LocalSettings::default() };
        World::open(origin, names, Some(settings), local, Profile::Setup).await
    }

    /// What an agent's commands have: the same sandbox without a gate.
    pub(crate) async fn without_a_gate() -> World {
        let (origin, names) = origin().await;
        let local = LocalSettings { toolchain_path: None, ..LocalSettings::default() };
        World::open(origin, names, None, local, Profile::Agent).await
    }

    pub(crate) async fn open(
        origin: Origin,
        names: Arc<Names>,
        settings: Option<Settings>,
        local: LocalSettings,
        profile: Profile,
    ) -> World {
        let sandbox = LocalSandbox::new(env!("CARGO_BIN_EXE_patchwright").into(), local);
        World::within(origin, names, settings, &sandbox, profile).await
    }

    /// The same in any sandbox.
    pub(crate) async fn within(
        origin: Origin,
        names: Arc<Names>,
        settings: Option<Settings>,
        sandbox: &dyn Sandbox,
        profile: Profile,
    ) -> World {
        let gate = match settings {
            Some(settings) => Some(Egress::new(settings).open().await.expect("there is room for a gate")),
            None => None,
        };
        let workspace = tempfile::tempdir().expect("there is room for a folder");
        let terms = Terms { outlet: gate.as_ref().map(Gate::outlet), ..profile.into() };
        let executor = sandbox.open(Tree::alone(workspace.path()), terms).await.expect("the machine has a sandbox");
        World { origin, names, gate, _workspace: workspace, executor }
    }

    /// Runs a script, in which `{plain}` and `{tls}` are the origin's ports.
    pub(crate) async fn run(&mut self, script: &str) -> Done {
        let script = self.fill(script);
        let timeout = Duration::from_secs(120);
        let command = Command { script, directory: String::new(), timeout, output_bytes_max: 256 * 1024 };
        let output = self.executor.execute(&command).await.expect("the sandbox holds");
        Done { exit: output.exit, text: String::from_utf8_lossy(&output.output).into_owned() }
    }

    /// Runs a script that must succeed, and returns what it printed.
    pub(crate) async fn prints(&mut self, script: &str) -> String {
        let done = self.run(script).await;
        assert_eq!(done.exit, Exit::Code(0), "{script}\n{}", done.text);
        done.text
    }

    /// Sends text, with `\r\n` and the like as `printf` has them, to the proxy, and returns all that it answers.
    pub(crate) async fn says(&mut self, request: &str) -> String {
        // In one piece: what is refused early is answered and closed, and the answer is lost on who still writes.
        let send = "cat /tmp/request >&3 && timeout 60 cat <&3";
        let script = format!("printf '{request}' > /tmp/request && exec 3<>/dev/tcp/127.0.0.1/3128 && {send}");
        self.run(&script).await.text
    }

    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("{plain}", &self.origin.plain.to_string()).replace("{tls}", &self.origin.tls.to_string())
    }

    /// Closes the gate and returns its log.
    pub(crate) async fn log(self) -> (Log, Arc<Names>, Origin) {
        drop(self.executor);
        let log = self.gate.expect("there is a gate").close().await;
        (log, self.names, self.origin)
    }

    /// Closes the gate as soon as the origin has been asked for `/never`, while a script runs.
    pub(crate) async fn closed_during(mut self, script: &str) -> (Done, Log) {
        let gate = self.gate.take().expect("there is a gate");
        let never = std::sync::Arc::clone(&self.origin.never);
        let closing = async {
            never.notified().await;
            gate.close().await
        };
        tokio::join!(self.run(script), closing)
    }
}
