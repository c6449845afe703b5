//! A span for Zipkin.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::base::headers::Headers;
use crate::base::random::Rng;
use crate::http::tracing::span::Span;
use crate::http::worker::Worker;
use crate::observability::stream_info::TraceIds;

use super::collector::Collector;
use super::context::SpanContext;

/// A span that is not finished.
#[derive(Debug)]
pub(super) struct ZipkinSpan {
    pub(super) collector: Arc<Collector>,
    pub(super) context: SpanContext,
    /// Whether B3 is one header.
    pub(super) single: bool,
    pub(super) side: Side,
    /// Whether the sides are those of this proxy, whichever way requests go.
    pub(super) splits: bool,
    pub(super) egress: bool,
    pub(super) name: String,
    pub(super) begun_at: SystemTime,
    pub(super) begun: Instant,
    pub(super) tags: Vec<(String, String)>,
    pub(super) annotations: Vec<(SystemTime, &'static str)>,
    /// For the numbers of spans of requests to hosts.
    pub(super) random: u64,
}

/// On which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// A span that is.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) span: ZipkinSpan,
    pub(super) microseconds: u64,
}

impl Span for ZipkinSpan {
    fn set_operation(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    fn set_tag(&mut self, name: &str, value: &str) {
        if !name.is_empty() && !value.is_empty() {
            self.tags.push((name.to_owned(), value.to_owned()));
        }
    }

    fn log(&mut self, at: SystemTime, event: &'static str) {
        self.annotations.push((at, event));
    }

    fn is_sampled(&self) -> bool {
        self.context.sampled
    }

    fn set_sampled(&mut self, sampled: bool) {
        self.context.sampled = sampled;
    }

    fn inject(&self, headers: &mut Headers) {
        self.context.write(headers, self.single, self.collector.config.uses_w3c);
    }

    fn child(&mut self, name: &str, begun: SystemTime) -> Box<dyn Span> {
        let side = if self.splits || self.egress { Side::Client } else { Side::Server };
        let context = if side == Side::Client || !self.collector.config.shared_span_context {
            let mut random = Rng::seeded(self.random);
            let id = random.next_u64();
            self.random = random.next_u64();
            SpanContext { id, parent: self.context.id, ..self.context }
        } else {
            self.context
        };
        Box::new(ZipkinSpan {
            collector: Arc::clone(&self.collector),
            context,
            name: name.to_owned(),
            side,
            begun_at: begun,
            begun: Instant::now(),
            tags: Vec::new(),
            annotations: Vec::new(),
            single: self.single,
            splits: self.splits,
            egress: self.egress,
            random: self.random,
        })
    }

    fn ids(&self) -> TraceIds {
        // As in Envoy its own number is not told.
        TraceIds { trace: self.context.trace_id().into(), span: None }
    }

    fn finish(mut self: Box<Self>, worker: &Rc<Worker>) {
        if !self.context.sampled {
            return;
        }
        let end = match self.side {
            Side::Client => "cr",
            Side::Server => "ss",
        };
        self.annotations.push((SystemTime::now(), end));
        let microseconds = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let reporter = worker.reporters.of(&self.collector);
        reporter.report(Finished { span: *self, microseconds }, worker);
    }
}
