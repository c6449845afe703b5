//! Headers between our list and the maps of the `http` crate.

use bytes::Bytes;
use h2::ext::Protocol;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};

use crate::base::headers::{Headers, Known, Name};
use crate::codec::h1::ParseError;

use super::meter::Fault;

/// What only an HTTP/1.1 connection knows (RFC 9113 §8.2.2).
const CONNECTION_ONLY: &[Known] =
    &[Known::Connection, Known::KeepAlive, Known::ProxyConnection, Known::TransferEncoding, Known::Upgrade];

/// What `h2` lets pass although RFC 9113 §8 forbids it and HTTP/1.1, to which the message may be forwarded, would read
/// it in more than one way, or not at all.
pub(super) fn check(map: &HeaderMap) -> Result<(), ParseError> {
    if length_is_ambiguous(map) {
        return Err(ParseError::ContentLength);
    }
    check_names(map)
}

/// What of a request besides: each field for itself, then what it has to have.
pub(super) fn check_request(parts: &http::request::Parts) -> Result<(), Fault> {
    if !has_fine_host(parts) || check(&parts.headers).is_err() {
        return Err(Fault::Field);
    }
    if parts.extensions.get::<Protocol>().is_some_and(|protocol| protocol.as_str().is_empty()) {
        return Err(Fault::Field);
    }
    if has_target(parts) { Ok(()) } else { Err(Fault::Message) }
}

/// Whether `host` stands once at most and is an authority, without white space around it. An authority has no user (RFC
/// 9113 §8.3.1).
fn has_fine_host(parts: &http::request::Parts) -> bool {
    let has_user = |authority: &Authority| authority.as_str().contains('@');
    let is_host =
        |host: &HeaderValue| Authority::try_from(host.as_bytes()).is_ok_and(|host| !has_user(&host));
    let mut hosts = parts.headers.get_all(http::header::HOST).iter();
    hosts.next().is_none_or(is_host) && hosts.next().is_none() && !parts.uri.authority().is_some_and(has_user)
}

/// Whether a request says where it goes: CONNECT by its authority alone, all others by an authority, for which `host`
/// may stand, and a path. `h2` looks for a path only beside an authority, and takes a query for one.
fn has_target(parts: &http::request::Parts) -> bool {
    let uri = &parts.uri;
    if parts.method == Method::CONNECT && parts.extensions.get::<Protocol>().is_none() {
        return uri.authority().is_some();
    }
    let has_authority = uri.authority().is_some() || parts.headers.contains_key(http::header::HOST);
    let begins_with_query = uri.path_and_query().is_some_and(|path| path.as_str().starts_with('?'));
    let has_path = !uri.path().is_empty() && !begins_with_query;
    // RFC 9113 §8.3.1: `*` is the path of OPTIONS alone.
    let is_fine = uri.path() != "*" || parts.method == Method::OPTIONS;
    has_authority && has_path && is_fine
}

