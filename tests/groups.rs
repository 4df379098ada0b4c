//! The local sandbox where control groups of version 2 were handed over: limits that the kernel keeps exactly.
//!
//! `within` has the tests that take such groups, which pass unseen where there are none; here they are run in a kernel that
//! has them, as root and as a plain user, together with what every sandbox promises of its limits.

use std::time::Duration;

use crate::support::uml;

pub(crate) mod within;

/// What is run in there: what is new with groups, the attacks that nothing else stops, and those that the kernel itself stops
/// where links are protected, as they are in that kernel.
const TESTS: &str = "--test-threads 1 groups::within hostile::what_only hostile::a_link_that";
/// What every sandbox promises of memory and of processor time.
const CONTRACT: &str = "contract::sandbox::limits::files contract::sandbox::limits::shared contract::sandbox::limits::processor";

/// How long all attacks may take in there.
const ATTACKS_TIMEOUT: Duration = Duration::from_secs(1800);

#[tokio::test]
async fn limits_are_exact_for_a_server_that_is_root() {
    uml::run(&format!("in_unit $TESTS {TESTS} {CONTRACT}\n")).await;
}

#[tokio::test]
async fn limits_are_exact_for_a_server_that_is_a_plain_user() {
    uml::run(&format!("hand_over $PLAIN_USER\nas_user $TESTS {TESTS}\n")).await;
}

/// A disk without room says nothing about the limits of commands: what is missing is the room.
#[tokio::test]
async fn a_disk_without_room_is_no_limit_that_is_not_kept() {
    let script = r#"
        mkdir /tmp/small; mount -t tmpfs -o size=8m tmpfs /tmp/small
        cd /tmp; export PATCHWRIGHT__WORKSPACE__DIR=/tmp/small/workspaces
        $PATCHWRIGHT_BINARY doctor >/tmp/said || true
        grep '^[A-Za-z]* *sandbox' -A1 /tmp/said
    "#;
    let Some(said) = uml::run(script).await else { return };
    let told = "BROKEN     sandbox     room to try the limits of commands in /tmp/small/workspaces: 8 MiB are free, and trying \
                its limits takes up to 40";
    assert!(said.contains(told), "{said}");
    assert!(said.contains("free some there, or name a folder with more in `workspace.dir`"), "{said}");
}

/// Somebody else's process is in the group that was handed over: it is left where it is, limits are looked at, and the remedy
/// names it.
#[tokio::test]
async fn a_group_with_others_in_it_is_left_alone() {
    let script = r#"
        in_unit sleep 1000 &
        until (for pid in $(cat $UNIT/cgroup.procs); do cat /proc/$pid/comm; done) | grep -qx sleep; do :; done
        cd /tmp
        in_unit $PATCHWRIGHT_BINARY doctor >/tmp/said || true
        grep limits -A1 /tmp/said
        ls -d $UNIT/*/ 2>/dev/null | wc -l
    "#;
    let Some(said) = uml::run(script).await else { return };
    assert!(said.contains("kept by looking again and again: memory"), "{said}");
    assert!(said.contains("are also sleep ("), "{said}");
    assert!(said.lines().any(|line| line == "0"), "{said}");
}

/// Every attack but those on containers, in that kernel. It lacks the targets of some of them, which fail for that, and works
/// so slowly that this takes ten minutes and more: it is done where `uml-hostile` is required, and looks for what is not held.
#[tokio::test]
async fn no_attack_escapes_in_another_kernel() {
    if !uml::is_required("uml-hostile") {
        return;
    }
    for server in ["in_unit", "hand_over $PLAIN_USER; as_user"] {
        let script = format!("{server} $TESTS hostile:: --skip containers --skip plain_user --skip pipeline || true\n");
        let Some(said) = uml::run_for(&script, ATTACKS_TIMEOUT).await else { return };
        assert!(said.contains("test result:"), "{said}");
        for wrong in ["in the sandbox Escaped", "in the sandbox Silent", "not at the limit"] {
            assert!(!said.contains(wrong), "{said}");
        }
    }
}
