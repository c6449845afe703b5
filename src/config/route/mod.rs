//! Routes: `envoy.config.route.v3.RouteConfiguration`.

mod action;
mod clusters;
mod cookies;
mod cors;
mod domains;
mod filter_config;
mod from_proto;
mod hash_policy;
mod header_mutation;
mod headers;
mod hedging;
mod internal_redirect;
mod match_tree;
mod matching;
mod mirror;
mod rate_limit;
mod reply;
mod retry;
mod retry_hosts;
mod rewrite;
mod scope;
mod uri_template;
mod vhds;
mod virtual_cluster;

use std::sync::Arc;
use std::time::Duration;

use super::extension::ExtensionConfig;
use super::format::{BodyFormat, Format, FormatSecret};
use super::match_tree::MatchTree;
use super::matcher::{HeaderMatcher, QueryParameterMatcher, Regex, Substitution};
use super::metadata::{Labels, Metadata};
use super::runtime::RuntimeFraction;
use super::source::ConfigSource;
use super::tracing::{Decorator, RouteTracing};
use super::value_matcher::{FilterStateMatcher, MetadataMatcher};
use super::watched::WatchedFile;

pub use clusters::KnownClusters;
pub use cookies::CookieMatcher;
pub use filter_config::{FilterConfig, FilterConfigs};
pub use hash_policy::{HashCookie, HashKey, HashPolicy};
pub use header_mutation::HeaderMutation;
pub use internal_redirect::{InternalRedirectPolicy, RedirectPredicate};
pub use match_tree::RouteRange;
pub(in crate::config) use mirror::mirror_policy;
pub use mirror::{MirrorCluster, RequestMirrorPolicy};
pub(in crate::config) use rate_limit::metadata_path;
pub use rate_limit::{
    Action as RateLimitAction, DescriptorValue, Hits, HitsAddend, Label, MetadataPath, MetadataSource,
    Override as RateLimitOverride, Place as RateLimitPlace, RateLimit, Segment, TokenSource, VhRateLimits,
    XRateLimitOption,
};
pub(in crate::config) use retry::retry_policy;
pub use retry::{RateLimitedBackOff, ResetHeader, RetryBackOff, RetryOn, RetryPolicy};
pub use retry_hosts::HostPredicate;
pub use scope::{ScopeKey, ScopedRoute, ScopedTable};
pub use uri_template::{UriRewrite, UriTemplate};
pub use virtual_cluster::VirtualCluster;

/// A route table as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteConfiguration {
    /// Its name, by which connection managers ask for it; may be empty when inline.
    pub name: String,
    /// Virtual hosts, in the order of the message.
    pub virtual_hosts: Vec<VirtualHost>,
    /// Changes to requests and responses of all routes.
    pub headers: HeaderMutations,
    /// For HTTP filters (`typed_per_filter_config`).
    pub filter_configs: FilterConfigs,
    /// Refuse the table when a cluster is missing; `None` means inline tables only.
    pub validate_clusters: Option<bool>,
    /// Apply the most specific level's mutations last; else the most general level's.
    pub most_specific_header_mutations_wins: bool,
    /// Headers that are taken from requests that do not come from inside; lower case.
    pub internal_only_headers: Vec<String>,
    /// Match domains without looking at the port.
    pub ignore_port_in_host_matching: bool,
    /// Match paths as if no segment had anything from a semicolon on.
    pub ignore_path_parameters_in_path_matching: bool,
    /// The header by which virtual hosts are found, lower case; `None` means the host.
    pub vhost_header: Option<String>,
    /// For filters and access logs.
    pub metadata: Metadata,
    /// `vhds`: where more virtual hosts come from; incremental xDS, and only of a table that comes over RDS itself.
    pub vhds: Option<ConfigSource>,
    /// Secrets that formats of bodies write, where the table comes over RDS.
    pub format_secrets: Vec<Arc<FormatSecret>>,
}

