//! Who a request is from: its peer, or whom headers name that are trusted.

use std::net::{IpAddr, SocketAddr};

use crate::base::headers::{Headers, Known, Name};
use crate::config::http_connection_manager::{ClientAddress, OriginalIpDetection, TrustedProxies};

use super::forwarding;
use super::local_reply::LocalReply;

/// The peer that a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address; `None` for Unix sockets.
    pub remote: Option<SocketAddr>,
    /// The address it connected to.
    pub local: Option<SocketAddr>,
}

/// What was found out about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The client as far as it is trusted: from a header, or the peer.
    pub remote: Option<IpAddr>,
    /// Whether that address came from a header.
    pub from_header: bool,
    /// Whether the client is internal.
    pub internal: bool,
}

/// What one way of finding the client came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Detected {
    address: Option<IpAddr>,
    /// Whether the address may make the request an internal one.
    trusted: bool,
    /// Whether the peer is to be appended to `x-forwarded-for`.
    append: bool,
}

/// Finds who a request is from that came over a connection of this scheme, and appends its peer to `x-forwarded-for` where that is configured.
///
/// # Errors
/// The answer to a request that does not say it.
pub(super) fn find(
    headers: &mut Headers,
    options: &ClientAddress,
    peer: Peer,
    scheme: &[u8],
) -> Result<Origin, LocalReply> {
    if options.use_remote_address {
        return Ok(of_peer(headers, options, peer, scheme));
    }
    let peer_address = peer.remote.map(|address| address.ip());
    forwarding::join(headers);
    for detection in &options.original_ip_detection {
        let detected = detect(detection, headers, peer_address)?;
        if let Some(address) = peer_address.filter(|_| detected.append) {
            forwarding::append(headers, address);
        }
        if let Some(address) = detected.address {
            let internal = detected.trusted && is_internal(address, options);
            return Ok(Origin { remote: Some(address), from_header: true, internal });
        }
    }
    Ok(Origin { remote: peer_address, from_header: false, internal: false })
}

/// The peer is the client, or the client stands so many trusted proxies before it.
fn of_peer(headers: &mut Headers, options: &ClientAddress, peer: Peer, scheme: &[u8]) -> Origin {
    let peer_address = peer.remote.map(|address| address.ip());
    let alone = !headers.contains(Known::XForwardedFor);
    let hops = options.xff_num_trusted_hops;
    let trusted = if hops > 0 { forwarding::last_address(headers, hops - 1) } else { None };
    let remote = trusted.map(|(address, _)| address).or(peer_address);
    if let (false, Some(address)) = (options.skip_xff_append, peer_address) {
        forwarding::append(headers, address);
    }
    if hops == 0 {
        // What an untrusted sender says of itself is not believed.
        headers.set(Known::XForwardedProto, scheme);
        set_forwarded_port(headers, options, peer);
    }
    let internal = match remote {
        Some(remote) => is_internal(remote, options),
        // A peer without an address is at a Unix socket.
        None => options.internal_addresses.unix_sockets,
    };
    Origin { remote, from_header: trusted.is_some(), internal: alone && internal }
}

fn detect(
    detection: &OriginalIpDetection,
    headers: &Headers,
    peer: Option<IpAddr>,
) -> Result<Detected, LocalReply> {
    match detection {
        OriginalIpDetection::ForwardedFor { trusted: TrustedProxies::Hops(hops), skip_xff_append } => {
            let found = forwarding::last_address(headers, *hops);
            Ok(Detected {
                address: found.map(|(address, _)| address),
                trusted: found.is_some_and(|(_, only)| only),
                append: !skip_xff_append,
            })
        }
        OriginalIpDetection::ForwardedFor {
            trusted: TrustedProxies::Networks(networks),
            skip_xff_append,
        } => {
            let is_trusted = |address| networks.iter().any(|network| network.contains(address));
            if !peer.is_some_and(is_trusted) {
                return Ok(Detected { append: true, ..Detected::default() });
            }
            let address = forwarding::last_untrusted(headers, is_trusted);
            Ok(Detected { address, trusted: false, append: !skip_xff_append })
        }
        OriginalIpDetection::CustomHeader {
            header_name,
            allow_trusted_address_checks: trusted,
            reject_with_status,
        } => {
            let value = headers.get_all(Name::new(header_name.as_bytes())).next();
            let address = value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
            match reject_with_status {
                Some(status) if address.is_none() => Err(LocalReply::undetected(*status)),
                _ => Ok(Detected { address, trusted: *trusted, append: false }),
            }
        }
    }
}

/// Tells hosts in `x-forwarded-port` which port the client connected to, where that is configured.
pub(super) fn set_forwarded_port(headers: &mut Headers, options: &ClientAddress, peer: Peer) {
    if let Some(local) = peer.local.filter(|_| options.append_x_forwarded_port) {
        headers.set(Known::XForwardedPort, itoa::Buffer::new().format(local.port()).as_bytes());
    }
}

fn is_internal(address: IpAddr, options: &ClientAddress) -> bool {
    forwarding::is_internal(address, &options.internal_addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::matcher::CidrRange;

    fn with(value: &str) -> Headers {
        let mut headers = Headers::new();
        headers.append(Known::XForwardedFor, value.as_bytes());
        headers
    }

    #[test]
    fn a_peer_of_no_trusted_network_is_not_believed() {
        let network = CidrRange { address: "10.0.0.0".parse().expect("an address"), prefix_len: 8 };
        let trusted = TrustedProxies::Networks(vec![network]);
        let detection = OriginalIpDetection::ForwardedFor { trusted, skip_xff_append: true };
        let found = |peer: &str, list: &str| {
            let peer = Some(peer.parse().expect("an address"));
            let detected = detect(&detection, &with(list), peer).expect("nothing is refused");
            (detected.address.map(|address| address.to_string()), detected.append)
        };
        assert_eq!(found("11.0.0.1", "1.1.1.1"), (None, true));
        assert_eq!(found("10.0.0.1", "1.1.1.1,2.2.2.2,10.1.1.1"), (Some("2.2.2.2".into()), false));
        assert_eq!(found("10.0.0.1", "10.2.2.2,10.1.1.1"), (Some("10.2.2.2".into()), false));
        assert_eq!(found("10.0.0.1", "junk,10.1.1.1"), (Some("10.1.1.1".into()), false));
        assert_eq!(found("10.0.0.1", "junk"), (None, false));
    }

    #[test]
    fn a_header_that_is_no_address_is_refused_where_that_is_configured() {
        let detection = |reject_with_status| OriginalIpDetection::CustomHeader {
            header_name: "x-forwarded-for".to_owned(),
            allow_trusted_address_checks: false,
            reject_with_status,
        };
        let status =
            |headers: &Headers| detect(&detection(Some(401)), headers, None).map_err(|reply| reply.status);
        assert_eq!(status(&with("junk")), Err(401));
        assert!(status(&with("1.1.1.1")).is_ok());
        assert_eq!(detect(&detection(None), &with("junk"), None).map(|found| found.address).ok(), Some(None));
    }
}
