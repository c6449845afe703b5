//! What the service is asked of a request: `envoy.service.ratelimit.v3.RateLimitRequest`.

use envoy_types::pb::envoy::extensions::common::ratelimit::v3 as common;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;
use envoy_types::pb::envoy::r#type::v3::RateLimitUnit;
use envoy_types::pb::google::protobuf::UInt64Value;

use crate::config::route::RateLimit;
use crate::config::runtime::Values;
use crate::http::filter::Stream;
use crate::http::subject::subject;
use crate::observability::format;
use crate::route::rate_limit::{Asked, Descriptor, descriptor};

use super::config::{Config, RouteConfig};

/// The filter state that says what a request counts for in all of its limits.
const HITS_ADDEND: &str = "envoy.ratelimit.hits_addend";

/// What becomes of a rate limit that has `disable_key`: the runtime's share, in percent.
const ALWAYS: u64 = 100;

/// When a rate limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// When the request comes.
    Begin,
    /// When the exchange is over: `apply_on_stream_done`.
    Done,
}

/// The question; `None` where nothing limits the request.
pub(super) fn question(
    name: &str,
    config: &Config,
    moment: Moment,
    stream: &Stream<'_>,
) -> Option<RateLimitRequest> {
    let of_route = stream.rate_limits()?;
    let route = stream.route_config::<RouteConfig>(name);
    let snapshot = stream.worker.snapshot();
    let runtime = &snapshot.runtime;
    let asked = Asked {
        context: format::Context::new(stream.info, stream.request, stream.response),
        subject: subject(stream.request, stream.info, None, runtime),
        source_cluster: stream.worker.local_cluster(),
        runtime,
    };
    let of_moment = |limit: &&RateLimit| limit.apply_on_stream_done == (moment == Moment::Done);
    let make = |limit| descriptor(limit, &asked).map(proto);
    let own = route.map(|route| &route.rate_limits).filter(|own| !own.is_empty());
    let descriptors: Vec<_> = match own.unwrap_or(&config.rate_limits) {
        own if !own.is_empty() => own.iter().filter(of_moment).filter_map(make).collect(),
        _ => {
            let vh_rate_limits = route.map(|route| route.vh_rate_limits).unwrap_or_default();
            let draw = stream.worker.random();
            let is_on = |limit: &&RateLimit| is_on(&limit.disable_key, runtime, draw);
            let limits = of_route.of_stage(config.stage, vh_rate_limits);
            limits.filter(of_moment).filter(is_on).filter_map(make).collect()
        }
    };
    if descriptors.is_empty() {
        return None;
    }
    let domain = route.map(|route| &route.domain).filter(|domain| !domain.is_empty());
    let domain = domain.unwrap_or(&config.domain).clone();
    Some(RateLimitRequest { domain, descriptors, hits_addend: hits_addend(stream) })
}

/// Whether the runtime leaves a rate limit with this key on.
fn is_on(disable_key: &str, runtime: &Values, random: u64) -> bool {
    let share = || runtime.integer(&format!("ratelimit.{disable_key}.http_filter_enabled"), ALWAYS);
    disable_key.is_empty() || random % ALWAYS < share()
}

fn hits_addend(stream: &Stream<'_>) -> u32 {
    let state = stream.info.notes().and_then(|notes| notes.state(HITS_ADDEND));
    let number = state.and_then(|state| std::str::from_utf8(state.text()).ok()?.parse().ok());
    number.unwrap_or_default()
}

fn proto(descriptor: Descriptor<'_>) -> common::RateLimitDescriptor {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let entries = descriptor.entries.iter().map(|entry| common::rate_limit_descriptor::Entry {
        key: entry.key.to_owned(),
        value: text(&entry.value),
    });
    let limit = descriptor.limit.and_then(|limit| {
        let unit = RateLimitUnit::from_str_name(limit.unit)?;
        Some(common::rate_limit_descriptor::RateLimitOverride {
            requests_per_unit: limit.requests_per_unit,
            unit: unit.into(),
        })
    });
    common::RateLimitDescriptor {
        entries: entries.collect(),
        limit,
        hits_addend: descriptor.hits.map(|value| UInt64Value { value }),
        is_negative_hits: descriptor.gives_back,
    }
}
