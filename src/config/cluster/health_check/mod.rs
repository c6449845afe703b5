//! `envoy.config.core.v3.HealthCheck` to [`HealthCheck`].

mod custom;
mod grpc;
mod http;
mod payload;
mod redis;
mod thrift;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::extensions::health_check::event_sinks::file::v3::HealthCheckEventFileSink;

use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::metadata::Metadata;
use crate::config::newer::envoy::config::core::v3 as newer;
use crate::config::transport_socket::ProxyProtocol;

use super::socket_match;

pub use http::{Codec, HttpHealthCheck, StatusRange};
pub use payload::Payload;
pub use redis::{RedisCredentials, RedisHealthCheck};
pub use thrift::{ThriftHealthCheck, ThriftProtocol, ThriftTransport};

/// Time between two checks of a host in a cluster that had no traffic when nothing else is configured.
const DEFAULT_NO_TRAFFIC_INTERVAL: Duration = Duration::from_secs(60);

/// How hosts are asked whether they are well: `Cluster.health_checks`.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// Which of a cluster's checks it is: its statistics are told by that. Each has another where there are several; else
    /// often empty.
    pub name: String,
    /// How long a check may take; more than zero.
    pub timeout: Duration,
    /// When the next check is due.
    pub intervals: Intervals,
    /// Checks in a row that have to fail for a healthy host to be unhealthy. An answer that says so needs no other.
    pub unhealthy_threshold: u32,
    /// Checks in a row that have to pass for an unhealthy host to be healthy. The first of all needs no other.
    pub healthy_threshold: u32,
    /// Whether one connection serves all checks of a host; true by default.
    pub reuse_connection: bool,
    /// Protocols that checks over TLS offer in place of those of the cluster; none leaves it to that.
    pub alpn_protocols: Vec<Vec<u8>>,
    /// What hosts say of how they are spoken to, in place of what they say themselves.
    pub transport_socket_match: Option<Metadata>,
    /// Where changes of health are logged.
    pub event_logs: Vec<PathBuf>,
    /// Whether each check that fails is logged, and not only those that change something.
    pub always_log_failures: bool,
    /// Whether each check of an unhealthy host that passes is logged.
    pub always_log_success: bool,
    /// What is asked.
    pub checker: Checker,
}

/// Times between the end of a check and the begin of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Of a healthy host.
    pub interval: Duration,
    /// Of an unhealthy host; `interval` by default.
    pub unhealthy: Duration,
    /// Of a healthy host whose last check failed; `unhealthy` by default.
    pub unhealthy_edge: Duration,
    /// Of an unhealthy host whose last check passed; `interval` by default.
    pub healthy_edge: Duration,
    /// In place of all of them while the cluster has had no traffic; 60 s by default.
    pub no_traffic: Duration,
    /// In place of that for healthy hosts; `no_traffic` by default.
    pub no_traffic_healthy: Duration,
    /// A random time up to this before the first check.
    pub initial_jitter: Duration,
    /// A random time up to this is added to each.
    pub jitter: Duration,
    /// A random share of up to so many percent is added to each.
    pub jitter_percent: u32,
}

/// What is asked of a host.
#[derive(Clone, Debug, PartialEq)]
pub enum Checker {
    /// A request.
    Http(Box<HttpHealthCheck>),
    /// A call of `grpc.health.v1.Health/Check`.
    Grpc(Box<HttpHealthCheck>),
    /// A connection, and what is said on it.
    Tcp {
        /// What is sent; nothing is where this is empty.
        send: Vec<u8>,
        /// What has to come, in this order, with whatever between; nothing has to where this is empty.
        receive: Payload,
        /// The header of the PROXY protocol that each check begins with, on a connection that was kept too, if any.
        proxied: Option<Box<ProxyProtocol>>,
    },
    /// A command of Redis.
    Redis(Box<RedisHealthCheck>),
    /// A call by Thrift.
    Thrift(Box<ThriftHealthCheck>),
    /// A datagram.
    Udp {
        /// What is sent; at least one byte.
        send: Vec<u8>,
        /// The datagram that has to come; others are passed over.
        receive: Vec<u8>,
    },
}

