//! FCDS: filter chains by their source and name, shared by all listeners whose trees name them.
//!
//! A chain warms until the route tables, scopes and configurations of filters that it refers to are there; the one that it
//! replaces serves on. One that is removed closes nothing: its connections drain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use super::numbered::Numbered;
use super::push::{Body, Change};
use super::references::ChainReference;
use super::resources::{Record, Resources};
use super::subscriptions::Counted;
use super::verdict::Problem;
use crate::config::listener::{DiscoveredChain, FilterChain};
use crate::config::route::KnownClusters;
use crate::config::source::ConfigSource;
use crate::observability::stats::Registry;
use crate::xds::FileContent;

/// All filter chains that come over FCDS.
#[derive(Debug)]
pub struct FilterChains {
    registry: Registry,
    sources: Numbered<Source>,
    /// Counts up whenever others are in force.
    version: u64,
}

#[derive(Debug)]
struct Source {
    config: ConfigSource,
    wanted: BTreeMap<String, Wanted>,
    /// Whether others are wanted than were asked for.
    changed: bool,
    resources: Resources,
}

/// A filter chain that trees name.
#[derive(Debug)]
struct Wanted {
    active: Option<Arc<DiscoveredChain>>,
    warming: Option<Arc<DiscoveredChain>>,
    /// Whether listeners wait for it no longer: it is in force, or is said not to be there, or its time is up.
    settled: bool,
    /// Whether a listener names it.
    is_named: bool,
    counted: Counted,
}

impl FilterChains {
    /// No filter chains.
    pub fn new(registry: Registry) -> Self {
        FilterChains { registry, sources: Numbered::default(), version: 0 }
    }

    /// What counts up whenever others are in force.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The chain in force of this name from this source.
    pub fn find(&self, source: &ConfigSource, name: &str) -> Option<&Arc<DiscoveredChain>> {
        self.wanted(source, name)?.active.as_ref()
    }

    /// Whether a listener that names this chain need not wait for it.
    pub fn is_settled(&self, source: &ConfigSource, name: &str) -> bool {
        self.wanted(source, name).is_some_and(|wanted| wanted.settled)
    }

    /// All chains, those that warm included.
    pub fn all(&self) -> impl Iterator<Item = &FilterChain> {
        let wanted = self.sources.iter().flat_map(|source| source.wanted.values());
        wanted.flat_map(|wanted| wanted.active.iter().chain(&wanted.warming)).map(|chain| &chain.chain)
    }

    fn wanted(&self, source: &ConfigSource, name: &str) -> Option<&Wanted> {
        let known = self.sources.iter().find(|known| known.config.from == source.from)?;
        known.wanted.get(name)
    }

    /// The source of this number.
    pub fn source(&self, number: usize) -> &ConfigSource {
        &self.sources[number].config
    }

    /// Whether `value` is what was last taken under this name.
    pub fn is_current(&self, number: usize, name: &str, value: &[u8]) -> bool {
        self.sources[number].resources.is_current(name, value)
    }

    /// The names that are wanted of a source.
    pub fn names(&self, number: usize) -> impl Iterator<Item = &str> {
        self.sources[number].wanted.keys().map(String::as_str)
    }

    /// Nothing is wanted of a source, and it is not asked any more.
    pub(super) fn forget_source(&mut self, number: usize) {
        self.sources.remove(number);
    }

    /// From now on these references are all there are.
    pub fn refer(&mut self, references: &[ChainReference]) {
        for (_, source) in self.sources.iter_mut() {
            source.wanted.values_mut().for_each(|wanted| wanted.is_named = false);
        }
        for ChainReference { name, source } in references {
            let new = || Source {
                config: source.clone(),
                wanted: BTreeMap::new(),
                changed: false,
                resources: Resources::default(),
            };
            let number = self.sources.find_or_insert(|known| known.config.from == source.from, new);
            let known = &mut self.sources[number];
            let wanted = known.wanted.entry(name.clone()).or_insert_with(|| {
                known.changed = true;
                let prefix = format!("filter_chain_manager.{name}.");
                let counted = Counted::new(&self.registry, &prefix, source, false);
                Wanted { active: None, warming: None, settled: false, is_named: true, counted }
            });
            wanted.is_named = true;
        }
        for (_, source) in self.sources.iter_mut() {
            source.changed |= source.wanted.values().any(|wanted| !wanted.is_named);
        }
    }

