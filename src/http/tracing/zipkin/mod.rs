//! Spans for Zipkin: `envoy.config.trace.v3.ZipkinConfig`.
//!
//! - `context`: what headers tell of a trace (B3, W3C); `span`: a span; `json`: spans as Zipkin's second API takes them;
//! - `collector`: where they are sent.

mod collector;
mod config;
mod context;
mod json;
mod span;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::config::bootstrap::Node;
use crate::config::extension::{Extension, read_value as read};
use crate::http::worker::Worker;
use crate::observability::stats::Registry;
use crate::observability::stats::tracing::ZipkinStats;

use super::span::{Beginning, Driver, Kind, Span};
use collector::Collector;
use context::{Found, SpanContext};
use span::{Side, ZipkinSpan};

pub(super) use config::Config;

/// The tracer.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.tracers.zipkin",
    type_name: "envoy.config.trace.v3.ZipkinConfig",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// Compiles it.
pub(super) fn make(config: &Config, registry: &Registry, node: &Arc<Node>) -> Arc<dyn Driver> {
    let stats = ZipkinStats::new(registry, "tracing.zipkin.");
    Arc::new(Zipkin(Arc::new(Collector { config: config.clone(), node: Arc::clone(node), stats })))
}

#[derive(Debug)]
struct Zipkin(Arc<Collector>);

impl Driver for Zipkin {
    fn start(&self, beginning: &Beginning<'_>, worker: &Rc<Worker>) -> Option<Box<dyn Span>> {
        let config = &self.0.config;
        let Found { sampled, context, single } = context::find(beginning.request, config.uses_w3c).ok()?;
        let splits = config.split_spans_for_request || beginning.spawns_upstream_span;
        let side = match (splits, beginning.kind) {
            (true, _) | (false, Kind::Ingress) => Side::Server,
            (false, Kind::Egress) => Side::Client,
        };
        let sampled = sampled.unwrap_or(beginning.traced);
        let host = beginning.request.get(crate::base::headers::Known::Authority).unwrap_or_default();
        let context = match context {
            None => {
                let id = worker.random();
                let (trace_high, trace) = match (config.trace_id_128bit, config.timestamp_trace_ids) {
                    (false, false) => (0, id),
                    (true, false) => (worker.random(), id),
                    (false, true) => (0, stamped(worker.random(), beginning.info.start_time)),
                    (true, true) => (stamped(worker.random(), beginning.info.start_time), id),
                };
                SpanContext { trace_high, trace, id, parent: 0, sampled }
            }
            Some(before) if side == Side::Client || !config.shared_span_context => {
                SpanContext { id: worker.random(), parent: before.id, sampled, ..before }
            }
            Some(before) => SpanContext { sampled, ..before },
        };
        Some(Box::new(ZipkinSpan {
            collector: Arc::clone(&self.0),
            context,
            single,
            side,
            splits,
            egress: beginning.kind == Kind::Egress,
            name: String::from_utf8_lossy(host).into_owned(),
            begun_at: beginning.info.start_time,
            begun: Instant::now(),
            tags: Vec::new(),
            annotations: Vec::new(),
            random: worker.random(),
        }))
    }
}

/// A random number with the second of a moment in its upper half.
fn stamped(random: u64, moment: SystemTime) -> u64 {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    (seconds << 32) | (random & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_number_with_a_time_keeps_half_of_what_is_random() {
        let moment = UNIX_EPOCH + Duration::from_secs(0x6b04_795e);
        assert_eq!(stamped(0x0123_4567_89ab_cdef, moment), 0x6b04_795e_89ab_cdef);
        assert_eq!(stamped(1, UNIX_EPOCH - Duration::from_secs(5)), 1);
    }
}
