//! What is asked of a subject: `envoy.config.rbac.v3.Permission` and `Principal`, which ask in the same ways.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::extension::{MtlsAuthenticated, UpstreamIpPort};
use crate::base::headers::Known;
use crate::config::match_tree::Subject;
use crate::config::matcher::{CidrRange, HeaderMatcher, StringMatcher};
use crate::config::matching::path_len;
use crate::config::route::UriTemplate;
use crate::config::value_matcher::{FilterStateMatcher, MetadataMatcher, ObjectMatcher};

/// A permission or a principal.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// `any`: it always holds.
    Any,
    /// `and_rules`, `and_ids`: all of these hold.
    All(Vec<Rule>),
    /// `or_rules`, `or_ids`: one of these holds.
    OneOf(Vec<Rule>),
    /// `not_rule`, `not_id`: this does not hold.
    Not(Box<Rule>),
    /// `header`: the request has this header.
    Header(HeaderMatcher),
    /// `url_path`: the request's path, without its query.
    Path(StringMatcher),
    /// `uri_template`: the request's path, likewise.
    Template(UriTemplate),
    /// `destination_ip`: where the client wanted to go.
    DestinationIp(CidrRange),
    /// `destination_port`, `destination_port_range`: the port there; the end is excluded.
    DestinationPort(Range<u32>),
    /// `requested_server_name`: the name that the client asked for (SNI).
    ServerName(StringMatcher),
    /// `source_ip`: the client as the connection has it.
    ConnectionIp(CidrRange),
    /// `direct_remote_ip`: the client as the socket has it.
    DirectIp(CidrRange),
    /// `remote_ip`: the client, whoever says where it is.
    RemoteIp(CidrRange),
    /// `authenticated`: TLS is spoken, and a name in the client's certificate, or else its subject, is this.
    Authenticated(Option<StringMatcher>),
    /// `metadata`, `sourced_metadata`: what filters noted.
    Metadata(MetadataMatcher),
    /// `filter_state`
    State(FilterStateMatcher),
    /// `custom`: the client's certificate was found good.
    MtlsAuthenticated(MtlsAuthenticated),
    /// `matcher`: where the name leads to that the connection is for.
    Upstream(UpstreamIpPort),
}

impl Rule {
    /// Whether it holds for a subject.
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        let peers = &subject.peers;
        let within = |range: &CidrRange, address: Option<SocketAddr>| {
            address.is_some_and(|address| range.contains(address.ip()))
        };
        match self {
            Rule::Any => true,
            Rule::All(rules) => rules.iter().all(|rule| rule.holds(subject)),
            Rule::OneOf(rules) => rules.iter().any(|rule| rule.holds(subject)),
            Rule::Not(rule) => !rule.holds(subject),
            Rule::Header(matcher) => matcher.matches(subject.headers),
            Rule::Path(matcher) => path(subject).is_some_and(|path| matcher.matches(path)),
            Rule::Template(template) => path(subject).is_some_and(|path| template.matches(path)),
            Rule::DestinationIp(range) => within(range, peers.destination),
            Rule::DestinationPort(range) => {
                peers.destination.is_some_and(|address| range.contains(&address.port().into()))
            }
            Rule::ServerName(matcher) => matcher.matches(peers.server_name.as_bytes()),
            Rule::ConnectionIp(range) => within(range, peers.connection_source),
            Rule::DirectIp(range) => within(range, peers.direct_source),
            Rule::RemoteIp(range) => within(range, peers.source),
            Rule::Authenticated(_) if !peers.is_tls => false,
            Rule::Authenticated(None) => true,
            Rule::Authenticated(Some(matcher)) => is_named(matcher, subject),
            Rule::Metadata(matcher) => {
                matcher.matches(subject.notes.and_then(|notes| notes.metadata(&matcher.path)))
            }
            Rule::State(matcher) => has_state(matcher, subject),
            Rule::MtlsAuthenticated(rule) => rule.holds(subject),
            Rule::Upstream(rule) => rule.holds(subject),
        }
    }

    /// A header that is asked about, if any is.
    pub(super) fn header(&self) -> Option<&str> {
        match self {
            Rule::Header(matcher) => Some(&matcher.name),
            Rule::All(rules) | Rule::OneOf(rules) => rules.iter().find_map(Rule::header),
            Rule::Not(rule) => rule.header(),
            _ => None,
        }
    }
}

/// The path of a request, without its query.
fn path<'a>(subject: &Subject<'a>) -> Option<&'a [u8]> {
    let target = subject.headers.get(Known::Path)?;
    Some(&target[..path_len(target)])
}

