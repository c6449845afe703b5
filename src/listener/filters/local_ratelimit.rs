//! `envoy.filters.listener.local_ratelimit`: closes connections that come too fast, before anything looks at them.

use envoy_types::pb::envoy::extensions::filters::listener::local_ratelimit::v3;

use crate::base::token_bucket::Started;
use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::config::local_ratelimit::ConnectionRateLimit;
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
pub(super) struct Config(ConnectionRateLimit);

impl Config {
    fn from_proto(message: v3::LocalRateLimit, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::LocalRateLimit = message; implemented { stat_prefix, token_bucket, runtime_enabled } }
        ConnectionRateLimit::from_fields(stat_prefix, token_bucket, runtime_enabled, at).map(Config)
    }
}

pub(super) fn make(Config(limit): &Config, context: &Context<'_>) -> Box<dyn ListenerFilter> {
    let prefix = format!("listener_local_ratelimit.{}.", limit.stat_prefix);
    Box::new(LocalRateLimit {
        tokens: limit.token_bucket.started(),
        limit: limit.clone(),
        stats: ListenerRateLimitStats::new(context.registry, &prefix),
    })
}

/// The limit of a listener in force, over all workers.
#[derive(Debug)]
struct LocalRateLimit {
    limit: ConnectionRateLimit,
    tokens: Started,
    stats: ListenerRateLimitStats,
}

impl ListenerFilter for LocalRateLimit {
    fn accepted(&self, connection: &mut Accepted<'_>) -> Verdict {
        if !self.limit.is_enabled(&connection.worker.snapshot().runtime) || self.tokens.take() {
            return Verdict::Continue;
        }
        self.stats.rate_limited().inc();
        Verdict::Close
    }
}
