//! What may not become a commit, and the reason that people are told.

use std::path::Path;

use git2::FileMode;

use super::{Desk, EXECUTABLE, LINK, PLAIN, link, put, remove};

async fn desk() -> Desk {
    Desk::with(&[("a", b"a", PLAIN), ("d/e/f", b"f", EXECUTABLE), ("old", b"/etc/hostname", LINK)]).await
}

#[tokio::test]
async fn a_link_that_leaves_the_tree() {
    let desk = desk().await;
    for (path, target) in [
        ("x", "/etc/passwd"),
        ("x", ".."),
        ("x", "../../etc"),
        ("d/x", "../../etc"),
        ("d/e/x", "./.././../../etc"),
        ("x", "d/e/../../../etc"),
        ("x", ".git/config"),
        ("x", ".GIT/hooks"),
        ("x", "d/.git"),
    ] {
        let reason = desk.refusal(|root| link(root, path, target)).await;
        assert_eq!(reason, format!("`{path}` is a link that leaves the tree"), "-> {target}");
    }
}

/// Each of two links stays inside by itself; together they lead out.
#[tokio::test]
async fn two_links_that_leave_the_tree_together() {
    let desk = desk().await;
    let two = |root: &Path| {
        link(root, "d/e/top", "../..");
        link(root, "x", "d/e/top/../../etc/passwd");
    };
    assert_eq!(desk.refusal(two).await, "`x` is a link that leaves the tree");
}

/// The maintainers have such a link themselves: it is theirs to keep, and not the agent's to make another.
#[tokio::test]
async fn a_link_of_the_base_may_stay_and_not_move() {
    let desk = desk().await;
    assert_eq!(desk.changed(|root| put(root, "a", "b")).await, ["a=100644 b"]);
    let moved = |root: &Path| {
        remove(root, "old");
        link(root, "old", "/etc/passwd");
    };
    assert_eq!(desk.refusal(moved).await, "`old` is a link that leaves the tree");
    let copied = |root: &Path| link(root, "new", "/etc/hostname");
    assert_eq!(desk.refusal(copied).await, "`new` is a link that leaves the tree");
}

#[tokio::test]
async fn every_spelling_of_gits_own_folder() {
    let desk = desk().await;
    for name in [".GIT", ".Git", "git~1", "GIT~1", ".git ", ".git.", ".git::$INDEX_ALLOCATION", ".g\u{200c}it", "x\\.git"] {
        for prefix in ["", "d/", "d/e/", "new/"] {
            let path = format!("{prefix}{name}");
            let reason = desk.refusal(|root| put(root, &format!("{path}/config"), "x")).await;
            assert_eq!(reason, format!("`{path}` collides with git's own folder"));
            let reason = desk.refusal(|root| put(root, &path, "x")).await;
            assert_eq!(reason, format!("`{path}` collides with git's own folder"));
        }
    }
    for path in ["d/.git", "new/.git"] {
        let reason = desk.refusal(|root| put(root, &format!("{path}/config"), "x")).await;
        assert_eq!(reason, format!("`{path}` collides with git's own folder"));
        let reason = desk.refusal(|root| put(root, path, "gitdir: /")).await;
        assert_eq!(reason, format!("`{path}` collides with git's own folder"));
    }
}

#[tokio::test]
async fn submodules_are_left_as_they_are() {
    let modules = b"[submodule \"lib\"]\n\tpath = lib\n\turl = https://example.com/lib\n";
    let desk =
        Desk::with(&[(".gitmodules", modules, PLAIN), ("lib", b"", FileMode::Commit), ("d/lib", b"", FileMode::Commit)]).await;
    let inside = |root: &Path| {
        put(root, "lib/what/ever", "x");
        put(root, "lib/.git", "gitdir: /somewhere");
        put(root, "new", "x");
    };
    assert_eq!(desk.changed(inside).await, ["new=100644 x"]);
    let refused = |path: &str| format!("`{path}` changes a submodule");
    assert_eq!(desk.refusal(|root| put(root, ".gitmodules", "x")).await, refused(".gitmodules"));
    assert_eq!(desk.refusal(|root| remove(root, ".gitmodules")).await, refused(".gitmodules"));
    assert_eq!(desk.refusal(|root| put(root, ".GitModules", "x")).await, refused(".GitModules"));
    for path in ["lib", "d/lib"] {
        assert_eq!(desk.refusal(|root| remove(root, path)).await, refused(path));
        let by_file = |root: &Path| {
            remove(root, path);
            put(root, path, "x");
        };
        assert_eq!(desk.refusal(by_file).await, refused(path));
        let by_link = |root: &Path| {
            remove(root, path);
            link(root, path, "new");
        };
        assert_eq!(desk.refusal(by_link).await, refused(path));
    }
    assert_eq!(desk.refusal(|root| remove(root, "d")).await, refused("d/lib"));
    let without = self::desk().await;
    assert_eq!(without.refusal(|root| put(root, ".gitmodules", modules)).await, refused(".gitmodules"));
    assert_eq!(without.refusal(|root| link(root, ".gitmodules", "a")).await, refused(".gitmodules"));
}

#[tokio::test]
async fn what_is_too_large_or_too_many() {
    let desk = desk().await;
    let sparse = |path: &'static str, size: u64| {
        move |root: &Path| {
            let file = std::fs::File::create(root.join(path)).expect("the file can be made");
            file.set_len(size).expect("a sparse file can be of any size");
        }
    };
    assert_eq!(desk.refusal(sparse("huge", 10 * 1024 * 1024 + 1)).await, "`huge` is larger than 10485760 bytes");
    assert_eq!(desk.refusal(sparse("a", 1 << 40)).await, "`a` is larger than 10485760 bytes");
    let many_large = |root: &Path| {
        for n in 0..6u8 {
            put(root, &format!("large-{n}"), vec![n; 9 << 20]);
        }
    };
    assert_eq!(desk.refusal(many_large).await, "`the patch` is larger than 52428800 bytes");
    let many = |n_files: u32| {
        move |root: &Path| {
            for n in 0..n_files {
                put(root, &format!("many/{n}"), n.to_string());
            }
        }
    };
    assert_eq!(desk.changed(many(500)).await.len(), 500);
    assert_eq!(desk.refusal(many(501)).await, "`the patch` changes more than 500 files");
    let deep = |root: &Path| put(root, &format!("{}x", "d/".repeat(150)), "x");
    assert!(desk.refusal(deep).await.ends_with("lies too deep"));
}

#[tokio::test]
async fn a_large_file_of_the_base_may_stay() {
    let large = vec![b'x'; (10 << 20) + 1];
    let desk = Desk::with(&[("large", &large, PLAIN), ("a", b"a", PLAIN)]).await;
    assert_eq!(desk.changed(|root| put(root, "a", "b")).await, ["a=100644 b"]);
    let changed = |root: &Path| put(root, "large", vec![b'y'; (10 << 20) + 1]);
    assert_eq!(desk.refusal(changed).await, "`large` is larger than 10485760 bytes");
}

#[tokio::test]
async fn a_name_that_is_no_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let desk = desk().await;
    let odd = |root: &Path| {
        std::fs::write(root.join(std::ffi::OsStr::from_bytes(b"odd\xff`name")), "x").expect("the file system takes bytes");
    };
    assert_eq!(desk.refusal(odd).await, "`odd\u{fffd}?name` has a name that is not UTF-8");
}
