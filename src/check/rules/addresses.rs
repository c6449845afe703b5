//! Where connections arrive, and which filter chain takes them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::Address;
use envoy_types::pb::envoy::config::core::v3::address::Address as Kind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::listener::v3::{FilterChainMatch, Listener};
use prost::Message;

use super::set::{Located, Set, filter_chains};
use crate::check::finding::Finding;

/// Only one listener can have an address. Of ports that the system chooses no two are the same.
pub(super) fn duplicates(set: &Set<'_>, findings: &mut Vec<Finding>) {
    let mut seen = HashMap::new();
    for listener in &set.listeners {
        let binds = listener.message.bind_to_port.is_none_or(|bind| bind.value);
        let more = listener.message.additional_addresses.iter().filter_map(|more| more.address.as_ref());
        for address in listener.message.address.iter().chain(more) {
            let Some((place, is_chosen)) = place(address) else { continue };
            let first = *seen.entry(place.clone()).or_insert(listener);
            // Of two in one bootstrap its conversion says it. One that comes again under its name is an update.
            let is_said = first.is_static() && listener.is_static();
            let is_same = first.message.name == listener.message.name;
            if !(is_chosen && binds || is_said || is_same) {
                let reason = format!("listener \"{}\" has the address {place} already", first.message.name);
                findings.push(listener.error("duplicate-address", "address", reason));
            }
        }
    }
}

/// An address in one spelling, and whether the system completes it.
fn place(address: &Address) -> Option<(String, bool)> {
    match address.address.as_ref()? {
        Kind::SocketAddress(socket) => {
            let port = port(address)?;
            let host = socket.address.parse::<IpAddr>();
            let host = host.map_or_else(|_| socket.address.clone(), |host| host.to_string());
            Some((format!("{} {host} port {port}", socket.protocol().as_str_name()), port == 0))
        }
        Kind::Pipe(pipe) => Some((pipe.path.clone(), false)),
        Kind::EnvoyInternalAddress(_) => None,
    }
}

/// Chains that another takes the connections of, or that wait for a port at which nobody listens.
pub(super) fn unreachable(set: &Set<'_>, findings: &mut Vec<Finding>) {
    const ID: &str = "unreachable-filter-chain";
    for listener in &set.listeners {
        let mut seen = HashSet::new();
        for chain in filter_chains(listener) {
            let matched = chain.message.filter_chain_match.clone().unwrap_or_default();
            let default = listener.message.default_filter_chain.as_ref();
            let is_default = default.is_some_and(|default| std::ptr::eq(default, chain.message));
            if !is_default && !seen.insert(matched.encode_to_vec()) {
                let reason = "another filter chain has the same matching rules".to_owned();
                findings.push(chain.error(ID, "filter_chain_match", reason));
            } else if let Some(port) =
                matched.destination_port.as_ref().and_then(|port| foreign(listener, port.value))
            {
                let reason =
                    format!("connections arrive at port {port}, and their destination is not restored");
                findings.push(chain.warning(ID, "filter_chain_match.destination_port", reason));
            }
        }
        let all = FilterChainMatch::default().encode_to_vec();
        if listener.message.default_filter_chain.is_some() && seen.contains(&all) {
            let reason = "a filter chain without conditions takes every connection".to_owned();
            findings.push(listener.warning(ID, "default_filter_chain", reason));
        }
    }
}

/// The listener's port if connections to another never arrive.
fn foreign(listener: &Located<'_, Listener>, wanted: u32) -> Option<u32> {
    const ORIGINAL_DST: &str = "envoy.filters.listener.original_dst";
    const PROXY_PROTOCOL: &str = "envoy.filters.listener.proxy_protocol";
    let message = &listener.message;
    let restores = |name: &str| name == ORIGINAL_DST || name == PROXY_PROTOCOL;
    let restored = message.use_original_dst.is_some_and(|original| original.value)
        || message.listener_filters.iter().any(|filter| restores(&filter.name));
    // One that binds to no port gets its connections from one that restores.
    let handed_over = message.bind_to_port.is_some_and(|bind| !bind.value);
    let own = message.address.as_ref().and_then(port)?;
    (own != wanted && !restored && !handed_over && message.additional_addresses.is_empty()).then_some(own)
}

fn port(address: &Address) -> Option<u32> {
    match address.address.as_ref()? {
        Kind::SocketAddress(address) => match address.port_specifier.as_ref()? {
            PortSpecifier::PortValue(port) => Some(*port),
            PortSpecifier::NamedPort(_) => None,
        },
        _ => None,
    }
}
