//! `LOGICAL_DNS`: one host that stands for a name; connections go to the addresses it resolves to, the first that
//! takes one.
//!
//! As in Envoy 1.40 another answer makes another host.

use std::net::{IpAddr, SocketAddr};

use super::strict_dns;
use crate::config::address::Address;
use crate::config::endpoint::{Endpoint, LoadAssignment};
use crate::upstream::{Change, Cluster};

/// The only endpoint of a cluster with this discovery, if it has one.
pub fn endpoint(assignment: &LoadAssignment) -> Option<&Endpoint> {
    assignment.localities.iter().flat_map(|group| &group.endpoints).next()
}

/// Makes the cluster's host one with `addresses`. Does nothing when there is none: the host keeps those it has.
pub fn resolved(cluster: &Cluster, configured: &LoadAssignment, addresses: &[IpAddr]) -> Change {
    let (Some((&first, rest)), Some(endpoint)) = (addresses.split_first(), endpoint(configured)) else {
        return Change::Nothing;
    };
    let (name, port) = match &endpoint.address {
        Address::Name { host, port } => (host.clone(), *port),
        Address::Ip(address) => (address.ip().to_string(), address.port()),
        Address::Pipe { .. } | Address::Internal { .. } => return cluster.update_endpoints(configured),
    };
    let mut host = strict_dns::at(endpoint, SocketAddr::new(first, port), &name);
    host.additional_addresses = rest.iter().map(|&ip| Address::Ip(SocketAddr::new(ip, port))).collect();
    let mut assignment = configured.clone();
    for group in &mut assignment.localities {
        // The first whatever is configured, as in Envoy.
        group.priority = 0;
        group.endpoints = vec![host.clone()];
    }
    cluster.update_endpoints(&assignment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Host;
    use crate::upstream::testing::{ClusterBuilder, endpoint};

    #[test]
    fn the_host_is_all_addresses_and_another_answer_makes_another_host() {
        let cluster = ClusterBuilder::new("c").build();
        let name = Address::Name { host: "db".to_owned(), port: 5432 };
        let configured = ClusterBuilder::assignment([endpoint(1).address(name)]);
        assert_eq!(resolved(&cluster, &configured, &[]), Change::Nothing);
        let answer: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        assert_eq!(resolved(&cluster, &configured, &answer), Change::Membership(1));
        let host = || cluster.hosts().priorities[0].all[0].clone();
        let shown = |host: &Host| host.addresses().iter().map(Address::to_string).collect::<Vec<_>>();
        let first = host();
        assert_eq!(
            (&*first.hostname, shown(&first)),
            ("db", vec!["10.0.0.1:5432".into(), "10.0.0.2:5432".into()])
        );
        assert_eq!(resolved(&cluster, &configured, &answer), Change::Nothing);
        assert_eq!(resolved(&cluster, &configured, &[]), Change::Nothing, "it keeps what it has");
        assert_eq!(resolved(&cluster, &configured, &answer[..1]), Change::Membership(1));
        assert_ne!(host().id, first.id);
        assert_eq!(shown(&host()), ["10.0.0.1:5432"]);
    }
}
