//! Statistics of xDS: streams and subscriptions.

use crate::stats;

stats! {
    /// The stream to a management server: `control_plane.`
    pub struct ControlPlaneStats {
        gauge connected_state;
        text identifier;
        gauge pending_requests;
        counter rate_limit_enforced;
    }
}

stats! {
    /// A subscription: `listener_manager.lds.`, `cluster_manager.cds.`, `cluster.<name>.` for EDS,
    /// `http.<stat_prefix>.rds.<route>.`.
    pub struct SubscriptionStats {
        text version_text;
        counter init_fetch_timeout;
        counter update_attempt;
        counter update_failure;
        counter update_rejected;
        counter update_success;
        gauge update_time;
        gauge version;
        histogram update_duration (Milliseconds);
    }
}

stats! {
    /// How often what a subscription brings was put in force: under the prefixes of CDS and RDS.
    pub struct ReloadStats {
        counter config_reload;
        gauge config_reload_time_ms;
    }
}

stats! {
    /// A secret: `sds.<name>.`, beside its subscription.
    pub struct SecretStats {
        counter key_rotation_failed;
    }
}

stats! {
    /// Configurations of filters that are discovered: `extension_config_discovery.http_filter.<name>.`.
    pub struct ExtensionDiscoveryStats {
        counter config_conflict;
        counter config_fail;
        counter config_reload;
    }
}

stats! {
    /// Scopes of requests: under the prefix of SRDS.
    pub struct ScopeStats {
        gauge active_scopes;
        gauge all_scopes;
        gauge on_demand_scopes;
    }
}

stats! {
    /// Virtual hosts that are discovered: under the prefix of VHDS.
    pub struct VirtualHostStats {
        counter config_reload;
        counter update_empty;
    }
}

stats! {
    /// Updates of a subscription to one resource that brought none: under the prefix of RDS.
    pub struct EmptyUpdateStats {
        counter update_empty;
    }
}

stats! {
    /// Reports of load: `load_reporter.`
    pub struct LoadReporterStats {
        counter errors;
        counter requests;
        counter responses;
        counter retries;
    }
}
