//! Whether a request is a route's: `envoy.config.route.v3.RouteMatch`.

use std::borrow::Cow;

use crate::base::headers::{Headers, Known};
pub use crate::config::matching::{path_len, split_query};
use crate::config::route::{PathMatch, PeerCertificateMatch, RouteMatch};
use crate::config::runtime::{Draw, RuntimeFraction};
use crate::config::value_matcher::{FilterStateMatcher, MetadataMatcher, ObjectMatcher};
use crate::observability::stream_info::{ConnectionInfo, Notes, StateObject};

/// What routes ask of a request, taken apart once.
pub struct Request<'a> {
    headers: &'a Headers,
    /// Without its query, as the request has it; `None` for a CONNECT without one.
    whole_path: Option<&'a [u8]>,
    /// The same as most matchers look at it: it may be without path parameters.
    path: Option<Cow<'a, [u8]>>,
    query: &'a [u8],
    draw: Draw<'a>,
    notes: Option<&'a Notes>,
    /// Whether the client has shown a certificate, and whether that was found good.
    peer_certificate: (bool, bool),
}

impl<'a> Request<'a> {
    /// Takes the headers apart. With `ignore_parameters` each segment of the path ends at its first
    /// semicolon.
    pub fn new(headers: &'a Headers, draw: Draw<'a>, ignore_parameters: bool) -> Self {
        let target = headers.get(Known::Path);
        let (whole_path, query) = target.map_or((None, &b""[..]), |target| {
            let (path, query) = split_query(target);
            (Some(path), query)
        });
        let path = whole_path.map(|path| match ignore_parameters && path.contains(&b';') {
            true => Cow::Owned(without_parameters(path)),
            false => Cow::Borrowed(path),
        });
        Request { headers, whole_path, path, query, draw, notes: None, peer_certificate: (false, false) }
    }

    /// With what filters noted.
    pub fn with_notes(self, notes: Option<&'a Notes>) -> Self {
        Request { notes, ..self }
    }

    /// With what the client has shown of itself.
    pub fn with_connection(self, connection: &ConnectionInfo) -> Self {
        let tls = connection.tls.get();
        let presented = tls.is_some_and(|tls| !tls.peer.is_empty());
        Request { peer_certificate: (presented, tls.is_some_and(|tls| tls.validated)), ..self }
    }

    /// The path without query and fragment, and without what is to be ignored.
    pub fn path(&self) -> Option<&[u8]> {
        self.path.as_deref()
    }

    /// Whether the route takes this request.
    pub fn matches(&self, route: &RouteMatch) -> bool {
        self.path_matches(&route.path, route.case_sensitive)
            && self.is_taken(route.runtime_fraction.as_ref())
            && (!route.grpc || self.is_grpc())
            && route.headers.iter().all(|header| header.matches(self.headers))
            && route.query_parameters.iter().all(|parameter| parameter.matches(self.query))
            && route.cookies.iter().all(|cookie| cookie.matches(self.headers))
            && route.dynamic_metadata.iter().all(|matcher| self.has_metadata(matcher))
            && route.filter_state.iter().all(|matcher| self.has_state(matcher))
            && self.shows(route.peer_certificate)
    }

    fn has_metadata(&self, matcher: &MetadataMatcher) -> bool {
        matcher.matches(self.notes.and_then(|notes| notes.metadata(&matcher.path)))
    }

    fn has_state(&self, matcher: &FilterStateMatcher) -> bool {
        let Some(object) = self.notes.and_then(|notes| notes.state(&matcher.key)) else { return false };
        match (&matcher.object, object) {
            (ObjectMatcher::Text(matcher), object) => matcher.matches(object.text()),
            (ObjectMatcher::Address { ranges, invert }, StateObject::Address(address, _)) => {
                ranges.iter().any(|range| range.contains(address.ip())) != *invert
            }
            (ObjectMatcher::Address { .. }, _) => false,
        }
    }

    /// Whether the client has shown such a certificate; on plain connections none is shown, nor validated.
    fn shows(&self, matcher: PeerCertificateMatch) -> bool {
        let (presented, validated) = self.peer_certificate;
        matcher.presented.is_none_or(|wanted| wanted == presented)
            && matcher.validated.is_none_or(|wanted| wanted == validated)
    }

    fn is_taken(&self, fraction: Option<&RuntimeFraction>) -> bool {
        fraction.is_none_or(|fraction| fraction.value(self.draw.runtime).takes(self.draw.random))
    }

