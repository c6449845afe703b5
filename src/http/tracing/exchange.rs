//! The span of an exchange, from its route to its end, and those of its attempts.

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use crate::base::headers::{Headers, Known};
use crate::config::format::Format;
use crate::config::route::Route;
use crate::config::runtime::Values;
use crate::config::tracing::{Decorator, RouteTracing, Tracing};
use crate::http::downstream::Downstream;
use crate::http::exchange::Exchange;
use crate::http::manager::Connection;
use crate::http::render::render;
use crate::observability::format::Context;
use crate::observability::stream_info::{StreamInfo, TraceReason};

use super::decision::decide;
use super::span::{Beginning, Driver, Kind, Span};
use super::{Setting, tags};

/// What of an exchange has to do with tracing; there is none where its connection manager does not trace.
#[derive(Debug)]
pub(in crate::http) struct Trace {
    /// `None` before it begins, and where nobody is told.
    span: Option<Box<dyn Span>>,
    begun: bool,
    /// What its route says.
    route: Option<Arc<RouteTracing>>,
    decorator: Option<Arc<Decorator>>,
    /// Whether that, and what the other side says of names, counts.
    decorates: bool,
    /// Whether the client has said how it is called.
    told: bool,
}

impl Trace {
    /// The format of the names of spans, of this side, where one is configured.
    fn operation<'t>(&'t self, config: &'t Tracing, upstream: bool) -> Option<&'t Format> {
        let route = self.route.as_deref();
        match upstream {
            false => route.and_then(|route| route.operation.as_ref()).or(config.operation.as_ref()),
            true => {
                let of_route = route.and_then(|route| route.upstream_operation.as_ref());
                of_route.or(config.upstream_operation.as_ref())
            }
        }
    }
}

