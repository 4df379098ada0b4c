//! A small Python repository with a bug, the same every time.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

/// How many modules there are to read.
pub(crate) const N_MODULES: usize = 20;
/// How many lines each has, at least.
const LINES: usize = 200;

/// The patch that mends it.
pub(crate) const FIX: &str = "*** Begin Patch
*** Update File: src/calc.py
@@ def mean(values):
-    return sum(values) / (len(values) - 1)
+    return sum(values) / len(values)
*** End Patch
";

const BROKEN: &str = "def mean(values):\n    return sum(values) / (len(values) - 1)\n";

/// Writes it into a new folder, with a `.git`, which Codex looks for.
pub(crate) fn write(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder.join("src")).context("making a repository")?;
    for number in 0..N_MODULES {
        let mut text = format!("\"\"\"Module {number}.\"\"\"\nimport math\n");
        for case in 0..LINES / 8 {
            let _ = write!(
                text,
                "\n\ndef fn_{number}_{case}(x, y={}):\n    total = x * {} + y\n    for i in range({}):\n        total += math.sin(i)\n    return total\n",
                case * 7,
                case + number,
                case + 3
            );
        }
        std::fs::write(folder.join(format!("src/mod_{number}.py")), text).context("writing a module")?;
    }
    std::fs::write(folder.join("src/calc.py"), BROKEN).context("writing a module")?;
    let status = std::process::Command::new("git").args(["init", "-q"]).arg(folder).status().context("running git")?;
    anyhow::ensure!(status.success(), "`git init` ended with {status}");
    Ok(())
}

/// Whether the edit was made.
pub(crate) fn is_mended(folder: &Path) -> anyhow::Result<bool> {
    Ok(std::fs::read_to_string(folder.join("src/calc.py")).context("reading a module")?.contains("/ len(values)"))
}
