//! Patchwright as a library, for its binary, its tests and its benchmarks.

pub mod agent;
pub mod attestation;
pub mod clock;
pub mod config;
pub mod devcontainer;
pub mod egress;
pub mod forge;
pub mod gateway;
pub mod guarded;
pub mod http_client;
pub mod intake;
pub mod model;
pub mod policy_file;
pub mod private_folder;
pub mod rehearsal;
mod removal;
pub mod replay;
pub mod results;
pub mod sandbox;
pub mod server;
pub mod service;
pub mod setup;
pub mod store;
pub mod sweep;
pub mod syntax;
pub mod worker;
pub mod workspace;
