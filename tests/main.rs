//! The integration tests: one binary, one module per subject.

mod agent;
mod contract;
mod support;
mod tidy;
