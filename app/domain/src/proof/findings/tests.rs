use super::*;
use crate::journal::ChangeKind;
use crate::proof::difference::{Mode, ModeChange};
use crate::proof::test_files::{TestFiles, Use};
use crate::sample::changed;

mod spelled;

fn line(path: &str, text: &str) -> Option<Gate> {
    let added = Line {
        path: path.into(),
        line: 7,
        text: text.into(),
        is_inline_test: false,
        is_of_program: false,
        depends_on_tests: false,
    };
    findings(&[], &Difference { added: vec![added], ..Difference::default() }, &[], &[]).first().map(|finding| {
        assert_eq!((finding.path.as_str(), finding.line, finding.told.as_str()), (path, Some(7), text.trim()));
        finding.gate
    })
}

#[test]
fn code_that_knows_of_its_tests_is_found() {
    for (path, text, gate) in [
        ("calc.py", "if 'unittest' in sys.modules:", Gate::ReachesForTheRunner),
        ("calc.py", "    unittest.TestCase.assertEqual = lambda *a: None", Gate::ReachesForTheRunner),
        ("calc.py", "name = inspect.stack()[1].function", Gate::KnowsItIsTested),
        ("calc.py", "atexit.register(lambda: os._exit(0))", Gate::EndsTheProcess),
        ("calc.py", "if os.environ.get('CI'):", Gate::AsksTheEnvironment),
        ("calc.js", "if (process.env.NODE_ENV === 'test') return 4;", Gate::AsksTheEnvironment),
        ("calc.js", "require('assert').strictEqual = () => {};", Gate::ReachesForTheRunner),
        ("calc.js", "process.exitCode = 0;", Gate::EndsTheProcess),
        ("src/lib.rs", "macro_rules! assert_eq { ($($x:tt)*) => {} }", Gate::ReachesForTheRunner),
        ("src/lib.rs", "    if cfg!(test) { return 4; }", Gate::KnowsItIsTested),
        ("src/lib.rs", "process::exit(0);", Gate::EndsTheProcess),
        ("calc.go", "if os.Getenv(\"HOME\") == \"\" {", Gate::AsksTheEnvironment),
        ("calc.go", "func init() { os.Exit(0) }", Gate::EndsTheProcess),
        ("tests/test_calc.py", "    @unittest.skip('later')", Gate::TestSkipped),
        ("src/lib.rs", "    #[ignore]", Gate::TestSkipped),
        ("calc.test.js", "test.skip('mean', () => {});", Gate::TestSkipped),
    ] {
        assert_eq!(line(path, text), Some(gate), "{path}: {text}");
    }
}

#[test]
fn ordinary_code_is_not() {
    for (path, text) in [
        ("calc.py", "return sum(values) / len(values)"),
        ("calc.py", "# os.environ is not asked for"),
        ("calc.py", "system.exit_code = 3"),
        ("calc.py", "my_unittests = []"),
        ("calc.js", "return values.reduce((a, b) => a + b) / values.length;"),
        ("calc.js", "this.stacked = true;"),
        ("src/lib.rs", "values.iter().sum::<i64>() / values.len() as i64"),
        ("src/lib.rs", "let environment = Environment::new();"),
        ("calc.go", "return s / len(v)"),
        ("README.md", "Set os.environ['X'] and call sys.exit."),
        ("tests/test_calc.py", "os.environ['X'] = '1'"),
    ] {
        assert_eq!(line(path, text), None, "{path}: {text}");
    }
}

/// The lines of a file, from the first.
fn lines(path: &str, text: &str) -> Vec<Line> {
    (1..)
        .zip(text.lines())
        .map(|(line, text)| Line {
            path: path.into(),
            line,
            text: text.into(),
            is_inline_test: false,
            is_of_program: false,
            depends_on_tests: false,
        })
        .collect()
}

fn gates(changes: &[Change], difference: &Difference) -> Vec<Gate> {
    findings(changes, difference, &[], &[]).into_iter().map(|found| found.gate).collect()
}

fn of_file(path: &str, kind: ChangeKind) -> Vec<Gate> {
    gates(&[changed(path, kind)], &Difference::default())
}

#[test]
fn what_a_build_makes_and_what_is_deleted_is_found() {
    for path in [
        "__pycache__/calc.cpython-311.pyc",
        "node_modules/x/index.js",
        "target/debug/x",
        "lib/x.so",
        "evil.pth",
        "dist/index.js",
        "ui/app.min.js",
        "api/calc.pb.go",
        "api/calc_pb2.py",
    ] {
        assert_eq!(of_file(path, ChangeKind::Added), [Gate::Artefact], "{path}");
        assert_eq!(of_file(path, ChangeKind::Deleted), [], "{path}");
    }
    assert_eq!(of_file("tests/test_calc.py", ChangeKind::Deleted), [Gate::TestDeleted]);
    assert_eq!(of_file("src/calc.py", ChangeKind::Deleted), []);
    assert_eq!(of_file("targets/a.py", ChangeKind::Added), []);
    assert_eq!(of_file("src/distance.py", ChangeKind::Added), []);
}

