//! What a route does: `envoy.config.route.v3.RouteAction` and the choice of one.

use std::collections::HashSet;

use envoy_types::pb::envoy::config::core::v3::{self as core, RoutingPriority};
use envoy_types::pb::envoy::config::route::v3;

use super::headers::{Header, mutations};
use super::hedging::on_per_try_timeout;
use super::match_tree::{ClusterPlugins, cluster_plugin};
use super::mirror::mirror_policy;
use super::rate_limit;
use super::retry::retry_policy as from_retry_policy;
use super::rewrite::{PathRewriteFields, host_rewrite};
use super::{
    Action, ClusterSpecifier, ConnectConfig, DEFAULT_ROUTE_TIMEOUT, DirectResponse, FilterConfigs,
    HashPolicy, InternalRedirectPolicy, MaxStreamDuration, PathMatch, Redirect, RouteAction, RouteMatch,
    WeightedCluster, WeightedClusters,
};
use crate::config::field::{Scope, open};
use crate::config::metadata::{Labels, Metadata};
use crate::config::transport_socket::ProxyProtocol;

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
            Message::Route(message) => route_action(message, matcher, plugins, &mut at.field("route"))
                .map(|action| Action::Route(Box::new(action))),
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

fn route_action(
    message: v3::RouteAction,
    matcher: Option<&PathMatch>,
    plugins: &ClusterPlugins,
    at: &mut Scope<'_>,
) -> Option<RouteAction> {
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
    let mut cluster = at
        .required("cluster_specifier", cluster_specifier)
        .and_then(|cluster| specifier(cluster, plugins, at));
    if let (Some(ClusterSpecifier::Weighted(weighted)), Some(of_route)) = (&mut cluster, &metadata_match) {
        for labels in weighted.clusters.iter_mut().filter_map(|member| member.metadata_match.as_mut()) {
            *labels = of_route.merged(labels);
        }
    }
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
        max_stream_duration: at.message("max_stream_duration", max_stream_duration, stream_duration),
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

fn stream_duration(
    message: v3::route_action::MaxStreamDuration,
    at: &mut Scope<'_>,
) -> Option<MaxStreamDuration> {
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

/// `None` without an error for an optional plugin that is not known: as in Envoy its route takes no request.
fn specifier(
    specifier: v3::route_action::ClusterSpecifier,
    plugins: &ClusterPlugins,
    at: &mut Scope<'_>,
) -> Option<ClusterSpecifier> {
    use v3::route_action::ClusterSpecifier as Message;
    match specifier {
        Message::Cluster(name) => Some(ClusterSpecifier::Cluster(at.required_string("cluster", name))),
        Message::ClusterHeader(name) => {
            Header::name(name, &mut at.field("cluster_header")).map(ClusterSpecifier::Header)
        }
        Message::WeightedClusters(message) => {
            weighted_clusters(message, &mut at.field("weighted_clusters")).map(ClusterSpecifier::Weighted)
        }
        Message::ClusterSpecifierPlugin(name) => {
            plugins.get(&name, &mut at.field("cluster_specifier_plugin")).map(ClusterSpecifier::Matcher)
        }
        Message::InlineClusterSpecifierPlugin(message) => {
            cluster_plugin(message, &mut at.field("inline_cluster_specifier_plugin"))
                .map(ClusterSpecifier::Matcher)
        }
    }
}

fn weighted_clusters(message: v3::WeightedCluster, at: &mut Scope<'_>) -> Option<WeightedClusters> {
    use v3::weighted_cluster::RandomValueSpecifier;
    open! { at, v3::WeightedCluster = message;
        implemented { clusters, random_value_specifier, runtime_key_prefix }
        ignored { total_weight: "as in Envoy the sum of the weights counts" }
    }
    let (header_name, use_hash_policy) = match random_value_specifier {
        Some(RandomValueSpecifier::HeaderName(name)) => {
            (Header::name(name, &mut at.field("header_name")), false)
        }
        Some(RandomValueSpecifier::UseHashPolicy(wanted)) => (None, wanted.value),
        None => (None, false),
    };
    if clusters.is_empty() {
        at.field("clusters").violation("value must contain at least 1 item(s)");
    }
    let clusters =
        at.list("clusters", clusters, |message, at| weighted_cluster(message, &runtime_key_prefix, at));
    match clusters.iter().map(|cluster| u64::from(cluster.weight)).sum::<u64>() {
        0 => at.error("Sum of weights in the weighted_cluster must be greater than 0."),
        sum if sum > u64::from(u32::MAX) => {
            let max = u32::MAX;
            at.error(format!("The sum of weights of all weighted clusters of route exceeds {max}"));
        }
        _ => {}
    }
    Some(WeightedClusters { clusters, header_name, use_hash_policy })
}

fn weighted_cluster(
    message: v3::weighted_cluster::ClusterWeight,
    runtime_key_prefix: &str,
    at: &mut Scope<'_>,
) -> Option<WeightedCluster> {
    use v3::weighted_cluster::ClusterWeight;
    use v3::weighted_cluster::cluster_weight::HostRewriteSpecifier;
    open! { at, ClusterWeight = message;
        implemented {
            name, cluster_header, weight, request_headers_to_add, request_headers_to_remove,
            response_headers_to_add, response_headers_to_remove, typed_per_filter_config,
            host_rewrite_specifier, metadata_match,
        }
    }
    let filter_configs = FilterConfigs::from_proto(typed_per_filter_config, at);
    let runtime_key = (!runtime_key_prefix.is_empty()).then(|| format!("{runtime_key_prefix}.{name}"));
    let cluster = match (name.is_empty(), cluster_header.is_empty()) {
        (false, true) => ClusterSpecifier::Cluster(name),
        (true, false) => {
            ClusterSpecifier::Header(Header::name(cluster_header, &mut at.field("cluster_header"))?)
        }
        (true, true) => {
            at.error("At least one of name or cluster_header need to be specified");
            return None;
        }
        (false, false) => {
            at.error("Only one of name or cluster_header can be specified");
            return None;
        }
    };
    let Some(weight) = weight else {
        at.error("Field 'weight' is missing");
        return None;
    };
    let headers = mutations(
        [request_headers_to_add, response_headers_to_add],
        [request_headers_to_remove, response_headers_to_remove],
        at,
    );
    let host_rewrite_literal =
        host_rewrite_specifier.map(|HostRewriteSpecifier::HostRewriteLiteral(host)| host);
    Some(WeightedCluster {
        cluster,
        weight: weight.value,
        runtime_key,
        headers,
        filter_configs,
        host_rewrite_literal,
        metadata_match: labels(metadata_match, at),
    })
}

/// What metadata asks of hosts; `None` where that is nothing.
fn labels(message: Option<core::Metadata>, at: &mut Scope<'_>) -> Option<Labels> {
    let metadata = at.message("metadata_match", message, Metadata::from_proto)?;
    Labels::of(&metadata)
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
