//! Finds the expressions in a text and has them parsed.

use github_actions_expressions::call::Function;
use github_actions_expressions::literal::Literal;
use github_actions_expressions::op::{BinOp, UnOp};
use github_actions_expressions::{Expr, SpannedExpr};
use patchwright_domain::workflow::expression::{Expression, Operator};
use patchwright_domain::workflow::{Piece, Template, Value};

/// The longest expression that is parsed, in bytes: a chain of operators is as deep as it is long.
const EXPRESSION_BYTES_MAX: usize = 2 * 1024;

const START: &str = "${{";
const END: &str = "}}";

/// A text with its expressions. One that does not end is text.
pub(super) fn template(text: &str) -> Template {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let inner = &rest[at + START.len()..];
        let Some(end) = end(inner) else { break };
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].to_owned()));
        }
        pieces.push(piece(&inner[..end]));
        rest = &inner[end + END.len()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Template(pieces)
}

/// Where an expression ends; what stands in quotes ends none.
fn end(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    for (at, c) in text.char_indices() {
        if c == '\'' {
            is_quoted = !is_quoted;
        } else if !is_quoted && text[at..].starts_with(END) {
            return Some(at);
        }
    }
    None
}

/// One expression, without what stands around it.
pub(super) fn piece(text: &str) -> Piece {
    let parsed = if text.len() > EXPRESSION_BYTES_MAX { None } else { Expr::parse(text).ok() };
    parsed.map_or_else(|| Piece::Unreadable(text.trim().to_owned()), |parsed| Piece::Expression(expression(&parsed)))
}

fn expression(parsed: &SpannedExpr<'_>) -> Expression {
    let unread = || Expression::Unread(parsed.origin.raw.to_owned());
    match &parsed.inner {
        Expr::Literal(literal) => Expression::Value(value(literal)),
        Expr::Identifier(name) => Expression::Path { root: name.as_str().to_ascii_lowercase(), parts: Vec::new() },
        Expr::Context(context) => {
            let Some((Expr::Identifier(root), rest)) = context.parts.split_first().map(|(first, rest)| (&first.inner, rest))
            else {
                return unread();
            };
            let parts: Option<Vec<Expression>> = rest.iter().map(part).collect();
            parts.map_or_else(unread, |parts| Expression::Path { root: root.as_str().to_ascii_lowercase(), parts })
        }
        Expr::Call(call) => {
            Expression::Call { function: name(call.func).to_owned(), arguments: call.args.iter().map(expression).collect() }
        }
        Expr::BinExpr(joined) => Expression::Binary {
            operator: operator(&joined.op),
            left: Box::new(expression(&joined.lhs)),
            right: Box::new(expression(&joined.rhs)),
        },
        Expr::UnExpr { op: UnOp::Not, expr } => Expression::Not(Box::new(expression(expr))),
        Expr::Star | Expr::Index(_) => unread(),
    }
}

/// A part of a path, by its name or by what its name comes to.
fn part(parsed: &SpannedExpr<'_>) -> Option<Expression> {
    match &parsed.inner {
        Expr::Identifier(name) => Some(Expression::Value(Value::Text(name.as_str().to_owned()))),
        Expr::Index(index) if !matches!(index.inner, Expr::Star) => Some(expression(index)),
        Expr::Index(_)
        | Expr::Star
        | Expr::Literal(_)
        | Expr::Call(_)
        | Expr::Context(_)
        | Expr::BinExpr(_)
        | Expr::UnExpr { .. } => None,
    }
}

fn value(literal: &Literal<'_>) -> Value {
    match literal {
        Literal::Number(number) => Value::Number(*number),
        Literal::String(text) => Value::Text(text.to_string()),
        Literal::Boolean(is) => Value::Bool(*is),
        Literal::Null => Value::Null,
    }
}

fn operator(operator: &BinOp) -> Operator {
    match operator {
        BinOp::And => Operator::And,
        BinOp::Or => Operator::Or,
        BinOp::Eq => Operator::Equal,
        BinOp::Neq => Operator::NotEqual,
        BinOp::Gt => Operator::Greater,
        BinOp::Ge => Operator::GreaterOrEqual,
        BinOp::Lt => Operator::Less,
        BinOp::Le => Operator::LessOrEqual,
    }
}

fn name(function: Function) -> &'static str {
    match function {
        Function::Contains => "contains",
        Function::StartsWith => "startswith",
        Function::EndsWith => "endswith",
        Function::Format => "format",
        Function::Join => "join",
        Function::ToJSON => "tojson",
        Function::FromJSON => "fromjson",
        Function::HashFiles => "hashfiles",
        Function::Case => "case",
        Function::Success => "success",
        Function::Always => "always",
        Function::Cancelled => "cancelled",
        Function::Failure => "failure",
    }
}
