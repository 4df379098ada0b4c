//! From what went wrong to what the user and the operator are told.

use std::io;

use patchwright_domain::journal::{Conclusion, Failure, Outcome};
use patchwright_domain::proof::secrets::Plain;
use patchwright_domain::report::neutral::plain;
use rustix::io::Errno;

use super::StepError;
use crate::forge::ForgeError;
use crate::sandbox::{Refusal, SandboxError};
use crate::setup::SetupError;
use crate::workspace::WorkspaceError;

/// How much of a cause from outside is repeated to the user, in characters.
const CAUSE_CHARS_MAX: usize = 300;

fn failure(outcome: Outcome, cause: &str, next_step: &str, internal: String) -> Failure {
    Failure { conclusion: Conclusion::new(outcome, plain(cause, CAUSE_CHARS_MAX), plain(next_step, CAUSE_CHARS_MAX)), internal }
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}

pub(super) fn environment(cause: &str, next_step: &str, internal: String) -> Failure {
    failure(Outcome::EnvironmentFailed, cause, next_step, internal)
}

/// The machine cannot give the sandbox.
pub(super) fn refusal(refusal: &Refusal) -> Failure {
    environment(&sentence(&refusal.to_string()), &sentence(&refusal.remedy), refusal.to_string())
}

/// A sandbox that was promised and broke. Where the server had no file descriptors left, the job is not to blame: there will be
/// some again.
pub(super) fn sandbox(error: &SandboxError) -> StepError {
    match error {
        SandboxError::Refused(refused) => refusal(refused).into(),
        SandboxError::Machine { source, .. } if is_out_of_descriptors(source) => {
            WorkspaceError::Unavailable { what: "running a command", reason: format!("{error}: {source}") }.into()
        }
        SandboxError::Path { .. } | SandboxError::Machine { .. } => {
            let cause = format!("The sandbox broke: {error}.");
            environment(&cause, "Run `patchwright doctor` on the server.", format!("{error:?}")).into()
        }
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(Errno::MFILE.raw_os_error()) || code == Some(Errno::NFILE.raw_os_error())
}

/// No tree is ready for the setup.
pub(super) fn setup(error: SetupError) -> StepError {
    match error {
        SetupError::Workspace(error) => error.into(),
        SetupError::Sandbox(error) => sandbox(&error),
        SetupError::Gate(source) => {
            let cause = format!("The way out for the setup cannot be opened: {source}.");
            environment(&cause, "An operator should see that the server can write to its temporary folder.", cause.clone()).into()
        }
    }
}

/// A secret of the operator's is so plain that what is told cannot be told without it.
pub(super) fn plain_secret(plain: Plain) -> StepError {
    let next_step = "An operator should set another one there, long and made by chance, and then ask again.";
    environment(&sentence(&plain.to_string()), next_step, plain.to_string()).into()
}

pub(super) fn policy(cause: &str, next_step: &str) -> Failure {
    failure(Outcome::BlockedByPolicy, cause, next_step, cause.to_owned())
}

pub(super) fn forge(error: &ForgeError) -> Failure {
    let next_step = match error {
        ForgeError::Denied { remedy, .. } => sentence(remedy),
        ForgeError::Rejected { .. } | ForgeError::RateLimited { .. } | ForgeError::Unavailable(_) => {
            "Ask again; if it happens again, an operator should look at the server's log.".into()
        }
    };
    failure(Outcome::Failed, &sentence(&error.to_string()), &next_step, error.to_string())
}

pub(super) fn workspace(error: &WorkspaceError) -> Failure {
    let (outcome, next_step) = match error {
        WorkspaceError::Refused(_) => {
            (Outcome::BlockedByPolicy, "Make this change by hand, or ask for one that does not need it.")
        }
        WorkspaceError::Rejected { .. } | WorkspaceError::Unavailable { .. } => {
            (Outcome::Failed, "Check the App's `contents` permission and the rules for branches, then ask again.")
        }
    };
    failure(outcome, &sentence(&error.to_string()), next_step, error.to_string())
}

pub(super) fn given_up(n_tries: usize, because: &str) -> Failure {
    let cause = format!("The same step did not succeed in {n_tries} tries: {}.", because.trim_end_matches('.'));
    failure(Outcome::Failed, &cause, "An operator should look at the server's log, then ask again.", because.to_owned())
}

#[cfg(test)]
mod tests;
