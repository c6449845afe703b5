//! Headers of the PROXY protocol, as connections to hosts begin with them.
//!
//! They tell whose connection it was that came to the proxy. One that belongs to no client, as that of a health check,
//! tells of itself in version 1, and of nobody in version 2.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::Host;
use crate::config::transport_socket::{AddedValue, PassThrough, ProxyProtocol};
use crate::observability::format::{Context, render_substitution};
use crate::observability::stream_info::{Address, ConnectionInfo, ProxiedValues, StreamInfo, UpstreamInfo};

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2 and the command that the connection is the proxy's own.
const LOCAL: u8 = 0x20;
/// Version 2 and the command that it is somebody else's.
const PROXY: u8 = 0x21;
/// TCP over IP version 4 and 6.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Whose connection it was that came to the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxied {
    /// Where it came from.
    pub source: SocketAddr,
    /// Where it went.
    pub destination: SocketAddr,
    /// What its own header said beside that, by type.
    pub values: ProxiedValues,
}

impl Proxied {
    /// A client's connection; `None` where it has no addresses of IP.
    pub fn of(client: &ConnectionInfo) -> Option<Self> {
        match (&client.remote, &client.local) {
            (Address::Ip(source), Address::Ip(destination)) => {
                let values = client.proxied_values.clone().unwrap_or_default();
                Some(Proxied { source: *source, destination: *destination, values })
            }
            _ => None,
        }
    }
}

/// The header of a connection, and whether all values found room in it. `own` are the ends of the connection itself, its
/// own first; `about` says what is known of it to values that are formatted.
pub(super) fn header(
    config: &ProxyProtocol,
    of_host: &[(u8, Box<[u8]>)],
    proxied: Option<&Proxied>,
    own: Option<(SocketAddr, SocketAddr)>,
    about: &dyn Fn() -> Option<StreamInfo>,
) -> (Vec<u8>, bool) {
    match (config.version, proxied) {
        (1, proxied) => (text(proxied.map(|proxied| (proxied.source, proxied.destination)).or(own)), true),
        (_, None) => (local(), true),
        (_, Some(proxied)) => binary(config, of_host, &added(config, about), proxied),
    }
}

/// The header of this version that begins the bytes of a client's stream. It tells addresses alone; `None` stands for a
/// client that has none which the protocol knows.
pub fn of_stream(version: u8, client: Option<&Proxied>) -> Vec<u8> {
    let addresses =
        ProxyProtocol { version, pass_through: PassThrough::Only(Box::default()), added: Box::default() };
    header(&addresses, &[], client, None, &|| None).0
}

/// What is known of a connection to a host, between these ends, its own first.
pub(super) fn about(host: &Host, ends: Option<(SocketAddr, SocketAddr)>) -> Option<StreamInfo> {
    let (local, remote) = ends?;
    let connection = ConnectionInfo::new(0, Address::Ip(remote), Address::Ip(local));
    let mut info = StreamInfo::new(Instant::now(), SystemTime::now(), Rc::new(connection));
    info.upstream = Some(UpstreamInfo {
        host: Some((&host.address).into()),
        hostname: Arc::clone(&host.hostname),
        host_metadata: host.metadata(),
        locality: Some(Arc::clone(&host.locality)),
        ..UpstreamInfo::of(Arc::default())
    });
    Some(info)
}

/// The values that are added to the header of one connection.
fn added(config: &ProxyProtocol, about: &dyn Fn() -> Option<StreamInfo>) -> ProxiedValues {
    let is_formatted = |value: &AddedValue| matches!(value, AddedValue::Formatted(_));
    let info = config.added.iter().any(|(_, value)| is_formatted(value)).then(about).flatten();
    let bytes = |value: &AddedValue| match (value, &info) {
        (AddedValue::Same(bytes), _) => bytes.clone(),
        (AddedValue::Formatted(format), Some(info)) => {
            let mut text = Vec::new();
            render_substitution(format, &Context::without_headers(info), &mut text);
            text.into()
        }
        // Of a connection that is none of IP nothing can be said.
        (AddedValue::Formatted(_), None) => Box::default(),
    };
    // As in Envoy those that are the same for all connections come first.
    let (formatted, same): (Vec<_>, Vec<_>) = config.added.iter().partition(|(_, value)| is_formatted(value));
    same.into_iter().chain(formatted).map(|(kind, value)| (*kind, bytes(value))).collect()
}

