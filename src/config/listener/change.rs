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
            buffer,
            socket,
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
            dns_caches: _,
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
            && *buffer == next.buffer
            && *socket == next.socket
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
            && self.socket.bind_to_port == next.socket.bind_to_port
            && self.socket.enable_reuse_port == next.socket.enable_reuse_port
            && self.socket.enable_mptcp == next.socket.enable_mptcp
            && self.socket.freebind == next.socket.freebind
            && self.socket.transparent == next.socket.transparent
    }
}
