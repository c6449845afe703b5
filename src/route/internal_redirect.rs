//! Redirects of hosts that are followed here: `envoy.config.route.v3.InternalRedirectPolicy`.

use std::sync::Arc;

use crate::base::headers::{Headers, Known, Name};
use crate::config::route::{InternalRedirectPolicy, RedirectPredicate};
use crate::observability::stream_info::{Notes, StateObject};

/// Where a redirect leads to: the URI in `location`, which must be a whole one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location<'l> {
    scheme: &'l [u8],
    authority: &'l [u8],
    path: &'l [u8],
}

impl<'l> Location<'l> {
    /// Reads it; `None` when it is no URI with a host. Its fragment and its user are left out. It is read as Envoy reads
    /// it: nothing is decoded.
    pub fn parse(text: &'l [u8]) -> Option<Self> {
        let colon = memchr::memmem::find(text, b"://")?;
        let (scheme, rest) = (&text[..colon], &text[colon + 3..]);
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = match memchr::memrchr(b'@', authority) {
            Some(at) if authority[..at].iter().all(is_of_user) => &authority[at + 1..],
            Some(_) => return None,
            None => authority,
        };
        let path = &path[..memchr::memchr(b'#', path).unwrap_or(path.len())];
        let whole = !scheme.is_empty() && scheme.iter().all(u8::is_ascii_alphabetic);
        if !whole || !is_authority(authority) || !rest[end..].iter().all(u8::is_ascii_graphic) {
            return None;
        }
        Some(Location { scheme, authority, path: if path.is_empty() { b"/" } else { path } })
    }

    /// Whether its scheme is `http`.
    pub fn is_http(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"http")
    }
}

fn is_authority(text: &[u8]) -> bool {
    let (host, port) = match memchr::memrchr(b':', text) {
        Some(colon) if !text[colon..].contains(&b']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    };
    let is_port = |port: &[u8]| std::str::from_utf8(port).is_ok_and(|port| port.parse::<u16>().is_ok());
    port.is_none_or(is_port) && is_host(host)
}

fn is_host(text: &[u8]) -> bool {
    match text {
        [b'[', address @ .., b']'] => {
            std::str::from_utf8(address).is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
        }
        _ => {
            !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte))
        }
    }
}

/// The characters of what may stand before an `@` (RFC 3986 §3.2.1).
fn is_of_user(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()%;:&=+$,".contains(byte)
}

/// A step from one route to another that a redirect asks for.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'h> {
    /// Name of the route that the redirect came by; empty if it has none.
    pub from: &'h str,
    /// Name of the route that it leads to, likewise.
    pub to: &'h str,
    /// Whether the client speaks TLS.
    pub from_tls: bool,
    /// Whether it leads to an `https` URI.
    pub to_tls: bool,
}

/// The redirects that one request took.
#[derive(Clone, Debug, Default)]
pub struct Redirects {
    /// How many were followed.
    pub followed: u32,
    /// Bytes of bodies that came before the last one was.
    pub received: u64,
    /// The steps that the predicate `previous_routes` has seen: from which route, to which.
    seen: Vec<(Arc<str>, Arc<str>)>,
}

impl Redirects {
    /// Whether all of the policy's predicates accept the step; `notes` has the filter state of the request.
    pub fn accept(&mut self, policy: &InternalRedirectPolicy, hop: Hop<'_>, notes: Option<&Notes>) -> bool {
        policy.predicates.iter().all(|predicate| match predicate {
            RedirectPredicate::AllowListedRoutes(names) => names.iter().any(|name| name == hop.to),
            RedirectPredicate::PreviousRoutes => self.is_new(hop),
            RedirectPredicate::SafeCrossScheme => hop.from_tls || !hop.to_tls,
            RedirectPredicate::FilterState { key, if_absent } => {
                notes.and_then(|notes| notes.state(key)).map_or(*if_absent, is_true)
            }
        })
    }

    fn is_new(&mut self, hop: Hop<'_>) -> bool {
        let is_new = !self.seen.iter().any(|(from, to)| **from == *hop.from && **to == *hop.to);
        if is_new {
            self.seen.push((hop.from.into(), hop.to.into()));
        }
        is_new
    }
}

/// Whether an object of the filter state is the truth `true`; a text that reads like it is none, as in Envoy.
fn is_true(object: &StateObject) -> bool {
    matches!(object, StateObject::Value(text) if **text == *b"true")
}

/// Makes the request one for the redirect's URI, with what the policy copies of the response.
pub fn redirect(
    policy: &InternalRedirectPolicy,
    location: &Location<'_>,
    request: &mut Headers,
    response: &Headers,
) {
    for name in &policy.response_headers_to_copy {
        let name = Name::new(name.as_bytes());
        request.remove(name);
        for (_, value) in response.iter().filter(|(other, _)| *other == name) {
            request.append(name, value);
        }
    }
    request.set(Known::Scheme, location.scheme);
    request.set(Known::Authority, location.authority);
    request.set(Known::Path, location.path);
}

