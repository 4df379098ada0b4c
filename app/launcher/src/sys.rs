//! The system calls that the standard library lacks, each behind a safe function. All `unsafe` of Patchwright is here.
//!
//! The launcher has one thread from its start to its end; several functions below rely on that.

use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_ulong, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;

pub(crate) mod capabilities;

/// A user and its group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What a mount forbids; bits of `mount_setattr(2)`.
pub(crate) const RDONLY: u64 = 0x1;
pub(crate) const NOSUID: u64 = 0x2;
pub(crate) const NODEV: u64 = 0x4;
pub(crate) const NOEXEC: u64 = 0x8;

const OPEN_TREE_CLONE: c_int = 1;
const MOVE_MOUNT_F_EMPTY_PATH: c_int = 4;
const MOVE_MOUNT_T_EMPTY_PATH: c_int = 0x40;
const AT_RECURSIVE: c_int = 0x8000;

#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn no_nul(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

pub(crate) fn ids() -> Ids {
    // SAFETY: these calls only read numbers and cannot fail.
    unsafe { Ids { uid: libc::geteuid(), gid: libc::getegid() } }
}

pub(crate) fn is_root() -> bool {
    ids().uid == 0
}

pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; no destructor of ours has to run.
    unsafe { libc::_exit(code) }
}

/// Starts a copy of this process in new namespaces; `None` in the copy, its id and a pidfd in the original.
pub(crate) fn clone_process(namespaces: c_int) -> io::Result<Option<(i32, OwnedFd)>> {
    let mut pidfd: c_int = -1;
    let flags = c_ulong::from((namespaces | libc::CLONE_PIDFD | libc::SIGCHLD).cast_unsigned());
    let none = ptr::null_mut::<c_void>();
    // SAFETY: without CLONE_VM and with no stack given this is a fork: the copy has its own memory and goes on here. There
    // is one thread, so no lock is held by a thread that the copy lacks. The kernel writes the pidfd into our variable.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut pidfd, none, none) };
    match check(pid)? {
        0 => Ok(None),
        // SAFETY: the kernel has just made this descriptor for us, and nothing else owns it.
        pid => Ok(Some((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))),
    }
}

/// As [`clone_process`], with the copy born in a control group, whose directory is given.
pub(crate) fn clone_into_group(namespaces: c_int, group: BorrowedFd<'_>) -> io::Result<Option<(i32, OwnedFd)>> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    /// The arguments of `clone3(2)`, as far as kernels know them that can do this.
    #[repr(C)]
    #[derive(Default)]
    struct Arguments {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    let mut pidfd: c_int = -1;
    let arguments = Arguments {
        flags: u64::from((namespaces | libc::CLONE_PIDFD).cast_unsigned()) | CLONE_INTO_CGROUP,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: group.as_raw_fd() as u64,
        ..Arguments::default()
    };
    // SAFETY: as above; the arguments live across the call, and their size is the one given.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<Arguments>()) };
    match check(pid)? {
        0 => Ok(None),
        // SAFETY: the kernel has just made this descriptor for us, and nothing else owns it.
        pid => Ok(Some((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))),
    }
}

/// Starts a copy of this process; `None` in the copy.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: there is one thread, so the copy may do whatever the original may.
    let pid = check(c_long::from(unsafe { libc::fork() }))?;
    Ok((pid != 0).then_some(pid as i32))
}

/// Waits for any child that has ended, without blocking; `None` when none has.
pub(crate) fn reap_one() -> io::Result<Option<(i32, ExitStatus)>> {
    let mut status = 0;
    // SAFETY: the kernel writes the status into our variable.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    Ok(match check(c_long::from(pid))? {
        0 => None,
        pid => Some((pid as i32, ExitStatus::from_raw(status))),
    })
}

