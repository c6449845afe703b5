//! Addresses and parts of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::format::{AddressOf, ConnectionEnd};
use crate::observability::stream_info::{Address, StreamInfo};

use super::Given;
use super::command::{display, number, text};

/// The address alone.
pub(super) const WITHOUT_PORT: AddressOf = AddressOf::WithoutPort(None);

/// The address of that end, if it is known.
pub(super) fn of(end: ConnectionEnd, info: &StreamInfo) -> Option<&Address> {
    let upstream = info.upstream.as_ref();
    let downstream = |address| info.connection.is_there.then_some(address);
    match end {
        ConnectionEnd::DownstreamRemote => downstream(info.remote()),
        ConnectionEnd::DownstreamDirectRemote => downstream(&info.connection.direct_remote),
        ConnectionEnd::DownstreamLocal => downstream(&info.connection.local),
        ConnectionEnd::DownstreamDirectLocal => downstream(&info.connection.direct_local),
        ConnectionEnd::UpstreamHost => upstream.and_then(|upstream| upstream.host.as_ref()),
        ConnectionEnd::UpstreamRemote => upstream
            .filter(|upstream| upstream.is_connected() && upstream.tells_remote)
            .and_then(|upstream| upstream.remote_address.as_ref().or(upstream.host.as_ref())),
        ConnectionEnd::UpstreamLocal => upstream.and_then(|upstream| upstream.local_address.as_ref()),
    }
}

/// Writes what is asked of the address.
pub(super) fn write(of: AddressOf, address: &Address, out: &mut Vec<u8>) -> Given {
    let socket = match address {
        Address::Ip(socket) => socket,
        Address::Pipe(path) => {
            return match of {
                AddressOf::Whole | AddressOf::WithoutPort(_) => text(Some(path.as_bytes()), out),
                AddressOf::Port => Given::Nothing,
                AddressOf::EndpointId | AddressOf::NoNetwork => Given::Text,
            };
        }
        Address::Internal { endpoint_id, .. } => {
            return match of {
                AddressOf::Whole | AddressOf::WithoutPort(_) => display(address, out),
                // As in Envoy it is empty, not missing.
                AddressOf::Port | AddressOf::NoNetwork => Given::Text,
                AddressOf::EndpointId => text(Some(endpoint_id.as_bytes()), out),
            };
        }
    };
    match of {
        AddressOf::Whole => {
            host(socket.ip(), true, out);
            out.push(b':');
            number(socket.port().into(), out);
            Given::Text
        }
        AddressOf::WithoutPort(None) => host(socket.ip(), false, out),
        AddressOf::WithoutPort(Some(bits)) => network(socket.ip(), bits, out),
        AddressOf::Port => number(socket.port().into(), out),
        AddressOf::EndpointId | AddressOf::NoNetwork => Given::Text,
    }
}

fn host(ip: IpAddr, brackets: bool, out: &mut Vec<u8>) -> Given {
    match ip {
        IpAddr::V4(ip) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                number(octet.into(), out);
            }
            Given::Text
        }
        IpAddr::V6(ip) if brackets => display(format_args!("[{ip}]"), out),
        IpAddr::V6(ip) => display(ip, out),
    }
}

/// The network of so many bits that the address is in; more bits than it has are all.
fn network(ip: IpAddr, bits: u8, out: &mut Vec<u8>) -> Given {
    let (ip, bits) = match ip {
        IpAddr::V4(ip) => {
            let bits = bits.min(32);
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            (IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask)), bits)
        }
        IpAddr::V6(ip) => {
            let bits = bits.min(128);
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            (IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask)), bits)
        }
    };
    host(ip, false, out);
    out.push(b'/');
    number(bits.into(), out);
    Given::Text
}
