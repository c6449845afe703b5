//! `envoy.config.cluster.v3.Cluster` to [`Cluster`].

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3;

use super::connection::{Bind, ConnectionOptions};
use super::dns::{ClusterDns, Resolving};
use super::{
    Checker, CircuitBreakers, Cluster, DEFAULT_CONNECT_TIMEOUT, HealthCheck, HttpProtocolOptions,
    OutlierDetection, Preconnect, TransportSockets, UpstreamProtocol, discovery, dynamic_forward_proxy,
    extensions, health_check, hosts, lb, tracked, transport_sockets, upstream_http, upstream_tcp,
};
use crate::config::bootstrap::StatsMatcher;
use crate::config::extension::Extensions;
use crate::config::field::{self, Notes, Scope, open};
use crate::config::metadata::Metadata;
use crate::config::{buffer, dns_resolver};

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
                name, alt_stat_name, cleanup_interval, connect_timeout, upstream_bind_config, upstream_connection_options,
                connection_pool_per_downstream_connection, preconnect_policy, upstream_config, queuing_policies,
                typed_extension_protocol_options, circuit_breakers, health_checks, outlier_detection,
                ignore_health_on_host_removal, close_connections_on_host_health_failure, wait_for_warm_on_init,
                stats_matcher, lrs_report_endpoint_metrics, metadata,
            }
            grouped {
                found: discovery::Given { cluster_discovery_type, eds_cluster_config, load_assignment },
                dns: ClusterDns {
                    dns_refresh_rate, dns_jitter, dns_failure_refresh_rate, respect_dns_ttl, dns_lookup_family,
                },
                resolver: dns_resolver::Given {
                    typed_dns_resolver_config, dns_resolution_config, dns_resolvers, use_tcp_for_dns_lookups,
                },
                balancing: lb::Given {
                    lb_policy, lb_config, load_balancing_policy, common_lb_config, lb_subset_config,
                },
                sockets: transport_sockets::Given {
                    transport_socket, transport_socket_matches, transport_socket_matcher,
                },
                older_http: upstream_http::Older {
                    common_http_protocol_options, http_protocol_options, http2_protocol_options, protocol_selection,
                    upstream_http_protocol_options, max_requests_per_connection,
                },
                buffer: buffer::Given {
                    per_connection_buffer_limit_bytes, per_connection_buffer_high_watermark_timeout,
                },
                tracked: tracked::Given { track_cluster_stats, track_timeout_budgets },
            }
            rejected {
                filters: "the one that there is, reverse_tunnel_lifecycle, is of no use without tunnels of that kind",
            }
            ignored {
                lrs_server: "Envoy does not read it either; load is reported to cluster_manager.load_stats_config",
            }
        }
        let name = at.required_string("name", name);
        let sockets = sockets.read(at);
        at.message("queuing_policies", queuing_policies, extensions::queuing);
        let health_checks = at.list("health_checks", health_checks, HealthCheck::from_proto);
        health_check::check_names(&health_checks, at);
        let mut typed = typed_extension_protocol_options;
        let tcp_idle_timeout = upstream_tcp::idle_timeout(&mut typed, at);
        let health_checks = HealthCheck::with_options(health_checks, &mut typed, at);
        let older_http = older_http.verifying_names(found.cluster_discovery_type.as_ref());
        let http = HttpProtocolOptions::from_proto(typed, older_http, at);
        let verifies_names = http.names_by_request.as_ref().is_some_and(|names| names.is_safe());
        let named = dynamic_forward_proxy::Given { verifies_names, whole };
        let hosts =
            hosts::Given { found, dns: Resolving { dns, resolver }, cleanup_interval, named, balancing };
        let hosts = hosts.read(&name, at)?;
        let bind = at.message("upstream_bind_config", upstream_bind_config, Bind::from_proto);
        let connection = at.or_default(
            "upstream_connection_options",
            upstream_connection_options,
            ConnectionOptions::from_proto,
        );
        check_protocol(&name, &http.protocol, &health_checks, sockets.as_ref(), at);
        let buffer = buffer.read(at);
        Some(Cluster {
            alt_stat_name: Some(alt_stat_name).filter(|name| !name.is_empty()),
            discovery: hosts.discovery?,
            connect_timeout: at
                .positive_duration("connect_timeout", connect_timeout)
                .unwrap_or(DEFAULT_CONNECT_TIMEOUT),
            buffer,
            lb_policy: hosts.lb_policy,
            lb: hosts.lb,
            preconnect: at.or_default("preconnect_policy", preconnect_policy, Preconnect::from_proto),
            transport_sockets: sockets?,
            connection_pool_per_downstream_connection,
            only_http_pools: at.or_default("upstream_config", upstream_config, extensions::only_http_pools),
            circuit_breakers: at.or_default(
                "circuit_breakers",
                circuit_breakers,
                CircuitBreakers::from_proto,
            ),
            http,
            tcp_idle_timeout,
            connection,
            bind: bind.map(Arc::new),
            tracked: tracked.read(at),
            metadata: Metadata::shared(metadata, at),
            stats_matcher: at.message("stats_matcher", stats_matcher, StatsMatcher::from_proto).map(Arc::new),
            reported_metrics: lrs_report_endpoint_metrics.into(),
            health_checks,
            ignore_health_on_host_removal,
            close_connections_on_host_health_failure,
            outlier_detection: at
                .message("outlier_detection", outlier_detection, OutlierDetection::from_proto)
                .map(Box::new),
            wait_for_warm_on_init: wait_for_warm_on_init.is_none_or(|wait| wait.value),
            name,
        })
    }
}

/// Notes what cannot be spoken to hosts, or not agreed on with them.
fn check_protocol(
    name: &str,
    protocol: &UpstreamProtocol,
    health_checks: &[HealthCheck],
    sockets: Option<&TransportSockets>,
    at: &mut Scope<'_>,
) {
    let checked_by_grpc = health_checks.iter().any(|check| matches!(check.checker, Checker::Grpc(_)));
    if checked_by_grpc && matches!(protocol, UpstreamProtocol::Http1(_)) {
        at.error(format!("{name} cluster must support HTTP/2 for gRPC healthchecking"));
    }
    if let (UpstreamProtocol::Auto(..), Some(sockets)) = (protocol, sockets) {
        sockets.check_alpn(name, at);
    }
    if health_checks.iter().any(HealthCheck::agrees) && sockets.is_some_and(TransportSockets::has_plain) {
        at.error(format!(
            "use_alpn_protocol configured for the health check of cluster {name} which has a non-ALPN transport socket"
        ));
    }
}
