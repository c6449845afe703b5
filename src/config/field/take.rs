//! Taking fields: presence, ranges, units.

use std::time::Duration;

use envoy_types::pb::envoy::r#type::v3 as type_v3;
use envoy_types::pb::google::protobuf as pb;

use super::{Scope, open};

impl Scope<'_> {
    /// Takes a field that must be set.
    pub fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.field(name).violation("value is required");
        }
        value
    }

    /// Takes a string that must not be empty.
    pub fn required_string(&mut self, name: &str, value: String) -> String {
        if value.is_empty() {
            self.field(name).violation("value length must be at least 1 characters");
        }
        value
    }

    /// Converts a message if it is set.
    pub fn message<M, T>(
        &mut self,
        name: &str,
        message: Option<M>,
        convert: impl FnOnce(M, &mut Scope<'_>) -> Option<T>,
    ) -> Option<T> {
        message.and_then(|message| convert(message, &mut self.field(name)))
    }

    /// Converts a message if it is set; the default otherwise.
    pub fn or_default<M, T: Default>(
        &mut self,
        name: &str,
        message: Option<M>,
        convert: impl FnOnce(M, &mut Scope<'_>) -> Option<T>,
    ) -> T {
        self.message(name, message, convert).unwrap_or_default()
    }

    /// Converts the elements of a list.
    pub fn list<M, T>(
        &mut self,
        name: &str,
        messages: Vec<M>,
        mut convert: impl FnMut(M, &mut Scope<'_>) -> Option<T>,
    ) -> Vec<T> {
        // Collected without this, they would stay in the allocation of the messages, which are many times larger.
        let mut list = Vec::with_capacity(messages.len());
        let converted = messages.into_iter().enumerate();
        list.extend(converted.filter_map(|(index, message)| convert(message, &mut self.index(name, index))));
        list
    }

    /// Takes an enumeration's value, which must be one of those that the API defines.
    pub fn enumeration<E: TryFrom<i32> + Default>(&mut self, name: &str, value: i32) -> E {
        E::try_from(value).unwrap_or_else(|_| {
            self.field(name).violation(format!("value must be one of the defined enum values, not {value}"));
            E::default()
        })
    }

    /// Takes a duration if it is set.
    pub fn duration(&mut self, name: &str, value: Option<pb::Duration>) -> Option<Duration> {
        let value = value?;
        let duration = to_duration(&value);
        if duration.is_none() {
            let pb::Duration { seconds, nanos } = value;
            let problem =
                if seconds < 0 || nanos < 0 { "Expected positive duration" } else { "Duration out-of-range" };
            self.field(name).error(format!("Invalid duration: {problem}: seconds: {seconds} nanos: {nanos}"));
        }
        duration
    }

    /// Takes a duration that must be greater than zero if it is set.
    pub fn positive_duration(&mut self, name: &str, value: Option<pb::Duration>) -> Option<Duration> {
        let duration = self.duration(name, value)?;
        if duration.is_zero() {
            self.field(name).violation("value must be greater than 0s");
            return None;
        }
        Some(duration)
    }

    /// Takes a duration of which zero means that there is no limit; `default` when it is not set.
    pub fn timeout(
        &mut self,
        name: &str,
        value: Option<pb::Duration>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        if value.is_none() {
            return default;
        }
        self.duration(name, value).filter(|timeout| !timeout.is_zero())
    }

    /// Takes a number that must lie in a range if it is set.
    pub fn within(
        &mut self,
        name: &str,
        value: Option<pb::UInt32Value>,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        let value = value?.value;
        if !range.contains(&value) {
            let (start, end) = range.into_inner();
            let bounds = match end {
                u32::MAX => format!("value must be greater than or equal to {start}"),
                _ => format!("value must be inside range [{start}, {end}]"),
            };
            self.field(name).violation(bounds);
            return None;
        }
        Some(value)
    }

    /// Takes a percentage, 0 to 100, if it is set.
    pub fn percent(&mut self, name: &str, value: Option<type_v3::Percent>) -> Option<f64> {
        let mut at = self.field(name);
        open! { at, type_v3::Percent = value?; implemented { value } }
        if !(0.0..=100.0).contains(&value) {
            at.field("value").violation("value must be inside range [0, 100]");
            return None;
        }
        Some(value)
    }
}

/// A duration of zero or more that fits Envoy's clock, nanoseconds in 64 bits.
fn to_duration(value: &pb::Duration) -> Option<Duration> {
    const MAX_SECONDS: u64 = i64::MAX as u64 / 1_000_000_000;
    let seconds = u64::try_from(value.seconds).ok()?;
    let nanos = u32::try_from(value.nanos).ok()?;
    (seconds < MAX_SECONDS && nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::field::known::Extensions;
    use crate::config::field::{Error, read};

    /// What was said of a value that was to be taken.
    fn complaint<T>(take: impl FnOnce(&mut Scope<'_>) -> Option<T>) -> String {
        let taken = read(&Extensions::default(), |at| {
            take(at);
            Some(())
        });
        taken.map_or_else(|errors| errors.iter().map(Error::to_string).collect(), |_| String::new())
    }

    #[test]
    fn durations_lie_between_zero_and_the_end_of_the_clock() {
        for (seconds, nanos, expected) in [
            (0, 0, ""),
            (9_223_372_035, 999_999_999, ""),
            (-1, 0, "d: Invalid duration: Expected positive duration: seconds: -1 nanos: 0"),
            (0, -1, "d: Invalid duration: Expected positive duration: seconds: 0 nanos: -1"),
            (9_223_372_036, 0, "d: Invalid duration: Duration out-of-range: seconds: 9223372036 nanos: 0"),
            (0, 1_000_000_000, "d: Invalid duration: Duration out-of-range: seconds: 0 nanos: 1000000000"),
        ] {
            assert_eq!(complaint(|at| at.duration("d", Some(pb::Duration { seconds, nanos }))), expected);
        }
    }

    #[test]
    fn of_many_errors_the_first_are_kept_and_the_others_counted() {
        let read = read::<()>(&Extensions::default(), |at| {
            (0..2500).for_each(|index| at.index("list", index).error("bad"));
            None
        });
        let errors = read.expect_err("many errors");
        assert_eq!((errors.len(), errors[999].path.as_str()), (1001, "list[999]"));
        assert_eq!(errors[1000].to_string(), "1500 more errors are left out");
    }

    #[test]
    fn no_limit_is_written_as_zero() {
        let zero = || Some(pb::Duration { seconds: 0, nanos: 0 });
        let default = Some(Duration::from_secs(5));
        let taken = read(&Extensions::default(), |at| {
            Some((at.timeout("t", zero(), default), at.timeout("t", None, default)))
        });
        assert_eq!(taken.expect("two timeouts").0, (None, default));
        assert_eq!(complaint(|at| at.positive_duration("t", zero())), "t: value must be greater than 0s");
    }

    #[test]
    fn percentages_and_ranges_have_their_ends() {
        for (value, expected) in [
            (0.0, ""),
            (100.0, ""),
            (100.5, "p.value: value must be inside range [0, 100]"),
            (f64::NAN, "p.value: value must be inside range [0, 100]"),
        ] {
            assert_eq!(complaint(|at| at.percent("p", Some(type_v3::Percent { value }))), expected);
        }
        let within = |value| complaint(|at| at.within("n", Some(pb::UInt32Value { value }), 2..=u32::MAX));
        assert_eq!(within(2), "");
        assert_eq!(within(1), "n: value must be greater than or equal to 2");
    }
}
