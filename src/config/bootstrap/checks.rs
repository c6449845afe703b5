//! What has to hold between the parts of a bootstrap.

use std::collections::{HashMap, HashSet};

use super::Bootstrap;
use crate::config::Listener;
use crate::config::address::Address;
use crate::config::field::Scope;
use crate::config::route::KnownClusters;
use crate::config::tls::SecretRef;

/// Notes what does not hold.
pub(super) fn check(bootstrap: &Bootstrap, at: &mut Scope<'_>) {
    unique_clusters(bootstrap, at);
    known_local_cluster(bootstrap, at);
    unique_addresses(bootstrap, at);
    known_clusters_in_routes(bootstrap, at);
    named_node(bootstrap, at);
    known_secrets(bootstrap, at);
    internal_listeners(bootstrap, at);
}

/// Listeners within the process need the extension that has them.
fn internal_listeners(bootstrap: &Bootstrap, at: &mut Scope<'_>) {
    if bootstrap.internal_buffer_bytes.is_some() {
        return;
    }
    let mut at = at.field("static_resources");
    for (index, listener) in bootstrap.listeners.iter().enumerate() {
        if listener.value.is_internal {
            at.index("listeners", index).error(listener.value.refuse_internal());
        }
    }
}

fn unique_clusters(bootstrap: &Bootstrap, at: &mut Scope<'_>) {
    let mut names = HashSet::new();
    let mut at = at.field("static_resources");
    for (index, cluster) in bootstrap.clusters.iter().enumerate() {
        let name = &cluster.value.name;
        if !names.insert(name) {
            at.index("clusters", index).error(format!("cluster manager: duplicate cluster '{name}'"));
        }
    }
}

fn known_local_cluster(bootstrap: &Bootstrap, at: &mut Scope<'_>) {
    let Some(name) = &bootstrap.local_cluster_name else { return };
    if !bootstrap.clusters.iter().any(|cluster| cluster.value.name == *name) {
        let mut at = at.field("cluster_manager");
        at.field("local_cluster_name").error(format!("local cluster '{name}' must be defined"));
    }
}

/// Connections to one address would go to either of two listeners.
fn unique_addresses(bootstrap: &Bootstrap, at: &mut Scope<'_>) {
    let mut first: HashMap<&Address, &Listener> = HashMap::new();
    let mut at = at.field("static_resources");
    for (index, listener) in bootstrap.listeners.iter().enumerate() {
        let listener = &listener.value;
        let taken = listener.addresses.iter().find_map(|listen| {
            let other = first
                .get(&listen.address)
                .filter(|other| other.name.is_empty() || other.name != listener.name)?;
            other.duplicate_address(listener)
        });
        if let Some(address) = taken {
            at.index("listeners", index).field("address").error(listener.refuse_address(address));
        }
        for listen in &listener.addresses {
            first.entry(&listen.address).or_insert(listener);
        }
    }
}

/// Static listeners are put in force before any cluster can come from elsewhere.
fn known_clusters_in_routes(bootstrap: &Bootstrap, at: &mut Scope<'_>) {
    let names: HashSet<_> = bootstrap.clusters.iter().map(|cluster| cluster.value.name.as_str()).collect();
    let mut at = at.field("static_resources");
    let has = |name: &str| names.contains(name);
    let nearest = |name: &str| dragoman_proto::nearest(name, names.iter().copied()).map(str::to_owned);
    let known = KnownClusters::new(&has, &nearest);
    for (index, listener) in bootstrap.listeners.iter().enumerate() {
        for unknown in listener.value.unknown_clusters(&known) {
            at.index("listeners", index).below(&unknown.path).error(unknown.message);
        }
    }
}

/// The aggregated service is asked in the name of the node.
fn named_node(bootstrap: &Bootstrap, at: &mut Scope<'_>) {
    let node = &bootstrap.node;
    if bootstrap.dynamic_resources.ads_config.is_some() && (node.id.is_empty() || node.cluster.is_empty()) {
        at.field("node").error(
            "ads: node 'id' and 'cluster' are required. Set it either in 'node' config or via --service-node and \
             --service-cluster options.",
        );
    }
}

/// Secrets without a source have to stand in the bootstrap, once each.
fn known_secrets(bootstrap: &Bootstrap, at: &mut Scope<'_>) {
    let mut names = HashSet::new();
    let mut at = at.field("static_resources");
    for (index, secret) in bootstrap.secrets.iter().enumerate() {
        let name = secret.value.name.as_str();
        if !names.insert(name) {
            at.index("secrets", index).error(format!("Duplicate static secret name {name}"));
        }
    }
    let known = || bootstrap.secrets.iter().map(|secret| &*secret.value);
    let check = |at: &mut Scope<'_>, secrets: &mut dyn Iterator<Item = &SecretRef>| {
        for wanted in secrets.filter(|wanted| wanted.source.is_none()) {
            if !known().any(|secret| wanted.is_for(secret)) {
                at.error(wanted.unknown(known()));
            }
        }
    };
    for (index, cluster) in bootstrap.clusters.iter().enumerate() {
        check(&mut at.index("clusters", index), &mut cluster.value.secrets());
    }
    for (index, listener) in bootstrap.listeners.iter().enumerate() {
        check(&mut at.index("listeners", index), &mut listener.value.secrets());
    }
}
