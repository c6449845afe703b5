//! The task that keeps a cluster's names resolved, on the control thread.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::logical_dns;
use super::refresh::Refresh;
use super::resolver::{Answer, Resolve};
use super::strict_dns::StrictDns;
use crate::base::random::Rng;
use crate::config::address::Address;
use crate::config::cluster::{Discovery, Dns};
use crate::config::endpoint::LoadAssignment;
use crate::upstream::{Change, Cluster};

/// What one resolution did to its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The first: the cluster need not wait any longer, whether there was an answer or not.
    First,
    /// A later one that changed the hosts in this way.
    Later(Change),
}

/// Resolves the names of `cluster` until dropped; `after` hears of each resolution.
///
/// Does nothing for a cluster without DNS discovery; one without names is ready at once.
pub async fn run(cluster: Arc<Cluster>, resolver: Rc<dyn Resolve>, rng: Rng, after: impl Fn(Resolution)) {
    let (dns, configured) = match &cluster.config.discovery {
        Discovery::StrictDns(assignment, dns) => (dns, Hosts::Strict(StrictDns::new(assignment.clone()))),
        Discovery::LogicalDns(assignment, dns) => (dns, Hosts::Logical(assignment.clone())),
        Discovery::Static(_)
        | Discovery::Eds { .. }
        | Discovery::OriginalDst(_)
        | Discovery::Aggregate(_)
        | Discovery::Composite(_)
        | Discovery::DynamicForwardProxy(_)
        | Discovery::SubClusters(_) => return,
    };
    let names = configured.names();
    let task =
        Task { cluster: &cluster, dns, hosts: RefCell::new(configured), rng: RefCell::new(rng), after };
    if names.is_empty() {
        task.apply(0, None);
        (task.after)(Resolution::First);
    }
    let waits = cluster.config.wait_for_warm_on_init;
    if !waits && !names.is_empty() {
        (task.after)(Resolution::First);
    }
    let first = RefCell::new(waits);
    join_all(
        names.iter().enumerate().map(|(index, name)| task.keep_resolved(index, name, &*resolver, &first)),
    )
    .await;
}

/// What the names stand for.
enum Hosts {
    Strict(StrictDns),
    Logical(LoadAssignment),
}

impl Hosts {
    fn names(&self) -> Vec<Arc<str>> {
        match self {
            Hosts::Strict(strict) => strict.names(),
            Hosts::Logical(assignment) => {
                match logical_dns::endpoint(assignment).map(|endpoint| &endpoint.address) {
                    Some(Address::Name { host, .. }) => vec![Arc::from(host.as_str())],
                    Some(Address::Ip(address)) => vec![Arc::from(address.ip().to_string())],
                    Some(Address::Pipe { .. } | Address::Internal { .. }) | None => Vec::new(),
                }
            }
        }
    }
}

struct Task<'a, F> {
    cluster: &'a Cluster,
    dns: &'a Dns,
    hosts: RefCell<Hosts>,
    rng: RefCell<Rng>,
    after: F,
}

