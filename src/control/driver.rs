//! The task of the control thread: it hands responses, resolved names and the clock to the state machines, and does
//! what they say.
//!
//! After each round what is ready is put in force in this order: the snapshot is published, listeners that wait for
//! nothing any more serve, responses are answered, and other names are asked for. So an answer never says more than
//! is true.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::{mpsc, watch};

use super::clusters::Clusters;
use super::feeds::{Feed, Feeds};
use super::listeners::{Listeners, Serve};
use super::push::{self, Change, Kind, Push};
use super::resolving::Resolving;
use super::routes::Routes;
use super::setup::{Setup, SetupError};
use super::startup::{Facts, Phase};
use super::subscriptions::Counted;
use super::verdict::{LeadIn, Problem, rejection, verdict};
use super::{Effect, Ticket};
use crate::config::extension::Extensions;
use crate::config::source::ConfigSource;
use crate::config::{self, LoadAssignment};
use crate::listener;
use crate::route::Table;
use crate::snapshot::{Published, Snapshot};
use crate::upstream::Manager;
use crate::xds::{Event, Notice, Response};

/// Resources applied before other tasks of the control thread get their turn.
const CHUNK: usize = 128;

/// Notices handled before what they brought is put in force.
const ROUND: usize = 32;

/// What there is. Belongs to the control thread; the admin interface reads it between two rounds.
#[derive(Debug)]
pub struct State<S: Serve = listener::Manager> {
    /// CDS and EDS.
    pub clusters: Clusters,
    /// RDS.
    pub routes: Routes,
    /// LDS.
    pub listeners: Listeners<S>,
}

/// The task of the control thread.
pub struct Control<S: Serve = listener::Manager> {
    state: Rc<RefCell<State<S>>>,
    phase: watch::Sender<Phase>,
    feeds: Feeds,
    notices: mpsc::Receiver<Notice>,
    resolving: Resolving,
    published: Arc<Published>,
    snapshot: Snapshot,
    extensions: Extensions,
    cds: Option<Watched>,
    lds: Option<Watched>,
    /// Clusters of the bootstrap that wait for the control plane's clusters to be ready.
    secondary: Vec<Arc<config::Cluster>>,
}

/// A source that all of a type is taken from.
#[derive(Debug)]
struct Watched {
    source: ConfigSource,
    counted: Counted,
    /// Whether nothing was heard yet.
    awaited: bool,
}

impl<S: Serve> Control<S> {
    /// A task that has not begun. The bootstrap's listeners are bound.
    ///
    /// # Errors
    /// A listener of the bootstrap cannot be served.
    pub fn new(setup: Setup<S>) -> Result<Self, SetupError> {
        let Setup { registry, clusters, listeners, cds, lds, .. } = setup;
        let watched = |source: Option<ConfigSource>, prefix, reloads| {
            source.map(|source| {
                let counted = Counted::new(&registry, prefix, &source, reloads);
                Watched { source, counted, awaited: true }
            })
        };
        let (secondary, primary): (Vec<_>, Vec<_>) = clusters
            .into_iter()
            .partition(|config| matches!(config.discovery, config::cluster::Discovery::Eds { .. }));
        let mut state = State {
            clusters: Clusters::new(Manager::new(registry.clone()), cds.clone()),
            routes: Routes::new(registry.clone(), setup.linger),
            listeners: Listeners::new(setup.server, &registry),
        };
        for config in primary {
            state.clusters.add_fixed(config, Instant::now());
        }
        for config in listeners {
            let State { clusters, listeners, .. } = &mut state;
            let name = config.name.clone();
            let exists =
                |name: &str| clusters.has(name) || secondary.iter().any(|config| config.name == name);
            listeners.add_fixed(config, exists).map_err(|message| SetupError { listener: name, message })?;
        }
        Ok(Control {
            state: Rc::new(RefCell::new(state)),
            phase: watch::Sender::new(Phase::PrimaryClusters),
            feeds: Feeds::new(setup.client),
            notices: setup.notices,
            resolving: Resolving::new(setup.resolver, setup.rng),
            published: setup.published,
            snapshot: Snapshot::default(),
            extensions: setup.extensions,
            cds: watched(cds, "cluster_manager.cds.", true),
            lds: watched(lds, "listener_manager.lds.", false),
            secondary,
        })
    }

    /// What there is, for others on this thread. Must not be borrowed across an `await`.
    pub fn state(&self) -> Rc<RefCell<State<S>>> {
        Rc::clone(&self.state)
    }