/// Whether one of the names in the certificate matches. One that has none, like no certificate, has an empty subject.
fn is_named(matcher: &StringMatcher, subject: &Subject<'_>) -> bool {
    let Some(certificate) = &subject.peers.certificate else { return matcher.matches(b"") };
    let mut names = certificate.uris.iter().chain(certificate.dns_names);
    names.any(|name| matcher.matches(name.as_bytes())) || matcher.matches(certificate.subject.as_bytes())
}

fn has_state(matcher: &FilterStateMatcher, subject: &Subject<'_>) -> bool {
    let Some(text) = subject.notes.and_then(|notes| notes.state(&matcher.key)) else { return false };
    match &matcher.object {
        ObjectMatcher::Text(matcher) => matcher.matches(text),
        ObjectMatcher::Address { ranges, invert } => {
            address(text).is_some_and(|address| ranges.iter().any(|range| range.contains(address)) != *invert)
        }
    }
}

/// The address that the text of an object tells.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let with_port = text.parse().map(|address: SocketAddr| address.ip());
    with_port.or_else(|_| text.parse()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::headers::Headers;
    use crate::config::match_tree::{PeerCertificate, Peers};
    use crate::config::matcher::{HeaderTest, StringPattern};
    use crate::config::runtime::Values;

    fn holds(rule: &Rule, peers: Peers<'_>, path: Option<&str>) -> bool {
        let (mut headers, runtime) = (Headers::new(), Values::default());
        path.into_iter().for_each(|path| headers.append(Known::Path, path.as_bytes()));
        rule.holds(&Subject { peers, ..Subject::of_headers(&headers, &runtime) })
    }

    fn exact(text: &str) -> StringMatcher {
        StringMatcher { pattern: StringPattern::Exact(text.into()), ignore_case: false }
    }

    #[test]
    fn who_is_known_by_a_name_or_by_the_subject_is_authenticated() {
        let (uris, dns_names) = (["spiffe://a".to_owned()], ["b.example".to_owned()]);
        let certificate =
            Some(PeerCertificate { uris: &uris, dns_names: &dns_names, subject: "CN=c", names: None });
        let known = Peers { is_tls: true, certificate, ..Peers::default() };
        let unknown = Peers { is_tls: true, ..Peers::default() };
        for name in ["spiffe://a", "b.example", "CN=c"] {
            assert!(holds(&Rule::Authenticated(Some(exact(name))), known, None), "{name}");
            assert!(!holds(&Rule::Authenticated(Some(exact(name))), unknown, None), "{name}");
        }
        assert!(!holds(&Rule::Authenticated(Some(exact("d"))), known, None));
        assert!(holds(&Rule::Authenticated(None), unknown, None));
        assert!(!holds(&Rule::Authenticated(None), Peers::default(), None));
    }

    #[test]
    fn a_path_is_asked_without_its_query_and_a_connection_has_none() {
        let rule = Rule::Path(exact("/a"));
        assert!(holds(&rule, Peers::default(), Some("/a?b=c")));
        assert!(!holds(&rule, Peers::default(), Some("/a/")));
        assert!(!holds(&rule, Peers::default(), None));
        assert!(holds(&Rule::Not(Box::new(rule)), Peers::default(), None));
    }

    #[test]
    fn ports_lie_before_the_end_of_their_range() {
        let to =
            |port| Peers { destination: Some(SocketAddr::from(([127, 0, 0, 1], port))), ..Peers::default() };
        let rule = Rule::DestinationPort(80..90);
        let held: Vec<bool> = [79, 80, 89, 90].into_iter().map(|port| holds(&rule, to(port), None)).collect();
        assert_eq!(held, [false, true, true, false]);
        assert!(!holds(&rule, Peers::default(), None), "a Unix socket has no port");
    }

    #[test]
    fn a_header_is_found_wherever_it_is_asked_about() {
        let header = || {
            let test = HeaderTest::Present(true);
            Rule::Header(HeaderMatcher {
                name: "x".to_owned(),
                test,
                invert: false,
                treat_missing_as_empty: false,
            })
        };
        assert!(!holds(&header(), Peers::default(), Some("/")), "the request has none");
        let within = Rule::Not(Box::new(Rule::OneOf(vec![Rule::Any, Rule::All(vec![header()])])));
        assert_eq!(within.header(), Some("x"));
        assert_eq!(Rule::Any.header(), None);
    }
}
