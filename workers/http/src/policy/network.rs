//! A network written as `address/length`.

use std::net::IpAddr;
use std::str::FromStr;

/// A block of addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    length: u8,
}

/// A network that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; write `10.1.0.0/16`, `fd00::/8` or one address")]
pub struct BadNetwork(String);

impl Network {
    /// Whether the address lies inside; an IPv4 address mapped into IPv6 counts as what it carries.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (base, ip) = (self.base.to_canonical(), ip.to_canonical());
        if base.is_ipv4() != ip.is_ipv4() {
            return false;
        }
        let shift = width(base) - u32::from(self.length);
        bits(base).checked_shr(shift) == bits(ip).checked_shr(shift)
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (base, length) = text.split_once('/').map_or((text, None), |(base, length)| (base, Some(length)));
        let base: IpAddr = base.parse().map_err(|_| bad())?;
        // A mapped base would count its length in the wrong family.
        if base != base.to_canonical() {
            return Err(bad());
        }
        let most = u8::try_from(width(base)).map_err(|_| bad())?;
        let length = length.map_or(Ok(most), |length| length.parse().map_err(|_| bad()))?;
        if length > most { Err(bad()) } else { Ok(Self { base, length }) }
    }
}

fn width(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_own_addresses_only() {
        let check = |network: &str, ip: &str, expect: bool| {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(ip.parse().unwrap()), expect, "{network:?} {ip}");
        };
        check("10.1.0.0/16", "10.1.255.255", true);
        check("10.1.0.0/16", "10.2.0.0", false);
        check("10.1.0.0/16", "::ffff:10.1.2.3", true);
        check("127.0.0.1", "127.0.0.1", true);
        check("127.0.0.1", "127.0.0.2", false);
        check("0.0.0.0/0", "8.8.8.8", true);
        check("0.0.0.0/0", "2001:4860::8888", false);
        check("::/0", "2001:4860::8888", true);
        check("fd00::/8", "fd12::1", true);
        check("fd00::/8", "fe12::1", false);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "example.com", "10.0.0.0/", "::ffff:10.0.0.0/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
