//! `envoy.config.listener.v3.Listener` to [`Listener`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3;

use super::{
    Balance, DEFAULT_TCP_BACKLOG_SIZE, Fcds, FilterChain, ListenAddress, Listener, ListenerFilter,
    TrafficDirection, filter_chains as chains, internal, udp,
};
use crate::config::access_log::AccessLog;
use crate::config::address::{Address, SocketOption, TcpKeepalive};
use crate::config::bootstrap::StatsMatcher;
use crate::config::buffer::Buffer;
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
        let settings = internal::Settings::of(&message);
        open! { at, v3::Listener = message;
            implemented {
                name, address, additional_addresses, stat_prefix, ignore_global_conn_limit, filter_chains, default_filter_chain,
                per_connection_buffer_limit_bytes, per_connection_buffer_high_watermark_timeout, metadata, deprecated_v1, drain_type, listener_filters,
                transparent, freebind, socket_options, traffic_direction, max_connections_to_accept_per_socket_event,
                enable_reuse_port, access_log, tcp_backlog_size, bind_to_port, tcp_keepalive, listener_filters_timeout,
                continue_on_listener_filters_timeout, udp_listener_config, listener_specifier,
                use_original_dst, filter_chain_matcher, enable_mptcp, stats_matcher, connection_balance_config,
                tcp_fast_open_queue_length, fcds_config,
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
            listener_specifier.map(|kind| internal::check(kind, &name, &settings, at)).is_some();
        let is_udp = address.as_ref().is_some_and(udp::is_udp);
        let fcds = at.message("fcds_config", fcds_config, Fcds::from_proto);
        let may_have_none = default_filter_chain.is_some() || fcds.is_some() || is_udp;
        // HTTP/3 would have filter chains; it is refused by its own field.
        if is_udp && !udp::is_quic(udp_listener_config.as_ref()) {
            udp::refuse_chains(filter_chains.len(), default_filter_chain.is_some(), at);
        }
        let sockets = SocketSettings {
            options: at.list("socket_options", socket_options, SocketOption::from_proto),
            keepalive: at.message("tcp_keepalive", tcp_keepalive, TcpKeepalive::from_proto),
        };
        let addresses = match is_internal {
            true => vec![internal::address(&name)],
            false => addresses(&name, address, additional_addresses, &sockets, is_udp, at),
        };
        if enable_mptcp {
            check_mptcp(&name, &addresses, is_udp, at);
        }
        let bound_by_v1 = at.message("deprecated_v1", deprecated_v1, |message, at| {
            open! { at, v3::listener::DeprecatedV1 = message; implemented { bind_to_port } }
            bind_to_port
        });
        let bound_by_v1 = bound_by_v1.is_none_or(|bind| bind.value);
        let bind_to_port = bound_by_v1 && bind_to_port.is_none_or(|bind| bind.value);
        if is_udp && !bind_to_port {
            at.error(format!("listener {name}: bind_to_port: false is not supported for UDP listeners"));
        }
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
        let buffer = Buffer::from_fields(
            per_connection_buffer_limit_bytes,
            per_connection_buffer_high_watermark_timeout,
            at,
        );
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
            per_connection_buffer_limit_bytes: buffer.limit_bytes,
            per_connection_buffer_high_watermark_timeout: buffer.high_watermark_timeout,
            bind_to_port,
            drains_when_unhealthy: match at.enumeration("drain_type", drain_type) {
                v3::listener::DrainType::Default => true,
                v3::listener::DrainType::ModifyOnly => false,
            },
            is_internal,
            enable_reuse_port: enable_reuse_port.is_none_or(|enable| enable.value),
            tcp_backlog_size: tcp_backlog_size.map_or(DEFAULT_TCP_BACKLOG_SIZE, |size| size.value),
            tcp_fast_open_queue_length: tcp_fast_open_queue_length.map(|length| length.value),
            balance: at.message("connection_balance_config", connection_balance_config, balance),
            enable_mptcp,
            freebind: freebind.map(|freebind| freebind.value),
            transparent: transparent.map(|transparent| transparent.value),
            max_connections_to_accept_per_socket_event: at.within(
                "max_connections_to_accept_per_socket_event",
                max_connections_to_accept_per_socket_event,
                1..=u32::MAX,
            ),
            stats_matcher: at.message("stats_matcher", stats_matcher, StatsMatcher::from_proto).map(Arc::new),
            stat_prefix: Some(stat_prefix).filter(|prefix| !prefix.is_empty()),
            traffic_direction: match at.enumeration("traffic_direction", traffic_direction) {
                core::TrafficDirection::Unspecified => TrafficDirection::Unspecified,
                core::TrafficDirection::Inbound => TrafficDirection::Inbound,
                core::TrafficDirection::Outbound => TrafficDirection::Outbound,
            },
            access_log: at.list("access_log", access_log, AccessLog::from_proto),
            metadata: Metadata::shared(metadata, at),
            format_secrets: Vec::new(),
            name,
        };
        listener.check_fcds(at);
        // Of all that has been read by now.
        Some(Listener { format_secrets: at.take_secrets(), ..listener })
    }
}

