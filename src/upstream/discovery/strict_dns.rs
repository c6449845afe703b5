//! `STRICT_DNS`: every address that a name resolves to is a host; those that it no longer resolves to are gone.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::address::Address;
use crate::config::endpoint::{Endpoint, LoadAssignment, LocalityEndpoints};

/// The configured endpoints and what their names last resolved to.
#[derive(Debug)]
pub struct StrictDns {
    configured: LoadAssignment,
    targets: Vec<Target>,
}

/// A configured endpoint whose address is a name, or an IP address that stands for itself.
#[derive(Debug)]
struct Target {
    name: Arc<str>,
    addresses: Vec<IpAddr>,
}

impl Target {
    fn new(name: &str) -> Self {
        Target { name: Arc::from(name), addresses: Vec::new() }
    }
}

impl StrictDns {
    /// Nothing resolved yet.
    pub fn new(configured: LoadAssignment) -> Self {
        let endpoints = configured.localities.iter().flat_map(|group| &group.endpoints);
        let targets = endpoints.filter_map(|endpoint| match &endpoint.address {
            Address::Name { host, .. } => Some(Target::new(host.as_str())),
            Address::Ip(address) => Some(Target::new(&address.ip().to_string())),
            Address::Pipe { .. } | Address::Internal { .. } => None,
        });
        StrictDns { targets: targets.collect(), configured }
    }

    /// The names and IP addresses to resolve, one for each endpoint that has one.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.targets.iter().map(|target| Arc::clone(&target.name)).collect()
    }

    /// The name at `index` of [`names`](Self::names) now resolves to these. False when it did before.
    pub fn resolved(&mut self, index: usize, addresses: Vec<IpAddr>) -> bool {
        let changed = self.targets[index].addresses != addresses;
        self.targets[index].addresses = addresses;
        changed
    }

    /// The configured endpoints with each name replaced by its addresses: a group for each configured endpoint, so
    /// that hosts of different names at one address stay apart.
    pub fn assignment(&self) -> LoadAssignment {
        let mut targets = self.targets.iter();
        let groups = self.configured.localities.iter().flat_map(|group| {
            let expand = |endpoint| LocalityEndpoints {
                endpoints: self.expand(endpoint, &mut targets),
                ..without_endpoints(group)
            };
            group.endpoints.iter().map(expand).collect::<Vec<_>>()
        });
        LoadAssignment {
            localities: groups.collect(),
            cluster_name: self.configured.cluster_name.clone(),
            overprovisioning_factor: self.configured.overprovisioning_factor,
            drop_overload: self.configured.drop_overload,
            drop_category: Arc::clone(&self.configured.drop_category),
            weighted_priority_health: self.configured.weighted_priority_health,
            stale_after: None,
        }
    }

    /// One endpoint for each address.
    fn expand<'a>(
        &self,
        endpoint: &Endpoint,
        targets: &mut impl Iterator<Item = &'a Target>,
    ) -> Vec<Endpoint> {
        let port = match &endpoint.address {
            Address::Name { port, .. } => *port,
            Address::Ip(address) => address.port(),
            Address::Pipe { .. } | Address::Internal { .. } => return vec![endpoint.clone()],
        };
        let resolved = targets.next().into_iter().flat_map(|target| {
            target.addresses.iter().map(|&ip| at(endpoint, SocketAddr::new(ip, port), &target.name))
        });
        resolved.collect()
    }
}

/// `endpoint` at a resolved address; it bears the name that was resolved unless it has one of its own.
pub(super) fn at(endpoint: &Endpoint, address: SocketAddr, name: &str) -> Endpoint {
    let mut resolved = endpoint.clone();
    resolved.address = Address::Ip(address);
    if resolved.hostname.is_empty() {
        name.clone_into(&mut resolved.hostname);
    }
    resolved
}

fn without_endpoints(group: &LocalityEndpoints) -> LocalityEndpoints {
    LocalityEndpoints {
        locality: group.locality.clone(),
        load_balancing_weight: group.load_balancing_weight,
        priority: group.priority,
        endpoints: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::testing::{ClusterBuilder, endpoint};

    fn addresses(strict: &StrictDns) -> Vec<(String, String)> {
        let assignment = strict.assignment();
        let endpoints = assignment.localities.iter().flat_map(|group| &group.endpoints);
        endpoints.map(|endpoint| (endpoint.address.to_string(), endpoint.hostname.clone())).collect()
    }

    fn name(host: &str) -> Address {
        Address::Name { host: host.to_owned(), port: 80 }
    }

    fn pair(address: &str, hostname: &str) -> (String, String) {
        (address.to_owned(), hostname.to_owned())
    }

    #[test]
    fn each_address_is_a_host_that_bears_the_resolved_name() {
        let endpoints =
            [endpoint(1).address(name("a")), endpoint(2), endpoint(3).address(name("b")).named("own")];
        let mut strict = StrictDns::new(ClusterBuilder::assignment(endpoints));
        assert_eq!(strict.names().len(), 3);
        assert!(addresses(&strict).is_empty());
        assert!(strict.resolved(0, vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()]));
        assert!(strict.resolved(1, vec![[127, 0, 0, 1].into()]));
        assert!(strict.resolved(2, vec![[10, 0, 0, 3].into()]));
        let expected = [
            pair("10.0.0.1:80", "a"),
            pair("10.0.0.2:80", "a"),
            pair("127.0.0.1:2", "127.0.0.1"),
            pair("10.0.0.3:80", "own"),
        ];
        assert_eq!(addresses(&strict), expected);
    }

    #[test]
    fn the_same_answer_changes_nothing() {
        let mut strict = StrictDns::new(ClusterBuilder::assignment([endpoint(1).address(name("a"))]));
        assert!(strict.resolved(0, vec![[10, 0, 0, 1].into()]));
        assert!(!strict.resolved(0, vec![[10, 0, 0, 1].into()]));
        assert!(strict.resolved(0, Vec::new()));
        assert!(addresses(&strict).is_empty());
    }
}
