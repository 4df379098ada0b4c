//! A kernel of the tests' own, as a process: User-mode Linux, with control groups of version 2 whatever the machine has.
//!
//! It sees the machine's files, read only, and has a few private places. Its first process is a script that lays out control
//! groups as systemd does and runs some of these same tests in one of them; what they say comes back over its console.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::hostile::weapons::armoury;

/// What the machine needs, in the words of the shell.
const INSTALL: &str = "apt-get install -y --no-install-recommends user-mode-linux";
const KERNEL: &str = "/usr/bin/linux.uml";
/// How long a kernel may take from its start to its end; it starts in a few seconds, and works several times slower than the
/// machine.
const TIMEOUT: Duration = Duration::from_secs(300);
/// The most that is read from the console, in bytes.
const CONSOLE_BYTES_MAX: u64 = 4 << 20;
/// The last line of a script that came to its end.
const PASSED: &str = "=== passed ===";

/// The user of a server that is not root.
pub(crate) const PLAIN_USER: u32 = 60_873;

/// Lays out what every script needs. `$PROGRAMS` has the binaries where every user can read them, and `$UNIT` is a control
/// group that is handed over as `Delegate=yes` does it.
const PRELUDE: &str = r#"
set -eu
trap 'echo "=== failed ==="; echo o > /proc/sysrq-trigger; sleep 60' EXIT
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PATCHWRIGHT_REQUIRE=groups
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
PROGRAMS=/run/programs UNIT=/sys/fs/cgroup/unit.service
mkdir -p /dev/shm /dev/pts
for place in /run /var/tmp /dev/shm; do mount -t tmpfs tmpfs $place; done
mkdir $PROGRAMS /run/armoury; mount --bind "$BINARIES" $PROGRAMS; mount --bind "$ARMOURY" /run/armoury
export PATCHWRIGHT_ARMOURY=/run/armoury
export PATCHWRIGHT_BINARY=$PROGRAMS/patchwright TESTS=$PROGRAMS/deps/"$TEST_BINARY"
mount -t tmpfs tmpfs /tmp
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || true
echo '+memory +pids +cpu' > /sys/fs/cgroup/cgroup.subtree_control
mkdir $UNIT
# hand_over USER: as systemd does for a unit of this user's
hand_over() { chown "$1" $UNIT $UNIT/cgroup.procs $UNIT/cgroup.subtree_control $UNIT/cgroup.threads; }
# in_unit CMD..: in the unit's control group, alone
in_unit() { (echo 0 > $UNIT/cgroup.procs; exec "$@"); }
# as_user CMD..: the same, without being root
as_user() { in_unit setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups -- "$@"; }
"#;

const EPILOGUE: &str = "\ntrap - EXIT\necho '=== passed ==='\necho o > /proc/sysrq-trigger\nsleep 60\n";

/// Runs a script as the first process of a kernel, and returns what it printed; `None` where there is no such kernel, which is
/// said. Fails if any command of the script does.
pub(crate) async fn run(script: &str) -> Option<String> {
    run_for(script, TIMEOUT).await
}

/// As [`run`], for scripts that take longer than those of every day.
pub(crate) async fn run_for(script: &str, time: Duration) -> Option<String> {
    if !is_here() {
        return None;
    }
    let folder = tempfile::Builder::new().prefix("patchwright-uml-").tempdir().unwrap();
    let tests = std::env::current_exe().unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_patchwright")).parent().unwrap();
    let init = folder.path().join("init");
    let variables = format!(
        "#!/bin/bash\nBINARIES='{}' ARMOURY='{}' TEST_BINARY='{}' PLAIN_USER={PLAIN_USER}\n",
        binaries.display(),
        armoury().display(),
        tests.file_name().unwrap().to_string_lossy(),
    );
    fs::write(&init, format!("{variables}{PRELUDE}{script}{EPILOGUE}")).unwrap();
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).unwrap();
    let mut kernel = Command::new(KERNEL);
    kernel.args(["mem=1536M", "rootfstype=hostfs", "ro", "quiet", "con=null", "con0=fd:0,fd:1", "panic=-1"]);
    kernel.arg(format!("init={}", init.display())).arg(format!("uml_dir={}", folder.path().display()));
    kernel.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", folder.path()).current_dir(folder.path());
    kernel.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut kernel = kernel.spawn().unwrap();
    let mut said = Vec::new();
    let console = kernel.stdout.take().unwrap();
    let ended = timeout(time, console.take(CONSOLE_BYTES_MAX).read_to_end(&mut said)).await;
    let said = String::from_utf8_lossy(&said).replace('\r', "");
    if ended.is_err() {
        // Each of its processes is one of the machine's.
        let group = kernel.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        group.map(|group| rustix::process::kill_process_group(group, rustix::process::Signal::KILL));
        panic!("the kernel did not end in time: {said}");
    }
    assert!(said.lines().any(|line| line == PASSED), "in the kernel of the test:\n{said}");
    Some(said)
}

/// Whether there is such a kernel; otherwise what to install is said.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tried")]
fn is_here() -> bool {
    let is_here = Path::new(KERNEL).is_file();
    if !is_here {
        assert!(!is_required("uml"), "a kernel for the tests is required and not installed: {INSTALL}");
        eprintln!("there is no {KERNEL}, so control groups are not tried: {INSTALL}");
    }
    is_here
}

/// Whether tests may not be left out for lack of something: `PATCHWRIGHT_REQUIRE` lists it.
pub(crate) fn is_required(what: &str) -> bool {
    std::env::var("PATCHWRIGHT_REQUIRE").unwrap_or_default().split(',').any(|name| name == what)
}
