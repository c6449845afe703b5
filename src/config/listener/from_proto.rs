//! `envoy.config.listener.v3.Listener` to [`Listener`].

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3;

use super::{
    Fcds, FilterChain, Listener, ListenerFilter, TrafficDirection, addresses, filter_chains as chains,
    internal, socket, udp,
};
use crate::config::access_log::AccessLog;
use crate::config::bootstrap::StatsMatcher;
use crate::config::buffer;
use crate::config::extension::Extensions;
use crate::config::field::{self, Notes, Scope, is_set, open};
use crate::config::metadata::Metadata;

/// How long listener filters may take where nothing is configured.
const DEFAULT_LISTENER_FILTERS_TIMEOUT: Duration = Duration::from_secs(15);

impl Listener {
    /// From the bytes of its proto.
    ///
    /// # Errors
    /// Every error of the resource.
    pub fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<field::Error>> {
        field::parse(bytes, extensions, Self::from_proto)
    }

    /// From its proto.
    pub fn from_proto(message: v3::Listener, at: &mut Scope<'_>) -> Option<Self> {
        // Those that clusters named.
        drop(at.take_caches());
        open! { at, v3::Listener = message;
            implemented {
                name, stat_prefix, ignore_global_conn_limit, traffic_direction, drain_type, listener_specifier,
                filter_chains, filter_chain_matcher, default_filter_chain, fcds_config, udp_listener_config,
                listener_filters, listener_filters_timeout, continue_on_listener_filters_timeout, use_original_dst,
                stats_matcher, access_log, metadata,
            }
            grouped {
                addresses: addresses::Given { address, additional_addresses, socket_options, tcp_keepalive },
                socket: socket::Given {
                    bind_to_port, deprecated_v1, enable_reuse_port, tcp_backlog_size, tcp_fast_open_queue_length, enable_mptcp,
                    freebind, transparent, max_connections_to_accept_per_socket_event, connection_balance_config,
                },
                buffer: buffer::Given {
                    per_connection_buffer_limit_bytes, per_connection_buffer_high_watermark_timeout,
                },
            }
            rejected {
                api_listener: "missing the API listener extension: nothing in this process calls it, nor in Envoy's own program",
            }
            ignored {
                reuse_port: "enable_reuse_port, which is true when it is not set, has taken its place",
                bypass_overload_manager: "the bootstrap's overload_manager has no actions",
            }
        }
        if is_set(&api_listener) {
            // What follows concerns listeners that are connected to.
            return None;
        }
        let is_internal =
            listener_specifier.map(|kind| internal::check(kind, &name, &addresses, &socket, at)).is_some();
        let is_udp = addresses.is_udp();
        let fcds = at.message("fcds_config", fcds_config, Fcds::from_proto);
        let may_have_none = default_filter_chain.is_some() || fcds.is_some() || is_udp;
        // HTTP/3 would have filter chains; it is refused by its own field.
        if is_udp && !udp::is_quic(udp_listener_config.as_ref()) {
            udp::refuse_chains(filter_chains.len(), default_filter_chain.is_some(), at);
        }
        let addresses = addresses.read(&name, is_internal, at);
        let socket = socket.read(at);
        socket.check(&name, &addresses, is_udp, at);
        let use_original_dst = use_original_dst.is_some_and(|original| original.value);
        let (udp, listener_filters) = match is_udp {
            true => (Some(udp::Udp::from_proto(listener_filters, udp_listener_config, at)), Vec::new()),
            false => {
                udp::ignore_settings(udp_listener_config, at);
                let mut filters = at.list("listener_filters", listener_filters, ListenerFilter::from_proto);
                if use_original_dst {
                    filters.extend(ListenerFilter::original_dst(at));
                }
                (None, filters)
            }
        };
        let place = addresses.iter().map(|listen| listen.address.to_string()).collect::<Vec<_>>().join(",");
        let has_matcher = filter_chain_matcher.is_some();
        let chosen = chains::from_proto(filter_chains, filter_chain_matcher, may_have_none, &place, at);
        let buffer = buffer.read(at);
        if fcds.is_some() && !has_matcher {
            at.error(format!("error adding listener '{place}': FCDS requires a filter chain matcher."));
        }
        let listener = Listener {
            fcds,
            ignore_global_conn_limit,
            addresses,
            filter_chains: chosen.chains,
            chain_index: chosen.index,
            chain_matcher: chosen.matcher,
            listener_filters,
            use_original_dst,
            udp,
            listener_filters_timeout: at.timeout(
                "listener_filters_timeout",
                listener_filters_timeout,
                Some(DEFAULT_LISTENER_FILTERS_TIMEOUT),
            ),
            continue_on_listener_filters_timeout,
            default_filter_chain: at.message(
                "default_filter_chain",
                default_filter_chain,
                FilterChain::from_proto,
            ),
            buffer,
            drains_when_unhealthy: drains_when_unhealthy(drain_type, at),
            is_internal,
            socket,
            stats_matcher: at.message("stats_matcher", stats_matcher, StatsMatcher::from_proto).map(Arc::new),
            stat_prefix: Some(stat_prefix).filter(|prefix| !prefix.is_empty()),
            traffic_direction: TrafficDirection::from_proto(traffic_direction, at),
            access_log: at.list("access_log", access_log, AccessLog::from_proto),
            metadata: Metadata::shared(metadata, at),
            format_secrets: Vec::new(),
            dns_caches: Vec::new(),
            name,
        };
        listener.check_fcds(at);
        // Of all that has been read by now.
        Some(Listener { format_secrets: at.take_secrets(), dns_caches: at.take_caches(), ..listener })
    }
}

/// Whether `/healthcheck/fail` ends connections.
fn drains_when_unhealthy(drain_type: i32, at: &mut Scope<'_>) -> bool {
    match at.enumeration("drain_type", drain_type) {
        v3::listener::DrainType::Default => true,
        v3::listener::DrainType::ModifyOnly => false,
    }
}

impl TrafficDirection {
    fn from_proto(value: i32, at: &mut Scope<'_>) -> Self {
        match at.enumeration("traffic_direction", value) {
            core::TrafficDirection::Unspecified => TrafficDirection::Unspecified,
            core::TrafficDirection::Inbound => TrafficDirection::Inbound,
            core::TrafficDirection::Outbound => TrafficDirection::Outbound,
        }
    }
}
