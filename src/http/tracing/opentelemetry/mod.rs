//! Spans for OpenTelemetry: `envoy.config.trace.v3.OpenTelemetryConfig`.
//!
//! - `context`: what headers tell of a trace; `sampler`: which spans are told of; `span`: a span; `typed`: what its
//!   tags are told as;
//! - `message`: what a collector is told (OTLP); `export`, `resource`: who tells; `collector`: how it gets there;
//! - `config`, `extensions`: what is configured.

mod collector;
mod config;
mod context;
mod export;
mod extensions;
mod message;
mod resource;
mod sampler;
mod span;
mod typed;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::headers::{Headers, Known, Name};
use crate::base::random::Rng;
use crate::config::bootstrap::Node;
use crate::config::extension::{Extension, read_value as read};
use crate::config::tracing::ValueType;
use crate::http::worker::Worker;
use crate::observability::attributes::StreamAttributes;
use crate::observability::stats::Registry;
use crate::observability::stats::tracing::OpenTelemetryStats;
use crate::observability::stream_info::TraceIds;

use super::span::{Beginning, Driver, Kind, Span};
use collector::Collector;
use context::{SpanId, TRACEPARENT, TRACESTATE, TraceContext, TraceId};
use sampler::{Candidate, is_sampled};

pub(super) use config::Config;

/// The tracer.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.tracers.opentelemetry",
    type_name: "envoy.config.trace.v3.OpenTelemetryConfig",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// Compiles it.
pub(super) fn make(config: &Config, registry: &Registry, _: &Arc<Node>) -> Arc<dyn Driver> {
    let stats = OpenTelemetryStats::new(registry, "tracing.opentelemetry.");
    Arc::new(OpenTelemetry(Arc::new(Collector::new(config, stats))))
}

#[derive(Debug)]
struct OpenTelemetry(Arc<Collector>);

impl Driver for OpenTelemetry {
    fn start(&self, beginning: &Beginning<'_>, worker: &Rc<Worker>) -> Option<Box<dyn Span>> {
        let Beginning { request, info, traced, .. } = *beginning;
        let parent = request.get_by_name(TRACEPARENT).map(TraceContext::parse);
        let parent = match parent {
            // A trace that cannot be read is nobody's, and its header passes as it is.
            Some(None) => return None,
            Some(parent) => parent,
            None => None,
        };
        let trace_id = parent.map_or_else(|| TraceId(random_trace(worker)), |parent| parent.trace_id);
        let attributes = &StreamAttributes::of_request(request, info);
        let candidate = Candidate { trace_id, parent: parent.as_ref(), attributes };
        let sampler = self.0.config.sampler.as_ref();
        let sampled = is_sampled(sampler, traced, &candidate);
        let forgets = traced && !sampled && sampler.is_some_and(|sampler| !sampler.keeps_trace_state());
        let begun = span::Beginning {
            name: name(beginning),
            kind: kind(beginning),
            at_unix_nano: since_epoch(info.start_time),
            trace_state: parent.filter(|_| !forgets).map_or_else(Rc::default, |_| trace_state(request)),
        };
        let span_id = SpanId(worker.random());
        let span = match parent {
            None => span::Span::root(begun, trace_id, span_id, sampled),
            Some(parent) => span::Span::continued(begun, &parent, span_id, sampled),
        };
        Some(Box::new(LiveSpan { collector: Arc::clone(&self.0), span, random: worker.random() }))
    }
}

/// A span that is not finished, and who is told of it.
#[derive(Debug)]
struct LiveSpan {
    collector: Arc<Collector>,
    span: span::Span,
    /// For the numbers of spans of requests to hosts.
    random: u64,
}

impl Span for LiveSpan {
    fn set_operation(&mut self, name: &str) {
        self.span.rename(name);
    }

    fn set_tag(&mut self, name: &str, value: &str) {
        self.span.tag(name, value);
    }

    fn set_typed_tag(&mut self, name: &str, value: &str, value_type: ValueType) {
        self.span.tag_with(name, value, typed::value(value, value_type));
    }

    fn log(&mut self, at: SystemTime, event: &'static str) {
        self.span.event(since_epoch(at), event);
    }

    fn is_sampled(&self) -> bool {
        self.span.is_sampled()
    }

    fn set_sampled(&mut self, sampled: bool) {
        self.span.set_sampled(sampled);
    }

    fn inject(&self, headers: &mut Headers) {
        // At the end, as in Envoy, whether the request had them or not.
        let mut set = |name, value: &str| {
            headers.remove(Name::new(name));
            headers.append(Name::new(name), value.as_bytes());
        };
        set(TRACEPARENT, &self.span.context().header());
        set(TRACESTATE, self.span.trace_state());
    }

    fn child(&mut self, name: &str, begun: SystemTime) -> Box<dyn Span> {
        let mut random = Rng::seeded(self.random);
        let id = SpanId(random.next_u64());
        self.random = random.next_u64();
        let span = self.span.child(name, since_epoch(begun), id);
        Box::new(LiveSpan { collector: Arc::clone(&self.collector), span, random: random.next_u64() })
    }

    fn ids(&self) -> TraceIds {
        let context = self.span.context();
        let trace = format!("{:032x}", context.trace_id.0).into();
        TraceIds { trace, span: Some(format!("{:016x}", context.span_id.0).into()) }
    }

    fn finish(self: Box<Self>, worker: &Rc<Worker>) {
        let LiveSpan { collector, span, .. } = *self;
        if let Some(span) = span.end(since_epoch(SystemTime::now())) {
            worker.reporters.of(&collector).report(span, worker);
        }
    }
}

fn random_trace(worker: &Worker) -> u128 {
    u128::from(worker.random()) << 64 | u128::from(worker.random())
}

/// What spans are called that nobody names.
fn name(beginning: &Beginning<'_>) -> Cow<'static, str> {
    match beginning.kind {
        Kind::Ingress => Cow::Borrowed("ingress"),
        Kind::Egress => {
            let host = beginning.request.get(Known::Authority).unwrap_or_default();
            Cow::Owned(format!("egress {}", String::from_utf8_lossy(host)))
        }
    }
}

/// A proxy whose requests to hosts have spans of their own is a server, whichever way they go.
fn kind(beginning: &Beginning<'_>) -> message::Kind {
    match beginning.kind {
        Kind::Egress if !beginning.spawns_upstream_span => message::Kind::Client,
        Kind::Egress | Kind::Ingress => message::Kind::Server,
    }
}

/// All lines of `tracestate` as one.
fn trace_state(request: &Headers) -> Rc<str> {
    let lines: Vec<_> = request.get_all(Name::new(TRACESTATE)).map(String::from_utf8_lossy).collect();
    lines.join(",").into()
}

/// Nanoseconds since 1970.
fn since_epoch(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
