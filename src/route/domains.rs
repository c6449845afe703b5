//! Which virtual host a request's host belongs to.
//!
//! In Envoy's order: the exact domain, the longest `*suffix`, the longest `prefix*`, and `*`. What a `*` stands
//! for is never empty. The port is part of the host unless `ignore_port_in_host_matching` says otherwise.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use crate::config::route::{RouteConfiguration, VirtualHost};

/// Bytes of a host that are put into lower case without allocating.
const USUAL_HOST: usize = 128;

/// The virtual hosts of a table by their domains.
#[derive(Default)]
pub(super) struct Domains {
    exact: Texts,
    suffixes: Wildcards,
    prefixes: Wildcards,
    any: Option<u32>,
    ignore_port: bool,
}

impl Domains {
    /// Collects the domains; where one comes twice the first counts (the configuration refuses that).
    pub(super) fn new(table: &RouteConfiguration) -> Self {
        let mut domains = Domains { ignore_port: table.ignore_port_in_host_matching, ..Domains::default() };
        for (number, host) in table.virtual_hosts.iter().enumerate() {
            for domain in 0..host.domains.len() {
                domains.add(&table.virtual_hosts, Place { host: number as u32, domain: domain as u32 });
            }
        }
        domains.suffixes.sort();
        domains.prefixes.sort();
        domains
    }

    fn add(&mut self, hosts: &[VirtualHost], place: Place) {
        let domain = place.domain(hosts);
        match Kind::of(domain) {
            Kind::Any => {
                self.any.get_or_insert(place.host);
            }
            Kind::Suffix => self.suffixes.add(hosts, place),
            Kind::Prefix => self.prefixes.add(hosts, place),
            Kind::Exact => self.exact.add(hosts, place),
        }
    }

    /// The number of the virtual host for this value of `:authority`.
    pub(super) fn find(&self, hosts: &[VirtualHost], authority: Option<&[u8]>) -> Option<usize> {
        self.lookup(hosts, authority).map(|host| host as usize)
    }

    fn lookup(&self, hosts: &[VirtualHost], authority: Option<&[u8]>) -> Option<u32> {
        if self.exact.is_empty() && self.suffixes.is_empty() && self.prefixes.is_empty() {
            return self.any;
        }
        let authority = authority?;
        let name = if self.ignore_port { without_port(authority) } else { authority };
        let host: SmallVec<[u8; USUAL_HOST]> = name.iter().map(u8::to_ascii_lowercase).collect();
        self.exact
            .find(hosts, &host)
            .or_else(|| self.suffixes.find(hosts, &host, |len| &host[host.len() - len..]))
            .or_else(|| self.prefixes.find(hosts, &host, |len| &host[..len]))
            .or(self.any)
    }
}

/// The host without `:port`; the colons of a bracketed IPv6 address are none.
pub fn without_port(host: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', host) {
        Some(colon) if memchr::memrchr(b']', host).is_none_or(|bracket| bracket < colon) => &host[..colon],
        _ => host,
    }
}

enum Kind {
    Any,
    Suffix,
    Prefix,
    Exact,
}

impl Kind {
    fn of(domain: &str) -> Self {
        match domain {
            "*" => Kind::Any,
            _ if domain.starts_with('*') => Kind::Suffix,
            _ if domain.ends_with('*') => Kind::Prefix,
            _ => Kind::Exact,
        }
    }
}

/// Where a domain is written in the configuration, which holds its text.
#[derive(Clone, Copy)]
struct Place {
    host: u32,
    domain: u32,
}

impl Place {
    fn domain(self, hosts: &[VirtualHost]) -> &str {
        &hosts[self.host as usize].domains[self.domain as usize]
    }

    /// The text that has to be there, without the `*`.
    fn text(self, hosts: &[VirtualHost]) -> &[u8] {
        let domain = self.domain(hosts).as_bytes();
        domain.strip_prefix(b"*").or_else(|| domain.strip_suffix(b"*")).unwrap_or(domain)
    }
}