/// Version 1.
fn text(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let Some((source, destination)) = ends else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

fn local() -> Vec<u8> {
    [SIGNATURE.as_slice(), &[LOCAL, 0, 0, 0]].concat()
}

/// Version 2 for a client, and whether all values found room.
fn binary(
    config: &ProxyProtocol,
    of_host: &[(u8, Box<[u8]>)],
    added: &[(u8, Box<[u8]>)],
    proxied: &Proxied,
) -> (Vec<u8>, bool) {
    let ends = match (proxied.source.ip(), proxied.destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (TCP4, [from.octets(), to.octets()].concat()),
        (IpAddr::V6(from), IpAddr::V6(to)) => (TCP6, [from.octets(), to.octets()].concat()),
        // Neither version has words for it.
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return (local(), true),
    };
    let (family, mut body) = ends;
    body.extend_from_slice(&proxied.source.port().to_be_bytes());
    body.extend_from_slice(&proxied.destination.port().to_be_bytes());
    let mut all = true;
    for (kind, value) in values(config, of_host, added, proxied) {
        let size =
            u16::try_from(value.len()).ok().filter(|_| body.len() + 3 + value.len() <= u16::MAX.into());
        let Some(size) = size else {
            all = false;
            continue;
        };
        body.push(*kind);
        body.extend_from_slice(&size.to_be_bytes());
        body.extend_from_slice(value);
    }
    let size = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let head = [SIGNATURE.as_slice(), &[PROXY, family], &size.to_be_bytes()].concat();
    ([head, body].concat(), all)
}

/// The values of the host, those that all are told, and those of the client that are passed on; each but for the types of
/// those before it.
fn values<'v>(
    config: &'v ProxyProtocol,
    of_host: &'v [(u8, Box<[u8]>)],
    added: &'v [(u8, Box<[u8]>)],
    proxied: &'v Proxied,
) -> impl Iterator<Item = &'v (u8, Box<[u8]>)> {
    let has = |values: &[(u8, Box<[u8]>)], kind| values.iter().any(|(own, _)| *own == kind);
    let is_passed = move |kind| config.pass_through.has(kind) && !has(of_host, kind) && !has(added, kind);
    let added = added.iter().filter(move |(kind, _)| !has(of_host, *kind));
    let passed = proxied.values.iter().filter(move |(kind, _)| is_passed(*kind));
    of_host.iter().chain(added).chain(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(text: &str) -> AddedValue {
        AddedValue::Same(text.as_bytes().into())
    }

    /// The header of a connection of which nothing more is known.
    fn header(
        config: &ProxyProtocol,
        of_host: &[(u8, Box<[u8]>)],
        proxied: Option<&Proxied>,
        own: Option<(SocketAddr, SocketAddr)>,
    ) -> (Vec<u8>, bool) {
        super::header(config, of_host, proxied, own, &|| None)
    }

    fn config(version: u8) -> ProxyProtocol {
        ProxyProtocol {
            version,
            pass_through: PassThrough::Only(Box::new([5])),
            added: Box::new([(0xe0, same("one")), (0xe0, same("two"))]),
        }
    }

    fn proxied(source: &str, destination: &str) -> Proxied {
        let parse = |text: &str| text.parse().expect("an address");
        let value = |kind, text: &str| (kind, text.as_bytes().into());
        let values = Box::new([value(5, "passed"), value(6, "kept"), value(0xe0, "replaced")]);
        Proxied { source: parse(source), destination: parse(destination), values }
    }

    #[test]
    fn the_first_version_is_text() {
        let proxied = proxied("1.2.3.4:5", "6.7.8.9:10");
        let own = Some((proxied.destination, proxied.source));
        assert_eq!(header(&config(1), &[], Some(&proxied), own).0, b"PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n");
        assert_eq!(header(&config(1), &[], None, own).0, b"PROXY TCP4 6.7.8.9 1.2.3.4 10 5\r\n");
        assert_eq!(header(&config(1), &[], None, None).0, b"PROXY UNKNOWN\r\n");
    }

    #[test]
    fn the_second_version_has_values() {
        let (bytes, all) = header(&config(2), &[], Some(&proxied("1.2.3.4:5", "6.7.8.9:10")), None);
        let values = b"\xe0\0\x03one\xe0\0\x03two\x05\0\x06passed";
        let ends = [1, 2, 3, 4, 6, 7, 8, 9, 0, 5, 0, 10];
        let expected = [SIGNATURE.as_slice(), &[PROXY, TCP4, 0, 33], &ends, values].concat();
        assert_eq!((bytes, all), (expected, true));
        assert_eq!(header(&config(2), &[], None, None).0, [SIGNATURE.as_slice(), &[LOCAL, 0, 0, 0]].concat());
    }

    #[test]
    fn values_of_the_host_go_before_those_that_all_are_told() {
        let of_host = [(0xe0, b"own".as_slice().into()), (5, b"its".as_slice().into())];
        let config = config(2);
        let proxied = proxied("1.2.3.4:5", "6.7.8.9:10");
        let added = added(&config, &|| None);
        let told: Vec<_> =
            values(&config, &of_host, &added, &proxied).map(|(kind, value)| (*kind, &**value)).collect();
        assert_eq!(told, [(0xe0, &b"own"[..]), (5, b"its")]);
    }

    #[test]
    fn a_stream_is_told_of_without_values() {
        let proxied = proxied("1.2.3.4:5", "6.7.8.9:10");
        assert_eq!(of_stream(1, Some(&proxied)), b"PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n");
        assert_eq!(of_stream(1, None), b"PROXY UNKNOWN\r\n");
        assert_eq!(of_stream(2, Some(&proxied)).len(), 28);
        assert_eq!(of_stream(2, None), local());
    }

    #[test]
    fn values_without_room_are_left_out() {
        let mut proxied = proxied("[::1]:5", "[::2]:10");
        proxied.values = Box::new([(5, vec![0; 65_500].into())]);
        let (bytes, all) = header(&config(2), &[], Some(&proxied), None);
        assert_eq!((bytes.len(), all), (16 + 36 + 12, false));
    }
}
