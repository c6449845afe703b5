//! Limits of how many requests pass, counted in this process:
//! `envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`.
//!
//! What a route says takes the place of what the chain says, buckets and all. Requests are limited by descriptors that
//! rate limits make of them: those of the filter itself, or else of the route and its virtual host.
//!
//! - `config`: what the filter is told; `limiter`: the buckets; `dynamic`: those for values left open.

mod config;
mod dynamic;
mod limiter;

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use crate::base::headers::{Headers, Name};
use crate::config::extension::{Extension, PerRoute};
use crate::config::route::XRateLimitOption;
use crate::config::runtime::Values;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::local_reply::LocalReply;
use crate::http::render::render;
use crate::http::subject::subject;
use crate::observability::format;
use crate::observability::stats::Registry;
use crate::observability::stream_info::ResponseFlags;
use crate::route::mutation::{add_to_request, add_to_response};
use crate::route::rate_limit::{Asked, Descriptor, descriptor};

use super::read;
use config::Settings;
use limiter::{Bucket, Limiter};

pub(super) use config::Config;

/// Full name of the message, which chains and routes share.
const TYPE_NAME: &str = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.local_ratelimit",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute { type_name: TYPE_NAME, parse: |bytes, at| read(bytes, at, Config::for_route) }),
};

/// `RESOURCE_EXHAUSTED`
const RESOURCE_EXHAUSTED: u64 = 8;

/// Body and details of an answer.
const LIMITED: &str = "local_rate_limited";

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
    registry: Registry,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        let config = config.clone();
        config.stats(context.registry);
        Factory { name: context.name.into(), config, registry: context.registry.clone() }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::LocalRateLimit(Filter { shared: self, told: None })
    }
}

/// The filter for one request.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    shared: &'c Factory,
    /// The bucket that the response tells of, and the moment that its times are counted from.
    told: Option<(Arc<Bucket>, Instant)>,
}

/// What becomes of a request.
enum Decision {
    /// It passes.
    Allowed,
    /// It would not, but is only counted.
    Shadowed,
    /// It is over the limit; its bucket has another token after so many seconds.
    Limited { reset: u64 },
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let Factory { name, config, registry } = self.shared;
        let config = stream.route_config(name).unwrap_or(config);
        let settings = &*config.settings;
        if !settings.filter_enabled.as_ref().is_some_and(|share| stream.draws(share)) {
            return Step::Continue;
        }
        let stats = config.stats(registry);
        stats.enabled().inc();
        let reset = match self.decide(config, stream) {
            Decision::Allowed => {
                stats.ok().inc();
                return Step::Continue;
            }
            Decision::Shadowed => {
                stats.rate_limited().inc();
                stats.shadow_mode().inc();
                return Step::Continue;
            }
            Decision::Limited { reset } => reset,
        };
        stats.rate_limited().inc();
        if !settings.filter_enforced.as_ref().is_some_and(|share| stream.draws(share)) {
            let Stream { request, response, info, .. } = stream;
            add_to_request(request, &settings.request_headers_to_add, &mut |format, request, out| {
                render(info, request, response, format, out);
            });
            return Step::Continue;
        }
        stats.enforced().inc();
        Step::Reply(refusal(settings, stream, reset))
    }

    fn response_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        if let Some((bucket, origin)) = self.told.take() {
            let now = now().saturating_duration_since(origin);
            let mut text = itoa::Buffer::new();
            let mut tell = |name: &str, number: u64| {
                stream.response.append(Name::new(name.as_bytes()), text.format(number).as_bytes());
            };
            tell("x-ratelimit-limit", whole(bucket.tokens.max_tokens()));
            tell("x-ratelimit-remaining", whole(bucket.tokens.tokens(now)));
            tell("x-ratelimit-reset", bucket.tokens.next_token(now).as_secs());
        }
        Step::Continue
    }
}