/// Waits for one child to end.
pub(crate) fn wait_for(pid: i32) -> io::Result<ExitStatus> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes the status into our variable.
        match check(c_long::from(unsafe { libc::waitpid(pid, &raw mut status, 0) })) {
            Ok(_) => return Ok(ExitStatus::from_raw(status)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits until something is to be read from one of the descriptors, or its other end is gone; says which.
pub(crate) fn poll<const N: usize>(descriptors: [BorrowedFd<'_>; N]) -> io::Result<[bool; N]> {
    let mut set = descriptors.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    loop {
        // SAFETY: the array lives across the call and its length is the one given.
        match check(c_long::from(unsafe { libc::poll(set.as_mut_ptr(), N as libc::nfds_t, -1) })) {
            Ok(_) => return Ok(set.map(|polled| polled.revents != 0)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn pidfd_kill(pidfd: &OwnedFd) -> io::Result<()> {
    let no_info = ptr::null::<c_void>();
    // SAFETY: the descriptor is open, and no signal information is passed.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, no_info, 0) }).map(drop)
}

/// Reads what is there, and says how much it was; none is the end.
pub(crate) fn read_some(descriptor: &OwnedFd) -> usize {
    let mut buffer = [0_u8; 16];
    // SAFETY: the buffer lives across the call and its length is the one given.
    let n_bytes = unsafe { libc::read(descriptor.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(n_bytes).unwrap_or_default()
}

/// Closes every descriptor but the standard three and these.
///
/// Only for a fresh copy of a process that never returns to what owned the others: their values are never dropped.
pub(crate) fn close_all_but(kept: &[c_int]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept.iter().filter_map(|fd| u32::try_from(*fd).ok()).filter(|fd| *fd > 2).collect();
    kept.sort_unstable();
    let mut next = 3;
    for fd in kept {
        if next < fd {
            // SAFETY: see above; nothing uses these descriptors any more.
            check(c_long::from(unsafe { libc::close_range(next, fd - 1, 0) }))?;
        }
        next = fd + 1;
    }
    // SAFETY: as above.
    check(c_long::from(unsafe { libc::close_range(next, u32::MAX, 0) })).map(drop)
}

/// Blocks `SIGCHLD` and returns a descriptor that becomes readable when one is due.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: a zeroed signal set is valid memory, which sigemptyset then makes a valid set; both live across the calls.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(c_long::from(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut())))?;
        let fd = check(c_long::from(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)))?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// Reads the pending notices away, so that the next poll waits.
pub(crate) fn drain(signals: &OwnedFd) {
    let mut buffer = [0_u8; 1024];
    // SAFETY: the buffer lives across the call and its length is the one given; the descriptor does not block.
    while unsafe { libc::read(signals.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) } > 0 {}
}

/// Gives every signal its default effect and unblocks all, as a program expects to be started.
pub(crate) fn reset_signals() -> io::Result<()> {
    // SAFETY: only default dispositions are set, and the signal set is made by sigemptyset before it is used.
    unsafe {
        for signal in 1..=64 {
            // Some numbers cannot be set; those have their default already.
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        check(c_long::from(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()))).map(drop)
    }
}

/// Clones a mount (or what is at a path as a mount) into a tree that is attached nowhere.
pub(crate) fn open_tree(place: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC | AT_RECURSIVE | libc::AT_EMPTY_PATH;
    // SAFETY: the path is a C string that lives across the call; the descriptor returned is ours alone.
    unsafe {
        let fd = check(libc::syscall(libc::SYS_open_tree, place.as_raw_fd(), c"".as_ptr(), flags))?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// Adds restrictions to a detached tree, recursively; what it already forbids stays forbidden.
pub(crate) fn restrict_tree(tree: &OwnedFd, set: u64) -> io::Result<()> {
    set_attributes(tree.as_raw_fd(), c"", libc::AT_EMPTY_PATH | AT_RECURSIVE, set, libc::MS_PRIVATE)
}

/// Adds restrictions to the mount at `path`, and to none below it.
pub(crate) fn restrict_mount(path: &CStr, set: u64) -> io::Result<()> {
    set_attributes(libc::AT_FDCWD, path, 0, set, 0)
}

/// Cuts every mount of this namespace off from the host's: nothing made here appears there.
pub(crate) fn make_mounts_private() -> io::Result<()> {
    set_attributes(libc::AT_FDCWD, c"/", AT_RECURSIVE, 0, libc::MS_PRIVATE)
}

fn set_attributes(at: c_int, path: &CStr, flags: c_int, set: u64, propagation: c_ulong) -> io::Result<()> {
    #[expect(clippy::useless_conversion, reason = "c_ulong is 32 bits wide on some targets")]
    let attributes = MountAttributes { set, clear: 0, propagation: u64::from(propagation), user_namespace: 0 };
    let size = size_of::<MountAttributes>();
    // SAFETY: path and attributes live across the call, and the size is that of the structure.
    let done = unsafe { libc::syscall(libc::SYS_mount_setattr, at, path.as_ptr(), flags, &raw const attributes, size) };
    check(done).map(drop)
}

/// Attaches a detached tree to what `place` is open on.
pub(crate) fn attach(tree: &OwnedFd, place: &OwnedFd) -> io::Result<()> {
    let (from, to, flags) = (tree.as_raw_fd(), place.as_raw_fd(), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    // SAFETY: both paths are C strings that live across the call.
    check(unsafe { libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), to, c"".as_ptr(), flags) }).map(drop)
}

/// Mounts a file system of the kernel's own.
pub(crate) fn mount(kind: &CStr, target: &str, flags: c_ulong, data: &str) -> io::Result<()> {
    let (target, data) = (no_nul(target)?, no_nul(data)?);
    // SAFETY: every string is a C string that lives across the call.
    check(c_long::from(unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) }))
        .map(drop)
}

/// Makes the current directory, a mount, the root, and puts the old root at `old` below it.
pub(crate) fn change_root(old: &CStr) -> io::Result<()> {
    // SAFETY: both paths are C strings that live across the call.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), old.as_ptr()) }).map(drop)
}

/// Takes a mount and all below it out of this namespace.
pub(crate) fn detach(target: &CStr) -> io::Result<()> {
    // SAFETY: the path is a C string that lives across the call.
    check(c_long::from(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) })).map(drop)
}

/// Makes a file system of the kernel's own that is attached nowhere yet.
pub(crate) fn make_mount(kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64) -> io::Result<OwnedFd> {
    const FSOPEN_CLOEXEC: c_int = 1;
    const FSCONFIG_SET_FLAG: c_int = 0;
    const FSCONFIG_SET_STRING: c_int = 1;
    const FSCONFIG_CMD_CREATE: c_int = 6;
    const FSMOUNT_CLOEXEC: c_int = 1;
    let none = ptr::null::<c_char>();
    // SAFETY: every string is a C string that lives across the calls; the descriptors returned are ours alone.
    unsafe {
        let context = check(libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC))?;
        let context = OwnedFd::from_raw_fd(context as c_int);
        for (name, value) in options {
            let (command, value) =
                if value.is_empty() { (FSCONFIG_SET_FLAG, none) } else { (FSCONFIG_SET_STRING, value.as_ptr()) };
            check(libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, name.as_ptr(), value, 0))?;
        }
        check(libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, none, none, 0))?;
        let mount = check(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, attributes))?;
        Ok(OwnedFd::from_raw_fd(mount as c_int))
    }
}

/// Opens a path below a directory or a detached tree, for writing.
pub(crate) fn open_below(directory: &OwnedFd, path: &str) -> io::Result<OwnedFd> {
    let path = no_nul(path)?;
    // SAFETY: the path is a C string that lives across the call; the descriptor returned is ours alone.
    unsafe {
        let fd = libc::openat(directory.as_raw_fd(), path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        Ok(OwnedFd::from_raw_fd(check(c_long::from(fd))? as c_int))
    }
}

pub(crate) fn set_hostname(name: &str) -> io::Result<()> {
    // SAFETY: the bytes live across the call and their length is the one given.
    check(c_long::from(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })).map(drop)
}

/// Brings the loopback interface of this network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    // SAFETY: the request is zeroed, which is valid for it, and lives across the call; the socket is ours alone.
    unsafe {
        let socket = check(c_long::from(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)))?;
        let socket = OwnedFd::from_raw_fd(socket as c_int);
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as c_char;
        request.ifr_name[1] = b'o' as c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
        check(c_long::from(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request))).map(drop)
    }
}

