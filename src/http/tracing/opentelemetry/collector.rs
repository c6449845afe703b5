//! Who is told of spans, over gRPC or over HTTP.

use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use prost::Message as _;

use crate::base::headers::{Headers, Known};
use crate::base::version::build_label;
use crate::config::grpc_service::GrpcService;
use crate::config::http_service::HttpService;
use crate::config::runtime::Values;
use crate::http::grpc;
use crate::http::router::Call;
use crate::http::tracing::reporter::Exporter;
use crate::http::tracing::service::add_headers;
use crate::http::worker::Worker;
use crate::observability::stats::tracing::OpenTelemetryStats;

use super::config::{Config, Service};
use super::export::Origin;
use super::message::{EXPORT, ExportRequest, ExportResponse, Span};
use super::resource::ENVIRONMENT_VARIABLE;

/// Spans that are told together where the runtime does not say another number.
const MIN_FLUSH_SPANS: u64 = 5;
/// Milliseconds after which those are told that are there, likewise.
const FLUSH_INTERVAL_MS: u64 = 5000;
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 1 << 20;
/// What a collector answers over HTTP that has taken what it is told.
const ACCEPTED: u16 = 200;

/// A collector and what it is told in each message.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) config: Config,
    origin: Origin,
    user_agent: String,
    stats: OpenTelemetryStats,
}

impl Collector {
    /// As configured; what the environment says of this program is read now.
    pub(super) fn new(config: &Config, stats: OpenTelemetryStats) -> Self {
        let version = build_label();
        let environment = std::env::var(ENVIRONMENT_VARIABLE).ok();
        let resource = config.resource.detect(&version, environment.as_deref());
        let scope = config.set_instrumentation_scope.then_some(&*version);
        let origin = Origin::new(&resource, scope);
        let user_agent = format!("OTel-OTLP-Exporter-Envoy/{version}");
        Collector { config: config.clone(), origin, user_agent, stats }
    }

    fn over_grpc(
        &self,
        service: &GrpcService,
        message: &ExportRequest,
        worker: &Rc<Worker>,
    ) -> LocalBoxFuture<'static, ()> {
        let call = grpc::Call::of_program(service, EXPORT, message, self.user_agent.as_bytes(), worker);
        let worker = Rc::clone(worker);
        async move {
            if let Err(status) = call.answer::<ExportResponse>(&worker).await {
                ::tracing::debug!(target: "tracing", %status, "a collector did not take spans");
            }
        }
        .boxed_local()
    }

    fn over_http(
        &self,
        service: &HttpService,
        message: &ExportRequest,
        worker: &Rc<Worker>,
    ) -> LocalBoxFuture<'static, ()> {
        let uri = &service.http_uri;
        let Some(cluster) = worker.snapshot().clusters.get(&*uri.cluster).cloned() else {
            let cluster = &uri.cluster;
            ::tracing::error!(target: "tracing", "OTLP HTTP exporter failed: [cluster = {cluster}] is not configured");
            return async {}.boxed_local();
        };
        let call = Call {
            headers: self.http_headers(service, worker),
            body: message.encode_to_vec().into(),
            timeout: uri.timeout,
            internal: true,
            answer_limit: MAX_ANSWER,
            retry_policy: None,
            per_try: None,
        };
        let worker = Rc::clone(worker);
        async move {
            match call.send(&worker, &cluster).await {
                Ok(answer) if answer.status == ACCEPTED => {}
                Ok(answer) => ::tracing::error!(
                    target: "tracing",
                    "OTLP HTTP exporter received a non-success status code: {} while exporting the OTLP message",
                    answer.status
                ),
                Err(error) => ::tracing::debug!(target: "tracing", ?error, "a collector did not take spans"),
            }
        }
        .boxed_local()
    }

    fn http_headers(&self, service: &HttpService, worker: &Worker) -> Headers {
        let mut headers = Headers::new();
        headers.append(Known::Method, b"POST");
        headers.append(Known::Path, service.http_uri.path.as_bytes());
        headers.append(Known::Authority, service.http_uri.host.as_bytes());
        headers.append(Known::Scheme, b"http");
        headers.append(Known::ContentType, b"application/x-protobuf");
        headers.append(Known::UserAgent, self.user_agent.as_bytes());
        add_headers(service, &mut headers);
        headers.set(Known::XEnvoyInternal, b"true");
        headers.append(Known::XForwardedFor, worker.local_ip().to_string().as_bytes());
        headers
    }
}

impl Exporter for Collector {
    type Span = Span;

    fn min_flush_spans(&self, runtime: &Values) -> usize {
        let spans = runtime.integer("tracing.opentelemetry.min_flush_spans", MIN_FLUSH_SPANS);
        usize::try_from(spans).unwrap_or(usize::MAX)
    }

    fn max_waiting(&self) -> usize {
        self.config.max_cache_size
    }

    fn flush_interval(&self, runtime: &Values) -> Duration {
        let interval = runtime.integer("tracing.opentelemetry.flush_interval_ms", FLUSH_INTERVAL_MS);
        Duration::from_millis(interval.max(1))
    }

    fn count_tick(&self) {
        self.stats.timer_flushed().inc();
    }

    fn count_dropped(&self) {
        self.stats.spans_dropped().inc();
    }

    fn send(&self, spans: Vec<Span>, worker: &Rc<Worker>) -> LocalBoxFuture<'static, ()> {
        // As in Envoy they count as sent whoever takes them.
        self.stats.spans_sent().add(spans.len() as u64);
        let message = self.origin.tell(spans);
        match &self.config.service {
            Service::Grpc(service) => self.over_grpc(service, &message, worker),
            Service::Http(service) => self.over_http(service, &message, worker),
        }
    }
}