/// `envoy.config.route.v3.VirtualHost`
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualHost {
    /// Its name, part of statistics.
    pub name: Arc<str>,
    /// Domains: exact, `*.suffix`, `prefix.*` or `*`.
    pub domains: Vec<String>,
    /// Routes; the first that matches wins, unless there is a `matcher`.
    pub routes: Vec<Route>,
    /// Which of `routes` may take a request, instead of all.
    pub matcher: Option<Box<MatchTree<RouteRange>>>,
    /// Changes to requests and responses of these routes.
    pub headers: HeaderMutations,
    /// For HTTP filters (`typed_per_filter_config`).
    pub filter_configs: FilterConfigs,
    /// The older place of what the filter cors is told (`cors`).
    pub cors: Option<Box<ExtensionConfig>>,
    /// By what filters limit requests of routes that have none, or also those of all.
    pub rate_limits: Vec<RateLimit>,
    /// Requests that are counted together; the first that takes a request counts it.
    pub virtual_clusters: Vec<VirtualCluster>,
    /// Whether plain HTTP is redirected to HTTPS.
    pub require_tls: RequireTls,
    /// Add `x-envoy-attempt-count` to requests.
    pub include_request_attempt_count: bool,
    /// Add `x-envoy-attempt-count` to responses.
    pub include_attempt_count_in_response: bool,
    /// Add `x-envoy-is-timeout-retry` to retries.
    pub include_is_timeout_retry_header: bool,
    /// For filters and access logs.
    pub metadata: Option<Arc<Metadata>>,
}

/// `VirtualHost.TlsRequirementType`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RequireTls {
    /// No.
    #[default]
    None,
    /// Requests from outside.
    ExternalOnly,
    /// All requests.
    All,
}

/// `envoy.config.route.v3.Route`
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its name; `None` when not configured.
    pub name: Option<Arc<str>>,
    /// Which requests it takes.
    pub matcher: RouteMatch,
    /// What is done with them.
    pub action: Action,
    /// Changes to requests and responses.
    pub headers: HeaderMutations,
    /// For HTTP filters (`typed_per_filter_config`).
    pub filter_configs: FilterConfigs,
    /// For filters and access logs.
    pub metadata: Option<Arc<Metadata>>,
    /// Bytes of a request's body that may be kept, to be sent again or for a filter to look at:
    /// `request_body_buffer_limit`, or else `per_request_buffer_limit_bytes`, of the route, or else of its virtual host.
    /// `None` means as many as the connection's buffer holds.
    pub body_limit: Option<u64>,
    /// Part of the names of its requests' own statistics; `None` where they have none.
    pub stat_prefix: Option<Box<str>>,
    /// The name of spans of its requests, which clients or hosts are told.
    pub decorator: Option<Arc<Decorator>>,
    /// What of tracing is different for its requests.
    pub tracing: Option<Arc<RouteTracing>>,
}

/// `envoy.config.route.v3.RouteMatch`
#[derive(Clone, Debug, PartialEq)]
pub struct RouteMatch {
    /// How the path must look.
    pub path: PathMatch,
    /// Whether case counts in `path`; true by default. Does not hold for regular expressions.
    pub case_sensitive: bool,
    /// All of these must match.
    pub headers: Vec<HeaderMatcher>,
    /// All of these must match.
    pub query_parameters: Vec<QueryParameterMatcher>,
    /// All of these must match.
    pub cookies: Vec<CookieMatcher>,
    /// Share of the requests taken.
    pub runtime_fraction: Option<RuntimeFraction>,
    /// Only gRPC requests.
    pub grpc: bool,
    /// All of these must match.
    pub dynamic_metadata: Vec<MetadataMatcher>,
    /// All of these must match.
    pub filter_state: Vec<FilterStateMatcher>,
    /// What must be so of the client's certificate.
    pub peer_certificate: PeerCertificateMatch,
}

/// `RouteMatch.tls_context`; what is not said does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificateMatch {
    /// Whether the client must have presented a certificate.
    pub presented: Option<bool>,
    /// Whether that must have been validated.
    pub validated: Option<bool>,
}

/// `RouteMatch.path_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum PathMatch {
    /// The path without its query begins with this.
    Prefix(String),
    /// The path without its query is this.
    Path(String),
    /// The whole path without its query matches.
    SafeRegex(Regex),
    /// The path without its query is this or continues with `/`.
    PathSeparatedPrefix(String),
    /// The path without its query matches a template; case always counts.
    UriTemplate(UriTemplate),
    /// Only CONNECT requests.
    Connect,
}

/// What a route does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Forward to a cluster.
    Route(Box<RouteAction>),
    /// Answer with a redirect.
    Redirect(Box<Redirect>),
    /// Answer with a fixed response.
    DirectResponse(DirectResponse),
    /// Nothing is forwarded: filters answer.
    NonForwarding,
}