    /// Sources from which others are wanted now than at the last call, and all that is wanted of each.
    pub fn take_changed(&mut self) -> Vec<(usize, BTreeSet<String>)> {
        let changed = self.sources.iter_mut().filter(|(_, source)| source.changed);
        let taken = changed.map(|(number, source)| {
            source.changed = false;
            for (name, _) in source.wanted.extract_if(.., |_, wanted| !wanted.is_named) {
                source.resources.remove(&name);
            }
            (number, source.wanted.keys().cloned().collect())
        });
        taken.collect()
    }

    /// Takes one filter chain; what is wrong with it. `known` are the clusters that there are.
    pub fn update(
        &mut self,
        number: usize,
        change: Change<DiscoveredChain>,
        known: &KnownClusters<'_>,
    ) -> Option<Problem> {
        let Change { name, record, body } = change;
        let source = &mut self.sources[number];
        let wanted = source.wanted.get_mut(&name)?;
        let errors = match body {
            Body::Same => {
                source.resources.confirm(&name);
                wanted.succeeded(&record);
                return None;
            }
            Body::Bad(errors) => errors,
            Body::New(chain) => {
                let unknown = chain.unknown_clusters(known);
                if unknown.is_empty() {
                    wanted.succeeded(&record);
                    source.resources.warm(&name, record);
                    wanted.warming = Some(chain);
                    return None;
                }
                unknown
            }
        };
        wanted.settled = true;
        wanted.counted.rejected();
        let problem = Problem::new(DiscoveredChain::MESSAGE, &name, errors, &record);
        source.resources.reject(&problem, record);
        Some(problem)
    }

    /// Puts those chains in force that wait for nothing any more. True if there were any.
    pub fn advance(&mut self, is_ready: impl Fn(&FilterChain) -> bool) -> bool {
        let before = self.version;
        for (_, source) in self.sources.iter_mut() {
            for (name, wanted) in &mut source.wanted {
                let Some(chain) = wanted.warming.take_if(|chain| is_ready(&chain.chain)) else { continue };
                source.resources.activate(name);
                wanted.settled = true;
                if wanted.active.as_ref() != Some(&chain) {
                    wanted.active = Some(chain);
                }
                self.version += 1;
            }
        }
        self.version != before
    }

    /// These are said not to be there, or no longer.
    pub fn remove(&mut self, number: usize, version: &str, names: &[String]) {
        let source = &mut self.sources[number];
        for name in names {
            let Some(wanted) = source.wanted.get_mut(name) else { continue };
            source.resources.remove(name);
            wanted.counted.succeeded(version, false, SystemTime::now(), std::time::Duration::ZERO);
            (wanted.active, wanted.warming, wanted.settled) = (None, None, true);
            self.version += 1;
        }
    }

    /// A file was read that holds nothing: listeners wait for its chains no longer.
    pub fn miss(&mut self, number: usize, content: FileContent<'_>) {
        if content == FileContent::Nothing {
            self.rejected(number);
        }
    }

    /// These did not come in time: listeners wait for them no longer.
    pub fn give_up(&mut self, number: usize, names: &[String]) {
        for name in names {
            if let Some(wanted) = self.sources[number].wanted.get_mut(name) {
                wanted.settled = true;
                wanted.counted.timed_out();
            }
        }
    }

    /// A response of a source was rejected as a whole: listeners wait for its chains no longer.
    pub fn rejected(&mut self, number: usize) {
        for wanted in self.sources[number].wanted.values_mut() {
            wanted.settled = true;
            wanted.counted.rejected();
        }
    }

    /// The stream of a source was lost.
    pub fn disconnected(&self, number: usize) {
        self.sources[number].wanted.values().for_each(|wanted| wanted.counted.failed());
    }
}

impl Wanted {
    fn succeeded(&self, record: &Record) {
        let took = record.last_updated.elapsed().unwrap_or_default();
        self.counted.succeeded(&record.version, false, SystemTime::now(), took);
    }
}

#[cfg(test)]
mod tests;
