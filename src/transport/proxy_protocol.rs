//! The header of the PROXY protocol, of both versions: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How a header of version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// How one of version 1 does.
const V1_PREFIX: &[u8] = b"PROXY ";
/// The longest line of version 1, its end counted.
const MAX_LINE: usize = 107;
/// Bytes before the addresses in version 2.
const V2_FIXED: usize = 16;
/// Bytes that are looked at: the longest header that there can be.
pub const MAX_BYTES: usize = V2_FIXED + u16::MAX as usize;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'b> {
    /// Its version.
    pub version: Version,
    /// Who speaks, and where it went to; `None` where the proxy speaks for itself or does not know.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// The entries behind the addresses; known to be whole.
    tail: &'b [u8],
    /// Bytes of all of it.
    pub length: usize,
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHeader {
    /// It is not complete.
    Incomplete,
    /// The connection begins with something else.
    Absent,
    /// It cannot be read.
    Malformed(Version),
}

impl<'b> Header<'b> {
    /// Its entries: their types and their values.
    pub fn entries(&self) -> impl Iterator<Item = (u8, &'b [u8])> {
        let mut rest = self.tail;
        std::iter::from_fn(move || {
            let (kind, value, behind) = entry(rest)?;
            rest = behind;
            Some((kind, value))
        })
    }
}

/// Reads the header that these bytes begin with.
///
/// # Errors
/// Why there is none.
pub fn parse(bytes: &[u8]) -> Result<Header<'_>, NoHeader> {
    let begins = |start: &[u8]| {
        let shared = bytes.len().min(start.len());
        (bytes[..shared] == start[..shared]).then_some(shared == start.len())
    };
    match (begins(SIGNATURE), begins(V1_PREFIX)) {
        (Some(true), _) => binary(bytes),
        (_, Some(true)) => text(bytes),
        (Some(false), _) | (_, Some(false)) => Err(NoHeader::Incomplete),
        (None, None) => Err(NoHeader::Absent),
    }
}

/// Version 1: `PROXY TCP4 <source> <destination> <source port> <destination port>\r\n`.
fn text(bytes: &[u8]) -> Result<Header<'_>, NoHeader> {
    const MALFORMED: NoHeader = NoHeader::Malformed(Version::V1);
    let line = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return Err(if line.len() < MAX_LINE { NoHeader::Incomplete } else { MALFORMED });
    };
    let line = std::str::from_utf8(&line[V1_PREFIX.len()..end]).map_err(|_| MALFORMED)?;
    let header = |addresses| Header { version: Version::V1, addresses, tail: &[], length: end + 2 };
    let parts: Vec<&str> = line.split(' ').collect();
    match parts.as_slice() {
        ["UNKNOWN", ..] => Ok(header(None)),
        [family @ ("TCP4" | "TCP6"), source, destination, source_port, destination_port] => {
            let address = |ip: &str, port: &str| {
                let ip: IpAddr = ip.parse().ok().filter(|ip: &IpAddr| ip.is_ipv4() == (*family == "TCP4"))?;
                let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
                Some(SocketAddr::new(ip, port.parse().ok().filter(|_| is_number)?))
            };
            let both = address(source, source_port).zip(address(destination, destination_port));
            both.map(|both| header(Some(both))).ok_or(MALFORMED)
        }
        _ => Err(MALFORMED),
    }
}

/// Version 2.
fn binary(bytes: &[u8]) -> Result<Header<'_>, NoHeader> {
    const MALFORMED: NoHeader = NoHeader::Malformed(Version::V2);
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED>() else {
        return Err(NoHeader::Incomplete);
    };
    let (command, family) = (fixed[12], fixed[13]);
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    // The proxy's own connection says nothing of addresses.
    let is_local = command == 0x20;
    if !is_local && command != 0x21 {
        return Err(MALFORMED);
    }
    let size = match family {
        _ if is_local => 0,
        // Datagrams have addresses, too.
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        // What is not specified is not looked at.
        0x00 => 0,
        _ => return Err(MALFORMED),
    };
    if length < size {
        return Err(MALFORMED);
    }
    let content = rest.get(..length).ok_or(NoHeader::Incomplete)?;
    let (addresses, behind) = content.split_at(size);
    let looks_at_entries = !is_local && family != 0x00;
    let tail = if looks_at_entries { behind } else { &[] };
    if !are_whole(tail) {
        return Err(MALFORMED);
    }
    Ok(Header { version: Version::V2, addresses: pair(addresses), tail, length: V2_FIXED + length })
}

