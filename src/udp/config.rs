//! The configuration: `envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::v3;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use v3::udp_proxy_config::{HashPolicy, RouteSpecifier, UdpAccessLogOptions};

use crate::base::headers::Headers;
use crate::base::xxhash;
use crate::config::access_log::AccessLog;
use crate::config::extension::{Extension, ExtensionValue, contained_type, read};
use crate::config::field::{Scope, open};
use crate::config::listener::udp;
use crate::config::match_tree::{Input, Leaves, MatchTree, Peers, Subject};
use crate::config::runtime::Values;

use super::session_filters;
use super::tunneling::Tunneling;

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.udp_listener.udp_proxy",
    type_name: "envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig",
    terminal: true,
    parse: |bytes, at| {
        let config = at.decode(bytes).and_then(|message| Config::from_proto(message, at))?;
        Some(Arc::new(config) as Arc<dyn ExtensionValue>)
    },
    per_route: None,
};

/// How long a session may idle where nothing is configured.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// The shortest time between two lines about a session.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// A UDP proxy as configured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// What follows `udp.` in the names of statistics.
    pub(super) stat_prefix: String,
    /// Where datagrams go.
    pub(super) route: Route,
    /// The names of all clusters that that leads to.
    pub(super) clusters: Vec<String>,
    /// How long a session lasts in which no datagram passes; a minute by default.
    pub(super) idle_timeout: Duration,
    /// What always leads to the same host.
    pub(super) hash_policy: Option<HashKey>,
    /// The longest datagram that is taken from a host.
    pub(super) max_upstream_datagram_bytes: usize,
    /// Whether a host is chosen for each datagram, and not for each session.
    pub(super) per_packet: bool,
    /// Whether what hosts are sent comes from the addresses of clients.
    pub(super) use_original_src_ip: bool,
    /// Where sessions are logged.
    pub(super) access_log: Vec<AccessLog>,
    /// What sessions pass, in order.
    pub(super) session_filters: Vec<session_filters::Configured>,
    /// How sessions are tunnelled, if they are.
    pub(super) tunneling: Option<Tunneling>,
    /// Whether a line tells of a session whose tunnel stands.
    pub(super) logs_tunnels: bool,
    /// Where the proxy is logged, once for each worker and when it ends.
    pub(super) proxy_access_log: Vec<AccessLog>,
    /// The time between lines about a session that goes on; `None` for none.
    pub(super) log_interval: Option<Duration>,
}

/// `UdpProxyConfig.route_specifier`
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Route {
    /// One cluster.
    Cluster(String),
    /// The names of clusters, by who sends where.
    Matcher(MatchTree<String>),
}

/// `UdpProxyConfig.HashPolicy`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HashKey {
    /// The client's IP address.
    SourceIp,
    /// The hash of a text, the same for all.
    Fixed(u64),
}

impl Route {
    /// The cluster that a datagram goes to; `None` where nothing says one.
    pub(super) fn cluster(&self, peer: SocketAddr, local: SocketAddr, runtime: &Values) -> Option<&str> {
        match self {
            Route::Cluster(name) => Some(name),
            Route::Matcher(tree) => {
                let peers = Peers {
                    source: Some(peer),
                    direct_source: Some(peer),
                    destination: Some(local),
                    ..Peers::default()
                };
                let headers = Headers::new();
                let subject = Subject { peers, ..Subject::of_headers(&headers, runtime) };
                tree.find(&subject).map(String::as_str)
            }
        }
    }
}

impl HashKey {
    /// The hash of a session of this client.
    pub(super) fn hash(self, peer: SocketAddr) -> u64 {
        match self {
            HashKey::SourceIp => xxhash::hash(peer.ip().to_string().as_bytes()),
            HashKey::Fixed(hash) => hash,
        }
    }
}

