//! HTTP towards a cluster's hosts: `envoy.extensions.upstreams.http.v3.HttpProtocolOptions`, and the older fields
//! of the cluster that it replaces.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::upstreams::http::v3;
use envoy_types::pb::google::protobuf as pb;

use super::{Cluster, ErrorMatcher, NamesByRequest};
use crate::config::extension;
use crate::config::extension_source::ExtensionConfigSource;
use crate::config::field::{Scope, open};
use crate::config::http_connection_manager::HttpFilter;
use crate::config::http_connection_manager::http_filters::{self, Side};
use crate::config::protocol::{
    DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_HEADERS_COUNT, DEFAULT_MAX_HEADERS_KB, Http1Options, Http2Options,
    LongestLife, MAX_HEADERS_KB,
};
use crate::config::route::{self, HashPolicy, RequestMirrorPolicy, RetryPolicy};

/// The key of the options in `typed_extension_protocol_options`.
const KEY: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Why HTTP/3 is refused.
const NO_HTTP3: &str = "HTTP/3 is not served";

/// The deprecated fields of the cluster.
pub(super) struct Older {
    pub(super) common_http_protocol_options: Option<core::HttpProtocolOptions>,
    pub(super) http_protocol_options: Option<core::Http1ProtocolOptions>,
    pub(super) http2_protocol_options: Option<core::Http2ProtocolOptions>,
    pub(super) upstream_http_protocol_options: Option<core::UpstreamHttpProtocolOptions>,
    pub(super) protocol_selection: i32,
    pub(super) max_requests_per_connection: Option<pb::UInt32Value>,
}

/// HTTP towards a cluster's hosts, by whichever of the two ways it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpProtocolOptions {
    /// Protocol spoken to hosts.
    pub protocol: UpstreamProtocol,
    /// Idle time after which an upstream connection closes; `None` means never; 1 hour by default.
    pub idle_timeout: Option<Duration>,
    /// Requests on one connection before it is closed; `None` means no limit.
    pub max_requests_per_connection: Option<u32>,
    /// Longest life of an upstream connection; `None` means no limit.
    pub max_connection_duration: Option<LongestLife>,
    /// Longest time of a stream to a host; `None` means no limit.
    pub max_stream_duration: Option<Duration>,
    /// What takes the place of what routes say.
    pub policies: RequestPolicies,
    /// What is an error of a host to outlier detection, in place of statuses from 500.
    pub error_matcher: Option<Box<ErrorMatcher>>,
    /// Response headers accepted; 100 by default.
    pub max_response_headers_count: u32,
    /// Kibibytes of response headers accepted; 60 by default.
    pub max_response_headers_kb: u32,
    /// What requests pass once a host is chosen for them; the last is the codec. Empty where that is left to the router.
    pub http_filters: Box<[HttpFilter]>,
    /// What requests say of who their hosts have to be; `None` where they say nothing.
    pub names_by_request: Option<Box<NamesByRequest>>,
}

/// What a cluster says of requests to it, in the place of their routes; the fields of `HttpProtocolOptions` with these
/// names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestPolicies {
    /// Whether and how requests are tried again; `None` leaves it to the route.
    pub retry_policy: Option<Box<RetryPolicy>>,
    /// What of a request is hashed; empty leaves it to the route.
    pub hash_policy: Vec<HashPolicy>,
    /// Where copies of a request go; empty leaves it to the route.
    pub request_mirror_policies: Vec<RequestMirrorPolicy>,
}

/// The protocol spoken to a cluster's hosts: `HttpProtocolOptions.upstream_protocol_options`.
#[derive(Clone, Debug, PartialEq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1
    Http1(Http1Options),
    /// HTTP/2 with prior knowledge.
    Http2(Http2Options),
    /// The protocol of the downstream request.
    UseDownstream(Http1Options, Http2Options),
    /// What the host chooses by ALPN.
    Auto(Http1Options, Http2Options),
}

impl Older {
    /// The same with what Envoy says where the names of hosts are those that requests bring, and nothing is said of them.
    pub(super) fn verifying_names(self, specifier: Option<&ClusterDiscoveryType>) -> Self {
        let usual = || super::discovery::is_named_by_requests(specifier).then(all_names);
        // As in Envoy, which sets them in the older message, the options by type come without them.
        let names = self.upstream_http_protocol_options.or_else(usual);
        Older { upstream_http_protocol_options: names, ..self }
    }
}

/// What clusters ask of names whose hosts have those that requests bring, unless they say otherwise.
pub(super) fn all_names() -> core::UpstreamHttpProtocolOptions {
    core::UpstreamHttpProtocolOptions { auto_sni: true, auto_san_validation: true, ..Default::default() }
}

impl Cluster {
    /// Its HTTP filters of which configurations are discovered, by name, and where those come from.
    pub fn discovered_filters(&self) -> impl Iterator<Item = (&str, &Arc<ExtensionConfigSource>)> {
        self.http.http_filters.iter().filter_map(HttpFilter::discovered)
    }

