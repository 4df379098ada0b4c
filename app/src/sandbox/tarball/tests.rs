use std::fs;
use std::io::{self, Cursor};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use tar::{Builder, EntryType, Header};

use super::{Bounds, DEPTH_MAX, pack, unpack};

const BOUNDS: Bounds = Bounds { n_bytes: 1 << 20, n_entries: 100 };

fn open(path: &Path) -> Dir {
    Dir::open_ambient_dir(path, ambient_authority()).unwrap()
}

#[test]
fn a_tree_comes_out_as_it_went_in() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let long = "n".repeat(90);
    let deep = from.path().join(&long).join(&long);
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "deep\n").unwrap();
    fs::write(from.path().join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(from.path().join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(from.path().join("empty"), "").unwrap();
    fs::create_dir(from.path().join("nothing")).unwrap();
    symlink("/etc/passwd", from.path().join("link")).unwrap();
    symlink("t".repeat(200), from.path().join("dangling")).unwrap();
    let _ = rustix::fs::mkfifoat(rustix::fs::CWD, from.path().join("pipe"), rustix::fs::Mode::from_raw_mode(0o600));
    let mut stream = Vec::new();
    pack(&open(from.path()), &mut stream, BOUNDS).unwrap();
    unpack(&open(to.path()), Cursor::new(&stream), BOUNDS).unwrap();
    assert_eq!(fs::read_to_string(to.path().join(&long).join(&long).join("file")).unwrap(), "deep\n");
    let [was, is] = [from.path(), to.path()].map(|folder| fs::metadata(folder.join("run.sh")).unwrap());
    assert_eq!((was.mode(), was.mtime()), (is.mode(), is.mtime()));
    assert_eq!(fs::read(to.path().join("empty")).unwrap(), b"");
    assert!(to.path().join("nothing").is_dir());
    assert_eq!(fs::read_link(to.path().join("link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(fs::read_link(to.path().join("dangling")).unwrap().as_os_str().len(), 200);
    assert!(fs::symlink_metadata(to.path().join("pipe")).is_err());
    // A second time nothing is where it would have to be written.
    assert_eq!(unpack(&open(to.path()), Cursor::new(&stream), BOUNDS).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    for end in [0, 512, 513, stream.len() - 1024, stream.len() - 1] {
        let to = tempfile::tempdir().unwrap();
        assert!(unpack(&open(to.path()), Cursor::new(&stream[..end]), BOUNDS).is_err(), "{end} of {}", stream.len());
    }
}

fn entry(out: &mut Builder<Vec<u8>>, kind: EntryType, path: &str, target: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o6777);
    header.set_size(content.len() as u64);
    header.set_mtime(0);
    header.set_cksum();
    out.append(&header, content).unwrap();
}

#[track_caller]
fn check(entries: &[(EntryType, &str, &str, &[u8])], wrong: &str) {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("root");
    fs::create_dir(&root).unwrap();
    let mut out = Builder::new(Vec::new());
    for (kind, path, target, content) in entries {
        entry(&mut out, *kind, path, target, content);
    }
    let stream = out.into_inner().unwrap();
    let done = unpack(&open(&root), Cursor::new(stream), BOUNDS);
    let said = done.map_or_else(|error| error.to_string(), |()| "taken".to_owned());
    assert!(said.contains(wrong), "{said}");
    let left: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["root"], "nothing may be written outside");
}

#[test]
fn nothing_is_taken_that_no_tree_has() {
    use EntryType as Kind;
    const FILE: (EntryType, &str, &str, &[u8]) = (Kind::Regular, "file", "", b"content");
    check(&[FILE], "taken");
    for path in ["../escaped", "/escaped", "a/../../escaped", "./file", "..", "", "/"] {
        check(&[(Kind::Regular, path, "", b"x")], "t");
        check(&[(Kind::Symlink, path, "x", b"")], "t");
    }
    check(&[(Kind::Regular, "../escaped", "", b"x")], "it leads out of the tree");
    check(&[(Kind::Directory, "../escaped", "", b"")], "it leads out of the tree");
    // Through a link, whether it leads out or not.
    check(&[(Kind::Symlink, "up", "..", b""), (Kind::Regular, "up/escaped", "", b"x")], "up/escaped");
    check(&[(Kind::Directory, "d", "", b""), (Kind::Symlink, "in", "d", b""), (Kind::Regular, "in/file", "", b"x")], "in/file");
    check(&[(Kind::Symlink, "link", "../escaped", b""), (Kind::Regular, "link", "", b"x")], "link");
    check(&[(Kind::Symlink, "link", "..", b""), (Kind::Directory, "link", "", b"")], "link");
    check(&[FILE, FILE], "file");
    check(&[(Kind::Regular, "no/parent", "", b"x")], "no/parent");
    check(&[(Kind::Symlink, "link", "", b"")], "it is a link to nothing");
    for kind in
        [Kind::Link, Kind::Char, Kind::Block, Kind::Fifo, Kind::Continuous, Kind::GNUSparse, Kind::XHeader, Kind::XGlobalHeader]
    {
        check(&[FILE, (kind, "other", "file", b"")], "other: it is no directory, no regular file and no symbolic link");
    }
    check(&[(Kind::GNULongName, "x", "", &[b'n'; 5000]), FILE], "it is too long");
    check(&[(Kind::GNULongName, "x", "", b"a"), (Kind::GNULongName, "x", "", b"b"), FILE], "there are two");
    check(&[(Kind::GNULongName, "x", "", b"../escaped"), FILE], "it leads out of the tree");
}

#[test]
fn what_is_over_a_bound_ends_it() {
    let many: Vec<String> = (0..101).map(|number| format!("f{number}")).collect();
    let many: Vec<_> = many.iter().map(|path| (EntryType::Regular, path.as_str(), "", &b""[..])).collect();
    check(&many, super::TOO_LARGE);
    let large = vec![0; 700 << 10];
    check(&[(EntryType::Regular, "a", "", &large), (EntryType::Regular, "b", "", &large)], "it is larger");
    let names = [(EntryType::GNULongName, "x", "", &b"f"[..]), (EntryType::Directory, "d", "", b"")];
    check(&names.repeat(200), "f");
    let deep = "d/".repeat(DEPTH_MAX + 2) + "file";
    check(
        &[(EntryType::GNULongName, "x", "", deep.as_bytes()), (EntryType::Regular, "x", "", b"")],
        "it is no path below the tree",
    );
}

#[test]
fn a_mode_is_never_more_than_git_keeps_of_it() {
    let to = tempfile::tempdir().unwrap();
    let mut out = Builder::new(Vec::new());
    entry(&mut out, EntryType::Directory, "d", "", b"");
    entry(&mut out, EntryType::Regular, "d/file", "", b"x");
    unpack(&open(to.path()), Cursor::new(out.into_inner().unwrap()), BOUNDS).unwrap();
    for path in ["d", "d/file"] {
        assert_eq!(fs::metadata(to.path().join(path)).unwrap().mode() & 0o7777, 0o777, "{path}");
    }
}
