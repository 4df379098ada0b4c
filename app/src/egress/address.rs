//! Which addresses are somebody's on the internet, and which are this machine's, its network's or nobody's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole internet.
    Global,
    /// This machine or the networks that it is in; only for hosts of which the operator says so.
    Private,
    /// Nothing that a registry could be at, such as the metadata service of a cloud; for no host at all.
    Never,
}

/// How far an address reaches; where it embeds an IPv4 address, that one counts.
pub fn scope(address: IpAddr) -> Scope {
    match address {
        IpAddr::V4(address) => scope_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => match scope_v4(inner) {
                Scope::Global => Scope::Global,
                // What is wrapped to look like something else is nobody's mirror.
                Scope::Private | Scope::Never => Scope::Never,
            },
            None => scope_v6(address),
        },
    }
}

fn scope_v4(address: Ipv4Addr) -> Scope {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        // "This network", link-local with the metadata services, protocol assignments, 6to4 relays, multicast and what is
        // reserved.
        (0, ..) | (169, 254, _) | (192, 0, 0) | (192, 88, 99) | (224.., ..) => Scope::Never,
        // Those for documentation and benchmarks are routed nowhere, so who answers there is near: some resolvers give out
        // such addresses for what they lead elsewhere.
        (192, 0, 2) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => Scope::Private,
        (10 | 127, ..) | (100, 64..=127, _) | (172, 16..=31, _) | (192, 168, _) => Scope::Private,
        _ => Scope::Global,
    }
}

fn scope_v6(address: Ipv6Addr) -> Scope {
    let first = address.segments()[0];
    let second = address.segments()[1];
    if address.is_loopback() || first & 0xfe00 == 0xfc00 {
        return Scope::Private;
    }
    // Global unicast is 2000::/3, of which protocol assignments (with Teredo) and documentation are not.
    let is_global = first & 0xe000 == 0x2000
        && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        && !(first == 0x3fff && second < 0x1000);
    if is_global { Scope::Global } else { Scope::Never }
}

/// The IPv4 address in a mapped, compatible, NAT64, 6to4 or ISATAP address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0) if (g, h) != (0, 0) && (g, h) != (0, 1) => Some(join(g, h)),
        (0, 0, 0, 0, 0, 0xffff) | (0, 0, 0, 0, 0xffff, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(join(g, h)),
        (0x2002, high, low, ..) => Some(join(high, low)),
        (.., 0 | 0x0200, 0x5efe) => Some(join(g, h)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
