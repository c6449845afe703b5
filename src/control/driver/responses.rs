//! Taking a response: reading it, handing its resources to the state machine of their type, answering it.
//!
//! A response with a resource that cannot be decoded counts for nothing; of the others each resource counts by
//! itself. What is many is taken in chunks, so that the control thread's other tasks get their turn.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::{Control, State};
use crate::config;
use crate::config::discovered_config::DiscoveredConfig;
use crate::config::dns_cache::DnsCache;
use crate::config::field::{Error, ErrorKind};
use crate::config::listener::DiscoveredChain;
use crate::config::route::{KnownClusters, ScopedRoute};
use crate::config::tls::Secret;
use crate::control::Ticket;
use crate::control::clusters::Clusters;
use crate::control::feeds::Feed;
use crate::control::listeners::{Listeners, Serve};
use crate::control::push::{self, Body, Change, Kind, Push};
use crate::control::verdict::{LeadIn, joined, rejection, verdict};
use crate::route::Table;
use crate::xds::{FileContent, Response, Verdict};

/// Resources applied before other tasks of the control thread get their turn.
pub(super) const CHUNK: usize = 128;

impl<S: Serve> Control<S> {
    pub(super) async fn respond(&mut self, feed: Feed, response: Response) {
        let ticket = self.feeds.issue(feed, response.token);
        let response = self.fit(feed, response);
        match feed {
            Feed::Clusters | Feed::OnDemand(_) => self.take_clusters(feed, response, ticket).await,
            Feed::Endpoints(source) => self.take_endpoints(source, response, ticket).await,
            Feed::Listeners => self.take_listeners(response, ticket).await,
            Feed::Routes(source) => self.take_routes(source, response, ticket).await,
            Feed::VirtualHosts(source) => self.take_virtual_hosts(source, &response, ticket),
            Feed::Scopes(source) => self.take_scopes(source, response, ticket).await,
            Feed::Extensions(source) => self.take_extensions(source, response, ticket).await,
            Feed::Secrets(source) => self.take_secrets(source, response, ticket).await,
            Feed::FilterChains(source) => self.take_chains(source, response, ticket).await,
        }
    }

    /// What counts of the content of a file; who wants something else of it waits no longer.
    fn fit(&self, feed: Feed, response: Response) -> Response {
        let state = &mut *self.state.borrow_mut();
        let content = response.file_content();
        match feed {
            Feed::Endpoints(source) if state.clusters.endpoints().source(source).is_file() => {
                state.clusters.miss(source, content, &response.version);
            }
            Feed::Routes(source) if state.routes.source(source).is_file() => {
                state.routes.miss(source, content, &response.version);
            }
            Feed::Extensions(source) if state.extensions.source(source).is_file() => {
                state.extensions.miss(source, content);
            }
            Feed::Secrets(source) if state.secrets.source(source).is_file() => {
                state.secrets.miss(source, content);
            }
            _ => return response,
        }
        match content {
            FileContent::One(_) => response,
            FileContent::Nothing | FileContent::Unexpected => {
                Response { resources: Vec::new(), kept: Vec::new(), ..response }
            }
        }
    }

    pub(super) async fn read<K: Kind>(
        &self,
        response: Response,
        is_current: impl Fn(&State<S>, &str, &[u8]) -> bool,
    ) -> Push<K::Value> {
        let current = |name: &str, value: &[u8]| is_current(&self.state.borrow(), name, value);
        let push = push::read::<K>(response, self.known.clone(), SystemTime::now(), current).await;
        for change in push.changes.iter().filter(|change| matches!(change.body, Body::New(_))) {
            self.noted.take(&change.name, &change.record.notes);
        }
        push
    }

    async fn take_listeners(&mut self, response: Response, ticket: Ticket) {
        let began = Instant::now();
        let mut push = self
            .read::<config::Listener>(response, |state, name, value| {
                state.listeners.resources().is_current(name, value)
            })
            .await;
        let undecodable = push.undecodable();
        if !undecodable.is_empty() {
            for bad in push.take_bad() {
                self.state.borrow_mut().listeners.update(bad, &KnownClusters::of(&|_| false));
            }
            self.feeds.settle(ticket, rejection(&undecodable));
            return self.rejected(Feed::Listeners);
        }
        let gone = push.gone(self.state.borrow().listeners.resources().names());
        let changed = push.has_new() || !gone.is_empty();
        self.state.borrow_mut().listeners.remove(&gone);
        let mut problems = Vec::new();
        {
            let State { clusters, listeners, .. } = &mut *self.state.borrow_mut();
            let (has, nearest) = (|name: &str| clusters.has(name), |name: &str| clusters.nearest(name));
            let known = KnownClusters::new(&has, &nearest);
            while let Some(chunk) = push.take_some(CHUNK) {
                for mut change in chunk {
                    refuse_conflicts(&mut change, clusters, listeners);
                    problems.extend(listeners.update(change, &known));
                }
            }
        }
        let version = push.version.clone();
        let verdict = self.state.borrow_mut().listeners.answer(push.version, &problems);
        self.state.borrow_mut().refer();
        // What needs nothing more serves before the answer says so.
        self.serve_ready();
        self.feeds.settle(ticket, verdict);
        self.count(Feed::Listeners, &version, problems.is_empty(), changed, began);
    }

