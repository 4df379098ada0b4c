//! What the system says of groups, and whose they are.

use super::*;

#[test]
fn the_own_group_is_found_below_the_mount_that_shows_it() {
    let unified = "25 24 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    let located = place::locate("0::/system.slice/patchwright.service\n", unified);
    assert_eq!(located.as_deref(), Some(Path::new("/sys/fs/cgroup/system.slice/patchwright.service")));
    let of_container = "25 24 0:22 /docker/7f /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    assert_eq!(place::locate("0::/docker/7f\n", of_container).as_deref(), Some(Path::new("/sys/fs/cgroup/")));
    let hybrid = "25 24 0:22 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    assert_eq!(place::locate("4:memory:/a\n0::/a\n", hybrid), None);
    assert_eq!(place::locate("4:memory:/a\n", unified), None);
    assert_eq!(place::locate("0::/elsewhere\n", of_container), None);
}

#[test]
fn only_groups_that_nobody_holds_are_left_over() {
    let base = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        let path = base.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    // The maker's number is that of nobody who can be seen here.
    let group = made(&format!("{SANDBOX}4194999-17-0"));
    let held = lock(&group).unwrap();
    assert!(left_over(&group).is_none());
    drop(held);
    let swept = left_over(&group);
    assert!(swept.is_some());
    // Whoever removes one is alone with it.
    assert!(left_over(&group).is_none());
    for somebody_elses in ["patchwright-server", "patchwright-sandbox-", "patchwright-sandbox-x-1-2", "system.slice"] {
        assert!(left_over(&made(somebody_elses)).is_none(), "{somebody_elses}");
    }
}
