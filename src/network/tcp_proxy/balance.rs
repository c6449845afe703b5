//! Which host of its cluster a connection goes to.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::headers::Headers;
use crate::base::xxhash;
use crate::config::cluster::Discovery;
use crate::http::{criteria, destination, dynamic_host, restored};
use crate::observability::stream_info::{Address, StateObject, StreamInfo};
use crate::upstream::pool::{ClusterPool, HostPool};
use crate::upstream::{Cluster, lb, leading};

use super::config::HashKey;
use super::route::Destination;
use super::session::Session;

impl Session<'_> {
    /// The host that load balancing chooses; `None` when none can be used.
    pub(super) fn balance(
        &self,
        cluster: &Arc<Cluster>,
        chosen: Option<&Destination>,
    ) -> Option<Rc<HostPool>> {
        if cluster.config.discovery.leads_to_others() {
            let attempt = self.info.upstream_attempts as usize;
            let (info, notes) = (&self.info.connection, self.info.notes());
            let name = || dynamic_host::of_connection(info, notes, cluster.default_port());
            let others = leading::others(cluster, attempt, &self.worker.snapshot().clusters, name);
            return others.iter().find_map(|other| self.balance(other, chosen));
        }
        let hosts = self.worker.pools.of(cluster);
        let Some(members) = hosts.members(&self.worker.pools, &self.worker.snapshot().clusters) else {
            return self.balance_within(&hosts, chosen, None);
        };
        let place = members.linear.choose(self.worker.random(), None)?;
        self.balance_within(members.pool(place.member)?, chosen, Some(&place.load))
    }

    fn balance_within(
        &self,
        hosts: &ClusterPool,
        chosen: Option<&Destination>,
        load: Option<&lb::priority::PriorityLoad>,
    ) -> Option<Rc<HostPool>> {
        let cluster = &hosts.cluster;
        let notes = self.info.notes();
        if let Discovery::OriginalDst(config) = &cluster.config.discovery {
            let named = destination(config, cluster, &Headers::new(), notes);
            return hosts.at(named.or_else(|| restored(config, &self.info.connection))?);
        }
        if let Discovery::DynamicForwardProxy(_) = cluster.config.discovery {
            let name = dynamic_host::of_connection(&self.info.connection, notes, cluster.default_port());
            return hosts.named(&name?);
        }
        let wanted = chosen.and_then(|chosen| chosen.metadata_match.as_ref());
        let criteria = match cluster.config.lb.subsets {
            None => smallvec::SmallVec::new(),
            Some(_) => criteria(wanted, notes),
        };
        let snapshot = self.worker.snapshot();
        let choice = lb::Choice {
            hash: self.hash(),
            load,
            criteria: &criteria,
            runtime: Some(&snapshot.runtime),
            now: cluster.age(),
            ..lb::Choice::default()
        };
        hosts.choose(&mut self.worker.rng.borrow_mut(), &choice)
    }

    /// The hash of the connection; `None` where nothing is configured or there.
    fn hash(&self) -> Option<u64> {
        match self.proxy.config.hash_policy.as_ref()? {
            HashKey::SourceIp => client(self.info).map(|ip| xxhash::hash(ip.to_string().as_bytes())),
            HashKey::FilterState(name) => match self.info.notes()?.state(name)? {
                StateObject::HashableText(text) | StateObject::Address(_, text) => Some(xxhash::hash(text)),
                _ => None,
            },
        }
    }
}

fn client(info: &StreamInfo) -> Option<IpAddr> {
    match &info.connection.remote {
        Address::Ip(address) => Some(address.ip()),
        Address::Pipe(_) | Address::Internal { .. } => None,
    }
}
