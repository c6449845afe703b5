//! Sums of bins, and what is read from them.

use super::bins::{Bin, Bins};

/// Counts by bin, in rising order of the bins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    counts: Vec<(Bin, u64)>,
}

impl Totals {
    /// Adds the counts of one thread.
    pub(in crate::observability::stats) fn add(&mut self, bins: &Bins) {
        bins.for_each(|bin, count| match self.counts.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => self.counts[at].1 += count,
            Err(at) => self.counts.insert(at, (bin, count)),
        });
    }

    /// What was recorded since `earlier`.
    pub(super) fn since(&self, earlier: &Totals) -> Totals {
        let counts = self.counts.iter().filter_map(|(bin, count)| {
            let before = earlier.counts.binary_search_by_key(bin, |(bin, _)| *bin);
            let new = count - before.map_or(0, |at| earlier.counts[at].1).min(*count);
            (new > 0).then_some((*bin, new))
        });
        Totals { counts: counts.collect() }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Counts by bin, in rising order.
    pub fn bins(&self) -> &[(Bin, u64)] {
        &self.counts
    }

    /// About the sum of the values: each counts as the middle of its bin, the one that halves its error.
    pub fn sum(&self) -> f64 {
        self.counts.iter().map(|(bin, count)| midpoint(*bin) * *count as f64).sum()
    }

    /// Values up to `bound`, as Envoy counts them for a bucket: those of the bins that end at or below it.
    pub fn count_up_to(&self, bound: f64) -> u64 {
        let within = |bin: &Bin| bin.lower() + bin.width() <= bound * (1.0 + f64::EPSILON);
        self.counts.iter().filter(|(bin, _)| within(bin)).map(|(_, count)| count).sum()
    }

    /// The value below which `per_cent` of the values lie; NaN when there is none.
    pub fn quantile(&self, per_cent: f64) -> f64 {
        let total = self.count();
        if total == 0 {
            return f64::NAN;
        }
        let wanted = total as f64 * per_cent / 100.0;
        let mut before = 0.0;
        for (bin, count) in &self.counts {
            let count = *count as f64;
            if before + count >= wanted {
                return bin.lower() + bin.width() * ((wanted - before) / count);
            }
            before += count;
        }
        self.counts.last().map_or(f64::NAN, |(bin, _)| bin.lower() + bin.width())
    }
}

/// The value that stands for a bin: its harmonic middle, as in circllhist.
fn midpoint(bin: Bin) -> f64 {
    let (bottom, top) = (bin.lower(), bin.lower() + bin.width());
    if top == 0.0 { 0.0 } else { 2.0 * bottom * top / (bottom + top) }
}
