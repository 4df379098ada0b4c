//! Go modules.

use super::{Ecosystem, Files};

pub(super) struct Go;

impl Ecosystem for Go {
    fn name(&self) -> &'static str {
        "go"
    }

    fn test(&self, files: &dyn Files) -> Option<String> {
        files.has("go.mod").then(|| "go test ./...".to_owned())
    }

    fn decided_by(&self) -> &'static [&'static str] {
        &["go.mod", "go.work"]
    }

    fn droppings(&self) -> &'static [&'static str] {
        &[]
    }
}