    async fn take_routes(&mut self, source: usize, response: Response, ticket: Ticket) {
        let mut push = self
            .read::<Table>(response, |state, name, value| state.routes.is_current(source, name, value))
            .await;
        push.changes.iter_mut().for_each(|change| self.check_hosts_source(change));
        let undecodable = push.undecodable();
        let rejected = !undecodable.is_empty();
        let changes = if rejected { push.take_bad() } else { push.take_some(usize::MAX).unwrap_or_default() };
        let mut problems = Vec::new();
        {
            let State { clusters, routes, .. } = &mut *self.state.borrow_mut();
            let (has, nearest) = (|name: &str| clusters.has(name), |name: &str| clusters.nearest(name));
            let known = KnownClusters::new(&has, &nearest);
            problems.extend(changes.into_iter().filter_map(|change| routes.update(source, change, &known)));
        }
        let verdict = match rejected {
            true => rejection(&undecodable),
            false => self.state.borrow_mut().routes.answer(source, push.version, &problems),
        };
        self.publish();
        self.feeds.settle(ticket, verdict);
    }

    /// Refuses a table whose virtual hosts come from a source that has none to give.
    fn check_hosts_source(&self, change: &mut Change<Table>) {
        let Body::New(table) = &change.body else {
            return;
        };
        let source = table.configuration().vhds.as_ref();
        if source.is_some_and(|source| !self.feeds.is_incremental(source)) {
            change.body = Body::Bad(vec![Error {
                path: "vhds.config_source".to_owned(),
                message: "vhds: ADS must use DELTA_GRPC api_type when used as VHDS config source".to_owned(),
                kind: ErrorKind::Apply,
            }]);
        }
    }

    fn take_virtual_hosts(&mut self, source: usize, response: &Response, ticket: Ticket) {
        let verdict = self.put_virtual_hosts(source, response);
        self.feeds.settle(ticket, verdict);
    }

    /// Puts in force what a response makes of virtual hosts, if all of it is good.
    pub(super) fn put_virtual_hosts(&mut self, source: usize, response: &Response) -> Verdict {
        let (verdict, answered) = {
            let State { clusters, routes, .. } = &mut *self.state.borrow_mut();
            let (has, nearest) = (|name: &str| clusters.has(name), |name: &str| clusters.nearest(name));
            let staged = routes.stage_hosts(source, response, &KnownClusters::new(&has, &nearest));
            routes.take_hosts(source, response, staged)
        };
        self.publish();
        // Requests go on that waited: what they waited for is in force.
        drop(answered);
        verdict
    }

    /// A response counts as a whole, so a scope that cannot be decoded is refused like any other.
    async fn take_scopes(&mut self, source: usize, response: Response, ticket: Ticket) {
        let mut push = self
            .read::<ScopedRoute>(response, |state, name, value| state.scopes.is_current(source, name, value))
            .await;
        let gone = push.gone(self.state.borrow().scopes.names(source));
        let changes = push.take_some(usize::MAX).unwrap_or_default();
        let verdict = {
            let State { clusters, scopes, .. } = &mut *self.state.borrow_mut();
            let (has, nearest) = (|name: &str| clusters.has(name), |name: &str| clusters.nearest(name));
            let problems = scopes.update(source, changes, &gone, &KnownClusters::new(&has, &nearest));
            scopes.answer(source, push.version, &problems)
        };
        self.state.borrow_mut().refer();
        self.publish();
        self.feeds.settle(ticket, verdict);
    }

    async fn take_extensions(&mut self, source: usize, response: Response, ticket: Ticket) {
        let removed = response.removed.clone();
        let mut push = self
            .read::<DiscoveredConfig>(response, |state, name, value| {
                state.extensions.is_current(source, name, value)
            })
            .await;
        push.changes.iter_mut().for_each(|change| self.check_config(change));
        let undecodable = push.undecodable();
        let rejected = !undecodable.is_empty();
        let changes = if rejected { push.take_bad() } else { push.take_some(usize::MAX).unwrap_or_default() };
        let verdict = {
            let extensions = &mut self.state.borrow_mut().extensions;
            if !rejected {
                extensions.remove(source, &removed);
            }
            let problems: Vec<_> =
                changes.into_iter().filter_map(|change| extensions.update(source, change)).collect();
            if rejected { rejection(&undecodable) } else { verdict(LeadIn::None, &problems) }
        };
        self.state.borrow_mut().refer_behind();
        self.configure();
        self.feeds.settle(ticket, verdict);
    }

    /// Refuses a configuration that names what cannot be had: a log that cannot be opened.
    fn check_config(&self, change: &mut Change<DiscoveredConfig>) {
        if let Body::New(config) = &change.body
            && let Err(problem) = self.state.borrow_mut().listeners.server().check(config.config())
        {
            change.body = Body::Bad(vec![Error::of_resource(problem)]);
        }
    }

