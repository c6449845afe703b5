//! What a route does: `envoy.config.route.v3.RouteAction` and the choice of one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{self as core, RoutingPriority};
use envoy_types::pb::envoy::config::route::v3;

use super::cluster::{ClusterSpecifier, labels};
use super::cluster_plugins::ClusterPlugins;
use super::hedging::on_per_try_timeout;
use super::mirror::mirror_policy;
use super::rate_limit;
use super::retry::retry_policy as from_retry_policy;
use super::rewrite::{PathRewriteFields, host_rewrite};
use super::{
    DirectResponse, HashPolicy, HostRewrite, InternalRedirectPolicy, PathMatch, PathRewrite, RateLimit,
    Redirect, RequestMirrorPolicy, RetryPolicy, RouteMatch,
};
use crate::config::extension::ExtensionConfig;
use crate::config::field::{Scope, open};
use crate::config::metadata::Labels;
use crate::config::transport_socket::ProxyProtocol;

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

impl Action {
    pub(super) fn from_proto(
        action: v3::route::Action,
        matcher: Option<&RouteMatch>,
        max_direct_response_body: u32,
        plugins: &ClusterPlugins,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::route::Action as Message;
        let matcher = matcher.map(|matcher| &matcher.path);
        match action {
            Message::Route(message) => {
                RouteAction::from_proto(message, matcher, plugins, &mut at.field("route"))
                    .map(|action| Action::Route(Box::new(action)))
            }
            Message::Redirect(message) => Redirect::from_proto(message, matcher, &mut at.field("redirect"))
                .map(|redirect| Action::Redirect(Box::new(redirect))),
            Message::DirectResponse(message) => DirectResponse::from_proto(
                message,
                max_direct_response_body,
                &mut at.field("direct_response"),
            )
            .map(Action::DirectResponse),
            Message::NonForwardingAction(message) => {
                open! { at, v3::NonForwardingAction = message; implemented {} }
                Some(Action::NonForwarding)
            }
            Message::FilterAction(_) => {
                at.reject("filter_action", "no filter that is served answers to it");
                None
            }
        }
    }
}

impl RouteAction {
    fn from_proto(
        message: v3::RouteAction,
        matcher: Option<&PathMatch>,
        plugins: &ClusterPlugins,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, v3::RouteAction = message;
            implemented {
                cluster_specifier, cluster_not_found_response_code, prefix_rewrite, regex_rewrite,
                host_rewrite_specifier, append_x_forwarded_host, timeout, idle_timeout, retry_policy, priority,
                upgrade_configs, max_stream_duration, max_grpc_timeout, grpc_timeout_offset, path_rewrite_policy,
                path_rewrite, hash_policy, request_mirror_policies, internal_redirect_policy,
                internal_redirect_action, max_internal_redirects, metadata_match, hedge_policy, rate_limits,
                flush_timeout,
                include_vh_rate_limits, cors,
            }
            rejected {
                retry_policy_typed_config: "no retry policy extensions are known",
            }
            ignored {
                early_data_policy: "it concerns HTTP/3, which is not served",
            }
        }
        let metadata_match = labels(metadata_match, at);
        let cluster = at
            .required("cluster_specifier", cluster_specifier)
            .and_then(|cluster| ClusterSpecifier::from_proto(cluster, plugins, metadata_match.as_ref(), at));
        let rewrites = PathRewriteFields { prefix_rewrite, regex_rewrite, path_rewrite, path_rewrite_policy };
        let internal_redirects = match internal_redirect_policy {
            Some(policy) => {
                at.message("internal_redirect_policy", Some(policy), InternalRedirectPolicy::from_proto)
            }
            None => InternalRedirectPolicy::deprecated(internal_redirect_action, max_internal_redirects, at),
        };
        let idle_timeout_set = idle_timeout.is_some();
        let idle_timeout = at.timeout("idle_timeout", idle_timeout, None);
        Some(RouteAction {
            cluster_not_found_response_code: not_found_status(cluster_not_found_response_code, at),
            path_rewrite: rewrites.read(matcher, at),
            host_rewrite: host_rewrite_specifier.and_then(|specifier| host_rewrite(specifier, at)),
            append_x_forwarded_host,
            timeout: at.timeout("timeout", timeout, Some(DEFAULT_ROUTE_TIMEOUT)),
            idle_timeout: idle_timeout_set.then_some(idle_timeout),
            flush_timeout: flush_timeout.map(|timeout| at.timeout("flush_timeout", Some(timeout), None)),
            max_stream_duration: at.message(
                "max_stream_duration",
                max_stream_duration,
                MaxStreamDuration::from_proto,
            ),
            max_grpc_timeout: at.duration("max_grpc_timeout", max_grpc_timeout),
            grpc_timeout_offset: at.duration("grpc_timeout_offset", grpc_timeout_offset),
            retry_policy: at.message("retry_policy", retry_policy, from_retry_policy),
            hedge_on_per_try_timeout: at.message("hedge_policy", hedge_policy, on_per_try_timeout),
            request_mirror_policies: at
                .list("request_mirror_policies", request_mirror_policies, mirror_policy)
                .into(),
            internal_redirect_policy: internal_redirects.map(Box::new),
            connect_config: connect_config(&upgrade_configs, at),
            upgrade_configs: upgrades(upgrade_configs, at),
            hash_policy: at.list("hash_policy", hash_policy, HashPolicy::from_proto),
            metadata_match,
            high_priority: at.enumeration::<RoutingPriority>("priority", priority) == RoutingPriority::High,
            rate_limits: rate_limit::of_route(rate_limits, at),
            include_vh_rate_limits: include_vh_rate_limits.is_some_and(|include| include.value),
            cors: at.message("cors", cors, super::cors::policy).map(Box::new),
            cluster: cluster?,
        })
    }
}

