use super::*;

fn asked(command: &str, recipe: Option<&str>) -> String {
    let Some(runner) = Runner::of(command, recipe) else { return format!("{command}: no runner is known") };
    match Reporting::of(runner, command) {
        None => format!("{command}: {runner:?} cannot be asked"),
        Some(Reporting { command, format, is_file }) => {
            format!("{command}: {format:?}, {}", if is_file { "a file" } else { "printed" })
        }
    }
}

#[test]
fn each_runner_is_asked_in_its_own_way() {
    let commands: [(&str, Option<&str>); 14] = [
        ("cargo test --workspace --offline", None),
        ("cargo test --no-fail-fast", None),
        ("cargo nextest run", None),
        ("python3 -m pytest -q", None),
        ("make test", Some("pytest tests")),
        ("python3 -m unittest discover", None),
        ("make test", Some("python3 -m unittest")),
        ("go test ./...", None),
        ("make check", Some("go test ./...")),
        ("npm test --silent", Some("node --test")),
        ("npm test --silent", Some("jest --ci")),
        ("npm test --silent", Some("vitest run")),
        ("npm ci && npm test", Some("jest")),
        ("sh tests/run.sh", None),
    ];
    let told: Vec<String> = commands.iter().map(|(command, recipe)| asked(command, *recipe)).collect();
    insta::assert_snapshot!(told.join("\n---\n"), @r#"
    cargo test --no-fail-fast --workspace --offline: Libtest, printed
    ---
    cargo test --no-fail-fast: Libtest, printed
    ---
    cargo nextest run --no-fail-fast: Nextest, printed
    ---
    export PYTEST_ADDOPTS="${PYTEST_ADDOPTS-} -o junit_family=xunit2 --junitxml=/tmp/patchwright-report"
    python3 -m pytest -q: Junit, a file
    ---
    export PYTEST_ADDOPTS="${PYTEST_ADDOPTS-} -o junit_family=xunit2 --junitxml=/tmp/patchwright-report"
    make test: Junit, a file
    ---
    python3 -m unittest discover -v: Unittest, printed
    ---
    make test: Unittest cannot be asked
    ---
    go test -json ./...: Go, printed
    ---
    export GOFLAGS="${GOFLAGS-} -json"
    make check: Go, printed
    ---
    export NODE_OPTIONS="${NODE_OPTIONS-} --test-reporter=spec --test-reporter-destination=stdout --test-reporter=junit --test-reporter-destination=/tmp/patchwright-report"
    npm test --silent: Junit, a file
    ---
    npm test --silent -- --json --outputFile=/tmp/patchwright-report: Jest, a file
    ---
    npm test --silent -- --reporter=default --reporter=json --outputFile.json=/tmp/patchwright-report: Jest, a file
    ---
    npm ci && npm test: Jest cannot be asked
    ---
    sh tests/run.sh: no runner is known
    "#);
}
