use super::test_by_test;
use crate::proof::Account;
use crate::results::table::{ROWS_MAX, Table};
use crate::results::{Results, Status};

/// An account of so many mended tests.
fn account(n_tests: usize) -> Account {
    let results =
        |status| Results { tests: (0..n_tests).map(|n| (format!("tests::case_{n:04}"), status)).collect(), is_complete: true };
    Account { table: Some(Table::of(&[results(Status::Failed)], &[results(Status::Passed)])), ..Account::default() }
}

#[test]
fn every_test_that_moved_is_in_the_details() {
    insta::assert_snapshot!(test_by_test(&account(2), 1_000).unwrap(), @r"
    ### Test by test

    | Test | Without | With |
    | --- | --- | --- |
    | `tests::case_0000` | fails | passes |
    | `tests::case_0001` | fails | passes |
    ");
    let told = test_by_test(&account(ROWS_MAX), 65_000).unwrap();
    assert_eq!(told.matches("tests::case_").count(), ROWS_MAX);
    assert!(!told.contains("cut here"), "{told}");
}

#[test]
fn a_table_that_is_cut_says_so() {
    let told = test_by_test(&account(ROWS_MAX + 5), 65_000).unwrap();
    assert!(told.ends_with("\n\nThe table is cut here: 5 more tests are left out."), "{told}");
    for room in 0..3_000 {
        let told = test_by_test(&account(ROWS_MAX), room).unwrap_or_default();
        assert!(told.len() <= room, "{} bytes in {room}", told.len());
        let n_told = told.matches("tests::case_").count();
        assert!(told.is_empty() || told.contains(&format!("{} more tests are left out", ROWS_MAX - n_told)), "{told}");
    }
}

#[test]
fn where_only_exit_codes_are_known_there_is_no_table() {
    assert_eq!(test_by_test(&Account::default(), 65_000), None);
    assert_eq!(test_by_test(&account(0), 65_000), None);
}
