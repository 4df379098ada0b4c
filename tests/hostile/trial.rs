//! One attack after another: through a sandbox, where it must be held, and without, where it must be seen to escape.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{chown, fchown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::Duration;

use patchwright::sandbox::{Command, Output, Profile, Sandbox, Tree};
use patchwright_domain::proof::{Exit, Limit};
use tempfile::TempDir;
use tokio::time::timeout;

use super::ATTACKER;
use super::bait::Baits;
use super::weapons;

/// Longer than any attack takes; whoever is still running then is killed and counts as escaped.
const TIMEOUT: Duration = Duration::from_secs(180);

/// An attack: a script for `sh` that says `ESCAPED: what`, `HELD: how`, or `ABSENT: why`.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) script: &'static str,
    pub(super) bare: Bare,
}

/// As whom an attack is seen to escape where there is no sandbox.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    /// Any user will do.
    User,
    /// It takes root, and harms nothing. Where the tests are not run as root it is not seen.
    Root,
    /// Any user will do, with what root left in `weapons`. Where the tests are not run as root it is left out.
    Planted,
}

/// What an attack came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Escaped(String),
    Held(String),
    Absent(String),
    Silent(String),
}

/// What every script may use.
const PRELUDE: &str = r#"
reads() { if grep -qs "$SECRET" "$1"; then echo "ESCAPED: read $1"; else echo "HELD: $1 cannot be read"; fi; }
writes() { if (echo changed > "$1") 2>/dev/null; then echo "ESCAPED: wrote $1"; else echo "HELD: $1 cannot be written"; fi; }
opens() { if (: >> "$1") 2>/dev/null; then echo "ESCAPED: $1 opens for writing"; else refused "$1 does not open for writing"; fi; }
holds() { if [ -n "$1" ]; then echo "ESCAPED: $1"; else refused "nothing is found"; fi; }
refused() { if [ "$(id -u)" = 0 ]; then echo "ABSENT: $1, not even for root"; else echo "HELD: $1"; fi; }
"#;

