//! The files of a workspace, read and written from outside.

use patchwright::sandbox::stamps::Look;

use super::*;

#[tokio::test]
async fn files_are_read_written_and_deleted() {
    let mut place = Place::new().await;
    let script = FileState::Regular { content: b"#!/bin/sh\necho ran\n".to_vec(), executable: true };
    let link = FileState::Symlink { target: b"script".to_vec() };
    let changes = [
        ("deep/er/script".to_owned(), Some(script.clone())),
        ("deep/er/link".to_owned(), Some(link.clone())),
        ("notes".to_owned(), Some(regular("one\n"))),
        ("notes".to_owned(), Some(regular("two\n"))),
        ("gone".to_owned(), Some(regular(""))),
        ("gone".to_owned(), None),
        ("never/there".to_owned(), None),
    ];
    place.executor.write(&changes).await.unwrap();
    assert_eq!(place.executor.read("deep/er/script").await.unwrap(), Some(script));
    assert_eq!(place.executor.read("deep/er/link").await.unwrap(), Some(link));
    assert_eq!(place.executor.read("notes").await.unwrap(), Some(regular("two\n")));
    assert_eq!(place.executor.read("gone").await.unwrap(), None);
    assert_eq!(place.executor.read("no/such").await.unwrap(), None);
    let changed = "./deep/er/link && echo three >> notes && touch deep/new && rm deep/er/script && echo x > deep/er/script";
    assert_eq!(place.prints(changed).await, "ran\n");
    assert_eq!(place.executor.read("notes").await.unwrap(), Some(regular("two\nthree\n")));
}

#[tokio::test]
async fn no_file_outside_the_workspace_is_read_or_written() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let mut place = Place::new().await;
    let root = place.path().to_owned();
    symlink(outside.path(), root.join("directory")).unwrap();
    symlink(&secret, root.join("file")).unwrap();
    symlink("../../../../../../../..", root.join("up")).unwrap();
    let absolute = secret.display().to_string();
    for path in ["../x", "a/../../x", "..", ".", "", "/etc/passwd", &absolute, "directory/secret", "up/etc/passwd", "a\0b"] {
        is_path_error(place.executor.read(path).await);
        is_path_error(place.executor.write(&[(path.to_owned(), Some(regular("changed")))]).await);
        is_path_error(place.executor.write(&[(path.to_owned(), None)]).await);
    }
    is_path_error(place.executor.write(&[("directory/new/file".to_owned(), Some(regular("x")))]).await);
    let link = place.executor.read("file").await.unwrap();
    assert_eq!(link, Some(FileState::Symlink { target: absolute.into_bytes() }));
    place.executor.write(&[("file".to_owned(), Some(regular("changed")))]).await.unwrap();
    assert_eq!(place.executor.read("file").await.unwrap(), Some(regular("changed")));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn only_regular_files_of_a_sane_size_are_read() {
    let mut place = Place::new().await;
    named_pipe(&place, "pipe");
    let _socket = UnixListener::bind(place.path().join("socket")).unwrap();
    fs::create_dir(place.path().join("directory")).unwrap();
    fs::File::create(place.path().join("huge")).unwrap().set_len((32 << 20) + 1).unwrap();
    for path in ["pipe", "socket", "directory", "huge", "directory/pipe/x/.."] {
        is_path_error(place.executor.read(path).await);
    }
    is_path_error(place.executor.write(&[("directory".to_owned(), Some(regular("x")))]).await);
    is_path_error(place.executor.write(&[("directory".to_owned(), None)]).await);
    is_path_error(place.executor.write(&[("pipe/below".to_owned(), Some(regular("x")))]).await);
    place.executor.write(&[("pipe".to_owned(), Some(regular("no pipe any more")))]).await.unwrap();
    assert_eq!(place.executor.read("pipe").await.unwrap(), Some(regular("no pipe any more")));
}

#[tokio::test]
async fn what_a_command_changed_is_seen_whatever_it_is_called_and_put_back() {
    let mut place = Place::new().await;
    let make = "mkdir -p a/b target kept/target && echo one > a/b/file && ln -s file a/b/link && echo x > target/out && \
                echo x > kept/target/in && echo x > \"$(printf 'a/line\\nbreak')\" && echo x > 'a/back\\slash'";
    assert_eq!(place.prints(make).await, "");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let look = Look { left_out: names(&["target"]), kept: names(&["kept/target"]), is_first: true };
    let before = place.executor.stamps(&look).await.unwrap();
    let paths: Vec<&str> = before.entries.keys().map(String::as_str).collect();
    let expected =
        ["", "a", "a/b", "a/b/file", "a/b/link", "a/back\\\\slash", "a/line\nbreak", "kept", "kept/target", "kept/target/in"];
    assert_eq!((paths.as_slice(), before.is_whole), (expected.as_slice(), true));
    let change = "mv a/b a/c && mv a/c a/b && echo two > a/b/file && echo one > a/b/file";
    assert_eq!(place.prints(change).await, "");
    let after = place.executor.stamps(&Look { is_first: false, ..look.clone() }).await.unwrap();
    let changed = before.entries.iter().filter(|(path, stamp)| after.entries.get(*path) != Some(stamp));
    assert_eq!(changed.map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["a", "a/b", "a/b/file"]);
}

#[tokio::test]
async fn a_tree_that_is_deeper_than_anybody_looks_is_told_as_such() {
    let mut place = Place::new().await;
    assert_eq!(place.prints("mkdir -p $(printf 'd/%.0s' {1..200})").await, "");
    assert!(!place.executor.stamps(&Look::default()).await.unwrap().is_whole);
}

#[tokio::test]
async fn a_tree_whose_paths_are_more_than_anybody_keeps_is_told_as_such() {
    let mut place = Place::new().await;
    // Fifteen names of 250 bytes in front of each of the files.
    let make = "for n in {1..15}; do mkdir $(printf 'd%.0s' {1..250}) && cd d*; done && touch {1..20000}";
    assert_eq!(place.prints(make).await, "");
    let seen = place.executor.stamps(&Look::default()).await.unwrap();
    let n_bytes: usize = seen.entries.keys().map(String::len).sum();
    assert!(!seen.is_whole && n_bytes < 65 << 20, "{n_bytes} bytes of paths");
}