/// How connections are spread over the workers.
fn balance(message: v3::listener::ConnectionBalanceConfig, at: &mut Scope<'_>) -> Option<Balance> {
    use v3::listener::ConnectionBalanceConfig;
    use v3::listener::connection_balance_config::{BalanceType, CpuLocalityBalance, ExactBalance};
    open! { at, ConnectionBalanceConfig = message; implemented { balance_type } }
    match at.required("balance_type", balance_type)? {
        BalanceType::ExactBalance(message) => {
            let mut at = at.field("exact_balance");
            open! { at, ExactBalance = message; implemented {} }
            Some(Balance::Exact)
        }
        BalanceType::CpuLocalityBalance(message) => {
            let mut at = at.field("cpu_locality_balance");
            open! { at, CpuLocalityBalance = message; implemented {} }
            Some(Balance::CpuLocality)
        }
        BalanceType::ExtendBalance(_) => {
            at.reject(
                "extend_balance",
                "there are no extensions that spread connections; exact_balance is served",
            );
            None
        }
    }
}

/// Notes several paths where connections have none.
fn check_mptcp(name: &str, addresses: &[ListenAddress], is_udp: bool, at: &mut Scope<'_>) {
    let mut at = at.field("enable_mptcp");
    if is_udp {
        at.error(format!("listener {name}: enable_mptcp can only be used with TCP listeners"));
    } else if addresses.iter().any(|listen| !matches!(listen.address, Address::Ip(_))) {
        at.error(format!("listener {name}: enable_mptcp can only be used with IP addresses"));
    }
}

/// What sockets have in common where an address says nothing itself.
struct SocketSettings {
    options: Vec<SocketOption>,
    keepalive: Option<TcpKeepalive>,
}

fn addresses(
    name: &str,
    address: Option<core::Address>,
    additional: Vec<v3::AdditionalAddress>,
    sockets: &SocketSettings,
    is_udp: bool,
    at: &mut Scope<'_>,
) -> Vec<ListenAddress> {
    if address.is_none() {
        at.field("address").error(format!("error adding listener named '{name}': address is necessary"));
    }
    let mut addresses = Vec::new();
    addresses.extend(at.message("address", address, |message, at| {
        listen_address(message, sockets.options.clone(), sockets.keepalive.clone(), at)
    }));
    addresses.extend(at.list("additional_addresses", additional, |message, at| {
        open! { at, v3::AdditionalAddress = message; implemented { address, socket_options, tcp_keepalive } }
        let options = match socket_options {
            Some(own) => {
                let mut at = at.field("socket_options");
                open! { at, core::SocketOptionsOverride = own; implemented { socket_options } }
                at.list("socket_options", socket_options, SocketOption::from_proto)
            }
            None => sockets.options.clone(),
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
            listen_address(message, options, keepalive.or_else(|| sockets.keepalive.clone()), at)
        })
    }));
    addresses
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