impl HealthCheck {
    /// From its proto.
    pub fn from_proto(message: v3::HealthCheck, at: &mut Scope<'_>) -> Option<Self> {
        use v3::health_check::HealthChecker;
        open! { at, v3::HealthCheck = message;
            implemented {
                timeout, interval, initial_jitter, interval_jitter, interval_jitter_percent, unhealthy_threshold,
                healthy_threshold, reuse_connection, no_traffic_interval, no_traffic_healthy_interval,
                unhealthy_interval, unhealthy_edge_interval, healthy_edge_interval, event_log_path, event_logger,
                always_log_health_check_failures, always_log_health_check_success, health_checker, tls_options,
                transport_socket_match_criteria,
            }
            ignored {
                alt_port: "Envoy does not read it either; health_check_config of an endpoint has a port",
                event_service: "Envoy does not read it either; event_logger has the sinks of events",
            }
        }
        open! { at, newer::HealthCheck = at.newer(); implemented { name } }
        let timeout = at.required("timeout", timeout);
        let timeout = at.positive_duration("timeout", timeout);
        let interval = at.required("interval", interval);
        let interval = at.positive_duration("interval", interval);
        let unhealthy_threshold = at.required("unhealthy_threshold", unhealthy_threshold);
        let healthy_threshold = at.required("healthy_threshold", healthy_threshold);
        let no_traffic = at
            .positive_duration("no_traffic_interval", no_traffic_interval)
            .unwrap_or(DEFAULT_NO_TRAFFIC_INTERVAL);
        let no_traffic_healthy = at
            .positive_duration("no_traffic_healthy_interval", no_traffic_healthy_interval)
            .unwrap_or(no_traffic);
        let unhealthy = at.positive_duration("unhealthy_interval", unhealthy_interval);
        let unhealthy_edge = at.positive_duration("unhealthy_edge_interval", unhealthy_edge_interval);
        let healthy_edge = at.positive_duration("healthy_edge_interval", healthy_edge_interval);
        let initial_jitter = at.duration("initial_jitter", initial_jitter).unwrap_or_default();
        let jitter = at.duration("interval_jitter", interval_jitter).unwrap_or_default();
        let mut event_logs: Vec<PathBuf> =
            Some(event_log_path).filter(|path| !path.is_empty()).map(PathBuf::from).into_iter().collect();
        event_logs.extend(at.list("event_logger", event_logger, file_sink));
        let checker = match at.required("health_checker", health_checker)? {
            HealthChecker::HttpHealthCheck(check) => {
                let check = HttpHealthCheck::from_proto(check, &mut at.field("http_health_check"));
                check.map(|check| Checker::Http(Box::new(check)))
            }
            HealthChecker::TcpHealthCheck(check) => tcp(check, &mut at.field("tcp_health_check")),
            HealthChecker::GrpcHealthCheck(check) => {
                let check = grpc::from_proto(check, &mut at.field("grpc_health_check"));
                check.map(|check| Checker::Grpc(Box::new(check)))
            }
            HealthChecker::CustomHealthCheck(custom) => {
                custom::from_proto(custom, &mut at.field("custom_health_check"))
            }
        }?;
        let interval = interval?;
        let unhealthy = unhealthy.unwrap_or(interval);
        Some(HealthCheck {
            name,
            timeout: timeout?,
            intervals: Intervals {
                interval,
                unhealthy,
                unhealthy_edge: unhealthy_edge.unwrap_or(unhealthy),
                healthy_edge: healthy_edge.unwrap_or(interval),
                no_traffic,
                no_traffic_healthy,
                initial_jitter,
                jitter,
                jitter_percent: interval_jitter_percent,
            },
            unhealthy_threshold: unhealthy_threshold?.value,
            healthy_threshold: healthy_threshold?.value,
            reuse_connection: reuse_connection.is_none_or(|reuse| reuse.value),
            alpn_protocols: at.message("tls_options", tls_options, alpn_protocols).unwrap_or_default(),
            transport_socket_match: transport_socket_match_criteria.map(socket_match::said),
            event_logs,
            always_log_failures: always_log_health_check_failures,
            always_log_success: always_log_health_check_success,
            checker,
        })
    }
}

impl HealthCheck {
    /// Whether it speaks what a host agrees to over TLS.
    pub(super) fn agrees(&self) -> bool {
        matches!(&self.checker, Checker::Http(check) if check.use_alpn_protocol)
    }
}

/// Several checks of a cluster are told apart by their names.
pub(super) fn check_names(checks: &[HealthCheck], at: &mut Scope<'_>) {
    if checks.len() < 2 {
        return;
    }
    let mut names = HashSet::new();
    for (index, HealthCheck { name, .. }) in checks.iter().enumerate() {
        let mut at = at.index("health_checks", index);
        if name.is_empty() {
            at.error(format!(
                "health check at index {index} is missing a name; all health checks must have a name when multiple \
                 health checks are configured"
            ));
        } else if !names.insert(name) {
            at.error(format!(
                "duplicate health check name '{name}' at index {index}; all health check names must be unique within \
                 a cluster"
            ));
        }
    }
}

fn tcp(message: v3::health_check::TcpHealthCheck, at: &mut Scope<'_>) -> Option<Checker> {
    use v3::health_check::TcpHealthCheck;
    open! { at, TcpHealthCheck = message;
        implemented { send, receive, proxy_protocol_config }
    }
    let send = at.message("send", send, payload::bytes).unwrap_or_default();
    let proxied = at.message("proxy_protocol_config", proxy_protocol_config, ProxyProtocol::from_proto);
    let proxied = proxied.map(Box::new);
    Some(Checker::Tcp { send, receive: Payload::from_proto(receive, at), proxied })
}

fn alpn_protocols(message: v3::health_check::TlsOptions, at: &mut Scope<'_>) -> Option<Vec<Vec<u8>>> {
    use v3::health_check::TlsOptions;
    open! { at, TlsOptions = message; implemented { alpn_protocols } }
    Some(alpn_protocols.into_iter().map(String::into_bytes).collect())
}

/// The file of an event sink.
fn file_sink(message: v3::TypedExtensionConfig, at: &mut Scope<'_>) -> Option<PathBuf> {
    const FILE: &str = "envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink";
    open! { at, v3::TypedExtensionConfig = message; implemented { name, typed_config } }
    let any = typed_config.unwrap_or_default();
    let type_name = extension::contained_type(&any);
    if type_name != FILE {
        at.unsupported(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; known: {FILE}"
        ));
        return None;
    }
    let mut at = at.field("typed_config");
    let message: HealthCheckEventFileSink = extension::read(any, &mut at)?;
    open! { at, HealthCheckEventFileSink = message; implemented { event_log_path } }
    Some(PathBuf::from(at.required_string("event_log_path", event_log_path)))
}
