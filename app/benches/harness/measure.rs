//! One run of a process against a scripted model of its own: what the model sees of it, and its memory.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use patchwright::model::scripted::{self, Recorded, ScriptedModel, Step};
use serde_json::json;

use super::report::milliseconds;
use super::repository::{FIX, N_MODULES};

/// How long one run may take.
const RUN_TIMEOUT: Duration = Duration::from_secs(120);
/// How often the process is looked at; its peak of memory never falls, so the last look before its end is nearly it.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// Whose tools the script calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    Ours,
    Codex,
}

/// What one run came to.
pub(crate) struct Measured {
    pub(crate) first_request_ms: f64,
    pub(crate) wall_ms: f64,
    pub(crate) peak_rss_mb: f64,
    pub(crate) first_request_kb: f64,
    pub(crate) n_connections: f64,
    pub(crate) prefix_percent: f64,
}

/// Reads of 40 lines each, the edit, and the last word.
fn steps(script: Script, n_reads: usize) -> Vec<Step> {
    let read = |number: usize| {
        let first = number / N_MODULES * 40 % 160 + 1;
        format!("sed -n '{first},{}p' src/mod_{}.py", first + 39, number % N_MODULES)
    };
    let run = |command: String| match script {
        Script::Ours => Step::Shell(command),
        Script::Codex => Step::Call { name: "exec_command".into(), arguments: json!({ "cmd": command }).to_string() },
    };
    let edit = match script {
        Script::Ours => Step::ApplyPatch(FIX.into()),
        Script::Codex => run(format!("apply_patch <<'EOF'\n{FIX}EOF\n")),
    };
    let last = Step::Message("Fixed mean(): it divided by one too few.".into());
    (0..n_reads).map(|number| run(read(number))).chain([edit, last]).collect()
}

/// Starts the process with the address of its model, and watches it to its end.
pub(crate) async fn measure(
    script: Script,
    n_reads: usize,
    command: impl FnOnce(&str) -> anyhow::Result<Command>,
) -> anyhow::Result<Measured> {
    let model = ScriptedModel::start(scripted::Script::of(steps(script, n_reads))).await.context("starting the model")?;
    let mut command = command(&model.base_url())?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut process = command.spawn().context("starting the process")?;
    let (mut peak_kb, pid) = (0.0_f64, process.id());
    let status = loop {
        peak_kb = peak_kb.max(high_water_kb(pid));
        if let Some(status) = process.try_wait().context("waiting for the process")? {
            break status;
        }
        if started.elapsed() > RUN_TIMEOUT {
            let _ = process.kill();
            bail!("the process did not end within {} s", RUN_TIMEOUT.as_secs());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    };
    let wall_ms = milliseconds(started.elapsed());
    let mut said = String::new();
    if let Some(mut stderr) = process.stderr.take() {
        let _ = std::io::Read::read_to_string(&mut stderr, &mut said);
    }
    ensure!(status.success(), "the process ended with {status}: {said}");
    let requests: Vec<Recorded> = model.requests().into_iter().filter(|request| request.path.ends_with("/responses")).collect();
    ensure!(requests.len() == n_reads + 2, "{} requests instead of {}: {said}", requests.len(), n_reads + 2);
    let first = &requests[0];
    #[expect(clippy::cast_precision_loss, reason = "both are small")]
    let measured = Measured {
        first_request_ms: milliseconds(first.received_at.duration_since(started)),
        wall_ms,
        peak_rss_mb: peak_kb / 1024.0,
        first_request_kb: first.bytes.len() as f64 / 1000.0,
        n_connections: model.n_connections() as f64,
        prefix_percent: prefix_percent(&requests),
    };
    model.shutdown().await;
    Ok(measured)
}

/// The peak of a process's resident memory so far.
fn high_water_kb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

/// How much of a request's bytes, but for the brackets that close it, the next one begins with; of the worst pair.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
fn prefix_percent(requests: &[Recorded]) -> f64 {
    let share = |pair: &[Recorded]| {
        let (before, after) = (&pair[0].bytes, &pair[1].bytes);
        let whole = before.len() - before.iter().rev().take_while(|byte| b"]}".contains(byte)).count();
        let same = before[..whole].iter().zip(after.iter()).take_while(|(a, b)| a == b).count();
        same as f64 / whole as f64 * 100.0
    };
    requests.windows(2).map(share).fold(100.0, f64::min)
}
