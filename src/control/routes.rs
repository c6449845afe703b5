//! RDS: which route tables are wanted, and which are in force.
//!
//! A table is wanted while a listener refers to it, by its source and its name: tables of one name that come from different
//! sources are different tables, as in Envoy. One that is wanted no longer stays in force for as long as the
//! connections of the listener that wanted it may last, since their requests still look it up.
//!
//! `vhds`: tables of which virtual hosts come over VHDS.

mod vhds;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::push::{Body, Change, Kind};
use super::references::RouteReference;
use super::resources::{Record, Resources};
use super::subscriptions::Counted;
use super::verdict::{LeadIn, Problem, verdict};
use super::virtual_hosts::VirtualHosts;
use crate::config::extension::Extensions;
use crate::config::field::Error;
use crate::config::route::KnownClusters;
use crate::config::source::ConfigSource;
use crate::config::tls::SecretRef;
use crate::observability::stats::Registry;
use crate::observability::stats::control_plane::EmptyUpdateStats;
use crate::route::Table;
use crate::snapshot::RouteTables;
use crate::transport::tls::Secrets;
use crate::xds::{FileContent, Verdict};

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

    /// Takes one table from the source of this index; what is wrong with it. `known` are the clusters that there are.
    pub fn update(
        &mut self,
        source: usize,
        change: Change<Table>,
        known: &KnownClusters<'_>,
    ) -> Option<Problem> {
        let Change { name, record, body } = change;
        let id = TableId { source, name };
        if !self.wanted.contains_key(&id) {
            return None;
        }
        let errors = match body {
            Body::Same => {
                self.sources[source].resources.confirm(&id.name);
                self.settle(&id, &record, false);
                return None;
            }
            Body::Bad(errors) => errors,
            Body::New(table) => {
                // Over RDS clusters are checked only where the table asks for it.
                let mut unknown = table.configuration().unknown_clusters(false, known);
                let served = self.secrets.serve(&table.configuration().format_secrets);
                unknown.extend(served.err().map(Error::of_resource));
                match unknown.is_empty() {
                    true => return self.take(&id, table, record, known),
                    false => unknown,
                }
            }
        };
        Some(self.reject(&id, errors, record))
    }

    /// Notes a table that is not in force. A listener does not wait for the next version of it.
    fn reject(&mut self, id: &TableId, errors: Vec<Error>, record: Record) -> Problem {
        let problem = Problem::new(Table::MESSAGE, &id.name, errors, &record);
        self.sources[id.source].resources.reject(&problem, record);
        if let Some(wanted) = self.wanted.get_mut(id) {
            wanted.settled = true;
            wanted.counted().for_each(Counted::rejected);
        }
        problem
    }

    fn put_in_force(&mut self, id: &TableId, table: Arc<Table>, record: Record) {
        let current = self.in_force(id);
        let equal = current.is_some_and(|current| current.configuration() == table.configuration());
        if !equal {
            self.insert(id, table);
        }
        self.settle(id, &record, !equal);
        self.note_in_force(id, record);
    }

    fn insert(&mut self, id: &TableId, table: Arc<Table>) {
        table.count_in(&self.registry);
        let source = &self.sources[id.source].config.from;
        Arc::make_mut(&mut self.tables).insert(source, &id.name, table);
    }

    fn note_in_force(&mut self, id: &TableId, record: Record) {
        let resources = &mut self.sources[id.source].resources;
        resources.warm(&id.name, record);
        resources.activate(&id.name);
    }

    fn settle(&mut self, id: &TableId, record: &Record, changed: bool) {
        if let Some(wanted) = self.wanted.get_mut(id) {
            wanted.settled = true;
            for counted in wanted.counted() {
                counted.succeeded(&record.version, changed, record.last_updated, since(record.last_updated));
            }
        }
    }

    /// The answer to a response. What is gone of a table that is wanted goes on serving, as in Envoy.
    pub fn answer(&mut self, source: usize, version: String, problems: &[Problem]) -> Verdict {
        if problems.is_empty() {
            self.sources[source].resources.version = version;
        }
        verdict(LeadIn::None, problems)
    }

    /// These tables of a source did not come in time: listeners wait for them no longer.
    pub fn give_up(&mut self, source: usize, names: &[String]) {
        for name in names {
            if let Some(wanted) = self.wanted.get_mut(&Self::id(source, name)) {
                wanted.settled = true;
                wanted.counted().for_each(Counted::timed_out);
            }
        }
    }

    /// A file was read: for those who want another table of it there is nothing.
    pub fn miss(&mut self, source: usize, content: FileContent<'_>, version: &str) {
        let missed = self.sources[source].names.iter().filter(|name| content != FileContent::One(name));
        for name in missed {
            let Some(wanted) = self.wanted.get_mut(&Self::id(source, name)) else { continue };
            wanted.settled = true;
            for (counted, empty) in wanted.counted.values() {
                if content == FileContent::Nothing {
                    empty.update_empty().inc();
                    counted.succeeded(version, false, SystemTime::now(), Duration::ZERO);
                } else {
                    tracing::warn!(target: "config", name, ?content, "the file is not one with this table alone");
                    counted.rejected();
                }
            }
        }
    }

    /// A response of a source was rejected as a whole: listeners wait for its tables no longer.
    pub fn rejected(&mut self, source: usize) {
        for name in &self.sources[source].names {
            if let Some(wanted) = self.wanted.get_mut(&Self::id(source, name)) {
                wanted.settled = true;
                wanted.counted().for_each(Counted::rejected);
            }
        }
    }

    /// The stream of a source was lost.
    pub fn disconnected(&self, source: usize) {
        let names = self.sources[source].names.iter();
        for wanted in names.filter_map(|name| self.wanted.get(&Self::id(source, name))) {
            wanted.counted().for_each(Counted::failed);
        }
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

/// How long ago that was.
fn since(then: SystemTime) -> Duration {
    then.elapsed().unwrap_or_default()
}

#[cfg(test)]
mod tests;
