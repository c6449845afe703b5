//! What happens to the subscriptions: to the stream as a whole, and to names that do not come or do not last.

use super::{Control, Watched};
use crate::control::feeds::Feed;
use crate::control::listeners::Serve;
use crate::xds::{Event, Notice, Response};

impl<S: Serve> Control<S> {
    pub(super) async fn handle(&mut self, Notice { subscription, event }: Notice) {
        let Some(feed) = self.feeds.of(subscription) else {
            return;
        };
        match event {
            Event::Connected => tracing::debug!(target: "config", ?feed, "subscribed"),
            Event::Disconnected { reason } => {
                // The stream has warned already, once for all that it carries.
                tracing::debug!(target: "config", ?feed, reason, "stream lost");
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

    pub(super) fn watched(&mut self, feed: Feed) -> Option<&mut Watched> {
        match feed {
            Feed::Clusters => self.cds.as_mut(),
            Feed::Listeners => self.lds.as_mut(),
            Feed::OnDemand(_)
            | Feed::Endpoints(_)
            | Feed::Routes(_)
            | Feed::VirtualHosts(_)
            | Feed::Scopes(_)
            | Feed::Extensions(_)
            | Feed::Secrets(_)
            | Feed::FilterChains(_) => None,
        }
    }

    fn disconnected(&mut self, feed: Feed) {
        match feed {
            Feed::Clusters | Feed::Listeners => {
                if let Some(watched) = self.watched(feed) {
                    watched.counted.failed();
                }
            }
            Feed::OnDemand(source) => self.state.borrow().on_demand.disconnected(source),
            Feed::Routes(source) => self.state.borrow().routes.disconnected(source),
            Feed::VirtualHosts(source) => self.state.borrow().routes.hosts_disconnected(source),
            Feed::Scopes(source) => self.state.borrow().scopes.disconnected(source),
            Feed::Extensions(source) => self.state.borrow().extensions.disconnected(source),
            Feed::Endpoints(source) => self.state.borrow().clusters.disconnected(source),
            Feed::Secrets(source) => self.state.borrow().secrets.disconnected(source),
            Feed::FilterChains(source) => self.state.borrow().chains.disconnected(source),
        }
    }

    /// Nothing of a response counts. A start goes on all the same, as in Envoy: what has not come by now is not
    /// waited for any longer.
    pub(super) fn rejected(&mut self, feed: Feed) {
        match feed {
            Feed::Clusters | Feed::Listeners => {
                if let Some(watched) = self.watched(feed) {
                    watched.counted.rejected();
                    watched.awaited = false;
                }
            }
            Feed::OnDemand(source) => self.state.borrow().on_demand.rejected(source),
            Feed::Endpoints(source) => self.state.borrow_mut().clusters.rejected(source),
            Feed::Routes(source) => self.state.borrow_mut().routes.rejected(source),
            Feed::VirtualHosts(source) => self.state.borrow_mut().routes.hosts_rejected(source),
            Feed::Scopes(source) => self.state.borrow_mut().scopes.rejected(source),
            Feed::Extensions(source) => self.state.borrow_mut().extensions.rejected(source),
            Feed::Secrets(source) => self.state.borrow_mut().secrets.rejected(source),
            Feed::FilterChains(source) => self.state.borrow_mut().chains.rejected(source),
        }
    }

    fn timed_out(&mut self, feed: Feed, names: &[String]) {
        if let Some(watched) = self.watched(feed) {
            watched.counted.timed_out();
            watched.awaited = false;
        }
        // Clusters have a clock of their own: one may wait for endpoints that came before, for another.
        match feed {
            Feed::OnDemand(source) => self.state.borrow().on_demand.timed_out(source),
            Feed::Routes(source) => self.state.borrow_mut().routes.give_up(source, names),
            Feed::VirtualHosts(source) => self.state.borrow_mut().routes.give_up_hosts(source),
            Feed::Scopes(source) => self.state.borrow_mut().scopes.give_up(source),
            Feed::Extensions(source) => self.state.borrow_mut().extensions.give_up(source, names),
            Feed::Secrets(source) => self.state.borrow_mut().secrets.give_up(source, names),
            Feed::FilterChains(source) => self.state.borrow_mut().chains.give_up(source, names),
            Feed::Clusters | Feed::Listeners | Feed::Endpoints(_) => (),
        }
    }

    /// Resources whose time to live has passed are gone; endpoints, route tables and secrets serve on, as after a removal,
    /// but for secrets that handshakes asked for.
    fn expired(&mut self, feed: Feed, names: &[String]) {
        if let Feed::VirtualHosts(source) = feed {
            let verdict = self.put_virtual_hosts(source, &Response::of_gone(names));
            return tracing::debug!(target: "config", ?feed, ?verdict, "virtual hosts expired");
        }
        if let Feed::Secrets(source) = feed {
            self.state.borrow().secrets.remove(source, names);
            return self.ask_secrets();
        }
        let mut state = self.state.borrow_mut();
        match feed {
            Feed::Clusters | Feed::OnDemand(_) => state.clusters.remove(names),
            Feed::Listeners => state.listeners.remove(names),
            Feed::Scopes(source) => {
                state.scopes.remove(source, names);
                state.refer();
            }
            Feed::Extensions(source) => {
                state.extensions.remove(source, names);
                state.refer_behind();
            }
            Feed::FilterChains(source) => {
                state.chains.remove(source, "", names);
                state.refer();
            }
            Feed::Endpoints(_) | Feed::Routes(_) | Feed::VirtualHosts(_) | Feed::Secrets(_) => (),
        }
    }
}
