//! One filter chain: `envoy.config.listener.v3.FilterChain`.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::listener::v3;

use crate::config::extension::{self, ExtensionConfig};
use crate::config::extension_source::{ConfigType, FilterConfigType, FilterKind};
use crate::config::field::{Scope, open};
use crate::config::metadata::Metadata;
use crate::config::tls::DownstreamTls;
use crate::config::transport_socket;

use super::filter_chain_match::FilterChainMatch;

/// One chain of network filters: `envoy.config.listener.v3.FilterChain`.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterChain {
    /// Its name; empty when the configuration gives none.
    pub name: String,
    /// What is asked of its connections.
    pub criteria: FilterChainMatch,
    /// How TLS is spoken; `None` where connections are plain.
    pub tls: Option<Arc<DownstreamTls>>,
    /// How long a handshake may take; `None` means no limit.
    pub handshake_timeout: Option<Duration>,
    /// The network filters in their order.
    pub filters: Vec<NetworkFilter>,
    /// For access logs.
    pub metadata: Option<Arc<Metadata>>,
    /// Whether it came over FCDS; then it is counted by its own name.
    pub is_discovered: bool,
}

/// A network filter as configured: `envoy.config.listener.v3.Filter`
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkFilter {
    /// Its name, and that of its configuration where that is discovered.
    pub name: String,
    /// Which filter, and what it is told.
    pub config: FilterConfigType,
}

impl NetworkFilter {
    /// What it is told as `T`, if that is one and is configured here.
    pub fn downcast<T: 'static>(&self) -> Option<&T> {
        self.config.downcast()
    }
}

/// Why a filter chain does not say that connections begin with a header of the PROXY protocol.
const PROXY_PROTO: &str = "the listener filter envoy.filters.listener.proxy_protocol has taken its place";

impl FilterChain {
    pub(super) fn from_proto(message: v3::FilterChain, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::FilterChain = message;
            implemented {
                filter_chain_match, filters, transport_socket, transport_socket_connect_timeout, name, metadata,
                use_proxy_proto,
            }
        }
        if use_proxy_proto.is_some_and(|wanted| wanted.value) {
            at.reject("use_proxy_proto", PROXY_PROTO);
        }
        let criteria = at.message("filter_chain_match", filter_chain_match, FilterChainMatch::from_proto);
        let tls = transport_socket::downstream(transport_socket, at);
        let handshake_timeout =
            at.timeout("transport_socket_connect_timeout", transport_socket_connect_timeout, None);
        Some(FilterChain {
            name,
            criteria: criteria.unwrap_or_default(),
            tls,
            handshake_timeout,
            filters: network_filters(filters, at),
            metadata: Metadata::shared(metadata, at),
            is_discovered: false,
        })
    }
}

/// The filters, the last of which has to be a terminal one if there is any.
fn network_filters(messages: Vec<v3::Filter>, at: &mut Scope<'_>) -> Vec<NetworkFilter> {
    let known = at.extensions().network_filters;
    let last = messages.len().saturating_sub(1);
    let mut filters = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let (mut at, is_last) = (at.index("filters", index), index == last);
        let Some(filter) = network_filter(message, is_last, &mut at) else { continue };
        // What is discovered is checked when it comes.
        if let FilterConfigType::Typed(config) = &filter.config {
            let extension = extension::find(config.type_name, known);
            let terminal = extension.is_some_and(|extension| extension.terminal);
            check_terminal(config, terminal, is_last, "network", &mut at);
        }
        filters.push(filter);
    }
    filters
}

/// Notes a terminal filter before the end of its chain, or another at the end.
pub(in crate::config) fn check_terminal(
    filter: &ExtensionConfig,
    terminal: bool,
    last: bool,
    chain: &str,
    at: &mut Scope<'_>,
) {
    let ExtensionConfig { name, type_name, .. } = filter;
    if terminal && !last {
        at.error(format!(
            "Error: terminal filter named {name} of type {type_name} must be the last filter in a {chain} filter chain."
        ));
    }
    if last && !terminal {
        at.error(format!(
            "Error: non-terminal filter named {name} of type {type_name} is the last filter in a {chain} filter chain."
        ));
    }
}

fn network_filter(message: v3::Filter, is_last: bool, at: &mut Scope<'_>) -> Option<NetworkFilter> {
    use v3::filter::ConfigType as Choice;
    open! { at, v3::Filter = message; implemented { name, config_type } }
    let name = at.required_string("name", name);
    let choice = config_type.map(|choice| match choice {
        Choice::TypedConfig(any) => ConfigType::Typed(any),
        Choice::ConfigDiscovery(source) => ConfigType::Discovery(source.into()),
    });
    let config = FilterConfigType::from_proto(&name, choice, FilterKind::Network, is_last, at)?;
    Some(NetworkFilter { name, config })
}
