//! In which file a test stands, as far as its name in a report says so.

/// Whether a test's name says that it is in this file: with the file's path, or with that of its module.
pub fn is_in(test: &str, path: &str) -> bool {
    let is_told = |word: &str| word.contains('.') && ends_at_a_part(path, word, '/');
    test.split([' ', '>']).any(is_told) || is_in_module_of_python(test, path) || is_in_module_of_rust(test, path)
}

/// `tests.test_calc.Mean.test_three`, from the repository's root or from a folder below.
fn is_in_module_of_python(test: &str, path: &str) -> bool {
    let Some(module) = path.strip_suffix(".py").map(|stem| stem.replace('/', ".")) else { return false };
    let starts = module.match_indices('.').map(|(at, _)| at + 1);
    let begins_with = |module: &str| test.strip_prefix(module).is_some_and(|behind| behind.starts_with(['.', ' ']));
    std::iter::once(0).chain(starts).any(|start| begins_with(&module[start..]))
}

/// `calc src/lib.rs > stats::mean::tests::three`.
fn is_in_module_of_rust(test: &str, path: &str) -> bool {
    let (Some(stem), Some((_, name))) = (path.strip_suffix(".rs"), test.split_once(" > ")) else { return false };
    let Some((_, module)) = stem.strip_suffix("/mod").unwrap_or(stem).rsplit_once("src/") else { return false };
    name.strip_prefix(&module.replace('/', "::")).is_some_and(|behind| behind.starts_with("::"))
}

/// Whether a path is this one, or ends with it behind a separator.
fn ends_at_a_part(path: &str, end: &str, separator: char) -> bool {
    path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with(separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tests_tell_their_files() {
        for (test, path) in [
            ("mean tests/mean.rs > three", "tests/mean.rs"),
            ("half tests/half.rs > of_eight", "b/tests/half.rs"),
            ("calc src/lib.rs > stats::mean::tests::three", "src/stats/mean.rs"),
            ("calc src/lib.rs > stats::tests::three", "a/src/stats/mod.rs"),
            ("tests.test_calc.Mean > test_three", "tests/test_calc.py"),
            ("test_calc.Mean.test_three", "tests/test_calc.py"),
            ("ui/calc.test.ts > mean > of three", "ui/calc.test.ts"),
        ] {
            assert!(is_in(test, path), "{test}: {path}");
        }
        for (test, path) in [
            ("mean tests/mean.rs > three", "tests/an.rs"),
            ("mean tests/mean.rs > three", "tests/other.rs"),
            ("calc src/lib.rs > stats::mean::tests::three", "src/stats/meaning.rs"),
            ("tests.test_calc.Mean > test_three", "tests/test_cal.py"),
            ("the mean of three", "calc.test.js"),
            ("", ""),
        ] {
            assert!(!is_in(test, path), "{test}: {path}");
        }
    }
}
