//! The integration tests: one binary, one module per subject.

mod agent;
mod contract;
mod pipeline;
mod support;
mod tidy;
