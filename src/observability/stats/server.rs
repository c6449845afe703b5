//! Statistics of the process: `server.`, and of what there is one of in a process.

use crate::stats;

stats! {
    /// The process: `server.`
    pub struct ServerStats {
        gauge compilation_settings_fips_mode = "compilation_settings.fips_mode";
        gauge concurrency;
        counter connection_panics;
        gauge days_until_first_cert_expiring;
        counter debug_assertion_failures;
        counter dropped_stat_flushes;
        counter dynamic_unknown_fields;
        counter envoy_bug_failures;
        counter envoy_notifications;
        gauge hot_restart_epoch;
        counter ignored_fields;
        gauge live;
        gauge memory_allocated;
        gauge memory_heap_size;
        gauge memory_physical_size;
        gauge parent_connections;
        gauge seconds_until_first_ocsp_response_expiring;
        gauge state;
        counter static_unknown_fields;
        gauge stats_recent_lookups;
        gauge total_connections;
        gauge uptime;
        gauge version;
        counter wip_protos;
        histogram initialization_time_ms (Milliseconds);
    }
}

stats! {
    /// Programs that take over from each other, where that is not switched off: `server.`
    pub struct HotRestartStats {
        gauge hot_restart_generation;
    }
}

stats! {
    /// The overload manager, whatever it is configured to do.
    pub struct OverloadStats {
        counter streams_reset = "envoy.overload_actions.reset_high_memory_stream.count";
        histogram refresh_interval_delay = "overload.refresh_interval_delay" (Milliseconds);
    }
}

stats! {
    /// A resource that the overload manager looks after: `overload.<monitor>.`
    pub struct MonitorStats {
        counter failed_updates;
        gauge pressure;
    }
}

stats! {
    /// A thread's watchdog: `server.worker_<N>.`, `server.main_thread.`, `workers.`, `main_thread.`
    pub struct WatchdogStats {
        counter watchdog_mega_miss;
        counter watchdog_miss;
    }
}

stats! {
    /// The layered runtime: `runtime.`
    pub struct RuntimeStats {
        gauge admin_overrides_active;
        gauge deprecated_feature_seen_since_process_start;
        counter deprecated_feature_use;
        counter load_error;
        counter load_success;
        gauge num_keys;
        gauge num_layers;
        counter override_dir_exists;
        counter override_dir_not_exists;
    }
}

stats! {
    /// Files that access logs go to: `filesystem.`
    pub struct FilesystemStats {
        counter flushed_by_timer;
        counter reopen_failed;
        counter write_buffered;
        counter write_completed;
        counter write_failed;
        gauge write_total_buffered;
    }
}
