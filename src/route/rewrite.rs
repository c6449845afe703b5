//! New paths and hosts for a request before it is forwarded.

use super::matcher::path_len;
use super::mutation::Render;
use crate::base::headers::{Headers, Known};
use crate::config::format::Format;
use crate::config::route::{HostRewrite, PathMatch, PathRewrite, RouteAction, WeightedCluster};

/// What makes the texts of format strings.
pub struct Renderers<'r> {
    /// Of paths: what is not there leaves nothing.
    pub path: Render<'r>,
    /// Of hosts: what is not there leaves a dash, as in Envoy.
    pub host: Render<'r>,
}

#[cfg(test)]
impl Renderers<'_> {
    /// For rewrites without formats.
    fn none() -> Renderers<'static> {
        Renderers { path: Box::leak(Box::new(|_, _, _| {})), host: Box::leak(Box::new(|_, _, _| {})) }
    }
}

/// Changes host and path of a request as its route says; header mutations come before.
///
/// `keep_original` leaves what was there in `x-envoy-original-path` and `x-envoy-original-host`: it is the
/// router's `suppress_envoy_headers`, inverted. [`HostRewrite::Auto`] is done with [`set_host`] once the
/// upstream host is chosen.
pub fn apply(
    action: &RouteAction,
    weighted: Option<&WeightedCluster>,
    matcher: &PathMatch,
    headers: &mut Headers,
    keep_original: bool,
    renderers: Renderers<'_>,
) {
    if let Some(host) = weighted.and_then(|cluster| cluster.host_rewrite_literal.as_ref()) {
        headers.set(Known::Authority, host.as_bytes());
    }
    if let Some(host) =
        action.host_rewrite.as_ref().and_then(|rewrite| new_host(rewrite, headers, renderers.host))
    {
        set_host(&host, action.append_x_forwarded_host, headers, keep_original);
    }
    if let Some(rewrite) = &action.path_rewrite {
        set_path(rewrite, matcher, headers, keep_original, renderers.path);
    }
}

fn new_host(rewrite: &HostRewrite, headers: &Headers, render: Render<'_>) -> Option<Vec<u8>> {
    let host = match rewrite {
        HostRewrite::Literal(host) => host.as_bytes().to_vec(),
        HostRewrite::Header(name) => headers.get_by_name(name.as_bytes())?.to_vec(),
        HostRewrite::PathRegex(substitution) => {
            let target = headers.get(Known::Path).unwrap_or_default();
            substitution.apply(&target[..path_len(target)])
        }
        HostRewrite::Format(format) => rendered(format, headers, render),
        HostRewrite::Auto => return None,
    };
    (!host.is_empty()).then_some(host)
}

fn rendered(format: &Format, headers: &Headers, render: Render<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    render(format, headers, &mut text);
    text
}

/// Gives a request another host.
///
/// With `append_forwarded` the old one goes to the end of `x-forwarded-host`, unless it stands there already.
/// As in Envoy, only a value after a comma without a space counts as standing there.
pub fn set_host(host: &[u8], append_forwarded: bool, headers: &mut Headers, keep_original: bool) {
    let old = headers.get(Known::Authority).unwrap_or_default().to_vec();
    if keep_original && !old.is_empty() {
        headers.set(Known::XEnvoyOriginalHost, &old);
    }
    if append_forwarded && !old.is_empty() {
        append_forwarded_host(&old, headers);
    }
    headers.set(Known::Authority, host);
}

fn append_forwarded_host(host: &[u8], headers: &mut Headers) {
    let values: Vec<&[u8]> = headers.get_all(Known::XForwardedHost.into()).collect();
    let joined = values.join(&b","[..]);
    if joined.split(|byte| *byte == b',').rfind(|part| !part.is_empty()) == Some(host) {
        return;
    }
    let value = if joined.is_empty() { host.to_vec() } else { [&joined, &b","[..], host].concat() };
    headers.set(Known::XForwardedHost, &value);
}

/// Gives a request another path: in place of what the match took, or of the whole path. The query stays.
pub fn set_path(
    rewrite: &PathRewrite,
    matcher: &PathMatch,
    headers: &mut Headers,
    keep_original: bool,
    render: Render<'_>,
) {
    let Some(target) = headers.get(Known::Path) else { return };
    let new = match rewrite {
        // An empty prefix means that none is configured.
        PathRewrite::Prefix(prefix) if prefix.is_empty() => return,
        PathRewrite::Prefix(prefix) => [prefix.as_bytes(), &target[matched_len(matcher, target)..]].concat(),
        PathRewrite::Regex(substitution) => {
            let path = substitution.apply(&target[..path_len(target)]);
            let Some(new) = with_query(path, target) else { return };
            new
        }
        PathRewrite::Format(format) => {
            let Some(new) = with_query(rendered(format, headers, render), target) else { return };
            new
        }
        PathRewrite::Template(new) => {
            let PathMatch::UriTemplate(template) = matcher else { return };
            let path = new.apply(template, &target[..path_len(target)]);
            let Some(new) = path.and_then(|path| with_query(path, target)) else { return };
            new
        }
    };
    if keep_original {
        let old = target.to_vec();
        headers.set(Known::XEnvoyOriginalPath, &old);
    }
    headers.set(Known::Path, &new);
}

/// A new path with the query of the old target; `None` where it is empty: a request without a path is none.
fn with_query(mut path: Vec<u8>, target: &[u8]) -> Option<Vec<u8>> {
    if path.is_empty() {
        return None;
    }
    path.extend_from_slice(&target[path_len(target)..]);
    Some(path)
}

