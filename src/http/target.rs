//! What a request is for (RFC 9112 §3.2): a path, a whole URI, an authority or `*`; and which authorities are none.

use crate::base::headers::{Headers, Known};

use super::local_reply::LocalReply;

/// Brings the request target into `:path` and `:authority`, whichever form it has.
///
/// # Errors
/// The answer to a target or a host that is none.
pub(super) fn settle(request: &mut Headers, allow_absolute: bool) -> Result<(), LocalReply> {
    let method = request.get(Known::Method).unwrap_or_default();
    let target = request.get(Known::Path).unwrap_or_default();
    if method == b"CONNECT" {
        if !is_host_and_port(target) {
            return Err(LocalReply::malformed("http1.invalid_url"));
        }
        let authority = target.to_vec();
        request.set(Known::Authority, &authority);
        request.remove(Known::Path);
    } else if !allow_absolute {
        // As it came: what is no path is no route's, and 404 says so.
    } else if method == b"OPTIONS" && target.first() == Some(&b'*') {
        // What stands behind the asterisk is not looked at.
    } else if target.first() == Some(&b'*') {
        return Err(LocalReply::malformed("http1.invalid_url"));
    } else if target.first() != Some(&b'/') {
        settle_uri(request)?;
    }
    match request.get(Known::Authority) {
        Some(authority) if !is_authority(authority) => Err(LocalReply::malformed("http.invalid_authority")),
        _ => Ok(()),
    }
}

/// A whole URI: its authority counts, whatever `Host` says (RFC 9112 §3.2.2).
fn settle_uri(request: &mut Headers) -> Result<(), LocalReply> {
    let target = request.get(Known::Path).unwrap_or_default();
    let Some(colon) = memchr::memmem::find(target, b"://") else {
        return Err(LocalReply::malformed("http1.codec_error"));
    };
    let (scheme, rest) = (&target[..colon], &target[colon + 3..]);
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(LocalReply::malformed("http1.invalid_scheme"));
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = (without_user(&rest[..end]).to_vec(), &rest[end..]);
    if path.first() == Some(&b'#') {
        return Err(LocalReply::malformed("http1.codec_error"));
    }
    if authority.is_empty() || port(&authority).is_some_and(|port| !is_port(port)) {
        return Err(LocalReply::malformed("http1.invalid_url"));
    }
    let scheme: &[u8] = if scheme.eq_ignore_ascii_case(b"https") { b"https" } else { b"http" };
    // A query alone is no path, which 404 says, as in Envoy.
    let path = if path.is_empty() { b"/".to_vec() } else { path.to_vec() };
    request.set(Known::Authority, &authority);
    request.set(Known::Path, &path);
    request.set(Known::Scheme, scheme);
    Ok(())
}

/// RFC 9110 §4.2.4: who asks is nobody's business behind the proxy.
fn without_user(authority: &[u8]) -> &[u8] {
    memchr::memrchr(b'@', authority).map_or(authority, |at| &authority[at + 1..])
}

fn is_host_and_port(target: &[u8]) -> bool {
    is_authority(target) && target.first() != Some(&b':') && port(target).is_some_and(is_port)
}

/// What stands behind the colon that begins a port.
fn port(authority: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memrchr(b':', authority)?;
    let in_brackets = authority[colon..].contains(&b']');
    (!in_brackets).then(|| &authority[colon + 1..])
}

fn is_port(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<u16>().is_ok())
}

/// The characters of an authority (RFC 3986 §3.2); Envoy asks for no more.
fn is_authority(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%[]".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(method: &str, target: &str, host: &str) -> Result<(String, String), String> {
        let mut headers = Headers::new();
        headers.append(Known::Method, method.as_bytes());
        headers.append(Known::Path, target.as_bytes());
        headers.append(Known::Authority, host.as_bytes());
        settle(&mut headers, true).map_err(|reply| reply.details.into_owned())?;
        let text = |known| String::from_utf8_lossy(headers.get(known).unwrap_or_default()).into_owned();
        Ok((text(Known::Authority), text(Known::Path)))
    }

    #[test]
    fn a_whole_uri_counts_more_than_host() {
        let found = settled("GET", "http://a.example:8443/b?c", "other");
        assert_eq!(found, Ok(("a.example:8443".into(), "/b?c".into())));
        assert_eq!(settled("GET", "HTTP://a", "b"), Ok(("a".into(), "/".into())));
        assert_eq!(settled("GET", "http://a?b", "b"), Ok(("a".into(), "?b".into())));
        assert_eq!(settled("GET", "http://u:p@a/b", "b"), Ok(("a".into(), "/b".into())));
    }

    #[test]
    fn targets_that_are_none_are_told_apart() {
        for (method, target, details) in [
            ("GET", "a", "http1.codec_error"),
            ("GET", "?a", "http1.codec_error"),
            ("GET", "*", "http1.invalid_url"),
            ("GET", "http:///a", "http1.invalid_url"),
            ("GET", "http://a:99999/", "http1.invalid_url"),
            ("GET", "http://a#b", "http1.codec_error"),
            ("GET", "ftp://a/", "http1.invalid_scheme"),
            ("CONNECT", "/a", "http1.invalid_url"),
            ("CONNECT", "a", "http1.invalid_url"),
            ("CONNECT", ":80", "http1.invalid_url"),
        ] {
            assert_eq!(settled(method, target, "h"), Err(details.to_owned()), "{method} {target}");
        }
        assert_eq!(settled("OPTIONS", "*", "h"), Ok(("h".into(), "*".into())));
        assert_eq!(settled("CONNECT", "a:80", "h"), Ok(("a:80".into(), String::new())));
    }

    #[test]
    fn a_host_has_the_characters_of_an_authority() {
        for host in ["", "a,b", "user@a", "a:b", "[::1]:80", "a_b", "a%20b"] {
            assert!(settled("GET", "/", host).is_ok(), "{host}");
        }
        for host in ["a b", "a/b", "a\\b", "\u{e9}", "a#b", "a\tb"] {
            assert_eq!(settled("GET", "/", host), Err("http.invalid_authority".to_owned()), "{host}");
        }
    }
}
