//! What the filter is told: `HTTPFault`.

use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::extensions::filters::common::fault::v3 as common;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3;
use envoy_types::pb::envoy::r#type::v3 as type_v3;
use envoy_types::pb::google::protobuf as pb;
use serde_json::{Map, Value};

use crate::base::headers::{Headers, Known};
use crate::config::field::{Scope, open};
use crate::config::matcher::HeaderMatcher;
use crate::config::metadata;
use crate::config::runtime::{Fraction, Values};

/// `HTTPFault`
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http::filters) struct Config {
    /// How requests are delayed.
    pub(super) delay: Option<Fault<Duration>>,
    /// How requests are answered.
    pub(super) abort: Option<Fault<Abort>>,
    /// The text of such answers; `fault filter abort` by default.
    pub(super) abort_body: Bytes,
    /// How fast responses go out: KiB a second, at least 1.
    pub(super) response_rate_limit: Option<Fault<u64>>,
    /// Only requests whose route leads to this cluster; to any when empty.
    upstream_cluster: String,
    /// Only requests that all of these match.
    headers: Vec<HeaderMatcher>,
    /// Only requests of these nodes (`x-envoy-downstream-service-node`); of all when empty.
    downstream_nodes: Vec<String>,
    /// Requests that may suffer a fault at one time, over all workers; `None` means no limit.
    pub(super) max_active_faults: Option<u32>,
    /// What is noted of requests that are delayed or answered, under the name of the filter.
    pub(super) metadata: Option<Map<String, Value>>,
    /// Whether statistics tell the downstream's clusters apart; true by default.
    pub(super) cluster_stats: bool,
    /// The keys of the runtime that change all that.
    pub(super) keys: Keys,
}

/// A fault, and which share of requests suffers it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault<T> {
    percentage: Fraction,
    /// What it is; `None` where each request says it in a header, and may lower the share.
    fixed: Option<T>,
}

/// An answer in place of the host's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Abort {
    /// 200 to 599.
    HttpStatus(u16),
    /// What 200 says to gRPC clients.
    GrpcStatus(u64),
}

/// Keys of the runtime.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Keys {
    pub(super) delay_percent: String,
    pub(super) abort_percent: String,
    pub(super) delay_duration: String,
    pub(super) abort_http_status: String,
    pub(super) abort_grpc_status: String,
    pub(super) max_active_faults: String,
    pub(super) response_rate_limit_percent: String,
}

impl Config {
    pub(super) fn from_proto(message: v3::HttpFault, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HttpFault = message;
            implemented {
                delay, abort, headers, downstream_nodes, max_active_faults, upstream_cluster, response_rate_limit,
                delay_percent_runtime, abort_percent_runtime, delay_duration_runtime, abort_http_status_runtime,
                abort_grpc_status_runtime, max_active_faults_runtime, response_rate_limit_percent_runtime,
                filter_metadata, disable_downstream_cluster_stats,
            }
        }
        let key = |key: String, default: &str| if key.is_empty() { default.to_owned() } else { key };
        let (abort, abort_body) = at.message("abort", abort, aborted).unzip();
        Some(Config {
            delay: at.message("delay", delay, delayed),
            abort: abort.flatten(),
            abort_body: abort_body.unwrap_or_default(),
            response_rate_limit: at.message("response_rate_limit", response_rate_limit, slowed),
            upstream_cluster,
            headers: at.list("headers", headers, HeaderMatcher::from_proto),
            downstream_nodes,
            max_active_faults: max_active_faults.map(|max| max.value),
            metadata: filter_metadata.map(|metadata| fields(metadata).collect()),
            cluster_stats: !disable_downstream_cluster_stats,
            keys: Keys {
                delay_percent: key(delay_percent_runtime, "fault.http.delay.fixed_delay_percent"),
                abort_percent: key(abort_percent_runtime, "fault.http.abort.abort_percent"),
                delay_duration: key(delay_duration_runtime, "fault.http.delay.fixed_duration_ms"),
                abort_http_status: key(abort_http_status_runtime, "fault.http.abort.http_status"),
                abort_grpc_status: key(abort_grpc_status_runtime, "fault.http.abort.grpc_status"),
                max_active_faults: key(max_active_faults_runtime, "fault.http.max_active_faults"),
                response_rate_limit_percent: key(
                    response_rate_limit_percent_runtime,
                    "fault.http.rate_limit.response_percent",
                ),
            },
        })
    }

    /// Whether a request may suffer a fault at all.
    pub(super) fn concerns(&self, request: &Headers, cluster: Option<&str>) -> bool {
        let node = request.get(Known::XEnvoyDownstreamServiceNode).unwrap_or_default();
        (self.upstream_cluster.is_empty() || cluster == Some(&self.upstream_cluster))
            && (self.downstream_nodes.is_empty()
                || self.downstream_nodes.iter().any(|known| known.as_bytes() == node))
            && self.headers.iter().all(|header| header.matches(request))
    }
}

