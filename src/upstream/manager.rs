//! The clusters by name: those in force and those that warm up to replace or join them.
//!
//! A configuration equal to that of the live cluster keeps it; any other change makes a new cluster, which *warms*
//! until its first hosts are known and replaces the live one only then. What warms serves nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use super::dns_cache::DnsCache;
use super::{Change, Cluster, LocalCluster, filters};
use crate::config;
use crate::config::cluster::{Bind, Discovery};
use crate::config::dns_cache::DnsCache as DnsCacheConfig;
use crate::config::endpoint::Locality;
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::runtime::Values;
use crate::observability::stats::Registry;
use crate::observability::stats::cluster_manager::{ClusterManagerStats, ThreadLocalClusterStats};
use crate::transport::tls::Secrets;

/// Clusters in force, by name.
pub type Clusters = HashMap<Arc<str>, Arc<Cluster>>;

/// All clusters of a process. Owned by the control thread.
#[derive(Debug)]
pub struct Manager {
    registry: Registry,
    stats: ClusterManagerStats,
    /// One for each thread; all see the same clusters.
    thread_stats: Box<[ThreadLocalClusterStats]>,
    active: Arc<Clusters>,
    warming: Clusters,
    fixed: HashSet<Arc<str>>,
    local: Option<Arc<LocalCluster>>,
    /// Where the proxy runs; `None` where that is not known.
    locality: Option<Arc<Locality>>,
    bind: Option<Arc<Bind>>,
    compile_filters: Option<filters::Compile>,
    secrets: Secrets,
    /// The configurations of filters that were discovered.
    configs: Arc<ExtensionConfigs>,
    /// What the runtime said at the start.
    runtime: Arc<Values>,
    /// Caches of names, by their own.
    caches: HashMap<String, Weak<DnsCache>>,
    /// Those that filters of listeners name.
    kept_caches: HashMap<String, Arc<DnsCache>>,
    next_id: u64,
}

/// What a configuration did.
#[derive(Clone, Debug)]
pub enum Update {
    /// The cluster of this name has this configuration, in force or warming, or comes from the bootstrap, which no
    /// update can change.
    Unchanged,
    /// The cluster in force has this configuration; another that warmed to replace it was given up.
    Reverted,
    /// A new cluster, warming.
    Warming(Arc<Cluster>),
}

impl Manager {
    /// No clusters.
    pub fn new(registry: Registry) -> Self {
        Manager {
            stats: ClusterManagerStats::new(&registry, "cluster_manager."),
            thread_stats: registry
                .thread_names()
                .map(|thread| {
                    let prefix = format!("thread_local_cluster_manager.{thread}.");
                    ThreadLocalClusterStats::new(&registry, &prefix)
                })
                .collect(),
            registry,
            active: Arc::default(),
            warming: HashMap::new(),
            fixed: HashSet::new(),
            local: None,
            locality: None,
            bind: None,
            compile_filters: None,
            secrets: Secrets::default(),
            configs: Arc::default(),
            runtime: Arc::default(),
            caches: HashMap::new(),
            kept_caches: HashMap::new(),
            next_id: 0,
        }
    }

    /// The same for a proxy that is a host of this cluster. To be called before there is any.
    pub fn with_local(self, local: Option<LocalCluster>) -> Self {
        Manager { local: local.map(Arc::new), ..self }
    }

    /// The same for a proxy that runs here, unless that says nothing. To be called before there is any.
    pub fn within(self, locality: Locality) -> Self {
        let locality = Some(locality).filter(|locality| *locality != Locality::default());
        Manager { locality: locality.map(Arc::new), ..self }
    }

    /// The same where this says where connections come from as far as clusters do not. To be called before there is any.
    pub fn with_bind(self, bind: Option<Arc<Bind>>) -> Self {
        Manager { bind, ..self }
    }

    /// The same with what compiles HTTP filters of clusters. To be called before there is any.
    pub fn with_filters(self, compile: filters::Compile) -> Self {
        Manager { compile_filters: Some(compile), ..self }
    }

    /// The same where the runtime says this, until clusters are in force and follow it. To be called before there is any.
    pub fn with_runtime(self, runtime: Arc<Values>) -> Self {
        Manager { runtime, ..self }
    }

    /// The same with secrets that clusters may refer to. To be called before there is any.
    pub fn with_secrets(self, secrets: Secrets) -> Self {
        Manager { secrets, ..self }
    }

    /// Puts configurations of filters in force that were discovered, and keeps them for the clusters to come.
    pub fn configure(&mut self, configs: &Arc<ExtensionConfigs>) {
        self.configs = Arc::clone(configs);
        let Some(compile) = self.compile_filters else { return };
        let clusters = self.active.values().chain(self.warming.values());
        for cluster in clusters.filter(|cluster| cluster.config.discovers_filters()) {
            cluster.configure(compile, configs);
        }
    }

    /// The clusters in force.
    pub fn active(&self) -> &Arc<Clusters> {
        &self.active
    }

    /// The clusters that warm.
    pub fn warming(&self) -> &Clusters {
        &self.warming
    }

    /// Whether the cluster comes from the bootstrap.
    pub fn is_fixed(&self, name: &str) -> bool {
        self.fixed.contains(name)
    }

    /// Adds a cluster of the bootstrap: warming now, and neither changed nor removed later.
    pub fn add_fixed(&mut self, config: Arc<config::Cluster>) -> Arc<Cluster> {
        self.fixed.insert(Arc::from(config.name.as_str()));
        self.warm(config)
    }

