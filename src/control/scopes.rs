//! SRDS: scopes of requests, and which route tables they name.
//!
//! All scopes of a source are wanted while a listener refers to it. A response counts as a whole or not at all: its
//! scopes must not have one key twice, which cannot be said of each by itself.
//!
//! `waiting`: tables that come when requests ask for them.

mod waiting;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::push::{Body, Change, Kind};
use super::references::ScopeReference;
use super::resources::Resources;
use super::subscriptions::Counted;
use super::verdict::{Problem, rejection};
use crate::config::field::{Error, ErrorKind};
use crate::config::route::{KnownClusters, ScopeKey, ScopedRoute, ScopedTable};
use crate::config::source::{ConfigSource, SourceKind};
use crate::observability::stats::Registry;
use crate::observability::stats::control_plane::{EmptyUpdateStats, ScopeStats};
use crate::route::scopes::Scopes as Compiled;
use crate::snapshot::{RouteTables, ScopesBySource};
use crate::xds::Verdict;

use waiting::Waiting;

/// All scopes that come over SRDS.
#[derive(Debug)]
pub struct Scopes {
    registry: Registry,
    sources: Vec<Source>,
    compiled: Arc<ScopesBySource>,
    /// The requests that wait for the tables of scopes.
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Source {
    config: ConfigSource,
    scopes: BTreeMap<String, Arc<ScopedRoute>>,
    /// The names of scopes whose tables were asked for.
    awake: BTreeSet<String>,
    resources: Resources,
    /// Those who refer to it, by the prefix of their statistics.
    referring: BTreeMap<String, Referring>,
    /// Whether its scopes are asked for.
    subscribed: bool,
    /// Whether nobody waits for it any more: something came, or its time is up.
    settled: bool,
}

/// A connection manager that refers to a source.
#[derive(Debug)]
struct Referring {
    /// `ScopedRoutes.name`
    name: String,
    /// Where its tables come from.
    tables: SourceKind,
    counted: Counted,
    stats: ScopeStats,
    _empty: EmptyUpdateStats,
}

/// What to do about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Ask for all that the source of this index has.
    Subscribe(usize),
    /// Ask for nothing of it any more.
    Unsubscribe(usize),
}

impl Scopes {
    /// No scopes.
    pub fn new(registry: Registry) -> Self {
        Scopes { registry, sources: Vec::new(), compiled: Arc::default(), waiting: Vec::new() }
    }

    /// The scopes in force.
    pub fn compiled(&self) -> &Arc<ScopesBySource> {
        &self.compiled
    }

    /// The source of this index.
    pub fn source(&self, index: usize) -> &ConfigSource {
        &self.sources[index].config
    }

    /// What came, with the names of the `ScopedRoutes` that it is for.
    pub fn dump(&self) -> impl Iterator<Item = (&str, &Resources)> {
        self.sources.iter().flat_map(|source| {
            source.referring.values().map(|referring| (referring.name.as_str(), &source.resources))
        })
    }

    /// Whether `value` is what was last taken under this name.
    pub fn is_current(&self, index: usize, name: &str, value: &[u8]) -> bool {
        self.sources[index].resources.is_current(name, value)
    }

    /// The names of the scopes that came from the source of this index.
    pub fn names(&self, index: usize) -> impl Iterator<Item = &str> {
        self.sources[index].scopes.keys().map(String::as_str)
    }

    /// From now on these references are all there are.
    pub fn refer(&mut self, references: &[ScopeReference]) {
        let mut before: Vec<_> =
            self.sources.iter_mut().map(|source| std::mem::take(&mut source.referring)).collect();
        for reference in references {
            let index = self.index(&reference.scopes);
            let prefix = format!("http.{}.scoped_rds.{}.", reference.stat_prefix, reference.name);
            let kept = before.get_mut(index).and_then(|referring| referring.remove(&prefix));
            let referring = kept.unwrap_or_else(|| Referring {
                name: reference.name.clone(),
                tables: reference.tables.from.clone(),
                counted: Counted::new(&self.registry, &prefix, &reference.scopes, true),
                stats: ScopeStats::new(&self.registry, &prefix),
                _empty: EmptyUpdateStats::new(&self.registry, &prefix),
            });
            self.sources[index].referring.insert(prefix, referring);
        }
    }