/// Becomes a user of the host, for good: real, effective and saved ids change, and no further group is kept.
pub(crate) fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: only numbers are passed, and one thread means that no other keeps the old identity.
    unsafe {
        check(c_long::from(libc::setgroups(0, ptr::null())))?;
        check(c_long::from(libc::setresgid(gid, gid, gid)))?;
        check(c_long::from(libc::setresuid(uid, uid, uid))).map(drop)
    }
}

/// Enters new namespaces; there is one thread, so none is left behind in the old ones.
pub(crate) fn unshare(namespaces: c_int) -> io::Result<()> {
    // SAFETY: only a number is passed.
    check(c_long::from(unsafe { libc::unshare(namespaces) })).map(drop)
}

/// Says whether processes of the same user may look into this one.
pub(crate) fn set_dumpable(dumpable: bool) -> io::Result<()> {
    // SAFETY: only numbers are passed.
    check(c_long::from(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, c_ulong::from(dumpable), 0, 0, 0) })).map(drop)
}

pub(crate) fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: only numbers are passed.
    check(c_long::from(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })).map(drop)
}

/// Whether no program that this process starts can give it privileges.
pub(crate) fn are_new_privileges_forbidden() -> bool {
    // SAFETY: only numbers are passed.
    unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 }
}

#[cfg(target_env = "gnu")]
pub(crate) type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
pub(crate) type Resource = c_int;

