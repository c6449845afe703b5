//! RDS: which route tables are wanted, and which are in force.
//!
//! A table is wanted while a listener refers to it, by its source and its name: tables of one name that come from different
//! sources are different tables, as in Envoy. One that is wanted no longer stays in force for as long as the
//! connections of the listener that wanted it may last, since their requests still look it up.
//!
//! `update`: tables that come; `missing`: those that do not; `vhds`: tables of which virtual hosts come over VHDS.

mod missing;
mod update;
mod vhds;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::references::RouteReference;
use super::resources::Resources;
use super::subscriptions::Counted;
use super::verdict::{LeadIn, Problem, verdict};
use super::virtual_hosts::VirtualHosts;
use crate::config::extension::Extensions;
use crate::config::source::ConfigSource;
use crate::config::tls::SecretRef;
use crate::observability::stats::Registry;
use crate::observability::stats::control_plane::EmptyUpdateStats;
use crate::route::Table;
use crate::snapshot::{Places, RouteTables};
use crate::transport::tls::Secrets;
use crate::xds::Verdict;

pub use vhds::Staged;
use vhds::{Base, HostsCounted};

/// All route tables that come over RDS.
#[derive(Debug)]
pub struct Routes {
    registry: Registry,
    sources: Vec<Source>,
    wanted: BTreeMap<TableId, Wanted>,
    tables: Arc<RouteTables>,
    /// Tables wanted no longer, and when they may go.
    leaving: Vec<(Instant, TableId)>,
    /// How long they stay.
    linger: Duration,
    hosts: VirtualHosts,
    /// With which tables and their virtual hosts are read together.
    extensions: Extensions,
    secrets: Secrets,
}

#[derive(Debug)]
struct Source {
    config: ConfigSource,
    names: BTreeSet<String>,
    changed: bool,
    resources: Resources,
}

/// Which table it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableId {
    /// The index of its source.
    pub source: usize,
    /// Its name.
    pub name: String,
}

/// A table that a listener refers to.
#[derive(Debug, Default)]
struct Wanted {
    /// Whether nobody waits for it any more: it came, or its time is up.
    settled: bool,
    /// By `stat_prefix` of the connection managers that refer to it.
    counted: HashMap<String, (Counted, EmptyUpdateStats)>,
    /// What came over RDS, where virtual hosts come over VHDS.
    base: Option<Base>,
    /// Like `counted`, of these virtual hosts.
    hosts_counted: HashMap<String, HostsCounted>,
}

impl Wanted {
    fn counted(&self) -> impl Iterator<Item = &Counted> {
        self.counted.values().map(|(counted, _)| counted)
    }
}

impl Routes {
    /// No tables. Those wanted no longer stay for `linger`.
    pub fn new(registry: Registry, linger: Duration) -> Self {
        Routes {
            registry,
            sources: Vec::new(),
            wanted: BTreeMap::new(),
            tables: Arc::default(),
            leaving: Vec::new(),
            linger,
            hosts: VirtualHosts::default(),
            extensions: Extensions::BUILT_IN,
            secrets: Secrets::default(),
        }
    }

    /// The same, with the secrets that formats of tables may write.
    #[must_use]
    pub fn with_secrets(self, secrets: Secrets) -> Self {
        Routes { secrets, ..self }
    }

    /// The same, with the places that tables have in the snapshots. Nothing has come yet.
    #[must_use]
    pub fn at_places(self, places: Places) -> Self {
        Routes { tables: Arc::new(RouteTables::at_places(places)), ..self }
    }

    /// The same, with the extensions that virtual hosts may use.
    #[must_use]
    pub fn reading(self, extensions: Extensions) -> Self {
        Routes { extensions, ..self }
    }

    /// The tables in force.
    pub fn tables(&self) -> &Arc<RouteTables> {
        &self.tables
    }

    fn in_force(&self, id: &TableId) -> Option<&Arc<Table>> {
        self.tables.find(&self.sources[id.source].config.from, &id.name)
    }

    /// The table of this name from the source of this index.
    fn id(source: usize, name: &str) -> TableId {
        TableId { source, name: name.to_owned() }
    }

    /// Whether `value` is what last came from this source under this name.
    pub fn is_current(&self, source: usize, name: &str, value: &[u8]) -> bool {
        let wanted = self.wanted.get(&Self::id(source, name));
        match wanted.and_then(|wanted| wanted.base.as_ref()) {
            Some(base) => base.record.value == value,
            None => self.sources[source].resources.is_current(name, value),
        }
    }