    /// Whether there are any.
    pub fn discovers_filters(&self) -> bool {
        self.discovered_filters().next().is_some()
    }
}

impl HttpProtocolOptions {
    /// From the options by type if they are there, else from the older fields, as in Envoy.
    pub(super) fn from_proto(typed: HashMap<String, pb::Any>, older: Older, at: &mut Scope<'_>) -> Self {
        let options = typed_options(typed, at);
        // Taken in both cases: the deprecated field of the cluster and the one of the options mean the same.
        let max_requests = older.max_requests_per_connection.as_ref().map(|max| max.value);
        let mut http = match options {
            Some(Options { common, protocol, policies, error_matcher, http_filters, names_by_request }) => {
                let plain = Self::new(protocol).with_common(common, at);
                HttpProtocolOptions { policies, error_matcher, http_filters, names_by_request, ..plain }
            }
            None => {
                let protocol = older_protocol(
                    older.http_protocol_options,
                    older.http2_protocol_options,
                    older.protocol_selection,
                    at,
                );
                let names_by_request = at.message(
                    "upstream_http_protocol_options",
                    older.upstream_http_protocol_options,
                    NamesByRequest::from_proto,
                );
                let plain = Self::new(protocol).with_common(older.common_http_protocol_options, at);
                HttpProtocolOptions {
                    names_by_request: names_by_request.and_then(NamesByRequest::if_any),
                    ..plain
                }
            }
        };
        http.max_requests_per_connection =
            http.max_requests_per_connection.or(max_requests.filter(|max| *max > 0));
        http
    }

    /// With nothing configured but the protocol.
    pub fn new(protocol: UpstreamProtocol) -> Self {
        HttpProtocolOptions {
            protocol,
            idle_timeout: Some(DEFAULT_IDLE_TIMEOUT),
            max_requests_per_connection: None,
            max_connection_duration: None,
            max_stream_duration: None,
            policies: RequestPolicies::default(),
            error_matcher: None,
            max_response_headers_count: DEFAULT_MAX_HEADERS_COUNT,
            max_response_headers_kb: DEFAULT_MAX_HEADERS_KB,
            http_filters: Box::default(),
            names_by_request: None,
        }
    }

    fn with_common(mut self, common: Option<core::HttpProtocolOptions>, at: &mut Scope<'_>) -> Self {
        if let Some(common) = common {
            self.read_common(common, &mut at.field("common_http_protocol_options"));
        }
        self
    }

    fn read_common(&mut self, message: core::HttpProtocolOptions, at: &mut Scope<'_>) {
        open! { at, core::HttpProtocolOptions = message;
            implemented {
                idle_timeout, max_connection_duration, max_connection_duration_jitter, max_headers_count,
                max_response_headers_kb, max_requests_per_connection, max_stream_duration,
            }
            ignored { headers_with_underscores_action: "as in Envoy it concerns requests from downstream only" }
        }
        self.idle_timeout = at.timeout("idle_timeout", idle_timeout, self.idle_timeout);
        self.max_connection_duration =
            LongestLife::from_proto(max_connection_duration, max_connection_duration_jitter, at);
        self.max_stream_duration = at.timeout("max_stream_duration", max_stream_duration, None);
        if let Some(count) = at.within("max_headers_count", max_headers_count, 1..=u32::MAX) {
            self.max_response_headers_count = count;
        }
        if let Some(size) = at.within("max_response_headers_kb", max_response_headers_kb, 1..=MAX_HEADERS_KB)
        {
            self.max_response_headers_kb = size;
        }
        self.max_requests_per_connection =
            max_requests_per_connection.map(|max| max.value).filter(|max| *max > 0);
    }
}

/// The options by type.
struct Options {
    common: Option<core::HttpProtocolOptions>,
    protocol: UpstreamProtocol,
    policies: RequestPolicies,
    error_matcher: Option<Box<ErrorMatcher>>,
    http_filters: Box<[HttpFilter]>,
    names_by_request: Option<Box<NamesByRequest>>,
}

/// The options by type, if they are there; every other key is an error.
fn typed_options(typed: HashMap<String, pb::Any>, at: &mut Scope<'_>) -> Option<Options> {
    let mut options = None;
    // In order, so that errors come in the same order each time.
    for (key, any) in typed.into_iter().collect::<BTreeMap<_, _>>() {
        let mut at = at.key("typed_extension_protocol_options", &key);
        if key != KEY {
            at.unsupported(format!(
                "Didn't find a registered network or http filter or protocol options implementation for name: \
                 '{key}'; known: {KEY}"
            ));
            continue;
        }
        if let Some(message) = extension::read(any, &mut at) {
            options = protocol_options(message, &mut at);
        }
    }
    options
}

