//! Limits of how many requests pass, kept by a service that is asked about each:
//! `envoy.extensions.filters.http.ratelimit.v3.RateLimit`.
//!
//! A request is described by the rate limits of its route, of its virtual host or of the filter, and waits for what the
//! service says of these descriptors. Some are told when the exchange is over; nobody waits for the answer to that.
//!
//! - `config`: what the filter is told; `question`: what the service is asked; `response`: what it answers; `answer`: headers
//!   that tell of it.

mod answer;
mod config;
mod question;
mod response;

use std::rc::Rc;

use bytes::Bytes;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use tokio::task::spawn_local;

use crate::base::headers::{Headers, Known, Name};
use crate::config::extension::{Extension, PerRoute};
use crate::config::metadata::to_object;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::grpc::{Call, Status};
use crate::http::local_reply::LocalReply;
use crate::http::render::render;
use crate::http::router::count_response;
use crate::observability::stats::Registry;
use crate::observability::stats::cluster::RateLimitStats;
use crate::observability::stream_info::ResponseFlags;
use crate::route::mutation::{Part, add, add_to_response};
use crate::upstream::pool::ClusterPool;

use super::read;
use config::{RouteConfig, TOO_MANY_REQUESTS};
use question::{Moment, question};
use response::RateLimitResponse;

pub(super) use config::Config;

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.ratelimit",
    type_name: "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute {
        type_name: "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
        parse: |bytes, at| read(bytes, at, RouteConfig::from_proto),
    }),
};

/// The method of the service.
const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// `RESOURCE_EXHAUSTED`
const RESOURCE_EXHAUSTED: u64 = 8;

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
    registry: Registry,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        Factory { name: context.name.into(), config: config.clone(), registry: context.registry.clone() }
    }

    /// The call about a request; `None` where nothing limits it.
    fn call(&self, moment: Moment, stream: &Stream<'_>) -> Option<Call> {
        let question = question(&self.name, &self.config, moment, stream)?;
        Some(Call::new(&self.config.service, METHOD, &question, self.config.timeout, stream))
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::RateLimit(Filter { shared: self, progress: Progress::Idle, told: None })
    }
}

/// The filter for one request.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    shared: &'c Factory,
    progress: Progress,
    /// Headers for the response.
    told: Option<Box<Headers>>,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It is not looked at, or has not come.
    Idle,
    /// The service is asked.
    Asking,
    /// It has passed or was refused.
    Settled,
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let config = &self.shared.config;
        if !stream.draws(&config.filter_enabled) || !config.request_type.takes(stream.request) {
            return Step::Continue;
        }
        let Some(cluster) = cluster(stream) else { return Step::Continue };
        self.progress = Progress::Settled;
        let Some(call) = self.shared.call(Moment::Begin, stream) else { return Step::Continue };
        self.progress = Progress::Asking;
        Step::Wait(Box::pin(async move {
            let answer = call.answer(stream.worker).await;
            self.progress = Progress::Settled;
            self.settle(answer, &cluster, stream)
        }))
    }

    fn response_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        for (name, value) in self.told.iter().flat_map(|told| told.iter()) {
            add(stream.response, name, value, Part::Response);
        }
        self.told = None;
        Step::Continue
    }

    fn complete(&mut self, stream: &mut Stream<'_>) {
        if self.progress == Progress::Settled
            && let Some(call) = self.shared.call(Moment::Done, stream)
        {
            let worker = Rc::clone(stream.worker);
            // Its timeout bounds it, and nothing depends on what it says.
            spawn_local(async move { call.answer::<RateLimitResponse>(&worker).await.map(drop) });
        }
    }
}

/// The pools of the cluster that the request is for, if it is there.
fn cluster(stream: &Stream<'_>) -> Option<Rc<ClusterPool>> {
    let name = &stream.info.upstream.as_ref()?.cluster.name;
    let snapshot = stream.worker.snapshot();
    snapshot.clusters.get(&**name).map(|cluster| stream.worker.pools.of(cluster))
}

impl Filter<'_> {
    /// Does what the service says.
    fn settle(
        &mut self,
        answer: Result<RateLimitResponse, Status>,
        cluster: &ClusterPool,
        stream: &mut Stream<'_>,
    ) -> Option<LocalReply> {
        let Factory { config, registry, .. } = self.shared;
        let stats = cluster.rate_limits(&config.stat_prefix, registry);
        let answer = match answer {
            Ok(answer) => answer,
            Err(status) => {
                tracing::debug!(target: "http", %status, "the service of rate limits could not be asked");
                return self.fail(&stats, stream);
            }
        };
        if let Some(metadata) = answer.dynamic_metadata.clone().filter(|one| !one.fields.is_empty()) {
            stream.info.notes_mut().merge_metadata(&config.metadata_namespace, &to_object(metadata));
        }
        let mut told = Headers::new();
        answer::add_all(&mut told, &answer.response_headers_to_add, Part::Response);
        let is_over = answer.overall_code() == Code::OverLimit;
        if is_over {
            stats.over_limit().inc();
            count_response(&cluster.cluster, config.rate_limited_status, true);
            if config.x_envoy_ratelimited_header {
                told.set(Known::XEnvoyRateLimited, b"true");
            }
        } else {
            stats.ok().inc();
        }
        if config.x_ratelimit_headers {
            answer::add_x_ratelimit(&mut told, &answer.statuses);
        }
        if is_over && stream.draws(&config.filter_enforced) {
            return Some(self.refusal(answer, told, stream));
        }
        answer::add_all(stream.request, &answer.request_headers_to_add, Part::Request);
        self.told = (!told.is_empty()).then(|| Box::new(told));
        None
    }

    /// What becomes of a request that the service said nothing of.
    fn fail(&self, stats: &RateLimitStats, stream: &Stream<'_>) -> Option<LocalReply> {
        let config = &self.shared.config;
        stats.error().inc();
        if !stream.draws(&config.failure_mode_deny) {
            stats.failure_mode_allowed().inc();
            return None;
        }
        let flags = ResponseFlags::RLSE;
        Some(LocalReply { flags, ..LocalReply::new(config.status_on_error, "", "rate_limiter_error") })
    }

    /// The answer to a request over its limits.
    fn refusal(&self, answer: RateLimitResponse, mut headers: Headers, stream: &Stream<'_>) -> LocalReply {
        let config = &self.shared.config;
        const RETRY_AFTER: &[u8] = b"retry-after";
        if config.retry_after
            && config.rate_limited_status == TOO_MANY_REQUESTS
            && headers.get_by_name(RETRY_AFTER).is_none()
            && let Some(seconds) = answer::retry_after(&answer.statuses)
        {
            headers.append(Name::new(RETRY_AFTER), itoa::Buffer::new().format(seconds).as_bytes());
        }
        add_to_response(&mut headers, &config.response_headers_to_add, &mut |format, headers, out| {
            render(stream.info, stream.request, headers, format, out);
        });
        LocalReply {
            body: Bytes::from(answer.raw_body),
            flags: ResponseFlags::RL,
            grpc_status: config.resource_exhausted.then_some(RESOURCE_EXHAUSTED),
            headers: (!headers.is_empty()).then(|| Box::new(headers)),
            ..LocalReply::new(config.rate_limited_status, "", "request_rate_limited")
        }
    }
}
