use super::*;
use crate::results::Status::{Errored, Failed, Passed, Skipped};

fn run(tests: &[(&str, Status)]) -> Results {
    Results { tests: tests.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect(), is_complete: true }
}

fn moved(base: &[Results], head: &[Results]) -> Vec<(String, Movement)> {
    Table::of(base, head).rows.into_iter().map(|row| (row.test, row.movement)).collect()
}

#[test]
fn each_test_is_told_by_how_it_moved() {
    let base = run(&[
        ("a mended", Failed),
        ("b broken", Passed),
        ("c broken", Passed),
        ("d deleted", Passed),
        ("e skipped", Failed),
        ("f now runs", Skipped),
        ("g now builds", Errored),
        ("h same", Passed),
        ("i same", Failed),
        ("j same", Failed),
    ]);
    let head = run(&[
        ("a mended", Passed),
        ("b broken", Failed),
        ("c broken", Errored),
        ("e skipped", Skipped),
        ("f now runs", Passed),
        ("g now builds", Passed),
        ("h same", Passed),
        ("i same", Failed),
        ("j same", Errored),
        ("k new", Passed),
    ]);
    let expected = [
        ("a mended", Movement::Mended),
        ("b broken", Movement::Broken),
        ("c broken", Movement::Broken),
        ("d deleted", Movement::Gone),
        ("e skipped", Movement::Gone),
        ("f now runs", Movement::New),
        ("g now builds", Movement::New),
        ("k new", Movement::New),
    ];
    let expected: Vec<(String, Movement)> = expected.iter().map(|(name, movement)| ((*name).to_owned(), *movement)).collect();
    assert_eq!(moved(std::slice::from_ref(&base), std::slice::from_ref(&head)), expected);
    assert_eq!(Table::of(&[base], &[head]).count(Movement::Unchanged), 3);
}

#[test]
fn what_changes_its_mind_on_one_tree_has_neither_been_mended_nor_broken() {
    let (red, green, empty) = (run(&[("t", Failed)]), run(&[("t", Passed)]), run(&[]));
    let flaky = vec![("t".to_owned(), Movement::Flaky)];
    let always = |run: &Results| vec![run.clone(), run.clone()];
    assert_eq!(moved(&[red.clone(), green.clone()], &always(&green)), flaky);
    assert_eq!(moved(&always(&red), &[green.clone(), red.clone()]), flaky);
    assert_eq!(moved(&always(&red), &[green.clone(), empty]), flaky);
    assert_eq!(moved(&always(&red), &always(&green)), [("t".to_owned(), Movement::Mended)]);
}

#[test]
fn a_test_that_could_not_even_run_is_not_mended_by_running() {
    let could_not = run(&[("t", Errored)]);
    let (red, green) = (run(&[("t", Failed)]), run(&[("t", Passed)]));
    assert_eq!(moved(std::slice::from_ref(&could_not), std::slice::from_ref(&green)), [("t".to_owned(), Movement::New)]);
    // Failing once for a reason of its own does not make up for the other time.
    assert_eq!(moved(&[could_not, red], &[green]), [("t".to_owned(), Movement::New)]);
}

#[test]
fn a_long_table_is_cut_and_counted() {
    let names: Vec<String> = (0..ROWS_MAX + 10).map(|n| format!("t{n:04}")).collect();
    let all = |status| run(&names.iter().map(|name| (name.as_str(), status)).collect::<Vec<_>>());
    let table = Table::of(&[all(Failed)], &[all(Passed)]);
    assert_eq!((table.rows.len(), table.count(Movement::Mended)), (ROWS_MAX, ROWS_MAX + 10));
    let stored = serde_json::to_string(&table).expect("plain data");
    assert_eq!(serde_json::from_str::<Table>(&stored).expect("as written"), table);
}
