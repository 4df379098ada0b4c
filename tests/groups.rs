//! The local sandbox where control groups of version 2 were handed over: limits that the kernel keeps exactly.
//!
//! `within` has the tests that take such groups, which pass unseen where there are none; here they are run in a kernel that
//! has them, as root and as a plain user, together with what every sandbox promises of its limits.

use crate::support::uml;

mod within;

/// The limits, with groups that the kernel gives to root.
#[tokio::test]
async fn limits_are_exact_for_a_server_that_is_root() {
    let script = r#"
        in_unit $TESTS --test-threads 1 groups::within contract::sandbox::limits contract::sandbox::the_probe
    "#;
    uml::run(script).await;
}

#[tokio::test]
async fn limits_are_exact_for_a_server_that_is_a_plain_user() {
    let script = r#"
        hand_over $PLAIN_USER
        as_user $TESTS --test-threads 1 groups::within contract::sandbox::limits contract::sandbox::the_probe
    "#;
    uml::run(script).await;
}
