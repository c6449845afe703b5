//! Statistics of a cluster: `cluster.<name>.`
//!
//! They are several structs so that what the workers write is made only for clusters that have traffic.

use crate::stats;

stats! {
    /// Traffic to a cluster.
    ///
    /// A code that a local reply gives for a request of this cluster counts too, as in Envoy.
    pub struct ClusterStats {
        counter bind_errors;
        gauge circuit_breakers_default_cx_open = "circuit_breakers.default.cx_open";
        gauge circuit_breakers_default_cx_pool_open = "circuit_breakers.default.cx_pool_open";
        gauge circuit_breakers_default_rq_open = "circuit_breakers.default.rq_open";
        gauge circuit_breakers_default_rq_pending_open = "circuit_breakers.default.rq_pending_open";
        gauge circuit_breakers_default_rq_retry_open = "circuit_breakers.default.rq_retry_open";
        gauge circuit_breakers_high_cx_open = "circuit_breakers.high.cx_open";
        gauge circuit_breakers_high_cx_pool_open = "circuit_breakers.high.cx_pool_open";
        gauge circuit_breakers_high_rq_open = "circuit_breakers.high.rq_open";
        gauge circuit_breakers_high_rq_pending_open = "circuit_breakers.high.rq_pending_open";
        gauge circuit_breakers_high_rq_retry_open = "circuit_breakers.high.rq_retry_open";
        counter lb_healthy_panic;
        counter lb_local_cluster_not_ok;
        counter lb_recalculate_zone_structures;
        counter lb_zone_cluster_too_small;
        counter lb_zone_no_capacity_left;
        counter lb_zone_routing_all_directly;
        counter lb_zone_routing_cross_zone;
        counter lb_zone_routing_sampled;
        counter retry_or_shadow_abandoned;
        gauge upstream_cx_active;
        counter upstream_cx_close_notify;
        counter upstream_cx_connect_attempts_exceeded;
        counter upstream_cx_connect_fail;
        counter upstream_cx_connect_timeout;
        counter upstream_cx_connect_with_0_rtt;
        counter upstream_cx_destroy;
        counter upstream_cx_destroy_local;
        counter upstream_cx_destroy_local_with_active_rq;
        counter upstream_cx_destroy_remote;
        counter upstream_cx_destroy_remote_with_active_rq;
        counter upstream_cx_destroy_with_active_rq;
        counter upstream_cx_http1_total;
        counter upstream_cx_http2_total;
        counter upstream_cx_http3_total;
        counter upstream_cx_idle_timeout;
        counter upstream_cx_max_duration_reached;
        counter upstream_cx_max_requests;
        counter upstream_cx_none_healthy;
        counter upstream_cx_overflow;
        counter upstream_cx_pool_overflow;
        counter upstream_cx_preconnect_skipped;
        counter upstream_cx_protocol_error;
        gauge upstream_cx_rx_bytes_buffered;
        counter upstream_cx_rx_bytes_total;
        counter upstream_cx_total;
        gauge upstream_cx_tx_bytes_buffered;
        counter upstream_cx_tx_bytes_total;
        counter upstream_flow_control_backed_up_total;
        counter upstream_flow_control_drained_total;
        counter upstream_flow_control_paused_reading_total;
        counter upstream_flow_control_resumed_reading_total;
        counter upstream_http3_broken;
        counter upstream_internal_redirect_failed_total;
        counter upstream_internal_redirect_succeeded_total;
        gauge upstream_queue_overloaded;
        counter upstream_rq_0rtt;
        gauge upstream_rq_active;
        counter upstream_rq_active_overflow;
        counter upstream_rq_cancelled;
        counter upstream_rq_maintenance_mode;
        counter upstream_rq_max_duration_reached;
        gauge upstream_rq_pending_active;
        counter upstream_rq_pending_failure_eject;
        counter upstream_rq_pending_overflow;
        counter upstream_rq_pending_total;
        counter upstream_rq_per_try_idle_timeout;
        counter upstream_rq_per_try_timeout;
        counter upstream_rq_retry;
        counter upstream_rq_retry_backoff_exponential;
        counter upstream_rq_retry_backoff_ratelimited;
        counter upstream_rq_retry_limit_exceeded;
        counter upstream_rq_retry_overflow;
        counter upstream_rq_retry_success;
        counter upstream_rq_rx_reset;
        counter upstream_rq_rx_reset_no_error;
        counter upstream_rq_timeout;
        counter upstream_rq_total;
        counter upstream_rq_tx_reset;
        histogram upstream_cx_connect_ms (Milliseconds);
        histogram upstream_cx_length_ms (Milliseconds);
        histogram upstream_rq_per_cx (Unspecified);
        codes upstream_rq;
        lazy_codes external_upstream_rq = "external.upstream_rq";
        lazy_codes internal_upstream_rq = "internal.upstream_rq";
        lazy_codes canary_upstream_rq = "canary.upstream_rq";
        lazy_codes retry_upstream_rq = "retry.upstream_rq";
        lazy_histogram upstream_rq_time (Milliseconds);
        lazy_histogram external_upstream_rq_time = "external.upstream_rq_time" (Milliseconds);
        lazy_histogram internal_upstream_rq_time = "internal.upstream_rq_time" (Milliseconds);
        lazy_histogram canary_upstream_rq_time = "canary.upstream_rq_time" (Milliseconds);
    }
}

