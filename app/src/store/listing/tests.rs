use patchwright_domain::event::RepoRef;

use super::*;

/// What is looked for is what is written, so that no job is missed in a list for how its repository is written down.
#[test]
fn a_repository_is_found_in_the_text_of_a_specification() {
    let repo = RepoRef::new(7, 1, "Octo-Cat", "Rocket.rs", "main").unwrap();
    let text = serde_json::to_string(&repo).unwrap().to_lowercase();
    let name = Name::parse("octo-cat/ROCKET.RS").unwrap();
    assert!(name.is_of(&repo) && text.contains(&name.written()), "{text}");
    let other = Name::parse("octo-cat/rocket").unwrap();
    assert!(!other.is_of(&repo) && !text.contains(&other.written()));
    for text in ["octo", "octo/", "/rocket", "octo/rocket/x", "octo/%", "oc\"to/rocket"] {
        assert_eq!(Name::parse(text), None, "{text}");
    }
}

/// What somebody has written never looks like the mark of a delivery that was given up.
#[test]
fn only_a_decision_that_gives_up_has_the_mark_of_one() {
    let mark = is_given_up!().strip_prefix("decision LIKE '%").and_then(|mark| mark.strip_suffix("%'")).unwrap();
    let text = |decision: &Decision| serde_json::to_string(decision).unwrap();
    assert!(text(&Decision::give_up("it cannot be decided")).contains(mark));
    assert!(!text(&Decision::ignore(mark)).contains(mark));
    assert!(!text(&Decision::ignore("no")).contains("given_up"));
}