/// The two addresses, of either family; `None` where there are none.
fn pair(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (ips, ports) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    let (source, destination) = ips.split_at(ips.len() / 2);
    let ip = |bytes: &[u8]| match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
        _ => <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets))),
    };
    let port = |at: usize| Some(u16::from_be_bytes([*ports.get(at)?, *ports.get(at + 1)?]));
    Some((SocketAddr::new(ip(source)?, port(0)?), SocketAddr::new(ip(destination)?, port(2)?)))
}

/// The first entry: its type, its value, and what follows.
fn entry(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<3>()?;
    let (value, behind) = rest.split_at_checked(usize::from(u16::from_be_bytes([head[1], head[2]])))?;
    Some((head[0], value, behind))
}

fn are_whole(mut entries: &[u8]) -> bool {
    while !entries.is_empty() {
        match entry(entries) {
            Some((_, _, behind)) => entries = behind,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Option<(SocketAddr, SocketAddr)> {
        let (source, destination) = text.split_once(' ')?;
        Some((source.parse().expect("an address"), destination.parse().expect("an address")))
    }

    fn binary_header(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("a short one").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, content].concat()
    }

    const V4: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 0x04, 0xd2, 0, 80];

    #[test]
    fn a_line_tells_the_addresses() {
        for (line, expected) in [
            ("PROXY TCP4 1.2.3.4 5.6.7.8 1234 80\r\nx", addresses("1.2.3.4:1234 5.6.7.8:80")),
            ("PROXY TCP6 1:2::3 5::6 1 65535\r\n", addresses("[1:2::3]:1 [5::6]:65535")),
            ("PROXY UNKNOWN\r\nGET", None),
            ("PROXY UNKNOWN anything at all\r\n", None),
        ] {
            let header = parse(line.as_bytes()).expect("a header");
            assert_eq!((header.addresses, header.length), (expected, line.find('\n').expect("an end") + 1));
        }
    }

    #[test]
    fn what_is_no_line_is_told_apart() {
        let long = format!("PROXY TCP4 {}", "1".repeat(100));
        for (line, expected) in [
            ("PRO", NoHeader::Incomplete),
            ("PROXY TCP4 1.2.3.4", NoHeader::Incomplete),
            ("\r\n\r\n\0", NoHeader::Incomplete),
            ("GET / HTTP/1.1\r\n", NoHeader::Absent),
            ("PROXY TCP4 1.2.3.4 ::1 1 2\r\n", NoHeader::Malformed(Version::V1)),
            ("PROXY TCP4 1.2.3.4 2.3.4.5 0 99999\r\n", NoHeader::Malformed(Version::V1)),
            ("PROXY TCP4 1.2.3.4 2.3.4.5 +1 2\r\n", NoHeader::Malformed(Version::V1)),
            ("PROXY FOO\r\n", NoHeader::Malformed(Version::V1)),
            (&long, NoHeader::Malformed(Version::V1)),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(expected), "{line:?}");
        }
    }

    #[test]
    fn binary_headers_tell_addresses_and_entries() {
        let content = [V4, &[2, 0, 3, b'a', b'b', b'c', 5, 0, 0]].concat();
        let bytes = [&binary_header(0x21, 0x11, &content)[..], b"rest"].concat();
        let header = parse(&bytes).expect("a header");
        assert_eq!(header.addresses, addresses("1.2.3.4:1234 5.6.7.8:80"));
        assert_eq!(header.length, bytes.len() - 4);
        assert_eq!(header.entries().collect::<Vec<_>>(), [(2, &b"abc"[..]), (5, b"")]);
        for end in 0..header.length {
            assert_eq!(parse(&bytes[..end]), Err(NoHeader::Incomplete), "{end}");
        }
        let local = binary_header(0x20, 0x11, V4);
        assert_eq!(parse(&local).expect("a header").addresses, None);
    }

    #[test]
    fn binary_headers_that_are_none_are_refused() {
        for bytes in [
            binary_header(0x31, 0x11, V4),
            binary_header(0x22, 0x11, V4),
            binary_header(0x21, 0x31, V4),
            binary_header(0x21, 0x41, V4),
            binary_header(0x21, 0x11, &V4[..4]),
            binary_header(0x21, 0x11, &[V4, &[2, 0]].concat()),
            binary_header(0x21, 0x11, &[V4, &[2, 0, 9, 1]].concat()),
        ] {
            assert_eq!(parse(&bytes), Err(NoHeader::Malformed(Version::V2)), "{bytes:?}");
        }
    }
}