/// Whether a message tells its length twice, or as no number: `h2` looks at one of them only.
fn length_is_ambiguous(map: &HeaderMap) -> bool {
    let mut lengths = map.get_all(http::header::CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else {
        return false;
    };
    let is_number = !first.is_empty() && first.as_bytes().iter().all(u8::is_ascii_digit);
    !is_number || lengths.next().is_some()
}

/// The `http` crate takes a quotation mark in names, which is none of a token's characters (RFC 9110 §5.6.2).
pub(super) fn check_names(map: &HeaderMap) -> Result<(), ParseError> {
    let quoted = map.keys().any(|name| memchr::memchr(b'"', name.as_str().as_bytes()).is_some());
    if quoted { Err(ParseError::HeaderName) } else { Ok(()) }
}

/// Puts a request's head into our list. Gives its bytes as they were before HPACK packed them, and the number of fields.
pub(super) fn read_request(parts: &http::request::Parts, headers: &mut Headers) -> (u64, usize) {
    headers.clear();
    headers.append(Known::Method, parts.method.as_str().as_bytes());
    let uri = &parts.uri;
    if let Some(authority) = uri.authority() {
        headers.append(Known::Authority, authority.as_str().as_bytes());
    } else if let Some(host) = parts.headers.get(http::header::HOST) {
        headers.append(Known::Authority, host.as_bytes());
    }
    if let Some(path) = uri.path_and_query() {
        headers.append(Known::Path, path.as_str().as_bytes());
    }
    if let Some(scheme) = uri.scheme_str() {
        headers.append(Known::Scheme, scheme.as_bytes());
    }
    let mut bytes = headers.byte_size() as u64;
    let stands_in = uri.authority().is_none() && headers.contains(Known::Authority);
    let mut fields = headers.len() - usize::from(stands_in) + parts.headers.len();
    bytes += read_fields(&parts.headers, headers);
    headers.remove(Known::Host);
    // RFC 9113 §8.2.3: cookies that came apart are one header for everyone else.
    headers.gather(Known::Cookie, b"; ");
    if let Some(protocol) = parts.extensions.get::<Protocol>() {
        become_upgrade(headers, protocol.as_str().as_bytes());
        bytes += (":protocol".len() + protocol.as_str().len()) as u64;
        fields += 1;
    }
    (bytes, fields)
}

/// Extended CONNECT (RFC 8441) in the form that all upgrades have inside, which is HTTP/1.1's.
fn become_upgrade(headers: &mut Headers, protocol: &[u8]) {
    headers.set(Known::Method, b"GET");
    headers.set(Known::Upgrade, protocol);
    headers.set(Known::Connection, b"upgrade");
}

/// Puts a response's head into our list, and gives its status and its bytes as they were before HPACK packed them. To
/// extended CONNECT for `upgrade`, 200 is what 101 is in HTTP/1.1.
pub(super) fn read_response(
    parts: &http::response::Parts,
    upgrade: Option<&[u8]>,
    headers: &mut Headers,
) -> (u16, u64) {
    headers.clear();
    let upgrade = upgrade.filter(|_| parts.status == StatusCode::OK);
    let status = if upgrade.is_some() { StatusCode::SWITCHING_PROTOCOLS } else { parts.status };
    headers.append(Known::Status, status.as_str().as_bytes());
    let bytes = headers.byte_size() as u64 + read_fields(&parts.headers, headers);
    if let Some(upgrade) = upgrade {
        headers.set(Known::Upgrade, upgrade);
        headers.set(Known::Connection, b"upgrade");
    }
    (status.as_u16(), bytes)
}

/// Puts trailers into our list. Gives the bytes of names and values.
pub(super) fn read_fields(map: &HeaderMap, headers: &mut Headers) -> u64 {
    let mut bytes = 0;
    for (name, value) in map {
        bytes += name.as_str().len() + value.len();
        headers.append(Name::new(name.as_str().as_bytes()), value.as_bytes());
    }
    bytes as u64
}

/// Makes a request's head of our list, of an upgrade an extended CONNECT, and tells its bytes before HPACK packs them.
/// `None` when it has no form in HTTP/2.
pub(super) fn write_request(headers: &Headers, upgrade: bool) -> Option<(Request<()>, u64)> {
    let method = Method::from_bytes(headers.get(Known::Method)?).ok()?;
    let authority = headers.get(Known::Authority)?;
    let uri = if method == Method::CONNECT {
        Uri::try_from(authority).ok()?
    } else {
        Uri::builder()
            .scheme(headers.get(Known::Scheme).unwrap_or(b"http"))
            .authority(authority)
            .path_and_query(headers.get(Known::Path)?)
            .build()
            .ok()?
    };
    let mut request = Request::new(());
    *request.method_mut() = method;
    if upgrade {
        let protocol = std::str::from_utf8(headers.get(Known::Upgrade)?).ok()?;
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from(protocol));
    }
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    let (fields, mut bytes) = write_fields(headers);
    if upgrade {
        let upgrade = headers.get(Known::Upgrade).map_or(0, <[u8]>::len);
        bytes += (":protocol".len() + upgrade) as u64;
    }
    *request.headers_mut() = fields;
    Some((request, bytes))
}

/// Makes a response's head of our list, and tells its bytes before HPACK packs them. `None` for a status that HTTP/2
/// cannot say.
pub(super) fn write_response(headers: &Headers, status: u16) -> Option<(Response<()>, u64)> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    let (fields, bytes) = write_fields(headers);
    *response.headers_mut() = fields;
    Some((response, bytes))
}

