//! What lies outside of a sandbox for an attack to find, and how one sees that it was touched.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::{NamedTempFile, TempDir};

use super::weapons;

/// What every secret says. It is in no attack's environment, so finding it there is finding it outside.
pub(super) const SECRET: &str = "only-the-host-knows-this";

/// An address of the documentation's: a datagram socket that can be connected to it has a route out.
const ELSEWHERE: &str = "192.0.2.1";

/// Files, sockets and a process of the host that an attack may go for, all open to the attacker's user.
pub(super) struct Baits {
    outside: TempDir,
    sibling: TempDir,
    shared_memory: Option<NamedTempFile>,
    tcp: TcpListener,
    tcp6: Option<TcpListener>,
    udp: UdpSocket,
    path: UnixListener,
    abstract_name: String,
    abstract_socket: UnixListener,
    victim: Child,
    /// Everything of the host's addresses; the attack's own loopback is not among them.
    address: Option<IpAddr>,
}

impl Baits {
    /// Lays them out for an attacker of this user, who owns what another run of the same server would own.
    pub(super) fn lay_out(uid: u32) -> Self {
        static N_LAID_OUT: AtomicU32 = AtomicU32::new(0);
        let outside = open_folder("patchwright-outside-");
        let sibling = open_folder("patchwright-run-");
        put(outside.path(), "secret", SECRET, uid);
        put(outside.path(), "canary", "untouched", uid);
        put(outside.path(), "home/.ssh/id_ed25519", SECRET, uid);
        put(sibling.path(), "secret", SECRET, uid);
        put(sibling.path(), "canary", "untouched", uid);
        let shared_memory = NamedTempFile::with_prefix_in("patchwright-shm-", "/dev/shm").ok();
        if let Some(file) = &shared_memory {
            fs::write(file, SECRET).expect("there is room");
            give(file.path(), uid, 0o666);
        }
        let path = UnixListener::bind(outside.path().join("socket")).expect("the folder is fresh");
        give(&outside.path().join("socket"), uid, 0o777);
        let number = N_LAID_OUT.fetch_add(1, Ordering::Relaxed);
        let abstract_name = format!("patchwright-bait-{}-{number}", std::process::id());
        let name = SocketAddr::from_abstract_name(&abstract_name).expect("the name is short");
        let abstract_socket = UnixListener::bind_addr(&name).expect("nobody has this name");
        let tcp = TcpListener::bind("0.0.0.0:0").expect("a port is free");
        let tcp6 = TcpListener::bind("[::1]:0").ok();
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let quiet = tcp.set_nonblocking(true).and_then(|()| udp.set_nonblocking(true)).and_then(|()| path.set_nonblocking(true));
        quiet.and_then(|()| abstract_socket.set_nonblocking(true)).expect("they are ours");
        tcp6.iter().for_each(|socket| socket.set_nonblocking(true).expect("it is ours"));
        let (victim, address) = (victim(outside.path(), uid), own_address());
        Self { outside, sibling, shared_memory, tcp, tcp6, udp, path, abstract_name, abstract_socket, victim, address }
    }

    /// Where everything is, as assignments of a shell; nothing is exported.
    pub(super) fn variables(&self) -> String {
        let port = |socket: &TcpListener| socket.local_addr().map_or(0, |address| address.port());
        let shared_memory = self.shared_memory.as_ref().map(|file| file.path().display().to_string());
        [
            ("SECRET", SECRET.to_owned()),
            ("OUTSIDE", self.outside.path().display().to_string()),
            ("SIBLING", self.sibling.path().display().to_string()),
            ("SHARED_MEMORY", shared_memory.unwrap_or_default()),
            ("TCP", port(&self.tcp).to_string()),
            ("TCP6", self.tcp6.as_ref().map_or(0, port).to_string()),
            ("UDP", self.udp.local_addr().map_or(0, |address| address.port()).to_string()),
            ("ABSTRACT", self.abstract_name.clone()),
            ("VICTIM", self.victim.id().to_string()),
            ("SERVER", std::process::id().to_string()),
            ("ADDRESS", self.address.map(|address| address.to_string()).unwrap_or_default()),
            ("ELSEWHERE", ELSEWHERE.to_owned()),
        ]
        .map(|(name, value)| format!("{name}='{value}'\n"))
        .concat()
    }

    /// The folder outside, with a `secret` and a `canary`.
    pub(super) fn outside(&self) -> &Path {
        self.outside.path()
    }

    /// What of all this was changed or reached, if anything was.
    pub(super) fn touched(&mut self) -> Option<String> {
        for folder in [self.outside.path(), self.sibling.path()] {
            let canary = fs::read_to_string(folder.join("canary")).unwrap_or_default();
            if canary != "untouched" {
                return Some(format!("a file outside now says {canary:?}"));
            }
        }
        let n_entries = fs::read_dir(self.outside.path()).map_or(0, Iterator::count);
        if n_entries != 4 {
            return Some(format!("there are {n_entries} entries outside, not 4"));
        }
        let mut reached = Vec::new();
        let mut accepted = |what, result: std::io::Result<()>| {
            if !matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock) {
                reached.push(what);
            }
        };
        accepted("the host's loopback", self.tcp.accept().map(drop));
        self.tcp6.iter().for_each(|socket| accepted("the host's IPv6 loopback", socket.accept().map(drop)));
        accepted("the host's UDP socket", self.udp.recv(&mut [0; 8]).map(drop));
        accepted("a Unix socket", self.path.accept().map(drop));
        accepted("an abstract socket", self.abstract_socket.accept().map(drop));
        if let Ok(Some(end)) = self.victim.try_wait() {
            return Some(format!("a process outside ended: {end}"));
        }
        reached.first().map(|what| format!("{what} was reached"))
    }
}

impl Drop for Baits {
    fn drop(&mut self) {
        drop(self.victim.stdin.take());
        let _ = self.victim.wait();
    }
}

fn open_folder(prefix: &str) -> TempDir {
    let folder = TempDir::with_prefix(prefix).expect("there is room");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    folder
}

fn put(folder: &Path, name: &str, text: &str, uid: u32) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("there is room");
    fs::write(&file, text).expect("there is room");
    give(&file, uid, 0o666);
}

fn give(path: &Path, uid: u32, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    if rustix::process::geteuid().is_root() {
        chown(path, Some(uid), Some(uid)).expect("root may");
    }
}

/// A process of the attacker's own user outside, with a secret in its environment and its folder; it is ready.
fn victim(folder: &Path, uid: u32) -> Child {
    let mut command = Command::new(weapons::path("processes"));
    command.arg("victim").env_clear().env("SERVERS_SECRET", SECRET).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(uid).gid(uid);
    }
    let mut victim = command.spawn().expect("it was compiled");
    let said = victim.stdout.take().expect("it is a pipe");
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line).expect("it says that it is ready");
    assert_eq!(line, "ready\n");
    victim
}

/// The address by which this machine would talk to others; nothing is sent to learn it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect((ELSEWHERE, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
