//! Distributions, in the bins of circllhist, the library that Envoy uses.
//!
//! A bin holds the values that agree in their first two decimal digits: 0; 1.0 to 1.1; … 9.9 to 10; 10 to 11; ….
//! So quantiles and Prometheus buckets come out as Envoy's, digit by digit.

mod bins;
mod latch;
mod totals;

pub use bins::Bin;
pub(super) use bins::Bins;
pub use latch::Latch;
pub use totals::Totals;

/// The quantiles that Envoy shows, in per cent.
pub const QUANTILES: [f64; 10] = [0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 100.0];
