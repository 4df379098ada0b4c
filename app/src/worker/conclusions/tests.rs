use super::*;

fn broke(code: Errno) -> StepError {
    let source = io::Error::from_raw_os_error(code.raw_os_error());
    sandbox(&SandboxError::Machine { context: "starting a command".to_owned(), source })
}

/// A job that is handed back is tried again; one that failed is over.
#[test]
fn a_machine_without_descriptors_is_waited_for_and_one_that_breaks_is_told() {
    for code in [Errno::MFILE, Errno::NFILE] {
        assert!(matches!(broke(code), StepError::Workspace(WorkspaceError::Unavailable { .. })), "{code:?}");
    }
    match broke(Errno::IO) {
        StepError::Failed(failure) => assert_eq!(failure.conclusion.outcome, Outcome::EnvironmentFailed),
        other => panic!("{other:?}"),
    }
}