/// Tells the host of the URI that a request had before it was redirected.
pub fn tell_original(from_tls: bool, before: &Headers, request: &mut Headers) {
    let part = |name| before.get(name).unwrap_or_default();
    let scheme: &[u8] = if from_tls { b"https" } else { b"http" };
    let url = [scheme, b"://", part(Known::Authority), part(Known::Path)].concat();
    request.set(Name::new(b"x-envoy-original-url"), &url);
}

/// What a 303 makes of a request that is no GET (RFC 9110 §15.4.4). False when it stays what it is.
pub fn becomes_get(status: u16, request: &mut Headers) -> bool {
    let method = request.get(Known::Method).unwrap_or_default();
    let changes = status == 303 && method != b"GET" && method != b"HEAD";
    if changes {
        request.set(Known::Method, b"GET");
        request.remove(Known::ContentLength);
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_whole_uri() {
        let parsed = |text: &str| {
            let location = Location::parse(text.as_bytes())?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some((location.is_http(), text(location.authority), text(location.path)))
        };
        for (text, http, authority, path) in [
            ("http://a", true, "a", "/"),
            ("HTTPS://a:8443/b?c#d", false, "a:8443", "/b?c"),
            ("http://a?b", true, "a", "?b"),
            ("http://[::1]:80/#x", true, "[::1]:80", "/"),
            ("http://b:c@a:0/../%zz\\", true, "a:0", "/../%zz\\"),
            ("ftp://a/", false, "a", "/"),
        ] {
            assert_eq!(parsed(text), Some((http, authority.into(), path.into())), "{text}");
        }
        for text in ["", "/a", "//a/b", "://a", "http://", "http:///a", "http://a b/", "a", "http://a#b"] {
            assert_eq!(parsed(text), None, "{text}");
        }
        for text in
            ["http://a:/", "http://a:b/", "http://a:70000/", "http://a/b c", "http://a/\u{e4}", "http://[a]"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    fn policy(predicates: Vec<RedirectPredicate>) -> InternalRedirectPolicy {
        InternalRedirectPolicy {
            max_internal_redirects: 1,
            response_codes: vec![302],
            predicates,
            allow_cross_scheme_redirect: false,
            response_headers_to_copy: vec!["x-copied".into(), "x-lost".into()],
        }
    }

    #[test]
    fn a_route_redirects_once_to_each_other() {
        let policy = policy(vec![RedirectPredicate::PreviousRoutes]);
        let mut redirects = Redirects::default();
        let mut accepts =
            |from, to| redirects.accept(&policy, Hop { from, to, from_tls: false, to_tls: false }, None);
        assert!(accepts("a", "b") && accepts("b", "a") && accepts("a", ""));
        assert!(!accepts("a", "b") && !accepts("a", ""));
    }

    #[test]
    fn names_and_schemes_are_looked_at() {
        let mut redirects = Redirects::default();
        let listed = policy(vec![RedirectPredicate::AllowListedRoutes(vec!["b".to_owned()])]);
        let hop = Hop { from: "a", to: "b", from_tls: false, to_tls: true };
        assert!(redirects.accept(&listed, hop, None));
        assert!(!redirects.accept(&listed, Hop { to: "", ..hop }, None));
        let safe = policy(vec![RedirectPredicate::SafeCrossScheme]);
        for (from_tls, to_tls, expected) in [(false, true, false), (true, true, true), (true, false, true)] {
            assert_eq!(redirects.accept(&safe, Hop { from_tls, to_tls, ..hop }, None), expected);
        }
    }

    #[test]
    fn headers_are_copied_as_often_as_they_are_there() {
        let mut request = Headers::new();
        let mut response = Headers::new();
        for (name, value) in [("x-copied", "old"), ("x-lost", "1"), ("x-kept", "2")] {
            request.append_received(name.as_bytes(), value.as_bytes());
        }
        for value in ["a", "b"] {
            response.append_received(b"x-copied", value.as_bytes());
        }
        let location = Location::parse(b"https://h/p").expect("a location");
        redirect(&policy(Vec::new()), &location, &mut request, &response);
        let copied = request.iter().filter(|(name, _)| *name == Name::new(b"x-copied"));
        assert_eq!(copied.map(|(_, value)| value).collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(request.get_by_name(b"x-lost"), None);
        assert_eq!(request.get_by_name(b"x-kept"), Some(&b"2"[..]));
        assert_eq!(request.get(Known::Path), Some(&b"/p"[..]));
    }

    #[test]
    fn a_303_makes_a_get_of_all_but_head() {
        for (status, method, expected) in [(303, "POST", "GET"), (303, "HEAD", "HEAD"), (302, "POST", "POST")]
        {
            let mut request = Headers::new();
            request.append(Known::Method, method.as_bytes());
            becomes_get(status, &mut request);
            assert_eq!(request.get(Known::Method), Some(expected.as_bytes()));
        }
    }
}
