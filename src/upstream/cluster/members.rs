//! Which hosts a cluster has: those of its assignment, and those that requests bring about.
//!
//! All of it is called by one thread at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Cluster, HOST_BITS, stat_prefix};
use crate::config::address::Address;
use crate::config::cluster::Discovery;
use crate::config::endpoint::{Endpoint, LoadAssignment, Locality};
use crate::observability::stats::{EndpointStats, ZoneStats};
use crate::upstream::failures::Failures;
use crate::upstream::host::Host;
use crate::upstream::host_set::{HostSet, PriorityHosts};
use crate::upstream::membership::{self, Change, Identity};
use crate::upstream::orca::Ledger;

impl Cluster {
    /// Puts the hosts of `assignment`, whose addresses are all literal, in place of those now in use.
    ///
    /// A host whose address stays is kept with everything it knows.
    pub fn update_endpoints(&self, assignment: &LoadAssignment) -> Change {
        let old = self.hosts.load_full();
        let is_static = matches!(self.config.discovery, Discovery::Static(_));
        let keeps = self.checks.is_some() && !self.config.ignore_health_on_host_removal;
        let waits = self.config.lb.ignore_new_hosts_until_first_hc && !is_static;
        let new_host = |endpoint: &Endpoint, origin, locality, priority| {
            self.new_host(endpoint, origin, locality, priority, waits)
        };
        let identity = match self.config.discovery {
            Discovery::StrictDns(..) => Identity::GroupAndAddress,
            Discovery::Static(_) => Identity::Endpoint,
            _ => Identity::Address,
        };
        let lb = &self.config.lb;
        let by_locality = lb.locality_weighted || lb.load_aware.is_some() || self.local.is_some();
        let own = self.locality.as_deref();
        let (hosts, change) =
            membership::update(&old, assignment, identity, by_locality.then_some(own), keeps, new_host);
        self.count_matches(assignment.endpoints());
        match change {
            Change::Nothing if matches!(self.config.discovery, Discovery::Static(_)) => {}
            Change::Nothing => self.count_unchanged(),
            Change::InPlace => self.publish_changed(hosts),
            Change::Membership(priorities) => {
                self.publish_members(hosts, priorities);
            }
        }
        change
    }

    /// A host for `endpoint`, which counts for nothing until its first check if it `waits`.
    fn new_host(
        &self,
        endpoint: &Endpoint,
        origin: u32,
        locality: Arc<Locality>,
        priority: u32,
        waits: bool,
    ) -> Host {
        // The cluster's own number in the upper half keeps hosts of different clusters apart.
        let id = (self.id << HOST_BITS) | self.hosts_made.fetch_add(1, Ordering::Relaxed);
        let zone = self.zones.of(&locality.zone, |zone| self.zone_stats(zone));
        let host = Host::new(id, endpoint, origin, locality, priority, self.endpoint_stats(endpoint));
        let host = host.in_zone(zone);
        let monitor = self.outlier.as_ref().map(|watch| watch.monitor(id, &self.config));
        let host = host.watched_by(monitor).reporting(Ledger::new(&self.config));
        let host = host.failing(Failures::new(self.config.close_connections_on_host_health_failure));
        match &self.checks {
            Some(_) if endpoint.health_check.disabled => host.spared(),
            Some(checks) => host.checked_by(checks.complaints(id), waits),
            None => host,
        }
    }

    /// A host that a request brings about, known as in Envoy by its address behind the cluster's name.
    pub(in crate::upstream) fn host_at(&self, address: SocketAddr) -> Arc<Host> {
        let hostname = format!("{}{address}", self.name);
        self.host_for(&Endpoint { hostname, ..Endpoint::at(Address::Ip(address)) })
    }

    /// A host for an endpoint that no assignment has.
    pub(in crate::upstream) fn host_for(&self, endpoint: &Endpoint) -> Arc<Host> {
        self.count_matches(std::iter::once(endpoint));
        Arc::new(self.new_host(endpoint, 0, Arc::default(), 0, false))
    }

    /// Puts hosts that came about otherwise in place of those now in use, after so many changes.
    pub(in crate::upstream) fn replace_hosts(&self, hosts: Vec<Arc<Host>>, changes: u32) {
        let priorities = Box::new([PriorityHosts::new(hosts.into())]);
        self.publish_members(HostSet { priorities, ..HostSet::clone(&self.hosts.load()) }, changes);
    }

    /// Counts an update that says again what is in force.
    pub fn confirm_endpoints(&self) {
        self.count_matches_again();
        self.count_unchanged();
    }

    /// Statistics of responses of hosts in this zone, if it and the one of this proxy are known.
    fn zone_stats(&self, zone: &str) -> Option<ZoneStats> {
        let own = self.locality.as_ref().map(|locality| &*locality.zone).filter(|own| !own.is_empty());
        let prefix = format!("{}zone.{}.{zone}.", stat_prefix(&self.config), own?);
        Some(ZoneStats::new(&self.choice, &prefix))
    }

    /// The statistics of the host of an endpoint, if this cluster's hosts have any.
    fn endpoint_stats(&self, endpoint: &Endpoint) -> Option<EndpointStats> {
        let registry = self.registry.as_ref()?;
        let prefix = stat_prefix(&self.config);
        // As in Envoy the one host of such a cluster goes by its address.
        let is_logical = matches!(self.config.discovery, Discovery::LogicalDns(..));
        let name = match endpoint.observability_name.as_deref().filter(|_| !is_logical) {
            Some(name) => name.replace(':', "_"),
            None => endpoint.address.to_string().replace(':', "_"),
        };
        Some(EndpointStats::new(registry, &format!("{prefix}endpoint.{name}.")))
    }
}
