//! Patchwright as a library, for its binary, its tests and its benchmarks.

pub mod clock;
pub mod config;
pub mod forge;
pub mod http_client;
pub mod policy_file;
pub mod store;
pub mod workspace;
