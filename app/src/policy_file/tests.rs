use patchwright_domain::event::Role;

use super::parse;

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("").unwrap(), parse("# nothing\n").unwrap_or_default());
}

#[test]
fn commands_and_triggers_are_read() {
    let policy = parse("triggers:\n  label: robot\n  minimum_role: admin\ncommands:\n  test: make check\n").unwrap();
    assert_eq!(policy.triggers.label, "robot");
    assert_eq!(policy.triggers.minimum_role, Role::Admin);
    assert_eq!(policy.commands.test.as_deref(), Some("make check"));
}

#[test]
fn a_mistake_is_named_with_its_line() {
    let error = parse("commands:\n  tset: make\n").unwrap_err();
    assert!(error.contains("tset") && error.contains('2'), "{error}");
    assert!(parse("triggers:\n  minimum_role: read\n").unwrap_err().contains("minimum_role"));
}