    /// Adds a cluster or changes the one of this name.
    pub fn add_or_update(&mut self, config: Arc<config::Cluster>) -> Update {
        let name = config.name.as_str();
        let equal = |cluster: &Arc<Cluster>| *cluster.config == *config;
        if self.fixed.contains(name) || self.warming.get(name).is_some_and(equal) {
            return Update::Unchanged;
        }
        if self.active.get(name).is_some_and(equal) {
            let given_up = self.warming.remove(name).is_some();
            self.count();
            return if given_up { Update::Reverted } else { Update::Unchanged };
        }
        Update::Warming(self.warm(config))
    }

    fn warm(&mut self, config: Arc<config::Cluster>) -> Arc<Cluster> {
        match self.active.contains_key(config.name.as_str())
            || self.warming.contains_key(config.name.as_str())
        {
            true => self.stats.cluster_modified().inc(),
            false => self.stats.cluster_added().inc(),
        }
        self.next_id += 1;
        let cache = self.cache(&config);
        let cluster = Cluster::with_secrets(config, self.next_id, &self.registry, &self.secrets);
        let cluster = cluster.near(self.local.as_ref(), self.locality.as_ref()).bound(self.bind.as_ref());
        let cluster = cluster.filtered(self.compile_filters, &self.configs);
        let cluster = Arc::new(cluster.naming(cache));
        cluster.follow_shares(&self.runtime);
        if let Some(cache) = cluster.dns_cache() {
            cache.attach(&cluster);
            cluster.follow_names();
        }
        cluster.membership.warming_state().set(1);
        self.warming.insert(Arc::clone(&cluster.name), Arc::clone(&cluster));
        self.count();
        cluster
    }

    /// The cache of names that a cluster shares with others, made for the first of them.
    fn cache(&mut self, config: &config::Cluster) -> Option<Arc<DnsCache>> {
        let Discovery::DynamicForwardProxy(wanted) = &config.discovery else { return None };
        Some(self.cache_of(wanted))
    }

    fn cache_of(&mut self, wanted: &DnsCacheConfig) -> Arc<DnsCache> {
        if let Some(cache) = self.caches.get(&wanted.name).and_then(Weak::upgrade) {
            return cache;
        }
        let cache = Arc::new(DnsCache::new(wanted.clone(), &self.registry));
        self.caches.retain(|_, cache| cache.strong_count() > 0);
        self.caches.insert(wanted.name.clone(), Arc::downgrade(&cache));
        cache
    }

    /// Keeps the caches that filters of listeners name, and no others on behalf of these; those that came, whose names are
    /// to be resolved from now on.
    pub fn keep_caches<'c>(&mut self, named: impl Iterator<Item = &'c DnsCacheConfig>) -> Vec<Arc<DnsCache>> {
        let kept: HashMap<_, _> = named.map(|wanted| (wanted.name.clone(), self.cache_of(wanted))).collect();
        let before = std::mem::replace(&mut self.kept_caches, kept);
        let came = self.kept_caches.iter().filter(|(name, _)| !before.contains_key(*name));
        came.map(|(_, cache)| Arc::clone(cache)).collect()
    }

    /// What is wrong with a cache that is there with other settings.
    pub fn cache_conflict(&self, wanted: &DnsCacheConfig) -> Option<String> {
        let cache = self.caches.get(&wanted.name).and_then(Weak::upgrade)?;
        (cache.config() != wanted).then(|| wanted.disagreement())
    }

    /// Why a cluster cannot be served with what there is: its cache of names is there with other settings, or a secret of
    /// the bootstrap is not there.
    pub fn conflict(&self, config: &config::Cluster) -> Option<String> {
        if let Some(unknown) = self.secrets.unknown(config.secrets()) {
            return Some(unknown);
        }
        let Discovery::DynamicForwardProxy(wanted) = &config.discovery else { return None };
        self.cache_conflict(wanted)
    }

    /// Puts a cluster that has warmed in force. False when it was given up meanwhile, or is in force already.
    pub fn activate(&mut self, cluster: &Arc<Cluster>) -> bool {
        if !self.warming.get(&cluster.name).is_some_and(|warming| Arc::ptr_eq(warming, cluster)) {
            return false;
        }
        self.warming.remove(&cluster.name);
        cluster.membership.warming_state().set(0);
        cluster.choice.put_in_force();
        Arc::make_mut(&mut self.active).insert(Arc::clone(&cluster.name), Arc::clone(cluster));
        self.count();
        true
    }

    /// Removes the cluster of this name, in force and warming. False when there is none that may be removed.
    pub fn remove(&mut self, name: &str) -> bool {
        if self.fixed.contains(name) {
            return false;
        }
        let warmed = self.warming.remove(name).is_some();
        let served = self.active.contains_key(name) && Arc::make_mut(&mut self.active).remove(name).is_some();
        if warmed || served {
            self.stats.cluster_removed().inc();
            self.count();
        }
        warmed || served
    }

    /// Counts a change of hosts of a cluster in force.
    pub fn hosts_changed(&self, change: Change) {
        match change {
            Change::Nothing => (),
            Change::InPlace => self.stats.cluster_updated().inc(),
            Change::Membership(priorities) => self.stats.cluster_updated().add(priorities.into()),
        }
    }

    fn count(&self) {
        let active = self.active.len() as u64;
        self.stats.active_clusters().set(active);
        self.thread_stats.iter().for_each(|thread| thread.clusters_inflated().set(active));
        self.stats.warming_clusters().set(self.warming.len() as u64);
    }
}

#[cfg(test)]
mod tests;
