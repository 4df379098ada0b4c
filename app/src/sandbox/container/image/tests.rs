use super::chosen;
use crate::sandbox::images::is_match;

#[test]
fn a_star_stands_for_any_characters() {
    for (pattern, name, expected) in [
        ("rust:1.90", "rust:1.90", true),
        ("rust:1.90", "rust:1.9", false),
        ("rust:*", "rust:1.90-slim", true),
        ("rust:*", "evil/rust:1", false),
        ("*", "anything/at:all", true),
        ("ghcr/org/*:v*", "ghcr/org/tool:v1", true),
        ("ghcr/org/*:v*", "ghcr/org/tool:1", false),
        ("*-slim", "rust:1-slim", true),
        ("a*a", "a", false),
        ("", "", true),
        ("", "a", false),
    ] {
        assert_eq!(is_match(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn a_repository_names_only_what_the_operator_allows() {
    let allowed = ["rust:*".to_owned()];
    assert_eq!(chosen(Some("debian"), None, &allowed).unwrap(), "debian");
    assert_eq!(chosen(Some("debian"), Some("debian"), &[]).unwrap(), "debian");
    assert_eq!(chosen(None, Some("rust:1"), &allowed).unwrap(), "rust:1");
    for (own, named, missing) in [
        (None, None, "sandbox.container.image"),
        (Some("debian"), Some("node:20"), "not allowed"),
        (Some("debian"), Some("rust:1 --privileged"), "no image's name"),
        (Some("debian"), Some("-v"), "no image's name"),
        (Some("debian"), Some(""), "no image's name"),
    ] {
        let refusal = chosen(own, named, &allowed).unwrap_err();
        assert!(refusal.missing.contains(missing) && !refusal.remedy.is_empty(), "{refusal:?}");
    }
}