/// `envoy.config.route.v3.RouteAction`
#[derive(Clone, Debug, PartialEq)]
pub struct RouteAction {
    /// Where to.
    pub cluster: ClusterSpecifier,
    /// Status when the cluster does not exist; 503 by default.
    pub cluster_not_found_response_code: u16,
    /// How the path is changed.
    pub path_rewrite: Option<PathRewrite>,
    /// How the host is changed.
    pub host_rewrite: Option<HostRewrite>,
    /// Put the host as it was into `x-forwarded-host`.
    pub append_x_forwarded_host: bool,
    /// Time for the whole response, from the end of the request; 15 s by default, `None` means no limit.
    pub timeout: Option<Duration>,
    /// Time without bytes either way; outer `None` leaves the connection manager's, inner `None` means no limit.
    pub idle_timeout: Option<Option<Duration>>,
    /// Time for the peer to open its windows for the end of a response, over HTTP/2; the connection manager says it when
    /// not configured.
    pub flush_timeout: Option<Option<Duration>>,
    /// Longest life of a stream; `None` leaves the connection manager's. Where it is set, `timeout` does not count.
    pub max_stream_duration: Option<MaxStreamDuration>,
    /// gRPC requests take their timeout from `grpc-timeout`, this at most; zero means no limit.
    pub max_grpc_timeout: Option<Duration>,
    /// Taken off what `grpc-timeout` says, unless nothing is left then.
    pub grpc_timeout_offset: Option<Duration>,
    /// What holds for an attempt; the virtual host's where the route has none.
    pub retry_policy: Option<RetryPolicy>,
    /// Whether another attempt begins beside one whose time is over, in place of ending that; the virtual host's where the
    /// route has no policy. `HedgePolicy.hedge_on_per_try_timeout`; false when `None`.
    pub hedge_on_per_try_timeout: Option<bool>,
    /// Where copies of requests go; the virtual host's where the route has none, or else the table's.
    pub request_mirror_policies: Arc<[RequestMirrorPolicy]>,
    /// Redirects that are followed here; `None` passes all on.
    pub internal_redirect_policy: Option<Box<InternalRedirectPolicy>>,
    /// Upgrades allowed or forbidden here, over the connection manager's.
    pub upgrade_configs: Vec<(String, bool)>,
    /// What of a request always goes to the same host, where the cluster's load balancer looks at it.
    pub hash_policy: Vec<HashPolicy>,
    /// What the metadata of hosts has to be where the cluster divides them into subsets.
    pub metadata_match: Option<Labels>,
    /// CONNECT requests end here; `None` passes them on.
    pub connect_config: Option<ConnectConfig>,
    /// Which circuit-breaker limits count: true for `HIGH`.
    pub high_priority: bool,
    /// By what filters limit requests.
    pub rate_limits: Vec<RateLimit>,
    /// Whether those of the virtual host count as well, whatever a filter says.
    pub include_vh_rate_limits: bool,
    /// The older place of what the filter cors is told (`cors`).
    pub cors: Option<Box<ExtensionConfig>>,
}

/// `RouteAction.UpgradeConfig.ConnectConfig`: the bytes of a request's stream go to a host as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectConfig {
    /// Those of POST requests do, too.
    pub allow_post: bool,
    /// The version, 1 or 2, of the PROXY protocol's header that they begin with.
    pub proxy_protocol: Option<u8>,
}

/// `RouteAction.MaxStreamDuration`; zero means no limit in each of its fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MaxStreamDuration {
    /// Longest life of a stream; `None` leaves the connection manager's.
    pub max_stream_duration: Option<Duration>,
    /// With it the header `grpc-timeout` says how long, this at most.
    pub grpc_timeout_header_max: Option<Duration>,
    /// Taken off what the header says.
    pub grpc_timeout_header_offset: Option<Duration>,
}

/// Time for a response when a route says nothing.
pub const DEFAULT_ROUTE_TIMEOUT: Duration = Duration::from_secs(15);

/// `RouteAction.cluster_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterSpecifier {
    /// One cluster.
    Cluster(String),
    /// One of several, by weight.
    Weighted(WeightedClusters),
    /// The cluster that this request header names.
    Header(String),
    /// The cluster that a tree of conditions leads to.
    Matcher(Arc<MatchTree<String>>),
}

/// `envoy.config.route.v3.WeightedCluster`
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedClusters {
    /// The clusters.
    pub clusters: Vec<WeightedCluster>,
    /// Header that holds the number to choose by, instead of a random one.
    pub header_name: Option<String>,
    /// Choose by the route's hash, where a request has one, instead of a random number.
    pub use_hash_policy: bool,
}

