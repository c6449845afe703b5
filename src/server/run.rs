//! The life of a proxy: what is started in which order, and how it ends.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::bootstrap::{self, Loaded, Source};
use crate::config;
use crate::config::bootstrap::NodeOverrides;
use crate::config::cluster::Discovery;
use crate::config::extension::Extensions;
use crate::listener;
use crate::observability::access_log::{Settings, Sinks};
use crate::observability::stats::Registry;
use crate::server::options::Options;
use crate::snapshot::{Published, Snapshot};
use crate::upstream;

use super::signal::{Event, Signals};
use super::worker::Workers;

/// The extensions of this build.
pub const EXTENSIONS: Extensions = Extensions {
    listener_filters: &[],
    network_filters: &[config::http_connection_manager::EXTENSION],
    http_filters: &[config::router::EXTENSION],
    reject_unknown_fields: false,
};

/// temporary static start
pub fn run(options: &Options) -> ExitCode {
    let source = Source {
        path: options.config_path.as_deref(),
        yaml: options.config_yaml.as_deref(),
        allow_unknown_fields: options.allow_unknown_static_fields,
        node: NodeOverrides {
            id: options.service_node.clone(),
            cluster: options.service_cluster.clone(),
            zone: options.service_zone.clone(),
        },
    };
    let Loaded { bootstrap, .. } = match bootstrap::load(&source, &EXTENSIONS) {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in problems {
                tracing::error!(target: "main", "{problem}");
            }
            return ExitCode::FAILURE;
        }
    };
    let workers_count = options.concurrency as usize;
    let registry = Registry::new(workers_count);
    let published = Arc::new(Published::default());
    let mut clusters = upstream::Manager::new(registry.clone());
    for cluster in &bootstrap.clusters {
        let live = clusters.add_fixed(Arc::new(cluster.value.clone()));
        if let Discovery::Static(assignment) = &live.config.discovery {
            live.update_endpoints(assignment);
        }
        clusters.activate(&live);
    }
    let workers = Workers::start(workers_count, &published).unwrap();
    let settings = Settings {
        workers: workers_count,
        flush_interval: options.file_flush_interval,
        flush_size: options.file_flush_min_size_bytes as usize,
    };
    let sinks = Sinks::new(settings, &registry).unwrap();
    let mut listeners = listener::Manager::new(workers.senders(), registry, sinks, options.drain_time);
    for listener in &bootstrap.listeners {
        let prepared = listeners.prepare(Arc::new(listener.value.clone())).unwrap();
        listeners.serve(prepared);
    }
    published.publish(Snapshot { clusters: Arc::clone(clusters.active()), ..Snapshot::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut signals = Signals::new().unwrap();
        loop {
            match signals.next().await {
                Event::ReopenLogs => {}
                _ => break,
            }
        }
    });
    listeners.stop(false, Duration::from_secs(5));
    drop(listeners);
    workers.join();
    ExitCode::SUCCESS
}