    fn index(&mut self, config: &ConfigSource) -> usize {
        let known = self.sources.iter().position(|source| source.config.from == config.from);
        known.unwrap_or_else(|| {
            self.sources.push(Source {
                config: config.clone(),
                scopes: BTreeMap::new(),
                awake: BTreeSet::new(),
                resources: Resources::default(),
                referring: BTreeMap::new(),
                subscribed: false,
                settled: false,
            });
            self.sources.len() - 1
        })
    }

    /// What is to be asked for otherwise than at the last call.
    pub fn take_wishes(&mut self) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for (index, source) in self.sources.iter_mut().enumerate() {
            match (source.subscribed, source.referring.is_empty()) {
                (false, false) => wishes.push(Wish::Subscribe(index)),
                (true, true) => {
                    // Its scopes stay: connections of the listener that is gone still ask for them. Whoever refers to
                    // it next waits for what it says then.
                    source.settled = false;
                    wishes.push(Wish::Unsubscribe(index));
                }
                (true, false) | (false, true) => continue,
            }
            source.subscribed = !source.referring.is_empty();
        }
        wishes
    }

    /// The route tables that the scopes of a source name.
    pub fn tables_of<'s>(&'s self, source: &SourceKind) -> impl Iterator<Item = &'s str> + use<'s> {
        let source = self.sources.iter().find(|known| known.config.from == *source);
        source.into_iter().flat_map(Source::tables)
    }

    /// Whether a listener that refers to this source need not wait for it.
    pub fn is_settled(&self, source: &SourceKind) -> bool {
        self.sources.iter().any(|known| known.config.from == *source && known.settled)
    }

    /// Takes a response; what is wrong with it. `gone` are the scopes that are there no more, `known` are the
    /// clusters there are.
    pub fn update(
        &mut self,
        index: usize,
        changes: Vec<Change<ScopedRoute>>,
        gone: &[String],
        known: &KnownClusters<'_>,
    ) -> Vec<Problem> {
        let source = &mut self.sources[index];
        let mut scopes = source.scopes.clone();
        gone.iter().for_each(|name| {
            scopes.remove(name);
        });
        let mut problems = Vec::new();
        for Change { name, record, body } in &changes {
            let errors = match body {
                Body::Same => continue,
                Body::Bad(errors) => errors.clone(),
                Body::New(scope) => {
                    scopes.insert(name.clone(), Arc::clone(scope));
                    unknown_clusters(scope, known)
                }
            };
            if !errors.is_empty() {
                problems.push(Problem::new(ScopedRoute::MESSAGE, name, errors, record));
            }
        }
        for (name, error) in conflicts(&scopes) {
            // The other of the two may have been there before.
            let record = changes.iter().find(|change| change.name == name).or(changes.first());
            if let Some(Change { record, .. }) = record {
                problems.push(Problem::new(ScopedRoute::MESSAGE, &name, vec![error], record));
            }
        }
        source.settled = true;
        if problems.is_empty() {
            let changed = source.scopes != scopes;
            source.scopes = scopes;
            source.forget_gone();
            source.confirm(changes, gone, changed);
            self.compile();
        } else {
            source.refuse(&changes, &problems);
        }
        problems
    }

    /// The answer to a response: a NACK is one of all of it, good scopes and removals included.
    pub fn answer(&mut self, index: usize, version: String, problems: &[Problem]) -> Verdict {
        if !problems.is_empty() {
            return rejection(problems);
        }
        self.sources[index].resources.version = version;
        Verdict::Ack
    }

    /// Nothing came of this source in time: listeners wait for it no longer.
    pub fn give_up(&mut self, index: usize) {
        let source = &mut self.sources[index];
        source.settled = true;
        source.referring.values().for_each(|referring| referring.counted.timed_out());
    }

    /// A response of this source was rejected as a whole.
    pub fn rejected(&mut self, index: usize) {
        let source = &mut self.sources[index];
        source.settled = true;
        source.referring.values().for_each(|referring| referring.counted.rejected());
    }

    /// The stream of this source was lost.
    pub fn disconnected(&self, index: usize) {
        self.sources[index].referring.values().for_each(|referring| referring.counted.failed());
    }

    /// Removes scopes.
    pub fn remove(&mut self, index: usize, names: &[String]) {
        let source = &mut self.sources[index];
        for name in names {
            source.scopes.remove(name);
            source.resources.remove(name);
        }
        source.forget_gone();
        self.compile();
    }

    fn compile(&mut self) {
        let compiled = self.sources.iter().map(|source| {
            let scopes = source.scopes.values().map(|scope| (&**scope, source.is_awake(scope)));
            let scopes = Compiled::new(scopes, &self.registry);
            (source.config.from.clone(), Arc::new(scopes))
        });
        self.compiled = Arc::new(compiled.collect());
    }

    /// Counts the scopes, and those whose table is there.
    pub fn count(&self, tables: &RouteTables) {
        for source in &self.sources {
            let is_there = |scope: &Arc<ScopedRoute>, from: &SourceKind| match &scope.table {
                ScopedTable::Named(name) => source.is_awake(scope) && tables.find(from, name).is_some(),
                // As in Envoy, where one with a table of its own is never asked for.
                ScopedTable::Inline(_) => !scope.on_demand,
            };
            let on_demand =
                |scope: &&Arc<ScopedRoute>| scope.on_demand && matches!(scope.table, ScopedTable::Named(_));
            let on_demand = source.scopes.values().filter(on_demand).count() as u64;
            for Referring { stats, tables: from, .. } in source.referring.values() {
                let active = source.scopes.values().filter(|scope| is_there(scope, from)).count() as u64;
                stats.all_scopes().set(source.scopes.len() as u64);
                stats.active_scopes().set(active);
                stats.on_demand_scopes().set(on_demand);
            }
        }
    }
}

