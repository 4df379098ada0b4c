//! Rust packages and workspaces.

use super::{Ecosystem, Files};

pub(super) struct Cargo;

impl Ecosystem for Cargo {
    fn name(&self) -> &'static str {
        "cargo"
    }

    fn test(&self, files: &dyn Files) -> Option<String> {
        files.has("Cargo.toml").then(|| "cargo test --workspace --offline".to_owned())
    }

    fn decided_by(&self) -> &'static [&'static str] {
        &["Cargo.toml", ".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain", "build.rs"]
    }

    fn droppings(&self) -> &'static [&'static str] {
        &["target"]
    }
}