impl<D: Downstream> Exchange<'_, D> {
    /// Decides whether the request is traced, once it is known which route it has.
    pub(in crate::http) fn decide_trace(&mut self, route: Option<&Route>, runtime: &Values) {
        let options = &self.connection.manager.options;
        let Some(config) = options.tracing.as_ref().filter(|_| self.trace.is_none()) else { return };
        let tracing = route.and_then(|route| route.tracing.clone());
        self.decide_by(config, tracing.as_deref(), runtime);
        let decorator = route.and_then(|route| route.decorator.clone());
        self.trace = Some(Box::new(Trace {
            span: None,
            begun: false,
            route: tracing,
            decorator,
            decorates: false,
            told: false,
        }));
    }

    fn decide_by(&mut self, config: &Tracing, route: Option<&RouteTracing>, runtime: &Values) {
        // As in Envoy a request that follows a redirect is not traced by a decision of its own.
        if self.redirects.is_some() {
            return;
        }
        let sampling = route.map_or(&config.sampling, |tracing| &tracing.sampling);
        let worker = &self.connection.worker;
        let extension = self.connection.manager.options.request_ids.extension;
        let request = &mut self.headers.request;
        self.info.trace_reason = decide(request, extension, sampling, runtime, || worker.random());
    }

    /// Lets the span go by the route that was found once a filter had it looked for again. A request that is traced stays
    /// so, and a name stays where the route has none.
    pub(in crate::http) fn follow_trace(&mut self, route: Option<&Route>, runtime: &Values) {
        let manager = &self.connection.manager;
        let (Some(config), Some(setting), true) =
            (&manager.options.tracing, &manager.tracing, self.trace.is_some())
        else {
            return;
        };
        let tracing = route.and_then(|route| route.tracing.clone());
        let was_traced = self.info.trace_reason.is_traced();
        if !was_traced {
            self.decide_by(config, tracing.as_deref(), runtime);
        }
        let Some(trace) = &mut self.trace else { return };
        trace.route = tracing;
        if let Some(span) = trace.span.as_mut().filter(|_| !was_traced && self.info.trace_reason.is_traced())
        {
            span.set_sampled(true);
            tags::of_node(&mut **span, &setting.node);
        }
        trace.decorator = route.and_then(|route| route.decorator.clone());
        if trace.decorates {
            name_by_route(trace, setting.kind, &mut self.headers.request);
        }
        if trace.told {
            trace.decorator = None;
        }
    }

    /// Begins the span, before the filters see the request.
    pub(in crate::http) fn start_span(&mut self) {
        let manager = &self.connection.manager;
        let (Some(trace), Some(setting), Some(config)) =
            (&mut self.trace, &manager.tracing, &manager.options.tracing)
        else {
            return;
        };
        if std::mem::replace(&mut trace.begun, true) {
            return;
        }
        let beginning = Beginning {
            request: &self.headers.request,
            info: &self.info,
            kind: setting.kind,
            spawns_upstream_span: config.spawn_upstream_span,
            traced: self.info.trace_reason.is_traced(),
        };
        let driver = setting.driver.as_deref();
        trace.span = driver.and_then(|driver: &dyn Driver| driver.start(&beginning, &self.connection.worker));
        if let Some(span) = &mut trace.span {
            if span.is_sampled() {
                tags::of_node(&mut **span, &setting.node);
            }
            self.info.trace_ids = Some(Rc::new(span.ids()));
        }
        // As in Envoy nobody is told of names, and nobody tells any, where one is configured.
        trace.decorates = trace.operation(config, false).is_none();
        if trace.decorates {
            decorate_request(trace, setting.kind, &mut self.headers.request);
        }
    }

    /// The span of an attempt, where it has one of its own.
    pub(in crate::http) fn begin_upstream_span(&mut self) -> Option<Box<dyn Span>> {
        let parent = self.trace.as_mut()?.span.as_mut()?;
        let config = self.connection.manager.options.tracing.as_ref()?;
        if !config.spawn_upstream_span && !self.router.start_child_span {
            return None;
        }
        if self.info.health_check {
            parent.set_sampled(false);
        }
        let cluster = self.info.upstream.as_ref().map_or("", |upstream| upstream.cluster.shown());
        let mut span = parent.child(&format!("router {cluster} egress"), SystemTime::now());
        if self.info.upstream_attempts > 1 && span.is_sampled() {
            span.set_tag("retry.count", &(self.info.upstream_attempts - 1).to_string());
        }
        Some(span)
    }

    /// Tells the host of the span: that of the attempt, or the request's.
    pub(in crate::http) fn inject_trace(&mut self) {
        let Some(span) = self.trace.as_mut().and_then(|trace| trace.span.as_mut()) else { return };
        let options = &self.connection.manager.options;
        if self.info.health_check {
            span.set_sampled(false);
        }
        if options.tracing.as_ref().is_some_and(|config| config.no_context_propagation) {
            return;
        }
        let of_attempt = self.upstream_log.as_ref().and_then(|entry| entry.span.as_ref());
        of_attempt.unwrap_or(span).inject(&mut self.headers.request);
    }

    /// Ends the span of an attempt, of which this is known.
    pub(in crate::http) fn finish_upstream_span(
        &self,
        mut span: Box<dyn Span>,
        info: &StreamInfo,
        response: &Headers,
    ) {
        let (Some(trace), Some(config)) = (&self.trace, &self.connection.manager.options.tracing) else {
            return;
        };
        if !span.is_sampled() {
            return;
        }
        let context = Context::new(info, &self.headers.request, response);
        tags::of_attempt(&mut *span, &context);
        self.finish_span(span, trace, config, &context, true);
    }

    /// Ends the span of the request.
    pub(in crate::http) fn end_trace(&mut self) {
        self.count_decision();
        let config = self.connection.manager.options.tracing.as_ref();
        let Some(mut span) = self.trace.as_mut().and_then(|trace| trace.span.take()) else { return };
        let (Some(trace), Some(config)) = (&self.trace, config) else { return };
        if self.info.health_check {
            span.set_sampled(false);
        }
        if !span.is_sampled() {
            return;
        }
        let context = Context::new(&self.info, &self.headers.request, &self.headers.response);
        let context = match &self.response_trailers {
            Some(trailers) => Context { response_trailers: trailers, ..context },
            None => context,
        };
        tags::of_request(&mut *span, &context, config.max_path_tag_length as usize);
        self.finish_span(span, trace, config, &context, false);
    }

    /// Counts why the request was traced, or that it was not: at its end, as in Envoy, where those that got no route
    /// count along, and health checks are no others.
    fn count_decision(&mut self) {
        let manager = &self.connection.manager;
        if manager.tracing.is_none() {
            return;
        }
        if self.info.health_check {
            self.info.trace_reason = TraceReason::NotTraceable;
        }
        let stats = &manager.tracing_stats;
        match self.info.trace_reason {
            TraceReason::NotTraceable => stats.tracing_not_traceable().inc(),
            TraceReason::Sampling => stats.tracing_random_sampling().inc(),
            TraceReason::ServiceForced => stats.tracing_service_forced().inc(),
            TraceReason::ClientForced => stats.tracing_client_enabled().inc(),
        }
    }

    fn finish_span(
        &self,
        mut span: Box<dyn Span>,
        trace: &Trace,
        config: &Tracing,
        context: &Context<'_>,
        upstream: bool,
    ) {
        tags::of_any(&mut *span, context);
        if config.verbose {
            tags::moments(&mut *span, context.info);
        }
        tags::custom(&mut *span, trace.route.as_deref(), config, context);
        if let Some(format) = trace.operation(config, upstream) {
            let mut name = Vec::new();
            render(context.info, context.request, context.response, format, &mut name);
            span.set_operation(&String::from_utf8_lossy(&name));
        }
        span.finish(&self.connection.worker);
    }
}

