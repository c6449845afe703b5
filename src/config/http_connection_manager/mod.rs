//! The HTTP connection manager:
//! `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`.

mod client_address;
mod client_cert;
mod common_http;
mod drain_timeout;
mod forward_proto;
mod from_proto;
pub(in crate::config) mod http_filters;
mod local_reply;
mod log_moments;
mod original_ip;
mod path;
mod proxy_status;
mod request_id;
mod routes;
mod scoped_routes;
mod timeouts;

use std::sync::Arc;

use super::access_log::AccessLog;
use super::extension::{Extension, ExtensionConfig};
use super::extension_source::{ExtensionConfigSource, FilterConfigType};
use super::match_tree::MatchTree;
use super::protocol::{Http1Options, Http2Options};
use super::route::{RouteConfiguration, ScopedTable};
use super::router::Router;
use super::source::ConfigSource;
use super::tracing::Tracing;

pub use client_address::{ClientAddress, InternalAddresses};
pub use client_cert::{ClientCertDetails, ForwardClientCert};
pub use common_http::{CommonHttpOptions, UnderscoresAction};
pub use drain_timeout::DrainTimeout;
pub use forward_proto::ForwardProto;
pub use local_reply::{LocalReplyConfig, ResponseMapper};
pub use log_moments::AccessLogMoments;
pub use original_ip::{OriginalIpDetection, TrustedProxies};
pub use path::{EscapedSlashesAction, PathNormalization};
pub use proxy_status::{ProxyName, ProxyStatus};
pub use request_id::{RequestIds, UuidRequestId};
pub use scoped_routes::{Extract, HeaderValueExtractor, ScopedRoutes, ScopesSpecifier};
pub use timeouts::Timeouts;

/// Full name of the message.
pub const TYPE_NAME: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// The network filter.
pub const EXTENSION: Extension = Extension {
    name: "envoy.filters.network.http_connection_manager",
    type_name: TYPE_NAME,
    terminal: true,
    parse: |bytes, at| {
        let manager = at.decode(bytes).and_then(|message| HttpConnectionManager::from_proto(message, at))?;
        Some(Arc::new(manager))
    },
    per_route: None,
};

/// A connection manager as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConnectionManager {
    /// Names its statistics: `http.<stat_prefix>.`.
    pub stat_prefix: String,
    /// Which protocol connections speak.
    pub codec_type: CodecType,
    /// Where routes come from.
    pub routes: RouteSpecifier,
    /// HTTP filters; the last is a terminal one. None at all is allowed: such a manager answers nothing.
    pub http_filters: Vec<HttpFilter>,
    /// What local replies are turned into; `None` leaves them as they are.
    pub local_reply_config: Option<LocalReplyConfig>,
    /// What holds for connections in either protocol.
    pub common: CommonHttpOptions,
    /// HTTP/1.1 downstream.
    pub http1: Http1Options,
    /// HTTP/2 downstream.
    pub http2: Http2Options,
    /// A connection of HTTP/1 whose life is over ends with its next response; else it is closed.
    pub http1_safe_max_connection_duration: bool,
    /// How long streams and the ends of connections may take.
    pub timeouts: Timeouts,
    /// Whether it is counted how often routes were looked for, and how long that took.
    pub record_route_resolution_stats: bool,
    /// Whether one of its formats writes how long that took; those of its table stand there.
    pub times_routes: bool,
    /// Kibibytes of request headers accepted; 60 by default.
    pub max_request_headers_kb: u32,
    /// The value of `server`; `envoy` by default.
    pub server_name: String,
    /// What happens to `server`.
    pub server_header_transformation: ServerHeaderTransformation,
    /// What happens to the scheme of requests.
    pub scheme_header_transformation: SchemeTransformation,
    /// How the client of a request is found, and what is said of it.
    pub client_address: ClientAddress,
    /// Changes to the headers of requests before anything else looks at them.
    pub early_header_mutations: Vec<ExtensionConfig>,
    /// What becomes of `x-forwarded-client-cert`.
    pub forward_client_cert: ForwardClientCert,
    /// What says so in its place; that is in force where the tree leads nowhere.
    pub forward_client_cert_matcher: Option<MatchTree<ForwardClientCert>>,
    /// Tell hosts of this proxy in `user-agent` and `x-envoy-downstream-service-*`, and count user agents.
    pub add_user_agent: bool,
    /// Say in `proxy-status` what went wrong (RFC 9209); `None` says nothing.
    pub proxy_status: Option<ProxyStatus>,
    /// Appended to `via` both ways; empty adds nothing.
    pub via: String,
    /// What becomes of the identifiers of requests.
    pub request_ids: RequestIds,
    /// What is done to paths.
    pub path: PathNormalization,
    /// Remove the port from the host before matching.
    pub strip_port: StripPort,
    /// Remove the dot at the host's end.
    pub strip_trailing_host_dot: bool,
    /// Upgrades served, where the route does not say otherwise.
    pub upgrade_configs: Vec<UpgradeConfig>,
    /// Proxy `100 Continue` instead of answering it.
    pub proxy_100_continue: bool,
    /// Whether hosts that are told of clients by the PROXY protocol are told of those who sent requests.
    pub tells_hosts_of_clients: bool,
    /// What is spoken at the ports that clients connected to before.
    pub forward_proto: ForwardProto,
    /// Keep an HTTP/1.1 connection after a 400 of the proxy's own; the HTTP/1 options can say otherwise.
    pub stream_error_on_invalid_http_message: bool,
    /// Access logs of requests.
    pub access_log: Vec<AccessLog>,
    /// When requests are logged beside their end.
    pub access_log_moments: AccessLogMoments,
    /// Whether and how requests are traced; `None` for not at all.
    pub tracing: Option<Tracing>,
}

