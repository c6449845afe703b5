//! The flags in force as `/server_info` shows them.

use std::path::PathBuf;
use std::time::Duration;

use envoy_types::pb::envoy::admin::v3::CommandLineOptions;
use envoy_types::pb::envoy::admin::v3::command_line_options as report;

use super::{DrainStrategy, IpVersion, Mode, Options};

impl Options {
    /// These flags as `envoy.admin.v3.CommandLineOptions`.
    pub fn to_proto(&self) -> CommandLineOptions {
        let component_levels =
            self.component_log_levels.iter().map(|(name, level)| format!("{name}:{level}"));
        let stats_tags = self.stats_tags.iter().map(|tag| format!("{}:{}", tag.name, tag.value));
        CommandLineOptions {
            base_id: self.base_id.into(),
            base_id_path: text(self.base_id_path.as_ref()),
            concurrency: self.concurrency,
            config_path: text(self.config_path.as_ref()),
            config_yaml: self.config_yaml.clone().unwrap_or_default(),
            allow_unknown_static_fields: self.allow_unknown_static_fields,
            reject_unknown_dynamic_fields: self.reject_unknown_dynamic_fields,
            ignore_unknown_dynamic_fields: self.ignore_unknown_dynamic_fields,
            skip_deprecated_logs: self.skip_deprecated_logs,
            admin_address_path: text(self.admin_address_path.as_ref()),
            local_address_ip_version: self.ip_version_to_proto().into(),
            log_level: self.log_level.name().to_owned(),
            component_log_level: component_levels.collect::<Vec<_>>().join(","),
            log_format: self.log_format.clone(),
            log_format_escaped: self.log_format_escaped,
            log_path: text(self.log_path.as_ref()),
            service_cluster: self.service_cluster.clone(),
            service_node: self.service_node.clone(),
            service_zone: self.service_zone.clone(),
            file_flush_interval: duration(self.file_flush_interval),
            file_flush_min_size: u32::try_from(self.file_flush_min_size_bytes / 1024).unwrap_or(u32::MAX),
            drain_time: duration(self.drain_time),
            drain_strategy: self.drain_strategy_to_proto().into(),
            mode: self.mode_to_proto().into(),
            stats_tag: stats_tags.collect(),
            ..self.noted_to_proto()
        }
    }

    fn noted_to_proto(&self) -> CommandLineOptions {
        let noted = &self.noted;
        CommandLineOptions {
            use_dynamic_base_id: noted.use_dynamic_base_id,
            skip_hot_restart_on_no_parent: noted.skip_hot_restart_on_no_parent,
            skip_hot_restart_parent_stats: noted.skip_hot_restart_parent_stats,
            parent_shutdown_time: duration(noted.parent_shutdown_time),
            disable_hot_restart: noted.disable_hot_restart,
            enable_mutex_tracing: noted.enable_mutex_tracing,
            restart_epoch: noted.restart_epoch,
            cpuset_threads: noted.cpuset_threads,
            disabled_extensions: noted.disabled_extensions.clone(),
            enable_fine_grain_logging: noted.enable_fine_grain_logging,
            log_stacktrace_single_entry: noted.log_stacktrace_single_entry,
            socket_path: noted.socket_path.clone(),
            socket_mode: noted.socket_mode,
            enable_core_dump: noted.enable_core_dump,
            ..CommandLineOptions::default()
        }
    }

    fn ip_version_to_proto(&self) -> report::IpVersion {
        match self.local_address_ip_version {
            IpVersion::V4 => report::IpVersion::V4,
            IpVersion::V6 => report::IpVersion::V6,
        }
    }

    fn drain_strategy_to_proto(&self) -> report::DrainStrategy {
        match self.drain_strategy {
            DrainStrategy::Gradual => report::DrainStrategy::Gradual,
            DrainStrategy::Immediate => report::DrainStrategy::Immediate,
        }
    }

    fn mode_to_proto(&self) -> report::Mode {
        match self.mode {
            Mode::Serve => report::Mode::Serve,
            Mode::Validate => report::Mode::Validate,
        }
    }
}

fn text(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

fn duration(duration: Duration) -> Option<envoy_types::pb::google::protobuf::Duration> {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(duration.subsec_nanos()).unwrap_or_default();
    Some(envoy_types::pb::google::protobuf::Duration { seconds, nanos })
}