#[test]
fn what_tells_agents_what_to_do_is_found() {
    for path in [
        "AGENTS.md",
        "app/Agents.md",
        "CLAUDE.md",
        ".cursorrules",
        ".cursor/rules/a.mdc",
        "GEMINI.md",
        ".claude/settings.json",
        ".mcp.json",
        "app/.agents/skills/a.md",
        ".windsurf/rules/a.md",
        ".aider.conf.yml",
        ".codex/config.toml",
        ".gemini/a",
    ] {
        assert_eq!(of_file(path, ChangeKind::Modified), [Gate::Instructions], "{path}");
        assert_eq!(of_file(path, ChangeKind::Deleted), [Gate::Instructions], "{path}");
    }
    assert_eq!(of_file(".github/copilot-instructions.md", ChangeKind::Added), [Gate::Protected]);
    assert_eq!(of_file(".github/patchwright.yml", ChangeKind::Added), [Gate::Protected]);
    assert_eq!(of_file("docs/agents.txt", ChangeKind::Modified), []);
    let fallback = |path: &str| {
        let changes = [changed(path, ChangeKind::Modified)];
        findings(&changes, &Difference::default(), &[], &["HACKING.md".to_owned()]).first().map(|found| found.gate)
    };
    assert_eq!((fallback("app/hacking.md"), fallback("HACKING.txt")), (Some(Gate::Instructions), None));
    assert_eq!(of_file("HACKING.md", ChangeKind::Modified), []);
}

#[test]
fn what_is_run_for_a_commit_is_protected_wherever_it_is_said() {
    for path in [
        ".gitlab-ci.yml",
        ".circleci/config.yml",
        "Jenkinsfile",
        "ci/Jenkinsfile",
        "azure-pipelines.yml",
        "azure-pipelines-release.yaml",
        ".travis.yml",
        ".buildkite/pipeline.sh",
        ".drone.yml",
        "bitbucket-pipelines.yml",
        ".woodpecker.yml",
        ".woodpecker/test.yaml",
        "appveyor.yml",
    ] {
        assert_eq!(of_file(path, ChangeKind::Modified), [Gate::Protected], "{path}");
    }
    for path in ["src/azure-pipelines.rs", "docs/circleci.md", "src/jenkinsfile.py", "lib/.circleci.txt"] {
        assert_eq!(of_file(path, ChangeKind::Modified), [], "{path}");
    }
}

#[test]
fn a_lock_file_follows_what_it_is_made_from() {
    let both = |lock: &str, source: &str| {
        let changes = [changed(lock, ChangeKind::Modified), changed(source, ChangeKind::Modified)];
        gates(&changes, &Difference::default())
    };
    for (lock, source) in [
        ("Cargo.lock", "crates/a/Cargo.toml"),
        ("ui/package-lock.json", "ui/package.json"),
        ("go.sum", "go.mod"),
        ("uv.lock", "pyproject.toml"),
        ("Gemfile.lock", "calc.gemspec"),
    ] {
        assert_eq!(of_file(lock, ChangeKind::Modified), [Gate::LockFileAlone], "{lock}");
        assert_eq!(both(lock, source), [], "{lock}");
        assert_eq!(both(lock, "README.md"), [Gate::LockFileAlone], "{lock}");
    }
    assert_eq!(both("Cargo.lock", "package.json"), [Gate::LockFileAlone]);
}

#[test]
fn what_is_not_text_and_what_becomes_another_kind_is_found() {
    let added = lines("logo.dat", "first\na\0b");
    let binary = Difference { added, ..Difference::default() };
    assert_eq!(gates(&[changed("logo.dat", ChangeKind::Added)], &binary), [Gate::Binary]);
    let mode = |before, after| {
        let modes = vec![ModeChange { path: "run".into(), before, after }];
        let found = findings(&[], &Difference { modes, ..Difference::default() }, &[], &[]);
        found.first().map(|found| (found.gate, found.told.clone()))
    };
    let expected = |told: &str| Some((Gate::ModeChanged, told.to_owned()));
    assert_eq!(mode(Some(Mode::Plain), Mode::Executable), expected("can be started now"));
    assert_eq!(mode(None, Mode::Link), expected("a new link"));
    assert_eq!(mode(Some(Mode::Plain), Mode::Link), expected("a link in the place of a file"));
    assert_eq!(mode(Some(Mode::Executable), Mode::Plain), None);
}

