//! Taking a response about clusters or their endpoints.

use std::time::Instant;

use super::responses::CHUNK;
use super::{Control, State};
use crate::config::{self, LoadAssignment};
use crate::control::Ticket;
use crate::control::feeds::Feed;
use crate::control::listeners::Serve;
use crate::control::on_demand::Names;
use crate::control::push::Change;
use crate::control::verdict::{LeadIn, Problem, rejection, verdict};
use crate::xds::Response;

impl<S: Serve> Control<S> {
    pub(super) async fn take_clusters(&mut self, feed: Feed, response: Response, ticket: Ticket) {
        let began = Instant::now();
        let names = Names::of(&response);
        let mut push = self
            .read::<config::Cluster>(response, |state, name, value| {
                state.clusters.resources().is_current(name, value)
            })
            .await;
        let undecodable = push.undecodable();
        if !undecodable.is_empty() {
            self.state.borrow_mut().clusters.reject_all(push.take_bad());
            self.feeds.settle(ticket, rejection(&undecodable));
            return self.rejected(feed);
        }
        let gone = {
            let State { clusters, on_demand, .. } = &*self.state.borrow();
            // What came because it was asked for stays until its source takes it back, and what was made for a name until
            // nothing asks for it.
            let stays = |name: &&str| on_demand.has(name) || clusters.is_sub_cluster(name);
            push.gone(clusters.resources().names().filter(|name| !stays(name)))
        };
        let changed = push.has_new() || !gone.is_empty();
        let mut problems = Vec::new();
        while let Some(chunk) = push.take_some(CHUNK) {
            problems.extend(self.state.borrow_mut().clusters.update(chunk, Instant::now()));
            tokio::task::yield_now().await;
        }
        {
            let State { clusters, on_demand, .. } = &mut *self.state.borrow_mut();
            clusters.finish(&gone, &problems, ticket);
            if feed == Feed::Clusters && problems.is_empty() {
                clusters.took(&push.version);
            }
            let source = match (feed, &self.cds) {
                (Feed::OnDemand(source), _) => Some(source),
                (_, Some(cds)) => on_demand.index_of(&cds.source),
                (_, None) => None,
            };
            if let Some(source) = source {
                drop(on_demand.answered(source, &names, |name| clusters.has(name)));
            }
        }
        self.count(feed, &push.version, problems.is_empty(), changed, began);
    }

    pub(super) async fn take_endpoints(&mut self, source: usize, response: Response, ticket: Ticket) {
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
        let now = Instant::now();
        changes.into_iter().filter_map(|change| clusters.update_endpoints(source, change, now)).collect()
    }
}
