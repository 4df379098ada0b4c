//! Whether containers have a kernel of their own: said by the runtime's name, and seen from inside.

use std::fs;

/// Parts of the names of runtimes that give each container one: gVisor, Kata Containers, libkrun.
const RUNTIMES: [&str; 4] = ["runsc", "gvisor", "kata", "krun"];

/// Whether a runtime, or a class of runtimes, is known for it.
pub(super) fn are_of(runtime: &str) -> bool {
    let runtime = runtime.to_ascii_lowercase();
    RUNTIMES.iter().any(|part| runtime.contains(part))
}

/// Whether a runtime is known for it, and the kernel inside is another than ours; `inside` is what `/proc/version` says there.
/// A name alone may be wrong, and another kernel may be that of a virtual machine that all containers share. What is not known
/// counts as shared.
pub(super) fn are_proven(runtime: &str, inside: &str) -> bool {
    let own = fs::read_to_string("/proc/version").unwrap_or_default();
    are_of(runtime) && is_another(own.trim(), inside.trim())
}

fn is_another(own: &str, inside: &str) -> bool {
    !own.is_empty() && !inside.is_empty() && own != inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_counts_as_shared() {
        assert!(is_another("Linux version 6.1", "Linux version 4.4"));
        for (own, inside) in
            [("Linux version 6.1", ""), ("", "Linux version 4.4"), ("", ""), ("Linux version 6.1", "Linux version 6.1")]
        {
            assert!(!is_another(own, inside), "{own:?} {inside:?}");
        }
    }

    #[test]
    fn another_kernel_under_a_plain_runtime_is_one_that_containers_share() {
        assert!(are_proven("runsc", "Linux version 4.4.0"));
        assert!(!are_proven("runc", "Linux version 4.4.0"));
        assert!(!are_proven("crun", "Linux version 4.4.0"));
        assert!(!are_proven("kata-qemu", ""));
        assert!(are_of("gVisor"));
    }
}