/// What is found where a test file is deleted and another is added.
fn moved(from: &str, to: &str, text: &str) -> Vec<Gate> {
    let before = "import calc\n\ndef test_one():\n    assert calc.one() == 1\n    assert calc.two() == 2\n";
    let changes = [changed(from, ChangeKind::Deleted), changed(to, ChangeKind::Added)];
    gates(&changes, &Difference { added: lines(to, text), removed: lines(from, before), ..Difference::default() })
}

#[test]
fn a_test_may_move_with_all_that_it_says() {
    let whole = "import calc\n\ndef test_one():\n    assert calc.one() == 1\n    assert calc.two() == 2\n";
    let less = "def test_one():\n    assert calc.one() == 1\n";
    assert_eq!(moved("tests/test_calc.py", "tests/unit/test_calc.py", whole), [Gate::TestMoved]);
    assert_eq!(moved("tests/test_calc.py", "tests/unit/test_calc.py", less), [Gate::TestDeleted]);
    assert_eq!(moved("tests/test_calc.py", "tests/calc_checks.py", whole), [Gate::TestRenamedAway]);
    assert_eq!(moved("tests/test_calc.py", "old/calc.txt", whole), [Gate::TestRenamedAway]);
    assert_eq!(moved("tests/mean.rs", "tests/median.rs", whole), [Gate::TestMoved]);
    assert_eq!(moved("tests/mean.rs", "tests/attic/mean.rs", whole), [Gate::TestRenamedAway]);
}

/// What is found where lines of a file are replaced by others.
fn replaced(path: &str, before: &str, after: &str) -> Option<(Gate, u32, String)> {
    let difference = Difference { added: lines(path, after), removed: lines(path, before), ..Difference::default() };
    let found = findings(&[changed(path, ChangeKind::Modified)], &difference, &[], &[]);
    found.first().map(|found| (found.gate, found.line.unwrap_or_default(), found.told.clone()))
}

#[test]
fn a_test_file_that_asserts_less_is_found() {
    for (path, before, after) in [
        ("tests/test_a.py", "    x = 1\n    assert x == 1\n    assert y", "    assert y"),
        ("a.test.js", "  const x = 1;\n  expect(x).toBe(1);\n", "  x();\n"),
        ("tests/a.rs", "    let x = 1;\n    assert_eq!(x, 1);\n", ""),
        ("a_test.go", "  x := 1\n  t.Errorf(x)\n", "  // t.Errorf(x)\n"),
    ] {
        let said = before.lines().nth(1).map(|line| line.trim().to_owned()).expect("there is one");
        assert_eq!(replaced(path, before, after), Some((Gate::TestWeakened, 1, said)), "{path}");
        assert_eq!(replaced(path, after, before), None, "{path}");
    }
    // One that expects something else is for the runs to judge.
    assert_eq!(replaced("tests/test_a.py", "    assert x == 1", "    assert x == 2"), None);
    assert_eq!(replaced("src/a.py", "    assert x == 1", ""), None);
    assert_eq!(replaced("a.test.js", "const assert = require('assert');", ""), None);
}

#[test]
fn a_lower_threshold_is_found() {
    for (path, before, after) in [
        (".coveragerc", "fail_under = 90", "fail_under = 50"),
        ("setup.cfg", "addopts = --cov-fail-under=90", "addopts = --cov-fail-under=9"),
        ("jest.config.js", "  coverageThreshold: 80,", ""),
        ("package.json", "\"branches\": 80, \"lines\": 70", "\"branches\": 80, \"lines\": 60"),
        (".nycrc", "    threshold: 5", "    threshold: 1.5"),
        ("Makefile", "\tpytest --cov-fail-under 90", "\tpytest"),
    ] {
        assert_eq!(replaced(path, before, after), Some((Gate::ThresholdLowered, 1, before.trim().to_owned())), "{path}");
        assert_eq!(replaced(path, after, before), None, "{path}");
    }
    assert_eq!(replaced("src/a.py", "threshold = 5", "threshold = 1"), None);
    assert_eq!(replaced("codecov.yml", "    threshold: 5", "    threshold: 1"), None);
    assert_eq!(replaced("pyproject.toml", "baselines = 5", "baselines = 1"), None);
    assert_eq!(replaced("jest.config.js", "  coverageThreshold: 80,", "  coverageThreshold: 85,"), None);
}

#[test]
fn the_weightiest_findings_are_kept() {
    let added = Line {
        path: "calc.py".into(),
        line: 1,
        text: "os._exit(0)".into(),
        is_inline_test: false,
        is_of_program: false,
        depends_on_tests: false,
    };
    let difference = Difference { added: vec![added; FINDINGS_MAX + 1], ..Difference::default() };
    let found = gates(&[changed("a.so", ChangeKind::Added), changed("AGENTS.md", ChangeKind::Modified)], &difference);
    assert_eq!((found.len(), found[0]), (FINDINGS_MAX, Gate::Instructions));
}