/// Bytes of a request target that a match took, which is what a prefix rewrite replaces.
fn matched_len(matcher: &PathMatch, target: &[u8]) -> usize {
    match matcher {
        PathMatch::Prefix(text) | PathMatch::Path(text) | PathMatch::PathSeparatedPrefix(text) => {
            text.len().min(target.len())
        }
        PathMatch::SafeRegex(_) | PathMatch::UriTemplate(_) | PathMatch::Connect => path_len(target),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{request, route_action};
    use super::*;
    use crate::config::matcher::{Regex, Substitution};

    /// `:path`, then `x-envoy-original-path`. The cases and their answers are Envoy 1.40's.
    fn check_path(rewrite: PathRewrite, matcher: PathMatch, cases: &[(&str, &str)]) {
        let action = RouteAction { path_rewrite: Some(rewrite), ..route_action() };
        for (target, expected) in cases {
            let mut headers = request("h", target);
            apply(&action, None, &matcher, &mut headers, true, Renderers::none());
            assert_eq!(headers.get(Known::Path), Some(expected.as_bytes()), "{target}");
            assert_eq!(headers.get(Known::XEnvoyOriginalPath), Some(target.as_bytes()));
        }
    }

    #[test]
    fn a_prefix_rewrite_replaces_what_the_match_took() {
        let new = || PathRewrite::Prefix("/new".into());
        check_path(new(), PathMatch::Prefix("/f1".into()), &[("/f1x/y?z", "/newx/y?z"), ("/f1?z", "/new?z")]);
        check_path(new(), PathMatch::Path("/f2".into()), &[("/f2?z", "/new?z")]);
        check_path(new(), PathMatch::SafeRegex(Regex::new("/f3.*").unwrap()), &[("/f3/y?z", "/new?z")]);
        check_path(
            new(),
            PathMatch::PathSeparatedPrefix("/fa".into()),
            &[("/fa/x?y", "/new/x?y"), ("/fa?y", "/new?y")],
        );
    }

    #[test]
    fn a_regex_rewrite_replaces_every_match_in_the_path() {
        let digits = Substitution::new("[0-9]*", r"<\0>").unwrap();
        let cases = [("/f4/1a22?9", "<>/<>f<4>/<1>a<22>?9")];
        check_path(PathRewrite::Regex(digits), PathMatch::Prefix("/f4".into()), &cases);
    }

    #[test]
    fn nothing_is_kept_where_envoys_headers_are_suppressed() {
        let mut headers = request("h", "/a");
        set_path(
            &PathRewrite::Prefix("/b".into()),
            &PathMatch::Prefix("/a".into()),
            &mut headers,
            false,
            &mut |_, _, _| {},
        );
        set_host(b"lit", false, &mut headers, false);
        assert!(!headers.contains(Known::XEnvoyOriginalPath) && !headers.contains(Known::XEnvoyOriginalHost));
    }

    fn host(rewrite: HostRewrite, received: &[(&str, &str)]) -> Headers {
        let action =
            RouteAction { host_rewrite: Some(rewrite), append_x_forwarded_host: true, ..route_action() };
        let mut headers = request("orig", "/f8/host?q");
        received.iter().for_each(|(name, value)| headers.append_received(name.as_bytes(), value.as_bytes()));
        apply(&action, None, &PathMatch::Prefix("/".into()), &mut headers, true, Renderers::none());
        headers
    }

    #[test]
    fn a_new_host_keeps_the_old_one_in_two_headers() {
        let headers = host(HostRewrite::Literal("lit".into()), &[]);
        assert_eq!(headers.get(Known::Authority), Some(&b"lit"[..]));
        assert_eq!(headers.get(Known::XEnvoyOriginalHost), Some(&b"orig"[..]));
        assert_eq!(headers.get(Known::XForwardedHost), Some(&b"orig"[..]));
    }

    #[test]
    fn the_forwarded_host_is_appended_unless_it_is_the_last() {
        let cases: [(&[(&str, &str)], &str); 4] = [
            (&[("x-forwarded-host", "a, orig")], "a, orig,orig"),
            (&[("x-forwarded-host", "orig, b")], "orig, b,orig"),
            (&[("x-forwarded-host", "orig"), ("x-forwarded-host", "c")], "orig,c,orig"),
            (&[("x-forwarded-host", "a,orig")], "a,orig"),
        ];
        for (received, expected) in cases {
            let headers = host(HostRewrite::Literal("lit".into()), received);
            let values: Vec<&[u8]> = headers.get_all(Known::XForwardedHost.into()).collect();
            assert_eq!(values, [expected.as_bytes()]);
        }
    }

    #[test]
    fn a_missing_or_empty_header_leaves_the_host() {
        let cases: [(&[(&str, &str)], &str); 3] =
            [(&[], "orig"), (&[("hh", "")], "orig"), (&[("hh", "new"), ("hh", "other")], "new")];
        for (received, expected) in cases {
            let headers = host(HostRewrite::Header("hh".into()), received);
            assert_eq!(headers.get(Known::Authority), Some(expected.as_bytes()));
        }
    }

    #[test]
    fn the_host_can_come_from_the_path() {
        let substitution = Substitution::new("^/f8/(.+)$", r"\1").unwrap();
        let headers = host(HostRewrite::PathRegex(substitution), &[]);
        assert_eq!(headers.get(Known::Authority), Some(&b"host"[..]));
    }
}
