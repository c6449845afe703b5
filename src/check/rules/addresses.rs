//! Where connections arrive, and which filter chain takes them.

use std::collections::HashSet;

use envoy_types::pb::envoy::config::core::v3::Address;
use envoy_types::pb::envoy::config::core::v3::address::Address as Kind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::listener::v3::{FilterChainMatch, Listener};
use prost::Message;

use super::set::{Located, Set, filter_chains};
use crate::check::finding::Finding;

/// Only one listener can have an address; one that does not bind to it need not.
pub(super) fn duplicates(set: &Set<'_>, findings: &mut Vec<Finding>) {
    let mut seen = HashSet::new();
    for listener in &set.listeners {
        let Some(address) = &listener.message.address else { continue };
        let binds = listener.message.bind_to_port.is_none_or(|bind| bind.value);
        if binds && port(address) != Some(0) && !seen.insert(address.encode_to_vec()) {
            let reason = "another listener has this address".to_owned();
            findings.push(listener.warning("duplicate-address", "address", reason));
        }
    }
}

/// Chains that another takes the connections of, or that wait for a port at which nobody listens.
pub(super) fn unreachable(set: &Set<'_>, findings: &mut Vec<Finding>) {
    const ID: &str = "unreachable-filter-chain";
    for listener in &set.listeners {
        let mut seen = HashSet::new();
        for chain in filter_chains(listener) {
            let matched = chain.message.filter_chain_match.clone().unwrap_or_default();
            let is_default = listener.message.default_filter_chain.as_ref() == Some(chain.message);
            if !is_default && !seen.insert(matched.encode_to_vec()) {
                let reason = "another filter chain matches the same connections".to_owned();
                findings.push(chain.warning(ID, "filter_chain_match", reason));
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
