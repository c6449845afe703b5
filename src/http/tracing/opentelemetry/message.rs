//! The messages of OTLP that tell of spans: `opentelemetry.proto.collector.trace.v1` and `opentelemetry.proto.trace.v1`,
//! in the parts of them that are used.

use envoy_types::pb::opentelemetry::proto::common::v1::any_value::Value;
use envoy_types::pb::opentelemetry::proto::common::v1::{AnyValue, KeyValue};

/// The call that a collector is told with.
pub(super) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// `ExportTraceServiceRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportRequest {
    /// The spans of each resource.
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_spans: Vec<ResourceSpans>,
}

/// `ExportTraceServiceResponse`: nobody reads what it says.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportResponse {}

/// `ResourceSpans`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResourceSpans {
    /// Who tells; left out where nothing is known of it.
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    /// What is told.
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_spans: Vec<ScopeSpans>,
}

/// `Resource`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Resource {
    /// What is known of it.
    #[prost(message, repeated, tag = "1")]
    pub(super) attributes: Vec<KeyValue>,
}

/// `ScopeSpans`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScopeSpans {
    /// What made the spans; left out where the configuration says so.
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<Scope>,
    /// The spans, in the order of their ends.
    #[prost(message, repeated, tag = "2")]
    pub(super) spans: Vec<Span>,
}

/// `InstrumentationScope`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Scope {
    /// Its name.
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

/// `Span`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Span {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) span_id: Vec<u8>,
    /// As it came in `tracestate`.
    #[prost(string, tag = "3")]
    pub(super) trace_state: String,
    /// 8 bytes; empty for a span that has none above.
    #[prost(bytes = "vec", tag = "4")]
    pub(super) parent_span_id: Vec<u8>,
    /// The operation.
    #[prost(string, tag = "5")]
    pub(super) name: String,
    /// Which side of the request it is on: a `Kind`.
    #[prost(int32, tag = "6")]
    pub(super) kind: i32,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub(super) start_time_unix_nano: u64,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "8")]
    pub(super) end_time_unix_nano: u64,
    /// What is known of the request.
    #[prost(message, repeated, tag = "9")]
    pub(super) attributes: Vec<KeyValue>,
    /// What happened on the way.
    #[prost(message, repeated, tag = "11")]
    pub(super) events: Vec<Event>,
    /// How it went; left out where nothing went wrong.
    #[prost(message, optional, tag = "15")]
    pub(super) status: Option<Status>,
    /// The flags of the trace, and above them whether the span above was another's.
    #[prost(fixed32, tag = "16")]
    pub(super) flags: u32,
}

/// `Span.Event`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Event {
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "1")]
    pub(super) time_unix_nano: u64,
    /// What it was.
    #[prost(string, tag = "2")]
    pub(super) name: String,
}

/// `Status`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    /// 2 where it went wrong.
    #[prost(int32, tag = "3")]
    pub(super) code: i32,
}

/// `Span.SpanKind`, as far as a proxy needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request that is taken in.
    Server = 2,
    /// A request that is sent out.
    Client = 3,
}

/// An attribute.
pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    let value = AnyValue { value: Some(value) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}