fn protocol_options(message: v3::HttpProtocolOptions, at: &mut Scope<'_>) -> Option<Options> {
    use v3::http_protocol_options::UpstreamProtocolOptions as Specifier;
    open! { at, v3::HttpProtocolOptions = message;
        implemented {
            common_http_protocol_options, upstream_protocol_options, http_filters, request_mirror_policies,
            hash_policy, retry_policy, outlier_detection, upstream_http_protocol_options,
        }
        rejected {
            header_validation_config: "as in Envoy's releases header validators are not built in",
        }
    }
    let names_by_request = at.message(
        "upstream_http_protocol_options",
        upstream_http_protocol_options,
        NamesByRequest::from_proto,
    );
    let names_by_request = names_by_request.and_then(NamesByRequest::if_any);
    let http_filters = http_filters::from_proto(Side::Cluster, "http_filters", http_filters, at);
    let policies = RequestPolicies {
        retry_policy: at.message("retry_policy", retry_policy, route::retry_policy).map(Box::new),
        hash_policy: at.list("hash_policy", hash_policy, HashPolicy::from_proto),
        request_mirror_policies: at.list(
            "request_mirror_policies",
            request_mirror_policies,
            route::mirror_policy,
        ),
    };
    let protocol = match at.required("upstream_protocol_options", upstream_protocol_options)? {
        Specifier::ExplicitHttpConfig(config) => explicit(config, &mut at.field("explicit_http_config"))?,
        Specifier::UseDownstreamProtocolConfig(config) => {
            use_downstream(config, &mut at.field("use_downstream_protocol_config"))
        }
        Specifier::AutoConfig(config) => auto(config, &mut at.field("auto_config")),
    };
    let error_matcher =
        at.message("outlier_detection", outlier_detection, ErrorMatcher::of_options).map(Box::new);
    let (common, http_filters) = (common_http_protocol_options, http_filters.into());
    Some(Options { common, protocol, policies, error_matcher, http_filters, names_by_request })
}

fn explicit(
    message: v3::http_protocol_options::ExplicitHttpConfig,
    at: &mut Scope<'_>,
) -> Option<UpstreamProtocol> {
    use v3::http_protocol_options::ExplicitHttpConfig;
    use v3::http_protocol_options::explicit_http_config::ProtocolConfig;
    open! { at, ExplicitHttpConfig = message; implemented { protocol_config } }
    match at.required("protocol_config", protocol_config)? {
        ProtocolConfig::HttpProtocolOptions(options) => {
            Http1Options::from_proto(options, &mut at.field("http_protocol_options"))
                .map(UpstreamProtocol::Http1)
        }
        ProtocolConfig::Http2ProtocolOptions(options) => {
            Http2Options::from_proto(options, &mut at.field("http2_protocol_options"))
                .map(UpstreamProtocol::Http2)
        }
        ProtocolConfig::Http3ProtocolOptions(_) => {
            at.reject("http3_protocol_options", NO_HTTP3);
            None
        }
    }
}

fn use_downstream(
    message: v3::http_protocol_options::UseDownstreamHttpConfig,
    at: &mut Scope<'_>,
) -> UpstreamProtocol {
    use v3::http_protocol_options::UseDownstreamHttpConfig;
    open! { at, UseDownstreamHttpConfig = message;
        implemented { http_protocol_options, http2_protocol_options }
        ignored { http3_protocol_options: "no downstream connection speaks HTTP/3" }
    }
    UpstreamProtocol::UseDownstream(
        at.message("http_protocol_options", http_protocol_options, Http1Options::from_proto)
            .unwrap_or_default(),
        at.message("http2_protocol_options", http2_protocol_options, Http2Options::from_proto)
            .unwrap_or_default(),
    )
}

fn auto(message: v3::http_protocol_options::AutoHttpConfig, at: &mut Scope<'_>) -> UpstreamProtocol {
    use v3::http_protocol_options::AutoHttpConfig;
    open! { at, AutoHttpConfig = message;
        implemented { http_protocol_options, http2_protocol_options }
        rejected {
            http3_protocol_options: NO_HTTP3,
            alternate_protocols_cache_options: NO_HTTP3,
        }
    }
    UpstreamProtocol::Auto(
        at.message("http_protocol_options", http_protocol_options, Http1Options::from_proto)
            .unwrap_or_default(),
        at.message("http2_protocol_options", http2_protocol_options, Http2Options::from_proto)
            .unwrap_or_default(),
    )
}

/// The protocol by the older fields: HTTP/2 where its options are there.
fn older_protocol(
    http1: Option<core::Http1ProtocolOptions>,
    http2: Option<core::Http2ProtocolOptions>,
    protocol_selection: i32,
    at: &mut Scope<'_>,
) -> UpstreamProtocol {
    use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterProtocolSelection as Selection;
    let http1 = at.message("http_protocol_options", http1, Http1Options::from_proto).unwrap_or_default();
    let http2 = at.message("http2_protocol_options", http2, Http2Options::from_proto);
    match (at.enumeration("protocol_selection", protocol_selection), http2) {
        (Selection::UseDownstreamProtocol, http2) => {
            UpstreamProtocol::UseDownstream(http1, http2.unwrap_or_default())
        }
        (Selection::UseConfiguredProtocol, Some(http2)) => UpstreamProtocol::Http2(http2),
        (Selection::UseConfiguredProtocol, None) => UpstreamProtocol::Http1(http1),
    }
}
