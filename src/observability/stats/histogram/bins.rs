//! The bins that one thread records into.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::observability::stats::shard::update;

/// Bins of a decade: the first two digits, 10 to 99.
const PER_DECADE: usize = 90;
/// Decades of a `u64`.
const DECADES: usize = 20;

/// A bin's name: values from `mantissa/10 × 10^exponent` on. The bin of zero has the mantissa 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bin {
    /// Power of ten of the first digit.
    pub exponent: u8,
    /// The first two digits, 10 to 99; 0 for the value 0.
    pub mantissa: u8,
}

impl Bin {
    /// The bin of a value.
    pub fn of(value: u64) -> Self {
        let Some(exponent) = value.checked_ilog10() else { return Bin::default() };
        let mantissa = match exponent {
            0 => value * 10,
            exponent => value / 10u64.pow(exponent - 1),
        };
        Bin { exponent: exponent as u8, mantissa: mantissa as u8 }
    }

    /// Its lowest value.
    pub fn lower(self) -> f64 {
        f64::from(self.mantissa) / 10.0 * 10f64.powi(i32::from(self.exponent))
    }

    /// How wide it is.
    pub fn width(self) -> f64 {
        if self.mantissa == 0 { 0.0 } else { 0.1 * 10f64.powi(i32::from(self.exponent)) }
    }
}

type Decade = [AtomicU64; PER_DECADE];

/// Counts by bin. A decade's are made when a value falls into it.
#[derive(Debug, Default)]
pub(in crate::observability::stats) struct Bins {
    zero: AtomicU64,
    decades: [OnceLock<Box<Decade>>; DECADES],
}

impl Bins {
    pub(in crate::observability::stats) fn record(&self, value: u64, shared: bool) {
        let bin = Bin::of(value);
        let count = match bin.mantissa {
            0 => &self.zero,
            mantissa => {
                let decade = self.decades[usize::from(bin.exponent)].get_or_init(empty_decade);
                &decade[usize::from(mantissa) - 10]
            }
        };
        update(count, shared, |old| old.wrapping_add(1));
    }

    /// Bins that have a count, in rising order.
    pub(super) fn for_each(&self, mut visit: impl FnMut(Bin, u64)) {
        let mut visit = |bin, count: &AtomicU64| match count.load(Ordering::Relaxed) {
            0 => {}
            count => visit(bin, count),
        };
        visit(Bin::default(), &self.zero);
        for (exponent, decade) in self.decades.iter().enumerate() {
            for (at, count) in decade.get().into_iter().flat_map(|decade| decade.iter()).enumerate() {
                visit(Bin { exponent: exponent as u8, mantissa: at as u8 + 10 }, count);
            }
        }
    }
}

fn empty_decade() -> Box<Decade> {
    Box::new([const { AtomicU64::new(0) }; PER_DECADE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_is_the_first_two_digits() {
        let check =
            |value, exponent, mantissa| assert_eq!(Bin::of(value), Bin { exponent, mantissa }, "{value}");
        check(0, 0, 0);
        check(1, 0, 10);
        check(9, 0, 90);
        check(10, 1, 10);
        check(99, 1, 99);
        check(100, 2, 10);
        check(1234, 3, 12);
        check(u64::MAX, 19, 18);
    }
}