    /// How far the start has come.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Works until dropped. Runs in a `LocalSet`.
    pub async fn run(mut self) {
        loop {
            self.put_in_force();
            self.round().await;
        }
    }

    /// Waits for something to happen, and takes what else is there already.
    async fn round(&mut self) {
        let deadline = self.next_deadline();
        tokio::select! {
            Some(notice) = self.notices.recv() => self.handle(notice).await,
            (cluster, resolution) = self.resolving.next() => {
                self.state.borrow_mut().clusters.resolved(&cluster, resolution);
            }
            () = sleep_until(deadline) => self.expire(),
        }
        for _ in 1..ROUND {
            let Ok(notice) = self.notices.try_recv() else {
                break;
            };
            self.handle(notice).await;
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let state = self.state.borrow();
        state.clusters.next_deadline().into_iter().chain(state.routes.next_deadline()).min()
    }

    fn expire(&self) {
        let mut state = self.state.borrow_mut();
        state.clusters.expire(Instant::now());
        state.routes.expire(Instant::now());
    }

    async fn handle(&mut self, Notice { subscription, event }: Notice) {
        let Some(feed) = self.feeds.of(subscription) else {
            return;
        };
        match event {
            Event::Connected => tracing::debug!(target: "config", ?feed, "subscribed"),
            Event::Disconnected { reason } => {
                tracing::warn!(target: "config", ?feed, reason, "stream lost");
                self.disconnected(feed);
            }
            Event::Response(response) => self.respond(feed, response).await,
            Event::Rejected { error, .. } => {
                tracing::warn!(target: "config", ?feed, error, "update rejected");
                self.rejected(feed);
            }
            Event::FetchTimedOut { names } => self.timed_out(feed, &names),
            Event::Expired { names } => self.expired(feed, &names),
        }
    }

    fn watched(&mut self, feed: Feed) -> Option<&mut Watched> {
        match feed {
            Feed::Clusters => self.cds.as_mut(),
            Feed::Listeners => self.lds.as_mut(),
            Feed::Endpoints(_) | Feed::Routes(_) => None,
        }
    }

    fn disconnected(&mut self, feed: Feed) {
        match feed {
            Feed::Clusters | Feed::Listeners => {
                if let Some(watched) = self.watched(feed) {
                    watched.counted.failed();
                }
            }
            Feed::Routes(source) => self.state.borrow().routes.disconnected(source),
            Feed::Endpoints(source) => self.state.borrow().clusters.disconnected(source),
        }
    }

    /// Nothing of a response counts. A start goes on all the same, as in Envoy: what has not come by now is not
    /// waited for any longer.
    fn rejected(&mut self, feed: Feed) {
        match feed {
            Feed::Clusters | Feed::Listeners => {
                if let Some(watched) = self.watched(feed) {
                    watched.counted.rejected();
                    watched.awaited = false;
                }
            }
            Feed::Endpoints(source) => self.state.borrow_mut().clusters.rejected(source),
            Feed::Routes(source) => self.state.borrow_mut().routes.rejected(source),
        }
    }

    fn timed_out(&mut self, feed: Feed, names: &[String]) {
        if let Some(watched) = self.watched(feed) {
            watched.counted.timed_out();
            watched.awaited = false;
        }
        // Clusters have a clock of their own: one may wait for endpoints that came before, for another.
        if let Feed::Routes(_) = feed {
            self.state.borrow_mut().routes.give_up(names);
        }
    }

    /// Resources whose time to live has passed are gone; endpoints and route tables serve on, as after a removal.
    fn expired(&mut self, feed: Feed, names: &[String]) {
        let mut state = self.state.borrow_mut();
        match feed {
            Feed::Clusters => state.clusters.remove(names),
            Feed::Listeners => state.listeners.remove(names),
            Feed::Endpoints(_) | Feed::Routes(_) => (),
        }
    }

    async fn respond(&mut self, feed: Feed, response: Response) {
        let ticket = self.feeds.issue(feed, response.token);
        match feed {
            Feed::Clusters => self.take_clusters(response, ticket).await,
            Feed::Endpoints(source) => self.take_endpoints(source, response, ticket).await,
            Feed::Listeners => self.take_listeners(response, ticket).await,
            Feed::Routes(_) => self.take_routes(response, ticket).await,
        }
    }

    async fn read<K: Kind>(
        &self,
        response: Response,
        is_current: impl Fn(&State<S>, &str, &[u8]) -> bool,
    ) -> Push<K::Value> {
        let current = |name: &str, value: &[u8]| is_current(&self.state.borrow(), name, value);
        push::read::<K>(response, self.extensions, SystemTime::now(), current).await
    }

    async fn take_clusters(&mut self, response: Response, ticket: Ticket) {
        let began = Instant::now();
        let mut push = self
            .read::<config::Cluster>(response, |state, name, value| {
                state.clusters.resources().is_current(name, value)
            })
            .await;
        let undecodable = push.undecodable();
        if !undecodable.is_empty() {
            self.state.borrow_mut().clusters.reject_all(push.take_bad());
            self.feeds.settle(ticket, rejection(&undecodable));
            return self.rejected(Feed::Clusters);
        }
        let gone = push.gone(self.state.borrow().clusters.resources().names());
        let changed = push.has_new() || !gone.is_empty();
        let mut problems = Vec::new();
        while let Some(chunk) = push.take_some(CHUNK) {
            problems.extend(self.state.borrow_mut().clusters.update(chunk, Instant::now()));
            tokio::task::yield_now().await;
        }
        let version = push.version.clone();
        self.state.borrow_mut().clusters.finish(push.version, &gone, &problems, ticket);
        self.count(Feed::Clusters, &version, problems.is_empty(), changed, began);
    }

    async fn take_endpoints(&mut self, source: usize, response: Response, ticket: Ticket) {
        let mut push = self
            .read::<LoadAssignment>(response, |state, name, value| {
                state.clusters.endpoints().is_current(source, name, value)
            })
            .await;
        let undecodable = push.undecodable();
        if !undecodable.is_empty() {
            self.assign(source, push.take_bad());
            return self.feeds.settle(ticket, rejection(&undecodable));
        }
        let mut problems = Vec::new();
        while let Some(chunk) = push.take_some(CHUNK) {
            problems.extend(self.assign(source, chunk));
            tokio::task::yield_now().await;
        }
        self.feeds.settle(ticket, verdict(LeadIn::None, &problems));
    }

    /// Takes some load assignments; what is wrong with them.
    fn assign(&self, source: usize, changes: Vec<Change<LoadAssignment>>) -> Vec<Problem> {
        let clusters = &mut self.state.borrow_mut().clusters;
        changes.into_iter().filter_map(|change| clusters.update_endpoints(source, change)).collect()
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
                self.state.borrow_mut().listeners.update(vec![bad], |_| false);
            }
            self.feeds.settle(ticket, rejection(&undecodable));
            return self.rejected(Feed::Listeners);
        }
        let gone = push.gone(self.state.borrow().listeners.resources().names());
        let changed = push.has_new() || !gone.is_empty();
        self.state.borrow_mut().listeners.remove(&gone);
        let mut problems = Vec::new();
        while let Some(chunk) = push.take_some(CHUNK) {
            let State { clusters, listeners, .. } = &mut *self.state.borrow_mut();
            problems.extend(listeners.update(chunk, |name| clusters.has(name)));
        }
        let version = push.version.clone();
        let verdict = self.state.borrow_mut().listeners.answer(push.version, &problems);
        self.refer();
        // What needs nothing more serves before the answer says so.
        self.serve_ready();
        self.feeds.settle(ticket, verdict);
        self.count(Feed::Listeners, &version, problems.is_empty(), changed, began);
    }

    async fn take_routes(&mut self, response: Response, ticket: Ticket) {
        let mut push = self
            .read::<Table>(response, |state, name, value| state.routes.resources().is_current(name, value))
            .await;
        let undecodable = push.undecodable();
        let rejected = !undecodable.is_empty();
        let changes = if rejected { push.take_bad() } else { push.take_some(usize::MAX).unwrap_or_default() };
        let mut problems = Vec::new();
        for change in changes {
            let State { clusters, routes, .. } = &mut *self.state.borrow_mut();
            problems.extend(routes.update(change, |name| clusters.has(name)));
        }
        let verdict = match rejected {
            true => rejection(&undecodable),
            false => self.state.borrow_mut().routes.answer(push.version, &problems),
        };
        self.publish();
        self.feeds.settle(ticket, verdict);
    }

    fn count(&mut self, feed: Feed, version: &str, good: bool, changed: bool, began: Instant) {
        if let Some(watched) = self.watched(feed) {
            watched.awaited = false;
            match good {
                true => watched.counted.succeeded(version, changed, SystemTime::now(), began.elapsed()),
                false => watched.counted.rejected(),
            }
        }
    }

    /// Puts in force what is ready, until nothing changes any more.
    fn put_in_force(&mut self) {
        loop {
            self.publish();
            self.serve_ready();
            self.take_effects();
            self.ask();
            if !self.advance() {
                return;
            }
        }
    }

    fn publish(&mut self) {
        let state = self.state.borrow();
        let (clusters, routes) = (state.clusters.manager().active(), state.routes.tables());
        if !Arc::ptr_eq(clusters, &self.snapshot.clusters) || !Arc::ptr_eq(routes, &self.snapshot.routes) {
            self.snapshot = Snapshot { clusters: Arc::clone(clusters), routes: Arc::clone(routes) };
            self.published.publish(self.snapshot.clone());
        }
    }

    fn serve_ready(&mut self) {
        self.publish();
        let State { listeners, routes, .. } = &mut *self.state.borrow_mut();
        if listeners.advance(|name| routes.is_settled(name)) {
            routes.refer(&listeners.references(), Instant::now());
        }
    }

    fn refer(&self) {
        let State { listeners, routes, .. } = &mut *self.state.borrow_mut();
        routes.refer(&listeners.references(), Instant::now());
    }

    fn take_effects(&mut self) {
        let effects = self.state.borrow_mut().clusters.take_effects();
        for effect in effects {
            match effect {
                Effect::Resolve(cluster) => self.resolving.start(cluster),
                Effect::StopResolving(id) => self.resolving.stop(id),
                Effect::Settle(ticket, verdict) => self.feeds.settle(ticket, verdict),
            }
        }
    }

    /// Asks for the endpoints and route tables that are wanted now.
    fn ask(&mut self) {
        let mut state = self.state.borrow_mut();
        for (source, names) in state.clusters.take_wanted_endpoints() {
            let config = state.clusters.endpoints().source(source);
            self.feeds.set_names(Feed::Endpoints(source), config, names);
        }
        if *self.phase.borrow() < Phase::Lds {
            return;
        }
        for (source, names) in state.routes.take_changed() {
            let wanted: Vec<String> = names.iter().cloned().collect();
            if !self.feeds.set_names(Feed::Routes(source), state.routes.source(source), names) {
                state.routes.give_up(&wanted);
            }
        }
    }

    /// Goes on with the start if what it waits for is there. True if it went on.
    fn advance(&mut self) -> bool {
        let facts = {
            let state = self.state.borrow();
            Facts {
                clusters_warming: state.clusters.is_warming(),
                cds_awaited: self.cds.as_ref().is_some_and(|watched| watched.awaited),
                lds_awaited: self.lds.as_ref().is_some_and(|watched| watched.awaited),
                listeners_warming: state.listeners.is_warming(|name| state.routes.is_settled(name)),
            }
        };
        let next = self.phase.borrow().next(facts);
        if let Some(phase) = next {
            self.enter(phase);
            self.phase.send_replace(phase);
        }
        next.is_some()
    }

    fn enter(&mut self, phase: Phase) {
        tracing::info!(target: "main", ?phase, "starting");
        match phase {
            Phase::SecondaryClusters => {
                for config in std::mem::take(&mut self.secondary) {
                    self.state.borrow_mut().clusters.add_fixed(config, Instant::now());
                }
            }
            Phase::Cds => subscribe(&mut self.feeds, Feed::Clusters, &mut self.cds),
            Phase::Lds => {
                self.state.borrow_mut().clusters.withhold_answers();
                self.refer();
                subscribe(&mut self.feeds, Feed::Listeners, &mut self.lds);
            }
            Phase::Serving => {
                self.publish();
                let State { listeners, routes, .. } = &mut *self.state.borrow_mut();
                listeners.start_serving(|name| routes.is_settled(name));
            }
            Phase::PrimaryClusters | Phase::FirstClusters | Phase::FirstListeners => (),
        }
    }
}

/// Asks a source for all of a type. What cannot be asked for is not waited for.
fn subscribe(feeds: &mut Feeds, feed: Feed, watched: &mut Option<Watched>) {
    if let Some(watched) = watched {
        watched.awaited = feeds.subscribe_all(feed, &watched.source);
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

impl<S: Serve> fmt::Debug for Control<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("phase", &*self.phase.borrow()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