    /// What came over RDS, by source.
    pub fn resources(&self) -> impl Iterator<Item = &Resources> {
        self.sources.iter().map(|source| &source.resources)
    }

    /// The source of this index.
    pub fn source(&self, index: usize) -> &ConfigSource {
        &self.sources[index].config
    }

    /// Whether a listener that refers to this table need not wait for it.
    pub fn is_settled(&self, reference: &RouteReference) -> bool {
        let source = self.known(&reference.source);
        let wanted = source.and_then(|source| self.wanted.get(&Self::id(source, &reference.name)));
        wanted.is_some_and(|wanted| wanted.settled)
    }

    /// The secrets that formats of this table write.
    pub fn secrets(&self, reference: &RouteReference) -> impl Iterator<Item = &SecretRef> + use<'_> {
        let table = self.tables.find(&reference.source.from, &reference.name);
        table
            .into_iter()
            .flat_map(|table| &table.configuration().format_secrets)
            .map(|secret| secret.reference())
    }

    /// From now on these references are all there are.
    pub fn refer(&mut self, references: &[RouteReference], now: Instant) {
        let mut by_source: Vec<BTreeSet<String>> = vec![BTreeSet::new(); self.sources.len()];
        let mut before = std::mem::take(&mut self.wanted);
        for reference in references {
            let index = self.index(&reference.source);
            by_source.resize_with(self.sources.len(), BTreeSet::new);
            by_source[index].insert(reference.name.clone());
            self.want(index, reference, &mut before);
        }
        for (source, names) in self.sources.iter_mut().zip(by_source) {
            source.changed |= source.names != names;
            source.names = names;
        }
        for id in before.keys() {
            self.hosts.release(id);
        }
        let leave_at = now + self.linger;
        self.leaving.extend(before.into_keys().map(|id| (leave_at, id)));
        let wanted = &self.wanted;
        self.leaving.retain(|(_, id)| !wanted.contains_key(id));
    }

    fn want(&mut self, index: usize, reference: &RouteReference, before: &mut BTreeMap<TableId, Wanted>) {
        let RouteReference { name, stat_prefix, source } = reference;
        let id = Self::id(index, name);
        let there = self.in_force(&id).is_some();
        let kept = before.remove(&id);
        let wanted = self
            .wanted
            .entry(id)
            .or_insert_with(|| kept.unwrap_or_else(|| Wanted { settled: there, ..Wanted::default() }));
        wanted.counted.entry(stat_prefix.clone()).or_insert_with(|| {
            let prefix = format!("http.{stat_prefix}.rds.{name}.");
            let counted = Counted::new(&self.registry, &prefix, source, true);
            (counted, EmptyUpdateStats::new(&self.registry, &prefix))
        });
        wanted.count_hosts(name, &self.registry);
    }

    fn known(&self, source: &ConfigSource) -> Option<usize> {
        self.sources.iter().position(|known| known.config.from == source.from)
    }

    fn index(&mut self, source: &ConfigSource) -> usize {
        self.known(source).unwrap_or_else(|| {
            let (names, resources) = (BTreeSet::new(), Resources::default());
            self.sources.push(Source { config: source.clone(), names, changed: false, resources });
            self.sources.len() - 1
        })
    }

    /// Sources from which other names are wanted now than at the last call, and all that is wanted of each.
    pub fn take_changed(&mut self) -> Vec<(usize, BTreeSet<String>)> {
        let changed = self.sources.iter_mut().enumerate().filter(|(_, source)| source.changed);
        let taken = changed.map(|(index, source)| {
            source.changed = false;
            (index, source.names.clone())
        });
        taken.collect()
    }

    /// The answer to a response. What is gone of a table that is wanted goes on serving, as in Envoy.
    pub fn answer(&mut self, source: usize, version: String, problems: &[Problem]) -> Verdict {
        if problems.is_empty() {
            self.sources[source].resources.version = version;
        }
        verdict(LeadIn::None, problems)
    }

    /// When [`expire`](Self::expire) next has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.leaving.iter().map(|&(at, _)| at).min()
    }

    /// Removes the tables that nothing can look up any more.
    pub fn expire(&mut self, now: Instant) {
        let (gone, staying): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.leaving).into_iter().partition(|&(at, _)| at <= now);
        self.leaving = staying;
        for (_, id) in gone {
            let is_there = self.in_force(&id).is_some();
            let Source { config, resources, .. } = &mut self.sources[id.source];
            resources.remove(&id.name);
            if is_there {
                Arc::make_mut(&mut self.tables).remove(&config.from, &id.name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
