//! Access logs: `envoy.config.accesslog.v3.AccessLog`.

mod filter;
mod from_proto;

use std::path::PathBuf;

use super::cel::Expression;
use super::format::SubstitutionFormat;
use super::runtime::{Fraction, RuntimeUInt32};
use super::value_matcher::MetadataMatcher;

/// One access log as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// Where lines go.
    pub sink: AccessLogSink,
    /// How a line looks.
    pub format: SubstitutionFormat,
    /// Which requests are logged; all when `None`.
    pub filter: Option<AccessLogFilter>,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccessLogSink {
    /// `envoy.extensions.access_loggers.file.v3.FileAccessLog`
    File(PathBuf),
    /// `envoy.extensions.access_loggers.stream.v3.StdoutAccessLog`
    Stdout,
    /// `envoy.extensions.access_loggers.stream.v3.StderrAccessLog`
    Stderr,
}

/// `envoy.config.accesslog.v3.AccessLogFilter`
#[derive(Clone, Debug, PartialEq)]
pub enum AccessLogFilter {
    /// `status_code_filter`
    StatusCode(Comparison),
    /// `duration_filter`, in milliseconds.
    Duration(Comparison),
    /// `not_health_check_filter`
    NotHealthCheck,
    /// `response_flag_filter`: any of these, or any at all when empty.
    ResponseFlag(Vec<String>),
    /// `header_filter`
    Header(super::matcher::HeaderMatcher),
    /// `runtime_filter`
    Runtime(RuntimeFilter),
    /// `log_type_filter`
    LogType {
        /// Names of `envoy.data.accesslog.v3.AccessLogType`.
        types: Vec<&'static str>,
        /// All others are logged, not these.
        exclude: bool,
    },
    /// `metadata_filter`
    Metadata(MetadataFilter),
    /// `grpc_status_filter`
    GrpcStatus {
        /// The numbers of statuses.
        statuses: Vec<i64>,
        /// All others are logged, not these.
        exclude: bool,
    },
    /// `traceable_filter`: requests whose tracing was forced. There are none, as nothing is traced.
    Traceable,
    /// `extension_filter` with `envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter`: it is true.
    Expression(Expression),
    /// `and_filter`
    And(Vec<AccessLogFilter>),
    /// `or_filter`
    Or(Vec<AccessLogFilter>),
}

/// `envoy.config.accesslog.v3.MetadataFilter`
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataFilter {
    /// What is asked of the request's dynamic metadata.
    pub matcher: MetadataMatcher,
    /// Log where there is no such metadata; true by default.
    pub match_if_key_not_found: bool,
}

/// `envoy.config.accesslog.v3.ComparisonFilter`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Comparison {
    /// How to compare.
    pub op: ComparisonOp,
    /// With what.
    pub value: RuntimeUInt32,
}

/// `envoy.config.accesslog.v3.RuntimeFilter`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuntimeFilter {
    /// The key in the runtime, whose value takes the place of the numerator.
    pub runtime_key: String,
    /// The share that is logged, where the runtime says nothing.
    pub percent_sampled: Fraction,
    /// Draw a number for each decision, instead of taking it from the request's id where there is one.
    pub use_independent_randomness: bool,
}

/// `ComparisonFilter.Op`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComparisonOp {
    /// Equal.
    Eq,
    /// Greater or equal.
    Ge,
    /// Less or equal.
    Le,
    /// Not equal.
    Ne,
}
