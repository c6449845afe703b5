//! The options as `/server_info` shows them: `envoy.admin.v3.CommandLineOptions` in JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::observability::logging::DEFAULT_FORMAT;

use super::{DrainStrategy, IpVersion, Mode, Options};

impl Options {
    /// The options as `envoy.admin.v3.CommandLineOptions` in JSON.
    pub fn to_json(&self) -> Value {
        let path = |path: &Option<std::path::PathBuf>| {
            path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
        };
        json!({
            "base_id": self.base_id.to_string(),
            "use_dynamic_base_id": self.noted.use_dynamic_base_id,
            "base_id_path": path(&self.base_id_path),
            "concurrency": self.concurrency,
            "config_path": path(&self.config_path),
            "config_yaml": self.config_yaml.clone().unwrap_or_default(),
            "allow_unknown_static_fields": self.allow_unknown_static_fields,
            "reject_unknown_dynamic_fields": self.reject_unknown_dynamic_fields,
            "ignore_unknown_dynamic_fields": self.ignore_unknown_dynamic_fields,
            "skip_deprecated_logs": self.skip_deprecated_logs,
            "admin_address_path": path(&self.admin_address_path),
            "local_address_ip_version": match self.local_address_ip_version {
                IpVersion::V4 => "v4",
                IpVersion::V6 => "v6",
            },
            "log_level": self.log_level.to_string(),
            "component_log_level": self
                .component_log_levels
                .iter()
                .map(|(component, level)| format!("{component}:{level}"))
                .collect::<Vec<_>>()
                .join(","),
            "log_format": self.log_format.as_deref().unwrap_or(DEFAULT_FORMAT),
            "log_format_escaped": self.log_format_escaped,
            "log_path": path(&self.log_path),
            "service_cluster": self.service_cluster,
            "service_node": self.service_node,
            "service_zone": self.service_zone,
            "drain_strategy": match self.drain_strategy {
                DrainStrategy::Gradual => "Gradual",
                DrainStrategy::Immediate => "Immediate",
            },
            "mode": match self.mode {
                Mode::Serve => "Serve",
                Mode::Validate => "Validate",
            },
            "file_flush_interval": seconds(self.file_flush_interval),
            "drain_time": seconds(self.drain_time),
            "parent_shutdown_time": seconds(self.noted.parent_shutdown_time),
            "disable_hot_restart": self.noted.disable_hot_restart,
            "restart_epoch": self.noted.restart_epoch,
            "cpuset_threads": self.noted.cpuset_threads,
            "enable_mutex_tracing": self.noted.enable_mutex_tracing,
            "enable_fine_grain_logging": self.noted.enable_fine_grain_logging,
            "enable_core_dump": self.noted.enable_core_dump,
            "socket_path": self.noted.socket_path,
            "socket_mode": self.noted.socket_mode,
            "disabled_extensions": self.noted.disabled_extensions,
            "stats_tag": self.stats_tags.iter().map(|tag| format!("{}:{}", tag.name, tag.value)).collect::<Vec<_>>(),
        })
    }
}

/// A duration as JSON of protobuf has it.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}
