//! Python packages: pytest where the repository speaks of it, the standard library's unittest otherwise.

use super::{Ecosystem, Files};

pub(super) struct Python;

const SIGNS: [&str; 8] = [
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "pytest.ini",
    "tox.ini",
    "requirements.txt",
    "requirements-dev.txt",
    "conftest.py",
];

impl Ecosystem for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn test(&self, files: &dyn Files) -> Option<String> {
        let texts: Vec<String> = SIGNS.iter().filter_map(|sign| files.read(sign)).collect();
        let names = files.names();
        let has_modules = names.iter().any(|name| name.ends_with(".py"));
        if texts.is_empty() && !has_modules {
            return None;
        }
        let has_tests = names.iter().any(|name| {
            matches!(name.as_str(), "test" | "tests")
                || name.starts_with("test_")
                || name.ends_with("_test.py")
                || name == "conftest.py"
        });
        let wants_pytest = names.iter().any(|name| matches!(name.as_str(), "pytest.ini" | "conftest.py"))
            || texts.iter().any(|text| text.contains("pytest"));
        match (wants_pytest, has_tests) {
            (true, _) => Some("python3 -m pytest -q".to_owned()),
            (false, true) => Some("python3 -m unittest discover".to_owned()),
            (false, false) => None,
        }
    }

    fn decided_by(&self) -> &'static [&'static str] {
        &[
            "pyproject.toml",
            "setup.cfg",
            "setup.py",
            "pytest.ini",
            "tox.ini",
            "conftest.py",
            "sitecustomize.py",
            "usercustomize.py",
            "noxfile.py",
            // These would be found before the runner's own.
            "unittest.py",
            "unittest/__init__.py",
            "pytest.py",
            "pytest/__init__.py",
            "_pytest/__init__.py",
            "doctest.py",
        ]
    }

    fn droppings(&self) -> &'static [&'static str] {
        &[
            "__pycache__",
            ".pytest_cache",
            ".mypy_cache",
            ".ruff_cache",
            ".tox",
            ".venv",
            "venv",
            ".hypothesis",
            ".coverage",
            ".eggs",
        ]
    }
}
