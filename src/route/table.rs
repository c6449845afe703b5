//! The compiled route table: `envoy.config.route.v3.RouteConfiguration`, made quick to search.

use std::sync::{Arc, OnceLock};

use super::domains::Domains;
use super::matcher::Request;
use super::path_index::PathIndex;
use super::statistics::{RouteStatistics, TableStatistics, count_conditions};
use crate::base::headers::{Headers, Known, Name};
use crate::config::match_tree::Subject;
use crate::config::route::{RequireTls, Route, RouteConfiguration, VirtualHost};
use crate::config::runtime::Draw;
use crate::observability::stats::Registry;
use crate::observability::stream_info::StreamInfo;

/// A route table with its indexes. Immutable; compiling one takes the configuration as it is.
pub struct Table {
    configuration: Arc<RouteConfiguration>,
    domains: Domains,
    /// One for each virtual host.
    paths: Box<[PathIndex]>,
    statistics: OnceLock<Option<TableStatistics>>,
}

/// What a request's headers lead to.
#[derive(Clone, Copy, Debug)]
pub enum Found<'t> {
    /// A route takes the request.
    Route(Matched<'t>),
    /// The virtual host wants TLS and the request came without it: it is redirected, see
    /// [`super::redirect::tls_location`]. No header mutations apply.
    TlsRedirect(&'t VirtualHost),
}

/// A route and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'t> {
    /// The table.
    pub table: &'t RouteConfiguration,
    /// The virtual host of the request's host.
    pub virtual_host: &'t VirtualHost,
    /// The first of its routes that takes the request.
    pub route: &'t Route,
    /// What its requests may be counted in beside their cluster.
    pub statistics: Option<&'t RouteStatistics>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({})", self.configuration.name)
    }
}

impl Table {
    /// Builds the indexes.
    pub fn new(configuration: Arc<RouteConfiguration>) -> Self {
        let domains = Domains::new(&configuration);
        let paths = configuration.virtual_hosts.iter().map(|host| PathIndex::new(&host.routes)).collect();
        Table { configuration, domains, paths, statistics: OnceLock::new() }
    }

    /// The configuration that this table was made from.
    pub fn configuration(&self) -> &Arc<RouteConfiguration> {
        &self.configuration
    }

    /// Begins to count its requests, where the configuration wants that: the table is in force.
    pub fn count_in(&self, registry: &Registry) {
        self.statistics.get_or_init(|| {
            count_conditions(&self.configuration, registry);
            TableStatistics::new(&self.configuration, registry)
        });
    }

    /// Takes the headers off a request from outside that only requests from inside may have. False when there are no
    /// such headers.
    pub fn remove_internal_only(&self, headers: &mut Headers) -> bool {
        let names = &self.configuration.internal_only_headers;
        for name in names {
            headers.remove(Name::new(name.as_bytes()));
        }
        !names.is_empty()
    }

    /// The virtual host of a request, whether or not one of its routes takes it.
    pub fn virtual_host(&self, headers: &Headers) -> Option<&VirtualHost> {
        self.host_number(headers).map(|number| &self.configuration.virtual_hosts[number])
    }

    /// Finds the route for a request. `None`: no virtual host or none of its routes takes it.
    ///
    /// The caller hands the same draw to [`super::cluster::choose`].
    pub fn find(&self, headers: &Headers, draw: Draw<'_>) -> Option<Found<'_>> {
        self.find_by(Request::new(headers, draw, self.ignores_parameters()), headers, draw)
    }

    /// The same, with what filters noted of the request and what is known of its connection.
    pub fn find_for(&self, headers: &Headers, draw: Draw<'_>, info: &StreamInfo) -> Option<Found<'_>> {
        let request = Request::new(headers, draw, self.ignores_parameters());
        self.find_by(request.with_notes(info.notes()).with_connection(&info.connection), headers, draw)
    }

    fn ignores_parameters(&self) -> bool {
        self.configuration.ignore_path_parameters_in_path_matching
    }

    fn find_by(&self, request: Request<'_>, headers: &Headers, draw: Draw<'_>) -> Option<Found<'_>> {
        let number = self.host_number(headers)?;
        let virtual_host = &self.configuration.virtual_hosts[number];
        if wants_tls(virtual_host, headers) {
            return Some(Found::TlsRedirect(virtual_host));
        }
        let routes = &virtual_host.routes[..];
        let takes = |route: &usize| request.matches(&routes[*route].matcher);
        let route = match &virtual_host.matcher {
            Some(tree) => {
                // Conditions on routes see nothing but headers.
                let range = tree.find(&Subject::of_headers(headers, draw.runtime))?;
                range.clone().find(takes)?
            }
            None => self.paths[number].candidates(routes, request.path(), headers).find(takes)?,
        };
        let counted = self.statistics.get().and_then(Option::as_ref);
        let statistics = counted.and_then(|counted| counted.of(number, route));
        let (table, route) = (&*self.configuration, &routes[route]);
        Some(Found::Route(Matched { table, virtual_host, route, statistics }))
    }

    fn host_number(&self, headers: &Headers) -> Option<usize> {
        let name = match &self.configuration.vhost_header {
            Some(header) => headers.get_by_name(header.as_bytes()),
            None => headers.get(Known::Authority),
        };
        self.domains.find(&self.configuration.virtual_hosts, name)
    }
}

fn wants_tls(host: &VirtualHost, headers: &Headers) -> bool {
    let wanted = match host.require_tls {
        RequireTls::None => return false,
        RequireTls::All => true,
        RequireTls::ExternalOnly => headers.get(Known::XEnvoyInternal) != Some(b"true"),
    };
    wanted && headers.get(Known::XForwardedProto) != Some(b"https")
}

#[cfg(test)]
mod tests;
