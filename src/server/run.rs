//! The life of a proxy: what is started in which order, and how it ends.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;

use crate::config;
use crate::config::cluster::Discovery;
use crate::config::extension::Extensions;
use crate::listener;
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
};

/// temporary static start
pub fn run(options: &Options) -> ExitCode {
    let text = std::fs::read_to_string(options.config_path.as_ref().unwrap()).unwrap();
    let node = dragoman_proto::tree::parse_yaml(&text).unwrap();
    let encoded =
        dragoman_proto::encode(&node.root, "envoy.config.bootstrap.v3.Bootstrap", &Default::default())
            .unwrap();
    let bootstrap =
        envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap::decode(&*encoded.bytes).unwrap();
    let registry = Registry::new(options.concurrency as usize);
    let published = Arc::new(Published::default());
    let mut clusters = upstream::Manager::new(registry.clone());
    let resources = bootstrap.static_resources.unwrap_or_default();
    let mut map: HashMap<Arc<str>, Arc<upstream::Cluster>> = HashMap::new();
    for cluster in resources.clusters {
        let (parsed, _) = config::Cluster::parse(&cluster.encode_to_vec(), &EXTENSIONS).unwrap();
        let live = clusters.add_fixed(Arc::new(parsed));
        if let Discovery::Static(assignment) = &live.config.discovery {
            live.update_endpoints(assignment);
        }
        map.insert(Arc::clone(&live.name), live);
    }
    published.publish(Snapshot { clusters: Arc::new(map), routes: Arc::default() });
    let workers = Workers::start(options.concurrency as usize, &published).unwrap();
    let mut listeners = listener::Manager::new(workers.senders(), registry, options.drain_time);
    for listener in resources.listeners {
        let (parsed, _) = config::Listener::parse(&listener.encode_to_vec(), &EXTENSIONS).unwrap();
        let prepared = listeners.prepare(Arc::new(parsed)).unwrap();
        listeners.serve(prepared);
    }
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
