use super::*;

/// What is missing of the tests in these files, after those were run.
fn missing(runner: Runner, files: &[(&str, &str)], run: &[(&str, Status)]) -> Vec<String> {
    let mut census = Census::default();
    files.iter().for_each(|(path, text)| census.add(runner, path, text));
    let tests = run.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect();
    let found = census.missing(&Results { tests, is_complete: true });
    found.into_iter().map(|finding| format!("{}: {}", finding.path, finding.told.split(' ').next().unwrap_or_default())).collect()
}

#[test]
fn each_test_that_the_sources_name_has_to_be_run() {
    let rust =
        "#[test]\nfn one() {}\n\n#[runtime::test(flavor = \"multi_thread\")]\n#[should_panic]\n// Why.\npub async fn two() {}\n";
    let run = [("calc src/lib.rs > tests::one", Status::Passed)];
    assert_eq!(missing(Runner::Cargo, &[("src/a.rs", rust)], &run), ["src/a.rs: two"]);
    let python = "class Mean:\n    def test_one(self): ...\n\nasync def test_two(): ...\n\ndef helper(): ...\n";
    let run = [("tests.test_a.Mean > test_one[1.5-a/b]", Status::Failed), ("tests.test_a > test_two", Status::Skipped)];
    assert_eq!(missing(Runner::Pytest, &[("tests/test_a.py", python), ("a.py", python)], &run), ["tests/test_a.py: test_two"]);
    let go = "func TestOne(t *testing.T) {}\nfunc TestTwo(t *testing.T) {}\nfunc helper() {}\n";
    assert_eq!(missing(Runner::Go, &[("a_test.go", go)], &[("calc > TestOne", Status::Passed)]), ["a_test.go: TestTwo"]);
    let script = "it('is one', () => {});\n  test(\"is two. Or 3\", () => {});\nit.each([1])('is %s', () => {});\n";
    let run = [("a.test.js > mean > is one", Status::Passed), ("a.test.js > is two. Or 3", Status::Passed)];
    assert_eq!(missing(Runner::Jest, &[("a.test.js", script)], &run), [""; 0]);
    assert_eq!(missing(Runner::Jest, &[("a.test.js", script)], &run[..1]), ["a.test.js: is"]);
}

#[test]
fn a_title_may_have_any_sign() {
    let titles = ["mean of 1.5", "GET /means: all", "a[0] is first", "1 > 0", "adds"];
    let script: String = titles.iter().map(|title| format!("test('{title}', () => {{}});\n")).collect();
    for (runner, begin) in
        [(Runner::Node, ""), (Runner::Node, "mean > "), (Runner::Jest, "a.test.js > "), (Runner::Vitest, "a.test.js > mean > ")]
    {
        let names: Vec<String> = titles.iter().map(|title| format!("{begin}{title}")).collect();
        let run: Vec<(&str, Status)> = names.iter().map(|name| (name.as_str(), Status::Passed)).collect();
        assert_eq!(missing(runner, &[("a.test.js", &script)], &run), [""; 0], "{begin}");
        assert_eq!(missing(runner, &[("a.test.js", &script)], &run[1..]), ["a.test.js: mean"], "{begin}");
    }
    // What stands for one title does not stand for another as well.
    let two = "test('1 > 0', () => {});\ntest('0', () => {});\n";
    assert_eq!(missing(Runner::Node, &[("a.test.js", two)], &[("1 > 0", Status::Passed)]), ["a.test.js: 0"]);
}

#[test]
fn of_several_tests_by_one_name_as_many_are_wanted() {
    let files = [("tests/test_a.py", "def test_one(): ...\n"), ("tests/test_b.py", "def test_one(): ...\n")];
    let run = [("tests.test_a > test_one[1]", Status::Passed), ("tests.test_a > test_one[2]", Status::Passed)];
    assert_eq!(missing(Runner::Pytest, &files, &run), ["tests/test_b.py: test_one"]);
}

#[test]
fn a_test_is_left_out_only_where_its_file_says_so() {
    let file = [("tests/test_a.py", "@pytest.mark.skipif(WINDOWS)\ndef test_one(): ...\n")];
    assert_eq!(missing(Runner::Pytest, &file, &[("tests.test_a > test_one", Status::Skipped)]), [""; 0]);
    assert_eq!(missing(Runner::Pytest, &file, &[]), ["tests/test_a.py: test_one"]);
}

#[test]
fn what_was_not_read_is_said() {
    let mut census = Census::default();
    census.break_off();
    assert_eq!(census.missing(&Results::default()).len(), 1);
}
