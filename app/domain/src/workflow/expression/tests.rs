use super::*;
use crate::workflow::sample::{map, path, text};

fn call(function: &str, arguments: Vec<Value>) -> Expression {
    Expression::Call { function: function.into(), arguments: arguments.into_iter().map(Expression::Value).collect() }
}

fn binary(left: Expression, operator: Operator, right: Expression) -> Expression {
    Expression::Binary { operator, left: Box::new(left), right: Box::new(right) }
}

#[track_caller]
fn check(expression: &Expression, expected: &str) {
    let (os, version) = (map(&[("name", text("Linux"))]), Value::Number(3.12));
    let known = Known {
        matrix: vec![("os", &os), ("version", &version)],
        env: vec![("MODE".into(), "fast".into()), ("MODE".into(), "slow".into())],
        others: vec![("runner.os", "Linux".into())],
        ..Known::default()
    };
    let found = known.text(&Template(vec![Piece::Expression(expression.clone())]));
    assert_eq!(found.unwrap_or_else(|unknown| format!("? {unknown}")), expected);
}

#[test]
fn what_is_known_is_worked_out() {
    check(&path("matrix", "version"), "3.12");
    check(&path("matrix", "VERSION"), "3.12");
    check(&path("matrix", "missing"), "");
    check(
        &Expression::Path { root: "matrix".into(), parts: ["os", "name"].map(|name| Expression::Value(text(name))).into() },
        "Linux",
    );
    check(&path("env", "MODE"), "slow");
    check(&path("runner", "OS"), "Linux");
}

#[test]
fn what_only_github_knows_is_never_guessed() {
    check(&path("secrets", "TOKEN"), "? it needs the secret `secrets.token`, and there are none here");
    check(&path("github", "token"), "? it needs the workflow's token, and there is none here");
    check(&path("env", "OTHER"), "? `env.other` is not known here");
    let hostile = path("needs", "`@everyone`\n# now");
    check(&hostile, "? `needs.'@everyone' # now` is not known here");
    let either = binary(Expression::Value(Value::Bool(false)), Operator::And, path("secrets", "TOKEN"));
    check(&either, "false");
}

#[test]
fn values_are_compared_as_github_does() {
    let same = |left: Value, right: Value| binary(Expression::Value(left), Operator::Equal, Expression::Value(right));
    check(&same(text("Ubuntu"), text("ubuntu")), "true");
    check(&same(text("1"), Value::Number(1.0)), "true");
    check(&same(Value::Null, Value::Bool(false)), "true");
    check(&same(text("x"), Value::Number(0.0)), "false");
    check(&binary(Expression::Value(text("2")), Operator::Less, Expression::Value(Value::Number(10.0))), "true");
    check(&Expression::Not(Box::new(Expression::Value(text("")))), "true");
}

#[test]
fn functions_give_what_they_give_there() {
    check(&call("contains", vec![text("Hello World"), text("WORLD")]), "true");
    check(&call("contains", vec![Value::List(vec![text("a"), text("b")]), text("B")]), "true");
    check(&call("startswith", vec![text("ubuntu-24.04"), text("Ubuntu")]), "true");
    check(&call("format", vec![text("{{{0}}} of {1}"), Value::Number(1.0), text("x")]), "{1} of x");
    check(&call("format", vec![text("{7}")]), "? a `format` whose pattern cannot be read");
    check(&call("join", vec![Value::List(vec![text("a"), text("b")]), text("+")]), "a+b");
    check(&call("fromjson", vec![text("[1")]), "? a text that is no JSON is read as JSON");
    check(&call("hashfiles", vec![text("**/Cargo.lock")]), "? what `hashfiles` gives there is not known here");
}

#[test]
fn texts_do_not_grow_without_end() {
    let mut expression = Expression::Value(text(&"x".repeat(1000)));
    for _ in 0..30 {
        let twice = Expression::Value(text("{0}{0}"));
        expression = Expression::Call { function: "format".into(), arguments: vec![twice, expression] };
    }
    check(&expression, "? a text becomes longer than 65536 bytes");
}

/// A short text may name a long one again and again, in each of many runs.
#[test]
fn what_is_looked_at_has_an_end_for_all_runs_together() {
    let long = text(&"x".repeat(TEXT_BYTES_MAX));
    let asked =
        Expression::Call { function: "contains".into(), arguments: vec![path("matrix", "a"), Expression::Value(text("y"))] };
    let first = Known { matrix: vec![("a", &long)], ..Known::default() };
    let n_worked_out = std::iter::repeat_with(|| first.clone().value(&asked)).take(1_000).filter(Result::is_ok).count();
    assert!((100..1_000).contains(&n_worked_out), "{n_worked_out}");
    assert_eq!(first.value(&asked), Err(Unknown("working it out takes too long".into())));
    let other = Known { matrix: vec![("a", &long)], ..Known::default() };
    assert_eq!(other.value(&asked), Ok(Value::Bool(false)), "another check is another matter");
}
