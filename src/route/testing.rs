//! Small configurations and requests for tests.

use std::sync::LazyLock;

use crate::base::headers::{Headers, Known};
use crate::config::metadata::Metadata;
use crate::config::route::{
    Action, ClusterSpecifier, DEFAULT_ROUTE_TIMEOUT, FilterConfigs, HeaderMutations, PathMatch,
    PeerCertificateMatch, RequireTls, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use crate::config::runtime::{Draw, Values};

/// A GET request of plain HTTP.
pub(super) fn request(host: &str, target: &str) -> Headers {
    let mut headers = Headers::new();
    headers.append(Known::Method, b"GET");
    headers.append(Known::Path, target.as_bytes());
    headers.append(Known::Authority, host.as_bytes());
    headers.append(Known::Scheme, b"http");
    headers.append(Known::XForwardedProto, b"http");
    headers
}

/// The same with these headers.
pub(super) fn request_with(headers: &[(&str, &str)]) -> Headers {
    let mut request = request("h", "/");
    headers.iter().for_each(|(name, value)| request.append_received(name.as_bytes(), value.as_bytes()));
    request
}

/// This number, and a runtime that says nothing.
pub(super) fn drawn(random: u64) -> Draw<'static> {
    static NOTHING: LazyLock<Values> = LazyLock::new(Values::default);
    Draw { random, runtime: &NOTHING }
}

/// All headers in one line.
pub(super) fn text(headers: &Headers) -> String {
    let line = |(name, value): (crate::base::headers::Name<'_>, &[u8])| {
        format!("{}: {}", String::from_utf8_lossy(name.as_bytes()), String::from_utf8_lossy(value))
    };
    headers.iter().map(line).collect::<Vec<_>>().join(" | ")
}

/// A route to the cluster `u`.
pub(super) fn route(path: PathMatch) -> Route {
    Route {
        name: None,
        matcher: RouteMatch {
            path,
            case_sensitive: true,
            headers: Vec::new(),
            query_parameters: Vec::new(),
            cookies: Vec::new(),
            runtime_fraction: None,
            grpc: false,
            dynamic_metadata: Vec::new(),
            filter_state: Vec::new(),
            peer_certificate: PeerCertificateMatch::default(),
        },
        action: Action::Route(Box::new(route_action())),
        headers: HeaderMutations::default(),
        filter_configs: FilterConfigs::default(),
        metadata: None,
        body_limit: None,
        stat_prefix: None,
        decorator: None,
        tracing: None,
    }
}

/// To the cluster `u`, everything else as by default.
pub(super) fn route_action() -> RouteAction {
    RouteAction {
        cluster: ClusterSpecifier::Cluster("u".into()),
        cluster_not_found_response_code: 503,
        path_rewrite: None,
        host_rewrite: None,
        append_x_forwarded_host: false,
        timeout: Some(DEFAULT_ROUTE_TIMEOUT),
        idle_timeout: None,
        max_stream_duration: None,
        max_grpc_timeout: None,
        grpc_timeout_offset: None,
        retry_policy: None,
        flush_timeout: None,
        hedge_on_per_try_timeout: None,
        request_mirror_policies: [].into(),
        internal_redirect_policy: None,
        upgrade_configs: Vec::new(),
        hash_policy: Vec::new(),
        metadata_match: None,
        connect_config: None,
        high_priority: false,
        rate_limits: Vec::new(),
        include_vh_rate_limits: false,
        cors: None,
    }
}

/// A virtual host for all hosts.
pub(super) fn virtual_host(routes: Vec<Route>) -> VirtualHost {
    VirtualHost {
        name: "h".into(),
        domains: vec!["*".into()],
        routes,
        matcher: None,
        headers: HeaderMutations::default(),
        filter_configs: FilterConfigs::default(),
        cors: None,
        rate_limits: Vec::new(),
        virtual_clusters: Vec::new(),
        require_tls: RequireTls::None,
        include_request_attempt_count: false,
        include_attempt_count_in_response: false,
        include_is_timeout_retry_header: false,
        metadata: None,
    }
}

/// A table with a virtual host for each list of domains.
pub(super) fn table<const N: usize>(domains: [Vec<&str>; N]) -> RouteConfiguration {
    let hosts = domains.map(|domains| VirtualHost {
        domains: domains.into_iter().map(str::to_owned).collect(),
        ..virtual_host(vec![route(PathMatch::Prefix("/".into()))])
    });
    of(hosts.into())
}

/// A table of these virtual hosts.
pub(super) fn of(virtual_hosts: Vec<VirtualHost>) -> RouteConfiguration {
    RouteConfiguration {
        name: "t".into(),
        virtual_hosts,
        headers: HeaderMutations::default(),
        filter_configs: FilterConfigs::default(),
        validate_clusters: None,
        most_specific_header_mutations_wins: false,
        internal_only_headers: Vec::new(),
        ignore_port_in_host_matching: false,
        ignore_path_parameters_in_path_matching: false,
        vhost_header: None,
        metadata: Metadata::default(),
        vhds: None,
        times_routes: false,
        format_secrets: Vec::new(),
    }
}
