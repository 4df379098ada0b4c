use super::{Authority, HostName, Pattern};

#[test]
fn a_name_is_read_in_one_spelling() {
    for (text, name) in
        [("Crates.Example", "crates.example"), ("a.example.", "a.example"), ("my_host", "my_host"), ("a1.b2c", "a1.b2c")]
    {
        assert_eq!(HostName::parse(text).unwrap().as_str(), name);
    }
}

#[test]
fn whatever_is_no_name_is_refused() {
    let long = format!("{}.example", "a".repeat(64));
    for text in [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a.example..",
        "-a.example",
        "a-.example",
        "a b",
        "a\0b",
        "a\nb",
        "a%2eb",
        "a/b",
        "a\\b",
        "bücher.example",
        "ａ.example",
        "a@b",
        "a:b",
        "*.example",
        "127.0.0.1",
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "1.2.3.0x4",
        "0X7F.0X1",
        "a.0x",
        "::1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "::ffff:7f00:1",
        "a.12",
        &long,
    ] {
        assert!(HostName::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_pattern_means_a_name_or_what_is_below_it() {
    for (pattern, name, is_meant) in [
        ("crates.example", "crates.example", true),
        ("CRATES.example.", "crates.EXAMPLE", true),
        ("crates.example", "crates.example.evil.test", false),
        ("crates.example", "evilcrates.example", false),
        ("crates.example", "a.crates.example", false),
        ("*.crates.example", "a.crates.example", true),
        ("*.crates.example", "a.b.crates.example", true),
        ("*.crates.example", "crates.example", false),
        ("*.crates.example", "evilcrates.example", false),
        ("*.crates.example", "a.crates.example.evil.test", false),
    ] {
        let name = HostName::parse(name).unwrap();
        assert_eq!(Pattern::parse(pattern).unwrap().matches(&name), is_meant, "{pattern} {name}");
    }
    for text in ["*", "*.", "a.*.b", "*a.example", "10.0.0.1", "*.1"] {
        assert!(Pattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn an_authority_is_a_name_and_at_most_a_port() {
    assert_eq!(Authority::parse("a.example:443").unwrap().port, Some(443));
    assert_eq!(Authority::parse("a.example").unwrap().port, None);
    for text in [
        "u@a.example:443",
        "u:p@a.example",
        "a.example:",
        "a.example:0",
        "a.example:65536",
        "a.example:+80",
        "a:1:2",
        "[::1]:443",
        "::1",
    ] {
        assert!(Authority::parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_two_patterns_mean_is_what_both_do() {
    for (one, other, both) in [
        ("a.test", "a.test", Some("a.test")),
        ("a.test", "*.test", Some("a.test")),
        ("*.test", "*.a.test", Some("*.a.test")),
        ("*.test", "*.test", Some("*.test")),
        ("a.test", "b.test", None),
        ("*.a.test", "a.test", None),
        ("*.a.test", "*.ba.test", None),
        ("*.a.test", "*.b.test", None),
    ] {
        let [one, other] = [one, other].map(|text| Pattern::parse(text).unwrap());
        let both = both.map(str::to_owned);
        assert_eq!(one.and(&other).map(|both| both.to_string()), both);
        assert_eq!(other.and(&one).map(|both| both.to_string()), both);
    }
}