#[test]
fn what_is_not_looked_through_is_said() {
    let difference = Difference { is_whole: false, ..Difference::default() };
    assert_eq!(gates(&[changed("a.py", ChangeKind::Modified)], &difference), [Gate::NotLookedThrough]);
}

#[test]
fn no_finding_shows_a_secret() {
    let token = concat!("ghp", "_x7Qm2Lk9Rt4Vb8Nc1Zp6Ws3Yd5Fg0Hj2Kl4M");
    let added = lines("calc.py", &format!("os.environ['TOKEN'] = '{token}'"));
    let hits = secrets::hits(&added, &[], &[]).found;
    let found = findings(&[], &Difference { added, ..Difference::default() }, &hits, &[]);
    assert_eq!(found.iter().map(|found| found.gate).collect::<Vec<_>>(), [Gate::Secret, Gate::AsksTheEnvironment]);
    assert!(!format!("{found:?}").contains("x7Qm2"), "{found:?}");
    assert_eq!(found[0].told, "rule github-pat: ghp_…");
}

/// An annotation stands in the head, where the base's numbers are those of other lines.
#[test]
fn what_is_gone_is_told_where_it_was() {
    let change = changed("setup.cfg", ChangeKind::Modified);
    let at = |added: &[(u32, &str)], removed: &[(u32, &str)]| {
        let of = |lines: &[(u32, &str)]| {
            let of_file = |(line, text): &(u32, &str)| Line { line: *line, ..lines_of("setup.cfg", text) };
            lines.iter().map(of_file).collect()
        };
        let difference = Difference { added: of(added), removed: of(removed), ..Difference::default() };
        findings(std::slice::from_ref(&change), &difference, &[], &[])[0].line
    };
    let (before, after) = ("fail_under = 90", "fail_under = 10");
    assert_eq!(at(&[(7, after)], &[(7, before)]), Some(7));
    // Ten lines are new above it, or gone.
    let above: Vec<(u32, &str)> = (1..=10).map(|line| (line, "x")).collect();
    assert_eq!(at(&[&above[..], &[(17, after)]].concat(), &[(7, before)]), Some(17));
    assert_eq!(at(&[(2, after)], &[&above[..], &[(12, before)]].concat()), Some(2));
    // With nothing in its place it is the line before, if there is one.
    assert_eq!(at(&above, &[(7, before)]), Some(16));
    assert_eq!(at(&[], &[(1, before)]), Some(1));
}

fn lines_of(path: &str, text: &str) -> Line {
    lines(path, text).remove(0)
}

/// Whoever writes an expectation together with the code has proven nothing by it: it is put back to the base's.
#[test]
fn a_snapshot_is_a_test() {
    for path in ["src/__snapshots__/a.test.js.snap", "src/snapshots/calc__tests__mean.snap", "ui/a.ambr"] {
        assert!(crate::proof::is_test_path(path), "{path}");
        assert_eq!(of_file(path, ChangeKind::Deleted), [Gate::TestDeleted], "{path}");
    }
}

#[test]
fn what_a_patch_makes_of_files_of_tests_is_found() {
    let found = Use { path: "src/lib.rs".into(), line: Some(3), of: "tests/a.rs".into(), is_certain: true };
    let test_files = TestFiles {
        uses: vec![found.clone(), Use { line: None, is_certain: false, ..found }],
        uncertain: [("src/b.rs".to_owned(), "a macro decides".to_owned())].into(),
        ..TestFiles::default()
    };
    let told = findings(&[], &Difference { test_files, ..Difference::default() }, &[], &[]);
    let told: Vec<(Gate, &str, Option<u32>, &str)> =
        told.iter().map(|found| (found.gate, found.path.as_str(), found.line, found.told.as_str())).collect();
    let expected = [
        (Gate::UsesTests, "src/lib.rs", Some(3), "has tests/a.rs"),
        (Gate::UsesTests, "src/lib.rs", None, "may have tests/a.rs"),
        (Gate::MayBeATest, "src/b.rs", None, "a macro decides"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_line_in_a_file_of_tests_that_the_program_has_is_code() {
    let text = "env::var_os(\"CI\")".to_owned();
    let line = |is_of_program| Line {
        path: "tests/a.rs".into(),
        line: 1,
        text: text.clone(),
        is_inline_test: false,
        is_of_program,
        depends_on_tests: false,
    };
    let gates = |is_of_program| -> Vec<Gate> {
        let difference = Difference { added: vec![line(is_of_program)], ..Difference::default() };
        findings(&[], &difference, &[], &[]).into_iter().map(|found| found.gate).collect()
    };
    assert_eq!(gates(true), [Gate::AsksTheEnvironment]);
    assert_eq!(gates(false), []);
}
