use super::trusted;

#[test]
fn a_log_is_fetched_with_tls_where_github_is_asked_with_it() {
    let place = "https://results-receiver.actions.githubusercontent.com/logs?sig=x";
    assert!(trusted(place, false).is_some() && trusted(place, true).is_some());
    let plain = "http://127.0.0.1:1/logs";
    assert!(trusted(plain, false).is_none() && trusted(plain, true).is_some());
    for odd in ["https://ada@logs.test/", "https://:secret@logs.test/", "file:///etc/passwd", "ftp://logs.test/", "/logs/1"] {
        assert!(trusted(odd, true).is_none(), "{odd}");
    }
}