impl Config {
    fn from_proto(message: v3::UdpProxyConfig, at: &mut Scope<'_>) -> Option<Self> {
        use v3::UdpProxyConfig;
        open! { at, UdpProxyConfig = message;
            implemented {
                stat_prefix, route_specifier, idle_timeout, hash_policies, upstream_socket_config,
                use_per_packet_load_balancing, access_log, proxy_access_log, access_log_options, session_filters,
                tunneling_config, use_original_src_ip,
            }
        }
        for (is_there, name) in [
            (tunneling_config.is_some(), "tunneling_config"),
            (!session_filters.is_empty(), "session_filters"),
        ] {
            if use_per_packet_load_balancing && is_there {
                at.error(format!("Only one of use_per_packet_load_balancing or {name} can be used."));
            }
        }
        let stat_prefix = at.required_string("stat_prefix", stat_prefix);
        let hash_policy = hash_policy(hash_policies, at);
        let upstream = at.message("upstream_socket_config", upstream_socket_config, |message, at| {
            Some(udp::longest_datagram(message, true, at))
        });
        let access_log = at.list("access_log", access_log, AccessLog::from_proto);
        let proxy_access_log = at.list("proxy_access_log", proxy_access_log, AccessLog::from_proto);
        let log_moments = at.message("access_log_options", access_log_options, log_moments);
        let (log_interval, logs_tunnels) = log_moments.unwrap_or_default();
        let idle_timeout = at.duration("idle_timeout", idle_timeout).unwrap_or(DEFAULT_IDLE_TIMEOUT);
        let (route, clusters) = route(route_specifier, at)?;
        Some(Config {
            route,
            clusters,
            stat_prefix,
            idle_timeout,
            hash_policy,
            max_upstream_datagram_bytes: upstream.unwrap_or(udp::LONGEST_DATAGRAM),
            per_packet: use_per_packet_load_balancing,
            use_original_src_ip,
            access_log,
            session_filters: at.list("session_filters", session_filters, session_filters::from_proto),
            tunneling: at.message("tunneling_config", tunneling_config, Tunneling::from_proto),
            logs_tunnels,
            proxy_access_log,
            log_interval,
        })
    }
}

/// Where datagrams go, and all clusters that that leads to.
fn route(specifier: Option<RouteSpecifier>, at: &mut Scope<'_>) -> Option<(Route, Vec<String>)> {
    match at.required("route_specifier", specifier)? {
        #[allow(deprecated, reason = "it is served until the API leaves it out")]
        RouteSpecifier::Cluster(name) => {
            let name = at.required_string("cluster", name);
            Some((Route::Cluster(name.clone()), vec![name]))
        }
        RouteSpecifier::Matcher(message) => {
            let mut routes = Routes { clusters: Vec::new() };
            let tree = MatchTree::from_proto(message, &mut routes, &mut at.field("matcher"))?;
            Some((Route::Matcher(tree), routes.clusters))
        }
    }
}

/// The actions of a tree while it is read.
struct Routes {
    /// Where those lead that were read.
    clusters: Vec<String>,
}

impl Leaves for Routes {
    type Action = String;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<String> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let (found, known) = (contained_type(&any), <v3::Route as prost::Name>::full_name());
        let at = &mut at.field("typed_config");
        if found != known {
            at.error(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{found}'; known: {known}"
            ));
            return None;
        }
        open! { at, v3::Route = read(any, at)?; implemented { cluster } }
        let cluster = at.required_string("cluster", cluster);
        self.clusters.push(cluster.clone());
        Some(cluster)
    }

    fn check_input(&mut self, input: &Input, at: &mut Scope<'_>) {
        use Input::{Absent, DestinationIp, DestinationPort, SourceIp, SourcePort};
        if !matches!(input, SourceIp | SourcePort | DestinationIp | DestinationPort | Absent(_)) {
            at.error(
                "Didn't find a registered implementation for this input; known: SourceIPInput, SourcePortInput, \
                 DestinationIPInput and DestinationPortInput of envoy.extensions.matching.common_inputs.network.v3",
            );
        }
    }
}

fn hash_policy(policies: Vec<HashPolicy>, at: &mut Scope<'_>) -> Option<HashKey> {
    use v3::udp_proxy_config::hash_policy::PolicySpecifier;
    if policies.len() > 1 {
        at.field("hash_policies").violation("value must contain no more than 1 item(s)");
    }
    let keys = at.list("hash_policies", policies, |message, at| {
        open! { at, HashPolicy = message; implemented { policy_specifier } }
        match at.required("policy_specifier", policy_specifier)? {
            PolicySpecifier::SourceIp(true) => Some(HashKey::SourceIp),
            PolicySpecifier::SourceIp(false) => {
                at.field("source_ip").violation("value must equal true");
                None
            }
            PolicySpecifier::Key(key) => {
                let key = at.required_string("key", key);
                Some(HashKey::Fixed(xxhash::hash(key.as_bytes())))
            }
        }
    });
    keys.first().copied()
}

