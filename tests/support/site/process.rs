//! A process of the program that is killed, frozen and ended.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::passage::Passage;

/// How long a process may take to say what it is waited for; it takes seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// What a process is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// To take deliveries, decide on them, and work.
    Everything,
    /// To take deliveries and decide on them.
    Serving,
    /// To work.
    Working,
}

impl Duty {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Everything => &["serve"],
            Self::Serving => &["serve", "--no-work"],
            Self::Working => &["work"],
        }
    }
}

/// A process of the program, its way to the world, and what it says.
pub(crate) struct Process {
    pub(crate) duty: Duty,
    pub(crate) passage: Passage,
    child: Child,
    said: mpsc::UnboundedReceiver<String>,
    /// What it has said so far, as far as that was read.
    told: String,
}

impl Process {
    /// Starts it in a folder.
    pub(crate) fn start(folder: &Path, duty: Duty, passage: Passage, variables: &[(&str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchwright"));
        command.args(duty.arguments()).current_dir(folder).env_clear();
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder).kill_on_drop(true);
        command.env("PATCHWRIGHT__GITHUB__API_URL", format!("{}/api/v3", passage.url));
        command.env("PATCHWRIGHT__GITHUB__WEB_URL", &passage.url).env("PATCHWRIGHT__MODEL__BASE_URL", passage.model_url());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let (told, said) = mpsc::unbounded_channel();
        // Somebody must read it, or the process would wait. The task ends with the process.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // Nobody may want to read it any more.
                let _ = told.send(line);
            }
        });
        Self { duty, passage, child, said, told: String::new() }
    }

    /// Reads on until a line holds this, and gives what stands behind it.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let found = timeout(PATIENCE, async {
            while let Some(line) = self.said.recv().await {
                self.told = format!("{}{line}\n", self.told);
                if let Some((_, rest)) = line.split_once(words) {
                    return Some(rest.to_owned());
                }
            }
            None
        });
        found.await.unwrap_or_default().unwrap_or_else(|| panic!("it never said `{words}`:\n{}", self.told))
    }

    /// Reads on until it takes deliveries, and says where.
    pub(crate) async fn serves(&mut self) -> String {
        let said = self.says("serving webhooks on ").await;
        said.split_whitespace().next().expect("it says where").to_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub(crate) fn send(&self, signal: Signal) {
        Self::send_to(self.id(), signal);
    }

    /// Sends a signal to a process of this number.
    pub(crate) fn send_to(number: u32, signal: Signal) {
        kill_process(Pid::from_raw(number.cast_signed()).expect("no process is 0"), signal).expect("it runs");
    }

    /// Kills it, and waits until nothing of what it has sent is under way. Gives its number.
    pub(crate) async fn killed(mut self) -> u32 {
        let number = self.id();
        self.child.kill().await.expect("it runs");
        self.passage.close().await;
        number
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn ends(mut self) {
        self.send(Signal::TERM);
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("it was ours");
        assert_eq!(status.code(), Some(0));
        self.passage.close().await;
    }
}
