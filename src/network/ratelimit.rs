//! `envoy.filters.network.ratelimit`: closes connections that are too many by what a service says.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::common::ratelimit::v3 as common;
use envoy_types::pb::envoy::extensions::filters::network::ratelimit::v3;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::config::format::Format;
use crate::config::grpc_service::GrpcService;
use crate::config::metadata::to_object;
use crate::config::runtime::Fraction;
use crate::http::Status;
use crate::observability::format::{self, Absent};
use crate::observability::stats::network::RateLimitStats;
use crate::observability::stream_info::{Refusal, StreamInfo};

use super::asking::Question;
use super::filter::{Context, Filter, Guest, Made, Step};
use super::read;

/// The filter's name, and that of the metadata that the service gives.
const NAME: &str = "envoy.filters.network.ratelimit";

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: NAME,
    type_name: "envoy.extensions.filters.network.ratelimit.v3.RateLimit",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// The method of the service.
const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// How long a call may take where nothing is configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(20);

/// The runtime's shares of connections, in percent: that are looked at, and of those over the limit that are closed.
const ENABLED: &str = "ratelimit.tcp_filter_enabled";
const ENFORCING: &str = "ratelimit.tcp_filter_enforcing";

/// `envoy.extensions.filters.network.ratelimit.v3.RateLimit`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    stat_prefix: String,
    domain: String,
    /// Each has its entries in order: a key, and what its value is made of.
    descriptors: Vec<Vec<(String, Format)>>,
    /// `None` means no limit.
    timeout: Option<Duration>,
    /// Whether connections are closed that the service says nothing of.
    failure_mode_deny: bool,
    service: GrpcService,
}

impl Config {
    fn from_proto(message: v3::RateLimit, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::RateLimit = message;
            implemented { stat_prefix, domain, descriptors, timeout, failure_mode_deny, rate_limit_service }
        }
        if descriptors.is_empty() {
            at.field("descriptors").violation("value must contain at least 1 item(s)");
        }
        let timeout = at.duration("timeout", timeout).unwrap_or(DEFAULT_TIMEOUT);
        let rate_limit_service = at.required("rate_limit_service", rate_limit_service);
        Some(Config {
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            domain: at.required_string("domain", domain),
            descriptors: at.list("descriptors", descriptors, descriptor),
            timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
            failure_mode_deny,
            service: at.message("rate_limit_service", rate_limit_service, GrpcService::of_rate_limits)?,
        })
    }
}

fn descriptor(message: common::RateLimitDescriptor, at: &mut Scope<'_>) -> Option<Vec<(String, Format)>> {
    use common::rate_limit_descriptor::Entry;
    open! { at, common::RateLimitDescriptor = message;
        implemented { entries }
        ignored {
            limit: "Envoy does not pass it on",
            hits_addend: "Envoy does not pass it on",
            is_negative_hits: "Envoy does not pass it on",
        }
    }
    if entries.is_empty() {
        at.field("entries").violation("value must contain at least 1 item(s)");
    }
    Some(at.list("entries", entries, |message, at| {
        open! { at, Entry = message; implemented { key, value } }
        let value = at.required_string("value", value);
        let value = Format::parse(&value).map_err(|problem| problem.tell(&mut at.field("value"))).ok();
        Some((at.required_string("key", key), value?))
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "other filters cannot always be made")]
pub(super) fn make(config: &Config, context: &Context<'_>) -> Result<Made, String> {
    let stats = RateLimitStats::new(context.registry, &format!("ratelimit.{}.", config.stat_prefix));
    Ok(Made::Filter(Arc::new(RateLimit { config: config.clone(), stats })))
}

/// The limit of a chain in force.
#[derive(Clone, Debug)]
struct RateLimit {
    config: Config,
    stats: RateLimitStats,
}

impl Filter for RateLimit {
    fn accepted(&self, guest: &Rc<Guest>) -> Step {
        if !draws(ENABLED, guest) {
            return Step::Pass;
        }
        self.stats.total().inc();
        let question = Question {
            service: &self.config.service,
            method: METHOD,
            message: self.question(guest),
            timeout: self.config.timeout,
            stats: &self.stats,
            active: RateLimitStats::active,
        };
        let limit = self.clone();
        question.ask(guest, move |answer, guest| limit.settle(answer, guest))
    }
}

/// Whether a connection falls into a share of the runtime's, which is all where it says nothing.
fn draws(key: &str, guest: &Guest) -> bool {
    let share = guest.worker.snapshot().runtime.fraction(key, Fraction::percent(100));
    share.takes(guest.worker.random())
}

impl RateLimit {
    fn question(&self, guest: &Guest) -> RateLimitRequest {
        use common::rate_limit_descriptor::Entry;
        let stream = StreamInfo::of_connection(Rc::clone(&guest.info));
        let context = format::Context::without_headers(&stream);
        let entry = |(key, value): &(String, Format)| {
            let mut text = Vec::new();
            format::render(value, &context, Absent::Dash, &mut text);
            Entry { key: key.clone(), value: String::from_utf8_lossy(&text).into_owned() }
        };
        let descriptor = |entries: &Vec<(String, Format)>| common::RateLimitDescriptor {
            entries: entries.iter().map(entry).collect(),
            ..common::RateLimitDescriptor::default()
        };
        RateLimitRequest {
            domain: self.config.domain.clone(),
            descriptors: self.config.descriptors.iter().map(descriptor).collect(),
            hits_addend: 0,
        }
    }

    /// Does what the service says.
    fn settle(&self, answer: Result<RateLimitResponse, Status>, guest: &Guest) -> Result<(), Refusal> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(status) => {
                tracing::debug!(target: "filter", %status, "the service of rate limits could not be asked");
                return self.fail();
            }
        };
        let is_over = answer.overall_code() == Code::OverLimit;
        if let Some(metadata) = answer.dynamic_metadata.filter(|one| !one.fields.is_empty()) {
            guest.info.note(|notes| notes.merge_metadata(NAME, &to_object(metadata)));
        }
        if !is_over {
            self.stats.ok().inc();
            return Ok(());
        }
        self.stats.over_limit().inc();
        if !draws(ENFORCING, guest) {
            return Ok(());
        }
        self.stats.cx_closed().inc();
        Err(Refusal::new("ratelimit_close_over_limit"))
    }

    /// What becomes of a connection that the service said nothing of.
    fn fail(&self) -> Result<(), Refusal> {
        self.stats.error().inc();
        if !self.config.failure_mode_deny {
            self.stats.failure_mode_allowed().inc();
            return Ok(());
        }
        self.stats.cx_closed().inc();
        Err(Refusal::new("ratelimit_error_failure_mode_connection_close"))
    }
}
