//! EDS: which load assignments are wanted from where, and what came.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::numbered::Numbered;
use super::resources::Record;
use crate::config::cluster::Discovery;
use crate::config::source::{ConfigSource, SourceKind};
use crate::config::{self, LoadAssignment};

/// One load assignment of one source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Number of the source, as [`Endpoints::source`] counts.
    pub source: usize,
    /// Name of the load assignment.
    pub name: Arc<str>,
}

/// What is wanted and known.
#[derive(Debug, Default)]
pub struct Endpoints {
    sources: Numbered<Source>,
}

#[derive(Debug)]
struct Source {
    config: ConfigSource,
    services: HashMap<Arc<str>, Known>,
    /// Whether other names are wanted than [`Endpoints::take_changed`] last gave.
    changed: bool,
}

/// One load assignment that is wanted, or was when the source was last asked.
#[derive(Debug, Default)]
struct Known {
    /// Names of the clusters that want it.
    clusters: Vec<Arc<str>>,
    /// What came last.
    last: Option<(Arc<LoadAssignment>, Record)>,
}

impl Endpoints {
    /// The load assignment that a cluster gets its hosts from; `None` unless it uses EDS. A source of kind `self`
    /// is where clusters come from.
    pub fn service(
        &mut self,
        cluster: &config::Cluster,
        clusters_from: Option<&ConfigSource>,
    ) -> Option<Service> {
        let Discovery::Eds { service_name, source } = &cluster.discovery else {
            return None;
        };
        let own = matches!(source.from, SourceKind::SelfSource);
        let source = self.index(clusters_from.filter(|_| own).unwrap_or(source));
        Some(Service { source, name: Arc::from(service_name.as_str()) })
    }

    fn index(&mut self, source: &ConfigSource) -> usize {
        let new = || Source { config: source.clone(), services: HashMap::new(), changed: false };
        self.sources.find_or_insert(|known| known.config.from == source.from, new)
    }

    /// Nothing is wanted of a source, and it is not asked any more: what is known of it goes.
    pub(super) fn forget(&mut self, source: usize) {
        self.sources.remove(source);
    }

    /// The source of this number.
    pub fn source(&self, index: usize) -> &ConfigSource {
        &self.sources[index].config
    }

    /// A cluster of this name wants the service.
    pub(super) fn want(&mut self, service: &Service, cluster: &Arc<str>) {
        let source = &mut self.sources[service.source];
        let known = source.services.entry(Arc::clone(&service.name)).or_default();
        source.changed |= known.clusters.is_empty();
        known.clusters.push(Arc::clone(cluster));
    }

    /// A cluster of this name wants the service no more, as often as it wanted it.
    ///
    /// What came stays until the source is told: if the service is wanted again before that, the source is not asked
    /// for it anew, and would not send again what it sent.
    pub(super) fn unwant(&mut self, service: &Service, cluster: &str) {
        let source = &mut self.sources[service.source];
        if let Some(known) = source.services.get_mut(&service.name) {
            if let Some(index) = known.clusters.iter().position(|name| &**name == cluster) {
                known.clusters.swap_remove(index);
            }
            source.changed |= known.clusters.is_empty();
        }
    }

    /// Sources from which other names are wanted now than at the last call, and all that is wanted of each.
    pub fn take_changed(&mut self) -> Vec<(usize, BTreeSet<String>)> {
        let changed = self.sources.iter_mut().filter(|(_, source)| source.changed);
        changed
            .map(|(index, source)| {
                source.changed = false;
                source.services.retain(|_, known| !known.clusters.is_empty());
                (index, source.services.keys().map(|name| name.to_string()).collect())
            })
            .collect()
    }

    /// Whether these bytes are what came last.
    pub fn is_current(&self, source: usize, name: &str, value: &[u8]) -> bool {
        let known = self
            .sources
            .get(source)
            .and_then(|source| source.services.get(name))
            .and_then(|known| known.last.as_ref());
        known.is_some_and(|(_, record)| record.value == value)
    }

    /// Takes what came; the assignment in force now, and the names of the clusters that want it. `None` when none
    /// does, or when nothing is known of what came "again".
    pub(super) fn take(
        &mut self,
        service: &Service,
        new: Option<(Arc<LoadAssignment>, Record)>,
    ) -> Option<(Arc<LoadAssignment>, Vec<Arc<str>>)> {
        let known = self.sources[service.source].services.get_mut(&service.name)?;
        if new.is_some() {
            known.last = new;
        }
        let (assignment, _) = known.last.as_ref()?;
        Some((Arc::clone(assignment), known.clusters.clone()))
    }

    /// Names of the clusters that want the service.
    pub(super) fn wanting(&self, service: &Service) -> &[Arc<str>] {
        let known = self.sources[service.source].services.get(&service.name);
        known.map_or(&[], |known| &known.clusters)
    }

    /// What came last.
    pub fn last(&self, service: &Service) -> Option<&Arc<LoadAssignment>> {
        let known = self.sources[service.source].services.get(&service.name)?;
        known.last.as_ref().map(|(assignment, _)| assignment)
    }

    #[cfg(test)]
    pub(super) fn has_source(&self, number: usize) -> bool {
        self.sources.get(number).is_some()
    }

    /// All that came, by name: what `/config_dump?include_eds` shows.
    pub fn records(&self) -> impl Iterator<Item = (&str, &Record)> {
        let services = self.sources.iter().flat_map(|source| &source.services);
        services.filter_map(|(name, known)| known.last.as_ref().map(|(_, record)| (&**name, record)))
    }
}
