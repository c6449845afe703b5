//! Putting in force what is ready.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Control, State};
use crate::config::source::{ConfigSource, SourceKind};
use crate::control::Effect;
use crate::control::feeds::Feed;
use crate::control::listeners::{Serve, Settled, is_settled};
use crate::control::scopes::Wish as ScopeWish;
use crate::control::secrets::Wish as SecretWish;
use crate::control::startup::Phase;
use crate::control::virtual_hosts::Wish;
use crate::snapshot::Snapshot;

impl<S: Serve> Control<S> {
    /// Puts in force what is ready, until nothing changes any more.
    pub(super) fn put_in_force(&mut self) {
        loop {
            self.ask_secrets();
            self.configure();
            self.configure_clusters();
            self.publish();
            let is_changed = self.serve_ready();
            self.take_effects();
            self.ask();
            let advanced = self.advance();
            // What cannot be asked for is not waited for. What came may want secrets of its own.
            if !self.configure_clusters() && !advanced && !is_changed {
                return;
            }
        }
    }

    /// Asks for the configurations that clusters refer to, and goes on with those that wait for none any more. True if
    /// there were any.
    fn configure_clusters(&mut self) -> bool {
        let state = &mut *self.state.borrow_mut();
        if state.clusters.take_refers_anew() {
            state.refer();
        }
        let State { clusters, extensions, .. } = state;
        clusters.go_on_with_filters(|reference| extensions.is_settled(reference))
    }

    /// Gives filters the configurations that came for them.
    pub(super) fn configure(&mut self) {
        let State { extensions, listeners, clusters, .. } = &mut *self.state.borrow_mut();
        let configs = extensions.configs();
        if !Arc::ptr_eq(configs, &self.configs) {
            self.configs = Arc::clone(configs);
            clusters.configure(configs);
            listeners.server().configure(configs);
        }
    }

    pub(super) fn publish(&mut self) {
        let state = self.state.borrow();
        let (clusters, routes) = (state.clusters.manager().active(), state.routes.tables());
        let scopes = state.scopes.compiled();
        let is_new = !Arc::ptr_eq(clusters, &self.snapshot.clusters)
            || !Arc::ptr_eq(routes, &self.snapshot.routes)
            || !Arc::ptr_eq(scopes, &self.snapshot.scopes);
        if is_new {
            state.scopes.count(routes);
            self.snapshot = Snapshot {
                clusters: Arc::clone(clusters),
                routes: Arc::clone(routes),
                scopes: Arc::clone(scopes),
                // The admin interface changes it, on this thread too.
                runtime: Arc::clone(&self.published.load().runtime),
            };
            self.published.publish(self.snapshot.clone());
            drop(state);
            // Requests go on that waited for a cluster or for a table.
            let State { clusters, on_demand, scopes, .. } = &mut *self.state.borrow_mut();
            drop(clusters.take_answered(&self.snapshot.clusters));
            drop(on_demand.take_served(|name| self.snapshot.clusters.contains_key(name)));
            drop(scopes.take_served(&self.snapshot.routes));
        }
    }

    /// Listeners and filter chains that wait for nothing any more serve. True if there were any.
    pub(super) fn serve_ready(&mut self) -> bool {
        self.publish();
        self.configure();
        let state = &mut *self.state.borrow_mut();
        let State { listeners, routes, scopes, extensions, secrets, chains, .. } = state;
        let came = chains.advance(|chain| is_settled([chain].into_iter(), routes, scopes, extensions));
        let is_changed = listeners.advance(&Settled { routes, scopes, extensions, secrets, chains }) || came;
        if is_changed {
            state.refer();
        }
        is_changed
    }

    fn take_effects(&mut self) {
        let effects = self.state.borrow_mut().clusters.take_effects();
        for effect in effects {
            match effect {
                Effect::Resolve(cluster) => self.resolving.start(cluster),
                Effect::ResolveNames(cache) => self.resolving.resolve_names(&cache),
                Effect::StopResolving(id) => self.resolving.stop(id),
                Effect::Watch(cluster) => self.watching.start(&cluster),
                Effect::StopWatching(id) => self.watching.stop(id),
                Effect::Settle(ticket, verdict) => self.feeds.settle(ticket, verdict),
            }
        }
    }

