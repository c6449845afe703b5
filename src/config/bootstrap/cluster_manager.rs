//! `envoy.config.bootstrap.v3.ClusterManager`: what concerns all clusters.

use std::path::PathBuf;

use envoy_types::pb::envoy::config::bootstrap::v3;

use crate::config::cluster::Bind;
use crate::config::field::{Scope, open};
use crate::config::source::ApiSource;

/// What it says.
#[derive(Default)]
pub(super) struct ClusterManager {
    /// The cluster that this proxy is a host of.
    pub(super) local_cluster_name: Option<String>,
    /// Where ejections of hosts are logged.
    pub(super) outlier_event_log: Option<PathBuf>,
    /// Where load is reported to.
    pub(super) load_reports: Option<ApiSource>,
    /// Where connections to hosts come from whose clusters do not say it.
    pub(super) bind: Option<Bind>,
}

impl ClusterManager {
    pub(super) fn from_proto(message: v3::ClusterManager, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ClusterManager = message;
            implemented { local_cluster_name, outlier_detection, load_stats_config, upstream_bind_config }
            ignored {
                enable_deferred_cluster_creation: "a worker makes its part of a cluster at first use",
            }
        }
        let outlier_event_log = at.message("outlier_detection", outlier_detection, |message, at| {
            use v3::cluster_manager::OutlierDetection;
            open! { at, OutlierDetection = message;
                implemented { event_log_path }
                ignored { event_service: "Envoy does not read it either; events are written to event_log_path" }
            }
            Some(event_log_path).filter(|path| !path.is_empty()).map(PathBuf::from)
        });
        Some(ClusterManager {
            local_cluster_name: Some(local_cluster_name).filter(|name| !name.is_empty()),
            outlier_event_log,
            load_reports: at.message("load_stats_config", load_stats_config, ApiSource::from_proto),
            bind: at.message("upstream_bind_config", upstream_bind_config, Bind::from_proto),
        })
    }
}