impl<F: Fn(Resolution)> Task<'_, F> {
    async fn keep_resolved(&self, index: usize, name: &str, resolver: &dyn Resolve, first: &RefCell<bool>) {
        let mut refresh = Refresh::new(self.dns);
        loop {
            if let Some(stats) = &self.cluster.resolve_stats {
                stats.update_attempt().inc();
            }
            let answer = resolver.resolve(name, self.dns).await;
            let usable = answer.as_ref().is_ok_and(|answer| self.is_usable(answer));
            self.count(usable);
            let (change, pause) = match answer {
                Ok(answer) if usable => self.succeeded(index, answer, &mut refresh),
                failed => {
                    let error = failed.err().map(|error| error.source.to_string());
                    tracing::debug!(cluster = %self.cluster.name, name, error, "name not resolved");
                    (Change::Nothing, refresh.after_failure(&mut self.rng.borrow_mut()))
                }
            };
            match first.replace(false) {
                true => (self.after)(Resolution::First),
                false => (self.after)(Resolution::Later(change)),
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether the answer says where hosts are. That there are none is an answer for hosts that are the addresses,
    /// but not for the one host that stands for the name.
    fn is_usable(&self, answer: &Answer) -> bool {
        matches!(*self.hosts.borrow(), Hosts::Strict(_)) || !answer.addresses.is_empty()
    }

    fn count(&self, success: bool) {
        match &self.cluster.resolve_stats {
            Some(stats) if success => stats.update_success().inc(),
            Some(stats) => stats.update_failure().inc(),
            None => (),
        }
    }

    fn succeeded(&self, index: usize, answer: Answer, refresh: &mut Refresh) -> (Change, Duration) {
        let ttl = (!answer.addresses.is_empty()).then_some(answer.ttl);
        let change = self.apply(index, Some(answer.addresses));
        (change, refresh.after_success(ttl, &mut self.rng.borrow_mut()))
    }

    fn unchanged(&self) -> Change {
        self.cluster.confirm_endpoints();
        Change::Nothing
    }

    /// Puts the addresses of the name at `index` in force; `None` when there are only literal addresses.
    fn apply(&self, index: usize, addresses: Option<Vec<IpAddr>>) -> Change {
        match &mut *self.hosts.borrow_mut() {
            Hosts::Strict(strict) => {
                match addresses.is_none_or(|addresses| strict.resolved(index, addresses)) {
                    true => self.cluster.update_endpoints(&strict.assignment()),
                    false => self.unchanged(),
                }
            }
            Hosts::Logical(assignment) => match addresses {
                Some(addresses) if addresses.is_empty() => Change::Nothing,
                Some(addresses) => match logical_dns::resolved(self.cluster, assignment, &addresses) {
                    Change::Nothing => self.unchanged(),
                    change => change,
                },
                None => self.cluster.update_endpoints(assignment),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::sync::mpsc;

    use super::super::resolver::{ResolveError, Resolving};
    use super::*;
    use crate::observability::stats::Registry;
    use crate::upstream::testing::{ClusterBuilder, endpoint};

    /// Gives the answers it was made with, in turn; then none for ever.
    struct Scripted(RefCell<VecDeque<Option<Vec<IpAddr>>>>);

    impl Resolve for Scripted {
        fn resolve<'a>(&'a self, name: &'a str, _dns: &'a Dns) -> Resolving<'a> {
            Box::pin(async move {
                let next = self.0.borrow_mut().pop_front();
                match next {
                    Some(Some(addresses)) => {
                        Ok(Answer { addresses, ttl: Duration::from_secs(30), exists: true })
                    }
                    Some(None) => Err(ResolveError { name: name.to_owned(), source: "refused".into() }),
                    None => std::future::pending().await,
                }
            })
        }
    }

    /// What was heard, and how many hosts there were then, for as long as there are answers.
    async fn play(answers: &[Option<&[[u8; 4]]>]) -> Vec<(Resolution, usize)> {
        let name = Address::Name { host: "a".to_owned(), port: 80 };
        let mut builder = ClusterBuilder::new("c").hosts([endpoint(1).address(name)]);
        builder.config.discovery = Discovery::StrictDns(builder.assignment, Dns::default());
        let cluster = Arc::new(Cluster::new(Arc::new(builder.config), 1, &Registry::new(0)));
        let script = answers.iter().map(|answer| answer.map(|ips| ips.iter().map(|&ip| ip.into()).collect()));
        let resolver = Rc::new(Scripted(RefCell::new(script.collect())));
        let (heard, mut events) = mpsc::unbounded_channel();
        let counted = Arc::clone(&cluster);
        let after = move |resolution| {
            assert!(heard.send((resolution, counted.hosts().len())).is_ok());
        };
        let task = run(cluster, resolver, Rng::seeded(1), after);
        let mut all = Vec::new();
        let listen = async {
            while all.len() < answers.len() {
                all.extend(events.recv().await);
            }
        };
        tokio::select! { () = task => (), () = listen => () }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_follow_the_answers() {
        let heard = play(&[
            Some(&[[10, 0, 0, 1], [10, 0, 0, 2]]),
            Some(&[[10, 0, 0, 1], [10, 0, 0, 2]]),
            None,
            Some(&[[10, 0, 0, 2]]),
            Some(&[]),
        ])
        .await;
        let expected = [
            (Resolution::First, 2),
            (Resolution::Later(Change::Nothing), 2),
            (Resolution::Later(Change::Nothing), 2),
            (Resolution::Later(Change::Membership(1)), 1),
            (Resolution::Later(Change::Membership(1)), 0),
        ];
        assert_eq!(heard, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_failure_ends_the_wait_too() {
        assert_eq!(play(&[None]).await, [(Resolution::First, 0)]);
    }
}
