//! LDS: which listeners there are, and when each may serve.
//!
//! A listener waits for the route tables, the secrets and the configurations of filters that it refers to; the one it replaces
//! serves on. Its sockets are bound before the response is answered, so that an address that is taken is a NACK. They
//! listen once it serves; should that fail, because another process has taken the address meanwhile, it is given up, as
//! in Envoy.

mod entry;
mod serve;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::push::{Body, Change, Kind};
use super::references::{
    ChainReference, ExtensionReference, RouteReference, ScopeReference, chain_references,
    extension_references, route_references, scope_references,
};
use super::resources::{Record, Resources};
use super::scopes::Scopes;
use super::secrets::Secrets;
use super::verdict::{LeadIn, Problem, joined, verdict};
use crate::config;
use crate::config::dns_cache::DnsCache;
use crate::config::field::Error;
use crate::config::route::KnownClusters;
use crate::observability::stats::Registry;
use crate::observability::stats::listener_manager::ListenerManagerStats;
use crate::xds::Verdict;

use entry::{Entry, Warming};
pub use entry::{Settled, is_settled};
pub use serve::Serve;

/// All listeners, and what they wait for.
#[derive(Debug)]
pub struct Listeners<S: Serve> {
    serve: S,
    stats: ListenerManagerStats,
    listeners: BTreeMap<String, Entry<S::Prepared>>,
    resources: Resources,
    /// Whether connections are accepted yet; until then listeners that are ready wait.
    serving: bool,
}

impl<S: Serve> Listeners<S> {
    /// No listeners; `serve` will serve them.
    pub fn new(serve: S, registry: &Registry) -> Self {
        Listeners {
            serve,
            stats: ListenerManagerStats::new(registry, "listener_manager."),
            listeners: BTreeMap::new(),
            resources: Resources::default(),
            serving: false,
        }
    }

    /// What serves the listeners.
    pub fn server(&mut self) -> &mut S {
        &mut self.serve
    }

    /// What came over LDS.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Adds a listener of the bootstrap: neither changed nor removed later.
    ///
    /// # Errors
    /// Why it cannot be served.
    pub fn add_fixed(
        &mut self,
        config: Arc<config::Listener>,
        known: &KnownClusters<'_>,
    ) -> Result<(), String> {
        let name = config.name.clone();
        self.warm(config, known).map_err(|errors| joined(&errors))?;
        if let Some(entry) = self.listeners.get_mut(&name) {
            entry.fixed = true;
        }
        Ok(())
    }

    /// Takes one of a response's resources; what is wrong with it. `known` are the clusters that there are.
    pub fn update(&mut self, change: Change<config::Listener>, known: &KnownClusters<'_>) -> Option<Problem> {
        let Change { name, record, body } = change;
        let config = match body {
            Body::New(config) => config,
            Body::Same => {
                self.resources.confirm(&name);
                return None;
            }
            Body::Bad(errors) => return Some(self.reject(&name, errors, record)),
        };
        match self.listeners.get_mut(&name) {
            Some(entry) if entry.fixed || entry.newest() == Some(&config) => {
                self.resources.confirm(&name);
                return None;
            }
            Some(entry) if entry.active.as_ref() == Some(&config) => {
                entry.warming = None;
                entry.composed = None;
                self.resources.revert(&name, record);
                self.count();
                return None;
            }
            Some(_) | None => (),
        }
        match self.warm(config, known) {
            Ok(()) => {
                self.resources.warm(&name, record);
                None
            }
            Err(errors) => Some(self.reject(&name, errors, record)),
        }
    }

    /// Notes a listener that is not in force.
    fn reject(&mut self, name: &str, errors: Vec<Error>, record: Record) -> Problem {
        let problem = Problem::new(config::Listener::MESSAGE, name, errors, &record);
        self.resources.reject(&problem, record);
        problem
    }

    /// Makes a listener and binds its sockets.
    fn warm(&mut self, config: Arc<config::Listener>, known: &KnownClusters<'_>) -> Result<(), Vec<Error>> {
        let unknown = config.unknown_clusters(known);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        self.refuse_taken_address(&config).map_err(|problem| vec![Error::of_resource(problem)])?;
        let warming = self.listeners.get(&config.name).and_then(|entry| entry.warming.as_ref());
        let warming = warming.map(|warming| &warming.prepared);
        let prepared = self.serve.prepare(Arc::clone(&config), warming).map_err(|problem| {
            self.stats.listener_create_failure().inc();
            vec![Error::of_resource(problem)]
        })?;
        let fresh = || Entry { active: None, warming: None, composed: None, fixed: false };
        match self.listeners.contains_key(&config.name) {
            true => self.stats.listener_modified().inc(),
            false => self.stats.listener_added().inc(),
        }
        let entry = self.listeners.entry(config.name.clone()).or_insert_with(fresh);
        let composed = Arc::clone(&config);
        entry.warming = Some(Warming { config, composed, version: None, prepared, in_force: false });
        self.count();
        Ok(())
    }

