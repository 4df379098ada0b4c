//! The program's processes: started, killed and started again, looked at, and stopped.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

/// How long processes may take to end that were asked to.
const STOP_MAX: Duration = Duration::from_secs(30);
/// How long what they had started may take to go with them.
const GONE_MAX: Duration = Duration::from_secs(10);
/// How many shared trees a workspace keeps.
const LAYERS_MAX: usize = 32;
const PAUSE: Duration = Duration::from_millis(50);

/// A process that is to run.
pub(crate) struct Post {
    /// What it is called here.
    pub(crate) name: String,
    /// What is asked of the program.
    pub(crate) arguments: Vec<&'static str>,
    /// Its configuration.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// A folder of its own, as a machine's disk would be.
    pub(crate) folder: PathBuf,
}

/// What a process uses.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) name: String,
    /// The memory that it has, and the most that it had.
    pub(crate) resident_mib: f64,
    pub(crate) high_mib: f64,
    pub(crate) n_files: usize,
    pub(crate) n_threads: usize,
}

struct Process {
    post: Post,
    child: Child,
}

/// All of them. Whatever they leave becomes a child of this process.
pub(crate) struct Fleet {
    processes: Mutex<Vec<Process>>,
    /// Which children there were before.
    others: BTreeSet<u32>,
    /// What ended that nobody had ended.
    broken: Mutex<Vec<String>>,
}

impl Fleet {
    pub(crate) fn start(posts: Vec<Post>) -> anyhow::Result<Self> {
        set_child_subreaper(Some(getpid())).context("becoming the parent of orphans")?;
        let others = children();
        let processes: anyhow::Result<Vec<Process>> = posts.into_iter().map(Process::start).collect();
        Ok(Self { processes: Mutex::new(processes?), others, broken: Mutex::default() })
    }

    /// Kills one of them as a machine's failure would, and starts it again.
    pub(crate) fn kill_one(&self, random: &mut fastrand::Rng) -> anyhow::Result<()> {
        let mut processes = self.processes();
        let index = random.usize(..processes.len());
        let process = &mut processes[index];
        process.child.kill().context("killing a process")?;
        process.child.wait().context("waiting for a killed process")?;
        process.child = process.post.spawn()?;
        Ok(())
    }

    /// What each uses now. One that has ended by itself is noted, and started again.
    pub(crate) fn look(&self) -> anyhow::Result<Vec<Use>> {
        let mut uses = Vec::new();
        for process in self.processes().iter_mut() {
            if let Some(status) = process.child.try_wait().context("looking whether a process runs")? {
                let note = format!("{} has ended by itself: {status}", process.post.name);
                self.broken.lock().unwrap_or_else(PoisonError::into_inner).push(note);
                process.child = process.post.spawn()?;
            }
            uses.push(process.usage()?);
        }
        Ok(uses)
    }

    /// Asks all to end, and says what did not end well or is left of them.
    pub(crate) fn stop(self) -> anyhow::Result<Vec<String>> {
        let mut notes = std::mem::take(&mut *self.broken.lock().unwrap_or_else(PoisonError::into_inner));
        let mut processes = std::mem::take(&mut *self.processes());
        for process in &processes {
            let number = Pid::from_raw(process.child.id().cast_signed()).context("no process is 0")?;
            kill_process(number, Signal::TERM).context("asking a process to end")?;
        }
        let begun = Instant::now();
        for process in &mut processes {
            let name = process.post.name.clone();
            match process.ended(begun)? {
                None => notes.push(format!("{name} does not end when it is asked to")),
                Some(status) if !status.success() => notes.push(format!("{name} ended with {status}")),
                Some(_) => {}
            }
        }
        let begun = Instant::now();
        while !self.orphans().is_empty() && begun.elapsed() < GONE_MAX {
            std::thread::sleep(PAUSE);
        }
        notes.extend(self.orphans().into_iter().map(|orphan| format!("a process is left: {orphan}")));
        for process in &processes {
            notes.extend(process.post.left()?);
        }
        Ok(notes)
    }

    fn processes(&self) -> MutexGuard<'_, Vec<Process>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What still runs of what they had started. What has ended and was not waited for is nothing.
    fn orphans(&self) -> Vec<String> {
        let left = children().into_iter().filter(|child| !self.others.contains(child));
        let told = left.filter_map(|child| {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
            let state = stat.rsplit_once(')')?.1.split_whitespace().next()?.to_owned();
            (state != "Z").then(|| format!("{child} ({})", stat.split(['(', ')']).nth(1).unwrap_or_default()))
        });
        told.collect()
    }
}

impl Post {
    /// What is said is kept in a file, of which nothing is read unless something went wrong. The kernel ends the process with the
    /// thread that starts it, which is this program's first.
    fn spawn(&self) -> anyhow::Result<Child> {
        let temporary = self.folder.join("tmp");
        fs::create_dir_all(&temporary).context("making a folder for a process")?;
        let said: File = OpenOptions::new().create(true).append(true).open(self.folder.join("said.log"))?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_patchwright")])
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &self.folder).env("TMPDIR", temporary);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().context("starting the program")
    }

    /// What lies there though nobody is at work. Layers are kept for the next job, but not without a bound.
    fn left(&self) -> anyhow::Result<Vec<String>> {
        let mut notes = Vec::new();
        for name in ["tmp", "workspace/scratch"] {
            notes.extend(names(&self.folder.join(name))?.into_iter().map(|left| format!("{} has left {name}/{left}", self.name)));
        }
        let n_layers = names(&self.folder.join("workspace/layers"))?.iter().filter(|name| !name.ends_with(".lock")).count();
        if n_layers > LAYERS_MAX {
            notes.push(format!("{} has left {n_layers} layers", self.name));
        }
        Ok(notes)
    }
}

impl Process {
    fn start(post: Post) -> anyhow::Result<Self> {
        let child = post.spawn()?;
        Ok(Self { post, child })
    }

    fn usage(&self) -> anyhow::Result<Use> {
        let folder = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{folder}/status")).context("reading what a process uses")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            // One that has just ended says nothing of its memory.
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or_default()
        };
        let n_files = fs::read_dir(format!("{folder}/fd")).map_or(0, Iterator::count);
        Ok(Use {
            name: self.post.name.clone(),
            resident_mib: field("VmRSS") / 1024.0,
            high_mib: field("VmHWM") / 1024.0,
            n_files,
            n_threads: field("Threads") as usize,
        })
    }

    fn ended(&mut self, begun: Instant) -> anyhow::Result<Option<std::process::ExitStatus>> {
        loop {
            let status = self.child.try_wait().context("waiting for a process")?;
            if status.is_some() || begun.elapsed() > STOP_MAX {
                return Ok(status);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Process {
    /// Where a run ends early, its processes end with it.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is in a folder; nothing where there is none.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("looking into {}", folder.display()))?,
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The children of this process, whichever of its threads has started them.
fn children() -> BTreeSet<u32> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let texts = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    texts.flat_map(|text| text.split_whitespace().filter_map(|number| number.parse().ok()).collect::<Vec<u32>>()).collect()
}
