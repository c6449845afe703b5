//! Going through the phases of the start.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{Control, State, Watched};
use crate::control::feeds::{Feed, Feeds};
use crate::control::listeners::{Serve, Settled};
use crate::control::startup::{Facts, Phase};

impl<S: Serve> Control<S> {
    /// Goes on with the start if what it waits for is there. True if it went on.
    pub(super) fn advance(&mut self) -> bool {
        let facts = {
            let state = self.state.borrow();
            Facts {
                clusters_warming: state.clusters.is_warming(),
                cds_awaited: self.cds.as_ref().is_some_and(|watched| watched.awaited),
                lds_awaited: self.lds.as_ref().is_some_and(|watched| watched.awaited),
                listeners_warming: state.is_warming(),
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
                self.state.borrow_mut().refer();
                subscribe(&mut self.feeds, Feed::Listeners, &mut self.lds);
            }
            Phase::Serving => {
                self.publish();
                self.configure();
                let State { listeners, routes, scopes, extensions, secrets, chains, .. } =
                    &mut *self.state.borrow_mut();
                listeners.start_serving(&Settled { routes, scopes, extensions, secrets, chains });
            }
            Phase::PrimaryClusters | Phase::FirstClusters | Phase::FirstListeners => (),
        }
    }
}

/// Asks a source for all of a type. What cannot be asked for is not waited for.
fn subscribe(feeds: &mut Feeds, feed: Feed, watched: &mut Option<Watched>) {
    if let Some(watched) = watched {
        // Requests may ask for clusters besides.
        watched.awaited = match feed {
            Feed::Clusters => feeds.ask_besides(feed, &watched.source, BTreeSet::new()),
            _ => feeds.subscribe_all(feed, &watched.source),
        };
    }
}
