use super::*;

fn laid(runner: Runner, files: &[(&str, &str)]) -> Option<String> {
    let files: Vec<(String, String)> = files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
    canary(runner, &files, &Words { file: "fjord".into(), mark: "heron".into() })
        .map(|canary| format!("{} ({})\n{}", canary.path, canary.n_tests, canary.content))
}

#[track_caller]
fn is_at(runner: Runner, files: &[(&str, &str)], path: &str) {
    let laid = laid(runner, files).expect("a place");
    assert!(laid.starts_with(&format!("{path} (")), "{laid}");
}

#[test]
fn tests_are_laid_beside_tests() {
    is_at(Runner::Pytest, &[("setup.py", ""), ("tests/test_calc.py", "")], "tests/test_fjord.py");
    is_at(Runner::Unittest, &[("test_calc.py", "")], "test_fjord.py");
    is_at(Runner::Cargo, &[("src/lib.rs", ""), ("tests/it.rs", "")], "tests/fjord.rs");
    is_at(Runner::Nextest, &[("a/src/lib.rs", "")], "a/tests/fjord.rs");
    is_at(Runner::Go, &[("calc/calc_test.go", "// x\npackage calc_test // y\n")], "calc/fjord_test.go");
    is_at(Runner::Jest, &[("src/__tests__/a.spec.ts", "")], "src/__tests__/fjord.spec.ts");
    is_at(Runner::Vitest, &[("a.test.mjs", "")], "fjord.test.mjs");
    assert_eq!(laid(Runner::Pytest, &[("calc.py", "")]), None);
    assert_eq!(laid(Runner::Cargo, &[("src/main.rs", "")]), None);
    assert_eq!(laid(Runner::Go, &[("calc_test.go", "")]), None);
}

#[test]
fn a_script_in_a_folder_of_tests_is_a_place_where_it_has_tests() {
    const TESTS: &str = "describe('the mean', () => {\n  it('is one', () => {});\n});\n";
    is_at(Runner::Jest, &[("src/__tests__/calc.js", TESTS)], "src/__tests__/fjord.js");
    is_at(Runner::Jest, &[("__tests__/deep/calc.tsx", "test.each([1])('a', () => {});\n")], "__tests__/deep/fjord.tsx");
    is_at(
        Runner::Node,
        &[("test/data.js", "exports.three = 3;\n"), ("test/calc.mjs", "test('a', () => {});\n")],
        "test/fjord.mjs",
    );
    assert_eq!(laid(Runner::Node, &[("test/data.js", "exports.test = 3;\n")]), None);
    assert_eq!(laid(Runner::Node, &[("src/calc.js", TESTS), ("test/LICENSE", TESTS)]), None);
}

#[test]
fn each_test_fails_in_another_way() {
    insta::assert_snapshot!(laid(Runner::Node, &[("a.test.js", "const x = require('x');")]).expect("a place"), @r"
    fjord.test.js (17)
    const x = require('x');

    const heron_test = require('node:test').test;
    const heron_assert = require('node:assert');
    const heron_strict = require('node:assert/strict');

    heron_test('heron 0', () => {
      heron_assert.equal(1, 2);
    });

    heron_test('heron 1', () => {
      heron_assert.strictEqual(1, 2);
    });

    heron_test('heron 2', () => {
      heron_assert.notStrictEqual(1, 1);
    });

    heron_test('heron 3', () => {
      heron_assert.deepEqual([1], [2]);
    });

    heron_test('heron 4', () => {
      heron_assert.deepStrictEqual([1], [2]);
    });

    heron_test('heron 5', () => {
      heron_assert.ok(0);
    });

    heron_test('heron 6', () => {
      heron_assert.throws(() => {});
    });

    heron_test('heron 7', () => {
      heron_assert.match('a', /b/);
    });

    heron_test('heron 8', () => {
      heron_strict.equal(1, 2);
    });

    heron_test('heron 9', () => {
      heron_strict.strictEqual(1, 2);
    });

    heron_test('heron 10', () => {
      heron_strict.notStrictEqual(1, 1);
    });

    heron_test('heron 11', () => {
      heron_strict.deepEqual([1], [2]);
    });

    heron_test('heron 12', () => {
      heron_strict.deepStrictEqual([1], [2]);
    });

    heron_test('heron 13', () => {
      heron_strict.ok(0);
    });

    heron_test('heron 14', () => {
      heron_strict.throws(() => {});
    });

    heron_test('heron 15', () => {
      heron_strict.match('a', /b/);
    });

    heron_test('heron 16', () => {
      throw new Error('no');
    });
    ");
    insta::assert_snapshot!(laid(Runner::Go, &[("a_test.go", "package a")]).expect("a place"), @r#"
    fjord_test.go (3)
    package a


    import "testing"

    func Test_heron_0(t *testing.T) {
    	t.Fail()
    }

    func Test_heron_1(t *testing.T) {
    	t.Fatal("no")
    }

    func Test_heron_2(t *testing.T) {
    	t.Errorf("no")
    }
    "#);
}
