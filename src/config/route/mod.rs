//! Routes: `envoy.config.route.v3.RouteConfiguration`.

mod action;
mod cluster;
mod cluster_plugins;
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
mod priority_groups;
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

use super::extension::ExtensionConfig;
use super::format::FormatSecret;
use super::match_tree::MatchTree;
use super::metadata::Metadata;
use super::source::ConfigSource;
use super::tracing::{Decorator, RouteTracing};

pub use action::{Action, ConnectConfig, DEFAULT_ROUTE_TIMEOUT, MaxStreamDuration, RouteAction};
pub use cluster::{ClusterSpecifier, WeightedCluster, WeightedClusters};
pub use clusters::KnownClusters;
pub use cookies::CookieMatcher;
pub use filter_config::{FilterConfig, FilterConfigs};
pub use hash_policy::{HashCookie, HashKey, HashPolicy};
pub use header_mutation::HeaderMutation;
pub use headers::{AppendAction, HeaderMutations, HeaderValueOption};
pub use internal_redirect::{InternalRedirectPolicy, RedirectPredicate};
pub use match_tree::RouteRange;
pub use matching::{PathMatch, PeerCertificateMatch, RouteMatch};
pub(in crate::config) use mirror::mirror_policy;
pub use mirror::{MirrorCluster, RequestMirrorPolicy};
pub use priority_groups::{GroupsOverride, PriorityGroup, PriorityGroups};
pub(in crate::config) use rate_limit::metadata_path;
pub use rate_limit::{
    Action as RateLimitAction, DescriptorValue, Hits, HitsAddend, Label, MetadataPath, MetadataSource,
    Override as RateLimitOverride, Place as RateLimitPlace, RateLimit, Segment, TokenSource, VhRateLimits,
    XRateLimitOption,
};
pub use reply::{DirectResponse, PathRedirect, Redirect, SchemeRedirect};
pub(in crate::config) use retry::retry_policy;
pub use retry::{RateLimitedBackOff, ResetHeader, RetryBackOff, RetryOn, RetryPolicy};
pub use retry_hosts::HostPredicate;
pub use rewrite::{HostRewrite, PathRewrite};
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
    /// Whether one of its formats writes how long looking for routes takes.
    pub times_routes: bool,
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