/// `WeightedCluster.ClusterWeight`
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedCluster {
    /// The cluster, or the request header that names it.
    pub cluster: ClusterSpecifier,
    /// Its share of the sum of weights, where the runtime says nothing.
    pub weight: u32,
    /// The weight's key in the runtime, `<runtime_key_prefix>.<name>`; `None` without a prefix.
    pub runtime_key: Option<String>,
    /// Changes to requests and responses that go there.
    pub headers: HeaderMutations,
    /// For HTTP filters (`typed_per_filter_config`).
    pub filter_configs: FilterConfigs,
    /// Host put in; the route's own rewrite otherwise.
    pub host_rewrite_literal: Option<String>,
    /// What the metadata of hosts has to be, that of the route included; `None` leaves it to the route.
    pub metadata_match: Option<Labels>,
}

/// How a path is changed before it is forwarded.
#[derive(Clone, Debug, PartialEq)]
pub enum PathRewrite {
    /// What the match took is replaced by this.
    Prefix(String),
    /// What matches in the path without its query is replaced.
    Regex(Substitution),
    /// The path without its query is replaced by what this renders, unless that is empty.
    Format(Format),
    /// The path without its query is made of the variables of the template that matched.
    Template(UriRewrite),
}

/// How the host is changed before a request is forwarded.
#[derive(Clone, Debug, PartialEq)]
pub enum HostRewrite {
    /// `host_rewrite_literal`
    Literal(String),
    /// `auto_host_rewrite`: the chosen host's name.
    Auto,
    /// `host_rewrite_header`: the value of this request header.
    Header(String),
    /// `host_rewrite_path_regex`: the host becomes the path without its query, what matches in it replaced.
    PathRegex(Substitution),
    /// `host_rewrite`: what this renders, unless that is empty; what is not there leaves a dash.
    Format(Format),
}

/// `envoy.config.route.v3.RedirectAction`
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// How the scheme changes.
    pub scheme: SchemeRedirect,
    /// Host to put in.
    pub host_redirect: Option<String>,
    /// Port to put in.
    pub port_redirect: Option<u16>,
    /// How the path changes.
    pub path: Option<PathRedirect>,
    /// 301, 302, 303, 307 or 308.
    pub response_code: u16,
    /// Drop the query.
    pub strip_query: bool,
}

/// `RedirectAction.scheme_rewrite_specifier`
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SchemeRedirect {
    /// Stays.
    #[default]
    Keep,
    /// `https_redirect`
    Https,
    /// `scheme_redirect`
    Scheme(String),
}

/// `RedirectAction.path_rewrite_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum PathRedirect {
    /// The whole path.
    Path(String),
    /// Only what the match took, or by regular expression.
    Rewrite(PathRewrite),
    /// `path_rewrite`: the whole path, unless what this renders is empty.
    Format(Format),
}

/// `envoy.config.route.v3.DirectResponseAction`
#[derive(Clone, Debug, PartialEq)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status: u16,
    /// The body; files are read when the configuration is.
    pub body: bytes::Bytes,
    /// The file that the body is in from then on: `body.watched_directory`. It has the one above while it cannot be read.
    pub body_file: Option<Box<WatchedFile>>,
    /// Makes the body that is sent; in it the one above is `%LOCAL_REPLY_BODY%`. `None` sends that as it is.
    pub body_format: Option<Box<BodyFormat>>,
}

/// Changes to the headers of requests and responses, at one level of the route table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderMutations {
    /// `request_headers_to_add`
    pub request_add: Vec<HeaderValueOption>,
    /// `request_headers_to_remove`, lower case.
    pub request_remove: Vec<String>,
    /// `response_headers_to_add`
    pub response_add: Vec<HeaderValueOption>,
    /// `response_headers_to_remove`, lower case.
    pub response_remove: Vec<String>,
}

/// `envoy.config.core.v3.HeaderValueOption`
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderValueOption {
    /// The header's name, lower case.
    pub name: String,
    /// Its value, with commands.
    pub value: Format,
    /// What happens where the header is there already.
    pub append_action: AppendAction,
    /// Add the header even when its value is empty.
    pub keep_empty_value: bool,
}

/// `HeaderValueOption.HeaderAppendAction`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AppendAction {
    /// Another value beside those there.
    #[default]
    AppendIfExistsOrAdd,
    /// Only where it is not there.
    AddIfAbsent,
    /// In place of those there.
    OverwriteIfExistsOrAdd,
    /// Only where it is there, in its place.
    OverwriteIfExists,
}
