//! The configuration: `envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3;
use envoy_types::pb::envoy::r#type::v3 as type_v3;

use crate::config::access_log::AccessLog;
use crate::config::field::{Scope, open};
use crate::config::on_demand_cds::OnDemandCds;

use super::route::{self, Route};
use super::tlvs::Tlvs;
use super::tunneling::Tunneling;

/// How long a connection may idle where nothing is configured.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_hours(1);
/// How long a connection waits for its cluster where nothing is configured.
const DEFAULT_DISCOVERY_TIMEOUT: Duration = Duration::from_mins(1);
/// The shortest times that some fields may have.
const MILLISECOND: Duration = Duration::from_millis(1);

/// Bytes that may be read before there is a host.
const MAX_EARLY_DATA: u32 = 1 << 20;

/// A TCP proxy as configured.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::network) struct Config {
    /// What follows `tcp.` in the names of statistics.
    pub(super) stat_prefix: String,
    /// Where connections go.
    pub(super) route: Route,
    /// `on_demand`: where clusters come from that are not there; `None` where they do not come.
    pub(super) on_demand: Option<Arc<OnDemandCds>>,
    /// What hosts are told in headers of the PROXY protocol beside what the client's own said; `None` for nothing.
    pub(super) tlvs: Option<Tlvs>,
    /// When a host is connected to.
    pub(super) connect_mode: ConnectMode,
    /// Reading stops when more bytes came before there is a host; `None` where none are read.
    pub(super) max_early_data_bytes: Option<u32>,
    /// Whether connections end when something passes while the listener drains.
    pub(super) check_drain_close: bool,
    /// How connections are tunnelled; `None` where they are not.
    pub(super) tunneling: Option<Tunneling>,
    /// How long no byte may pass; `None` means no limit; an hour by default.
    pub(super) idle_timeout: Option<Duration>,
    /// How long a connection may last; `None` means no limit.
    pub(super) max_duration: Option<MaxDuration>,
    /// How often a connection to a host is tried; 1 by default.
    pub(super) max_connect_attempts: u32,
    /// The pauses between attempts; `None` for none.
    pub(super) back_off: Option<BackOff>,
    /// What always leads to the same host.
    pub(super) hash_policy: Option<HashKey>,
    /// Where connections are logged.
    pub(super) access_log: Vec<AccessLog>,
    /// When they are, beside their end.
    pub(super) log_moments: LogMoments,
}

/// `upstream_connect_mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectMode {
    /// At once.
    Immediate,
    /// When the client has sent something.
    OnDownstreamData,
    /// When TLS is spoken; at once where it is not.
    OnDownstreamTlsHandshake,
}

impl ConnectMode {
    fn from_proto(mode: i32, at: &mut Scope<'_>) -> Self {
        use v3::UpstreamConnectMode as Message;
        match at.enumeration("upstream_connect_mode", mode) {
            Message::Immediate => ConnectMode::Immediate,
            Message::OnDownstreamData => ConnectMode::OnDownstreamData,
            Message::OnDownstreamTlsHandshake => ConnectMode::OnDownstreamTlsHandshake,
        }
    }
}

/// `max_downstream_connection_duration`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MaxDuration {
    /// At least so long.
    pub(super) duration: Duration,
    /// Percent of that by which it may last longer, drawn for each connection.
    pub(super) jitter: f64,
}

impl MaxDuration {
    /// How long a connection may last for which `drawn`, from 0 to below 1, is drawn.
    pub(super) fn of(self, drawn: f64) -> Duration {
        self.duration.saturating_add(self.duration.mul_f64(drawn * self.jitter / 100.0))
    }
}

/// `backoff_options`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BackOff {
    pub(super) base: Duration,
    pub(super) max: Duration,
}

/// `hash_policy`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HashKey {
    /// The client's IP address.
    SourceIp,
    /// The object of the filter state with this name, if it is one that is hashed.
    FilterState(String),
}

/// `access_log_options`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogMoments {
    /// When the connection has come.
    pub(super) on_start: bool,
    /// When there is one to a host.
    pub(super) on_connected: bool,
    /// Each time that so long is over; `None` never.
    pub(super) interval: Option<Duration>,
}

impl Config {
    pub(super) fn from_proto(message: v3::TcpProxy, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::TcpProxy = message;
            implemented {
                stat_prefix, cluster_specifier, metadata_match, idle_timeout, access_log, max_connect_attempts,
                backoff_options, hash_policy, max_downstream_connection_duration,
                max_downstream_connection_duration_jitter_percentage, access_log_flush_interval,
                flush_access_log_on_connected, access_log_options, on_demand, tunneling_config,
                upstream_connect_mode, max_early_data_bytes, check_drain_close, proxy_protocol_tlvs,
                proxy_protocol_tlv_merge_policy,
            }
            ignored {
                downstream_idle_timeout: "no version of Envoy reads it",
                upstream_idle_timeout: "no version of Envoy reads it",
            }
        }
        let metadata_match = at.message("metadata_match", metadata_match, route::labels);
        let before = LogMoments {
            on_start: false,
            on_connected: flush_access_log_on_connected,
            interval: at_least_a_millisecond("access_log_flush_interval", access_log_flush_interval, at),
        };
        let max_early_data_bytes = at.within("max_early_data_bytes", max_early_data_bytes, 0..=MAX_EARLY_DATA);
        let connect_mode = ConnectMode::from_proto(upstream_connect_mode, at);
        if connect_mode != ConnectMode::Immediate && max_early_data_bytes.is_none() {
            at.error("max_early_data_bytes must be set when upstream_connect_mode is not IMMEDIATE");
        }
        Some(Config {
            connect_mode,
            max_early_data_bytes,
            check_drain_close: check_drain_close.is_some_and(|check| check.value),
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            route: Route::from_proto(cluster_specifier, metadata_match, at)?,
            tlvs: Tlvs::from_proto(proxy_protocol_tlvs, proxy_protocol_tlv_merge_policy, at),
            on_demand: at.message("on_demand", on_demand, clusters_on_demand).map(Arc::new),
            tunneling: at.message("tunneling_config", tunneling_config, Tunneling::from_proto),
            idle_timeout: at.timeout("idle_timeout", idle_timeout, Some(DEFAULT_IDLE_TIMEOUT)),
            max_duration: max_duration(
                max_downstream_connection_duration,
                max_downstream_connection_duration_jitter_percentage,
                at,
            ),
            max_connect_attempts: at
                .within("max_connect_attempts", max_connect_attempts, 1..=u32::MAX)
                .unwrap_or(1),
            back_off: at.message("backoff_options", backoff_options, back_off),
            hash_policy: at.list("hash_policy", hash_policy, hash_key).pop(),
            access_log: at.list("access_log", access_log, AccessLog::from_proto),
            log_moments: match access_log_options {
                None => before,
                Some(_) if before != LogMoments::default() => {
                    at.error(
                        "Only one of deprecated access log options or access_log_options can be specified",
                    );
                    return None;
                }
                options => at.message("access_log_options", options, log_moments)?,
            },
        })
    }
}

