//! An engine of the tests' own: Podman's service in a private folder, with an image made of this machine's programs.
//!
//! It is started once, by whoever needs it first, and watched by a shell that ends it and removes the folder as soon as the
//! tests are over, however they end. Nothing of the machine's own containers is touched.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bollard::models::{ContainerConfig, ContainerCreateBody};
use bollard::query_parameters::{CommitContainerOptions, CreateContainerOptions, CreateImageOptions, RemoveContainerOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::TryStreamExt as _;
use patchwright::sandbox::Limits;
use patchwright::sandbox::container::ContainerSettings;
use patchwright::sandbox::container::image::Pull;
use tokio::sync::OnceCell;

/// What the machine needs, in the words of the shell.
const INSTALL: &str = "apt-get install -y --no-install-recommends podman runc uidmap fuse-overlayfs slirp4netns";
const INSTALL_GVISOR: &str = "apt-get install -y --no-install-recommends podman runsc uidmap";
/// gVisor as Podman's runtime. Its own network would need an interface; without one it still has a loopback.
const RUNSC: [&str; 6] = ["--runtime", "runsc", "--runtime-flag", "network=none", "--runtime-flag", "host-uds=open"];
/// The image with this machine's shell, perl and small programs.
pub(crate) const IMAGE: &str = "localhost/patchwright-machine:latest";
/// The image with nothing but a shell that needs no library.
pub(crate) const BARE_IMAGE: &str = "localhost/patchwright-bare:latest";
/// The image that would like to be the launcher: its library is loaded before all others, by a file, by a variable and by a
/// folder for better processors, and leaves [`TAKEN`] where the launcher loads it.
pub(crate) const POSSESSED_IMAGE: &str = "localhost/patchwright-possessed:latest";
/// What is there when the image's library is in the launcher.
pub(crate) const TAKEN: &str = "/tmp/taken";
/// The variable that names the socket of another engine to be tried, such as Docker; the two images stay there.
const GIVEN: &str = "PATCHWRIGHT_TEST_ENGINE";
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the service until its standard input ends, then removes whatever is left.
const SERVICE: &str = r#"
    cd / ; folder=$1; shift
    setpriv --pdeathsig TERM -- "$@" system service --time=0 "unix://$folder/podman.sock" >"$folder/log" 2>&1 &
    service=$!
    while read -r _; do :; done
    # It may wait for ever for a container that ends by itself meanwhile.
    timeout -k 1 30 "$@" rm --all --force --time 0 >/dev/null 2>&1
    kill $service
    # A rootless one starts itself again in its namespace, and one of the two may just do so: what names the folder is all
    # of this engine, and nothing else.
    tries=0; left=1
    while [ $left = 1 ] && [ $tries -lt 100 ]; do
        tries=$((tries + 1)); left=0
        for process in /proc/[0-9]*; do
            if [ "$process" != "/proc/$$" ] && grep -qF "$folder" "$process/cmdline" 2>/dev/null; then
                left=1; kill -KILL "${process#/proc/}" 2>/dev/null
            fi
        done
        [ $left = 0 ] || sleep 0.05
    done
    wait
    umount "$folder/root/overlay" "$folder/run/overlay-containers/"*/userdata/shm 2>/dev/null
    if [ "$(id -u)" = 0 ]; then rm -rf "$folder"; exit; fi
    "$@" unshare rm -rf "$folder/root" "$folder/run"
    # The process that holds the namespace names nothing.
    kill $(cat "$folder/tmp/pause.pid")
    rm -rf "$folder"
"#;

/// A running engine.
pub(crate) struct Engine {
    socket: PathBuf,
    /// Its standard input is what keeps the service up; none where the engine is somebody else's.
    _service: Option<Child>,
}

impl Engine {
    pub(crate) fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// Settings for a sandbox of this engine.
    pub(crate) fn settings(&self) -> ContainerSettings {
        settings(&self.socket())
    }

    pub(crate) fn docker(&self) -> Docker {
        Docker::connect_with_unix(&self.socket().to_string_lossy(), 60, API_DEFAULT_VERSION).unwrap()
    }
}

/// Settings for a sandbox of the engine behind a socket.
pub(crate) fn settings(socket: &Path) -> ContainerSettings {
    ContainerSettings {
        sockets: vec![socket.to_owned()],
        image: Some(IMAGE.to_owned()),
        allowed_images: Vec::new(),
        pull: Pull::Never,
        pull_timeout: Duration::from_secs(60),
        runtime: None,
        cpus: None,
        read_only: Vec::new(),
        environment: Vec::new(),
        limits: Limits::default(),
        uid: 65532,
        trials: std::env::temp_dir(),
    }
}

static ENGINE: OnceCell<Option<Engine>> = OnceCell::const_new();
static GVISOR: OnceCell<Option<Engine>> = OnceCell::const_new();

/// The engine, or none where Podman is not installed; then the test's words say what to install.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tried")]
pub(crate) async fn engine() -> Option<&'static Engine> {
    let found = ENGINE
        .get_or_init(|| async {
            if is_here() {
                let given = std::env::var_os(GIVEN).map(|socket| Engine { socket: socket.into(), _service: None });
                let engine = given.unwrap_or_else(|| start(&["--runtime", "runc"]));
                import(&engine, BARE_IMAGE, bare).await;
                import(&engine, IMAGE, machine).await;
                import(&engine, POSSESSED_IMAGE, possessed).await;
                set(&engine, POSSESSED_IMAGE, &["LD_AUDIT=/usr/lib/possessed.so", "OF_IMAGE=yes"]).await;
                return Some(engine);
            }
            assert!(!is_required("podman"), "podman is required and not installed: {INSTALL}");
            None
        })
        .await;
    if found.is_none() {
        eprintln!("podman is not installed, so containers are not tried: {INSTALL}");
    }
    found.as_ref()
}

