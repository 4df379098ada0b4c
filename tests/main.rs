//! The integration tests: one binary, one module per subject.

mod agent;
mod apply_patch_command;
mod contract;
mod mcp;
mod pipeline;
mod support;
mod tidy;
