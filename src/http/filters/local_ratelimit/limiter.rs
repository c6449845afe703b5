//! The buckets, and what they allow. Time is handed in.

use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use crate::base::token_bucket::TokenBucket;
use crate::config::route::XRateLimitOption;
use crate::route::rate_limit::{Descriptor, Entry};

use super::config::{self, Fill, Limits};
use super::dynamic::Dynamic;

/// The buckets of one configuration. All workers take from them, and nothing locks.
#[derive(Debug)]
pub(super) struct Limiter {
    /// The moment that times are counted from: that of the first request.
    origin: OnceLock<Instant>,
    default: Option<Arc<Bucket>>,
    always_default: bool,
    exact: HashTable<Exact>,
    hasher: DefaultHashBuilder,
    /// Those with values left open, in the order of the configuration.
    dynamic: Box<[Dynamic]>,
}

/// A descriptor and its bucket.
#[derive(Debug)]
struct Exact {
    entries: Vec<(String, String)>,
    bucket: Arc<Bucket>,
}

impl Exact {
    /// Whether the entries of a request are these.
    fn is_of(&self, entries: &[Entry<'_>]) -> bool {
        let same = |(entry, own): (&Entry<'_>, &(String, String))| fits(entry, own);
        entries.len() == self.entries.len() && entries.iter().zip(&self.entries).all(same)
    }
}

/// A bucket and what becomes of requests that it does not allow.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) tokens: TokenBucket,
    /// They are only counted.
    pub(super) shadow: bool,
}

/// A bucket of a limiter.
pub(super) enum Found<'l> {
    /// One that is always there.
    Fixed(&'l Arc<Bucket>),
    /// One that may be gone soon.
    Dynamic(Arc<Bucket>),
}

/// What a limiter says of a request.
pub(super) struct Verdict<'l> {
    pub(super) allowed: bool,
    /// The bucket that decided, or the one of most concern to a request that is allowed.
    pub(super) bucket: Option<Found<'l>>,
    /// What the descriptor of that bucket says of telling it.
    pub(super) x_ratelimit_option: XRateLimitOption,
}

impl Deref for Found<'_> {
    type Target = Bucket;

    fn deref(&self) -> &Bucket {
        match self {
            Found::Fixed(bucket) => bucket,
            Found::Dynamic(bucket) => bucket,
        }
    }
}

impl From<Found<'_>> for Arc<Bucket> {
    fn from(found: Found<'_>) -> Self {
        match found {
            Found::Fixed(bucket) => Arc::clone(bucket),
            Found::Dynamic(bucket) => bucket,
        }
    }
}

impl Bucket {
    pub(super) fn new(fill: Fill, shadow: bool) -> Arc<Self> {
        let tokens = TokenBucket::new(fill.max_tokens, fill.tokens_per_fill, fill.fill_interval);
        Arc::new(Bucket { tokens, shadow })
    }
}

impl Limiter {
    /// Full buckets.
    pub(super) fn new(limits: &Limits) -> Self {
        let hasher = DefaultHashBuilder::default();
        let (mut exact, mut dynamic) = (HashTable::new(), Vec::new());
        for descriptor in &limits.descriptors {
            let config::Descriptor { entries, fill, shadow } = descriptor;
            if entries.iter().any(|(_, value)| value.is_empty()) {
                dynamic.push(Dynamic::new(entries, *fill, *shadow, limits.max_dynamic as usize));
                continue;
            }
            let one = Exact { entries: entries.clone(), bucket: Bucket::new(*fill, *shadow) };
            exact.insert_unique(hash(&hasher, configured(&one.entries)), one, |one: &Exact| {
                hash(&hasher, configured(&one.entries))
            });
        }
        Limiter {
            origin: OnceLock::new(),
            default: limits.default.map(|fill| Bucket::new(fill, false)),
            always_default: limits.always_default,
            exact,
            hasher,
            dynamic: dynamic.into(),
        }
    }

    /// What has gone by at this moment, for its buckets, and since when.
    pub(super) fn time(&self, now: Instant) -> (Duration, Instant) {
        let origin = *self.origin.get_or_init(|| now);
        (now.saturating_duration_since(origin), origin)
    }

