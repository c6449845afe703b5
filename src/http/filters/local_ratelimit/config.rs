//! What the filter is told: `envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`.

use std::sync::{Arc, OnceLock};

use envoy_types::pb::envoy::extensions::common::ratelimit::v3 as common;
use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3;
use envoy_types::pb::envoy::r#type::v3::HttpStatus;

use crate::config::field::{Scope, open};
use crate::config::route::{HeaderValueOption, RateLimit, RateLimitPlace, VhRateLimits};
use crate::config::runtime::RuntimeFraction;
pub(super) use crate::config::token_bucket::TokenBucket as Fill;
use crate::observability::stats::Registry;
use crate::observability::stats::http::LocalRateLimitStats;

use super::limiter::Limiter;

/// The status of refused requests where none is configured, or none that is an error.
const TOO_MANY_REQUESTS: u16 = 429;

/// Buckets kept for each descriptor with values left open.
const DEFAULT_MAX_DYNAMIC_DESCRIPTORS: u32 = 20;

/// Headers that are added at most.
const MAX_HEADERS_TO_ADD: usize = 10;

/// `LocalRateLimit`, with the buckets that all share who are told this. Equal to what says the same.
#[derive(Clone, Debug)]
pub(in crate::http::filters) struct Config {
    pub(super) settings: Arc<Settings>,
    pub(super) limiter: Arc<Limiter>,
    stats: OnceLock<LocalRateLimitStats>,
}

/// What is configured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) stat_prefix: String,
    /// 400 or more.
    pub(super) status: u16,
    /// The share of requests that are counted; none when absent.
    pub(super) filter_enabled: Option<RuntimeFraction>,
    /// The share of those over the limit that are refused; none when absent.
    pub(super) filter_enforced: Option<RuntimeFraction>,
    /// For requests that go on although they are over the limit.
    pub(super) request_headers_to_add: Vec<HeaderValueOption>,
    /// For the answers to others.
    pub(super) response_headers_to_add: Vec<HeaderValueOption>,
    /// Which rate limits of routes count.
    pub(super) stage: u32,
    /// When those of virtual hosts do.
    pub(super) vh_rate_limits: VhRateLimits,
    /// Whether each connection has buckets of its own.
    pub(super) per_connection: bool,
    /// Whether the buckets are for all proxies of the local cluster together, each of which has its part of them.
    pub(super) of_all_proxies: bool,
    /// Whether responses tell of the bucket.
    pub(super) x_ratelimit_headers: bool,
    /// Whether answers with 429 tell when to come back.
    pub(super) retry_after: bool,
    /// Whether a refusal is `RESOURCE_EXHAUSTED` to gRPC clients, and not `UNAVAILABLE`.
    pub(super) resource_exhausted: bool,
    /// By what requests are limited, in place of what routes say.
    pub(super) rate_limits: Vec<RateLimit>,
    pub(super) limits: Limits,
}

/// The limits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limits {
    /// Of requests that no descriptor matches, and of all others too where `always_default`.
    pub(super) default: Option<Fill>,
    pub(super) always_default: bool,
    pub(super) descriptors: Vec<Descriptor>,
    /// Buckets kept for each descriptor with values left open; at least one.
    pub(super) max_dynamic: u32,
}

/// `LocalRateLimitDescriptor`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Descriptor {
    /// Keys and values; an empty value is left open.
    pub(super) entries: Vec<(String, String)>,
    pub(super) fill: Fill,
    /// Whether requests over the limit are only counted.
    pub(super) shadow: bool,
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Config {
    pub(super) fn from_proto(message: v3::LocalRateLimit, at: &mut Scope<'_>) -> Option<Self> {
        let settings = Settings::from_proto(message, at)?;
        let limiter = Arc::new(Limiter::new(&settings.limits));
        Some(Config { settings: Arc::new(settings), limiter, stats: OnceLock::new() })
    }

    /// What a route says.
    pub(super) fn for_route(message: v3::LocalRateLimit, at: &mut Scope<'_>) -> Option<Self> {
        if message.token_bucket.is_none() {
            at.error("local rate limit token bucket must be set for per filter configs");
        }
        Self::from_proto(message, at)
    }

    /// What it counts. That of a route is there from its first request on.
    pub(super) fn stats(&self, registry: &Registry) -> &LocalRateLimitStats {
        self.stats.get_or_init(|| {
            let prefix = format!("{}.http_local_rate_limit.", self.settings.stat_prefix);
            LocalRateLimitStats::new(registry, &prefix)
        })
    }
}

