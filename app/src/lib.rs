//! Patchwright as a library, for its binary, its tests and its benchmarks.

pub mod store;
