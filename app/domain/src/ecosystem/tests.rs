use std::collections::BTreeMap;

use super::{Commands, Files, Plan, plan};

/// A tree of text files.
struct Tree(BTreeMap<&'static str, &'static str>);

impl Files for Tree {
    fn read(&self, path: &str) -> Option<String> {
        self.0.get(path).map(|&text| text.to_owned())
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().map(|path| path.split('/').next().unwrap_or(path).to_owned()).collect()
    }
}

type File = (&'static str, &'static str);

fn found(commands: &Commands, files: &[File]) -> Plan {
    plan(commands, &Tree(files.iter().copied().collect()))
}

fn commands(setup: Option<&str>, test: Option<&str>) -> Commands {
    Commands { setup: setup.map(str::to_owned), test: test.map(str::to_owned), checks: Vec::new() }
}

#[track_caller]
fn check(files: &[File], source: &str, test: &str) {
    let plan = found(&Commands::default(), files);
    assert_eq!((plan.source.as_str(), plan.test.as_deref(), plan.setup), (source, Some(test), None));
}

#[track_caller]
fn check_nothing(files: &[File]) {
    let plan = found(&Commands::default(), files);
    assert_eq!((plan.source.as_str(), plan.test, plan.decided_by), ("nothing", None, Vec::new()));
}

const NPM: File = ("package.json", r#"{"scripts":{"test":"jest"}}"#);

#[test]
fn each_ecosystem_is_known_by_its_files() {
    check(&[("Cargo.toml", "[package]")], "cargo", "cargo test --workspace --offline");
    check(&[NPM], "npm", "npm test --silent");
    check(&[("go.mod", "module x")], "go", "go test ./...");
    check(&[("Makefile", "test:\n\ttrue\n")], "make", "make test");
    check_nothing(&[]);
    check_nothing(&[("README.md", "pytest cargo go test"), ("src/Cargo.toml", "")]);
}

#[test]
fn the_placeholder_of_npm_is_no_test() {
    let placeholder = r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#;
    for package in [placeholder, "{}", "", "[]", "{not json", r#"{"scripts":{"test":" "}}"#, r#"{"scripts":{"test":3}}"#] {
        check_nothing(&[("package.json", package)]);
    }
    check(&[("package.json", placeholder), ("Makefile", "check: all\n")], "make", "make check");
}

#[test]
fn python_is_tested_with_pytest_where_it_speaks_of_it() {
    let (pytest, unittest) = ("python3 -m pytest -q", "python3 -m unittest discover");
    check(&[("pyproject.toml", "[tool.pytest.ini_options]")], "python", pytest);
    check(&[("pytest.ini", "")], "python", pytest);
    check(&[("conftest.py", "")], "python", pytest);
    check(&[("requirements-dev.txt", "pytest==8\n"), ("calc.py", "")], "python", pytest);
    check(&[("tox.ini", "commands = pytest"), ("tests/test_calc.py", "")], "python", pytest);
    check(&[("calc.py", ""), ("test_calc.py", "")], "python", unittest);
    check(&[("calc.py", ""), ("calc_test.py", "")], "python", unittest);
    check(&[("setup.py", ""), ("tests/test_calc.py", "")], "python", unittest);
    check(&[("pyproject.toml", "[project]"), ("test/calc.py", "")], "python", unittest);
    check_nothing(&[("calc.py", "")]);
    check_nothing(&[("pyproject.toml", "[project]")]);
    check_nothing(&[("tests/test_calc.sh", "")]);
}

#[test]
fn make_runs_test_or_else_check() {
    check(&[("Makefile", "all:\n\ntest: all\n\ncheck:\n")], "make", "make test");
    check(&[("Makefile", "check:\n\ttrue\n")], "make", "make check");
    check(&[("makefile", "test::\n")], "make", "make test");
    check(&[("GNUmakefile", "test :\n")], "make", "make test");
    check(&[("GNUmakefile", "check:\n"), ("Makefile", "test:\n")], "make", "make check");
    check_nothing(&[("GNUmakefile", "all:\n"), ("Makefile", "test:\n")]);
    check_nothing(&[("Makefile", "tests:\n\ttrue\n")]);
    check_nothing(&[("Makefile", "\ttest:\n# test:\n")]);
    check_nothing(&[("Makefile", "test := true\ntest ::= true\ntest = true\ncheck:=1\n")]);
}

#[test]
fn the_first_that_fits_is_taken() {
    let (cargo, python, go, make) = (("Cargo.toml", ""), ("pytest.ini", ""), ("go.mod", ""), ("Makefile", "test:\n"));
    check(&[make, go, python, NPM, cargo], "cargo", "cargo test --workspace --offline");
    check(&[make, go, python, NPM], "npm", "npm test --silent");
    check(&[make, go, python], "python", "python3 -m pytest -q");
    check(&[make, go], "go", "go test ./...");
}

#[test]
fn the_policy_file_comes_first() {
    let named = found(&commands(None, Some("make it")), &[NPM]);
    assert_eq!((named.source.as_str(), named.test.as_deref()), ("policy file", Some("make it")));
    for file in ["Cargo.toml", "package.json", "conftest.py", "go.mod", "Makefile"] {
        assert!(named.decides_how_tests_run(file), "{file}");
    }
    let with_setup = found(&commands(Some("npm ci"), None), &[NPM]);
    assert_eq!((with_setup.source.as_str(), with_setup.setup.as_deref()), ("npm", Some("npm ci")));
    let setup_alone = found(&commands(Some("npm ci"), None), &[]);
    assert_eq!((setup_alone.source.as_str(), setup_alone.test), ("nothing", None));
}

#[test]
fn what_builds_leave_behind_is_known_for_all() {
    for plan in [found(&Commands::default(), &[]), found(&Commands::default(), &[NPM])] {
        for name in ["target", "node_modules", "__pycache__", ".pytest_cache"] {
            assert!(plan.droppings.iter().any(|dropping| dropping == name), "{name}");
        }
    }
}

#[track_caller]
fn check_decides(plan: &Plan, path: &str, expected: bool) {
    assert_eq!(plan.decides_how_tests_run(path), expected, "{path} and {:?}", plan.test);
}

#[test]
fn a_file_decides_how_tests_run_by_its_name() {
    let cargo = found(&Commands::default(), &[("Cargo.toml", "")]);
    for path in ["Cargo.toml", "build.rs", ".cargo/config.toml", "rust-toolchain", "crates/a/Cargo.toml", "crates/a/build.rs"] {
        check_decides(&cargo, path, true);
    }
    for path in ["src/lib.rs", "Cargo.toml.md", "MyCargo.toml", "package.json", "config.toml", "cargo/config.toml", ""] {
        check_decides(&cargo, path, false);
    }
    let python = found(&Commands::default(), &[("pytest.ini", "")]);
    check_decides(&python, "conftest.py", true);
    check_decides(&python, "tests/unit/conftest.py", true);
    check_decides(&python, "tests/unit/test_a.py", false);
}

#[test]
fn a_file_decides_how_tests_run_because_a_command_names_it() {
    let plan = found(
        &commands(Some("sh -c 'scripts/setup.sh'"), Some("CONFIG=ci/a.toml ./scripts/test.sh && (ci/more.sh; ci/most.sh)")),
        &[],
    );
    for path in ["scripts/setup.sh", "scripts/test.sh", "ci/a.toml", "ci/more.sh", "ci/most.sh"] {
        check_decides(&plan, path, true);
    }
    for path in ["scripts/other.sh", "test.sh", "scripts", "ci/a"] {
        check_decides(&plan, path, false);
    }
}
