//! `LOGICAL_DNS`: one host that stands for a name; new connections go to the addresses it resolves to now, the first
//! that takes one.
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

/// Points the cluster's host at `addresses`, making it at the first answer. Does nothing when there is none: the host
/// keeps the addresses it has.
pub fn resolved(cluster: &Cluster, configured: &LoadAssignment, addresses: &[IpAddr]) -> Change {
    let (Some(&first), Some(endpoint)) = (addresses.first(), endpoint(configured)) else {
        return Change::Nothing;
    };
    let (name, port) = match &endpoint.address {
        Address::Name { host, port } => (host.clone(), *port),
        Address::Ip(address) => (address.ip().to_string(), address.port()),
        Address::Pipe { .. } => return cluster.update_endpoints(configured),
    };
    let at_port = |&ip: &IpAddr| Address::Ip(SocketAddr::new(ip, port));
    let change = match cluster.hosts().is_empty() {
        true => cluster.update_endpoints(&with_host(configured, SocketAddr::new(first, port), &name)),
        false => Change::Nothing,
    };
    let moved = cluster.hosts().iter().any(|host| host.resolve_to(addresses.iter().map(at_port).collect()));
    match change {
        Change::Nothing if moved => Change::InPlace,
        change => change,
    }
}

/// The configured host at its first address. Its priority is the first whatever is configured, as in Envoy.
fn with_host(configured: &LoadAssignment, address: SocketAddr, name: &str) -> LoadAssignment {
    let mut assignment = configured.clone();
    for group in &mut assignment.localities {
        group.priority = 0;
        group.endpoints.iter_mut().for_each(|endpoint| *endpoint = strict_dns::at(endpoint, address, name));
    }
    assignment
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

    #[test]
    fn every_address_is_there_to_connect_to() {
        let cluster = ClusterBuilder::new("c").build();
        let name = Address::Name { host: "db".to_owned(), port: 5432 };
        let configured = ClusterBuilder::assignment([endpoint(1).address(name)]);
        resolved(&cluster, &configured, &[[10, 0, 0, 1].into(), [10, 0, 0, 2].into()]);
        let host = cluster.hosts().priorities[0].all[0].clone();
        let shown: Vec<_> = host.connect_addresses().iter().map(Address::to_string).collect();
        assert_eq!(shown, ["10.0.0.1:5432", "10.0.0.2:5432"]);
    }
}
