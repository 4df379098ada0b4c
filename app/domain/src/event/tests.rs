use super::{DeliveryId, RepoRef, Role, Untrusted};

#[test]
fn names_that_could_leave_an_address_are_refused() {
    for owner in ["", "..", ".", "a/b", "a b", "a%2fb", "é"] {
        assert!(RepoRef::new(1, 1, owner, "name", "main").is_err(), "owner {owner:?}");
        assert!(RepoRef::new(1, 1, "owner", owner, "main").is_err(), "name {owner:?}");
    }
    for branch in ["", "-x", "a..b", "a b", "/a", "a/", "a.lock", "a/.b", "@", "a@{1}", "a\nb"] {
        assert!(RepoRef::new(1, 1, "owner", "name", branch).is_err(), "branch {branch:?}");
    }
    assert!(RepoRef::new(1, 1, "rust-lang", "rust.vim", "release/1.x").is_ok());
}

#[test]
fn a_delivery_id_is_short_and_plain() {
    assert!(DeliveryId::new("72d3162e-cc78-11e3-81ab-4c9367dc0958").is_ok());
    for id in ["", "a b", "a\n", &"x".repeat(101)] {
        assert!(DeliveryId::new(id).is_err(), "{id:?}");
    }
}

#[test]
fn untrusted_text_does_not_show_itself() {
    let text = Untrusted::new("secret words");
    assert_eq!(format!("{text:?}"), "Untrusted(12 bytes)");
    assert!(Untrusted::new(" \n\t").is_blank() && !text.is_blank());
}

#[test]
fn roles_are_ordered_by_what_they_may() {
    let roles = [Role::None, Role::Read, Role::Triage, Role::Write, Role::Maintain, Role::Admin];
    assert!(roles.is_sorted());
    for role in roles {
        assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
    }
}