/// The time between lines about a session, and whether one tells that its tunnel stands.
fn log_moments(message: UdpAccessLogOptions, at: &mut Scope<'_>) -> Option<(Option<Duration>, bool)> {
    open! { at, UdpAccessLogOptions = message;
        implemented { access_log_flush_interval, flush_access_log_on_tunnel_connected }
    }
    let interval = at.duration("access_log_flush_interval", access_log_flush_interval);
    if interval.is_some_and(|interval| interval < SHORTEST_INTERVAL) {
        at.field("access_log_flush_interval").violation("value must be greater than or equal to 1ms");
    }
    Some((interval, flush_access_log_on_tunnel_connected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::extension::Extensions;
    use crate::config::listener::Listener;
    use dragoman_proto::{encode, tree};

    const ROUTE: &str = "cluster: app";

    /// What is said of a listener whose proxy is configured so.
    fn refusals(proxy: &str) -> Vec<String> {
        let extensions = Extensions {
            udp_listener_filters: super::super::EXTENSIONS,
            udp_session_filters: super::super::SESSION_EXTENSIONS,
            ..Extensions::BUILT_IN
        };
        let proxy = proxy.replace('\n', "\n    ");
        let document = tree::parse_yaml(&format!(
            "name: datagrams
address: {{socket_address: {{protocol: UDP, address: 127.0.0.1, port_value: 0}}}}
listener_filters:
- name: proxy
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig
    stat_prefix: proxy
    {proxy}"
        ));
        let document = document.expect("YAML");
        let message = "envoy.config.listener.v3.Listener";
        let bytes = encode(&document.root, message, &encode::Options::default()).expect("a message").bytes;
        match Listener::parse(&bytes, &extensions) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_iter().map(|error| error.message).collect(),
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let unknown = "Didn't find a registered implementation for ";
        let cases = [
            (ROUTE.to_owned(), ""),
            (String::new(), "is required"),
            (format!("{ROUTE}\nhash_policies: [{{key: a}}, {{source_ip: true}}]"), "1 item(s)"),
            (format!("{ROUTE}\nuse_original_src_ip: true"), ""),
            (format!("{ROUTE}\ntunneling_config: {{proxy_host: a, target_host: b, default_target_port: 1}}"), ""),
            (format!("{ROUTE}\ntunneling_config: {{proxy_host: a, target_host: b}}"), "inside range (0, 65535]"),
            (format!("{ROUTE}\ntunneling_config: {{target_host: b, default_target_port: 1}}"), "at least 1"),
            (format!("{ROUTE}\ntunneling_config: {{proxy_host: a, target_host: b, default_target_port: 1, proxy_port: 65536}}"), "Port value not in range"),
            (format!("{ROUTE}\ntunneling_config: {{proxy_host: a, target_host: b, default_target_port: 1, post_path: /a}}"), "Can't set a post path"),
            (format!("{ROUTE}\ntunneling_config: {{proxy_host: a, target_host: b, default_target_port: 1, use_post: true, post_path: a}}"), "Path must start with '/'"),
            (format!("{ROUTE}\nuse_per_packet_load_balancing: true\ntunneling_config: {{proxy_host: a, target_host: b, default_target_port: 1}}"), "Only one of use_per_packet_load_balancing or tunneling_config"),
            (format!("{ROUTE}\nuse_per_packet_load_balancing: true\nsession_filters: [{{name: a, typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.session.http_capsule.v3.FilterConfig}}}}]"), "Only one of use_per_packet_load_balancing or session_filters"),
            (format!("{ROUTE}\nupstream_socket_config: {{max_rx_datagram_size: 0}}"), "inside range (0, 65536)"),
            (format!("{ROUTE}\naccess_log_options: {{access_log_flush_interval: 0.0001s}}"), "greater than or equal to"),
            (format!("{ROUTE}\nsession_filters: [{{name: capsule}}]"), unknown),
            (
                "matcher: {on_no_match: {action: {name: r, typed_config: {\"@type\": type.googleapis.com/google.protobuf.StringValue, value: app}}}}"
                    .to_owned(),
                unknown,
            ),
            (
                "matcher: {matcher_tree: {input: {name: i, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.ServerNameInput}}, exact_match_map: {map: {a: {action: {name: r, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.Route, cluster: app}}}}}}}"
                    .to_owned(),
                unknown,
            ),
        ];
        for (proxy, expected) in cases {
            let found = refusals(&proxy);
            assert_eq!(found.is_empty(), expected.is_empty(), "{proxy}: {found:?}");
            assert!(
                expected.is_empty() || found.iter().any(|one| one.contains(expected)),
                "{proxy}: {found:?}"
            );
        }
    }

    #[test]
    fn all_that_a_client_sends_has_one_hash() {
        let of = |text: &str| HashKey::SourceIp.hash(text.parse().expect("an address"));
        assert_eq!(of("10.0.0.1:1"), of("10.0.0.1:2"));
        assert_ne!(of("10.0.0.1:1"), of("10.0.0.2:1"));
    }
}
