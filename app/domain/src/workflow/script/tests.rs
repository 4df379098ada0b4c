use super::*;

fn ran(script: &str) -> Ran {
    Ran { script: script.into(), shell: Shell::Unnamed, directory: String::new(), env: Vec::new(), may_fail: false }
}

#[test]
fn a_plain_line_stays_as_it_is() {
    assert_eq!(command(&ran("cargo test --workspace\n")), "export CI='true'\ncargo test --workspace");
}

#[test]
fn everything_else_is_an_argument_in_quotes() {
    let directory = "a b'; touch here; '".to_owned();
    let env = vec![("GREETING".to_owned(), "it's $(id)".to_owned())];
    let whole = command(&Ran { directory, env, ..ran("echo \"$GREETING\"\nfalse\n") });
    insta::assert_snapshot!(whole, @r#"
    export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
    export GREETING='it'\''s $(id)'
    cd -- 'a b'\''; touch here; '\''' || exit 1
    bash -e -c 'echo "$GREETING"
    false'
    "#);
}

#[test]
fn steps_end_at_the_first_that_fails() {
    let all = [ran("make deps"), Ran { may_fail: true, ..ran("make lint") }, ran("make")];
    let ends: Vec<String> =
        joined(&all.iter().collect::<Vec<_>>()).lines().filter(|line| line.starts_with(')')).map(str::to_owned).collect();
    assert_eq!(ends, [") || exit $?", ") || true", ") || exit $?"]);
}

#[test]
fn a_shell_is_one_that_is_here() {
    let of = |name: &str| Shell::of(Some(name)).map(|shell| shell.call().to_owned());
    assert_eq!(of("bash").as_deref(), Some("bash --noprofile --norc -eo pipefail -c"));
    assert_eq!(of("bash -el {0}").as_deref(), Some("bash -el -c"));
    assert_eq!(of("bash -euo pipefail {0}").as_deref(), Some("bash -euo pipefail -c"));
    for other in ["pwsh", "cmd", "bash -c 'id' {0}", "bash; id {0}", "perl {0}", "bash x.sh {0}", "bash -e$(id) {0}"] {
        assert_eq!(of(other), None, "{other}");
    }
}
