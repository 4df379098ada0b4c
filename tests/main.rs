//! The integration tests: one binary, one module per subject.

mod agent;
mod apply_patch_command;
mod attestation;
mod bare;
mod container;
mod contract;
mod egress;
mod external_agent;
mod groups;
mod hostile;
mod kubernetes;
mod landlock;
mod launcher;
mod mcp;
mod meter;
mod ordinary;
mod pipeline;
mod proof;
mod real;
mod simulation;
mod support;
mod tidy;
