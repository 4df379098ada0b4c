//! The integration tests: one binary, one module per subject.

mod agent;
mod apply_patch_command;
mod container;
mod contract;
mod external_agent;
mod mcp;
mod meter;
mod pipeline;
mod support;
mod tidy;
