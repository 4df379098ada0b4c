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
fn only_the_groups_of_processes_that_are_gone_are_left_over() {
    let own = owner(std::process::id()).unwrap();
    assert!(!is_left_over(&format!("{SANDBOX}{own}-3")));
    let (process, began) = own.split_once('-').unwrap();
    // Another process had this number before.
    assert!(is_left_over(&format!("{SANDBOX}{process}-{began}1-3")));
    assert!(is_left_over(&format!("{SANDBOX}4194999-17-0")));
    for somebody_elses in ["patchwright-server", "patchwright-sandbox-", "patchwright-sandbox-x-1-2", "system.slice"] {
        assert!(!is_left_over(somebody_elses), "{somebody_elses}");
    }
}