/// Lowers a limit for good; one that is already lower stays.
pub(crate) fn lower_limit(resource: Resource, most: u64) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives across the call.
    check(c_long::from(unsafe { libc::getrlimit(resource, &raw mut now) }))?;
    set_limit(resource, now.rlim_max.min(most))
}

/// Lowers the softer limit, at which the kernel warns.
pub(crate) fn lower_soft_limit(resource: Resource, most: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives across both calls.
    unsafe {
        check(c_long::from(libc::getrlimit(resource, &raw mut limit)))?;
        limit.rlim_cur = limit.rlim_max.min(most);
        check(c_long::from(libc::setrlimit(resource, &raw const limit))).map(drop)
    }
}

/// Sets a limit for good; raising one takes a privilege.
pub(crate) fn set_limit(resource: Resource, most: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the structure lives across the call.
    check(c_long::from(unsafe { libc::setrlimit(resource, &raw const limit) })).map(drop)
}

/// Starts a session without a terminal, in its own process group.
pub(crate) fn new_session() -> io::Result<()> {
    // SAFETY: no arguments.
    check(c_long::from(unsafe { libc::setsid() })).map(drop)
}

pub(crate) fn set_umask(mask: u32) {
    // SAFETY: only a number is passed, and the call cannot fail.
    unsafe { libc::umask(mask) };
}

/// Makes `number` a copy of `descriptor`.
pub(crate) fn place(descriptor: &impl AsRawFd, number: c_int) -> io::Result<()> {
    // SAFETY: only 0, 1 and 2 are placed, which no value of ours owns.
    check(c_long::from(unsafe { libc::dup2(descriptor.as_raw_fd(), number) })).map(drop)
}

/// Marks every descriptor but the standard three to be closed by exec.
pub(crate) fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: nothing is closed here; the mark takes effect only when this program is replaced.
    match check(c_long::from(unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as c_int) })) {
        // gVisor's kernel knows the call without the flag, and older ones not even that.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {}
        done => return done.map(drop),
    }
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<c_int>().ok());
        if let Some(number) = number.filter(|number| *number > 2) {
            // SAFETY: only numbers are passed; the descriptor of the listing itself is among them.
            check(c_long::from(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }))?;
        }
    }
    Ok(())
}

/// Becomes another program; returns only to say why not.
pub(crate) fn execute(program: &str, arguments: &[&str], environment: &[(String, String)]) -> io::Result<Infallible> {
    let program = no_nul(program)?;
    let arguments = arguments.iter().map(|text| no_nul(text)).collect::<io::Result<Vec<_>>>()?;
    let environment =
        environment.iter().map(|(name, value)| no_nul(&format!("{name}={value}"))).collect::<io::Result<Vec<_>>>()?;
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments_, environment_) = (pointers(&arguments), pointers(&environment));
    // SAFETY: both arrays end with a null pointer and point to C strings that live across the call.
    unsafe { libc::execve(program.as_ptr(), arguments_.as_ptr(), environment_.as_ptr()) };
    Err(io::Error::last_os_error())
}

/// Which version of Landlock the kernel has in force; none is 0.
pub(crate) fn landlock_version() -> u32 {
    const LANDLOCK_CREATE_RULESET_VERSION: c_int = 1;
    let none = ptr::null::<c_void>();
    // SAFETY: with this flag nothing is made and no memory is looked at.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, LANDLOCK_CREATE_RULESET_VERSION) };
    u32::try_from(version).unwrap_or_default()
}

