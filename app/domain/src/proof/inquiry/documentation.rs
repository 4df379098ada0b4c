//! Tests that are examples in the documentation of code: whoever changes the code can change them as well, so that none of them
//! shows a fault.

use crate::ecosystem::runner::Runner;
use crate::proof::is_test_path;

/// The endings of texts in which examples are found.
const TEXTS: [&str; 3] = [".rst", ".md", ".txt"];

/// Whether a test is such an example, by its name in a report.
pub(super) fn is_example(runner: Option<Runner>, test: &str) -> bool {
    match runner {
        Some(Runner::Cargo | Runner::Nextest) => test.starts_with("doc-tests "),
        Some(Runner::Unittest) => test.strip_prefix("Doctest: ").is_some_and(is_outside_of_tests),
        Some(Runner::Pytest) => is_of_pytest(test),
        // An example of Go stands in a file of tests.
        Some(Runner::Go | Runner::Node | Runner::Jest | Runner::Vitest) | None => false,
    }
}

/// pytest calls an example by what it documents, `pkg.mod.f`, in the file, `pkg.mod`. No function has a name with dots; what
/// stands in brackets is a parameter.
fn is_of_pytest(test: &str) -> bool {
    let Some((file, name)) = test.split_once(" > ") else { return false };
    let name = name.split('[').next().unwrap_or(name);
    let is_module = file.rsplit('.').next() == Some(name);
    let is_text = TEXTS.iter().any(|ending| file.ends_with(ending));
    (name.contains('.') || is_module || is_text) && is_outside_of_tests(file)
}

/// Whether a name with dots leads through no file or folder that is a test by its name. What stands in one is put back with it.
fn is_outside_of_tests(dotted: &str) -> bool {
    let ends = dotted.match_indices('.').map(|(at, _)| at).chain([dotted.len()]);
    !ends.map(|end| dotted[..end].replace('.', "/") + ".py").any(|path| is_test_path(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_known_by_their_names() {
        for (runner, test) in [
            (Runner::Cargo, "doc-tests calc > src/lib.rs - mean"),
            (Runner::Pytest, "pkg.mod > pkg.mod.f"),
            (Runner::Pytest, "src.pkg.mod > pkg.mod.Mean.of"),
            (Runner::Pytest, "calc > calc"),
            (Runner::Pytest, "pkg.mod > pkg.mod"),
            (Runner::Pytest, "docs.usage.rst > usage.rst"),
            (Runner::Pytest, "README.md > line:8,column:1"),
            (Runner::Unittest, "Doctest: pkg.mod.f"),
            (Runner::Unittest, "Doctest: README.txt"),
        ] {
            assert!(is_example(Some(runner), test), "{test}");
        }
        for (runner, test) in [
            (Runner::Cargo, "calc src/lib.rs > tests::three"),
            (Runner::Pytest, "tests.test_calc > test_three[1.5]"),
            (Runner::Pytest, "tests.test_calc.Mean > test_three"),
            (Runner::Pytest, "tests.test_calc > test_calc"),
            (Runner::Pytest, "calc > test_inside_the_code"),
            (Runner::Pytest, "tests.test_calc > tests.test_calc.values"),
            (Runner::Pytest, "test_usage.txt > test_usage.txt"),
            (Runner::Unittest, "tests.test_calc.Mean.test_three"),
            (Runner::Unittest, "Doctest: tests.test_calc.values"),
            (Runner::Node, "mean > the mean. of three"),
        ] {
            assert!(!is_example(Some(runner), test), "{test}");
        }
    }
}
