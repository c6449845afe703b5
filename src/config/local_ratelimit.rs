//! Limits of how fast connections may come: what those of listeners and of filter chains have in common.

use envoy_types::pb::envoy::config::core::v3::RuntimeFeatureFlag;
use envoy_types::pb::envoy::r#type::v3;

use super::field::Scope;
use super::runtime::{RuntimeFlag, Values};
use super::token_bucket::TokenBucket;

/// A limit of how fast connections may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRateLimit {
    /// Names its statistics.
    pub stat_prefix: String,
    /// Each connection takes a token.
    pub token_bucket: TokenBucket,
    /// Whether connections are limited; they are when absent.
    runtime_enabled: Option<RuntimeFlag>,
}

impl ConnectionRateLimit {
    /// From the fields of the messages that configure it.
    pub fn from_fields(
        stat_prefix: String,
        token_bucket: Option<v3::TokenBucket>,
        runtime_enabled: Option<RuntimeFeatureFlag>,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        let token_bucket = at.required("token_bucket", token_bucket);
        let token_bucket = at.message("token_bucket", token_bucket, |bucket, at| {
            TokenBucket::from_proto(bucket, "local rate limit token bucket fill timer must be >= 50ms", at)
        });
        Some(ConnectionRateLimit {
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            token_bucket: token_bucket?,
            runtime_enabled: at.message("runtime_enabled", runtime_enabled, RuntimeFlag::from_proto),
        })
    }

    /// Whether connections are limited now.
    pub fn is_enabled(&self, runtime: &Values) -> bool {
        self.runtime_enabled.as_ref().is_none_or(|enabled| enabled.value(runtime))
    }
}
