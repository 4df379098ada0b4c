use super::{Named, read};

fn named(text: &str) -> Named {
    read(".devcontainer.json", text.as_bytes())
}

#[test]
fn a_plain_image_is_used_whatever_comments_stand_around_it() {
    let text = "\u{feff}// what we use\n{ /* the image */ \"image\": \"node:22\", \"features\": {}, \"postCreateCommand\": \"rm -rf /\", }";
    assert_eq!(named(text).image.as_deref(), Some("node:22"));
    insta::assert_snapshot!(named(text).note, @"The commands ran in the image `node:22`, which `.devcontainer.json` names.");
}

#[test]
fn features_are_left_out_and_that_is_said() {
    let found = named(r#"{"image": "node:22", "features": {"ghcr.io/x/y:1": {}}}"#);
    assert_eq!(found.image.as_deref(), Some("node:22"));
    insta::assert_snapshot!(found.note, @"The commands ran in the image `node:22`, which `.devcontainer.json` names; its `features` are not supported and were left out.");
}

#[test]
fn what_would_have_to_be_built_is_not_used_and_that_is_said() {
    let found = named(r#"{"image": "node:22", "build": {"dockerfile": "Dockerfile"}}"#);
    assert_eq!(found.image, None);
    insta::assert_snapshot!(found.note, @"`.devcontainer.json` was not used, for its `build` is not supported: the commands ran in the operator's image. An `image` there, or in `.github/patchwright.yml`, would be used if the operator allows it.");
    for key in ["dockerFile", "dockerComposeFile"] {
        assert_eq!(named(&format!("{{\"image\": \"x\", \"{key}\": \"Dockerfile\"}}")).image, None, "{key}");
    }
}

#[test]
fn what_cannot_be_read_names_no_image_and_breaks_nothing() {
    let deep = "[".repeat(100_000);
    let long = format!("{{\"image\": \"{}\"}}", "x".repeat(300));
    let endless = " ".repeat(300 * 1024);
    for text in [
        "",
        "[]",
        "{",
        "null",
        "{}",
        r#"{"image": 1}"#,
        r#"{"image": ""}"#,
        r#"{"image": "${localEnv:X}"}"#,
        &deep,
        &long,
        &endless,
    ] {
        let found = named(text);
        assert_eq!(found.image, None, "{:.40}", found.note);
        assert!(found.note.contains("was not used") && found.note.len() < 400, "{}", found.note);
    }
    assert_eq!(read(".devcontainer.json", b"{\"image\": \"\xff\"}").image, None);
}
