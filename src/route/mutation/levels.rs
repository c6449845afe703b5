//! Who has a say in a request: a member of a weighted cluster, its route, virtual host and table.

use super::{Render, mutate};
use crate::base::headers::{Headers, Known, joined_in_requests, joined_in_responses};
use crate::config::extension::ExtensionConfig;
use crate::config::metadata::Labels;
use crate::config::route::{Action, FilterConfig, HeaderMutations, WeightedCluster, WeightedClusters};
use crate::observability::stats::RouteStats;
use crate::route::rate_limit::RateLimits;
use crate::route::statistics::Groups;
use crate::route::table::Matched;

/// The levels of the route table that have a say in one request.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'t> {
    matched: Matched<'t>,
    weighted: Option<&'t WeightedCluster>,
    groups: Option<&'t Groups<'t>>,
}

impl<'t> Levels<'t> {
    /// The levels of a route and of the member of its weighted clusters.
    pub fn new(matched: &Matched<'t>, weighted: Option<&'t WeightedCluster>) -> Self {
        Levels { matched: *matched, weighted, groups: None }
    }

    /// The same, of a request that is counted in these.
    pub fn counted(self, groups: Option<&'t Groups<'t>>) -> Self {
        Levels { groups, ..self }
    }

    /// The same, of a request that goes to another member of the weighted clusters.
    pub fn at_member(self, weighted: &'t WeightedCluster) -> Self {
        Levels { weighted: Some(weighted), ..self }
    }

    /// The place of the request's member among these clusters, if it is one.
    pub fn place_in(&self, clusters: &WeightedClusters) -> Option<usize> {
        let own = self.weighted?;
        clusters.clusters.iter().position(|member| std::ptr::eq(member, own))
    }

    /// By what filters limit the request: what the route says, what its virtual host says, and whether that counts
    /// in any case. `None` where the route leads to no cluster.
    pub fn rate_limits(&self) -> Option<RateLimits<'t>> {
        let Matched { virtual_host, route, .. } = self.matched;
        let of_virtual_host = &virtual_host.rate_limits[..];
        match &route.action {
            Action::Route(action) => Some(RateLimits {
                of_route: &action.rate_limits,
                of_virtual_host,
                include_virtual_host: action.include_vh_rate_limits,
            }),
            Action::NonForwarding => {
                Some(RateLimits { of_route: &[], of_virtual_host, include_virtual_host: false })
            }
            Action::Redirect(_) | Action::DirectResponse(_) => None,
        }
    }

    /// What the request is counted in beside its cluster.
    pub fn groups(&self) -> impl Iterator<Item = &'t RouteStats> + use<'t> {
        self.groups.into_iter().flat_map(Groups::iter)
    }

    /// What the metadata of hosts has to be, if anything.
    pub fn metadata_match(&self) -> Option<&'t Labels> {
        let of_route = || match &self.matched.route.action {
            Action::Route(action) => action.metadata_match.as_ref(),
            Action::Redirect(_) | Action::DirectResponse(_) | Action::NonForwarding => None,
        };
        self.weighted.and_then(|cluster| cluster.metadata_match.as_ref()).or_else(of_route)
    }

    /// Whether the route leads to a cluster, and does not answer itself.
    pub fn leads_to_cluster(&self) -> bool {
        matches!(self.matched.route.action, Action::Route(_) | Action::NonForwarding)
    }

    /// What the levels say to the filter of this name, the most specific first.
    pub fn filter_configs(self, name: &str) -> impl DoubleEndedIterator<Item = &'t FilterConfig> {
        let Matched { table, virtual_host, route, .. } = self.matched;
        let weighted = self.weighted.map(|cluster| &cluster.filter_configs);
        let levels = [
            weighted,
            Some(&route.filter_configs),
            Some(&virtual_host.filter_configs),
            Some(&table.filter_configs),
        ];
        levels.into_iter().flatten().filter_map(move |level| level.get(name))
    }

    /// What the most specific of them says that says something of this type.
    pub fn filter_config<T: 'static>(self, name: &str) -> Option<&'t T> {
        self.filter_configs(name).find_map(|config| match config {
            FilterConfig::Enabled(config) => config.downcast(),
            FilterConfig::Default | FilterConfig::Disabled => None,
        })
    }

    /// What the older field `cors` of the route and of its virtual host says, in this order.
    pub fn cors(self) -> impl Iterator<Item = &'t ExtensionConfig> {
        let Matched { virtual_host, route, .. } = self.matched;
        let of_route = match &route.action {
            Action::Route(action) => action.cors.as_deref(),
            Action::Redirect(_) | Action::DirectResponse(_) | Action::NonForwarding => None,
        };
        of_route.into_iter().chain(virtual_host.cors.as_deref())
    }

    /// The changes of headers, in the order in which they apply.
    fn header_mutations(&self) -> impl Iterator<Item = &'t HeaderMutations> {
        let Matched { table, virtual_host, route, .. } = self.matched;
        let mut of_route = [&route.headers, &virtual_host.headers, &table.headers];
        if table.most_specific_header_mutations_wins {
            of_route.reverse();
        }
        self.weighted.map(|cluster| &cluster.headers).into_iter().chain(of_route)
    }

    /// Tells the client in `x-envoy-attempt-count` how often the request was tried, where that is wanted.
    pub fn tell_attempts(&self, response: &mut Headers, attempts: u32) {
        if self.matched.virtual_host.include_attempt_count_in_response && attempts > 0 {
            response.set(Known::XEnvoyAttemptCount, itoa::Buffer::new().format(attempts).as_bytes());
        }
    }

    /// How much of the request's body may be kept, where the route says something of it.
    pub fn body_limit(&self) -> Option<u64> {
        self.matched.route.body_limit
    }

    /// Tells the host in `x-envoy-attempt-count` which attempt this is, where that is wanted.
    pub fn tell_host_attempts(&self, request: &mut Headers, attempts: u32) {
        if self.matched.virtual_host.include_request_attempt_count {
            request.set(Known::XEnvoyAttemptCount, itoa::Buffer::new().format(attempts).as_bytes());
        }
    }

    /// Whether retries tell in `x-envoy-is-timeout-retry` why they are made.
    pub fn tells_timeout_retries(&self) -> bool {
        self.matched.virtual_host.include_is_timeout_retry_header
    }

    /// Changes the headers of a request; the host and path are rewritten after that.
    pub fn mutate_request(&self, headers: &mut Headers, render: Render<'_>) {
        for level in self.header_mutations() {
            mutate(headers, &level.request_remove, &level.request_add, joined_in_requests, render);
        }
    }

    /// Changes the headers of a response, local replies included.
    pub fn mutate_response(&self, headers: &mut Headers, render: Render<'_>) {
        for level in self.header_mutations() {
            mutate(headers, &level.response_remove, &level.response_add, joined_in_responses, render);
        }
    }
}