impl HttpConnectionManager {
    /// The filters whose configuration is discovered, by their names; those of upgrades as well.
    pub fn discovered_filters(&self) -> impl Iterator<Item = (&str, &Arc<ExtensionConfigSource>)> {
        let upgrades = self.upgrade_configs.iter().filter_map(|config| config.filters.as_ref());
        let filters = self.http_filters.iter().chain(upgrades.flatten());
        let behind =
            filters.clone().filter_map(HttpFilter::router).flat_map(|router| &router.upstream_http_filters);
        filters.chain(behind).filter_map(HttpFilter::discovered)
    }

    /// Whether it needs what comes in other resources than a route table: scopes, configurations of filters.
    pub fn needs_more_than_routes(&self) -> bool {
        matches!(self.routes, RouteSpecifier::Scoped(_)) || self.discovered_filters().next().is_some()
    }

    /// Whether an HTTP/1.1 connection serves on after a 400 of the proxy's own. Where the codec could not read the
    /// request there is no going on.
    pub fn keeps_http1_after_bad_request(&self) -> bool {
        let of_http1 = self.http1.override_stream_error_on_invalid_http_message;
        of_http1.unwrap_or(self.stream_error_on_invalid_http_message)
    }
}

/// `HttpFilter`
#[derive(Clone, Debug, PartialEq)]
pub struct HttpFilter {
    /// Its name in the chain, by which routes speak to it.
    pub name: String,
    /// Which filter, and what it is told.
    pub config: FilterConfigType,
    /// Whether it is left out where the route does not say that it is not.
    pub disabled: bool,
}

impl HttpFilter {
    /// Its name and the source of its configuration, if that is discovered.
    pub fn discovered(&self) -> Option<(&str, &Arc<ExtensionConfigSource>)> {
        Some((&self.name, self.config.discovered()?))
    }

    /// What it is told if it is a router that is configured here.
    fn router(&self) -> Option<&Router> {
        self.config.downcast()
    }
}

/// `HttpConnectionManager.UpgradeConfig`
#[derive(Clone, Debug, PartialEq)]
pub struct UpgradeConfig {
    /// `websocket` for example; in lower case.
    pub upgrade_type: String,
    /// Whether it is served where the route says nothing; true when absent.
    pub enabled: bool,
    /// What such requests pass in place of `http_filters`; `None` where that is the same.
    pub filters: Option<Vec<HttpFilter>>,
}

/// `HttpConnectionManager.route_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum RouteSpecifier {
    /// `route_config`
    Inline(Arc<RouteConfiguration>),
    /// `rds`
    Rds {
        /// The route table's name.
        route_config_name: String,
        /// Where it comes from.
        source: ConfigSource,
    },
    /// `scoped_routes`
    Scoped(ScopedRoutes),
}

impl RouteSpecifier {
    /// The route tables that stand in the connection manager itself, each with its path.
    pub fn inline_tables(&self) -> impl Iterator<Item = (String, &Arc<RouteConfiguration>)> {
        let (one, scopes) = match self {
            RouteSpecifier::Inline(table) => (Some(("route_config".to_owned(), table)), &[][..]),
            RouteSpecifier::Scoped(ScopedRoutes { scopes: ScopesSpecifier::Inline(scopes), .. }) => {
                (None, &scopes[..])
            }
            RouteSpecifier::Rds { .. } | RouteSpecifier::Scoped(_) => (None, &[][..]),
        };
        let scoped = scopes.iter().enumerate().filter_map(|(index, scope)| match &scope.table {
            ScopedTable::Inline(table) => {
                let list = "scoped_routes.scoped_route_configurations_list.scoped_route_configurations";
                Some((format!("{list}[{index}].route_configuration"), table))
            }
            ScopedTable::Named(_) => None,
        });
        one.into_iter().chain(scoped)
    }
}

/// `HttpConnectionManager.CodecType`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CodecType {
    /// By the first bytes: HTTP/2 if they are its preface.
    #[default]
    Auto,
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    Http2,
}

/// `HttpConnectionManager.ServerHeaderTransformation`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServerHeaderTransformation {
    /// The upstream's is replaced.
    #[default]
    Overwrite,
    /// The upstream's stays where there is one.
    AppendIfAbsent,
    /// The upstream's stays, and none is added.
    PassThrough,
}

/// Which port is removed from the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StripPort {
    /// None.
    #[default]
    None,
    /// The one that the listener has.
    Matching,
    /// Any.
    Any,
}

/// `SchemeHeaderTransformation`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemeTransformation {
    /// Scheme put in for all requests.
    pub scheme_to_overwrite: Option<String>,
    /// Hosts get the scheme of the connection to them.
    pub match_upstream: bool,
}
