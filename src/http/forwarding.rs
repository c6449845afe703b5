//! Who a request is from: `x-forwarded-for`, and which addresses are internal.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::LazyLock;

use crate::base::headers::{Headers, Known};
use crate::config::http_connection_manager::InternalAddresses;

/// The address that stands `skip` places before the end of `x-forwarded-for`, and whether it is the only one.
///
/// Envoy skips the addresses of as many trusted proxies, and takes nothing where there are fewer.
pub(super) fn last_address(headers: &Headers, skip: u32) -> Option<(IpAddr, bool)> {
    let mut values: Vec<&[u8]> = headers.get_all(Known::XForwardedFor.into()).collect();
    // Several headers count as one list.
    let mut list: Vec<&[u8]> = values.drain(..).flat_map(|value| value.split(|byte| *byte == b',')).collect();
    let only = list.len() == 1;
    for _ in 0..skip {
        list.pop()?;
    }
    let text = std::str::from_utf8(list.pop()?.trim_ascii()).ok()?;
    // An address with a port is none, as in Envoy.
    Some((text.parse().ok()?, only && skip == 0))
}

/// The last address of `x-forwarded-for` that is not trusted, or the first if all are. What stands before something
/// that is no address is not looked at.
pub(super) fn last_untrusted(headers: &Headers, is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut last = None;
    let value = headers.get(Known::XForwardedFor)?;
    for text in value.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|text| !text.is_empty()) {
        let Some(address) = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) else { break };
        last = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    last
}

/// Appends an address to `x-forwarded-for`.
pub fn append(headers: &mut Headers, address: IpAddr) {
    // A loopback address would mean another machine to the next hop.
    let text = if address.is_loopback() { LOCAL_ADDRESS.to_string() } else { address.to_string() };
    if headers.get(Known::XForwardedFor).is_some_and(<[u8]>::is_empty) {
        headers.remove(Known::XForwardedFor);
    }
    headers.append(Known::XForwardedFor, text.as_bytes());
    join(headers);
}

/// Makes one header of several.
pub(super) fn join(headers: &mut Headers) {
    if headers.get_all(Known::XForwardedFor.into()).count() > 1 {
        let values: Vec<&[u8]> = headers.get_all(Known::XForwardedFor.into()).collect();
        let joined = values.join(&b',');
        headers.set(Known::XForwardedFor, &joined);
    }
}

/// This machine's address, a fact as long as the process lives: the one that it would reach others from.
static LOCAL_ADDRESS: LazyLock<IpAddr> = LazyLock::new(|| {
    // Connecting a UDP socket sends nothing; it only chooses the address. 192.0.2.1 is nobody's (RFC 5737).
    let address = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).map(|()| socket))
        .and_then(|socket| socket.local_addr());
    address.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
});

/// Whether an address counts as internal.
pub(super) fn is_internal(address: IpAddr, internal: &InternalAddresses) -> bool {
    internal.cidr_ranges.iter().any(|range| range.contains(address))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::config::matcher::CidrRange;

    fn with(value: &str) -> Headers {
        let mut headers = Headers::new();
        headers.append(Known::XForwardedFor, value.as_bytes());
        headers
    }

    #[test]
    fn trusted_hops_are_skipped_from_the_end() {
        let headers = with("1.1.1.1, 2.2.2.2,3.3.3.3");
        let address = |skip| last_address(&headers, skip).map(|(address, _)| address.to_string());
        assert_eq!(address(0).as_deref(), Some("3.3.3.3"));
        assert_eq!(address(2).as_deref(), Some("1.1.1.1"));
        assert_eq!(address(3), None);
        assert_eq!(last_address(&with("unknown"), 0), None);
        assert_eq!(last_address(&with("1.1.1.1:80"), 0), None);
        assert_eq!(last_address(&with("::1"), 0), Some((IpAddr::V6(Ipv6Addr::LOCALHOST), true)));
    }

    #[test]
    fn appended_addresses_end_one_list() {
        let mut headers = with("1.1.1.1");
        append(&mut headers, IpAddr::V4(Ipv4Addr::new(2, 2, 2, 2)));
        assert_eq!(headers.get(Known::XForwardedFor), Some(&b"1.1.1.1,2.2.2.2"[..]));
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn ranges_hold_addresses_of_their_family_only() {
        let range = |address: &str, prefix_len| CidrRange { address: address.parse().unwrap(), prefix_len };
        let internal = InternalAddresses {
            unix_sockets: false,
            cidr_ranges: vec![range("10.0.0.0", 8), range("fd00::", 8)],
        };
        let check = |address: &str| is_internal(address.parse().unwrap(), &internal);
        assert!(check("10.1.2.3") && check("fd12::1"));
        assert!(!check("11.0.0.1") && !check("::1"));
        let all = InternalAddresses { unix_sockets: false, cidr_ranges: vec![range("0.0.0.0", 0)] };
        assert!(is_internal(IpAddr::V4(Ipv4Addr::LOCALHOST), &all));
    }
}
