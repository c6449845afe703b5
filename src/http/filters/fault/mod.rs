//! Delays, answers in place of the upstream's and slow responses, to see how clients bear them:
//! `envoy.extensions.filters.http.fault.v3.HTTPFault`.
//!
//! What a route says takes the place of what the chain says. The delay comes first; who waits it out may be answered
//! after it.
//!
//! - `config`: what the filter is told; `pace`: how a response is slowed down; `tally`: statistics.

mod config;
mod pace;
mod tally;

use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use crate::base::headers::{Headers, Known};
use crate::config::extension::{Extension, PerRoute};
use crate::config::runtime::Values;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::local_reply::LocalReply;
use crate::observability::stream_info::{ResponseFlags, StreamInfo};

use super::read;
use config::{Abort, Fault, number};
use pace::Pace;
use tally::Tally;

pub(super) use config::Config;

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

/// Headers in which requests say what they are to suffer, where that is left to them.
const DELAY: &[u8] = b"x-envoy-fault-delay-request";
const DELAY_PERCENTAGE: &[u8] = b"x-envoy-fault-delay-request-percentage";
const ABORT: &[u8] = b"x-envoy-fault-abort-request";
const ABORT_GRPC: &[u8] = b"x-envoy-fault-abort-grpc-request";
const ABORT_PERCENTAGE: &[u8] = b"x-envoy-fault-abort-request-percentage";
const THROUGHPUT: &[u8] = b"x-envoy-fault-throughput-response";
const THROUGHPUT_PERCENTAGE: &[u8] = b"x-envoy-fault-throughput-response-percentage";

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
    tally: Tally,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        Factory {
            name: context.name.into(),
            config: config.clone(),
            tally: Tally::new(context.registry, context.stat_prefix),
        }
    }

    /// Notes what is to be known of requests that are delayed or answered.
    fn note(&self, config: &Config, info: &mut StreamInfo) {
        if let Some(metadata) = &config.metadata {
            info.notes_mut().set_metadata(&self.name, metadata.clone());
        }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::Fault(Filter { shared: self, suffers: false, pace: None })
    }
}

/// The filter for one request.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    shared: &'c Factory,
    /// Whether the request counts among those that suffer a fault.
    suffers: bool,
    pace: Option<Box<Pace>>,
}

/// What decides about a request.
struct Case<'r> {
    config: &'r Config,
    request: &'r Headers,
    runtime: &'r Values,
}

impl Case<'_> {
    /// Whether the request is of a fault's share. The key of its downstream's cluster counts in place of the other.
    fn draws<T>(&self, fault: &Fault<T>, key: &str, of_cluster: &str, percentage: &[u8], random: u64) -> bool {
        let own = (!of_cluster.is_empty()).then(|| self.cluster_key(of_cluster)).flatten();
        let key = own.as_deref().unwrap_or(key);
        fault.share(key, percentage, self.request, self.runtime).takes(random)
    }

    /// A key of the runtime for the downstream's cluster, if the request names one.
    fn cluster_key(&self, key: &str) -> Option<String> {
        let cluster = self.request.get(Known::XEnvoyDownstreamServiceCluster)?;
        Some(format!("fault.http.{}.{key}", String::from_utf8_lossy(cluster)))
    }

    /// A number that the runtime can change.
    fn number(&self, key: &str, of_cluster: &str, default: u64) -> u64 {
        let value = self.runtime.integer(key, default);
        self.cluster_key(of_cluster).map_or(value, |key| self.runtime.integer(&key, value))
    }

    fn delay(&self, random: u64) -> Option<Duration> {
        let Config { delay, keys, .. } = self.config;
        let delay = delay.as_ref()?;
        if !self.draws(delay, &keys.delay_percent, "delay.fixed_delay_percent", DELAY_PERCENTAGE, random) {
            return None;
        }
        let duration = delay.what(|| number(self.request, DELAY).map(Duration::from_millis))?;
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let millis = self.number(&keys.delay_duration, "delay.fixed_duration_ms", millis);
        (millis > 0).then_some(Duration::from_millis(millis))
    }

    fn abort(&self, random: u64) -> Option<Abort> {
        let Config { abort, keys, .. } = self.config;
        let abort = abort.as_ref()?;
        if !self.draws(abort, &keys.abort_percent, "abort.abort_percent", ABORT_PERCENTAGE, random) {
            return None;
        }
        let told = || {
            let status = number(self.request, ABORT).and_then(|status| Abort::try_from(status).ok());
            status.or_else(|| number(self.request, ABORT_GRPC).map(Abort::GrpcStatus))
        };
        let abort = abort.what(told)?;
        Some(match abort {
            Abort::HttpStatus(status) => {
                let changed = self.number(&keys.abort_http_status, "abort.http_status", status.into());
                // What the runtime says is checked by nobody else.
                Abort::try_from(changed).unwrap_or(abort)
            }
            Abort::GrpcStatus(status) => {
                Abort::GrpcStatus(self.number(&keys.abort_grpc_status, "abort.grpc_status", status))
            }
        })
    }

    fn pace(&self, random: u64) -> Option<Pace> {
        let Config { response_rate_limit, keys, .. } = self.config;
        let limit = response_rate_limit.as_ref()?;
        if !self.draws(limit, &keys.response_rate_limit_percent, "", THROUGHPUT_PERCENTAGE, random) {
            return None;
        }
        limit.what(|| number(self.request, THROUGHPUT).filter(|kbps| *kbps > 0)).map(Pace::new)
    }

    fn max_active_faults(&self) -> u64 {
        let configured = self.config.max_active_faults.map_or(u64::MAX, u64::from);
        self.runtime.integer(&self.config.keys.max_active_faults, configured)
    }
}

