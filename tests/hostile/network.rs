//! Attacks by sockets: nothing outside is reached, and only plain families exist.

use super::trial::{Bare, Case};

const fn user(name: &'static str, script: &'static str) -> Case {
    Case { name, script, bare: Bare::User }
}

const fn root(name: &'static str, script: &'static str) -> Case {
    Case { name, script, bare: Bare::Root }
}

pub(super) const CASES: &[Case] = &[
    user("the host's loopback by TCP", "weapons/sockets tcp 127.0.0.1 $TCP"),
    user("the host's loopback by another of its addresses", "weapons/sockets tcp 127.9.9.9 $TCP"),
    user("the host's loopback by IPv6", "weapons/sockets tcp ::1 $TCP6"),
    user("the host's loopback by UDP", "weapons/sockets udp 127.0.0.1 $UDP"),
    user(
        "the host by its own address",
        "[ -n \"$ADDRESS\" ] || echo \"ABSENT: no address\"; weapons/sockets tcp \"${ADDRESS:-192.0.2.1}\" $TCP",
    ),
    user("a way to the outside", "weapons/sockets route $ELSEWHERE; case \"$ADDRESS\" in '') echo \"ABSENT: no route\";; esac"),
    user("a way to the metadata service", "weapons/sockets route 169.254.169.254"),
    user("a Unix socket with a path", "weapons/sockets path \"$OUTSIDE/socket\""),
    user("an abstract Unix socket", "weapons/sockets abstract $ABSTRACT"),
    root("an interface is changed", "weapons/sockets mtu"),
    root("a packet socket", "weapons/sockets family 17 3 0"),
    root("a raw socket", "weapons/sockets family 2 3 1"),
    root("a raw socket of IPv6", "weapons/sockets family 10 3 58"),
    root("a ping socket", "weapons/sockets family 2 2 1"),
    root("vsock", "weapons/sockets family 40 1 0"),
    user("netlink, generic", "weapons/sockets family 16 3 16"),
    user("netlink, events of devices", "weapons/sockets family 16 3 15"),
    user("netlink, audit", "weapons/sockets family 16 3 9"),
    user("netlink, firewall", "weapons/sockets family 16 3 12"),
    user("the kernel's ciphers", "weapons/sockets family 38 5 0"),
    root("bluetooth", "weapons/sockets family 31 3 1"),
    root("CAN", "weapons/sockets family 29 3 1"),
    root("TIPC", "weapons/sockets family 30 5 0"),
    root("KCM", "weapons/sockets family 41 5 0"),
    root("XDP", "weapons/sockets family 44 3 0"),
    root("RDS", "weapons/sockets family 21 5 0"),
    root("SMC", "weapons/sockets family 43 1 0"),
    root("keys of IPsec", "weapons/sockets family 15 3 2"),
    root("X.25", "weapons/sockets family 9 5 0"),
    root("AppleTalk", "weapons/sockets family 5 2 0"),
    root("PPP", "weapons/sockets family 24 1 0"),
    root("LLC", "weapons/sockets family 26 1 0"),
    root("NFC", "weapons/sockets family 39 5 1"),
    root("Qualcomm's router", "weapons/sockets family 42 2 0"),
    root("RxRPC", "weapons/sockets family 33 2 2"),
];
