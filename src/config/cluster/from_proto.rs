//! `envoy.config.cluster.v3.Cluster` to [`Cluster`].

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3::UpstreamHttpProtocolOptions;

use super::connection::{Bind, ConnectionOptions};
use super::upstream_http::UpstreamHttp;
use super::{
    Checker, CircuitBreakers, Cluster, DEFAULT_CONNECT_TIMEOUT, HealthCheck, OutlierDetection, Preconnect,
    SocketMatch, SocketMatcher, TrackedStats, UpstreamProtocol, dynamic_forward_proxy, hashing, lb,
    original_dst,
};
use crate::config::bootstrap::StatsMatcher;
use crate::config::buffer::Buffer;
use crate::config::dns_resolver;
use crate::config::extension::Extensions;
use crate::config::field::{self, Notes, Scope, open};
use crate::config::metadata::Metadata;
use crate::config::transport_socket::UpstreamSocket;

impl Cluster {
    /// From the bytes of its proto.
    ///
    /// # Errors
    /// Every error of the resource.
    pub fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<field::Error>> {
        field::parse(bytes, extensions, Self::from_proto)
    }

    /// From its proto.
    pub fn from_proto(message: v3::Cluster, at: &mut Scope<'_>) -> Option<Self> {
        let whole = dynamic_forward_proxy::whole(&message);
        open! { at, v3::Cluster = message;
            implemented {
                name, alt_stat_name, cluster_discovery_type, eds_cluster_config, load_assignment,
                connect_timeout, per_connection_buffer_limit_bytes, per_connection_buffer_high_watermark_timeout, lb_policy, lb_config,
                load_balancing_policy, common_lb_config, lb_subset_config, max_requests_per_connection, circuit_breakers,
                common_http_protocol_options, http_protocol_options, http2_protocol_options,
                protocol_selection, typed_extension_protocol_options, dns_refresh_rate, dns_jitter,
                dns_failure_refresh_rate, respect_dns_ttl, dns_lookup_family, dns_resolvers,
                use_tcp_for_dns_lookups, dns_resolution_config, typed_dns_resolver_config, wait_for_warm_on_init,
                upstream_bind_config, upstream_connection_options, track_cluster_stats, metadata, transport_socket,
                transport_socket_matches, upstream_http_protocol_options, preconnect_policy,
                outlier_detection, health_checks, ignore_health_on_host_removal, cleanup_interval,
                close_connections_on_host_health_failure,
                track_timeout_budgets, lrs_report_endpoint_metrics, stats_matcher, transport_socket_matcher, upstream_config,
                connection_pool_per_downstream_connection, queuing_policies,
            }
            rejected {
                filters: "the one that there is, reverse_tunnel_lifecycle, is of no use without tunnels of that kind",
            }
            ignored {
                lrs_server: "Envoy does not read it either; load is reported to cluster_manager.load_stats_config",
            }
        }
        let name = at.required_string("name", name);
        let socket = UpstreamSocket::from_proto(transport_socket, &mut at.field("transport_socket"));
        let socket_matches =
            at.list("transport_socket_matches", transport_socket_matches, SocketMatch::from_proto);
        let socket_matcher =
            at.message("transport_socket_matcher", transport_socket_matcher, |message, at| {
                SocketMatcher::from_proto(message, &socket_matches, at).map(Box::new)
            });
        at.message("queuing_policies", queuing_policies, super::extensions::queuing);
        let dns = super::discovery::ClusterDns {
            refresh_rate: dns_refresh_rate,
            jitter: dns_jitter,
            failure_refresh_rate: dns_failure_refresh_rate,
            respect_ttl: respect_dns_ttl,
            lookup_family: dns_lookup_family,
            resolver: dns_resolver::Given {
                typed: typed_dns_resolver_config,
                resolution: dns_resolution_config,
                servers: dns_resolvers,
                use_tcp: use_tcp_for_dns_lookups,
            },
        };
        let older = super::upstream_http::Older {
            common: common_http_protocol_options,
            http1: http_protocol_options,
            http2: http2_protocol_options,
            // As in Envoy, which sets them in the older message, the options by type come without them.
            names: upstream_http_protocol_options.or_else(|| {
                super::discovery::is_named_by_requests(cluster_discovery_type.as_ref()).then(all_names)
            }),
            protocol_selection,
            max_requests_per_connection,
        };
        if health_checks.len() > 1 {
            at.field("health_checks").error("Multiple health checks not supported");
        }
        let health_check = at.list("health_checks", health_checks, HealthCheck::from_proto);
        let mut typed = typed_extension_protocol_options;
        let tcp_idle_timeout = super::upstream_tcp::idle_timeout(&mut typed, at);
        let health_check = health_check.into_iter().next().map(|check| {
            let checker = check.checker.with_options(&mut typed, at);
            Box::new(HealthCheck { checker, ..check })
        });
        let http = UpstreamHttp::from_proto(typed, older, at);
        let verifies_names = http.names_by_request.as_ref().is_some_and(|names| names.is_safe());
        let policy_fits = original_dst::check_policy(cluster_discovery_type.as_ref(), lb_policy, at);
        let discovery = super::discovery::from_proto(
            cluster_discovery_type,
            &name,
            super::discovery::Given {
                eds_cluster_config,
                load_assignment,
                dns,
                verifies_names,
                whole,
                original_dst: original_dst::Given {
                    lb_config: lb::original_dst(lb_config.as_ref()),
                    cleanup_interval,
                },
            },
            at,
        );
        hashing::check_names(common_lb_config.as_ref(), discovery.as_ref(), at);
        let balancing =
            lb::Given { lb_policy, lb_config, load_balancing_policy, common_lb_config, lb_subset_config };
        let (lb_policy, lb) = lb::from_proto(&name, balancing, at)?;
        if policy_fits {
            super::discovery::check_provided(&name, discovery.as_ref(), &lb_policy, at);
        }
        let bind = at.message("upstream_bind_config", upstream_bind_config, Bind::from_proto);
        let options = at
            .message(
                "upstream_connection_options",
                upstream_connection_options,
                ConnectionOptions::from_proto,
            )
            .unwrap_or_default();
        let checked_by_grpc =
            health_check.as_ref().is_some_and(|check| matches!(check.checker, Checker::Grpc(_)));
        if checked_by_grpc && matches!(http.protocol, UpstreamProtocol::Http1(_)) {
            at.error(format!("{name} cluster must support HTTP/2 for gRPC healthchecking"));
        }
        if matches!(http.protocol, UpstreamProtocol::Auto(..)) {
            check_alpn(&name, socket.as_ref(), &socket_matches, at);
        }
        let buffer = Buffer::from_fields(
            per_connection_buffer_limit_bytes,
            per_connection_buffer_high_watermark_timeout,
            at,
        );
        Some(Cluster {
            alt_stat_name: Some(alt_stat_name).filter(|name| !name.is_empty()),
            discovery: discovery?,
            connect_timeout: at
                .positive_duration("connect_timeout", connect_timeout)
                .unwrap_or(DEFAULT_CONNECT_TIMEOUT),
            per_connection_buffer_limit_bytes: buffer.limit_bytes,
            per_connection_buffer_high_watermark_timeout: buffer.high_watermark_timeout,
            lb_policy,
            lb,
            preconnect: at
                .message("preconnect_policy", preconnect_policy, Preconnect::from_proto)
                .unwrap_or_default(),
            socket: socket?,
            socket_matches: socket_matches.into(),
            socket_matcher,
            connection_pool_per_downstream_connection,
            only_http_pools: at
                .message("upstream_config", upstream_config, super::extensions::only_http_pools)
                .unwrap_or_default(),
            names_by_request: http.names_by_request,
            circuit_breakers: at
                .message("circuit_breakers", circuit_breakers, CircuitBreakers::from_proto)
                .unwrap_or_default(),
            protocol: http.protocol,
            idle_timeout: http.idle_timeout,
            tcp_idle_timeout,
            max_requests_per_connection: http.max_requests_per_connection,
            max_connection_duration: http.max_connection_duration,
            max_stream_duration: http.max_stream_duration,
            policies: http.policies,
            max_response_headers_count: http.max_response_headers_count,
            max_response_headers_kb: http.max_response_headers_kb,
            http_filters: http.http_filters,
            tcp_keepalive: options.tcp_keepalive,
            happy_eyeballs: options.happy_eyeballs,
            bind: bind.map(Arc::new),
            tracked: TrackedStats::read(track_cluster_stats, track_timeout_budgets, at),
            metadata: Metadata::shared(metadata, at),
            stats_matcher: at.message("stats_matcher", stats_matcher, StatsMatcher::from_proto).map(Arc::new),
            reported_metrics: lrs_report_endpoint_metrics.into(),
            health_check,
            ignore_health_on_host_removal,
            close_connections_on_host_health_failure,
            outlier_detection: at
                .message("outlier_detection", outlier_detection, OutlierDetection::from_proto)
                .map(Box::new),
            error_matcher: http.error_matcher,
            wait_for_warm_on_init: wait_for_warm_on_init.is_none_or(|wait| wait.value),
            name,
        })
    }
}

/// What clusters ask of names whose hosts have those that requests bring, unless they say otherwise.
pub(super) fn all_names() -> UpstreamHttpProtocolOptions {
    UpstreamHttpProtocolOptions { auto_sni: true, auto_san_validation: true, ..Default::default() }
}

/// Notes hosts with which no protocol can be agreed on.
fn check_alpn(name: &str, socket: Option<&UpstreamSocket>, matches: &[SocketMatch], at: &mut Scope<'_>) {
    if socket.is_some_and(|socket| socket.tls.is_none()) {
        at.error(format!("ALPN configured for cluster {name} which has a non-ALPN transport socket"));
    }
    if matches.iter().any(|one| one.socket.tls.is_none()) {
        at.error(format!("ALPN configured for cluster {name} which has a non-ALPN transport socket matcher"));
    }
}