/// Places by their text, case aside.
#[derive(Default)]
struct Texts {
    places: HashTable<Place>,
    hasher: DefaultHashBuilder,
}

impl Texts {
    fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn add(&mut self, hosts: &[VirtualHost], place: Place) {
        let text = place.text(hosts).to_ascii_lowercase();
        if self.find(hosts, &text).is_some() {
            return;
        }
        let Texts { places, hasher } = self;
        places.insert_unique(hasher.hash_one(&text[..]), place, |place| {
            hasher.hash_one(&place.text(hosts).to_ascii_lowercase()[..])
        });
    }

    fn find(&self, hosts: &[VirtualHost], text: &[u8]) -> Option<u32> {
        self.places
            .find(self.hasher.hash_one(text), |place| place.text(hosts).eq_ignore_ascii_case(text))
            .map(|place| place.host)
    }
}

/// Domains with a `*` at one end.
#[derive(Default)]
struct Wildcards {
    texts: Texts,
    /// The lengths that occur, longest first.
    lengths: Vec<usize>,
}

impl Wildcards {
    fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    fn add(&mut self, hosts: &[VirtualHost], place: Place) {
        self.texts.add(hosts, place);
        self.lengths.push(place.text(hosts).len());
    }

    fn sort(&mut self) {
        self.lengths.sort_unstable_by(|a, b| b.cmp(a));
        self.lengths.dedup();
        self.lengths.shrink_to_fit();
    }

    fn find<'h>(&self, hosts: &[VirtualHost], host: &[u8], part: impl Fn(usize) -> &'h [u8]) -> Option<u32> {
        let fitting = self.lengths.iter().filter(|len| **len < host.len());
        fitting.copied().find_map(|len| self.texts.find(hosts, part(len)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;
    use super::*;

    fn check(configuration: &RouteConfiguration, cases: &[(&str, Option<usize>)]) {
        let domains = Domains::new(configuration);
        for (host, expected) in cases {
            let found = domains.find(&configuration.virtual_hosts, Some(host.as_bytes()));
            assert_eq!(found, *expected, "{host}");
        }
    }

    #[test]
    fn domains_have_envoys_precedence() {
        let hosts = ["*", "*.suf", "*-b.suf", "pre.*", "Exact", "pre.long.*"];
        let cases = [
            ("a.suf", Some(1)),
            (".suf", Some(0)),
            ("suf", Some(0)),
            ("a-b.suf", Some(2)),
            ("pre.a", Some(3)),
            ("pre.", Some(0)),
            ("PRE.LONG.x", Some(5)),
            ("pre.a.suf", Some(1)),
            ("EXACT", Some(4)),
            ("exact:80", Some(0)),
        ];
        check(&table(hosts.map(|domain| vec![domain])), &cases);
    }

    #[test]
    fn without_a_default_unknown_hosts_have_no_virtual_host() {
        check(&table([vec!["a", "a:80"]]), &[("a", Some(0)), ("A:80", Some(0)), ("a:81", None), ("", None)]);
    }

    #[test]
    fn the_port_can_be_ignored() {
        let mut configuration = table([vec!["a"], vec!["[::1]"]]);
        configuration.ignore_port_in_host_matching = true;
        check(
            &configuration,
            &[("a:81", Some(0)), ("[::1]:81", Some(1)), ("[::1]", Some(1)), ("a:", Some(0))],
        );
    }

    #[test]
    fn a_request_without_host_reaches_only_a_lone_default() {
        let lone = table([vec!["*"]]);
        assert_eq!(Domains::new(&lone).find(&lone.virtual_hosts, None), Some(0));
        let two = table([vec!["*"], vec!["a"]]);
        assert_eq!(Domains::new(&two).find(&two.virtual_hosts, None), None);
    }
}