    /// Refuses a filter chain of which a filter names what cannot be had; all of them are named.
    fn check_chain(&self, change: &mut Change<DiscoveredChain>) {
        let Body::New(chain) = &change.body else { return };
        let mut state = self.state.borrow_mut();
        let server = state.listeners.server();
        let configured = chain.chain.filters.iter().filter_map(|filter| filter.config.typed());
        let problems = configured.filter_map(|config| server.check(config).err());
        let problems: Vec<_> = problems.map(Error::of_resource).collect();
        if !problems.is_empty() {
            change.body = Body::Bad(problems);
        }
    }

    async fn take_chains(&mut self, source: usize, response: Response, ticket: Ticket) {
        let mut push = self
            .read::<DiscoveredChain>(response, |state, name, value| {
                state.chains.is_current(source, name, value)
            })
            .await;
        push.changes.iter_mut().for_each(|change| self.check_chain(change));
        let undecodable = push.undecodable();
        let rejected = !undecodable.is_empty();
        let changes = if rejected { push.take_bad() } else { push.take_some(usize::MAX).unwrap_or_default() };
        let verdict = {
            let State { chains, clusters, .. } = &mut *self.state.borrow_mut();
            let (has, nearest) = (|name: &str| clusters.has(name), |name: &str| clusters.nearest(name));
            let known = KnownClusters::new(&has, &nearest);
            let mentioned: HashSet<String> = changes.iter().map(|change| change.name.clone()).collect();
            let updates = changes.into_iter().filter_map(|change| chains.update(source, change, &known));
            let problems: Vec<_> = updates.collect();
            if !rejected {
                // A file is all that there is; a stream says itself what is gone.
                let is_missing =
                    |name: &&str| !mentioned.contains(*name) && !push.kept.iter().any(|kept| kept == name);
                let gone = match chains.source(source).is_file() {
                    true => chains.names(source).filter(is_missing).map(str::to_owned).collect(),
                    false => push.removed.clone(),
                };
                chains.remove(source, &push.version, &gone);
            }
            if rejected { rejection(&undecodable) } else { verdict(LeadIn::None, &problems) }
        };
        self.state.borrow_mut().refer();
        self.serve_ready();
        self.feeds.settle(ticket, verdict);
    }

    async fn take_secrets(&mut self, source: usize, response: Response, ticket: Ticket) {
        let mut push = self
            .read::<Secret>(response, |state, name, value| state.secrets.is_current(source, name, value))
            .await;
        let undecodable = push.undecodable();
        let rejected = !undecodable.is_empty();
        let changes = if rejected { push.take_bad() } else { push.take_some(usize::MAX).unwrap_or_default() };
        let gone = if rejected { Vec::new() } else { std::mem::take(&mut push.removed) };
        let verdict = {
            let secrets = &mut self.state.borrow_mut().secrets;
            let problems: Vec<_> =
                changes.into_iter().filter_map(|change| secrets.update(source, change)).collect();
            if rejected { rejection(&undecodable) } else { verdict(LeadIn::None, &problems) }
        };
        self.state.borrow().secrets.remove(source, &gone);
        self.files.follow(self.state.borrow().secrets.watched());
        self.feeds.settle(ticket, verdict);
        // The source is told what is wanted no longer, before a handshake wants it again.
        self.ask_secrets();
    }

    /// Reads the files of a secret again.
    pub(super) fn reread(&self, source: usize, name: &str) {
        let Some(record) = self.state.borrow().secrets.message(source, name) else { return };
        let read = Secret::parse(&record.value, &self.known);
        let read = read.map(|(secret, _)| Arc::new(secret)).map_err(|errors| joined(&errors));
        self.state.borrow_mut().secrets.reread(source, name, read);
    }

    pub(super) fn count(&mut self, feed: Feed, version: &str, good: bool, changed: bool, began: Instant) {
        if let Feed::OnDemand(source) = feed {
            let on_demand = &self.state.borrow().on_demand;
            return match good {
                true => on_demand.succeeded(source, version, began.elapsed()),
                false => on_demand.rejected(source),
            };
        }
        if let Some(watched) = self.watched(feed) {
            watched.awaited = false;
            match good {
                true => watched.counted.succeeded(version, changed, SystemTime::now(), began.elapsed()),
                false => watched.counted.rejected(),
            }
        }
    }
}

/// Refuses a listener whose filters name caches of names that are there with other settings.
fn refuse_conflicts<S: Serve>(
    change: &mut Change<config::Listener>,
    clusters: &Clusters,
    listeners: &Listeners<S>,
) {
    let Body::New(config) = &change.body else { return };
    let differs = |cache: &&DnsCache| {
        let among = listeners.dns_caches().any(|other| other.name == cache.name && other != *cache);
        among || clusters.manager().cache_conflict(cache).is_some()
    };
    let conflicts = config.dns_caches.iter().filter(differs);
    let errors: Vec<_> = conflicts.map(|cache| Error::of_resource(cache.disagreement())).collect();
    if !errors.is_empty() {
        change.body = Body::Bad(errors);
    }
}
