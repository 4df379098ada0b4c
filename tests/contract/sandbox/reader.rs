//! What [`Profile::Reader`] promises: nothing in the workspace changes, by whatever way it is tried.

use super::*;

/// The errno of a file system that can be read only.
const READ_ONLY: &str = "Read-only file system";

async fn reader() -> Place {
    let workspace = tempfile::tempdir().unwrap();
    fs::create_dir(workspace.path().join("src")).unwrap();
    fs::write(workspace.path().join("src/kept"), "kept\n").unwrap();
    Place::open(workspace, settings(), Profile::Reader).await
}

impl Place {
    #[track_caller]
    fn check_untouched(&self) {
        let names = |path: &str| -> Vec<_> {
            fs::read_dir(self.path().join(path)).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        };
        assert_eq!((names(""), names("src")), (vec!["src".into()], vec!["kept".into()]));
        let kept = self.path().join("src/kept");
        assert_eq!((fs::read_to_string(&kept).unwrap().as_str(), fs::metadata(&kept).unwrap().mode() & 0o777), ("kept\n", 0o644));
    }
}

#[tokio::test]
async fn a_reader_changes_nothing_in_the_workspace() {
    if subject::leaves_out("a_reader_changes_nothing_in_the_workspace") {
        return;
    }
    let mut place = reader().await;
    for script in [
        "echo x > new",
        "echo x >> src/kept",
        "rm src/kept",
        "mv src/kept src/moved",
        "ln src/kept src/second",
        "ln -s kept src/link",
        "mkdir deep",
        "chmod 777 src/kept",
        "touch src/kept",
        "echo x > /proc/self/cwd/new",
        "echo x >> /proc/self/root/workspace/src/kept",
        "exec 9< src/kept; echo x >> /proc/self/fd/9",
        "cd /; echo x > /proc/1/cwd/workspace/new || { echo x > /workspace/new; }",
    ] {
        let output = place.run(&format!("LC_ALL=C; export LC_ALL; {script}")).await;
        let text = String::from_utf8_lossy(&output.output);
        assert!(output.exit != Exit::Code(0) && text.contains(READ_ONLY), "{script}: {:?} {text}", output.exit);
    }
    place.check_untouched();
}

#[tokio::test]
async fn a_reader_cannot_make_the_workspace_writable() {
    if subject::leaves_out("a_reader_cannot_make_the_workspace_writable") {
        return;
    }
    let mut place = reader().await;
    // mount, umount2, move_mount, open_tree, mount_setattr, unshare of the mount namespace and of the user namespace.
    let attempts = "
        my $w = \"/workspace\"; my $n = \"none\"; my $e = \"\"; my $attributes = pack(\"Q4\", 0, 1, 0, 0);
        syscall(165, $n, $w, $n, 32, 0) == 0 and print \"mount \"; syscall(165, $n, $w, $n, 4128, 0) == 0 and print \"bind \";
        syscall(166, $w, 2) == 0 and print \"umount \"; syscall(428, -100, $w, 1) >= 0 and print \"open_tree \";
        syscall(442, -100, $w, 0, $attributes, 32) == 0 and print \"mount_setattr \";
        syscall(272, 0x20000) == 0 and print \"unshare \"; syscall(272, 0x10000000) == 0 and print \"user \"; print \"done\"";
    if cfg!(target_arch = "x86_64") {
        assert_eq!(place.prints(&format!("perl -e '{attempts}'")).await, "done");
    }
    let output = place.run("LC_ALL=C; export LC_ALL; mount -o remount,rw /workspace; echo x > new").await;
    let text = String::from_utf8_lossy(&output.output);
    assert!(output.exit != Exit::Code(0) && text.contains(READ_ONLY), "{text}");
    place.check_untouched();
}

#[tokio::test]
async fn a_reader_has_its_own_places_to_write_and_reads_everything() {
    if subject::leaves_out("a_reader_has_its_own_places_to_write_and_reads_everything") {
        return;
    }
    let mut place = reader().await;
    let script = "cat src/kept; echo a > /tmp/a; echo b > \"$HOME/b\"; cat /tmp/a \"$HOME/b\"";
    assert_eq!(place.prints(script).await, "kept\na\nb\n");
    assert_eq!(place.executor.read("src/kept").await.unwrap(), Some(regular("kept\n")));
}

#[tokio::test]
async fn a_reader_writes_nothing_through_the_executor() {
    let mut place = reader().await;
    for change in [("src/kept", None), ("src/kept", Some(regular("x"))), ("new", Some(regular("x")))] {
        is_path_error(place.executor.write(&[(change.0.to_owned(), change.1)]).await);
    }
    place.check_untouched();
}

#[tokio::test]
async fn a_process_of_a_reader_changes_nothing_either() {
    if subject::leaves_out("a_process_of_a_reader_changes_nothing_either") {
        return;
    }
    let mut place = reader().await;
    let process = process::sh("LC_ALL=C; export LC_ALL; echo x > new || echo x > src/kept");
    let mut running = place.executor.spawn(&process).await.unwrap();
    assert_ne!(running.handle.wait().await.unwrap(), Exit::Code(0));
    assert!(running.handle.errors().contains(READ_ONLY), "{}", running.handle.errors());
    place.check_untouched();
}
