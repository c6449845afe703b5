//! Connections to the hosts of the requests that come next (`preconnect_policy.predictive_preconnect_ratio`).

use std::rc::Rc;

use crate::config::route::RouteAction;
use crate::http::downstream::Downstream;
use crate::http::exchange::Exchange;
use crate::upstream::lb;
use crate::upstream::pool::HostPool;

impl<D: Downstream> Exchange<'_, D> {
    /// Makes connections to the hosts whose turn comes after this one's, for requests that are like this one.
    #[cold]
    pub(super) fn foresee(&self, pool: &Rc<HostPool>, action: &RouteAction) {
        let worker = &self.connection.worker;
        let snapshot = worker.snapshot();
        let choice =
            lb::Choice { runtime: Some(&snapshot.runtime), now: pool.cluster.age(), ..lb::Choice::default() };
        let tells = self.connection.manager.options.tells_hosts_of_clients;
        let near = |other: &Rc<HostPool>| {
            let said = self.transport_options.as_ref();
            other.for_client(said, &self.info.connection, tells, action.high_priority)
        };
        let hosts = worker.pools.of(&pool.cluster);
        hosts.foresee(&mut worker.rng.borrow_mut(), &choice, near, self.carries(pool, action));
    }
}