    /// Refuses an address that another listener has: with `SO_REUSEPORT` binding it twice would succeed, and
    /// connections would go to either.
    fn refuse_taken_address(&self, config: &config::Listener) -> Result<(), String> {
        let others = self.listeners.iter().filter(|(name, _)| **name != config.name);
        let mut others = others.flat_map(|(_, entry)| entry.configs());
        match others.find_map(|other| other.duplicate_address(config)) {
            None => Ok(()),
            Some(address) => Err(config.refuse_address(address)),
        }
    }

    /// Removes listeners; those of the bootstrap stay.
    pub fn remove(&mut self, gone: &[String]) {
        for name in gone {
            self.resources.remove(name);
            if self.listeners.get(name).is_none_or(|entry| entry.fixed) {
                continue;
            }
            if self.listeners.remove(name).is_some_and(|entry| entry.active.is_some()) {
                self.serve.remove(name);
            }
            self.stats.listener_removed().inc();
        }
        self.count();
    }

    /// The answer to a response.
    pub fn answer(&mut self, version: String, problems: &[Problem]) -> Verdict {
        if problems.is_empty() {
            self.resources.version = version;
        }
        verdict(LeadIn::Listeners, problems)
    }

    /// All route tables that listeners refer to, those that warm included.
    pub fn references(&self, scopes: &Scopes) -> Vec<RouteReference> {
        let configs = self.listeners.values().flat_map(Entry::configs);
        configs.flat_map(|config| route_references(config.chains(), scopes)).collect()
    }

    /// All caches of names that their filters name.
    pub fn dns_caches(&self) -> impl Iterator<Item = &DnsCache> {
        self.listeners.values().flat_map(Entry::configs).flat_map(|config| &config.dns_caches)
    }

    /// All scopes that they refer to.
    pub fn scope_references(&self) -> Vec<ScopeReference> {
        let configs = self.listeners.values().flat_map(Entry::configs);
        configs.flat_map(|config| scope_references(config.chains())).collect()
    }

    /// All filter chains that they refer to.
    pub fn chain_references(&self) -> Vec<ChainReference> {
        let configs = self.listeners.values().flat_map(Entry::configs);
        configs.flat_map(|config| chain_references(config)).collect()
    }

    /// All configurations of filters that they refer to.
    pub fn extension_references(&self) -> Vec<ExtensionReference> {
        let configs = self.listeners.values().flat_map(Entry::configs);
        configs.flat_map(|config| extension_references(config)).collect()
    }

    /// Whether a listener waits for something that it refers to.
    pub fn is_warming(&self, settled: &Settled<'_>) -> bool {
        self.listeners
            .values()
            .any(|entry| entry.warming.as_ref().is_some_and(|warming| !warming.is_ready(settled)))
    }

    /// Listeners that wait for secrets, each with the names of those that have not come.
    pub fn awaited_secrets<'l>(
        &'l self,
        secrets: &'l Secrets,
    ) -> impl Iterator<Item = (&'l str, Vec<&'l str>)> {
        let warming = self.listeners.iter().filter_map(|(name, entry)| Some((name, entry.warming.as_ref()?)));
        let awaited = warming.map(|(name, warming)| {
            let missing = warming.composed.secrets().filter(|reference| !secrets.is_settled(reference));
            (name.as_str(), missing.map(|reference| reference.name.as_str()).collect::<Vec<_>>())
        });
        awaited.filter(|(_, missing)| !missing.is_empty())
    }

    /// From now on listeners serve as soon as they are ready.
    pub fn start_serving(&mut self, settled: &Settled<'_>) {
        self.serving = true;
        self.stats.workers_started().set(1);
        self.advance(settled);
    }

    /// Puts those listeners in force that wait for nothing any more. True if there were any, or some that cannot be, or if
    /// filter chains came to one or went: it may refer to others then.
    pub fn advance(&mut self, settled: &Settled<'_>) -> bool {
        let (mut advanced, serving) = (false, self.serving);
        for (name, entry) in &mut self.listeners {
            // Before the start too: it waits for the secrets of the chains that came.
            advanced |= entry.compose(&mut self.serve, settled.chains);
            let Some(Warming { config, composed, prepared, in_force, .. }) =
                entry.warming.take_if(|warming| serving && warming.is_ready(settled))
            else {
                continue;
            };
            advanced = true;
            entry.composed = Some((composed, settled.chains.version()));
            if let Err(problem) = self.serve.serve(prepared) {
                tracing::error!(target: "config", listener = name, problem, "listener cannot be served");
                self.stats.listener_create_failure().inc();
                self.resources.give_up(name, problem);
                continue;
            }
            if !in_force {
                // Each worker takes it, as in Envoy.
                self.stats.listener_create_success().add(self.serve.workers());
                self.resources.activate(name);
            }
            entry.active = Some(config);
        }
        self.listeners.retain(|_, entry| entry.newest().is_some());
        self.count();
        advanced
    }

    fn count(&self) {
        let entries = || self.listeners.values();
        let (active, warming) = (
            entries().filter(|entry| entry.active.is_some()).count(),
            entries().filter(|entry| entry.warming.as_ref().is_some_and(|warming| !warming.in_force)).count(),
        );
        self.stats.total_listeners_active().set(active as u64);
        self.stats.total_listeners_warming().set(warming as u64);
    }
}

#[cfg(test)]
mod tests;
