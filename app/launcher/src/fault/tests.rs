//! What an operator is told.

use std::io;

use super::{Fault, Step};
use crate::status::{Status, remedy_for_lack_of_namespaces};

#[track_caller]
fn check(step: Step, errno: i32, in_missing: &str, in_remedy: &[&str]) {
    match Fault::new(step, "the thing tried", io::Error::from_raw_os_error(errno)).refusal() {
        Status::Refused { missing, remedy } => {
            assert!(missing.contains(in_missing) && missing.contains("the thing tried"), "{missing}");
            for part in in_remedy {
                assert!(remedy.contains(part), "{remedy}");
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_names_the_cause_and_the_remedy() {
    let blocked = ["kernel.apparmor_restrict_unprivileged_userns", "seccomp=unconfined", "RestrictNamespaces"];
    check(Step::Namespaces, libc::EPERM, "namespaces", &blocked);
    check(Step::Identity, libc::EPERM, "user namespace", &blocked);
    check(Step::Network, libc::EPERM, "loopback", &blocked);
    check(Step::Namespaces, libc::ENOSPC, "namespaces", &["/proc/sys/user/max_user_namespaces"]);
    check(Step::Mount, libc::EPERM, "root", &["systempaths=unconfined"]);
    check(Step::Mount, libc::ENOSYS, "root", &["Linux 5.12"]);
    check(Step::Mount, libc::ENOENT, "root", &["read-only paths"]);
    check(Step::Privileges, libc::EINVAL, "privileges", &["65536"]);
    for (step, error) in [(Step::Namespaces, libc::EPERM), (Step::Mount, libc::EPERM), (Step::Privileges, libc::EPERM)] {
        check(step, error, "", &["no repository code runs", "`sandbox.isolation = \"landlock\"`", "loopback tests will fail"]);
    }
    check(Step::OldRules, libc::ENOSYS, "Landlock", &["Linux 6.12"]);
    check(Step::Reach, libc::EACCES, "the user of its commands", &["o+x"]);
    check(Step::Filter, libc::EINVAL, "seccomp", &["CONFIG_SECCOMP_FILTER"]);
}

#[test]
fn only_a_lack_of_namespaces_has_a_last_resort() {
    for (step, error, are_forbidden, has) in [
        (Step::Namespaces, libc::EPERM, false, true),
        (Step::Identity, libc::EPERM, false, true),
        (Step::Namespaces, libc::ENOSPC, true, true),
        // They are all in use, or the machine is short of something: that passes.
        (Step::Namespaces, libc::ENOSPC, false, false),
        (Step::Identity, libc::EUSERS, false, false),
        (Step::Namespaces, libc::EAGAIN, true, false),
        (Step::Namespaces, libc::ENOMEM, true, false),
        (Step::Mount, libc::EPERM, false, true),
        (Step::Mount, libc::ENOENT, true, false),
        (Step::Filter, libc::EPERM, true, false),
        (Step::OldRules, libc::ENOSYS, true, false),
        (Step::Command, libc::ENOENT, true, false),
    ] {
        let remedy = Fault::new(step, "it", io::Error::from_raw_os_error(error)).remedy(are_forbidden);
        assert_eq!(remedy_for_lack_of_namespaces(&remedy).is_some(), has, "{step:?}: {remedy}");
    }
}
