//! `envoy.config.route.v3.RouteConfiguration`, its virtual hosts and routes, to their values.

use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3;
use envoy_types::pb::google::protobuf as pb;

use super::cluster_plugins::ClusterPlugins;
use super::headers::{Header, mutations};
use super::hedging::on_per_try_timeout;
use super::match_tree::RouteLeaves;
use super::mirror::{RequestMirrorPolicy, mirror_policy};
use super::retry::retry_policy as from_retry_policy;
use super::{
    Action, FilterConfigs, RequireTls, RetryPolicy, Route, RouteConfiguration, RouteMatch, VirtualCluster,
    VirtualHost, domains,
};
use crate::config::extension::Extensions;
use crate::config::field::{self, Notes, Scope, open};
use crate::config::match_tree::MatchTree;
use crate::config::metadata::Metadata;
use crate::config::tracing::{Decorator, RouteTracing};

/// Bytes of a direct response's body when nothing else is configured.
const DEFAULT_MAX_DIRECT_RESPONSE_BODY_SIZE_BYTES: u32 = 4096;

/// Why extensions that choose or change routes are refused.
const NO_SPECIFIERS: &str = "no route specifier extensions are known";

impl RouteConfiguration {
    /// From the bytes of its proto.
    ///
    /// # Errors
    /// Every error of the resource.
    pub fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<field::Error>> {
        field::parse(bytes, extensions, |message, at| {
            let table = Self::from_proto(message, at)?;
            Some(RouteConfiguration { format_secrets: at.take_secrets(), ..table })
        })
    }

    /// From its proto.
    pub fn from_proto(message: v3::RouteConfiguration, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::RouteConfiguration = message;
            implemented {
                name, virtual_hosts, request_headers_to_add, request_headers_to_remove,
                response_headers_to_add, response_headers_to_remove, most_specific_header_mutations_wins,
                validate_clusters, max_direct_response_body_size_bytes, ignore_port_in_host_matching,
                typed_per_filter_config, metadata, internal_only_headers, vhost_header,
                ignore_path_parameters_in_path_matching, request_mirror_policies,
                cluster_specifier_plugins, vhds,
            }
            rejected { route_specifiers: NO_SPECIFIERS }
        }
        let filter_configs = FilterConfigs::from_proto(typed_per_filter_config, at);
        let of_table = OfTable {
            max_direct_response_body_size_bytes: max_direct_response_body_size_bytes
                .map_or(DEFAULT_MAX_DIRECT_RESPONSE_BODY_SIZE_BYTES, |max| max.value),
            request_mirror_policies: mirror_policies(request_mirror_policies, at),
            cluster_plugins: ClusterPlugins::from_proto(cluster_specifier_plugins, at),
        };
        let table = RouteConfiguration {
            headers: mutations(
                [request_headers_to_add, response_headers_to_add],
                [request_headers_to_remove, response_headers_to_remove],
                at,
            ),
            filter_configs,
            validate_clusters: validate_clusters.map(|validate| validate.value),
            most_specific_header_mutations_wins,
            internal_only_headers: at.list("internal_only_headers", internal_only_headers, Header::name),
            ignore_port_in_host_matching,
            ignore_path_parameters_in_path_matching,
            vhost_header: (!vhost_header.is_empty())
                .then(|| Header::name(vhost_header, &mut at.field("vhost_header")))
                .flatten(),
            metadata: at.message("metadata", metadata, Metadata::from_proto).unwrap_or_default(),
            virtual_hosts: at
                .list("virtual_hosts", virtual_hosts, |host, at| virtual_host(host, &of_table, at)),
            vhds: at.message("vhds", vhds, super::vhds::source),
            format_secrets: Vec::new(),
            // All formats have been read.
            times_routes: at.take_route_timing(),
            name,
        };
        domains::check(&table, at);
        Some(table)
    }
}

impl RouteConfiguration {
    /// Reads the proto of a virtual host that came by itself, for what can be said of it before it is part of its table.
    pub fn read_host(message: v3::VirtualHost, at: &mut Scope<'_>) -> Option<()> {
        let alone = OfTable {
            max_direct_response_body_size_bytes: DEFAULT_MAX_DIRECT_RESPONSE_BODY_SIZE_BYTES,
            request_mirror_policies: Arc::default(),
            cluster_plugins: ClusterPlugins::from_proto(Vec::new(), at),
        };
        virtual_host(message, &alone, at).map(drop)
    }
}

/// What a virtual host takes from its table.
struct OfTable {
    max_direct_response_body_size_bytes: u32,
    request_mirror_policies: Arc<[RequestMirrorPolicy]>,
    cluster_plugins: ClusterPlugins,
}