impl Filter<'_> {
    /// Whether there is room for another request that suffers, which this one then is.
    fn begin(&mut self, case: &Case<'_>) -> bool {
        let stats = &self.shared.tally.stats;
        if self.suffers {
            return true;
        }
        if stats.active_faults().value() >= case.max_active_faults() {
            stats.faults_overflow().inc();
            return false;
        }
        stats.active_faults().inc();
        self.suffers = true;
        true
    }

    fn abort(&mut self, case: &Case<'_>, random: u64) -> Option<LocalReply> {
        let abort = case.abort(random).filter(|_| self.begin(case))?;
        self.shared.tally.aborted(case.request, case.config.cluster_stats);
        let (status, grpc_status) = match abort {
            Abort::HttpStatus(status) => (status, None),
            Abort::GrpcStatus(status) => (200, Some(status)),
        };
        Some(LocalReply {
            body: case.config.abort_body.clone(),
            flags: ResponseFlags::FI,
            grpc_status,
            ..LocalReply::new(status, "", "fault_filter_abort")
        })
    }
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let config = stream.route_config(&self.shared.name).unwrap_or(&self.shared.config);
        let cluster = stream.info.upstream.as_ref().map(|upstream| &*upstream.cluster.name);
        if !config.concerns(stream.request, cluster) {
            return Step::Continue;
        }
        let random = || stream.worker.random();
        let snapshot = stream.worker.snapshot();
        let case = Case { config, request: stream.request, runtime: &snapshot.runtime };
        if let Some(pace) = case.pace(random()).filter(|_| self.begin(&case)) {
            self.shared.tally.stats.response_rl_injected().inc();
            self.pace = Some(Box::new(pace));
        }
        let Some(delay) = case.delay(random()).filter(|_| self.begin(&case)) else {
            let Some(reply) = self.abort(&case, random()) else { return Step::Continue };
            self.shared.note(config, stream.info);
            return Step::Reply(reply);
        };
        self.shared.tally.delayed(case.request, config.cluster_stats);
        self.shared.note(config, stream.info);
        stream.info.response_flags.insert(ResponseFlags::DI);
        Step::Wait(Box::pin(async move {
            tokio::time::sleep(delay).await;
            let snapshot = stream.worker.snapshot();
            let case = Case { config, request: stream.request, runtime: &snapshot.runtime };
            self.abort(&case, stream.worker.random())
        }))
    }

    fn poll_response_pace(&mut self, wanted: usize, cx: &mut TaskContext<'_>) -> Poll<usize> {
        match &mut self.pace {
            Some(pace) => pace.poll_take(wanted, cx),
            None => Poll::Ready(wanted),
        }
    }
}

impl Drop for Filter<'_> {
    fn drop(&mut self) {
        if self.suffers {
            self.shared.tally.stats.active_faults().dec();
        }
    }
}