impl<T> Fault<T> {
    fn new(
        percentage: Option<type_v3::FractionalPercent>,
        fixed: Option<T>,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        let none = Fraction { numerator: 0, denominator: 100 };
        let percentage = at.message("percentage", percentage, Fraction::from_proto).unwrap_or(none);
        Some(Fault { percentage, fixed })
    }

    /// What it is for a request; `of_request` reads it off the headers.
    pub(super) fn what(&self, of_request: impl FnOnce() -> Option<T>) -> Option<T>
    where
        T: Copy,
    {
        self.fixed.or_else(of_request)
    }

    /// The share that suffers it: what the runtime says, then what the request says in the header `percentage`, which
    /// cannot raise it.
    pub(super) fn share(&self, key: &str, percentage: &[u8], request: &Headers, runtime: &Values) -> Fraction {
        let told = match self.fixed {
            None => number(request, percentage).and_then(|number| u32::try_from(number).ok()),
            Some(_) => None,
        };
        let numerator = told.map_or(self.percentage.numerator, |told| told.min(self.percentage.numerator));
        runtime.fraction(key, Fraction { numerator, ..self.percentage })
    }
}

fn fields(metadata: pb::Struct) -> impl Iterator<Item = (String, Value)> {
    metadata.fields.into_iter().map(|(key, value)| (key, metadata::to_value(value)))
}

/// The number in a header of a request.
pub(super) fn number(request: &Headers, name: &[u8]) -> Option<u64> {
    std::str::from_utf8(request.get_by_name(name)?).ok()?.trim().parse().ok()
}

fn delayed(message: common::FaultDelay, at: &mut Scope<'_>) -> Option<Fault<Duration>> {
    use common::fault_delay::FaultDelaySecifier;
    open! { at, common::FaultDelay = message; implemented { percentage, fault_delay_secifier } }
    let fixed = match at.required("fault_delay_secifier", fault_delay_secifier)? {
        FaultDelaySecifier::FixedDelay(delay) => Some(at.positive_duration("fixed_delay", Some(delay))?),
        FaultDelaySecifier::HeaderDelay(message) => {
            open! { at, common::fault_delay::HeaderDelay = message; implemented {} }
            None
        }
    };
    Fault::new(percentage, fixed, at)
}

fn aborted(message: v3::FaultAbort, at: &mut Scope<'_>) -> Option<(Option<Fault<Abort>>, Bytes)> {
    use v3::fault_abort::ErrorType;
    open! { at, v3::FaultAbort = message; implemented { percentage, error_type, response_body } }
    let fixed = match at.required("error_type", error_type)? {
        ErrorType::HttpStatus(status) => match u64::from(status).try_into() {
            Ok(status) => Some(status),
            Err(()) => {
                at.field("http_status").violation("value must be inside range [200, 600)");
                return None;
            }
        },
        ErrorType::GrpcStatus(status) => Some(Abort::GrpcStatus(status.into())),
        ErrorType::HeaderAbort(message) => {
            open! { at, v3::fault_abort::HeaderAbort = message; implemented {} }
            None
        }
    };
    let body = match response_body.is_empty() {
        true => Bytes::from_static(b"fault filter abort"),
        false => Bytes::from(response_body),
    };
    Some((Fault::new(percentage, fixed, at), body))
}

/// An HTTP status.
impl TryFrom<u64> for Abort {
    type Error = ();

    fn try_from(status: u64) -> Result<Self, ()> {
        let status = u16::try_from(status).map_err(|_| ())?;
        if (200..600).contains(&status) { Ok(Abort::HttpStatus(status)) } else { Err(()) }
    }
}

fn slowed(message: common::FaultRateLimit, at: &mut Scope<'_>) -> Option<Fault<u64>> {
    use common::fault_rate_limit::{FixedLimit, HeaderLimit, LimitType};
    open! { at, common::FaultRateLimit = message; implemented { percentage, limit_type } }
    let fixed = match at.required("limit_type", limit_type)? {
        LimitType::FixedLimit(message) => {
            let at = &mut at.field("fixed_limit");
            open! { at, FixedLimit = message; implemented { limit_kbps } }
            if limit_kbps == 0 {
                at.field("limit_kbps").violation("value must be greater than or equal to 1");
                return None;
            }
            Some(limit_kbps)
        }
        LimitType::HeaderLimit(message) => {
            open! { at, HeaderLimit = message; implemented {} }
            None
        }
    };
    Fault::new(percentage, fixed, at)
}
