//! `LOGICAL_DNS`: one host that stands for a name; new connections go to the first address it resolves to now.
//!
//! Connections to earlier addresses are kept: behind such a name is a service with more addresses than one answer
//! holds.

use std::net::{IpAddr, SocketAddr};

use super::strict_dns;
use crate::config::address::Address;
use crate::config::endpoint::{Endpoint, LoadAssignment};
use crate::upstream::{Change, Cluster};

/// The only endpoint of a cluster with this discovery, if it has one.
pub fn endpoint(assignment: &LoadAssignment) -> Option<&Endpoint> {
    assignment.localities.iter().flat_map(|group| &group.endpoints).next()
}

/// Points the cluster's host at the first of `addresses`, making it at the first answer. Does nothing when there
/// is none: the host keeps the address it has.
pub fn resolved(cluster: &Cluster, configured: &LoadAssignment, addresses: &[IpAddr]) -> Change {
    let (Some(&ip), Some(endpoint)) = (addresses.first(), endpoint(configured)) else {
        return Change::Nothing;
    };
    let (name, port) = match &endpoint.address {
        Address::Name { host, port } => (host.clone(), *port),
        Address::Ip(address) => (address.ip().to_string(), address.port()),
        Address::Pipe { .. } => return cluster.update_endpoints(configured),
    };
    let address = SocketAddr::new(ip, port);
    if let Some(host) = cluster.hosts().iter().next() {
        return if host.resolve_to(address) { Change::InPlace } else { Change::Nothing };
    }
    let mut assignment = configured.clone();
    let endpoints = assignment.localities.iter_mut().flat_map(|group| group.endpoints.iter_mut());
    endpoints.for_each(|endpoint| *endpoint = strict_dns::at(endpoint, address, &name));
    cluster.update_endpoints(&assignment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::testing::{ClusterBuilder, endpoint};

    #[test]
    fn the_host_stays_and_its_address_moves() {
        let cluster = ClusterBuilder::new("c").build();
        let name = Address::Name { host: "db".to_owned(), port: 5432 };
        let configured = ClusterBuilder::assignment([endpoint(1).address(name)]);
        assert_eq!(resolved(&cluster, &configured, &[]), Change::Nothing);
        let first: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        assert_eq!(resolved(&cluster, &configured, &first), Change::Membership(1));
        let host = cluster.hosts().priorities[0].all[0].clone();
        assert_eq!((&*host.hostname, &*host.connect_text()), ("db", "10.0.0.1:5432"));
        assert_eq!(resolved(&cluster, &configured, &first), Change::Nothing);
        assert_eq!(resolved(&cluster, &configured, &first[1..]), Change::InPlace);
        assert_eq!(&*host.connect_text(), "10.0.0.2:5432");
        assert_eq!(cluster.hosts().priorities[0].all[0].id, host.id);
    }
}
