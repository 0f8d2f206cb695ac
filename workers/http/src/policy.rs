//! Decides which addresses and hosts may be called; pure, so that every range is tested with data.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::HttpConfig;

mod network;
pub use network::{BadNetwork, Network};

/// What an address is, as far as calling it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reachable on the public internet.
    Public,
    /// Loopback, private or shared: open when the deployment says so.
    Private(&'static str),
    /// Never a place to send a request to, unless its network is allowed by name.
    Closed(&'static str),
}

/// Whether an address may be called by a deployment that allows nothing special.
pub fn allowed(ip: IpAddr) -> bool {
    kind(ip) == Kind::Public
}

/// Sorts an address; one that carries an IPv4 address inside is judged by that.
pub fn kind(ip: IpAddr) -> Kind {
    match ip {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

fn kind_v4(ip: Ipv4Addr) -> Kind {
    match ip.octets() {
        [127, ..] => Kind::Private("loopback"),
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => Kind::Private("private"),
        [100, 64..=127, ..] => Kind::Private("shared"),
        [0, ..] => Kind::Closed("unspecified"),
        // Holds 169.254.169.254, where clouds hand out credentials.
        [169, 254, ..] => Kind::Closed("link-local"),
        [192, 0, 0, _] => Kind::Closed("protocol assignments"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Kind::Closed("documentation"),
        [192, 88, 99, _] => Kind::Closed("6to4 relay"),
        [198, 18..=19, ..] => Kind::Closed("benchmarking"),
        [224..=239, ..] => Kind::Closed("multicast"),
        [255, 255, 255, 255] => Kind::Closed("broadcast"),
        [240..=255, ..] => Kind::Closed("reserved"),
        _ => Kind::Public,
    }
}

fn kind_v6(ip: Ipv6Addr) -> Kind {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Closed("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private("loopback"),
        // Mapped, translated by the well-known NAT64 prefix, and 6to4: packets end at the IPv4 address inside.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => kind_v4(inner(high, low)),
        [0x2002, high, low, ..] => kind_v4(inner(high, low)),
        [0, 0, 0, 0, 0, 0, ..] => Kind::Closed("ipv4-compatible"),
        [0x64, 0xff9b, ..] => Kind::Closed("local nat64"),
        [0xfc00..=0xfdff, ..] => Kind::Private("unique local"),
        [0xfe80..=0xfebf, ..] => Kind::Closed("link-local"),
        [0xfec0..=0xfeff, ..] => Kind::Closed("site-local"),
        [0xff00..=0xffff, ..] => Kind::Closed("multicast"),
        // Teredo, benchmarking, ORCHID and other protocol assignments.
        [0x2001, 0..=0x1ff, ..] => Kind::Closed("protocol assignments"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Kind::Closed("documentation"),
        [0x2000..=0x3fff, ..] => Kind::Public,
        // Only 2000::/3 is given out for public use, so what is unknown today stays closed.
        _ => Kind::Closed("reserved"),
    }
}

fn inner(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))
}

/// The deployment's answer to "may this be called?".
#[derive(Debug, Clone, Default)]
pub struct Policy {
    allow_private: bool,
    networks: Vec<Network>,
    allow_hosts: Vec<String>,
    deny_hosts: Vec<String>,
}

impl Policy {
    /// Reads the policy out of the configuration.
    ///
    /// # Errors
    /// When a network is not written as `address/length`.
    pub fn new(config: &HttpConfig) -> Result<Self, BadNetwork> {
        let lower = |hosts: &[String]| hosts.iter().map(|host| plain_host(host)).collect();
        Ok(Self {
            allow_private: config.allow_private,
            networks: config.allow_networks.iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
            allow_hosts: lower(&config.allow_hosts),
            deny_hosts: lower(&config.deny_hosts),
        })
    }

    /// Whether this address may be connected to; if not, what kind it is.
    ///
    /// # Errors
    /// The kind of the address, in a word, when it may not.
    pub fn address(&self, ip: IpAddr) -> Result<(), &'static str> {
        match kind(ip) {
            Kind::Public => Ok(()),
            Kind::Private(_) if self.allow_private => Ok(()),
            _ if self.networks.iter().any(|network| network.contains(ip)) => Ok(()),
            Kind::Private(what) | Kind::Closed(what) => Err(what),
        }
    }

    /// Whether this host name or literal address may be called by name.
    pub fn host(&self, host: &str) -> bool {
        let host = plain_host(host);
        let listed = |list: &[String]| list.iter().any(|pattern| matches(pattern, &host));
        !listed(&self.deny_hosts) && (self.allow_hosts.is_empty() || listed(&self.allow_hosts))
    }
}

/// Lower case, without the trailing dot that names the same host.
fn plain_host(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => pattern == host,
    }
}

#[cfg(test)]
mod tests;
