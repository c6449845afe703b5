//! Listeners that are connected to from within the process: `Listener.internal_listener`.

use envoy_types::pb::envoy::config::listener::v3;
use v3::listener::{InternalListenerConfig, ListenerSpecifier};

use super::{ListenAddress, addresses, socket};
use crate::config::address::Address;
use crate::config::field::{Scope, open};

/// Notes what an internal listener must not have, in Envoy's words.
pub(super) fn check(
    kind: ListenerSpecifier,
    name: &str,
    addresses: &addresses::Given,
    socket: &socket::Given,
    at: &mut Scope<'_>,
) {
    let ListenerSpecifier::InternalListener(message) = kind;
    open! { at, InternalListenerConfig = message; implemented {} }
    let refused = [
        (
            addresses.address.is_some() || !addresses.additional_addresses.is_empty(),
            format!(
                "error adding listener '{name}': address should not be used when an internal listener config is provided"
            ),
        ),
        (socket.enable_mptcp, format!("listener {name}: enable_mptcp can only be used with IP addresses")),
        (
            socket.is_of_tcp(),
            format!("error adding listener named '{name}': has unsupported tcp listener feature"),
        ),
        (
            !addresses.socket_options.is_empty(),
            format!("error adding listener named '{name}': does not support socket option"),
        ),
    ];
    for (_, why) in refused.into_iter().filter(|(is_set, _)| *is_set) {
        at.error(why);
    }
}

/// Where connections to it go.
pub(super) fn address(name: &str) -> ListenAddress {
    let address = Address::Internal { listener: name.to_owned(), endpoint_id: String::new() };
    ListenAddress { address, ipv4_compat: false, socket_options: Vec::new(), tcp_keepalive: None }
}
