//! Every range from both sides of its edges.

use super::*;

fn check(expect: Kind, addresses: &[&str]) {
    for address in addresses {
        assert_eq!(kind(address.parse().unwrap()), expect, "{address}");
    }
}

#[test]
fn public_addresses_may_be_called() {
    check(
        Kind::Public,
        &[
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2001:200::1",
            "2606:4700::1111",
            "2002:808:808::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ],
    );
}

#[test]
fn private_addresses_are_private_in_every_disguise() {
    check(Kind::Private("loopback"), &["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "2002:7f00:1::"]);
    check(
        Kind::Private("private"),
        &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1", "64:ff9b::10.0.0.1"],
    );
    check(Kind::Private("shared"), &["100.64.0.0", "100.127.255.255", "::ffff:100.64.0.1"]);
    check(Kind::Private("unique local"), &["fc00::", "fdff::1"]);
}

#[test]
fn what_is_no_host_is_closed() {
    check(Kind::Closed("unspecified"), &["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"]);
    check(Kind::Closed("link-local"), &["169.254.169.254", "fe80::1", "febf::", "::ffff:169.254.169.254"]);
    check(Kind::Closed("link-local"), &["64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"]);
    check(Kind::Closed("site-local"), &["fec0::1"]);
    check(Kind::Closed("multicast"), &["224.0.0.1", "239.255.255.255", "ff02::1"]);
    check(Kind::Closed("broadcast"), &["255.255.255.255"]);
    check(Kind::Closed("reserved"), &["240.0.0.1", "255.255.255.254", "4000::1", "5f00::1", "100::1", "1::"]);
    check(Kind::Closed("documentation"), &["192.0.2.1", "198.51.100.1", "203.0.113.9", "2001:db8::1", "3fff::1"]);
    check(Kind::Closed("benchmarking"), &["198.18.0.0", "198.19.255.255"]);
    check(Kind::Closed("protocol assignments"), &["192.0.0.8", "2001::1", "2001:2::1", "2001:1ff::"]);
    check(Kind::Closed("ipv4-compatible"), &["::127.0.0.1", "::8.8.8.8"]);
    check(Kind::Closed("local nat64"), &["64:ff9b:1::10.0.0.1"]);
    check(Kind::Closed("6to4 relay"), &["192.88.99.1"]);
}

#[test]
fn allowing_private_keeps_the_metadata_service_closed() {
    let policy = Policy::new(&HttpConfig { allow_private: true, ..HttpConfig::default() }).unwrap();
    assert_eq!(policy.address("127.0.0.1".parse().unwrap()), Ok(()));
    assert_eq!(policy.address("169.254.169.254".parse().unwrap()), Err("link-local"));
    assert_eq!(policy.address("::ffff:169.254.169.254".parse().unwrap()), Err("link-local"));
}

#[test]
fn an_allowed_network_opens_no_other() {
    let config = HttpConfig { allow_networks: vec!["127.0.0.1".into()], ..HttpConfig::default() };
    let policy = Policy::new(&config).unwrap();
    assert_eq!(policy.address("127.0.0.1".parse().unwrap()), Ok(()));
    assert_eq!(policy.address("127.0.0.2".parse().unwrap()), Err("loopback"));
}

#[test]
fn hosts_are_listed_by_name_or_by_suffix() {
    let config = HttpConfig {
        allow_hosts: vec!["Example.com".into(), "*.good.org".into()],
        deny_hosts: vec!["bad.good.org".into()],
        ..HttpConfig::default()
    };
    let policy = Policy::new(&config).unwrap();
    for (host, expect) in [
        ("example.com", true),
        ("EXAMPLE.COM.", true),
        ("a.example.com", false),
        ("x.good.org", true),
        ("good.org", false),
        ("evilgood.org", false),
        ("bad.good.org", false),
        ("BAD.good.org.", false),
    ] {
        assert_eq!(policy.host(host), expect, "{host}");
    }
    assert!(Policy::default().host("anything.at.all"));
}
