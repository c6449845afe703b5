//! What is shown of a histogram, whatever the format.

use crate::observability::stats::Registry;
use crate::observability::stats::histogram::{Latch, QUANTILES, Totals};

/// A quantile of the last interval and of all time; NaN where there is nothing.
pub(super) struct Quantile {
    /// In per cent.
    pub(super) at: f64,
    /// Of what came in the last interval.
    pub(super) interval: f64,
    /// Of all.
    pub(super) cumulative: f64,
}

/// The quantiles that Envoy shows.
pub(super) fn quantiles(latch: Option<&Latch>) -> impl Iterator<Item = Quantile> {
    let of = |totals: Option<&Totals>, at| totals.map_or(f64::NAN, |totals| totals.quantile(at));
    QUANTILES.into_iter().map(move |at| Quantile {
        at,
        interval: of(latch.map(|latch| &latch.interval), at),
        cumulative: of(latch.map(|latch| &latch.cumulative), at),
    })
}

/// A bucket, and its values of the last interval and of all time.
pub(super) struct Bucket {
    /// Its upper bound.
    pub(super) bound: f64,
    /// Values of the last interval.
    pub(super) interval: u64,
    /// All values.
    pub(super) cumulative: u64,
}

/// The buckets of a histogram: up to each bound, or between the bounds.
pub(super) fn buckets(registry: &Registry, name: &str, latch: Option<&Latch>, disjoint: bool) -> Vec<Bucket> {
    let up_to = |totals: Option<&Totals>, bound| totals.map_or(0, |totals| totals.count_up_to(bound));
    let mut before = (0, 0);
    let buckets = registry.buckets(name).iter().map(|bound| {
        let interval = up_to(latch.map(|latch| &latch.interval), *bound);
        let cumulative = up_to(latch.map(|latch| &latch.cumulative), *bound);
        let below = if disjoint { std::mem::replace(&mut before, (interval, cumulative)) } else { (0, 0) };
        Bucket { bound: *bound, interval: interval - below.0, cumulative: cumulative - below.1 }
    });
    buckets.collect()
}
