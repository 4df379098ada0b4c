use super::{Scope, scope};

#[track_caller]
fn check(expected: Scope, addresses: &[&str]) {
    for address in addresses {
        assert_eq!(scope(address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn what_is_on_the_internet_is_global() {
    check(
        Scope::Global,
        &["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.167.1.1", "198.20.0.1"],
    );
    check(Scope::Global, &["2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]);
}

#[test]
fn what_is_near_is_private() {
    check(
        Scope::Private,
        &[
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
        ],
    );
    check(Scope::Private, &["192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"]);
    check(Scope::Private, &["::1", "fc00::1", "fd12:3456::1"]);
}

#[test]
fn what_nothing_is_at_is_never_reached() {
    check(Scope::Never, &["0.0.0.0", "0.1.2.3", "169.254.169.254", "192.0.0.8"]);
    check(Scope::Never, &["192.88.99.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"]);
    check(Scope::Never, &["::", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "3fff::1", "100::1", "5f00::1"]);
}

#[test]
fn a_private_address_in_a_wrapping_stays_out() {
    check(Scope::Never, &["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:10.0.0.1"]);
    check(
        Scope::Never,
        &["64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "2a00::5efe:127.0.0.1"],
    );
}
