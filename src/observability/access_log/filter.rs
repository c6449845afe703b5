//! Which requests are logged, and which local replies a mapper changes.

use std::time::Duration;

use crate::base::headers::Known;
use crate::base::uuid;
use crate::config::access_log::{AccessLogFilter, Comparison, ComparisonOp, MetadataFilter, RuntimeFilter};
use crate::config::runtime::{Draw, Fraction, Values};
use crate::observability::attributes::StreamAttributes;
use crate::observability::format::{Context, grpc_status};
use crate::observability::stream_info::{ResponseFlags, StreamInfo, TraceReason};

/// The gRPC status `UNKNOWN`.
const UNKNOWN: i64 = 2;

/// Whether the filter lets a request through.
pub fn passes(filter: &AccessLogFilter, context: &Context<'_>, draw: Draw<'_>) -> bool {
    let info = context.info;
    match filter {
        AccessLogFilter::StatusCode(comparison) => holds(comparison, info.response_code.into(), draw.runtime),
        AccessLogFilter::Duration(comparison) => holds(comparison, duration(info).as_millis(), draw.runtime),
        AccessLogFilter::Runtime(filter) => is_sampled(filter, context, draw),
        AccessLogFilter::NotHealthCheck => !info.health_check,
        AccessLogFilter::ResponseFlag(flags) if flags.is_empty() => !info.response_flags.is_empty(),
        AccessLogFilter::ResponseFlag(flags) => {
            let mut flags = flags.iter().filter_map(|flag| ResponseFlags::by_name(flag));
            flags.any(|flag| info.response_flags.intersects(flag))
        }
        AccessLogFilter::Header(matcher) => matcher.matches(context.request),
        AccessLogFilter::LogType { types, exclude } => types.contains(&context.log_type.as_str()) != *exclude,
        AccessLogFilter::Metadata(filter) => has_metadata(filter, info),
        AccessLogFilter::GrpcStatus { statuses, exclude } => {
            // A status that cannot be told is unknown.
            let status = grpc_status(context).unwrap_or(UNKNOWN);
            statuses.contains(&status) != *exclude
        }
        // As in Envoy only what a service asks for passes.
        AccessLogFilter::Traceable => info.trace_reason == TraceReason::ServiceForced && !info.health_check,
        AccessLogFilter::Expression(expression) => {
            expression.holds(&StreamAttributes::of(context)) == Ok(true)
        }
        AccessLogFilter::And(filters) => filters.iter().all(|filter| passes(filter, context, draw)),
        AccessLogFilter::Or(filters) => filters.iter().any(|filter| passes(filter, context, draw)),
    }
}

/// Whether the request's metadata is such that it is logged. Inverted or not, what is missing is what the filter says.
fn has_metadata(filter: &MetadataFilter, info: &StreamInfo) -> bool {
    match info.notes().and_then(|notes| notes.metadata(&filter.matcher.path)) {
        None if filter.match_if_key_not_found => true,
        value => filter.matcher.value.matches(value),
    }
}

/// How long the stream has lasted, up to its end if it has ended.
fn duration(info: &StreamInfo) -> Duration {
    info.timing.complete.unwrap_or_else(|| info.start.elapsed())
}

/// Whether a request is of the share that is logged. As in Envoy the number in the runtime is a numerator, and a
/// request with an id is of every share or of none: whoever else sees the id decides alike.
fn is_sampled(filter: &RuntimeFilter, context: &Context<'_>, draw: Draw<'_>) -> bool {
    let Fraction { numerator, denominator } = filter.percent_sampled;
    let id = context.request.get(Known::XRequestId).and_then(uuid::number);
    let number = id.filter(|_| !filter.use_independent_randomness).unwrap_or(draw.random);
    number % u64::from(denominator) < draw.runtime.integer(&filter.runtime_key, numerator.into())
}

fn holds(comparison: &Comparison, value: u128, runtime: &Values) -> bool {
    let with = comparison.value.value(runtime).into();
    match comparison.op {
        ComparisonOp::Eq => value == with,
        ComparisonOp::Ge => value >= with,
        ComparisonOp::Le => value <= with,
        ComparisonOp::Ne => value != with,
    }
}