impl Settings {
    fn from_proto(message: v3::LocalRateLimit, at: &mut Scope<'_>) -> Option<Self> {
        use common::{VhRateLimitsOptions, XRateLimitHeadersRfcVersion};
        open! { at, v3::LocalRateLimit = message;
            implemented {
                stat_prefix, status, token_bucket, filter_enabled, filter_enforced,
                request_headers_to_add_when_not_enforced, response_headers_to_add, descriptors, stage,
                local_rate_limit_per_downstream_connection, enable_x_ratelimit_headers, vh_rate_limits,
                always_consume_default_token_bucket, rate_limited_as_resource_exhausted, rate_limits,
                max_dynamic_descriptors, enable_retry_after_header, local_cluster_rate_limit,
            }
        }
        if let Some(message) = local_cluster_rate_limit {
            open! { at, common::LocalClusterRateLimit = message; implemented {} }
            if local_rate_limit_per_downstream_connection {
                at.error(
                    "local_cluster_rate_limit is set and local_rate_limit_per_downstream_connection is set to true",
                );
            } else if at.extensions().local_cluster == Some(false) {
                at.error("local_cluster_rate_limit is set but no local cluster name is present");
            }
        }
        let added = |name: &str, headers: Vec<_>, at: &mut Scope<'_>| {
            if headers.len() > MAX_HEADERS_TO_ADD {
                let violation = format!("value must contain no more than {MAX_HEADERS_TO_ADD} item(s)");
                at.field(name).violation(violation);
            }
            at.list(name, headers, HeaderValueOption::from_proto)
        };
        let status = at.message("status", status, |message: HttpStatus, at| {
            open! { at, HttpStatus = message; implemented { code } }
            u16::try_from(code).ok().filter(|code| *code >= 400)
        });
        if stage > 10 {
            at.field("stage").violation("value must be less than or equal to 10");
        }
        Some(Settings {
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            status: status.unwrap_or(TOO_MANY_REQUESTS),
            limits: Limits {
                default: at.message("token_bucket", token_bucket, |bucket, at| {
                    Fill::from_proto(bucket, "local rate limit token bucket fill timer must be >= 50ms", at)
                }),
                always_default: always_consume_default_token_bucket.is_none_or(|always| always.value),
                max_dynamic: at
                    .within("max_dynamic_descriptors", max_dynamic_descriptors, 1..=u32::MAX)
                    .unwrap_or(DEFAULT_MAX_DYNAMIC_DESCRIPTORS),
                descriptors: descriptors_from_proto(descriptors, at),
            },
            filter_enabled: at.message("filter_enabled", filter_enabled, RuntimeFraction::from_proto),
            filter_enforced: at.message("filter_enforced", filter_enforced, RuntimeFraction::from_proto),
            request_headers_to_add: added(
                "request_headers_to_add_when_not_enforced",
                request_headers_to_add_when_not_enforced,
                at,
            ),
            response_headers_to_add: added("response_headers_to_add", response_headers_to_add, at),
            stage,
            vh_rate_limits: match at.enumeration("vh_rate_limits", vh_rate_limits) {
                VhRateLimitsOptions::Override => VhRateLimits::Override,
                VhRateLimitsOptions::Include => VhRateLimits::Include,
                VhRateLimitsOptions::Ignore => VhRateLimits::Ignore,
            },
            per_connection: local_rate_limit_per_downstream_connection,
            of_all_proxies: local_cluster_rate_limit.is_some(),
            x_ratelimit_headers: at
                .enumeration::<XRateLimitHeadersRfcVersion>("enable_x_ratelimit_headers", enable_x_ratelimit_headers)
                == XRateLimitHeadersRfcVersion::DraftVersion03,
            retry_after: enable_retry_after_header,
            resource_exhausted: rate_limited_as_resource_exhausted,
            rate_limits: at.list("rate_limits", rate_limits, |message, at| {
                RateLimit::from_proto(message, RateLimitPlace::LocalFilter, at)
            }),
        })
    }
}

fn descriptors_from_proto(
    messages: Vec<common::LocalRateLimitDescriptor>,
    at: &mut Scope<'_>,
) -> Vec<Descriptor> {
    let mut descriptors: Vec<Descriptor> = at.list("descriptors", messages, Descriptor::from_proto);
    let mut known = std::collections::HashSet::new();
    descriptors.retain(|descriptor| {
        let fresh = known.insert(descriptor.entries.clone());
        if !fresh {
            let entry = |(key, value): &(String, String)| format!("{key}={value}");
            let entries: Vec<_> = descriptor.entries.iter().map(entry).collect();
            let entries = entries.join(", ");
            at.error(format!("duplicate descriptor in the local rate descriptor: {entries}"));
        }
        fresh
    });
    descriptors
}

impl Descriptor {
    fn from_proto(message: common::LocalRateLimitDescriptor, at: &mut Scope<'_>) -> Option<Self> {
        use common::rate_limit_descriptor::Entry;
        open! { at, common::LocalRateLimitDescriptor = message;
            implemented { entries, token_bucket, shadow_mode }
        }
        if entries.is_empty() {
            at.field("entries").violation("value must contain at least 1 item(s)");
        }
        let entries = at.list("entries", entries, |message, at| {
            open! { at, Entry = message; implemented { key, value } }
            Some((at.required_string("key", key), value))
        });
        let token_bucket = at.required("token_bucket", token_bucket);
        let fill = at.message("token_bucket", token_bucket, |bucket, at| {
            let too_fast = "local rate limit descriptor token bucket fill timer must be >= 50ms";
            Fill::from_proto(bucket, too_fast, at)
        });
        Some(Descriptor { entries, fill: fill?, shadow: shadow_mode })
    }
}
