//! Lower and upper bounds of numbers and durations.

use std::fmt::{self, Display};

/// Bounds as in the rules of protoc-gen-validate: `lt`, `lte`, `gt`, `gte`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bounds<T> {
    /// The bound below, and whether it is allowed itself.
    pub(super) lower: Option<(T, bool)>,
    /// The bound above, and whether it is allowed itself.
    pub(super) upper: Option<(T, bool)>,
}

impl<T> Default for Bounds<T> {
    fn default() -> Self {
        Self { lower: None, upper: None }
    }
}

impl<T: PartialOrd + Copy + Display> Bounds<T> {
    pub(super) fn allow(&self, value: T) -> bool {
        let above = self.lower.is_none_or(|(bound, inclusive)| value > bound || inclusive && value == bound);
        let below = self.upper.is_none_or(|(bound, inclusive)| value < bound || inclusive && value == bound);
        if self.is_inverted() { above || below } else { above && below }
    }

    /// A lower bound above the upper one forbids what lies between them.
    fn is_inverted(&self) -> bool {
        matches!((self.lower, self.upper), (Some((lower, _)), Some((upper, _))) if lower > upper)
    }

    /// What is allowed, in the words of protoc-gen-validate.
    pub(super) fn describe(&self) -> String {
        match (self.lower, self.upper) {
            (Some((lower, with_lower)), Some((upper, with_upper))) if self.is_inverted() => {
                let (open, close) = (if with_upper { '(' } else { '[' }, if with_lower { ')' } else { ']' });
                format!("value must be outside range {open}{upper}, {lower}{close}")
            }
            (Some((lower, with_lower)), Some((upper, with_upper))) => {
                let (open, close) = (if with_lower { '[' } else { '(' }, if with_upper { ']' } else { ')' });
                format!("value must be inside range {open}{lower}, {upper}{close}")
            }
            (Some((lower, true)), None) => format!("value must be greater than or equal to {lower}"),
            (Some((lower, false)), None) => format!("value must be greater than {lower}"),
            (None, Some((upper, true))) => format!("value must be less than or equal to {upper}"),
            (None, Some((upper, false))) => format!("value must be less than {upper}"),
            (None, None) => String::new(),
        }
    }
}

/// A duration in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Nanoseconds(pub(crate) i128);

/// As Go prints it (`1ms`, `5m0s`), which is what ends up in Envoy's messages.
impl Display for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND: u128 = 1_000_000_000;
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        match nanos {
            0 => return f.write_str("0s"),
            1..1_000 => return write!(f, "{sign}{nanos}ns"),
            1_000..1_000_000 => return write!(f, "{sign}{}µs", decimal(nanos, 1_000)),
            1_000_000..SECOND => return write!(f, "{sign}{}ms", decimal(nanos, 1_000_000)),
            _ => {}
        }
        let (minutes, rest) = (nanos / (60 * SECOND), nanos % (60 * SECOND));
        let seconds = decimal(rest, SECOND);
        match (minutes / 60, minutes % 60) {
            (0, 0) => write!(f, "{sign}{seconds}s"),
            (0, minutes) => write!(f, "{sign}{minutes}m{seconds}s"),
            (hours, minutes) => write!(f, "{sign}{hours}h{minutes}m{seconds}s"),
        }
    }
}

/// A number of units, which are powers of ten, with as many decimals as needed.
fn decimal(value: u128, unit: u128) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let decimals = format!("{rest:0digits$}");
    format!("{whole}.{}", decimals.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (1_000_000, "1ms"),
            (1_500_000_000, "1.5s"),
            (300_000_000_000, "5m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (-61_000_000_000, "-1m1s"),
        ] {
            assert_eq!(Nanoseconds(nanos).to_string(), text);
        }
    }

    #[test]
    fn bounds_allow_what_they_describe() {
        let within = Bounds { lower: Some((0, false)), upper: Some((8192, true)) };
        assert_eq!(within.describe(), "value must be inside range (0, 8192]");
        assert!(!within.allow(0) && within.allow(1) && within.allow(8192) && !within.allow(8193));
        let outside = Bounds { lower: Some((10, true)), upper: Some((5, false)) };
        assert_eq!(outside.describe(), "value must be outside range [5, 10)");
        assert!(outside.allow(4) && !outside.allow(5) && outside.allow(10));
        let above = Bounds { lower: Some((1, true)), upper: None };
        assert_eq!(above.describe(), "value must be greater than or equal to 1");
    }
}