    /// Asks for the secrets that are wanted now; clusters that waited for those that are there go on.
    pub(super) fn ask_secrets(&mut self) {
        let mut state = self.state.borrow_mut();
        for SecretWish { source, names } in state.secrets.take_wishes() {
            if is_done(state.secrets.source(source), &names) {
                self.feeds.unsubscribe(Feed::Secrets(source));
                state.secrets.forget_source(source);
                continue;
            }
            let wanted: Vec<String> = names.iter().cloned().collect();
            if !self.feeds.set_names(Feed::Secrets(source), state.secrets.source(source), names) {
                state.secrets.give_up(source, &wanted);
            }
        }
        state.clusters.secrets_settled();
    }

    /// Asks for the endpoints, the route tables and the configurations of filters that are wanted now.
    fn ask(&mut self) {
        let mut state = self.state.borrow_mut();
        for (source, names) in state.clusters.take_wanted_endpoints() {
            let config = state.clusters.endpoints().source(source);
            if is_done(config, &names) {
                self.feeds.unsubscribe(Feed::Endpoints(source));
                state.clusters.forget_source(source);
            } else {
                self.feeds.set_names(Feed::Endpoints(source), config, names);
            }
        }
        let before_listeners = *self.phase.borrow() < Phase::Lds;
        if !before_listeners || state.clusters.awaits_filters() {
            for (source, names) in state.extensions.take_changed() {
                if is_done(state.extensions.source(source), &names) {
                    self.feeds.unsubscribe(Feed::Extensions(source));
                    state.extensions.forget_source(source);
                    continue;
                }
                let wanted: Vec<String> = names.iter().cloned().collect();
                if !self.feeds.set_names(Feed::Extensions(source), state.extensions.source(source), names) {
                    state.extensions.give_up(source, &wanted);
                }
            }
        }
        if before_listeners {
            return;
        }
        for (source, names) in state.chains.take_changed() {
            if is_done(state.chains.source(source), &names) {
                self.feeds.unsubscribe(Feed::FilterChains(source));
                state.chains.forget_source(source);
                continue;
            }
            let wanted: Vec<String> = names.iter().cloned().collect();
            if !self.feeds.set_names(Feed::FilterChains(source), state.chains.source(source), names) {
                state.chains.give_up(source, &wanted);
            }
        }
        for wish in state.scopes.take_wishes() {
            match wish {
                ScopeWish::Unsubscribe(source) => self.feeds.unsubscribe(Feed::Scopes(source)),
                ScopeWish::Subscribe(source) => {
                    if !self.feeds.subscribe_all(Feed::Scopes(source), state.scopes.source(source)) {
                        state.scopes.give_up(source);
                    }
                }
            }
        }
        for (source, names) in state.routes.take_changed() {
            let wanted: Vec<String> = names.iter().cloned().collect();
            if !self.feeds.set_names(Feed::Routes(source), state.routes.source(source), names) {
                state.routes.give_up(source, &wanted);
            }
        }
        for (source, names) in state.on_demand.take_changed() {
            let config = state.on_demand.source(source);
            match self.cds.as_ref().filter(|cds| cds.source.from == config.from) {
                // A source has one subscription to a type.
                Some(_) => self.feeds.ask_besides(Feed::Clusters, config, names),
                None => self.feeds.set_names(Feed::OnDemand(source), config, names),
            };
        }
        for (source, wish) in state.routes.take_host_wishes() {
            match wish {
                Wish::Unsubscribe => self.feeds.unsubscribe(Feed::VirtualHosts(source)),
                Wish::Ask(names) => {
                    let config = state.routes.hosts_source(source);
                    if !self.feeds.ask_besides(Feed::VirtualHosts(source), config, names) {
                        state.routes.give_up_hosts(source);
                    }
                }
            }
        }
    }
}

/// Whether a source is of no more use. One that shares its stream with other types stays: there is one of those, and it is
/// told that nothing is wanted.
fn is_done(source: &ConfigSource, names: &BTreeSet<String>) -> bool {
    names.is_empty() && source.from != SourceKind::Ads
}
