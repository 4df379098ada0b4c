use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

use super::{Own, Veil};

const SECRET: &str = "Grizzly+Marmalade/17\"?";

fn veil() -> Veil {
    Veil::over(&[Own { name: "key of the model", value: SECRET }, Own { name: "short", value: "abc" }])
}

#[test]
fn a_secret_is_taken_out_as_it_is_and_encoded() {
    let percent: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for (name, form) in [
        ("plain", SECRET.to_owned()),
        ("backwards", SECRET.chars().rev().collect()),
        ("hex", hex::encode(SECRET)),
        ("hex in capitals", hex::encode_upper(SECRET)),
        ("percent", percent),
        ("of an address", "Grizzly%2BMarmalade%2F17%22%3F".to_owned()),
        ("JSON", "Grizzly+Marmalade/17\\\"?".to_owned()),
    ] {
        assert_eq!(veil().text(&format!("it is {form}, abc")), "it is Griz…, abc", "{name}");
    }
    assert_eq!(veil().text("Grizzly+Marmalade/18"), "Grizzly+Marmalade/18");
}

#[test]
fn base64_is_taken_out_wherever_it_begins() {
    for before in ["", "a", "ab", "abc", "user:"] {
        let pair = format!("{before}{SECRET}, and more");
        for digits in [BASE64_STANDARD.encode(&pair), BASE64_STANDARD_NO_PAD.encode(&pair), BASE64_URL_SAFE_NO_PAD.encode(&pair)]
        {
            let told = veil().text(&digits);
            assert!(told.contains("Griz…"), "{before}: {told}");
        }
    }
}

#[test]
fn each_line_of_a_key_is_taken_out() {
    let body = "MC4CAQAwBQYDK2VwBCIEIAx7Qm2Lk9Rt4Vb8Nc1Zp6Ws3Yd5Fg0Hj2Kl4M";
    let key = format!("{}\n{body}\n{}\n", concat!("-----BEGIN ", "PRIVATE KEY-----"), concat!("-----END ", "PRIVATE KEY-----"));
    let veil = Veil::over(&[Own { name: "key", value: &key }]);
    assert_eq!(veil.text(&format!("[{body}]")), "[MC4C…]");
    assert_eq!(veil.text(&key), "----…\n");
}

#[test]
fn every_text_of_a_value_is_looked_at() {
    let told = BTreeMap::from([("one", vec![format!("x {SECRET}"), "y".to_owned()])]);
    let told: BTreeMap<String, Vec<String>> = told.into_iter().map(|(key, texts)| (key.to_owned(), texts)).collect();
    let veiled = veil().value("it", &told).expect("these are texts");
    assert_eq!(veiled["one"], ["x Griz…", "y"]);
    let nothing = Veil::over(&[]);
    assert_eq!(nothing.value("it", &told).expect("these are texts"), told);
}

/// As a password would be that somebody has made up: it stands in names by which programs go.
#[test]
fn a_secret_that_is_a_plain_word_is_named_and_nothing_is_told_in_its_place() {
    use crate::results::Status;
    let veil = Veil::over(&[
        Own { name: "`mcp.token`", value: "unrelated-9f2c" },
        Own { name: "`github.webhook_secret`", value: "release-candidate" },
        Own { name: "`model.api_key`", value: "regression" },
    ]);
    let told = "cannot be told without the server's `github.webhook_secret`, which is a plain word";
    assert_eq!(
        veil.leaves("a branch", "release-candidate-2").expect_err("it is in there").to_string(),
        format!("a branch {told}")
    );
    assert_eq!(veil.leaves("a branch", "release"), Ok(()));
    // A state's name is not a text.
    let refused = veil.value("the journal", &crate::proof::Doubt::Regression).expect_err("there is no other such state");
    assert_eq!(refused.to_string(), "the journal cannot be told without the server's `model.api_key`, which is a plain word");
    assert_eq!(veil.value("the journal", &Status::Passed), Ok(Status::Passed));
}
