//! The addresses of a listener: `address` and `additional_addresses`.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3;

use super::{internal, udp};
use crate::config::address::{Address, SocketOption, TcpKeepalive};
use crate::config::field::{Scope, open};

/// One address of a listener, with what concerns its sockets alone.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenAddress {
    /// A literal IP address or a pipe.
    pub address: Address,
    /// Whether an IPv6 socket takes IPv4 connections too: `SocketAddress.ipv4_compat`; else `IPV6_V6ONLY` is set.
    pub ipv4_compat: bool,
    /// Options set on the listening socket: the address's own, or else the listener's.
    pub socket_options: Vec<SocketOption>,
    /// TCP keep-alive of accepted connections: the address's own, or else the listener's.
    pub tcp_keepalive: Option<TcpKeepalive>,
}

/// The fields of a listener as they came.
pub(super) struct Given {
    pub(super) address: Option<core::Address>,
    pub(super) additional_addresses: Vec<v3::AdditionalAddress>,
    pub(super) socket_options: Vec<core::SocketOption>,
    pub(super) tcp_keepalive: Option<core::TcpKeepalive>,
}

/// What sockets have in common where an address says nothing itself.
struct Common {
    options: Vec<SocketOption>,
    keepalive: Option<TcpKeepalive>,
}

impl Given {
    /// Whether datagrams come to them, and no connections.
    pub(super) fn is_udp(&self) -> bool {
        self.address.as_ref().is_some_and(udp::is_udp)
    }

    /// Those of the listener of this name; one within the process has an address of its own making.
    pub(super) fn read(self, name: &str, is_internal: bool, at: &mut Scope<'_>) -> Vec<ListenAddress> {
        let is_udp = self.is_udp();
        let common = Common {
            options: at.list("socket_options", self.socket_options, SocketOption::from_proto),
            keepalive: at.message("tcp_keepalive", self.tcp_keepalive, TcpKeepalive::from_proto),
        };
        if is_internal {
            return vec![internal::address(name)];
        }
        if self.address.is_none() {
            at.field("address").error(format!("error adding listener named '{name}': address is necessary"));
        }
        let mut addresses = Vec::new();
        addresses.extend(at.message("address", self.address, |message, at| {
            listen_address(message, common.options.clone(), common.keepalive.clone(), at)
        }));
        addresses.extend(at.list("additional_addresses", self.additional_addresses, |message, at| {
            additional_address(message, &common, name, is_udp, at)
        }));
        addresses
    }
}

fn additional_address(
    message: v3::AdditionalAddress,
    common: &Common,
    name: &str,
    is_udp: bool,
    at: &mut Scope<'_>,
) -> Option<ListenAddress> {
    open! { at, v3::AdditionalAddress = message; implemented { address, socket_options, tcp_keepalive } }
    let options = match socket_options {
        Some(own) => {
            let mut at = at.field("socket_options");
            open! { at, core::SocketOptionsOverride = own; implemented { socket_options } }
            at.list("socket_options", socket_options, SocketOption::from_proto)
        }
        None => common.options.clone(),
    };
    let keepalive = at.message("tcp_keepalive", tcp_keepalive, TcpKeepalive::from_proto);
    let address = at.required("address", address)?;
    if udp::is_udp(&address) != is_udp {
        at.field("address").error(format!(
            "listener {name}: has different socket type. The listener only support same socket type for all the \
             addresses."
        ));
    }
    at.message("address", Some(address), |message, at| {
        listen_address(message, options, keepalive.or_else(|| common.keepalive.clone()), at)
    })
}

fn listen_address(
    message: core::Address,
    socket_options: Vec<SocketOption>,
    tcp_keepalive: Option<TcpKeepalive>,
    at: &mut Scope<'_>,
) -> Option<ListenAddress> {
    let ipv4_compat = match &message.address {
        Some(core::address::Address::SocketAddress(address)) => address.ipv4_compat,
        _ => false,
    };
    let address = Address::literal_from_proto(message, at)?;
    if matches!(address, Address::Internal { .. }) {
        at.error("use internal_listener field instead of address for internal listeners");
    }
    if ipv4_compat && !may_take_ipv4(&address) {
        at.error(format!(
            "Only IPv6 address '::' or valid IPv4-mapped IPv6 address can set ipv4_compat: {address}"
        ));
    }
    Some(ListenAddress { address, ipv4_compat, socket_options, tcp_keepalive })
}

/// Whether an IPv6 socket with this address can take IPv4 connections as well.
fn may_take_ipv4(address: &Address) -> bool {
    match address {
        Address::Ip(SocketAddr::V6(address)) => {
            address.ip().is_unspecified() || address.ip().to_ipv4_mapped().is_some()
        }
        _ => false,
    }
}
