//! Answers to who asks whether the service is healthy: `envoy.extensions.filters.http.health_check.v3.HealthCheck`.
//!
//! The filter answers itself, after the health of clusters where some are named; or it passes the requests on, and
//! answers itself only after `/healthcheck/fail` or, for a time, as the host did. Such requests are not counted among
//! those of downstream.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::health_check::v3;
use tokio::time::Instant;

use crate::base::headers::{Headers, Known, Name};
use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::config::matcher::HeaderMatcher;
use crate::http::exchange::Held;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::local_reply::LocalReply;
use crate::http::worker::Worker;
use crate::observability::stream_info::ResponseFlags;

use super::read;

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.health_check",
    type_name: "envoy.extensions.filters.http.health_check.v3.HealthCheck",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// Bytes of the body of a request that is answered once it is complete. Health checks have none.
const MAX_BODY_BYTES: u64 = 64 * 1024;

/// `HealthCheck`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// Requests that match all of these are health checks; all requests when empty.
    headers: Vec<HeaderMatcher>,
    mode: Mode,
}

/// `HealthCheck.pass_through_mode`
#[derive(Clone, Debug, PartialEq)]
enum Mode {
    /// The host answers. Its answer stands for the others of the same period; none does where there is no period.
    PassThrough { cache_time: Option<Duration> },
    /// The filter answers. The clusters must exist, and so many percent of their hosts be healthy or degraded.
    Answer { cluster_min_healthy_percentages: Vec<(String, u64)> },
}

impl Config {
    fn from_proto(message: v3::HealthCheck, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HealthCheck = message;
            implemented { pass_through_mode, cache_time, cluster_min_healthy_percentages, headers }
        }
        let headers = at.list("headers", headers, HeaderMatcher::from_proto);
        let cache_time = at.timeout("cache_time", cache_time, None);
        let mut percentages = Vec::with_capacity(cluster_min_healthy_percentages.len());
        for (cluster, percent) in cluster_min_healthy_percentages {
            let mut at = at.key("cluster_min_healthy_percentages", &cluster);
            let Some(percent) = at.percent("value", Some(percent)) else { continue };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100, cut off")]
            percentages.push((cluster, percent as u64));
        }
        // Clusters in the order of their names: the first that is not well decides, and maps have no order.
        percentages.sort_unstable();
        let mode = match at.required("pass_through_mode", pass_through_mode)?.value {
            true => Mode::PassThrough { cache_time },
            false if cache_time.is_some() => {
                at.error("cache_time_ms must not be set when path_through_mode is disabled");
                return None;
            }
            false => Mode::Answer { cluster_min_healthy_percentages: percentages },
        };
        Some(Config { headers, mode })
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    config: Config,
    cache: Option<Cache>,
}

impl Factory {
    pub(super) fn new(config: &Config, _: &Context<'_>) -> Self {
        let cache = match config.mode {
            Mode::PassThrough { cache_time: Some(period) } => Some(Cache::new(period)),
            Mode::PassThrough { cache_time: None } | Mode::Answer { .. } => None,
        };
        Factory { config: config.clone(), cache }
    }

    /// What a health check is answered with; `None` where the host is asked.
    fn verdict(&self, worker: &Worker) -> Option<Verdict> {
        if worker.health_checks_fail() {
            return Some(Verdict::new(503, "health_check_failed"));
        }
        match &self.config.mode {
            Mode::PassThrough { .. } => self.cache.as_ref()?.get(Instant::now()),
            Mode::Answer { cluster_min_healthy_percentages } => {
                Some(verdict_on(cluster_min_healthy_percentages, worker))
            }
        }
    }
}

/// An answer of the filter.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Verdict {
    status: u16,
    /// Whether it has the header `x-envoy-degraded`.
    degraded: bool,
    details: &'static str,
}

impl Verdict {
    fn new(status: u16, details: &'static str) -> Self {
        Verdict { status, degraded: false, details }
    }

    fn reply(self) -> LocalReply {
        let mut headers = Headers::new();
        if self.degraded {
            headers.append(Known::XEnvoyDegraded, b"");
        }
        let well = (200..300).contains(&self.status);
        LocalReply {
            flags: if well { ResponseFlags::default() } else { ResponseFlags::LH },
            headers: Some(Box::new(headers)),
            ..LocalReply::new(self.status, "", self.details)
        }
    }
}

