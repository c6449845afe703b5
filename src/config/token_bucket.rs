//! Token buckets: `envoy.type.v3.TokenBucket`.

use std::time::Duration;

use envoy_types::pb::envoy::r#type::v3;

use super::field::{Scope, open};
use crate::base::token_bucket::{self, Started};

/// How fast a bucket may be filled.
const LEAST_FILL_INTERVAL: Duration = Duration::from_millis(50);

/// `envoy.type.v3.TokenBucket`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenBucket {
    /// What it holds at most, and at first.
    pub max_tokens: u32,
    /// How many tokens come back in each interval; at least one.
    pub tokens_per_fill: u32,
    /// The interval; 50 ms or more.
    pub fill_interval: Duration,
}

impl TokenBucket {
    /// One that is full, and filled from its first use on.
    pub fn started(&self) -> Started {
        Started::new(token_bucket::TokenBucket::new(
            self.max_tokens,
            self.tokens_per_fill,
            self.fill_interval,
        ))
    }

    /// From its proto. `too_fast` is what is said of one that is filled too often.
    pub fn from_proto(message: v3::TokenBucket, too_fast: &str, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::TokenBucket = message; implemented { max_tokens, tokens_per_fill, fill_interval } }
        let fill_interval = at.required("fill_interval", fill_interval);
        let fill_interval = at.duration("fill_interval", fill_interval)?;
        if fill_interval < LEAST_FILL_INTERVAL {
            at.error(too_fast);
            return None;
        }
        let tokens_per_fill = at.within("tokens_per_fill", tokens_per_fill, 1..=u32::MAX).unwrap_or(1);
        Some(TokenBucket { max_tokens, tokens_per_fill, fill_interval })
    }
}
