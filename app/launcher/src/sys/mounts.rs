//! Mounts, the root, and file systems of the kernel's own.

use std::ffi::{CStr, c_char, c_int, c_long, c_ulong};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{check, no_nul};

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

/// Whether nothing can be changed in a folder, whoever tries.
pub(crate) fn is_read_only(folder: &str) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
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
