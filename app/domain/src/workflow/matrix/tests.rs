use super::*;
use crate::workflow::Template;
use crate::workflow::sample::{job, map, of, text};

fn list(values: &[&str]) -> Value {
    Value::List(values.iter().map(|value| text(value)).collect())
}

#[track_caller]
fn check(matrix: Matrix, name: Option<Template>, expected: &[&[&str]]) {
    let job = Job { name, matrix: Some(matrix), ..job(Vec::new()) };
    let runs = job.matrix.as_ref().expect("it has one").runs().expect("they are known");
    let known = |run: &Run<'_>| names(&job, run, &Known { matrix: run.values(), ..Known::default() }).expect("they are known");
    assert_eq!(runs.iter().map(known).collect::<Vec<_>>(), expected);
}

#[test]
fn each_value_runs_with_each_other() {
    let values =
        vec![("python".into(), Value::List(vec![Value::Number(3.1), text("3.12")])), ("os".into(), list(&["linux", "mac"]))];
    let matrix = Matrix { values, exclude: vec![map(&[("os", text("mac")), ("python", text("3.1"))])], ..Matrix::default() };
    check(matrix, None, &[&["test (3.1, linux)"], &["test (3.12, linux)"], &["test (3.12, mac)"]]);
}

/// The example of GitHub's own documentation, "Expanding or adding matrix configurations".
#[test]
fn include_adds_to_runs_and_makes_others() {
    let values = vec![("fruit".into(), list(&["apple", "pear"])), ("animal".into(), list(&["cat", "dog"]))];
    let include = vec![
        map(&[("color", text("green"))]),
        map(&[("color", text("pink")), ("animal", text("cat"))]),
        map(&[("fruit", text("apple")), ("shape", text("circle"))]),
        map(&[("fruit", text("banana"))]),
        map(&[("fruit", text("banana")), ("animal", text("cat"))]),
    ];
    let expected: [&[&str]; 6] = [
        &["test (apple, cat, pink, circle)", "test (apple, cat)"],
        &["test (apple, dog, green, circle)", "test (apple, dog)"],
        &["test (pear, cat, pink)", "test (pear, cat)"],
        &["test (pear, dog, green)", "test (pear, dog)"],
        &["test (banana)", "test"],
        &["test (banana, cat)", "test"],
    ];
    check(Matrix { values, include, ..Matrix::default() }, None, &expected);
}

#[test]
fn a_name_with_an_expression_is_worked_out() {
    let matrix = Matrix { values: vec![("rust".into(), list(&["stable", "1.82.0"]))], ..Matrix::default() };
    let expected: [&[&str]; 2] = [&["stable", "stable (stable)"], &["1.82.0", "1.82.0 (1.82.0)"]];
    check(matrix, Some(of("matrix", "rust")), &expected);
}

#[test]
fn a_long_name_is_cut_where_github_cuts_it() {
    let matrix = Matrix { values: vec![("x".into(), list(&["y".repeat(200).as_str()]))], ..Matrix::default() };
    let expected = format!("test ({}...", "y".repeat(91));
    check(matrix, None, &[&[expected.as_str()]]);
}

#[test]
fn a_matrix_has_no_more_runs_than_github_gives_it() {
    let values = |n: usize| Value::List((0..n).map(|n| Value::Number(n as f64)).collect());
    let matrix =
        |n: usize, m: usize| Matrix { values: vec![("n".into(), values(n)), ("m".into(), values(m))], ..Matrix::default() };
    assert_eq!(matrix(16, 16).runs().map(|runs| runs.len()), Ok(256));
    assert!(matrix(16, 17).runs().is_err());
    let entries = Matrix { include: vec![map(&[("a", text("b"))]); 65], ..Matrix::default() };
    assert!(entries.runs().is_err());
}
