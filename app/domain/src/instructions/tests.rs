use super::{BYTES_MAX, File, told};

fn file(path: &str, text: &str) -> File {
    File { path: path.into(), text: text.into() }
}

fn fallbacks() -> Vec<String> {
    vec!["CLAUDE.md".into()]
}

#[test]
fn the_root_comes_first_and_each_file_says_where_it_holds() {
    let files = [file("web/AGENTS.md", "Use npm.\n"), file("AGENTS.md", "Be brief."), file("web/api/AGENTS.md", "No globals.")];
    insta::assert_snapshot!(told(&files, &[]), @r"
    ## AGENTS.md (for the whole repository)
    Be brief.

    ## web/AGENTS.md (for web/)
    Use npm.

    ## web/api/AGENTS.md (for web/api/)
    No globals.
    ");
}

#[test]
fn one_file_of_a_directory_is_taken_and_an_empty_override_hides_the_others() {
    let files = [
        file("CLAUDE.md", "fallback"),
        file("a/CLAUDE.md", "a fallback"),
        file("a/AGENTS.md", "a rules"),
        file("b/AGENTS.md", "b rules"),
        file("b/AGENTS.override.md", " \n"),
        file("c/README.md", "no instructions"),
    ];
    let told = told(&files, &fallbacks());
    assert!(told.contains("fallback") && told.contains("a rules"), "{told}");
    assert!(!told.contains("a fallback") && !told.contains("b rules") && !told.contains("no instructions"), "{told}");
    assert!(!super::told(&files, &[]).contains("fallback"));
    assert_eq!(super::told(&[], &[]), "");
}

#[test]
fn the_deeper_file_wins_when_there_is_no_room_and_what_was_cut_is_said() {
    let long = "r".repeat(BYTES_MAX);
    let files = [file("AGENTS.md", &long), file("web/AGENTS.md", "Use npm.")];
    let text = told(&files, &[]);
    assert!(
        text.contains("Use npm.") && text.contains("The last 8 bytes of AGENTS.md are left out"),
        "{}",
        &text[text.len() - 200..]
    );
    let files = [file("AGENTS.md", "Be brief."), file("web/AGENTS.md", &long)];
    let text = told(&files, &[]);
    assert!(!text.contains("Be brief.") && text.contains("AGENTS.md is left out for want of room: 9 bytes"));
    assert!(text.len() < BYTES_MAX + 500);
}