    /// Whether a request with these descriptors may pass, which takes what as many requests do as there are `proxies` that
    /// share the buckets. The slowest of the buckets that they match is asked first, and
    /// the default one last; those asked before one that is empty have given theirs all the same.
    pub(super) fn allow(&self, descriptors: &[Descriptor<'_>], proxies: u64, now: Duration) -> Verdict<'_> {
        #[expect(clippy::cast_precision_loss, reason = "there are never so many")]
        let each = proxies as f64;
        let matching = descriptors.iter().filter_map(|descriptor| Some((self.find(descriptor)?, descriptor)));
        let mut matching: SmallVec<[_; 4]> = matching.collect();
        matching.sort_by(|(a, _), (b, _)| a.tokens.rate().total_cmp(&b.tokens.rate()));
        let refusing = matching.iter().position(|(bucket, descriptor)| !takes(bucket, descriptor, each, now));
        if let Some(number) = refusing {
            return Verdict::new(false, Some(matching.swap_remove(number)));
        }
        if (matching.is_empty() || self.always_default)
            && let Some(default) = self.default.as_ref().filter(|default| !default.tokens.take(each, now))
        {
            // As in Envoy what can hold nothing is not told of.
            let told = (default.tokens.max_tokens() > 0.0).then_some(Found::Fixed(default));
            let x_ratelimit_option = XRateLimitOption::Unspecified;
            return Verdict { allowed: false, bucket: told, x_ratelimit_option };
        }
        match matching.into_iter().next() {
            Some(first) => Verdict::new(true, Some(first)),
            None => Verdict {
                allowed: true,
                bucket: self.default.as_ref().map(Found::Fixed),
                x_ratelimit_option: XRateLimitOption::Unspecified,
            },
        }
    }

    /// The bucket of a descriptor.
    fn find(&self, descriptor: &Descriptor<'_>) -> Option<Found<'_>> {
        let entries = &descriptor.entries[..];
        if !self.exact.is_empty() {
            let asked = entries.iter().map(|entry| (entry.key.as_bytes(), &*entry.value));
            let found = self.exact.find(hash(&self.hasher, asked), |one| one.is_of(entries));
            if let Some(found) = found {
                return Some(Found::Fixed(&found.bucket));
            }
        }
        self.dynamic.iter().find_map(|dynamic| dynamic.find(entries)).map(Found::Dynamic)
    }
}

impl<'l> Verdict<'l> {
    fn new(allowed: bool, by: Option<(Found<'l>, &Descriptor<'_>)>) -> Self {
        let (bucket, descriptor) = by.unzip();
        let x_ratelimit_option = descriptor.map(|descriptor| descriptor.x_ratelimit_option);
        Verdict { allowed, bucket, x_ratelimit_option: x_ratelimit_option.unwrap_or_default() }
    }
}

/// Whether a bucket has what a request counts for, of which each is so many tokens, and which it takes then.
fn takes(bucket: &Bucket, descriptor: &Descriptor<'_>, each: f64, now: Duration) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "so large a number is more than any bucket holds")]
    let hits = descriptor.hits.unwrap_or(1) as f64;
    if descriptor.gives_back {
        bucket.tokens.give_back(hits, now);
        return true;
    }
    bucket.tokens.take(hits * each, now)
}

/// Keys and values as requests have them.
fn configured(entries: &[(String, String)]) -> impl Iterator<Item = (&[u8], &[u8])> {
    entries.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes()))
}

fn hash<'e>(hasher: &DefaultHashBuilder, entries: impl Iterator<Item = (&'e [u8], &'e [u8])>) -> u64 {
    let mut state = hasher.build_hasher();
    entries.for_each(|entry| entry.hash(&mut state));
    state.finish()
}

/// Whether an entry of a request is one with this key, and this value if it is not left open.
pub(super) fn fits(entry: &Entry<'_>, (key, value): &(String, String)) -> bool {
    entry.key == key && (value.is_empty() || *entry.value == *value.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn fill(max_tokens: u32) -> Fill {
        Fill { max_tokens, tokens_per_fill: max_tokens, fill_interval: Duration::from_secs(3600) }
    }

    fn limited(value: &str, max_tokens: u32) -> config::Descriptor {
        let entries = vec![("k".to_owned(), value.to_owned())];
        config::Descriptor { entries, fill: fill(max_tokens), shadow: false }
    }

    fn limits(descriptors: Vec<config::Descriptor>, default: u32) -> Limits {
        Limits { default: Some(fill(default)), always_default: true, descriptors, max_dynamic: 2 }
    }

    fn asked(value: &str) -> Descriptor<'_> {
        let entry = Entry { key: "k", value: Cow::Borrowed(value.as_bytes()) };
        Descriptor {
            entries: [entry].into_iter().collect(),
            hits: None,
            gives_back: false,
            limit: None,
            x_ratelimit_option: XRateLimitOption::Unspecified,
        }
    }

    fn allows(limiter: &Limiter, values: &[&str]) -> bool {
        let descriptors: Vec<_> = values.iter().map(|value| asked(value)).collect();
        limiter.allow(&descriptors, 1, NOW).allowed
    }

    #[test]
    fn the_bucket_of_a_descriptor_and_the_default_one_both_have_to_allow() {
        let limiter = Limiter::new(&limits(vec![limited("a", 1), limited("b", 9)], 3));
        assert_eq!(["a", "a", "b", "b", "b"].map(|value| allows(&limiter, &[value])), [
            true, false, true, true, false
        ]);
    }

    #[test]
    fn the_default_bucket_may_be_for_those_alone_that_nothing_matches() {
        let only = Limits { always_default: false, ..limits(vec![limited("a", 2)], 1) };
        let limiter = Limiter::new(&only);
        assert_eq!(["a", "a", "a", "x", "x"].map(|value| allows(&limiter, &[value])), [
            true, true, false, true, false
        ]);
    }

    #[test]
    fn proxies_that_share_a_bucket_take_their_part_of_it() {
        let limiter = Limiter::new(&limits(vec![limited("a", 7)], 99));
        let takes = || limiter.allow(&[asked("a")], 3, NOW).allowed;
        assert_eq!([takes(), takes(), takes()], [true, true, false]);
    }

    #[test]
    fn the_slowest_bucket_is_asked_first() {
        let limiter = Limiter::new(&limits(vec![limited("fast", 5), limited("slow", 1)], 9));
        assert!(allows(&limiter, &["fast", "slow"]));
        assert!(!allows(&limiter, &["fast", "slow"]));
        let verdict = limiter.allow(&[asked("fast")], 1, NOW);
        assert_eq!(verdict.bucket.map(|bucket| bucket.tokens.tokens(NOW).round()), Some(3.0));
    }

    #[test]
    fn values_left_open_have_a_bucket_each_as_long_as_they_are_among_the_last_used() {
        let limiter = Limiter::new(&limits(vec![limited("", 1)], 99));
        let asked = ["a", "b", "a", "b", "c", "a", "c"];
        let answers = asked.map(|value| allows(&limiter, &[value]));
        assert_eq!(answers, [true, true, false, false, true, true, false]);
    }
}
