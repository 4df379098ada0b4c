use super::*;
use crate::sample::changed;

fn line(path: &str, text: &str) -> Option<Gate> {
    let added = Added { path: path.into(), line: 7, text: text.into() };
    findings(&[], &[added]).first().map(|finding| {
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

#[test]
fn what_a_build_makes_and_what_is_deleted_is_found() {
    let gates = |path: &str, kind| findings(&[changed(path, kind)], &[]).into_iter().map(|found| found.gate).collect::<Vec<_>>();
    for path in ["__pycache__/calc.cpython-311.pyc", "node_modules/x/index.js", "target/debug/x", "lib/x.so", "evil.pth"] {
        assert_eq!(gates(path, ChangeKind::Added), [Gate::Artefact], "{path}");
        assert_eq!(gates(path, ChangeKind::Deleted), [], "{path}");
    }
    assert_eq!(gates("tests/test_calc.py", ChangeKind::Deleted), [Gate::TestDeleted]);
    assert_eq!(gates("src/calc.py", ChangeKind::Deleted), []);
    assert_eq!(gates("targets/a.py", ChangeKind::Added), []);
}

#[test]
fn a_patch_has_no_more_findings_than_are_kept() {
    let added = Added { path: "calc.py".into(), line: 1, text: "os._exit(0)".into() };
    assert_eq!(findings(&[], &vec![added; FINDINGS_MAX + 1]).len(), FINDINGS_MAX);
}
