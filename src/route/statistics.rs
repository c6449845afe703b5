//! What requests are counted in beside their cluster: virtual clusters, and routes that have a prefix for statistics.

use std::sync::Arc;

use crate::base::headers::Headers;
use crate::config::route::{Action, ClusterSpecifier, RouteConfiguration, VirtualCluster, VirtualHost};
use crate::observability::stats::{Registry, RouteStats, matching};

/// The name of the virtual cluster of all requests that no other takes.
const OTHER: &str = "other";

/// The statistics of a table.
#[derive(Debug)]
pub(super) struct TableStatistics {
    /// For each virtual host those of its routes; none where no request is counted.
    hosts: Box<[Box<[RouteStatistics]>]>,
}

/// What the requests of a route may be counted in.
#[derive(Debug)]
pub struct RouteStatistics {
    /// One for each virtual cluster and one for [`OTHER`]; empty without virtual clusters.
    clusters: Arc<[RouteStats]>,
    /// The route's own.
    own: Option<RouteStats>,
}

/// What a request is counted in.
#[derive(Clone, Copy, Debug)]
pub struct Groups<'t> {
    cluster: Option<&'t RouteStats>,
    route: Option<&'t RouteStats>,
}

impl TableStatistics {
    /// `None` when there are none.
    pub(super) fn new(table: &RouteConfiguration, registry: &Registry) -> Option<Self> {
        let hosts: Box<[_]> = table.virtual_hosts.iter().map(|host| of_host(host, registry)).collect();
        hosts.iter().any(|routes| !routes.is_empty()).then_some(TableStatistics { hosts })
    }

    /// Those of a route.
    pub(super) fn of(&self, host: usize, route: usize) -> Option<&RouteStatistics> {
        self.hosts.get(host)?.get(route)
    }
}

/// Lets the trees of conditions of a table count.
pub(super) fn count_conditions(table: &RouteConfiguration, registry: &Registry) {
    let counters = matching::counters(registry);
    for host in &table.virtual_hosts {
        if let Some(tree) = &host.matcher {
            tree.count_with(&counters);
        }
        for route in &host.routes {
            if let Action::Route(action) = &route.action
                && let ClusterSpecifier::Matcher(tree) = &action.cluster
            {
                tree.count_with(&counters);
            }
        }
    }
}

fn of_host(host: &VirtualHost, registry: &Registry) -> Box<[RouteStatistics]> {
    let name = &host.name;
    let cluster = |cluster: &str| RouteStats::new(registry, &format!("vhost.{name}.vcluster.{cluster}."));
    let clusters: Arc<[_]> = match &host.virtual_clusters[..] {
        [] => Arc::default(),
        some => some.iter().map(|one| &*one.name).chain([OTHER]).map(cluster).collect(),
    };
    if clusters.is_empty() && host.routes.iter().all(|route| route.stat_prefix.is_none()) {
        return Box::default();
    }
    let own = |prefix: &str| RouteStats::new(registry, &format!("vhost.{name}.route.{prefix}."));
    let routes = host.routes.iter();
    routes
        .map(|route| RouteStatistics {
            clusters: Arc::clone(&clusters),
            own: route.stat_prefix.as_deref().map(own),
        })
        .collect()
}

impl RouteStatistics {
    /// What a request is counted in, and the virtual cluster of the virtual host that takes it, if one does.
    pub fn of_request<'t>(
        &'t self,
        host: &'t VirtualHost,
        request: &Headers,
    ) -> (Groups<'t>, Option<&'t VirtualCluster>) {
        let takes = |cluster: &VirtualCluster| cluster.headers.iter().all(|header| header.matches(request));
        let number = host.virtual_clusters.iter().position(takes);
        let cluster = match number {
            Some(number) => self.clusters.get(number),
            None => self.clusters.last(),
        };
        let groups = Groups { cluster, route: self.own.as_ref() };
        (groups, number.and_then(|number| host.virtual_clusters.get(number)))
    }
}

impl<'t> Groups<'t> {
    /// The virtual cluster's statistics, then the route's.
    pub fn iter(&self) -> impl Iterator<Item = &'t RouteStats> + use<'t> {
        self.cluster.into_iter().chain(self.route)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{of, request, route, virtual_host};
    use super::*;
    use crate::config::matcher::{HeaderMatcher, HeaderTest};
    use crate::config::route::{PathMatch, Route};

    fn cluster(header: &str) -> VirtualCluster {
        let header = HeaderMatcher {
            name: header.into(),
            test: HeaderTest::Present(true),
            invert: false,
            treat_missing_as_empty: false,
        };
        VirtualCluster { name: header.name.as_str().into(), headers: vec![header] }
    }

    fn table(clusters: Vec<VirtualCluster>, stat_prefix: Option<&str>) -> RouteConfiguration {
        let route =
            Route { stat_prefix: stat_prefix.map(Into::into), ..route(PathMatch::Prefix("/".into())) };
        of(vec![VirtualHost { virtual_clusters: clusters, ..virtual_host(vec![route]) }])
    }

    #[test]
    fn the_first_virtual_cluster_that_matches_counts_or_else_the_one_of_all_others() {
        let (registry, table) = (Registry::new(0), table(vec![cluster("x-a"), cluster("x-b")], Some("r")));
        let statistics = TableStatistics::new(&table, &registry).unwrap();
        for (headers, expected) in [(&["x-b", "x-a"][..], "x-a"), (&["x-b"], "x-b"), (&[], OTHER)] {
            let mut request = request("h", "/");
            headers.iter().for_each(|name| request.append_received(name.as_bytes(), b"1"));
            let (groups, cluster) =
                statistics.of(0, 0).unwrap().of_request(&table.virtual_hosts[0], &request);
            groups.iter().for_each(|group| group.upstream_rq_total().inc());
            assert_eq!(cluster.map_or(OTHER, |cluster| &*cluster.name), expected);
            let prefix = format!("vhost.h.vcluster.{expected}.");
            assert_eq!(RouteStats::new(&registry, &prefix).upstream_rq_total().value(), 1, "{expected}");
        }
        assert_eq!(RouteStats::new(&registry, "vhost.h.route.r.").upstream_rq_total().value(), 3);
    }

    #[test]
    fn a_table_that_asks_for_none_has_none() {
        assert!(TableStatistics::new(&table(Vec::new(), None), &Registry::new(0)).is_none());
    }
}