/// Gives the span the name that the route or whoever sent the request has for it, and tells the host of the first.
fn decorate_request(trace: &mut Trace, kind: Kind, request: &mut Headers) {
    const HEADER: Known = Known::XEnvoyDecoratorOperation;
    name_by_route(trace, kind, request);
    if kind == Kind::Ingress {
        if let Some(told) = request.get(HEADER).filter(|told| !told.is_empty()) {
            if let Some(span) = &mut trace.span {
                span.set_operation(&String::from_utf8_lossy(told));
            }
            // The client knows better than the route: it is not told the route's.
            (trace.decorator, trace.told) = (None, true);
        }
        request.remove(HEADER);
    }
}

/// Gives the span the name that the route has for it, and tells the host.
fn name_by_route(trace: &mut Trace, kind: Kind, request: &mut Headers) {
    let Some(decorator) = &trace.decorator else { return };
    if let Some(span) = &mut trace.span {
        span.set_operation(&decorator.operation);
    }
    if kind == Kind::Egress && decorator.propagate {
        request.set(Known::XEnvoyDecoratorOperation, decorator.operation.as_bytes());
    }
}

/// Tells the client the route's name of the span, or takes over that of the host.
pub(in crate::http) fn decorate_response(
    trace: Option<&mut Trace>,
    connection: &Connection,
    response: &mut Headers,
) {
    const HEADER: Known = Known::XEnvoyDecoratorOperation;
    let (Some(trace), Some(Setting { kind, .. })) = (trace, &connection.manager.tracing) else { return };
    if !trace.decorates {
        return;
    }
    match (kind, &trace.decorator) {
        (Kind::Ingress, Some(decorator)) if decorator.propagate => {
            response.set(HEADER, decorator.operation.as_bytes());
        }
        (Kind::Ingress, _) => {}
        (Kind::Egress, _) => {
            if let (Some(told), Some(span)) = (response.get(HEADER), &mut trace.span)
                && !told.is_empty()
            {
                span.set_operation(&String::from_utf8_lossy(told));
            }
            response.remove(HEADER);
        }
    }
}
