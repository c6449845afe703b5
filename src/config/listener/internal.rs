//! Listeners that are connected to from within the process: `Listener.internal_listener`.

use envoy_types::pb::envoy::config::listener::v3;
use v3::listener::{InternalListenerConfig, ListenerSpecifier};

use super::ListenAddress;
use crate::config::address::Address;
use crate::config::field::{Scope, open};

/// What a listener says of sockets, which an internal one does not have.
pub(super) struct Settings {
    addresses: bool,
    socket_options: bool,
    tcp: bool,
    mptcp: bool,
}

impl Settings {
    pub(super) fn of(message: &v3::Listener) -> Self {
        Settings {
            addresses: message.address.is_some() || !message.additional_addresses.is_empty(),
            socket_options: !message.socket_options.is_empty(),
            tcp: message.enable_reuse_port.is_some_and(|enabled| !enabled.value)
                || message.transparent.is_some()
                || message.freebind.is_some()
                || message.tcp_backlog_size.is_some()
                || message.tcp_fast_open_queue_length.is_some()
                || message.connection_balance_config.is_some(),
            mptcp: message.enable_mptcp,
        }
    }
}

/// Notes what an internal listener must not have, in Envoy's words.
pub(super) fn check(kind: ListenerSpecifier, name: &str, settings: &Settings, at: &mut Scope<'_>) {
    let ListenerSpecifier::InternalListener(message) = kind;
    open! { at, InternalListenerConfig = message; implemented {} }
    let refused = [
        (
            settings.addresses,
            format!(
                "error adding listener '{name}': address should not be used when an internal listener config is provided"
            ),
        ),
        (settings.mptcp, format!("listener {name}: enable_mptcp can only be used with IP addresses")),
        (settings.tcp, format!("error adding listener named '{name}': has unsupported tcp listener feature")),
        (
            settings.socket_options,
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
