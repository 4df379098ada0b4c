//! Patchwright as a library, for its binary, its tests and its benchmarks.

pub mod agent;
pub mod model;
pub mod rehearsal;
pub mod sandbox;
