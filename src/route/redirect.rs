//! Where redirects lead: `envoy.config.route.v3.RedirectAction`.

use super::mutation::Render;
use super::rewrite;
use crate::base::headers::{Headers, Known};
use crate::config::route::{PathMatch, PathRedirect, Redirect, SchemeRedirect};

/// `Location` of a redirect.
///
/// The path in `headers` must be the request's with [`rewrite_path`] applied before, as Envoy does it; access
/// logs show it like that. `render` makes the texts of format strings.
pub fn location(redirect: &Redirect, headers: &Headers, render: Render<'_>) -> Vec<u8> {
    let scheme = match &redirect.scheme {
        SchemeRedirect::Keep => headers.get(Known::Scheme).unwrap_or_default(),
        SchemeRedirect::Https => b"https",
        SchemeRedirect::Scheme(scheme) => scheme.as_bytes(),
    };
    let host = match &redirect.host_redirect {
        Some(host) if !host.is_empty() => host.as_bytes(),
        _ => kept_host(headers, scheme, redirect.port_redirect.is_some()),
    };
    let mut uri = Vec::with_capacity(scheme.len() + host.len() + 64);
    uri.extend_from_slice(scheme);
    uri.extend_from_slice(b"://");
    uri.extend_from_slice(host);
    if let Some(port) = redirect.port_redirect {
        uri.push(b':');
        uri.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
    }
    append_path(redirect, headers, render, &mut uri);
    uri
}

/// The path's part of a redirect with `prefix_rewrite` or `regex_rewrite`: to be done before [`location`].
pub fn rewrite_path(redirect: &Redirect, matcher: &PathMatch, headers: &mut Headers, keep_original: bool) {
    if let Some(PathRedirect::Rewrite(path_rewrite)) = &redirect.path {
        rewrite::set_path(path_rewrite, matcher, headers, keep_original, &mut |_, _, _| {});
    }
}

/// `Location` of a direct response with status 201 or 3xx: the request's own URI, as Envoy has it.
pub fn own_location(headers: &Headers) -> Vec<u8> {
    let none = Redirect {
        scheme: SchemeRedirect::Keep,
        host_redirect: None,
        port_redirect: None,
        path: None,
        response_code: 301,
        strip_query: false,
    };
    location(&none, headers, &mut |_, _, _| {})
}

/// `Location` of the 301 for a virtual host that wants TLS. The port stays, whatever it is.
pub fn tls_location(headers: &Headers) -> Vec<u8> {
    let part = |known| headers.get(known).unwrap_or_default();
    [b"https://", part(Known::Authority), part(Known::Path)].concat()
}

/// The request's host; its port goes when another is put in, or when it is the default one of the scheme that
/// changes.
fn kept_host<'h>(headers: &'h Headers, new_scheme: &[u8], new_port: bool) -> &'h [u8] {
    let host = headers.get(Known::Authority).unwrap_or_default();
    let Some(colon) = port_start(host) else { return host };
    let old_scheme = headers.get(Known::XForwardedProto).unwrap_or_default();
    let default_port = match old_scheme {
        b"https" => &b":443"[..],
        b"http" => b":80",
        _ => b"",
    };
    let goes = new_port || (new_scheme != old_scheme && &host[colon..] == default_port);
    if goes { &host[..colon] } else { host }
}

fn port_start(host: &[u8]) -> Option<usize> {
    if host.starts_with(b"[") {
        return memchr::memmem::rfind(host, b"]:").map(|bracket| bracket + 1);
    }
    memchr::memrchr(b':', host)
}

fn append_path(redirect: &Redirect, headers: &Headers, render: Render<'_>, uri: &mut Vec<u8>) {
    let current = headers.get(Known::Path).unwrap_or_default();
    let start = uri.len();
    let mut strip = redirect.strip_query;
    match &redirect.path {
        Some(PathRedirect::Path(path)) => {
            uri.extend_from_slice(path.as_bytes());
            strip &= !append_query(start, current, uri);
        }
        Some(PathRedirect::Format(format)) => {
            render(format, headers, uri);
            if uri.len() == start {
                uri.extend_from_slice(current);
            } else {
                strip &= !append_query(start, current, uri);
            }
        }
        Some(PathRedirect::Rewrite(_)) | None => uri.extend_from_slice(current),
    }
    if uri.get(start) != Some(&b'/') {
        uri.insert(start, b'/');
    }
    if strip && let Some(query) = memchr::memchr(b'?', &uri[start..]) {
        uri.truncate(start + query);
    }
}