impl Filter<'_> {
    /// Asks the buckets.
    fn decide(&mut self, config: &Config, stream: &Stream<'_>) -> Decision {
        let settings = &*config.settings;
        let snapshot = stream.worker.snapshot();
        let limiter = limiter(config, stream);
        let (now, origin) = limiter.time(now());
        let proxies = if settings.of_all_proxies { stream.worker.fellows() } else { 1 };
        let verdict = limiter.allow(&descriptors(settings, stream, &snapshot.runtime), proxies, now);
        let tells = match verdict.x_ratelimit_option {
            XRateLimitOption::Unspecified => settings.x_ratelimit_headers,
            XRateLimitOption::Off => false,
            XRateLimitOption::DraftVersion03 => true,
        };
        let (shadow, reset) = match &verdict.bucket {
            Some(bucket) => (bucket.shadow, bucket.tokens.next_token(now).as_secs()),
            None => (false, 0),
        };
        if let Some(bucket) = verdict.bucket.filter(|_| tells) {
            self.told = Some((bucket.into(), origin));
        }
        match (verdict.allowed, shadow) {
            (true, _) => Decision::Allowed,
            (false, true) => Decision::Shadowed,
            (false, false) => Decision::Limited { reset },
        }
    }
}

/// The buckets of a request: those of its connection, where each has its own. As in Envoy a connection has one limiter,
/// that of the first of its requests that asks for one.
fn limiter<'l>(config: &'l Config, stream: &'l Stream<'_>) -> &'l Limiter {
    let own = config.settings.per_connection.then(|| {
        stream.info.connection.kept.get_or_init(|| Limiter::new(&config.settings.limits))
    });
    own.flatten().unwrap_or(&config.limiter)
}

/// What the limits of a request are looked up by.
fn descriptors<'a>(
    settings: &'a Settings,
    stream: &'a Stream<'_>,
    runtime: &'a Values,
) -> SmallVec<[Descriptor<'a>; 2]> {
    let mut made = SmallVec::new();
    if settings.limits.descriptors.is_empty() {
        return made;
    }
    let asked = Asked {
        context: format::Context::new(stream.info, stream.request, stream.response),
        subject: subject(stream.request, stream.info, None, runtime),
        source_cluster: stream.worker.local_cluster(),
        runtime,
    };
    if !settings.rate_limits.is_empty() {
        let limits = settings.rate_limits.iter().filter(|limit| !limit.apply_on_stream_done);
        made.extend(limits.filter_map(|limit| descriptor(limit, &asked)));
        return made;
    }
    let Some(limits) = stream.rate_limits() else { return made };
    // As in Envoy one that the runtime could switch off is off.
    let limits = limits.of_stage(settings.stage, settings.vh_rate_limits);
    let limits = limits.filter(|limit| limit.disable_key.is_empty());
    made.extend(limits.filter_map(|limit| descriptor(limit, &asked)));
    made
}

/// The answer to a request over the limit.
fn refusal(settings: &Settings, stream: &Stream<'_>, reset: u64) -> LocalReply {
    const RETRY_AFTER: &[u8] = b"retry-after";
    let mut headers = Headers::new();
    add_to_response(&mut headers, &settings.response_headers_to_add, &mut |format, headers, out| {
        render(stream.info, stream.request, headers, format, out);
    });
    if settings.retry_after && settings.status == 429 && headers.get_by_name(RETRY_AFTER).is_none() {
        headers.append(Name::new(RETRY_AFTER), itoa::Buffer::new().format(reset.max(1)).as_bytes());
    }
    LocalReply {
        flags: ResponseFlags::RL,
        grpc_status: settings.resource_exhausted.then_some(RESOURCE_EXHAUSTED),
        headers: (!headers.is_empty()).then(|| Box::new(headers)),
        ..LocalReply::new(settings.status, LIMITED, LIMITED)
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Without its fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no bucket holds more than 32 bits")]
fn whole(tokens: f64) -> u64 {
    tokens as u64
}