fn virtual_host(message: v3::VirtualHost, above: &OfTable, at: &mut Scope<'_>) -> Option<VirtualHost> {
    open! { at, v3::VirtualHost = message;
        implemented {
            name, domains, routes, require_tls, request_headers_to_add, request_headers_to_remove,
            response_headers_to_add, response_headers_to_remove, typed_per_filter_config,
            include_request_attempt_count, include_attempt_count_in_response, retry_policy, metadata,
            include_is_timeout_retry_header, per_request_buffer_limit_bytes, request_body_buffer_limit,
            request_mirror_policies, matcher, virtual_clusters, hedge_policy, rate_limits, cors,
        }
        rejected {
            retry_policy_typed_config: "no retry policy extensions are known",
            route_specifiers: NO_SPECIFIERS,
        }
    }
    let filter_configs = FilterConfigs::from_proto(typed_per_filter_config, at);
    if domains.is_empty() {
        at.field("domains").violation("value must contain at least 1 item(s)");
    }
    let inherited = Inherited {
        retry_policy: at.message("retry_policy", retry_policy, from_retry_policy),
        hedge_on_per_try_timeout: at.message("hedge_policy", hedge_policy, on_per_try_timeout),
        body_limit: BodyLimit::new(request_body_buffer_limit, per_request_buffer_limit_bytes),
        max_direct_response_body_size_bytes: above.max_direct_response_body_size_bytes,
        request_mirror_policies: match mirror_policies(request_mirror_policies, at) {
            none if none.is_empty() => Arc::clone(&above.request_mirror_policies),
            policies => policies,
        },
        cluster_plugins: &above.cluster_plugins,
    };
    let mut routes = at.list("routes", routes, |message, at| route(message, &inherited, at));
    if matcher.is_some() && !routes.is_empty() {
        at.error("cannot set both matcher and routes on virtual host");
    }
    let matcher = at.message("matcher", matcher, |message, at| {
        MatchTree::from_proto(message, &mut RouteLeaves { inherited: &inherited, routes: &mut routes }, at)
    });
    Some(VirtualHost {
        name: at.required_string("name", name).into(),
        domains,
        routes,
        matcher: matcher.map(Box::new),
        headers: mutations(
            [request_headers_to_add, response_headers_to_add],
            [request_headers_to_remove, response_headers_to_remove],
            at,
        ),
        filter_configs,
        cors: at.message("cors", cors, super::cors::policy).map(Box::new),
        rate_limits: super::rate_limit::of_route(rate_limits, at),
        virtual_clusters: at.list("virtual_clusters", virtual_clusters, VirtualCluster::from_proto),
        require_tls: match at.enumeration("require_tls", require_tls) {
            v3::virtual_host::TlsRequirementType::None => RequireTls::None,
            v3::virtual_host::TlsRequirementType::ExternalOnly => RequireTls::ExternalOnly,
            v3::virtual_host::TlsRequirementType::All => RequireTls::All,
        },
        include_request_attempt_count,
        include_attempt_count_in_response,
        include_is_timeout_retry_header,
        metadata: Metadata::shared(metadata, at),
    })
}

/// What a route takes from above where it says nothing itself.
pub(super) struct Inherited<'a> {
    retry_policy: Option<RetryPolicy>,
    hedge_on_per_try_timeout: Option<bool>,
    body_limit: BodyLimit,
    max_direct_response_body_size_bytes: u32,
    request_mirror_policies: Arc<[RequestMirrorPolicy]>,
    cluster_plugins: &'a ClusterPlugins,
}

fn mirror_policies(
    messages: Vec<v3::route_action::RequestMirrorPolicy>,
    at: &mut Scope<'_>,
) -> Arc<[RequestMirrorPolicy]> {
    at.list("request_mirror_policies", messages, mirror_policy).into()
}

pub(super) fn route(message: v3::Route, inherited: &Inherited<'_>, at: &mut Scope<'_>) -> Option<Route> {
    open! { at, v3::Route = message;
        implemented {
            name, r#match, action, request_headers_to_add, request_headers_to_remove, response_headers_to_add,
            response_headers_to_remove, metadata, typed_per_filter_config, per_request_buffer_limit_bytes,
            request_body_buffer_limit, stat_prefix, decorator, tracing,
        }
        rejected { route_specifiers: NO_SPECIFIERS }
    }
    let filter_configs = FilterConfigs::from_proto(typed_per_filter_config, at);
    let matcher = at.required("match", r#match);
    let matcher = at.message("match", matcher, RouteMatch::from_proto);
    let headers = mutations(
        [request_headers_to_add, response_headers_to_add],
        [request_headers_to_remove, response_headers_to_remove],
        at,
    );
    let metadata = Metadata::shared(metadata, at);
    let mut action = Action::from_proto(
        at.required("action", action)?,
        matcher.as_ref(),
        inherited.max_direct_response_body_size_bytes,
        inherited.cluster_plugins,
        at,
    )?;
    if let Action::Route(action) = &mut action {
        if action.retry_policy.is_none() {
            action.retry_policy.clone_from(&inherited.retry_policy);
        }
        action.hedge_on_per_try_timeout =
            action.hedge_on_per_try_timeout.or(inherited.hedge_on_per_try_timeout);
        if action.request_mirror_policies.is_empty() {
            action.request_mirror_policies = Arc::clone(&inherited.request_mirror_policies);
        }
    }
    let body_limit = BodyLimit::new(request_body_buffer_limit, per_request_buffer_limit_bytes);
    let body_limit = body_limit.below(inherited.body_limit);
    let name = (!name.is_empty()).then(|| name.into());
    let stat_prefix = (!stat_prefix.is_empty()).then(|| stat_prefix.into());
    Some(Route {
        name,
        matcher: matcher?,
        action,
        headers,
        filter_configs,
        metadata,
        body_limit,
        stat_prefix,
        decorator: at.message("decorator", decorator, Decorator::from_proto).map(Arc::new),
        tracing: at.message("tracing", tracing, RouteTracing::from_proto).map(Arc::new),
    })
}

/// Limits of what is kept of a request's body, as one level has them. The older one counts where neither level has the
/// other.
#[derive(Clone, Copy)]
struct BodyLimit {
    request_body: Option<u64>,
    per_request: Option<u32>,
}

impl BodyLimit {
    fn new(request_body: Option<pb::UInt64Value>, per_request: Option<pb::UInt32Value>) -> Self {
        let (request_body, per_request) =
            (request_body.map(|bytes| bytes.value), per_request.map(|bytes| bytes.value));
        BodyLimit { request_body, per_request }
    }

    /// The limit in force, given that of the level above.
    fn below(self, above: Self) -> Option<u64> {
        let per_request = self.per_request.or(above.per_request).map(u64::from);
        self.request_body.or(above.request_body).or(per_request)
    }
}