/// Makes a map of the headers that are no pseudo-headers. All values share one copy of their text. Tells the bytes of
/// names and values, those of pseudo-headers counted.
pub(super) fn write_fields(headers: &Headers) -> (HeaderMap, u64) {
    // A map has a largest size, beyond any limit on headers; what would not fit is left out, not fatal.
    let mut map = HeaderMap::try_with_capacity(headers.len()).unwrap_or_default();
    let mut text = Vec::with_capacity(headers.byte_size());
    for (_, value) in headers.iter() {
        text.extend_from_slice(value);
    }
    let text = Bytes::from(text);
    let (mut at, mut bytes) = (0, 0);
    for (name, value) in headers.iter() {
        let size = name.as_bytes().len() + value.len();
        let value = text.slice(at..at + value.len());
        at += value.len();
        let name = match name {
            Name::Known(known) if known.is_pseudo() => {
                bytes += size;
                continue;
            }
            Name::Known(known) if CONNECTION_ONLY.contains(&known) => continue,
            Name::Known(known) => HeaderName::from_static(known.as_str()),
            Name::Other(name) => match HeaderName::from_lowercase(name) {
                Ok(name) => name,
                Err(_) => continue,
            },
        };
        // What comes from either codec has been checked; a formatter's output may hold what a header cannot.
        let Ok(value) = HeaderValue::from_maybe_shared(value) else { continue };
        if map.try_append(name, value).is_err() {
            break;
        }
        bytes += size;
    }
    (map, bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_must_stand_once_and_be_a_number() {
        let map = |lengths: &[&'static str]| {
            let mut map = HeaderMap::new();
            for length in lengths {
                map.append(http::header::CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            map
        };
        assert!(!length_is_ambiguous(&map(&[])) && !length_is_ambiguous(&map(&["5"])));
        for lengths in [&["5", "5"][..], &["5", "6"], &["+5"], &["5,5"], &[""]] {
            assert!(length_is_ambiguous(&map(lengths)), "{lengths:?}");
        }
    }

    #[test]
    fn a_name_has_no_quotation_mark() {
        let mut map = HeaderMap::new();
        map.append("x-a", HeaderValue::from_static("\""));
        assert_eq!(check(&map), Ok(()));
        map.append(HeaderName::from_static("x-\"a"), HeaderValue::from_static("1"));
        assert_eq!(check(&map), Err(ParseError::HeaderName));
    }

    #[test]
    fn a_request_without_a_target_is_at_fault_as_a_whole() {
        let check = |method: &str, uri: &str, hosts: &[&'static str]| {
            let request = Request::builder().method(method).uri(uri);
            let request = hosts.iter().fold(request, |request, host| request.header("host", *host));
            check_request(&request.body(()).unwrap().into_parts().0)
        };
        assert_eq!(check("GET", "http://a/", &[]), Ok(()));
        assert_eq!(check("GET", "/", &["a"]), Ok(()));
        assert_eq!(check("OPTIONS", "*", &["a"]), Ok(()));
        assert_eq!(check("CONNECT", "a:80", &[]), Ok(()));
        for (method, uri, hosts) in [("GET", "/", &[][..]), ("GET", "*", &["a"]), ("CONNECT", "/", &["a"])] {
            assert_eq!(check(method, uri, hosts), Err(Fault::Message), "{method} {uri} {hosts:?}");
        }
        for hosts in [&["a", "b"][..], &["a", "a"], &[""], &["a b"], &["u@a"]] {
            assert_eq!(check("GET", "/", hosts), Err(Fault::Field), "{hosts:?}");
        }
    }

    #[test]
    fn what_belongs_to_one_connection_does_not_get_into_http2() {
        let mut headers = Headers::new();
        headers.append(Known::Path, b"/");
        headers.append(Known::Connection, b"close");
        headers.append(Known::TransferEncoding, b"chunked");
        headers.append(Name::new(b"x-a"), b"1");
        let (map, bytes) = write_fields(&headers);
        assert_eq!((map.len(), bytes), (1, 10));
        assert_eq!(map["x-a"], "1");
    }
}