/// Puts the request's query behind a path, unless that has one of its own: true then. That stays, whatever else is
/// stripped.
fn append_query(path_start: usize, current: &[u8], uri: &mut Vec<u8>) -> bool {
    if uri[path_start..].contains(&b'?') {
        return true;
    }
    if let Some(query) = memchr::memchr(b'?', current) {
        uri.extend_from_slice(&current[query..]);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::testing::request;
    use super::*;
    use crate::config::route::PathRewrite;

    fn redirect() -> Redirect {
        Redirect {
            scheme: SchemeRedirect::Keep,
            host_redirect: None,
            port_redirect: None,
            path: None,
            response_code: 301,
            strip_query: false,
        }
    }

    /// The cases and their answers are Envoy 1.40's.
    fn check(redirect: &Redirect, prefix: &str, cases: &[(&str, &str, &str, &str)]) {
        for (proto, host, target, expected) in cases {
            let mut headers = request(host, target);
            headers.set(Known::Scheme, proto.as_bytes());
            headers.set(Known::XForwardedProto, proto.as_bytes());
            let matcher = PathMatch::Prefix(prefix.into());
            rewrite_path(redirect, &matcher, &mut headers, true);
            let location = String::from_utf8(location(redirect, &headers, &mut |_, _, _| {})).unwrap();
            assert_eq!(location, *expected, "{redirect:?} {host} {target}");
        }
    }

    #[test]
    fn a_change_of_scheme_drops_the_default_port_of_the_old_one() {
        let https = Redirect { scheme: SchemeRedirect::Https, ..redirect() };
        let cases = [
            ("http", "h", "/r1/a/b?q=1", "https://h/r1/a/b?q=1"),
            ("http", "h:80", "/r1/a", "https://h/r1/a"),
            ("http", "h:443", "/r1/a", "https://h:443/r1/a"),
            ("http", "h:8080", "/r1/a", "https://h:8080/r1/a"),
            ("http", "[::1]:80", "/r1/a", "https://[::1]/r1/a"),
            ("http", "[::1]", "/r1/a", "https://[::1]/r1/a"),
            ("http", "a:b:80", "/r1/a", "https://a:b/r1/a"),
            ("https", "h:443", "/r1", "https://h:443/r1"),
        ];
        check(&https, "/r1", &cases);
        let ftp = Redirect {
            scheme: SchemeRedirect::Scheme("ftp".into()),
            strip_query: true,
            path: Some(PathRedirect::Rewrite(PathRewrite::Prefix("/p?a=b".into()))),
            ..redirect()
        };
        let cases = [
            ("http", "h", "/r9/a/b?q=1", "ftp://h/p"),
            ("https", "h:443", "/r9", "ftp://h/p"),
            ("https", "h:80", "/r9", "ftp://h:80/p"),
            ("http", "h:80", "/r9", "ftp://h/p"),
        ];
        check(&ftp, "/r9", &cases);
    }

    #[test]
    fn a_port_put_in_replaces_the_hosts() {
        let port = Redirect { port_redirect: Some(8443), ..redirect() };
        let cases = [
            ("http", "h:80", "/r2", "http://h:8443/r2"),
            ("http", "[::1]", "/r2", "http://[::1]:8443/r2"),
            ("http", "a:b:80", "/r2", "http://a:b:8443/r2"),
        ];
        check(&port, "/r2", &cases);
        let all = Redirect {
            scheme: SchemeRedirect::Https,
            port_redirect: Some(443),
            host_redirect: Some("q".into()),
            ..redirect()
        };
        check(&all, "/ra", &[("http", "h:80", "/ra?x", "https://q:443/ra?x")]);
    }

    #[test]
    fn a_new_path_takes_the_query_along_unless_it_has_one() {
        let path = |path: &str| Redirect { path: Some(PathRedirect::Path(path.into())), ..redirect() };
        check(&path("/new"), "/r4", &[("http", "h:80", "/r4/a?q=1", "http://h:80/new?q=1")]);
        check(&path("/new"), "/r4", &[("https", "h", "/r4?", "https://h/new?")]);
        check(&path("/new?z=1"), "/r5", &[("http", "h", "/r5/a?q=1", "http://h/new?z=1")]);
        check(&path("/new#frag"), "/rd", &[("http", "h", "/rd/a?q=1", "http://h/new#frag?q=1")]);
        let stripped = Redirect { strip_query: true, ..path("new") };
        check(
            &stripped,
            "/r6",
            &[("http", "h", "/r6/a?q=1", "http://h/new"), ("http", "h", "/r6", "http://h/new")],
        );
    }

    #[test]
    fn a_prefix_is_replaced_and_a_slash_put_before() {
        let prefix = |prefix: &str| Redirect {
            path: Some(PathRedirect::Rewrite(PathRewrite::Prefix(prefix.into()))),
            ..redirect()
        };
        check(&prefix("/p"), "/r7", &[("http", "h", "/r7/a/b?q=1", "http://h/p/a/b?q=1")]);
        check(
            &prefix("x"),
            "/rb/",
            &[("http", "h", "/rb/z?y", "http://h/xz?y"), ("http", "h", "/rb/", "http://h/x")],
        );
    }

    #[test]
    fn the_redirect_to_tls_and_a_direct_responses_location_keep_the_host() {
        let headers = request("tls.x:80", "/a?b");
        assert_eq!(tls_location(&headers), b"https://tls.x:80/a?b");
        assert_eq!(own_location(&headers), b"http://tls.x:80/a?b");
    }
}
