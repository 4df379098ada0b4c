//! The programs of the attackers: written by us, compiled once for each test process.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The folder below a workspace in which an attacker finds them.
pub(super) const FOLDER: &str = "weapons";

const SAY: &str = include_str!("../fixtures/hostile/say.h");

const SOURCES: &[(&str, &str)] = &[
    ("bombs", include_str!("../fixtures/hostile/bombs.c")),
    ("calls", include_str!("../fixtures/hostile/calls.c")),
    ("daemon", include_str!("../fixtures/hostile/daemon.c")),
    ("descriptors", include_str!("../fixtures/hostile/descriptors.c")),
    ("devices", include_str!("../fixtures/hostile/devices.c")),
    ("onterminal", include_str!("../fixtures/hostile/onterminal.c")),
    ("privileges", include_str!("../fixtures/hostile/privileges.c")),
    ("processes", include_str!("../fixtures/hostile/processes.c")),
    ("set_id", include_str!("../fixtures/hostile/set_id.c")),
    ("sockets", include_str!("../fixtures/hostile/sockets.c")),
    ("swap", include_str!("../fixtures/hostile/swap.c")),
    ("whoami", include_str!("../fixtures/hostile/whoami.c")),
];

/// The extended attribute that gives a file `cap_dac_override`, effective at once: version, permitted, inheritable.
const CAPABLE: [u8; 20] = [1, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Where a program is on the host.
pub(super) fn path(name: &str) -> PathBuf {
    armoury().join(name)
}

/// Lays all programs into a workspace. Their files are shared, so that nothing of this takes room or time.
pub(super) fn lay_out(workspace: &Path) {
    let folder = workspace.join(FOLDER);
    fs::create_dir(&folder).expect("the workspace is fresh");
    for entry in fs::read_dir(armoury()).expect("the armoury can be read") {
        let from = entry.expect("the armoury can be read").path();
        let to = folder.join(from.file_name().expect("a file has a name"));
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).expect("there is room");
    }
}

/// The folder of the programs; one that was made before can be named where compiling takes long.
pub(crate) fn armoury() -> &'static Path {
    static ARMOURY: OnceLock<PathBuf> = OnceLock::new();
    ARMOURY.get_or_init(|| {
        if let Some(folder) = std::env::var_os("PATCHWRIGHT_ARMOURY") {
            return folder.into();
        }
        let folder = TempDir::with_prefix("patchwright-armoury-").expect("there is room").keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        let sources = TempDir::new().expect("there is room");
        fs::write(sources.path().join("say.h"), SAY).expect("there is room");
        std::thread::scope(|scope| {
            for (name, source) in SOURCES {
                let (folder, sources) = (&folder, sources.path());
                scope.spawn(move || compile(name, source, sources, &folder.join(name)));
            }
        });
        if rustix::process::geteuid().is_root() {
            plant(&folder);
        }
        remove_at_the_end(&folder);
        folder
    })
}

/// Has the folder removed when this process is gone, however it ends: a static has no destructor.
#[expect(clippy::zombie_processes, reason = "it ends after us, and nobody is left to wait")]
fn remove_at_the_end(folder: &Path) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "read -r _; rm -rf \"$0\""]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut shell = shell.spawn().expect("there is a shell");
    std::mem::forget(shell.stdin.take());
}

/// Without shared libraries where the machine has the others, so that they run on any root.
fn compile(name: &str, source: &str, sources: &Path, program: &Path) {
    let file = sources.join(format!("{name}.c"));
    fs::write(&file, source).expect("there is room");
    let compiled = |kind: &[&str]| {
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-pthread"]).args(kind).arg("-o").arg(program).arg(&file).arg("-lutil");
        cc.output().expect("a C compiler is installed as `cc`")
    };
    if !compiled(&["-static"]).status.success() {
        let shared = compiled(&[]);
        assert!(shared.status.success(), "{name}: {}", String::from_utf8_lossy(&shared.stderr));
    }
}

/// What only root can leave behind for others: programs that run with more than their user has.
fn plant(folder: &Path) {
    let (own, suid, capable) = (folder.join("whoami"), folder.join("suid"), folder.join("capable"));
    fs::copy(&own, &suid).and_then(|_| fs::copy(&own, &capable)).expect("there is room");
    chown(&suid, Some(0), Some(0)).expect("it is ours");
    fs::set_permissions(&suid, fs::Permissions::from_mode(0o6755)).expect("it is ours");
    let flags = rustix::fs::XattrFlags::empty();
    // Without file capabilities the attack finds nothing, and says so bare.
    let _ = rustix::fs::setxattr(&capable, "security.capability", &CAPABLE, flags);
}
