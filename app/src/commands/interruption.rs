//! SIGINT and SIGTERM: a command that gets one ends by dropping what it does, which removes what it has made.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;

/// How long what is being ended may take; what is left then, the next command removes.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Which signal a command got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    /// SIGINT, as of Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Interruption {
    /// 128 and the signal's number, as shells have it.
    fn code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Waits for SIGINT or SIGTERM.
pub(super) async fn wait() -> std::io::Result<Interruption> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = interrupt.recv() => Interruption::Interrupt,
        _ = terminate.recv() => Interruption::Terminate,
    })
}

/// Does the work, or ends it at a signal.
pub(super) fn block_on(runtime: Runtime, work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let (done, is_interrupted) = runtime.block_on(async {
        tokio::select! {
            // The signals are listened for before the work has made anything.
            biased;
            interruption = wait() => {
                let interruption = interruption.context("listening for signals").map_err(Failure::environment);
                (interruption.map(|interruption| ExitCode::from(interruption.code())), true)
            }
            done = work => (done, false),
        }
    });
    if is_interrupted {
        runtime.shutdown_timeout(END_TIMEOUT);
    }
    done
}
