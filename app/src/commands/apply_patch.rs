//! `patchwright apply-patch`: a patch from standard input, applied to the current directory.

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use patchwright::sandbox::patching::{self, Mark};
use patchwright_domain::patch::PATCH_BYTES_MAX;

use crate::commands::{Failure, NEGATIVE, terminal};

/// What `--help` says behind the options.
pub(super) const GRAMMAR: &str = "\
The patch:
  *** Begin Patch
  *** Add File: docs/new.md
  +every line of a new file
  *** Update File: src/lib.rs
  *** Move to: src/total.rs      (only to rename)
  @@ fn total(                   (the line of the enclosing definition; may be left out)
   an unchanged line
  -a removed line
  +an added line
  *** Delete File: old.txt
  *** End Patch

Each chunk must fit in one place; give about three unchanged lines around a change, or `@@` lines, outermost first.
`*** End of File` behind a chunk ties it to the end. Paths are relative, and stay below the current directory.

Exit codes: 0 applied, 1 not applied and nothing changed, 2 usage.";

/// Reads the patch and applies it.
pub(super) fn apply_patch() -> Result<ExitCode, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(PATCH_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.context("reading the patch from standard input").map_err(Failure::usage)?;
    let applied = match std::str::from_utf8(&bytes) {
        Ok(text) => patching::apply(Path::new("."), text).map_err(anyhow::Error::from),
        Err(error) => Err(anyhow!(error).context("the patch is not UTF-8")),
    };
    match applied {
        Ok(marks) => {
            let told = told(&marks);
            let printed = std::io::stdout().lock().write_all(told.as_bytes());
            printed.context("writing to standard output").map_err(Failure::environment)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            terminal::complain(&error);
            Ok(ExitCode::from(NEGATIVE))
        }
    }
}

fn told(marks: &[(Mark, String)]) -> String {
    if marks.is_empty() {
        return "Success, but nothing changed: the files already are as the patch wants them.\n".to_owned();
    }
    let line = |(mark, path): &(Mark, String)| match mark {
        Mark::Added => format!("A {path}\n"),
        Mark::Modified => format!("M {path}\n"),
        Mark::Deleted => format!("D {path}\n"),
    };
    std::iter::once("Success. Updated the following files:\n".to_owned()).chain(marks.iter().map(line)).collect()
}