    fn path_matches(&self, matcher: &PathMatch, case_sensitive: bool) -> bool {
        let Some(path) = self.path() else {
            return matches!(matcher, PathMatch::Connect) && self.is_connect();
        };
        let same = |part: &[u8], text: &str| match case_sensitive {
            true => part == text.as_bytes(),
            false => part.eq_ignore_ascii_case(text.as_bytes()),
        };
        let begins = |text: &str| path.len() >= text.len() && same(&path[..text.len()], text);
        match matcher {
            PathMatch::Path(text) => same(path, text),
            PathMatch::Prefix(text) => begins(text),
            PathMatch::PathSeparatedPrefix(text) => {
                begins(text) && path.get(text.len()).is_none_or(|next| *next == b'/')
            }
            PathMatch::SafeRegex(regex) => regex.matches_fully(path),
            PathMatch::UriTemplate(template) => self.whole_path.is_some_and(|path| template.matches(path)),
            PathMatch::Connect => self.is_connect(),
        }
    }

    fn is_connect(&self) -> bool {
        self.headers.get(Known::Method) == Some(b"CONNECT")
    }

    fn is_grpc(&self) -> bool {
        self.headers.get(Known::ContentType).is_some_and(|kind| {
            kind.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest, [] | [b'+', ..]))
        })
    }
}

/// The path with each segment cut at its first semicolon.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/');
    let cut = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default());
    cut.collect::<Vec<_>>().join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::super::testing::{drawn, request, route};
    use super::*;
    use crate::config::matcher::Regex;
    use crate::config::route::UriTemplate;

    fn check(path: PathMatch, case_sensitive: bool, cases: &[(&str, bool)]) {
        let matcher = RouteMatch { case_sensitive, ..route(path).matcher };
        for (target, expected) in cases {
            let headers = request("h", target);
            assert_eq!(
                Request::new(&headers, drawn(0), false).matches(&matcher),
                *expected,
                "{matcher:?} {target}"
            );
        }
    }

    #[test]
    fn prefixes_do_not_see_the_query() {
        check(PathMatch::Prefix("/pq?x".into()), true, &[("/pq?x=1", false)]);
        check(PathMatch::Prefix("/a".into()), true, &[("/ab?c", true), ("/A", false), ("/", false)]);
    }

    #[test]
    fn paths_are_compared_without_their_query() {
        check(
            PathMatch::Path("/p".into()),
            true,
            &[("/p?x", true), ("/p", true), ("/px", false), ("/P", false)],
        );
    }

    #[test]
    fn separated_prefixes_end_at_a_slash_or_the_end() {
        let cases = [("/sep", true), ("/sepx", false), ("/sep/x", true), ("/sep?x", true), ("/sep/", true)];
        check(PathMatch::PathSeparatedPrefix("/sep".into()), true, &cases);
    }

    #[test]
    fn case_counts_only_where_configured() {
        check(PathMatch::Prefix("/CI/".into()), false, &[("/cI/X", true), ("/ci", false)]);
        check(PathMatch::Path("/CIP".into()), false, &[("/cip?x", true), ("/cipx", false)]);
    }

    #[test]
    fn regular_expressions_match_the_whole_path_without_the_query() {
        let regex = PathMatch::SafeRegex(Regex::new("/rx(a|ab)").unwrap());
        check(regex, true, &[("/rxab", true), ("/rxab?q", true), ("/rxabc", false)]);
    }

    #[test]
    fn path_parameters_can_be_ignored_but_by_templates() {
        let cases = [
            (PathMatch::Path("/a".into()), "/a;v=1?q", true),
            (PathMatch::Path("/a/b/".into()), "/a;v/b;;/;?q;", true),
            (PathMatch::Prefix("/a;v".into()), "/a;v=1", false),
            (PathMatch::UriTemplate(UriTemplate::new("/a;v").unwrap()), "/a;v?q", true),
            (PathMatch::UriTemplate(UriTemplate::new("/a").unwrap()), "/a;v", false),
        ];
        for (path, target, expected) in cases {
            let headers = request("h", target);
            let matcher = route(path).matcher;
            let matches = Request::new(&headers, drawn(0), true).matches(&matcher);
            assert_eq!(matches, expected, "{matcher:?} {target}");
        }
    }

    #[test]
    fn grpc_is_told_by_the_content_type() {
        let matcher = RouteMatch { grpc: true, ..route(PathMatch::Prefix("/".into())).matcher };
        let cases = [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc-web", false),
            ("application/grpc;x", false),
        ];
        for (kind, expected) in cases {
            let mut headers = request("h", "/");
            headers.append(Known::ContentType, kind.as_bytes());
            assert_eq!(Request::new(&headers, drawn(0), false).matches(&matcher), expected, "{kind}");
        }
    }

    #[test]
    fn connect_without_a_path_matches_only_connect_routes() {
        let mut headers = Headers::new();
        headers.append(Known::Method, b"CONNECT");
        headers.append(Known::Authority, b"h:443");
        let request = Request::new(&headers, drawn(0), false);
        assert!(request.matches(&route(PathMatch::Connect).matcher));
        assert!(!request.matches(&route(PathMatch::Prefix("/".into())).matcher));
    }
}