/// Tries every case through a sandbox and without, and fails with all that went wrong.
pub(super) async fn check(sandbox: &dyn Sandbox, cases: &[Case]) {
    let is_root = rustix::process::geteuid().is_root();
    let mut wrong = Vec::new();
    let (mut n_held, mut n_escaped, mut absent, mut left_out) = (0, 0, Vec::new(), Vec::new());
    for case in cases {
        if case.bare == Bare::Planted && !is_root {
            left_out.push(case.name);
            continue;
        }
        match inside(sandbox, case).await {
            Verdict::Held(_) => n_held += 1,
            other @ (Verdict::Escaped(_) | Verdict::Absent(_) | Verdict::Silent(_)) => {
                wrong.push(format!("{}: in the sandbox {other:?}", case.name))
            }
        }
        if case.bare == Bare::Root && !is_root {
            left_out.push(case.name);
            continue;
        }
        match bare(case).await {
            Verdict::Escaped(_) => n_escaped += 1,
            Verdict::Absent(_) => absent.push(case.name),
            other @ (Verdict::Held(_) | Verdict::Silent(_)) => wrong.push(format!("{}: without a sandbox {other:?}", case.name)),
        }
    }
    tell(&format!(
        "hostile: {n_held} attacks held, {n_escaped} of them seen to escape bare; {} that take root were not seen, and these have \
         no target here: {absent:?}",
        left_out.len(),
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Tries all cases one after another in one executor, each in a folder of its own. That they escape where there is no
/// sandbox is for [`check`] to see. Of those in `open` it is known that they are not held, and why; one that is after all
/// is as wrong as any other that is not.
pub(super) async fn check_in_one(sandbox: &dyn Sandbox, cases: &[&[Case]], open: &[(&str, &str)]) {
    let tree = TempDir::with_prefix("patchwright-attacks-").expect("there is room");
    let opened = sandbox.open(Tree::alone(tree.path()), Profile::Agent.into()).await;
    let mut executor = opened.expect("the sandbox can be made");
    let is_root = rustix::process::geteuid().is_root();
    let (mut wrong, mut n_held) = (Vec::new(), 0);
    for (number, case) in cases.iter().flat_map(|cases| cases.iter()).enumerate() {
        if case.bare == Bare::Planted && !is_root {
            continue;
        }
        let folder = tree.path().join(number.to_string());
        fs::create_dir(&folder).expect("the workspace is ours");
        if is_root {
            chown(&folder, Some(ATTACKER), Some(ATTACKER)).expect("root may");
        }
        weapons::lay_out(&folder);
        let mut baits = Baits::lay_out(ATTACKER);
        let script = format!("{}{PRELUDE}{}", baits.variables(), case.script);
        let command = Command { directory: number.to_string(), ..command(&script) };
        let output = executor.execute(&command).await.expect("the sandbox stays up");
        let known = open.iter().find(|(name, _)| *name == case.name);
        match (verdict(&output, baits.touched()), known) {
            (Verdict::Held(_), None) => n_held += 1,
            (Verdict::Escaped(_) | Verdict::Absent(_), Some(_)) => {}
            (other, _) => wrong.push(format!("{}: in the sandbox {other:?}, known {known:?}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let open: Vec<&str> = open.iter().map(|(name, _)| *name).collect();
    tell(&format!("hostile: {n_held} attacks held in one executor; known not to be: {open:?}"));
}

/// Tries every bomb, which must be stopped at its limit, or refused before.
pub(super) async fn check_bombs(sandbox: &dyn Sandbox, bombs: &[(Case, Limit)]) {
    check_bombs_inside(sandbox, bombs).await;
    let mut wrong = Vec::new();
    for (case, _) in bombs {
        match bare(case).await {
            Verdict::Escaped(_) => {}
            other @ (Verdict::Held(_) | Verdict::Absent(_) | Verdict::Silent(_)) => {
                wrong.push(format!("{}: without a sandbox {other:?}", case.name))
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// For how long a bomb that nobody has stopped stays: longer than any machine that tests run on takes between two looks.
const LINGER: &str = "LINGER=60; export LINGER\n";

/// As [`check_bombs`], where it is seen elsewhere that they go off without a sandbox.
pub(super) async fn check_bombs_inside(sandbox: &dyn Sandbox, bombs: &[(Case, Limit)]) {
    let mut wrong = Vec::new();
    for (case, limit) in bombs {
        let (output, touched) = attack(sandbox, case, LINGER).await;
        let is_stopped = output.exit == Exit::Exceeded(*limit);
        match verdict(&output, touched) {
            _ if is_stopped => {}
            Verdict::Held(_) if matches!(output.exit, Exit::Code(_)) => {}
            other => wrong.push(format!("{}: in the sandbox {other:?}, {}, not at the limit of {limit}", case.name, output.exit)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A line that is shown even where a test passes: what was not seen is not passed over in silence.
pub(super) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A fresh workspace with the attackers' programs.
pub(super) fn workspace() -> TempDir {
    let workspace = TempDir::with_prefix("patchwright-attack-").expect("there is room");
    weapons::lay_out(workspace.path());
    workspace
}

/// A command with a script.
pub(super) fn command(script: &str) -> Command {
    Command { script: script.to_owned(), directory: String::new(), timeout: TIMEOUT, output_bytes_max: 64 * 1024 }
}

async fn inside(sandbox: &dyn Sandbox, case: &Case) -> Verdict {
    let (output, touched) = attack(sandbox, case, "").await;
    verdict(&output, touched)
}

async fn attack(sandbox: &dyn Sandbox, case: &Case, more: &str) -> (Output, Option<String>) {
    let mut baits = Baits::lay_out(ATTACKER);
    let workspace = workspace();
    let opened = sandbox.open(Tree::alone(workspace.path()), Profile::Agent.into()).await;
    let mut executor = opened.expect("the sandbox can be made");
    let script = format!("{}{more}{PRELUDE}{}", baits.variables(), case.script);
    let output = executor.execute(&command(&script)).await;
    (output.unwrap_or_else(|error| panic!("{}: {error}: {:?}", case.name, std::error::Error::source(&error))), baits.touched())
}

/// Runs an attack as a plain process of this machine.
async fn bare(case: &Case) -> Verdict {
    let is_root = rustix::process::geteuid().is_root();
    let as_user = is_root && case.bare != Bare::Root;
    let mut baits = Baits::lay_out(ATTACKER);
    let workspace = workspace();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("{}{PRELUDE}{}", baits.variables(), case.script)]);
    shell.current_dir(workspace.path()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").process_group(0);
    if as_user {
        own(workspace.path(), ATTACKER);
        shell.uid(ATTACKER).gid(ATTACKER);
    }
    // A log file of the same user's, as servers have.
    let log = tempfile::tempfile().expect("there is room");
    if as_user {
        fchown(&log, Some(ATTACKER), Some(ATTACKER)).expect("root may");
    }
    shell.stdin(std::process::Stdio::null());
    shell.stdout(log.try_clone().expect("it is ours")).stderr(log.try_clone().expect("it is ours"));
    let mut shell = tokio::process::Command::from(shell).kill_on_drop(true).spawn().expect("there is a shell");
    let ended = timeout(TIMEOUT, shell.wait()).await.expect("an attack ends").expect("it can be waited for");
    let mut output = Vec::new();
    std::io::Seek::rewind(&mut &log).and_then(|()| std::io::Read::read_to_end(&mut &log, &mut output)).expect("it is ours");
    let exit = ended.code().map_or(Exit::Signal(0), Exit::Code);
    verdict(&Output { exit, output, omitted_bytes: 0, duration: Duration::ZERO }, baits.touched())
}

/// Gives a workspace to its user; the attackers' programs stay whose they are.
pub(super) fn own(workspace: &Path, uid: u32) {
    chown(workspace, Some(uid), Some(uid)).expect("root may");
    for entry in fs::read_dir(workspace).expect("it is there") {
        chown(entry.expect("it is there").path(), Some(uid), Some(uid)).expect("root may");
    }
}

/// What was seen outside counts before what was said.
fn verdict(output: &Output, touched: Option<String>) -> Verdict {
    if let Some(touched) = touched {
        return Verdict::Escaped(touched);
    }
    let text = String::from_utf8_lossy(&output.output);
    let said = |word: &str| text.lines().find_map(|line| line.strip_prefix(word)).map(str::to_owned);
    let escaped = said("ESCAPED: ").map(Verdict::Escaped);
    let other = || said("ABSENT: ").map(Verdict::Absent).or_else(|| said("HELD: ").map(Verdict::Held));
    escaped.or_else(other).unwrap_or_else(|| Verdict::Silent(format!("{}: {text}", output.exit)))
}
