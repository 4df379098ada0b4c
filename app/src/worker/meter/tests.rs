use super::*;

#[test]
fn every_limit_is_a_sentence() {
    let mut told = Vec::new();
    for scope in [Scope::Repository(1), Scope::User(1), Scope::Everything] {
        told.extend([Quantity::Tokens, Quantity::Cost].map(|quantity| super::told(scope, quantity)));
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    The daily token limit for this repository leaves no room for another request (`limits.repository_tokens_per_day`); the day ends at midnight UTC.
    The daily cost limit for this repository leaves no room for another request (`limits.repository_usd_per_day`); the day ends at midnight UTC.
    The daily token limit for the requests of one user leaves no room for another request (`limits.user_tokens_per_day`); the day ends at midnight UTC.
    The daily cost limit for the requests of one user leaves no room for another request (`limits.user_usd_per_day`); the day ends at midnight UTC.
    The daily token limit for all jobs together leaves no room for another request (`limits.tokens_per_day`); the day ends at midnight UTC.
    The daily cost limit for all jobs together leaves no room for another request (`limits.usd_per_day`); the day ends at midnight UTC.
    ");
}
