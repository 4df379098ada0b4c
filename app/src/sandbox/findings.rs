//! What the launcher's own attacks found, whichever sandbox they were run in.

use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::probe::{Finding, N_FINDINGS};

use crate::sandbox::{Output, Refusal};

/// Returns the layers of a probe that all hold; `remedy` is for one that does not.
pub(super) fn holding(probe: &Output, remedy: &str) -> Result<Vec<String>, Refusal> {
    all_holding(probe, N_FINDINGS, remedy)
}

/// As [`holding`], for a probe with so many checks.
pub(super) fn all_holding(probe: &Output, n_findings: usize, remedy: &str) -> Result<Vec<String>, Refusal> {
    let text = String::from_utf8_lossy(&probe.output);
    let findings: Vec<Finding> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let broken: Vec<String> = findings
        .iter()
        .filter_map(|finding| finding.broken.as_ref().map(|broken| format!("{} ({broken})", finding.layer)))
        .collect();
    if broken.is_empty() && findings.len() == n_findings {
        return Ok(findings.into_iter().map(|finding| finding.layer).collect());
    }
    let unfinished = || format!("the whole probe: {} of {n_findings} checks answered, {:?}", findings.len(), probe.exit);
    Err(Refusal { missing: if broken.is_empty() { unfinished() } else { broken.join("; ") }, remedy: remedy.to_owned() })
}

/// Whether a file that was to be longer than `bytes_max` did not come to be. Linux ends whoever tries; gVisor only refuses.
pub(super) fn is_file_refused(output: &Output, bytes_max: u64) -> bool {
    output.exit == Exit::Exceeded(Limit::FileSize) || taken(output).is_some_and(|n_bytes| n_bytes <= bytes_max)
}

/// How much of something the launcher says that it got, if it was let say it.
pub(super) fn taken(output: &Output) -> Option<u64> {
    String::from_utf8_lossy(&output.output).trim().parse().ok()
}
