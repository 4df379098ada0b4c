//! Anything with a `test` or `check` target in its Makefile: the last resort.

use super::{Ecosystem, Files};

pub(super) struct Make;

const MAKEFILES: [&str; 3] = ["GNUmakefile", "makefile", "Makefile"];

impl Ecosystem for Make {
    fn name(&self) -> &'static str {
        "make"
    }

    fn test(&self, files: &dyn Files) -> Option<String> {
        let text = MAKEFILES.iter().find_map(|name| files.read(name))?;
        let has_target = |target: &str| text.lines().filter_map(|line| line.strip_prefix(target)).any(begins_rule);
        ["test", "check"].into_iter().find(|target| has_target(target)).map(|target| format!("make {target}"))
    }

    fn decided_by(&self) -> &'static [&'static str] {
        &MAKEFILES
    }

    fn recipes(&self, files: &dyn Files) -> Vec<String> {
        MAKEFILES.iter().filter_map(|name| files.read(name)).collect()
    }

    fn droppings(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Whether what stands behind a name makes it a target, and not a variable.
fn begins_rule(rest: &str) -> bool {
    let colons = rest.trim_start();
    colons.starts_with(':') && !colons.trim_start_matches(':').starts_with('=')
}