stats! {
    /// Responses of hosts in one zone to this proxy in another, or in the same: `cluster.<name>.zone.<from>.<to>.`
    pub struct ZoneStats {
        lazy_codes upstream_rq;
        lazy_histogram upstream_rq_time (Milliseconds);
    }
}

stats! {
    /// Responses to requests that name statistics of their own: `cluster.<name>.<alternate>.`, and of the zones of their
    /// hosts, `cluster.<name>.<alternate>.zone.<from>.<to>.`
    pub struct AlternateStats {
        lazy_codes upstream_rq;
        lazy_codes external_upstream_rq = "external.upstream_rq";
        lazy_codes internal_upstream_rq = "internal.upstream_rq";
        lazy_codes canary_upstream_rq = "canary.upstream_rq";
        lazy_histogram upstream_rq_time (Milliseconds);
        lazy_histogram external_upstream_rq_time = "external.upstream_rq_time" (Milliseconds);
        lazy_histogram internal_upstream_rq_time = "internal.upstream_rq_time" (Milliseconds);
        lazy_histogram canary_upstream_rq_time = "canary.upstream_rq_time" (Milliseconds);
    }
}

stats! {
    /// The ring of a cluster whose hosts are chosen by it: `cluster.<name>.ring_hash_lb.`
    pub struct RingHashStats {
        gauge max_hashes_per_host;
        gauge min_hashes_per_host;
        gauge size;
    }
}

stats! {
    /// The table of a cluster whose hosts are chosen by it: `cluster.<name>.maglev_lb.`
    pub struct MaglevStats {
        gauge max_entries_per_host;
        gauge min_entries_per_host;
    }
}

stats! {
    /// How many endpoints were to be spoken to in one way: `cluster.<name>.<transport socket match>.`
    pub struct SocketMatchStats {
        counter total_match_count;
    }
}

stats! {
    /// Headers of the PROXY protocol that hosts are sent: `cluster.<name>.upstream.proxyprotocol.`
    pub struct ProxyProtocolStats {
        counter v2_tlvs_exceed_max_length;
    }
}

stats! {
    /// What listeners within the process are told: `cluster.<name>.internal_upstream.`
    pub struct InternalUpstreamStats {
        counter no_metadata;
    }
}

stats! {
    /// Hosts that are asked for reports beside their responses: `cluster.<name>.lb_orca_oob.`
    pub struct OrcaOobStats {
        gauge active_sessions;
        counter report_errors;
        counter reports_received;
        counter stream_failures;
        counter stream_terminated;
    }
}

stats! {
    /// Localities that take requests as their hosts have room: `cluster.<name>.load_aware_locality.`
    pub struct LoadAwareLocalityStats {
        counter all_overloaded_total;
        counter local_preferred_total;
        counter probe_active_total;
        counter recompute_total;
        counter spill_active_total;
        counter stale_locality_total;
    }
}

stats! {
    /// Of clusters whose hosts are divided into subsets.
    pub struct SubsetStats {
        gauge lb_subsets_single_host_per_subset_duplicate;
    }
}

stats! {
    /// A cluster's hosts and where they come from; written by the control thread.
    pub struct MembershipStats {
        counter assignment_stale;
        counter assignment_timeout_received;
        counter assignment_use_cached;
        gauge lb_subsets_active;
        counter lb_subsets_created;
        counter lb_subsets_fallback;
        counter lb_subsets_fallback_panic;
        counter lb_subsets_removed;
        counter lb_subsets_selected;
        gauge max_host_weight;
        counter membership_change;
        gauge membership_degraded;
        gauge membership_excluded;
        gauge membership_healthy;
        gauge membership_total;
        counter original_dst_host_invalid;
        counter update_empty;
        counter update_no_rebuild;
        gauge warming_state;
    }
}

stats! {
    /// How much of their time the requests to a cluster used, where that is asked for: percentages.
    pub struct TimeoutBudgetStats {
        histogram upstream_rq_timeout_budget_per_try_percent_used (Unspecified);
        histogram upstream_rq_timeout_budget_percent_used (Unspecified);
    }
}

stats! {
    /// How large the requests to a cluster and their responses are, where that is asked for.
    pub struct MessageSizeStats {
        histogram upstream_rq_body_size (Bytes);
        histogram upstream_rq_headers_count (Unspecified);
        histogram upstream_rq_headers_size (Bytes);
        histogram upstream_rs_body_size (Bytes);
        histogram upstream_rs_headers_count (Unspecified);
        histogram upstream_rs_headers_size (Bytes);
    }
}

stats! {
    /// How often a cluster that is not EDS looked for its hosts.
    ///
    /// EDS has [`SubscriptionStats`](super::control_plane::SubscriptionStats) under the same prefix.
    pub struct ResolveStats {
        counter update_attempt;
        counter update_failure;
        counter update_success;
        gauge version;
    }
}

stats! {
    /// What a service says that is asked about limits of requests to a cluster: `cluster.<name>.ratelimit.`, and the
    /// prefix of the filter that asks.
    pub struct RateLimitStats {
        lazy_counter error;
        lazy_counter failure_mode_allowed;
        lazy_counter ok;
        lazy_counter over_limit;
    }
}
