use super::*;
use crate::config::matcher::CidrRange;

fn range(text: &str) -> CidrRange {
    let (address, length) = text.split_once('/').expect("a slash");
    CidrRange::around(address.parse().expect("an address"), length.parse().expect("a number"))
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn index(chains: &[FilterChainMatch]) -> ChainIndex {
    let mut index = ChainIndex::default();
    for (number, chain) in chains.iter().enumerate() {
        index.add(chain, number).expect("no overlap");
    }
    index
}

const PLAIN: Traits<'_> = Traits {
    local: None,
    remote: None,
    direct_remote: None,
    server_name: "",
    transport_protocol: "",
    application_protocols: &[],
};

#[test]
fn names_come_before_their_suffixes_and_long_suffixes_before_short_ones() {
    let of = |name: &str| FilterChainMatch { server_names: texts(&[name]), ..Default::default() };
    let index = index(&[of("a.b.example"), of(".b.example"), of(".example"), FilterChainMatch::default()]);
    for (name, expected) in [
        ("a.b.example", 0),
        ("x.b.example", 1),
        ("x.y.b.example", 1),
        ("b.example", 2),
        ("example", 3),
        (".example", 2),
        ("other.test", 3),
        ("", 3),
    ] {
        let found = index.find(&Traits { server_name: name, ..PLAIN });
        assert_eq!(found, Some(expected), "{name}");
    }
}

#[test]
fn there_is_no_way_back_from_the_most_specific_entry() {
    let tls = || "tls".to_owned();
    let index = index(&[
        FilterChainMatch {
            server_names: texts(&["a.example"]),
            transport_protocol: tls(),
            application_protocols: texts(&["h2"]),
            ..Default::default()
        },
        FilterChainMatch { transport_protocol: tls(), ..Default::default() },
    ]);
    let offers = ["http/1.1".into(), "h2".into()];
    let asks = Traits { server_name: "a.example", transport_protocol: "tls", ..PLAIN };
    assert_eq!(index.find(&Traits { application_protocols: &offers, ..asks }), Some(0));
    assert_eq!(index.find(&Traits { application_protocols: &offers[..1], ..asks }), None);
    assert_eq!(index.find(&Traits { server_name: "b.example", ..asks }), Some(1));
    assert_eq!(index.find(&Traits { transport_protocol: "raw_buffer", ..asks }), None);
}

#[test]
fn addresses_ports_and_sources_are_looked_at_in_turn() {
    let index = index(&[
        FilterChainMatch { destination_port: Some(80), ..Default::default() },
        FilterChainMatch { prefix_ranges: vec![range("10.0.0.0/8")], ..Default::default() },
        FilterChainMatch {
            prefix_ranges: vec![range("10.1.0.0/16")],
            source_type: SourceType::External,
            source_ports: vec![7],
            ..Default::default()
        },
        FilterChainMatch {
            prefix_ranges: vec![range("10.1.0.0/16")],
            source_type: SourceType::SameIpOrLoopback,
            ..Default::default()
        },
        FilterChainMatch { source_prefix_ranges: vec![range("::1/128")], ..Default::default() },
    ]);
    for (local, remote, expected) in [
        ("10.1.0.1:80", "10.9.9.9:7", Some(0)),
        ("10.2.0.1:81", "10.9.9.9:7", Some(1)),
        ("10.1.0.1:81", "10.9.9.9:7", Some(2)),
        ("10.1.0.1:81", "10.9.9.9:8", None),
        ("10.1.0.1:81", "10.1.0.1:8", Some(3)),
        ("[::1]:81", "[::1]:8", Some(4)),
        ("[::1]:81", "[::2]:8", None),
    ] {
        let (local, remote) = (local.parse().ok(), remote.parse().ok());
        let found = index.find(&Traits { local, remote, direct_remote: remote, ..PLAIN });
        assert_eq!(found, expected, "{local:?} {remote:?}");
    }
}

#[test]
fn what_overlaps_or_multiplies_beyond_measure_is_refused() {
    let mut index = ChainIndex::default();
    let of = |names: &[&str]| FilterChainMatch { server_names: texts(names), ..Default::default() };
    index.add(&of(&["a", "b"]), 0).expect("the first");
    assert_eq!(index.add(&of(&["c", "b"]), 1), Err(Clash::Overlap));
    let many = FilterChainMatch {
        server_names: (0..2000).map(|number| number.to_string()).collect(),
        source_ports: (1..2000).collect(),
        ..Default::default()
    };
    assert_eq!(index.add(&many, 2), Err(Clash::TooMany));
}