/// What the health of clusters comes to.
fn verdict_on(percentages: &[(String, u64)], worker: &Worker) -> Verdict {
    let snapshot = worker.snapshot();
    for (name, percentage) in percentages {
        let Some(cluster) = snapshot.clusters.get(name.as_str()) else {
            return Verdict::new(503, "health_check_failed_no_cluster_found");
        };
        let (total, well) = cluster.members();
        if total == 0 && *percentage > 0 {
            return Verdict::new(503, "health_check_failed_cluster_empty");
        }
        if 100 * well < total * percentage {
            return Verdict::new(503, "health_check_failed_cluster_unhealthy");
        }
    }
    let details = if percentages.is_empty() { "health_check_ok" } else { "health_check_ok_cluster_healthy" };
    Verdict::new(200, details)
}

/// The last answer of the host, for all workers. As in Envoy it is forgotten at the end of each period, and not so long
/// after it came.
#[derive(Debug)]
struct Cache {
    began: Instant,
    period: Duration,
    /// The period's number in the upper bits, then whether the host is degraded, then the status; 0 for none.
    last: AtomicU64,
}

/// Bits of a status.
const STATUS_BITS: u32 = 10;

impl Cache {
    fn new(period: Duration) -> Self {
        Cache { began: Instant::now(), period, last: AtomicU64::new(0) }
    }

    fn period(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.began).as_nanos();
        u64::try_from(elapsed / self.period.as_nanos()).unwrap_or(u64::MAX)
    }

    fn set(&self, status: u16, degraded: bool, now: Instant) {
        let mut last = self.period(now) << (STATUS_BITS + 1);
        last |= u64::from(degraded) << STATUS_BITS;
        self.last.store(last | u64::from(status), Ordering::Relaxed);
    }

    fn get(&self, now: Instant) -> Option<Verdict> {
        let last = self.last.load(Ordering::Relaxed);
        let status = u16::try_from(last & ((1 << STATUS_BITS) - 1)).ok().filter(|status| *status > 0)?;
        let current = last >> (STATUS_BITS + 1) == self.period(now);
        let degraded = (last >> STATUS_BITS) & 1 == 1;
        current.then_some(Verdict { status, degraded, details: "health_check_cached" })
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::HealthCheck(Filter { shared: self, asks: false, verdict: None })
    }
}

/// The filter for one request.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    shared: &'c Factory,
    /// Whether the request is a health check, for this filter.
    asks: bool,
    /// What a request is answered with once it is complete.
    verdict: Option<Verdict>,
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        if !self.shared.config.headers.iter().all(|header| header.matches(stream.request)) {
            return Step::Continue;
        }
        self.asks = true;
        stream.info.health_check = true;
        self.verdict = self.shared.verdict(stream.worker);
        match self.verdict {
            None => Step::Continue,
            Some(verdict) if stream.bodiless => Step::Reply(verdict.reply()),
            Some(_) => Step::Hold(MAX_BODY_BYTES),
        }
    }

    fn request_body<'a>(&'a mut self, _: &'a mut Stream<'_>, _: &'a mut Held) -> Step<'a> {
        self.verdict.map_or(Step::Continue, |verdict| Step::Reply(verdict.reply()))
    }

    fn response_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        if self.asks {
            let name = Name::new(b"x-envoy-upstream-healthchecked-cluster");
            stream.response.set(name, stream.worker.local_cluster().as_bytes());
            if let (Some(cache), Some(status)) = (&self.shared.cache, stream.status()) {
                cache.set(status, stream.response.contains(Known::XEnvoyDegraded), Instant::now());
            }
        } else if stream.worker.health_checks_fail() {
            stream.response.set(Known::XEnvoyImmediateHealthCheckFail, b"true");
        }
        Step::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_stands_for_those_of_its_period() {
        let cache = Cache::new(Duration::from_secs(10));
        let after = |seconds| cache.began + Duration::from_secs(seconds);
        assert_eq!(cache.get(after(0)), None);
        cache.set(503, true, after(8));
        let expected = Verdict { status: 503, degraded: true, details: "health_check_cached" };
        assert_eq!(cache.get(after(9)), Some(expected));
        assert_eq!(cache.get(after(10)), None, "the period is over");
        cache.set(200, false, after(10));
        assert_eq!(cache.get(after(19)), Some(Verdict { degraded: false, status: 200, ..expected }));
        assert_eq!(cache.get(after(20)), None);
    }
}