impl Source {
    fn confirm(&mut self, changes: Vec<Change<ScopedRoute>>, gone: &[String], changed: bool) {
        let now = SystemTime::now();
        gone.iter().for_each(|name| self.resources.remove(name));
        let mut version = String::new();
        for Change { name, record, body } in changes {
            version.clone_from(&record.version);
            match body {
                Body::New(_) => {
                    self.resources.warm(&name, record);
                    self.resources.activate(&name);
                }
                Body::Same | Body::Bad(_) => self.resources.confirm(&name),
            }
        }
        for Referring { counted, .. } in self.referring.values() {
            counted.succeeded(&version, changed, now, Duration::ZERO);
        }
    }

    fn refuse(&mut self, changes: &[Change<ScopedRoute>], problems: &[Problem]) {
        for problem in problems {
            if let Some(change) = changes.iter().find(|change| change.name == problem.name) {
                self.resources.reject(problem, change.record.clone());
            }
        }
        self.referring.values().for_each(|referring| referring.counted.rejected());
    }
}

/// Clusters that a scope's own table refers to and that do not exist, where the table asks to be checked.
fn unknown_clusters(scope: &ScopedRoute, known: &KnownClusters<'_>) -> Vec<Error> {
    let ScopedTable::Inline(table) = &scope.table else {
        return Vec::new();
    };
    let within = |error: Error| Error { path: format!("route_configuration.{}", error.path), ..error };
    table.unknown_clusters(false, known).into_iter().map(within).collect()
}

/// Scopes whose key another has already, and that as an error.
fn conflicts(scopes: &BTreeMap<String, Arc<ScopedRoute>>) -> Vec<(String, Error)> {
    let mut by_key: HashMap<&ScopeKey, &str> = HashMap::new();
    let mut found = Vec::new();
    for (name, scope) in scopes {
        if let Some(first) = by_key.insert(&scope.key, name) {
            let message =
                format!("scope key conflict found, first scope is '{first}', second scope is '{name}'");
            found.push((name.clone(), Error { path: "key".to_owned(), message, kind: ErrorKind::Apply }));
        }
    }
    found
}

#[cfg(test)]
mod tests;
