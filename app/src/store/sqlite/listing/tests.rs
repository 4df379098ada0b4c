use rusqlite::Connection;

use super::super::MIGRATIONS;
use super::DELIVERIES_GIVEN_UP;

/// How the database would go about a statement.
fn plan(sql: &str) -> String {
    let connection = Connection::open_in_memory().expect("there is memory");
    MIGRATIONS.iter().for_each(|migration| connection.execute_batch(migration).expect("it is well-formed"));
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("it is well-formed");
    let steps = statement.query_map([1], |row| row.get::<_, String>(3)).expect("it can be explained");
    steps.map(|step| step.expect("it is text")).collect::<Vec<_>>().join("; ")
}

/// What was decided is not read for it, and nothing is sorted.
#[test]
fn what_was_given_up_is_found_by_its_index() {
    assert_eq!(plan(DELIVERIES_GIVEN_UP), "SCAN delivery USING INDEX delivery_given_up");
}