/// Where clusters come from that are not there; `None` where they do not come.
fn clusters_on_demand(message: v3::tcp_proxy::OnDemand, at: &mut Scope<'_>) -> Option<OnDemandCds> {
    use v3::tcp_proxy::OnDemand;
    open! { at, OnDemand = message;
        implemented { odcds_config, timeout }
        rejected { resources_locator: "collections of xdstp resources are not served: give odcds_config alone" }
    }
    OnDemandCds::of("odcds_config", odcds_config?, timeout, DEFAULT_DISCOVERY_TIMEOUT, at)
}

fn max_duration(
    duration: Option<envoy_types::pb::google::protobuf::Duration>,
    jitter: Option<type_v3::Percent>,
    at: &mut Scope<'_>,
) -> Option<MaxDuration> {
    let jitter = at.percent("max_downstream_connection_duration_jitter_percentage", jitter);
    let duration = at_least_a_millisecond("max_downstream_connection_duration", duration, at)?;
    Some(MaxDuration { duration, jitter: jitter.unwrap_or(0.0) })
}

fn at_least_a_millisecond(
    name: &str,
    value: Option<envoy_types::pb::google::protobuf::Duration>,
    at: &mut Scope<'_>,
) -> Option<Duration> {
    let duration = at.duration(name, value)?;
    if duration < MILLISECOND {
        at.field(name).violation("value must be greater than or equal to 1ms");
        return None;
    }
    Some(duration)
}

fn back_off(message: core::BackoffStrategy, at: &mut Scope<'_>) -> Option<BackOff> {
    open! { at, core::BackoffStrategy = message; implemented { base_interval, max_interval } }
    let base = at.required("base_interval", base_interval);
    let base = at_least_a_millisecond("base_interval", base, at)?;
    let max = at.positive_duration("max_interval", max_interval).unwrap_or(base.saturating_mul(10));
    if max < base {
        at.error("max_backoff must be greater or equal to base_backoff");
        return None;
    }
    Some(BackOff { base, max })
}

fn hash_key(message: type_v3::HashPolicy, at: &mut Scope<'_>) -> Option<HashKey> {
    use type_v3::hash_policy::{FilterState, PolicySpecifier, SourceIp};
    open! { at, type_v3::HashPolicy = message; implemented { policy_specifier } }
    match at.required("policy_specifier", policy_specifier)? {
        PolicySpecifier::SourceIp(source) => {
            let mut at = at.field("source_ip");
            open! { at, SourceIp = source; implemented {} }
            Some(HashKey::SourceIp)
        }
        PolicySpecifier::FilterState(state) => {
            let mut at = at.field("filter_state");
            open! { at, FilterState = state; implemented { key } }
            Some(HashKey::FilterState(at.required_string("key", key)))
        }
    }
}

fn log_moments(message: v3::tcp_proxy::TcpAccessLogOptions, at: &mut Scope<'_>) -> Option<LogMoments> {
    use v3::tcp_proxy::TcpAccessLogOptions;
    open! { at, TcpAccessLogOptions = message;
        implemented { access_log_flush_interval, flush_access_log_on_connected, flush_access_log_on_start }
    }
    Some(LogMoments {
        on_start: flush_access_log_on_start,
        on_connected: flush_access_log_on_connected,
        interval: at_least_a_millisecond("access_log_flush_interval", access_log_flush_interval, at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::extension::Extensions;
    use crate::config::field::read;

    #[test]
    fn a_connection_may_last_longer_by_the_share_that_is_drawn_for_it() {
        let duration = Duration::from_secs(10);
        let lasts = |jitter: Option<f64>, drawn| {
            let percent = jitter.map(|value| type_v3::Percent { value });
            let duration = Some(envoy_types::pb::google::protobuf::Duration { seconds: 10, nanos: 0 });
            let read = read(&Extensions::BUILT_IN, |at| max_duration(duration, percent, at));
            read.expect("a duration").0.of(drawn)
        };
        assert_eq!([lasts(None, 0.5), lasts(Some(0.0), 0.5), lasts(Some(40.0), 0.0)], [duration; 3]);
        assert_eq!(lasts(Some(40.0), 0.5), Duration::from_secs(12));
        assert_eq!(lasts(Some(100.0), 0.5), Duration::from_secs(15));
    }
}
