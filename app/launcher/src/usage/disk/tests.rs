//! What is made is seen, also where it is more than anybody walks through.

use std::fs;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType};
use rustix::net::{sendmsg, socketpair};

use super::{CLEAR_LOOKS, Disk, FILES_OVER};
use crate::status::Limit;
use crate::usage::memory::Processes;

const N_FILES_MAX: u64 = 100;
/// More than other processes of this machine are likely to remove meanwhile.
const N_MORE: u64 = 20_000;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("patchwright-disk-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn make(&self, names: std::ops::Range<u64>) {
        for name in names {
            fs::File::create(self.0.join(name.to_string())).unwrap();
        }
    }

    fn watched(&self) -> Disk {
        Disk::of([self.0.as_path()].into_iter(), u64::MAX, N_FILES_MAX)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_are_seen_to_become_more_behind_the_end_of_a_walk() {
    let folder = Folder::new("cut");
    if folder.watched().free().n_files == 0 {
        // A file system that does not say how many files it can still hold.
        return;
    }
    // Nobody counts to the end of these.
    folder.make(0..2 * FILES_OVER * N_FILES_MAX);
    let mut disk = folder.watched();
    assert!(disk.settle(&[]).files);
    folder.make(10_000_000..10_000_000 + N_MORE);
    assert_eq!(disk.look(&[], true), Some(Limit::Files));
}

/// A socket of this process with a file in a message that nobody has received.
fn with_a_file_on_its_way() -> (OwnedFd, OwnedFd) {
    let (here, there) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [here.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
    sendmsg(&here, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).unwrap();
    (here, there)
}

#[test]
fn what_others_take_while_nothing_can_be_hidden_is_held_against_nobody() {
    let (own, of_others) = (Folder::new("clear"), Folder::new("others"));
    // Between two looks other tests make files as well, though not so many.
    let mut disk = Disk::of([own.0.as_path()].into_iter(), u64::MAX, N_MORE / 2);
    if disk.free().n_files == 0 {
        return;
    }
    let everybody = Processes::here().unwrap();
    assert!(!disk.settle(&[]).files);
    of_others.make(0..N_MORE);
    let mut looks = (1..CLEAR_LOOKS).map(|_| disk.look(&[], true));
    assert!(looks.all(|found| found.is_none()));
    let sockets = with_a_file_on_its_way();
    assert_eq!(disk.look(&[&everybody], true), None);
    drop(sockets);
}
