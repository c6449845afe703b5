//! What the tracer is told.

use envoy_types::pb::envoy::config::trace::v3;
use v3::zipkin_config::{CollectorEndpointVersion, TraceContextOption};

use crate::config::field::{Scope, open};
use crate::config::http_service::HttpService;

/// `envoy.config.trace.v3.ZipkinConfig`
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http::tracing) struct Config {
    /// The collector's cluster; it need not be there.
    pub(super) collector_cluster: String,
    /// The path of reports.
    pub(super) collector_endpoint: String,
    /// Their host: the cluster's name where none is configured.
    pub(super) collector_hostname: String,
    /// Where it is, in place of these three, and the headers of reports. How long they may take is for the runtime to say.
    pub(super) collector_service: Option<HttpService>,
    /// Traces have numbers of 128 bits, not of 64.
    pub(super) trace_id_128bit: bool,
    /// Numbers of traces begin with the second in which they began, in 32 bits.
    pub(super) timestamp_trace_ids: bool,
    /// Client and server have one span together; true by default.
    pub(super) shared_span_context: bool,
    /// Spans of requests are those of a server, whichever way they go.
    pub(super) split_spans_for_request: bool,
    /// `traceparent` is read where there is no B3, and written beside it.
    pub(super) uses_w3c: bool,
}

impl Config {
    pub(super) fn from_proto(message: v3::ZipkinConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ZipkinConfig = message;
            implemented {
                collector_cluster, collector_endpoint, collector_hostname, trace_id_128bit, shared_span_context,
                split_spans_for_request, collector_endpoint_version, trace_context_option, collector_service,
                timestamp_trace_ids,
            }
        }
        let is_by_address = collector_service.is_some();
        let collector_service = at.message("collector_service", collector_service, HttpService::from_proto);
        for (name, value) in
            [("collector_cluster", &collector_cluster), ("collector_endpoint", &collector_endpoint)]
        {
            if value.is_empty() && !is_by_address {
                at.field(name).error(format!("{name} must be specified when not using collector_service"));
            }
        }
        let (collector_cluster, collector_endpoint, collector_hostname) = match &collector_service {
            Some(HttpService { http_uri, .. }) => {
                (http_uri.cluster.clone(), http_uri.path.clone(), http_uri.host.clone())
            }
            None => (collector_cluster, collector_endpoint, collector_hostname),
        };
        check_version(collector_endpoint_version, at);
        let option = at.enumeration::<TraceContextOption>("trace_context_option", trace_context_option);
        Some(Config {
            collector_hostname: match collector_hostname.is_empty() {
                true => collector_cluster.clone(),
                false => collector_hostname,
            },
            collector_cluster,
            collector_endpoint,
            collector_service,
            trace_id_128bit,
            timestamp_trace_ids,
            shared_span_context: shared_span_context.is_none_or(|shares| shares.value),
            split_spans_for_request,
            uses_w3c: option == TraceContextOption::UseB3WithW3cPropagation,
        })
    }
}

fn check_version(version: i32, at: &mut Scope<'_>) {
    const FIELD: &str = "collector_endpoint_version";
    #[expect(deprecated, reason = "the older version has to be refused")]
    match at.enumeration::<CollectorEndpointVersion>(FIELD, version) {
        CollectorEndpointVersion::HttpJson => {}
        CollectorEndpointVersion::DeprecatedAndUnavailableDoNotUse => at.field(FIELD).error(
            "hidden_envoy_deprecated_HTTP_JSON_V1 has been deprecated. Please use a non-default \
             envoy::config::trace::v3::ZipkinConfig::CollectorEndpointVersion value.",
        ),
        CollectorEndpointVersion::HttpProto | CollectorEndpointVersion::Grpc => {
            at.reject(FIELD, "spans are sent as JSON: HTTP_JSON");
        }
    }
}
