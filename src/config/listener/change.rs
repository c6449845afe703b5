//! What an update of a listener changes.

use super::Listener;

impl Listener {
    /// Whether an update to `next` changes filter chains and nothing else, so that sockets, and the connections of
    /// chains that stay, can stay too. As in Envoy never where `next` has but a default chain.
    pub fn changes_chains_alone(&self, next: &Self) -> bool {
        let Listener {
            name,
            addresses,
            ignore_global_conn_limit,
            use_original_dst,
            listener_filters,
            listener_filters_timeout,
            continue_on_listener_filters_timeout,
            filter_chains: _,
            chain_index: _,
            chain_matcher: _,
            fcds,
            default_filter_chain: _,
            per_connection_buffer_limit_bytes,
            per_connection_buffer_high_watermark_timeout,
            bind_to_port,
            enable_reuse_port,
            tcp_backlog_size,
            tcp_fast_open_queue_length,
            balance,
            enable_mptcp,
            freebind,
            transparent,
            max_connections_to_accept_per_socket_event,
            stat_prefix,
            stats_matcher,
            traffic_direction,
            drains_when_unhealthy,
            is_internal,
            udp,
            access_log,
            metadata,
            // Each is part of something else here.
            format_secrets: _,
        } = self;
        (!next.filter_chains.is_empty() || next.fcds.is_some())
            && *fcds == next.fcds
            && *name == next.name
            && *addresses == next.addresses
            && *ignore_global_conn_limit == next.ignore_global_conn_limit
            && *use_original_dst == next.use_original_dst
            && *listener_filters == next.listener_filters
            && *listener_filters_timeout == next.listener_filters_timeout
            && *continue_on_listener_filters_timeout == next.continue_on_listener_filters_timeout
            && *per_connection_buffer_limit_bytes == next.per_connection_buffer_limit_bytes
            && *per_connection_buffer_high_watermark_timeout
                == next.per_connection_buffer_high_watermark_timeout
            && *bind_to_port == next.bind_to_port
            && *enable_reuse_port == next.enable_reuse_port
            && *tcp_backlog_size == next.tcp_backlog_size
            && *tcp_fast_open_queue_length == next.tcp_fast_open_queue_length
            && *balance == next.balance
            && *enable_mptcp == next.enable_mptcp
            && *freebind == next.freebind
            && *transparent == next.transparent
            && *max_connections_to_accept_per_socket_event == next.max_connections_to_accept_per_socket_event
            && *stat_prefix == next.stat_prefix
            && *stats_matcher == next.stats_matcher
            && *traffic_direction == next.traffic_direction
            && *drains_when_unhealthy == next.drains_when_unhealthy
            && *is_internal == next.is_internal
            && *udp == next.udp
            && *access_log == next.access_log
            && *metadata == next.metadata
    }

    /// Whether an update to `next` may take over the sockets. Another backlog is no reason against it: that of a socket
    /// can change.
    pub fn may_lend_sockets(&self, next: &Self) -> bool {
        self.addresses == next.addresses
            && self.udp.is_some() == next.udp.is_some()
            && self.is_internal == next.is_internal
            && self.bind_to_port == next.bind_to_port
            && self.enable_reuse_port == next.enable_reuse_port
            && self.enable_mptcp == next.enable_mptcp
            && self.freebind == next.freebind
            && self.transparent == next.transparent
    }
}
