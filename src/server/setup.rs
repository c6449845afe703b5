//! What the control thread is given: what the bootstrap says, and the client of management servers.

use std::rc::Rc;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Node;
use prost::Message as _;
use tracing::error;

use crate::base::random::Rng;
use crate::base::uuid;
use crate::config::access_log::AccessLogSink;
use crate::config::bootstrap::{ALL_DEPRECATED_FEATURES, Bootstrap};
use crate::config::extension::Extensions;
use crate::control;
use crate::listener;
use crate::observability::access_log::Sinks;
use crate::observability::stats::Registry;
use crate::snapshot::Published;
use crate::transport::tls::Secrets;
use crate::upstream::LocalCluster;
use crate::upstream::discovery::resolver::SystemResolver;
use crate::xds;

use super::options::Options;
use super::run::EXTENSIONS;

/// All of it, but for logs.
pub(super) fn setup(
    options: &Options,
    bootstrap: &Bootstrap,
    registry: &Registry,
    published: Arc<Published>,
    server: listener::Manager,
    secrets: Secrets,
) -> control::Setup {
    let clusters: Vec<_> = bootstrap.clusters.iter().map(|cluster| Arc::clone(&cluster.value)).collect();
    let resources = &bootstrap.dynamic_resources;
    let (client, notices) = xds::Client::new(xds::Setup {
        node: node_message(bootstrap),
        clusters: clusters.clone(),
        secrets: secrets.clone(),
        ads: resources.ads_config.clone(),
        registry: registry.clone(),
        unknown_fields: unknown_fields(options),
        rng: Rng::from_entropy(),
    });
    if let Some(source) = &bootstrap.load_reports
        && let Err(error) = client.report_load(source, Arc::clone(&published))
    {
        error!(target: "upstream", "load is not reported: {error}");
    }
    control::Setup {
        registry: registry.clone(),
        clusters,
        local: bootstrap.local_cluster_name.clone().map(LocalCluster::new),
        locality: bootstrap.node.locality.clone(),
        bind: bootstrap.bind.clone(),
        listeners: bootstrap
            .listeners
            .iter()
            .map(|listener| Arc::new(listener.value.named_or(uuid::fresh)))
            .collect(),
        cds: resources.cds_config.clone(),
        lds: resources.lds_config.clone(),
        extensions: Extensions {
            reject_unknown_fields: options.reject_unknown_dynamic_fields,
            local_cluster: Some(bootstrap.local_cluster_name.is_some()),
            management_servers: Some(bootstrap.management_servers()),
            allow_disallowed_features: published.load().runtime.boolean(ALL_DEPRECATED_FEATURES, false),
            regex_levels: published.load().runtime.regex_levels(),
            ..EXTENSIONS
        },
        quiet: control::Quiet {
            unknown_fields: options.ignore_unknown_dynamic_fields,
            deprecated_fields: options.skip_deprecated_logs,
        },
        published,
        client,
        notices,
        server,
        resolver: Rc::new(SystemResolver::new(bootstrap.dns_resolver.clone(), registry)),
        rng: Rng::from_entropy(),
        linger: options.drain_time,
        secrets,
        outlier_log: None,
        open_log: Box::new(|_| None),
    }
}

/// The node as it is sent to management servers.
fn node_message(bootstrap: &Bootstrap) -> Node {
    // The bytes were made by the bootstrap's reader, from such a message.
    Node::decode(&*bootstrap.node.bytes).unwrap_or_default()
}

/// What becomes of unknown fields in files of resources.
fn unknown_fields(options: &Options) -> xds::UnknownFields {
    match (options.reject_unknown_dynamic_fields, options.ignore_unknown_dynamic_fields) {
        (true, _) => xds::UnknownFields::Reject,
        (false, true) => xds::UnknownFields::Ignore,
        (false, false) => xds::UnknownFields::Tell,
    }
}

/// Opens files for lines about the health of hosts. One that cannot be opened is told of, and has no lines.
pub(super) fn open_log(sinks: &Arc<Sinks>) -> control::OpenLog {
    let sinks = Arc::clone(sinks);
    Box::new(move |path| match sinks.open(&AccessLogSink::File(path.to_owned())) {
        Ok(sink) => Some(sink),
        Err(error) => {
            error!(target: "health_checker", "{error}");
            None
        }
    })
}
