//! Where spans are sent.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::base::headers::{Headers, Known};
use crate::config::bootstrap::Node;
use crate::config::runtime::Values;
use crate::http::router::{Call, CallError};
use crate::http::tracing::reporter::Exporter;
use crate::http::tracing::service::add_headers;
use crate::http::worker::Worker;
use crate::observability::stats::tracing::ZipkinStats;

use super::config::Config;
use super::json;
use super::span::Finished;

/// Spans in a report where the runtime does not say another number.
const MIN_FLUSH_SPANS: u64 = 5;
/// Milliseconds between reports, likewise.
const FLUSH_INTERVAL_MS: u64 = 5000;
/// Milliseconds that a report may take, likewise.
const REQUEST_TIMEOUT_MS: u64 = 5000;
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 1 << 20;
/// What a collector answers that has taken a report.
const ACCEPTED: u16 = 202;

/// A collector and what is sent there.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) config: Config,
    pub(super) node: Arc<Node>,
    pub(super) stats: ZipkinStats,
}

impl Collector {
    fn call(&self, spans: &[Finished], worker: &Worker) -> Call {
        let mut headers = Headers::new();
        headers.append(Known::Method, b"POST");
        headers.append(Known::Path, self.config.collector_endpoint.as_bytes());
        headers.append(Known::Authority, self.config.collector_hostname.as_bytes());
        headers.append(Known::Scheme, b"http");
        headers.append(Known::ContentType, b"application/json");
        if let Some(service) = &self.config.collector_service {
            add_headers(service, &mut headers);
        }
        headers.set(Known::XEnvoyInternal, b"true");
        headers.append(Known::XForwardedFor, worker.local_ip().to_string().as_bytes());
        let timeout =
            worker.snapshot().runtime.integer("tracing.zipkin.request_timeout", REQUEST_TIMEOUT_MS);
        Call {
            headers,
            body: json::list(spans, &self.node.cluster, worker.local_ip()).into(),
            timeout: (timeout > 0).then(|| Duration::from_millis(timeout)),
            internal: true,
            answer_limit: MAX_ANSWER,
            retry_policy: None,
            per_try: None,
        }
    }
}

impl Exporter for Collector {
    type Span = Finished;

    fn min_flush_spans(&self, runtime: &Values) -> usize {
        let spans = runtime.integer("tracing.zipkin.min_flush_spans", MIN_FLUSH_SPANS);
        usize::try_from(spans).unwrap_or(usize::MAX)
    }

    fn max_waiting(&self) -> usize {
        usize::MAX
    }

    fn flush_interval(&self, runtime: &Values) -> Duration {
        Duration::from_millis(runtime.integer("tracing.zipkin.flush_interval_ms", FLUSH_INTERVAL_MS).max(1))
    }

    fn count_tick(&self) {
        self.stats.timer_flushed().inc();
    }

    fn count_dropped(&self) {}

    fn send(&self, spans: Vec<Finished>, worker: &Rc<Worker>) -> LocalBoxFuture<'static, ()> {
        self.stats.spans_sent().add(spans.len() as u64);
        let cluster = worker.snapshot().clusters.get(&*self.config.collector_cluster).cloned();
        let Some(cluster) = cluster else {
            self.stats.reports_skipped_no_cluster().inc();
            return async {}.boxed_local();
        };
        let (call, stats, worker) = (self.call(&spans, worker), self.stats.clone(), Rc::clone(worker));
        async move {
            match call.send(&worker, &cluster).await {
                Ok(answer) if answer.status == ACCEPTED => stats.reports_sent().inc(),
                // As in Envoy an answer of the proxy's own is one, too.
                Ok(_) | Err(CallError::Instead(_)) => stats.reports_dropped().inc(),
                Err(CallError::Broken | CallError::TooLong) => stats.reports_failed().inc(),
            }
        }
        .boxed_local()
    }
}
