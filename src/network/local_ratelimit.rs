//! `envoy.filters.network.local_ratelimit`: closes connections that come too fast.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use envoy_types::pb::envoy::extensions::filters::network::local_ratelimit::v3;

use crate::base::token_bucket::Started;
use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::config::local_ratelimit::ConnectionRateLimit;
use crate::config::token_bucket::TokenBucket;
use crate::observability::stats::network::LocalRateLimitStats;
use crate::observability::stream_info::{Refusal, ResponseFlags};

use super::filter::{Context, Filter, Guest, Made, Step};
use super::read;

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.network.local_ratelimit",
    type_name: "envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    limit: ConnectionRateLimit,
    /// Filters with the same key and the same bucket share one; empty for a bucket of its own.
    share_key: String,
}

impl Config {
    fn from_proto(message: v3::LocalRateLimit, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::LocalRateLimit = message;
            implemented { stat_prefix, token_bucket, runtime_enabled, share_key }
        }
        let limit = ConnectionRateLimit::from_fields(stat_prefix, token_bucket, runtime_enabled, at)?;
        Some(Config { limit, share_key })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other filters cannot always be made")]
pub(super) fn make(config: &Config, context: &Context<'_>) -> Result<Made, String> {
    let Config { limit, share_key } = config;
    let stats =
        LocalRateLimitStats::new(context.registry, &format!("local_rate_limit.{}.", limit.stat_prefix));
    let bucket = match share_key.as_str() {
        "" => Arc::new(limit.token_bucket.started()),
        key => context.shared_buckets.of(key, limit.token_bucket),
    };
    Ok(Made::Filter(Arc::new(LocalRateLimit { bucket, limit: limit.clone(), stats })))
}

/// Buckets that several filters take from.
#[derive(Debug, Default)]
pub struct SharedBuckets(Mutex<HashMap<(String, TokenBucket), Weak<Started>>>);

impl SharedBuckets {
    /// The bucket of a key; that of those who have it already, as long as there are any.
    fn of(&self, key: &str, fill: TokenBucket) -> Arc<Started> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.retain(|_, bucket| bucket.strong_count() > 0);
        let key = (key.to_owned(), fill);
        if let Some(bucket) = buckets.get(&key).and_then(Weak::upgrade) {
            return bucket;
        }
        let bucket = Arc::new(fill.started());
        buckets.insert(key, Arc::downgrade(&bucket));
        bucket
    }
}

/// The limit of a chain in force.
#[derive(Debug)]
struct LocalRateLimit {
    limit: ConnectionRateLimit,
    bucket: Arc<Started>,
    stats: LocalRateLimitStats,
}

impl Filter for LocalRateLimit {
    fn accepted(&self, guest: &Rc<Guest>) -> Step {
        if !self.limit.is_enabled(&guest.worker.snapshot().runtime) || self.bucket.take() {
            return Step::Pass;
        }
        self.stats.rate_limited().inc();
        // The flag is Envoy's choice.
        let flags = ResponseFlags::URX;
        Step::Refuse(Refusal { flags, ..Refusal::new("local_ratelimit_close_over_limit") })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_has_the_same_key_and_bucket_shares_it_as_long_as_anybody_does() {
        let fill =
            TokenBucket { max_tokens: 1, tokens_per_fill: 1, fill_interval: Duration::from_secs(1000) };
        let shared = SharedBuckets::default();
        let one = shared.of("a", fill);
        assert!(Arc::ptr_eq(&one, &shared.of("a", fill)));
        assert!(!Arc::ptr_eq(&one, &shared.of("b", fill)));
        assert!(!Arc::ptr_eq(&one, &shared.of("a", TokenBucket { max_tokens: 2, ..fill })));
        assert!(one.take() && !one.take());
        drop(one);
        assert!(shared.of("a", fill).take(), "a new one is full");
    }
}
