//! `envoy.filters.listener.local_ratelimit`: closes connections that come too fast, before anything looks at them.

use std::sync::OnceLock;
use std::time::Instant;

use envoy_types::pb::envoy::extensions::filters::listener::local_ratelimit::v3;

use crate::base::token_bucket;
use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::config::runtime::RuntimeFlag;
use crate::config::token_bucket::TokenBucket;
use crate::observability::stats::listener::ListenerRateLimitStats;

use super::seam::{Accepted, ListenerFilter, Verdict};
use super::{Context, read};

/// The listener filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.listener.local_ratelimit",
    type_name: "envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    stat_prefix: String,
    /// Each connection takes a token.
    token_bucket: TokenBucket,
    /// Whether connections are limited; they are when absent.
    runtime_enabled: Option<RuntimeFlag>,
}

impl Config {
    fn from_proto(message: v3::LocalRateLimit, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::LocalRateLimit = message; implemented { stat_prefix, token_bucket, runtime_enabled } }
        let token_bucket = at.required("token_bucket", token_bucket);
        let token_bucket = at.message("token_bucket", token_bucket, |bucket, at| {
            TokenBucket::from_proto(bucket, "local rate limit token bucket fill timer must be >= 50ms", at)
        });
        Some(Config {
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            token_bucket: token_bucket?,
            runtime_enabled: at.message("runtime_enabled", runtime_enabled, RuntimeFlag::from_proto),
        })
    }
}

pub(super) fn make(config: &Config, context: &Context<'_>) -> Box<dyn ListenerFilter> {
    let TokenBucket { max_tokens, tokens_per_fill, fill_interval } = config.token_bucket;
    let prefix = format!("listener_local_ratelimit.{}.", config.stat_prefix);
    Box::new(LocalRateLimit {
        tokens: token_bucket::TokenBucket::new(max_tokens, tokens_per_fill, fill_interval),
        origin: OnceLock::new(),
        runtime_enabled: config.runtime_enabled.clone(),
        stats: ListenerRateLimitStats::new(context.registry, &prefix),
    })
}

/// The limit of a listener in force, over all workers.
#[derive(Debug)]
struct LocalRateLimit {
    tokens: token_bucket::TokenBucket,
    /// The moment that times are counted from: that of the first connection.
    origin: OnceLock<Instant>,
    runtime_enabled: Option<RuntimeFlag>,
    stats: ListenerRateLimitStats,
}

impl ListenerFilter for LocalRateLimit {
    fn accepted(&self, connection: &mut Accepted<'_>) -> Verdict {
        let runtime = &connection.worker.snapshot().runtime;
        if self.runtime_enabled.as_ref().is_some_and(|enabled| !enabled.value(runtime)) {
            return Verdict::Continue;
        }
        let now = tokio::time::Instant::now().into_std();
        if self.tokens.take(1.0, now.saturating_duration_since(*self.origin.get_or_init(|| now))) {
            return Verdict::Continue;
        }
        self.stats.rate_limited().inc();
        Verdict::Close
    }
}
