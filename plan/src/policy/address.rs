//! Addresses in all their spellings: `2852039166`, `0xa9.254.0251.0376`, `::ffff:a9fe:a9fe` are one and the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Public,
    /// A private network, this machine, a link, or nothing a step has business with.
    Private,
    /// Where clouds give out credentials: never.
    Metadata,
}

const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];
const METADATA_NAMES: [&str; 5] =
    ["metadata.google.internal", "metadata", "metadata.goog", "instance-data", "instance-data.ec2.internal"];

/// The address behind a host, if it is one in any spelling that programs understand.
pub fn parse(host: &str) -> Option<IpAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.split('%').next().unwrap_or(host).trim_end_matches('.');
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return Some(unmapped(address));
    }
    parse_v4(host).map(IpAddr::V4)
}

/// As `inet_aton` reads it: one to four numbers, each decimal, octal or hexadecimal, the last one filling the rest.
fn parse_v4(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = host.split('.').collect();
    if parts.len() > 4 {
        return None;
    }
    let numbers: Vec<u64> = parts.into_iter().map(number).collect::<Option<_>>()?;
    let (last, first) = numbers.split_last()?;
    if first.iter().any(|number| *number > 255) || *last >= 1 << (8 * (4 - first.len())) {
        return None;
    }
    let high = first.iter().enumerate().fold(0, |sum, (index, number)| sum | number << (24 - 8 * index));
    Some(Ipv4Addr::from(u32::try_from(high | last).ok()?))
}

fn number(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    let plain =
        !digits.is_empty() && digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !plain { None } else { u64::from_str_radix(digits, radix).ok() }
}

/// The IPv4 address inside of an IPv6 one: mapped, compatible, NAT64, 6to4.
fn unmapped(address: Ipv6Addr) -> IpAddr {
    let parts = address.segments();
    let inner = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match parts {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => inner(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => inner(high, low),
        [0x2002, high, low, ..] => inner(high, low),
        _ => IpAddr::V6(address),
    }
}

/// What an address is for.
pub fn scope(address: IpAddr) -> Scope {
    let address = match address {
        IpAddr::V6(address) => unmapped(address),
        address @ IpAddr::V4(_) => address,
    };
    match address {
        IpAddr::V4(address) if METADATA_V4.contains(&address) => Scope::Metadata,
        IpAddr::V6(address) if METADATA_V6.contains(&address) => Scope::Metadata,
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_special =
                (a, b, c) == (192, 0, 0) || (a == 198 && (18..20).contains(&b)) || a == 0 || a >= 224;
            let is_private = address.is_private() || address.is_loopback() || address.is_link_local();
            if is_private || is_shared || is_special { Scope::Private } else { Scope::Public }
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            let is_private = address.is_loopback()
                || address.is_unspecified()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
                || (first & 0xffc0) == 0xfec0
                || (first & 0xff00) == 0xff00;
            if is_private { Scope::Private } else { Scope::Public }
        }
    }
}

/// Whether a host is a metadata service, by name or by address.
pub fn is_metadata(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    METADATA_NAMES.contains(&name.as_str())
        || parse(host).is_some_and(|address| scope(address) == Scope::Metadata)
}

/// Whether an address lies in one of `10.0.0.5`, `192.168.1.0/24`, `fd00::/8`.
pub fn is_in(address: IpAddr, networks: impl IntoIterator<Item = impl AsRef<str>>) -> bool {
    networks.into_iter().any(|network| {
        let (base, bits) = network.as_ref().split_once('/').unwrap_or((network.as_ref(), ""));
        let (Ok(base), bits) = (base.parse::<IpAddr>(), bits.parse::<u32>().ok()) else { return false };
        match (address, base) {
            (IpAddr::V4(address), IpAddr::V4(base)) => {
                let bits = bits.unwrap_or(32).min(32);
                bits == 0 || (u32::from(address) ^ u32::from(base)) >> (32 - bits) == 0
            }
            (IpAddr::V6(address), IpAddr::V6(base)) => {
                let bits = bits.unwrap_or(128).min(128);
                bits == 0 || (u128::from(address) ^ u128::from(base)) >> (128 - bits) == 0
            }
            _ => false,
        }
    })
}
