//! Statistics of those who make spans.

use crate::stats;

stats! {
    /// Spans for Zipkin: `tracing.zipkin.`
    pub struct ZipkinStats {
        counter reports_dropped;
        counter reports_failed;
        counter reports_sent;
        counter reports_skipped_no_cluster;
        counter spans_sent;
        counter timer_flushed;
    }
}

stats! {
    /// Spans for OpenTelemetry: `tracing.opentelemetry.`
    pub struct OpenTelemetryStats {
        counter spans_dropped;
        counter spans_sent;
        counter timer_flushed;
    }
}
