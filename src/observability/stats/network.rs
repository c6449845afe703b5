//! Statistics of network filters.

use crate::stats;

stats! {
    /// A TCP proxy: `tcp.<stat_prefix>.`
    pub struct TcpProxyStats {
        counter downstream_cx_drain_close;
        counter downstream_cx_no_route;
        counter downstream_cx_overload_close;
        gauge downstream_cx_rx_bytes_buffered;
        counter downstream_cx_rx_bytes_total;
        counter downstream_cx_total;
        gauge downstream_cx_tx_bytes_buffered;
        counter downstream_cx_tx_bytes_total;
        counter downstream_flow_control_paused_reading_total;
        counter downstream_flow_control_resumed_reading_total;
        counter early_data_received_count_total;
        counter idle_timeout;
        counter max_downstream_connection_duration;
        counter route_delayed_total;
        gauge upstream_flush_active;
        counter upstream_flush_total;
    }
}

stats! {
    /// A limit of connections: `connection_limit.<stat_prefix>.`
    pub struct ConnectionLimitStats {
        gauge active_connections;
        counter limited_connections;
    }
}

stats! {
    /// A limit of new connections: `local_rate_limit.<stat_prefix>.`
    pub struct LocalRateLimitStats {
        counter rate_limited;
    }
}

stats! {
    /// Clusters that a TCP proxy asks for: `tcp.<stat_prefix>.`, where it may.
    pub struct OnDemandStats {
        counter on_demand_cluster_attempt;
        counter on_demand_cluster_missing;
        counter on_demand_cluster_success;
        counter on_demand_cluster_timeout;
    }
}

stats! {
    /// Who may connect: `<stat_prefix>.rbac.`
    pub struct RbacStats {
        counter allowed;
        counter denied;
    }
}

stats! {
    /// Who might connect if the shadow decided: `<stat_prefix>.rbac.<shadow_rules_stat_prefix>.`
    pub struct RbacShadowStats {
        counter shadow_allowed;
        counter shadow_denied;
    }
}

stats! {
    /// A service that limits connections: `ratelimit.<stat_prefix>.`
    pub struct RateLimitStats {
        gauge active;
        counter cx_closed;
        counter error;
        counter failure_mode_allowed;
        counter ok;
        counter over_limit;
        counter total;
    }
}

stats! {
    /// A service that is asked who may connect: `ext_authz.<stat_prefix>.`
    pub struct ExtAuthzStats {
        gauge active;
        counter cx_closed;
        counter denied;
        counter disabled;
        counter error;
        counter failure_mode_allowed;
        counter ok;
        counter total;
    }
}
