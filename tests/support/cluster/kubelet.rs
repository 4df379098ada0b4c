//! What a node does with a Pod: folders for its volumes, and its containers as namespaces of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::podman;

/// Makes a root of this machine's programs and becomes a container's first process. Arguments: the root's place, what is
/// bound (`source:target:ro|rw`, up to `--`), and the command.
const CONTAINER: &str = r#"
    set -e
    root=$1; shift
    mount -t tmpfs none "$root"
    # What is mounted there gets a place in the container's own layer, as an engine makes it.
    mkdir "$root/etc" "$root-etc" "$root-work"
    if [ -n "$POSSESSED" ]; then cp "$POSSESSED" "$root-etc/possessed.so"; echo /etc/possessed.so > "$root-etc/ld.so.preload"; fi
    mount -t overlay none -o "lowerdir=/etc,upperdir=$root-etc,workdir=$root-work" "$root/etc"
    for place in bin lib lib32 lib64 sbin usr; do
        if [ -L "/$place" ]; then cp -P "/$place" "$root/$place"
        elif [ -d "/$place" ]; then mkdir "$root/$place"; mount --rbind "/$place" "$root/$place"; mount -o remount,bind,ro "$root/$place" 2>/dev/null || true
        fi
    done
    mkdir "$root/proc" "$root/dev" "$root/tmp" "$root/var"
    mount -t proc proc "$root/proc"
    for node in null zero full random urandom; do : > "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
    mkdir "$root/dev/shm"; ln -s /proc/self/fd "$root/dev/fd"
    while [ "$1" != -- ]; do
        source=${1%%:*}; rest=${1#*:}; target=${rest%%:*}; mode=${rest#*:}
        if [ -d "$source" ]; then mkdir -p "$root$target"; else mkdir -p "$(dirname "$root$target")"; : >> "$root$target"; fi
        mount --bind "$source" "$root$target"
        if [ "$mode" = ro ]; then mount -o remount,bind,ro "$root$target"; fi
        shift
    done
    shift
    mount -o remount,bind,ro "$root/etc"
    mount -o remount,ro "$root"
    perl -e 'socket(my $s, 2, 2, 0); my $r = pack("a16 s", "lo", 0x41); ioctl($s, 0x8914, $r);'
    cd /
    exec chroot "$root" "$@"
"#;

/// The image that would like to be the launcher, by [`podman::compile_possessed`].
pub(crate) const POSSESSED_IMAGE: &str = "registry.example/possessed:1";

/// Becomes the Pod's user, without any privilege.
const USER: [&str; 6] = ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--bounding-set=-all", "--no-new-privs"];

/// A Pod whose containers run.
pub(super) struct Kubelet {
    containers: BTreeMap<String, Running>,
    /// Holds the network that the containers share, which is a loopback and nothing else.
    network: Option<Child>,
    _folder: TempDir,
}

/// A container. Dropped, it is over.
pub(super) struct Running {
    /// The parent of the first process, which ends with that.
    holder: Child,
    /// The first process, as this machine numbers it.
    pid: u32,
    environment: Vec<(String, String)>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

impl Kubelet {
    /// Runs the init containers to their end and starts the others.
    pub(super) fn start(pod: &Value, api: &str, is_network_open: bool) -> Result<Kubelet, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        for volume in list(&pod["spec"]["volumes"]) {
            let path = folder.path().join(text(&volume["name"]));
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        }
        let network = (!is_network_open).then(network);
        let mut kubelet = Kubelet { containers: BTreeMap::new(), network, _folder: folder };
        for container in list(&pod["spec"]["initContainers"]) {
            let mut child = kubelet.container(container, api).0;
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            let end = child.wait().unwrap();
            if !end.success() {
                return Err(format!("container {} ended with {end}: {said}", text(&container["name"])));
            }
        }
        for container in list(&pod["spec"]["containers"]) {
            let (holder, environment) = kubelet.container(container, api);
            let pid = first_process(&holder, &container["command"]);
            kubelet.containers.insert(text(&container["name"]), Running { holder, pid, environment });
        }
        Ok(kubelet)
    }

    fn container(&self, container: &Value, api: &str) -> (Child, Vec<(String, String)>) {
        let name = text(&container["name"]);
        let root = self._folder.path().join(format!("root-{name}"));
        fs::create_dir(&root).unwrap();
        let (host, port) = api.split_once(':').unwrap();
        let told =
            [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port), ("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")];
        let is_possessed = text(&container["image"]) == POSSESSED_IMAGE;
        let of_image = is_possessed.then(|| ("LD_AUDIT".to_owned(), "/etc/possessed.so".to_owned()));
        let own = list(&container["env"]).iter().map(|variable| (text(&variable["name"]), text(&variable["value"])));
        let told = told.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment: Vec<_> = told.into_iter().chain(of_image).chain(own).collect();
        let mut command = Command::new("nsenter");
        if let Some(network) = &self.network {
            command.arg(format!("--net=/proc/{}/ns/net", network.id()));
        }
        command.args(["--", "unshare", "--mount", "--pid", "--ipc", "--uts", "--fork"]);
        command.args(["--", "sh", "-c", CONTAINER, "sh"]).arg(&root);
        if text(&container["image"]).contains("patchwright") {
            command.arg(format!("{}:/opt/bin/patchwright:ro", env!("CARGO_BIN_EXE_patchwright")));
        }
        // As deep as they lie.
        let mut mounts: Vec<&Value> = list(&container["volumeMounts"]).iter().collect();
        mounts.sort_by_key(|mount| text(&mount["mountPath"]));
        for mount in mounts {
            let source: PathBuf = self._folder.path().join(text(&mount["name"])).join(text(&mount["subPath"]));
            let mode = if mount["readOnly"] == true { "ro" } else { "rw" };
            command.arg(format!("{}:{}:{mode}", source.display(), text(&mount["mountPath"])));
        }
        command.arg("--").args(USER).args(list(&container["command"]).iter().map(text));
        command.env_clear().envs(environment.clone());
        if is_possessed {
            let library = self._folder.path().join("possessed.so");
            podman::compile_possessed(&library);
            command.env("POSSESSED", library);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        (command.spawn().unwrap(), environment)
    }

    /// Takes what holds a container out, to be ended.
    pub(super) fn take(&mut self, container: &str) -> Option<Running> {
        self.containers.remove(container)
    }

    /// The programs that run in a container beside its first process, each as its id here and its command line.
    pub(super) fn programs(&self, container: &str) -> Vec<(u32, String)> {
        let Some(running) = self.containers.get(container) else { return Vec::new() };
        let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = namespace(running.pid);
        let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let inside = all.filter(|pid| *pid != running.pid && own.is_some() && namespace(*pid) == own);
        let line =
            |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        inside.filter_map(|pid| Some((pid, line(pid).ok()?.trim().to_owned()))).collect()
    }

    /// How a program is started in a container.
    pub(super) fn program(&self, container: &str, command: &[String]) -> Option<tokio::process::Command> {
        let running = self.containers.get(container)?;
        let mut program = tokio::process::Command::new("nsenter");
        program.args([
            "--mount",
            "--pid",
            "--ipc",
            "--uts",
            "--net",
            "--root",
            "--wd",
            "--target",
            &running.pid.to_string(),
            "--",
        ]);
        program.args(USER).args(command).env_clear().envs(running.environment.clone());
        Some(program)
    }
}

/// A network that reaches nothing, for as long as a process of it lives.
fn network() -> Child {
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", "echo; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = command.spawn().unwrap();
    // Once it says something it is in there.
    holder.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    holder
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        if let Some(mut network) = self.network.take() {
            let _ = network.kill();
            let _ = network.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The first process is no longer its holder's user, so it does not end with that.
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = self.holder.wait();
    }
}

/// Waits until a container's first process is the program that it is to be.
fn first_process(holder: &Child, command: &Value) -> u32 {
    let wanted = text(&list(command)[0]);
    loop {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", holder.id())).unwrap_or_default();
        if let Some(pid) = children.split_whitespace().next().and_then(|pid| pid.parse::<u32>().ok()) {
            let line = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
            if line.starts_with(wanted.as_bytes()) {
                return pid;
            }
        }
        assert!(Path::new("/proc").join(holder.id().to_string()).join("task").exists(), "the container ended");
        std::thread::yield_now();
    }
}

/// The status of a Pod that was started.
pub(super) fn status(pod: &Value, failed: Option<&String>) -> Value {
    let state = |container: &Value, state: Value| {
        json!({ "name": container["name"], "image": container["image"], "imageID": "", "ready": failed.is_none(),
            "restartCount": 0, "state": state })
    };
    let containers = list(&pod["spec"]["containers"]).iter();
    let inits = list(&pod["spec"]["initContainers"]).iter();
    match failed {
        None => json!({
            "phase": "Running",
            "initContainerStatuses": inits.map(|init| state(init, json!({ "terminated": { "exitCode": 0 } }))).collect::<Vec<_>>(),
            "containerStatuses": containers.map(|container| state(container, json!({ "running": {} }))).collect::<Vec<_>>(),
        }),
        Some(why) => json!({
            "phase": "Failed",
            "initContainerStatuses":
                inits.map(|init| state(init, json!({ "terminated": { "exitCode": 1, "message": why } }))).collect::<Vec<_>>(),
            "containerStatuses": containers
                .map(|container| state(container, json!({ "waiting": { "reason": "PodInitializing" } })))
                .collect::<Vec<_>>(),
        }),
    }
}
