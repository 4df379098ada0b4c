use patchwright_domain::event::Untrusted;
use patchwright_domain::workflow::reconstruction::{Reconstruction, reconstruct};
use patchwright_domain::workflow::search::find;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        read(concat!(".github/workflows/", $name), include_bytes!(concat!("../../../tests/fixtures/workflows/", $name)))
            .expect("it can be read")
    };
}

fn others() -> Vec<(&'static str, String)> {
    vec![("runner.os", "Linux".into()), ("runner.temp", "/tmp".into()), ("github.workspace", "/workspace".into())]
}

#[track_caller]
fn found(workflow: Workflow, check: &str) -> Reconstruction {
    let workflows = [workflow];
    let found = find(&workflows, None, &Untrusted::new(check), &others()).expect("it is there");
    reconstruct(&found, &others())
}

/// What is run and what is told, for one step that has failed.
#[track_caller]
fn shown(found: &Reconstruction, failed: &str) -> String {
    let commands = found.commands(Some(failed)).expect("it can be run");
    let setup = commands.setup.unwrap_or_else(|| "nothing".into());
    format!("setup:\n{setup}\ntest:\n{}\nnotes:\n{}", commands.test, found.notes(None).join("\n"))
}

#[test]
fn a_matrix_of_toolchains_is_read() {
    let nightly = found(fixture!("cargo.yml"), "Rust nightly");
    insta::assert_snapshot!(shown(&nightly, "Run cargo test --all-features"), @r#"
    setup:
    (
    export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
    export CARGO_TERM_COLOR='always'
    export RUSTFLAGS='-D warnings'
    bash -e -c 'cargo check'
    ) || exit $?
    test:
    export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
    export CARGO_TERM_COLOR='always'
    export RUSTFLAGS='-D warnings'
    bash -e -c 'cargo test --all-features'
    notes:
    The job asks for rust nightly; what this machine has of it is used.
    "#);
    let fuzz = nightly.commands(Some("Run cargo test")).expect("it can be run");
    assert!(fuzz.test.contains("cd -- 'fuzz' || exit 1\nbash -e -c 'cargo test'"), "{}", fuzz.test);
    let stable = found(fixture!("cargo.yml"), "Rust stable");
    assert_eq!(stable.lacks, ["The job runs on `macos-latest`, and this machine is another one."]);
    assert!(stable.commands(Some("Run cargo test")).is_err(), "its condition does not hold");
    let minimal = found(fixture!("cargo.yml"), "Minimal versions");
    assert_eq!(minimal.tools().iter().map(ToString::to_string).collect::<Vec<_>>(), ["rust nightly"]);
}

#[test]
fn a_matrix_of_pythons_is_read() {
    let found = found(fixture!("pytest.yml"), "build (3.13, ubuntu-22.04)");
    insta::assert_snapshot!(shown(&found, "Run tests"), @r#"
    setup:
    (
    export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
    bash -e -c 'python -m pip install --upgrade pip
    pip install -e '\''.[test]'\'''
    ) || exit $?
    (
    export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
    bash -e -c 'ruff check .'
    ) || true
    test:
    export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
    export REDIS_URL='redis://localhost:6379'
    bash -e -c 'pytest -q'
    notes:
    The job has the service `redis`, which does not run here.
    The job asks for python 3.13; what this machine has of it is used.
    "#);
    let names = |check: &str| find(&[fixture!("pytest.yml")], None, &Untrusted::new(check), &[]).is_ok();
    assert!(names("build (3.10, macOS-latest)") && names("build (3.14-dev, ubuntu-22.04, true)"));
    assert!(!names("build (pypy-3.11, windows-latest)") && !names("build (3.1, macOS-latest)"));
}

#[test]
fn a_matrix_of_nodes_is_read() {
    let found = found(fixture!("node.yml"), "Node.js 22");
    insta::assert_snapshot!(shown(&found, "Run npm test"), @r#"
    setup:
    (
    export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
    export NODE_OPTIONS='--experimental-strip-types'
    export NPM_CONFIG_LOGLEVEL='error'
    cd -- 'packages/core' || exit 1
    bash --noprofile --norc -eo pipefail -c 'npm ci'
    ) || exit $?
    test:
    export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
    export NODE_OPTIONS='--experimental-strip-types'
    export NPM_CONFIG_LOGLEVEL='error'
    cd -- 'packages/core' || exit 1
    bash --noprofile --norc -eo pipefail -c 'npm test'
    notes:
    The job runs on `self-hosted`, and this machine is another one.
    The job runs on `linux`, and this machine is another one.
    The step `Run actions/checkout@v4` is left out: it checks out other files, or elsewhere (`ref`).
    The job asks for node 22; what this machine has of it is used.
    The step `Run npx semantic-release` is left out: it needs the secret `secrets.npm_token`, and there are none here.
    "#);
    let of = |check: &str| find(&[fixture!("node.yml")], None, &Untrusted::new(check), &[]).map(|_| ()).unwrap_err();
    insta::assert_snapshot!(of("each (core)"), @"No job in a workflow file is known to be called `each (core)`; of the job `each` in `.github/workflows/node.yml`, `needs.changes.outputs.packages` is not known here.");
}

#[test]
fn a_job_that_calls_make_is_read() {
    let found = found(fixture!("make.yml"), "build (gcc, 13, true)");
    insta::assert_snapshot!(shown(&found, "Build and check"), @r#"
    setup:
    (
    export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
    bash -e -c 'echo "CC=gcc-13" >> "$GITHUB_ENV"'
    ) || exit $?
    test:
    export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
    bash -euo pipefail -c 'make -j4 SANITIZE=1
    make check | tee "/tmp/check.log"'
    notes:
    The job runs in a container of its own, which is not used here.
    The step `Run sudo apt-get update && sudo apt-get install -y libpcre2-dev` is left out: it changes the machine itself, and this one stays as it is.
    The step `Run echo "CC=gcc-13" >> "$GITHUB_ENV"` sets variables for later steps, which do not get them here.
    "#);
}

#[test]
fn what_calls_another_workflow_has_nothing_to_run() {
    let found = found(fixture!("node.yml"), "reuse");
    assert!(found.commands(None).is_err());
    assert_eq!(found.lacks, ["The job calls the workflow `./.github/workflows/lint.yml`, which is not followed."]);
}

#[test]
fn odd_parts_hide_no_others() {
    let text = b"jobs:\n  odd: 7\n  list: [1]\n  steps: {steps: {a: b}}\n  good:\n    steps:\n      - 5\n      - run: 5\n      - run: true\n      - run: [a]\n      - if: '${{ a }} == b'\n        run: x\n      - run: echo ${{ broken\n      - run: echo ${{ 'a }} b' }}\n";
    let workflow = read("x.yml", text).expect("it can be read");
    assert_eq!(workflow.jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["steps", "good"]);
    let found = find(std::slice::from_ref(&workflow), None, &Untrusted::new("good"), &[]).expect("it is there");
    insta::assert_debug_snapshot!(reconstruct(&found, &[]).steps.into_iter().map(|step| step.is).collect::<Vec<_>>(), @r#"
    [
        LeftOut(
            "it is no step that is known here",
        ),
        Run(
            Ran {
                script: "5",
                shell: Unnamed,
                directory: "",
                env: [],
                may_fail: false,
            },
        ),
        Run(
            Ran {
                script: "true",
                shell: Unnamed,
                directory: "",
                env: [],
                may_fail: false,
            },
        ),
        LeftOut(
            "`a list or a map` cannot be read",
        ),
        Unsure(
            Ran {
                script: "x",
                shell: Unnamed,
                directory: "",
                env: [],
                may_fail: false,
            },
            "it is not known whether it ran: `${{ a }} == b` cannot be read",
        ),
        Run(
            Ran {
                script: "echo ${{ broken",
                shell: Unnamed,
                directory: "",
                env: [],
                may_fail: false,
            },
        ),
        Run(
            Ran {
                script: "echo a }} b",
                shell: Unnamed,
                directory: "",
                env: [],
                may_fail: false,
            },
        ),
    ]
    "#);
}

#[test]
fn a_hostile_file_costs_little() {
    let nested = format!("jobs: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (one, other) in ("abcdefgh".chars()).zip("bcdefghi".chars()) {
        laughs.push_str(&format!("{other}: &{other} [{}]\n", vec![format!("*{one}"); 10].join(", ")));
    }
    let long = "a: ".to_owned() + &"x".repeat(FILE_BYTES_MAX);
    for text in [nested.as_bytes(), laughs.as_bytes(), long.as_bytes(), b"\xff\xfe", b"a: b\na: c", b"{"] {
        assert!(read("x.yml", text).is_err());
    }
    let chain = format!("jobs: {{j: {{steps: [{{run: \"${{{{ {} 1 }}}}\"}}]}}}}", "1 || ".repeat(40_000));
    let workflow = read("x.yml", chain.as_bytes()).expect("it can be read");
    let found = find(std::slice::from_ref(&workflow), None, &Untrusted::new("j"), &[]).expect("it is there");
    assert!(reconstruct(&found, &[]).commands(None).is_err());
    let short = format!("jobs: {{j: {{steps: [{{run: \"${{{{ {} 1 }}}}\"}}]}}}}", "0||".repeat(600));
    let workflow = read("x.yml", short.as_bytes()).expect("it can be read");
    let found = find(std::slice::from_ref(&workflow), None, &Untrusted::new("j"), &[]).expect("it is there");
    assert_eq!(reconstruct(&found, &[]).commands(None).map(|commands| commands.test), Ok("export CI='true'\n1".into()));
}

#[test]
fn workflow_files_are_in_one_folder() {
    assert!(is_path(".github/workflows/ci.yml") && is_path(".github/workflows/ci.yaml"));
    assert!(!is_path(".github/workflows/a/ci.yml") && !is_path("ci.yml") && !is_path(".github/workflows/ci.md"));
}

/// GitHub shows a name that is a number as it stands there.
#[test]
fn a_name_may_be_a_number_and_none_is_none() {
    let name = |text: &str| read(".github/workflows/a.yml", text.as_bytes()).expect("it is YAML").name;
    assert_eq!(name("name: 123\njobs: {}\n").as_deref(), Some("123"));
    assert_eq!((name("name:\njobs: {}\n"), name("jobs: {}\n")), (None, None));
}