/// A second engine, whose containers have gVisor's kernel, or none where that is not installed; then the test says so. As a
/// plain user there is none: gVisor without root makes no container whose processes are a plain user's.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tried")]
pub(crate) async fn gvisor() -> Option<&'static Engine> {
    let found = GVISOR
        .get_or_init(|| async {
            if rustix::process::geteuid().is_root() && has("podman") && has("runsc") {
                let engine = start(&RUNSC);
                import(&engine, IMAGE, machine).await;
                return Some(engine);
            }
            assert!(!is_required("runsc"), "runsc is required, as root: {INSTALL_GVISOR}");
            None
        })
        .await;
    if found.is_none() {
        eprintln!("runsc is not installed, or this is not root, so gVisor is not tried: {INSTALL_GVISOR}");
    }
    found.as_ref()
}

/// Whether what is not here is a failure.
fn is_required(name: &str) -> bool {
    std::env::var("PATCHWRIGHT_REQUIRE").unwrap_or_default().split(',').any(|required| required == name)
}

/// Whether there is a Podman on this machine, or an engine was named.
pub(crate) fn is_here() -> bool {
    std::env::var_os(GIVEN).is_some() || (has("podman") && has("runc"))
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Starts an engine that nobody wants any more before it is there, as soon as `is_time` says of its folder, and waits until it
/// is ended; the processes that are left of it.
pub(crate) fn left_of_one_that_is_ended(is_time: fn(&Path) -> bool) -> Vec<String> {
    let (folder, mut service) = spawn(&["--runtime", "runc"]);
    while !is_time(&folder) {
        assert!(service.try_wait().unwrap().is_none(), "it goes on until it is ended");
        std::thread::yield_now();
    }
    drop(service.stdin.take());
    service.wait().unwrap();
    assert!(!folder.exists(), "its folder is removed");
    processes(&folder)
}

/// The command lines of the engine in a folder.
pub(crate) fn processes(folder: &Path) -> Vec<String> {
    let name = folder.to_string_lossy().into_owned();
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = all.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.starts_with("podman ") && line.contains(&name)).collect()
}

/// Starts the service in a folder of its own.
fn spawn(runtime: &[&str]) -> (PathBuf, Child) {
    let folder = tempfile::Builder::new().prefix("patchwright-podman-").tempdir().unwrap().keep();
    let own = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut command = Command::new("sh");
    command.args(["-c", SERVICE, "service"]).arg(&folder).args(["podman", "--root", &own("root"), "--runroot", &own("run")]);
    command.args(["--tmpdir", &own("tmp"), "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"]);
    command.args(["--events-backend", "none"]).args(runtime);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let service = command.spawn().unwrap();
    (folder, service)
}

fn start(runtime: &[&str]) -> Engine {
    let (folder, service) = spawn(runtime);
    let engine = Engine { socket: folder.join("podman.sock"), _service: Some(service) };
    let started = Instant::now();
    while std::os::unix::net::UnixStream::connect(engine.socket()).is_err() {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(started.elapsed() < START_TIMEOUT, "podman's service did not start: {log}");
        std::thread::yield_now();
    }
    engine
}

async fn import(engine: &Engine, name: &str, fill: fn(&Path)) {
    let stage = tempfile::tempdir().unwrap();
    for folder in ["usr/bin", "usr/lib", "usr/lib64", "etc", "proc", "dev", "sys", "tmp", "var/tmp", "run", "home"] {
        fs::create_dir_all(stage.path().join(folder)).unwrap();
    }
    for folder in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{folder}"), stage.path().join(folder)).unwrap();
    }
    for folder in ["tmp", "var/tmp"] {
        fs::set_permissions(stage.path().join(folder), fs::Permissions::from_mode(0o1777)).unwrap();
    }
    fill(stage.path());
    let packed =
        Command::new("tar").arg("-C").arg(stage.path()).args(["--owner=0", "--group=0", "-cf", "-", "."]).output().unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let repository = name.strip_suffix(":latest").unwrap().to_owned();
    let options = CreateImageOptions { from_src: Some("-".to_owned()), repo: Some(repository), ..CreateImageOptions::default() };
    let body = bollard::body_full(packed.stdout.into());
    let steps: Result<Vec<_>, _> = engine.docker().create_image(Some(options), Some(body), None).try_collect().await;
    steps.unwrap();
}

