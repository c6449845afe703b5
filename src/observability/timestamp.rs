//! Moments in the JSON of events, `google.protobuf.Timestamp`, and the names that moments have elsewhere.

use std::time::SystemTime;

/// The names of months, as logs have them.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The moment in UTC, to the millisecond; without a fraction where that is none, as protobuf writes it.
pub fn millisecond(moment: SystemTime) -> String {
    // Times of this process are within the calendar.
    let moment = jiff::Timestamp::try_from(moment).unwrap_or_default();
    let form = if moment.subsec_millisecond() == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%3fZ" };
    moment.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_whole_second_has_no_fraction() {
        let at = |millis| millisecond(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(at(1_700_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(at(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
    }
}
