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

    /// Values up to `bound`, as Envoy counts them for a bucket: those of the bins that begin at or below it.
    pub fn count_up_to(&self, bound: f64) -> u64 {
        self.counts.iter().filter(|(bin, _)| bin.lower() <= bound).map(|(_, count)| count).sum()
    }

    /// The value below which `per_cent` of the values lie; NaN when there is none.
    ///
    /// The values of a bin are taken to lie evenly in it: one of one in its middle, two at its thirds.
    pub fn quantile(&self, per_cent: f64) -> f64 {
        let rank = (self.count() as f64 * per_cent / 100.0).ceil().max(1.0);
        let mut before = 0.0;
        for (bin, count) in &self.counts {
            let count = *count as f64;
            if before + count >= rank {
                return bin.lower() + bin.width() * (rank - before) / (count + 1.0);
            }
            before += count;
        }
        f64::NAN
    }
}

/// The value that stands for a bin: its harmonic middle, as in circllhist.
fn midpoint(bin: Bin) -> f64 {
    let (bottom, top) = (bin.lower(), bin.lower() + bin.width());
    // In its order of operations, on which the last digits depend.
    if top == 0.0 { 0.0 } else { bottom + bin.width() * (bottom / (bottom + top)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(values: &[u64]) -> Totals {
        let bins = Bins::default();
        values.iter().for_each(|value| bins.record(*value, false));
        let mut totals = Totals::default();
        totals.add(&bins);
        totals
    }

    /// What Envoy 1.40 shows after the same values.
    #[test]
    fn quantiles_are_envoys() {
        let quantiles = |values: &[u64]| [0.0, 25.0, 50.0, 75.0, 100.0].map(|at| totals(values).quantile(at));
        let check = |values: &[u64], expected: [f64; 5]| {
            for (found, expected) in quantiles(values).into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-9, "{values:?}: {found}, not {expected}");
            }
        };
        check(&[0, 0, 0], [0.0; 5]);
        check(&[49], [49.5; 5]);
        check(&[1, 1], [1.0 + 0.1 / 3.0, 1.0 + 0.1 / 3.0, 1.0 + 0.1 / 3.0, 1.0 + 0.2 / 3.0, 1.0 + 0.2 / 3.0]);
        check(&[1, 1, 1], [1.025, 1.025, 1.05, 1.075, 1.075]);
        assert!(totals(&[]).quantile(50.0).is_nan());
    }

    #[test]
    fn the_sum_takes_the_harmonic_middle_of_each_bin() {
        assert!((totals(&[49]).sum() - 49.494_949_494_949_495).abs() < 1e-12);
        assert_eq!(totals(&[0, 0]).sum(), 0.0);
    }

    #[test]
    fn a_bucket_counts_the_bins_that_begin_within_it() {
        let totals = totals(&[0, 1, 10, 750]);
        assert_eq!(
            [0.5, 1.0, 5.0, 10.0, 500.0, 1000.0].map(|bound| totals.count_up_to(bound)),
            [1, 2, 2, 3, 3, 4]
        );
    }
}
