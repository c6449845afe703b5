//! Delays and answers in place of the upstream's, to see how clients bear them:
//! `envoy.extensions.filters.http.fault.v3.HTTPFault`.
//!
//! What a route says takes the place of what the chain says. The delay comes first; who waits it out may be answered
//! after it. There are no statistics by the downstream's cluster: a header of the client's would name them.

use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::extensions::filters::common::fault::v3 as common;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3;

use crate::base::headers::{Headers, Known};
use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::config::matcher::HeaderMatcher;
use crate::config::runtime::Fraction;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::local_reply::LocalReply;
use crate::observability::stats::http::FaultStats;
use crate::observability::stream_info::ResponseFlags;

use super::read;

/// Full name of the message, which chains and routes share.
const TYPE_NAME: &str = "envoy.extensions.filters.http.fault.v3.HTTPFault";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.fault",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute { type_name: TYPE_NAME, parse: |bytes, at| read(bytes, at, Config::from_proto) }),
};

/// Why the runtime has no say.
const NO_RUNTIME: &str = "what is configured counts, whatever the runtime says";

/// `HTTPFault`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// How long requests wait, and which share of them; none where `None`.
    delay: Option<(Duration, Fraction)>,
    /// How requests are answered, and which share of them.
    abort: Option<(Abort, Fraction)>,
    /// Only requests that all of these match are concerned.
    headers: Vec<HeaderMatcher>,
    /// Only requests of these nodes (`x-envoy-downstream-service-node`); of all when empty.
    downstream_nodes: Vec<String>,
    /// Requests that may suffer a fault at one time, over all workers; `None` means no limit.
    max_active_faults: Option<u32>,
}

/// `FaultAbort`
#[derive(Clone, Debug, PartialEq)]
struct Abort {
    /// 200 to 599.
    http_status: u16,
    /// `fault filter abort` by default.
    response_body: Bytes,
}

impl Config {
    fn from_proto(message: v3::HttpFault, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HttpFault = message;
            implemented { delay, abort, headers, downstream_nodes, max_active_faults }
            rejected {
                upstream_cluster: "faults do not depend on the cluster",
                response_rate_limit: "responses are not slowed down",
                filter_metadata: "filters write no metadata",
            }
            ignored {
                delay_percent_runtime: NO_RUNTIME,
                abort_percent_runtime: NO_RUNTIME,
                delay_duration_runtime: NO_RUNTIME,
                abort_http_status_runtime: NO_RUNTIME,
                max_active_faults_runtime: NO_RUNTIME,
                response_rate_limit_percent_runtime: NO_RUNTIME,
                abort_grpc_status_runtime: NO_RUNTIME,
                disable_downstream_cluster_stats: "there are no statistics by the downstream's cluster",
            }
        }
        Some(Config {
            delay: at.message("delay", delay, delayed),
            abort: at.message("abort", abort, aborted),
            headers: at.list("headers", headers, HeaderMatcher::from_proto),
            downstream_nodes,
            max_active_faults: max_active_faults.map(|max| max.value),
        })
    }

    /// Whether a request may suffer a fault at all.
    fn concerns(&self, request: &Headers) -> bool {
        let node = request.get(Known::XEnvoyDownstreamServiceNode).unwrap_or_default();
        (self.downstream_nodes.is_empty() || self.downstream_nodes.iter().any(|known| known.as_bytes() == node))
            && self.headers.iter().all(|header| header.matches(request))
    }
}

fn delayed(message: common::FaultDelay, at: &mut Scope<'_>) -> Option<(Duration, Fraction)> {
    use common::fault_delay::FaultDelaySecifier;
    open! { at, common::FaultDelay = message; implemented { percentage, fault_delay_secifier } }
    let share = at.message("percentage", percentage, Fraction::from_proto);
    match at.required("fault_delay_secifier", fault_delay_secifier)? {
        FaultDelaySecifier::FixedDelay(delay) => {
            let delay = at.positive_duration("fixed_delay", Some(delay))?;
            share.map(|share| (delay, share))
        }
        FaultDelaySecifier::HeaderDelay(_) => {
            at.reject("header_delay", "requests do not choose their delay");
            None
        }
    }
}

fn aborted(message: v3::FaultAbort, at: &mut Scope<'_>) -> Option<(Abort, Fraction)> {
    use v3::fault_abort::ErrorType;
    open! { at, v3::FaultAbort = message; implemented { percentage, error_type, response_body } }
    let share = at.message("percentage", percentage, Fraction::from_proto);
    let http_status = match at.required("error_type", error_type)? {
        ErrorType::HttpStatus(status) => match u16::try_from(status).ok().filter(|s| (200..600).contains(s)) {
            Some(status) => status,
            None => {
                at.field("http_status").violation("value must be inside range [200, 600)");
                return None;
            }
        },
        ErrorType::GrpcStatus(_) => {
            at.reject("grpc_status", "the status of gRPC is the one that stands for http_status");
            return None;
        }
        ErrorType::HeaderAbort(_) => {
            at.reject("header_abort", "requests do not choose their answer");
            return None;
        }
    };
    let response_body = match response_body.is_empty() {
        true => Bytes::from_static(b"fault filter abort"),
        false => Bytes::from(response_body),
    };
    share.map(|share| (Abort { http_status, response_body }, share))
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
    stats: FaultStats,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        let prefix = format!("{}fault.", context.stat_prefix);
        Factory {
            name: context.name.into(),
            config: config.clone(),
            stats: FaultStats::new(context.registry, &prefix),
        }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::Fault(Filter { shared: self, suffers: false })
    }
}

/// The filter for one request.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    shared: &'c Factory,
    /// Whether the request counts among those that suffer a fault.
    suffers: bool,
}

impl Filter<'_> {
    /// Whether there is room for another request that suffers, which this one then is.
    fn begin(&mut self, config: &Config) -> bool {
        let stats = &self.shared.stats;
        if self.suffers {
            return true;
        }
        if config.max_active_faults.is_some_and(|max| stats.active_faults().value() >= u64::from(max)) {
            stats.faults_overflow().inc();
            return false;
        }
        stats.active_faults().inc();
        self.suffers = true;
        true
    }

    fn delay(&mut self, config: &Config, random: u64) -> Option<Duration> {
        let (delay, share) = config.delay.as_ref()?;
        (share.takes(random) && self.begin(config)).then_some(*delay)
    }

    fn abort(&mut self, config: &Config, random: u64) -> Option<LocalReply> {
        let (abort, share) = config.abort.as_ref()?;
        if !share.takes(random) || !self.begin(config) {
            return None;
        }
        self.shared.stats.aborts_injected().inc();
        Some(LocalReply {
            body: abort.response_body.clone(),
            flags: ResponseFlags::FI,
            ..LocalReply::new(abort.http_status, "", "fault_filter_abort")
        })
    }
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let config = stream.route_config(&self.shared.name).unwrap_or(&self.shared.config);
        if !config.concerns(stream.request) {
            return Step::Continue;
        }
        let random = || stream.worker.random();
        let Some(delay) = self.delay(config, random()) else {
            return self.abort(config, random()).map_or(Step::Continue, Step::Reply);
        };
        self.shared.stats.delays_injected().inc();
        stream.info.response_flags.insert(ResponseFlags::DI);
        Step::Wait(Box::pin(async move {
            tokio::time::sleep(delay).await;
            self.abort(config, stream.worker.random())
        }))
    }
}

impl Drop for Filter<'_> {
    fn drop(&mut self) {
        if self.suffers {
            self.shared.stats.active_faults().dec();
        }
    }
}