/// Gives an image variables of its own.
async fn set(engine: &Engine, name: &str, variables: &[&str]) {
    let docker = engine.docker();
    let env = Some(variables.iter().map(|variable| (*variable).to_owned()).collect());
    let body = ContainerCreateBody {
        image: Some(name.to_owned()),
        cmd: Some(vec!["sh".to_owned()]),
        env,
        ..ContainerCreateBody::default()
    };
    let made = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap();
    let repo = name.strip_suffix(":latest").map(str::to_owned);
    let options = CommitContainerOptions {
        container: Some(made.id.clone()),
        repo,
        tag: Some("latest".to_owned()),
        ..CommitContainerOptions::default()
    };
    docker.commit_container(options, ContainerConfig::default()).await.unwrap();
    docker.remove_container(&made.id, None::<RemoveContainerOptions>).await.unwrap();
}

/// A shell that needs no library: busybox where the machine has it, otherwise none.
fn bare(stage: &Path) {
    if fs::copy("/bin/busybox", stage.join("bin/busybox")).is_ok() {
        for name in ["sh", "cat", "ls", "id"] {
            symlink("busybox", stage.join("bin").join(name)).unwrap();
        }
    }
    fs::File::create(stage.join("etc/ld.so.preload")).unwrap().write_all(b"/nonexistent.so\n").unwrap();
}

/// A library that leaves [`TAKEN`] where it is loaded by what is in the launcher's folder.
pub(crate) fn compile_possessed(library: &Path) {
    let source = format!(
        "#include <fcntl.h>\n#include <string.h>\n#include <unistd.h>\n\
         static void take(void) {{ char program[64] = {{ 0 }}; const char *own = \"/opt/patchwright/launcher/\";\n\
         readlink(\"/proc/self/exe\", program, sizeof program - 1);\n\
         if (!strncmp(program, own, strlen(own))) open(\"{TAKEN}\", O_CREAT | O_WRONLY, 0666); }}\n\
         __attribute__((constructor)) static void begin(void) {{ take(); }}\n\
         unsigned la_version(unsigned version) {{ take(); return version; }}\n"
    );
    let mut compiler =
        Command::new("cc").args(["-shared", "-fPIC", "-x", "c", "-", "-o"]).arg(library).stdin(Stdio::piped()).spawn().unwrap();
    compiler.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(compiler.wait().unwrap().success());
}

fn possessed(stage: &Path) {
    bare(stage);
    let library = stage.join("usr/lib/possessed.so");
    compile_possessed(&library);
    fs::write(stage.join("etc/ld.so.preload"), "/usr/lib/possessed.so\n").unwrap();
    for level in ["x86-64-v2", "x86-64-v3", "x86-64-v4"] {
        let folder = stage.join("opt/patchwright/launcher/glibc-hwcaps").join(level);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(&library, folder.join("libc.so.6")).unwrap();
    }
}

/// The machine's own shell, perl and small programs, with what they load.
fn machine(stage: &Path) {
    const PROGRAMS: [&str; 29] = [
        "bash", "cat", "chmod", "cp", "cut", "echo", "env", "find", "git", "grep", "head", "id", "ln", "ls", "mkdir", "mkfifo",
        "mount", "mv", "perl", "readlink", "rm", "sed", "sh", "sleep", "sort", "tail", "touch", "tr", "true",
    ];
    let programs: Vec<PathBuf> =
        PROGRAMS.iter().map(|name| Path::new("/usr/bin").join(name)).filter(|path| path.exists()).collect();
    let printed = Command::new("ldd").args(&programs).output().unwrap().stdout;
    let printed = String::from_utf8(printed).unwrap();
    let libraries = printed.split_ascii_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    let files = libraries.map(PathBuf::from).chain(programs);
    for file in files {
        let target = stage.join(file.strip_prefix("/").unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
    let asked = Command::new("perl").args(["-e", "print join \"\\n\", @INC"]).output().unwrap().stdout;
    let folders: Vec<PathBuf> = String::from_utf8(asked).unwrap().lines().map(PathBuf::from).collect();
    // On Debian this one has everything that the tests use, and little else.
    let base = folders.iter().filter(|folder| folder.ends_with("perl-base")).cloned().collect::<Vec<_>>();
    let locale = PathBuf::from("/usr/lib/locale/C.utf8");
    for folder in if base.is_empty() { folders } else { base }.into_iter().chain([locale]) {
        let target = stage.join(folder.strip_prefix("/").unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        if folder.is_dir() {
            assert!(Command::new("cp").arg("-rL").arg(&folder).arg(&target).status().unwrap().success());
        }
    }
}