/// Tries a system call that takes up to three numbers, for the probe's attacks.
///
/// Safe because every call that the probe names takes numbers or null pointers, which the kernel checks.
pub(crate) fn attempt(attack: Attack) -> io::Result<()> {
    let null = ptr::null::<c_void>();
    // SAFETY: only numbers and null or static pointers are passed; what a call makes is left to the end of the process.
    check(unsafe {
        match attack {
            Attack::UserNamespace => libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER),
            Attack::Mount => libc::syscall(libc::SYS_mount, c"none".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, null),
            Attack::VirtualSocket => libc::syscall(libc::SYS_socket, libc::AF_VSOCK, libc::SOCK_STREAM, 0),
            Attack::IoUring => libc::syscall(libc::SYS_io_uring_setup, 1, null),
            Attack::BecomeRoot => libc::syscall(libc::SYS_setresuid, 0, 0, 0),
            Attack::SharedMemory => libc::syscall(libc::SYS_shmget, libc::IPC_PRIVATE, 4096, 0o600),
        }
    })
    .map(drop)
}

/// A system call that must fail inside.
#[derive(Clone, Copy)]
pub(crate) enum Attack {
    UserNamespace,
    Mount,
    VirtualSocket,
    IoUring,
    BecomeRoot,
    SharedMemory,
}

// What only the resident launcher needs.

/// Sends a signal to every process of this namespace but the first and this one; that there is none is no error.
pub(crate) fn signal_everyone(signal: c_int) {
    // SAFETY: only numbers are passed.
    unsafe { libc::kill(-1, signal) };
}

/// Waits for any child to end; an error when there is none.
pub(crate) fn reap_next() -> io::Result<i32> {
    loop {
        // SAFETY: no status is asked for, which a null pointer says.
        match check(c_long::from(unsafe { libc::waitpid(-1, ptr::null_mut(), 0) })) {
            Ok(pid) => return Ok(pid as i32),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// As [`poll`], for descriptors some of which may be gone, and for so many milliseconds only; -1 waits for ever.
pub(crate) fn poll_for<const N: usize>(descriptors: [Option<BorrowedFd<'_>>; N], ms: c_int) -> io::Result<[bool; N]> {
    let number = |fd: Option<BorrowedFd<'_>>| fd.map_or(-1, |fd| fd.as_raw_fd());
    let mut set = descriptors.map(|fd| libc::pollfd { fd: number(fd), events: libc::POLLIN, revents: 0 });
    loop {
        // SAFETY: the array lives across the call and its length is the one given; the kernel skips negative numbers.
        match check(c_long::from(unsafe { libc::poll(set.as_mut_ptr(), N as libc::nfds_t, ms) })) {
            Ok(_) => return Ok(set.map(|polled| polled.revents != 0)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How much lies in a folder that is a file system in memory, in bytes; `None` for any other.
pub(crate) fn used_tmpfs_bytes(folder: &str) -> Option<u64> {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let folder = no_nul(folder).ok()?;
    // SAFETY: a zeroed structure is valid memory for the kernel to fill; path and structure live across the call.
    let found = unsafe {
        let mut found: libc::statfs = std::mem::zeroed();
        check(c_long::from(libc::statfs(folder.as_ptr(), &raw mut found))).ok()?;
        found
    };
    let is_memory = found.f_type as u64 == TMPFS_MAGIC;
    is_memory.then(|| found.f_blocks.saturating_sub(found.f_bfree) * found.f_bsize as u64)
}

/// Makes this process the parent of what its descendants leave behind.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    // SAFETY: only numbers are passed.
    check(c_long::from(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })).map(drop)
}

/// Blocks the signals by which a container is asked to end, and `SIGCHLD`, and returns a descriptor that tells of them.
pub(crate) fn ending_signals() -> io::Result<OwnedFd> {
    // SAFETY: a zeroed signal set is valid memory, which sigemptyset then makes a valid set; both live across the calls.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT] {
            libc::sigaddset(&raw mut set, signal);
        }
        check(c_long::from(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut())))?;
        let fd = check(c_long::from(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)))?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// Reads the notices of [`ending_signals`] away and says whether one of them came from outside and asked for the end.
pub(crate) fn is_asked_to_end(signals: &OwnedFd) -> bool {
    let mut is_asked = false;
    loop {
        // SAFETY: a zeroed structure is valid memory for the kernel to fill, and its size is the one given; the descriptor
        // does not block.
        let told = unsafe {
            let mut told: libc::signalfd_siginfo = std::mem::zeroed();
            let size = size_of::<libc::signalfd_siginfo>();
            (libc::read(signals.as_raw_fd(), (&raw mut told).cast(), size) == size as isize).then_some(told)
        };
        match told {
            // A process of this namespace has a number here; one outside of it has none.
            Some(told) => is_asked |= told.ssi_signo != libc::SIGCHLD as u32 && told.ssi_pid == 0,
            None => return is_asked,
        }
    }
}
