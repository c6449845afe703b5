//! Which requests are logged, and which local replies a mapper changes.

use std::time::Duration;

use crate::config::access_log::{AccessLogFilter, Comparison, ComparisonOp};
use crate::observability::format::Context;
use crate::observability::stream_info::{ResponseFlags, StreamInfo};

/// Whether the filter lets a request through.
pub fn passes(filter: &AccessLogFilter, context: &Context<'_>) -> bool {
    let info = context.info;
    match filter {
        AccessLogFilter::StatusCode(comparison) => holds(comparison, info.response_code.into()),
        AccessLogFilter::Duration(comparison) => holds(comparison, duration(info).as_millis()),
        AccessLogFilter::NotHealthCheck => !info.health_check,
        AccessLogFilter::ResponseFlag(flags) if flags.is_empty() => !info.response_flags.is_empty(),
        AccessLogFilter::ResponseFlag(flags) => {
            let mut flags = flags.iter().filter_map(|flag| ResponseFlags::by_name(flag));
            flags.any(|flag| info.response_flags.intersects(flag))
        }
        AccessLogFilter::Header(matcher) => matcher.matches(context.request),
        AccessLogFilter::And(filters) => filters.iter().all(|filter| passes(filter, context)),
        AccessLogFilter::Or(filters) => filters.iter().any(|filter| passes(filter, context)),
    }
}

/// How long the stream has lasted, up to its end if it has ended.
fn duration(info: &StreamInfo) -> Duration {
    info.timing.complete.unwrap_or_else(|| info.start.elapsed())
}

fn holds(comparison: &Comparison, value: u128) -> bool {
    let with = comparison.value.into();
    match comparison.op {
        ComparisonOp::Eq => value == with,
        ComparisonOp::Ge => value >= with,
        ComparisonOp::Le => value <= with,
        ComparisonOp::Ne => value != with,
    }
}
