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
        ("hex in both", hex::encode(SECRET).replacen('b', "B", 2)),
        ("percent in both", SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>().replacen('F', "f", 1)),
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
fn a_secret_is_taken_out_where_lines_break_it() {
    for (name, broken) in [
        ("plain", "it is Grizzly+\nMarmalade/17\"?, abc"),
        ("more than once, with blanks", "it is Griz\r\n\tzly+Marm \n  alade/17\"?, abc"),
        ("of an address", "it is Grizzly%2bMarmalade%2\nf17%22%3F, abc"),
    ] {
        assert_eq!(veil().text(broken), "it is Griz…, abc", "{name}");
    }
    let digits = BASE64_STANDARD.encode(SECRET);
    let wrapped = format!("{}\n{}\n", &digits[..9], &digits[9..]);
    assert!(veil().text(&wrapped).starts_with("Griz…"), "{}", veil().text(&wrapped));
    assert!(veil().leaves("a note", "Grizzly+Marma\nlade/17\"?").is_err());
    let twice = format!("{SECRET}\n{SECRET} und Grizzly\n\u{e4}");
    assert_eq!(veil().text(&twice), "Griz…\nGriz… und Grizzly\n\u{e4}");
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

#[test]
fn a_secret_that_nobody_uses_as_a_word_is_said_to_have_got_out() {
    let refused = veil().leaves("a branch", &format!("fix-{SECRET}")).expect_err("it is in there");
    let told = "a branch cannot be told, for the server's key of the model stands in it: it has got out and must be changed";
    assert_eq!(refused.to_string(), told);
    let both = Veil::over(&[
        Own { name: "`mcp.token`", value: "Unrelated-9f2c" },
        Own { name: "`github.webhook_secret`", value: "release-candidate" },
    ]);
    let refused = both.leaves("a branch", "release-candidate-Unrelated-9f2c").expect_err("both are in there").to_string();
    assert!(refused.contains("`mcp.token` stands in it") && !refused.contains("plain word"), "{refused}");
}
