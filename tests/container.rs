//! Containers of a real engine: the sandbox's contract, and what is theirs alone.
//!
//! The engine is Podman, started by the tests themselves; see `support::podman`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(clippy::duplicate_mod, reason = "the contract is the same for every sandbox, and compiled for each")]
#[path = "contract/sandbox.rs"]
mod contract;
mod subject;
