use super::*;
use crate::syntax::modules::modules;

/// The graph of these sources, in one package at the root.
fn of(sources: &[(&str, &str)], links: &[(&str, &str)]) -> Graph {
    let files: BTreeMap<String, Rc<Modules>> =
        sources.iter().map(|(path, text)| ((*path).to_owned(), Rc::new(modules(path, text.as_bytes())))).collect();
    let links = links.iter().map(|(path, target)| ((*path).to_owned(), (*target).to_owned())).collect();
    Graph::of(&files, &[String::new()].into(), &links, |path| files.contains_key(path) || path.ends_with(".txt"))
}

#[test]
fn what_tests_have_as_well_is_still_the_programs() {
    let graph =
        of(&[("src/lib.rs", "mod a;\n"), ("src/a.rs", ""), ("tests/it.rs", "#[path = \"../src/lib.rs\"]\nmod all;\n")], &[]);
    assert!(!graph.is_for_tests("src/lib.rs") && !graph.is_for_tests("src/a.rs"));
}

#[test]
fn a_root_is_loose_where_nothing_but_its_being_undeclared_makes_it_one() {
    let graph = of(&[("src/lib.rs", "mod a;\n"), ("src/a.rs", ""), ("src/b.rs", "mod c;\n"), ("src/b/c.rs", "")], &[]);
    assert_eq!([graph.loose_root("src/lib.rs"), graph.loose_root("src/a.rs")], [None, None]);
    assert_eq!([graph.loose_root("src/b.rs"), graph.loose_root("src/b/c.rs")], [Some("src/b.rs"); 2]);
    assert_eq!(graph.loose_root("values.txt"), Some("values.txt"));
}

#[test]
fn what_a_macro_has_is_uncertain_with_all_that_follows() {
    let graph = of(
        &[("src/lib.rs", "mod a;\nonly! { mod b; mod a; }\n"), ("src/a.rs", ""), ("src/b.rs", "mod c;\n"), ("src/b/c.rs", "")],
        &[],
    );
    assert!(graph.is_uncertain("src/b.rs") && graph.is_uncertain("src/b/c.rs") && !graph.is_uncertain("src/a.rs"));
    assert!(!graph.is_for_tests("src/b.rs"));
}

#[test]
fn what_is_given_to_a_macro_that_gives_it_back_is_the_programs() {
    let lib =
        |definition: &str| format!("macro_rules! only {{ ($item:item) => {{ {definition} $item }} }}\nonly! {{ mod a; }}\n");
    let sources = |lib: &str| of(&[("src/lib.rs", lib), ("src/a.rs", "")], &[]);
    assert!(sources(&lib("#[cfg(unix)]")).has_program("src/a.rs"));
    assert!(sources(&lib("#[cfg(test)]")).is_uncertain("src/a.rs"));
    let calling = lib("#[cfg(unix)]").replace("only! {", "other! { only! {").replace("mod a; }", "mod a; } }");
    let other = "macro_rules! other { ($item:item) => { only! { $item } } }\n";
    assert!(sources(&[&calling, other].concat()).has_program("src/a.rs"));
    assert!(sources(&calling).is_uncertain("src/a.rs"));
}

#[test]
fn a_file_is_had_through_links() {
    let sources = [("src/lib.rs", "mod a;\nmod b;\n"), ("tests/a.rs", ""), ("shared/b/mod.rs", "")];
    let graph = of(&sources, &[("src/a.rs", "../tests/a.rs"), ("src/b", "../shared/b")]);
    let ways: Vec<(&str, &str)> = graph.ways().map(|(by, path, _)| (by, path)).collect();
    assert_eq!(ways, [("src/lib.rs", "shared/b/mod.rs"), ("src/lib.rs", "tests/a.rs")]);
}

#[test]
fn a_file_is_had_through_links_that_lead_to_links() {
    let sources = [("src/lib.rs", "mod inner;\n"), ("tests/common/mod.rs", "")];
    let graph = of(&sources, &[("src/inner", "../hop"), ("hop", "tests/common")]);
    assert!(graph.has_program("tests/common/mod.rs") && graph.doubtful().is_empty());
    let around = of(&sources, &[("src/inner.rs", "../one/mod.rs"), ("one", "two"), ("two", "one")]);
    assert_eq!(around.doubtful().len(), 1, "nobody knows where it ends");
}

#[test]
fn what_leads_up_from_a_link_leads_up_from_where_that_leads() {
    let sources =
        [("src/lib.rs", "#[path = \"in/../b.rs\"]\nmod a;\n"), ("src/b.rs", ""), ("tests/b.rs", ""), ("tests/deep/c.rs", "")];
    assert!(of(&sources, &[("src/in", "../tests/deep")]).has_program("tests/b.rs"));
}