impl MaxStreamDuration {
    fn from_proto(message: v3::route_action::MaxStreamDuration, at: &mut Scope<'_>) -> Option<Self> {
        use v3::route_action::MaxStreamDuration as Message;
        open! { at, Message = message;
            implemented { max_stream_duration, grpc_timeout_header_max, grpc_timeout_header_offset }
        }
        Some(MaxStreamDuration {
            max_stream_duration: at.duration("max_stream_duration", max_stream_duration),
            grpc_timeout_header_max: at.duration("grpc_timeout_header_max", grpc_timeout_header_max),
            grpc_timeout_header_offset: at.duration("grpc_timeout_header_offset", grpc_timeout_header_offset),
        })
    }
}

fn upgrades(messages: Vec<v3::route_action::UpgradeConfig>, at: &mut Scope<'_>) -> Vec<(String, bool)> {
    let mut seen = HashSet::new();
    at.list("upgrade_configs", messages, |message, at| {
        let name = message.upgrade_type.clone();
        let upgrade = upgrade_config(message, at)?;
        if !seen.insert(upgrade.0.clone()) {
            at.error(format!("Duplicate upgrade {name}"));
        }
        Some(upgrade)
    })
}

/// The type in lower case, and whether it is allowed here.
fn upgrade_config(message: v3::route_action::UpgradeConfig, at: &mut Scope<'_>) -> Option<(String, bool)> {
    use v3::route_action::UpgradeConfig;
    open! { at, UpgradeConfig = message;
        implemented { upgrade_type, enabled, connect_config }
    }
    if connect_config.is_some() && !is_connect(&upgrade_type) {
        at.error(format!("Non-CONNECT upgrade type {upgrade_type} has ConnectConfig"));
    }
    let upgrade_type = at.required_string("upgrade_type", upgrade_type).to_ascii_lowercase();
    Some((upgrade_type, enabled.is_none_or(|enabled| enabled.value)))
}

fn is_connect(upgrade_type: &str) -> bool {
    upgrade_type.eq_ignore_ascii_case("CONNECT") || upgrade_type.eq_ignore_ascii_case("CONNECT-UDP")
}

/// How CONNECT requests end here, if they do.
fn connect_config(upgrades: &[v3::route_action::UpgradeConfig], at: &mut Scope<'_>) -> Option<ConnectConfig> {
    use v3::route_action::upgrade_config;
    let with_config = upgrades.iter().enumerate();
    let (index, message) = with_config
        .filter_map(|(index, upgrade)| {
            Some((index, upgrade.connect_config.clone().filter(|_| is_connect(&upgrade.upgrade_type))?))
        })
        .next_back()?;
    let mut at = at.index("upgrade_configs", index);
    let at = &mut at.field("connect_config");
    open! { at, upgrade_config::ConnectConfig = message;
        implemented { allow_post, proxy_protocol_config }
    }
    let proxy_protocol = at.message("proxy_protocol_config", proxy_protocol_config, proxy_protocol);
    Some(ConnectConfig { allow_post, proxy_protocol })
}

/// The version of the header that tells whose stream it is.
fn proxy_protocol(message: core::ProxyProtocolConfig, at: &mut Scope<'_>) -> Option<u8> {
    let config = ProxyProtocol::from_proto(message, at)?;
    if !config.added.is_empty() || config.pass_through.has_any() {
        at.note("ignored: as in Envoy the header of a CONNECT tells addresses alone, without added_tlvs and pass_through_tlvs");
    }
    Some(config.version)
}

fn not_found_status(code: i32, at: &mut Scope<'_>) -> u16 {
    use v3::route_action::ClusterNotFoundResponseCode as Code;
    match at.enumeration("cluster_not_found_response_code", code) {
        Code::ServiceUnavailable => 503,
        Code::NotFound => 404,
        Code::InternalServerError => 500,
    }
}
