//! Looking on while a command runs, in any sandbox.

use std::time::Duration;

use patchwright::sandbox::live::live;
use patchwright::sandbox::{Command, Executor};

/// Runs a command that never ends, and sees what it prints all the same.
pub(crate) async fn sees_what_is_printed_while_it_runs(executor: &mut dyn Executor) {
    let script = "echo one; echo two >&2; echo three; while :; do sleep 1; done".to_owned();
    let endless = Command { script, directory: String::new(), timeout: Duration::from_secs(60), output_bytes_max: 1024 };
    let (live, mut shown) = live();
    let seen = async {
        let mut seen = Vec::new();
        while !seen.ends_with(b"three\n") {
            seen.extend_from_slice(&shown.next().await.expect("it runs"));
        }
        seen
    };
    tokio::select! {
        ended = executor.execute_live(&endless, &live) => panic!("nothing was seen before it ended: {ended:?}"),
        seen = seen => assert_eq!(seen, b"one\ntwo\nthree\n", "all of it is seen, in order"),
    }
}
