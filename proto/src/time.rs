//! Durations and times in their JSON notation.

/// The longest duration: 10,000 years of 365.25 days, in seconds.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// Parses `1.5s` into seconds and nanoseconds of the same sign.
pub(crate) fn parse_duration(text: &str) -> Result<(i64, i32), &'static str> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '-').unwrap_or(text.len());
    let (seconds, rest) = text.split_at(end);
    if seconds.is_empty() {
        return Err("a duration must start with a whole number");
    }
    let negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().map_err(|_| "malformed seconds")?;
    if seconds.abs() > MAX_DURATION_SECONDS {
        return Err("the duration is out of range");
    }
    let (nanos, rest) = take_nanos(rest).ok_or("seconds have at most nine decimals")?;
    if rest != "s" {
        return Err("a duration must end with a single `s`");
    }
    Ok((seconds, if negative { -nanos } else { nanos }))
}

/// Prints `1.500s`, with 0, 3, 6 or 9 decimals as protobuf does.
pub(crate) fn print_duration(seconds: i64, nanos: i32) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    format!("{sign}{}{}s", seconds.unsigned_abs(), print_nanos(nanos.unsigned_abs()))
}

/// Parses a time of RFC 3339 into seconds since 1970 and nanoseconds.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, i32)> {
    let (year, rest) = take_digits(text, 4, "-")?;
    let (month, rest) = take_digits(rest, 2, "-")?;
    let (day, rest) = take_digits(rest, 2, "T")?;
    let (hour, rest) = take_digits(rest, 2, ":")?;
    let (minute, rest) = take_digits(rest, 2, ":")?;
    let (second, rest) = take_digits(rest, 2, "")?;
    if year == 0 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, rest) = take_nanos(rest)?;
    let local = days_from_civil(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second;
    Some((local - parse_offset(rest)?, nanos))
}

/// `Z`, or how far ahead of UTC the clock is.
fn parse_offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, rest) = take_digits(digits, 2, ":")?;
    let (minutes, rest) = take_digits(rest, 2, "")?;
    rest.is_empty().then_some(sign * (hours * 3600 + minutes * 60))
}

/// Prints a time of RFC 3339 in UTC.
pub(crate) fn print_timestamp(seconds: i64, nanos: i32) -> String {
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_A_DAY));
    let second = seconds.rem_euclid(SECONDS_A_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let decimals = print_nanos(nanos.unsigned_abs());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{decimals}Z")
}

/// Exactly so many digits, then a separator.
fn take_digits<'a>(text: &'a str, count: usize, separator: &str) -> Option<(i64, &'a str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let all_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
    Some((digits.parse().ok().filter(|_| all_digits)?, rest.strip_prefix(separator)?))
}

/// A point with one to nine decimals, or nothing.
fn take_nanos(text: &str) -> Option<(i32, &str)> {
    let Some(decimals) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = decimals.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(decimals.len());
    let (digits, rest) = decimals.split_at(end);
    if !(1..=9).contains(&digits.len()) {
        return None;
    }
    Some((format!("{digits:0<9}").parse().ok()?, rest))
}

fn print_nanos(nanos: u32) -> String {
    match nanos {
        0 => String::new(),
        _ if nanos.is_multiple_of(1_000_000) => format!(".{:03}", nanos / 1_000_000),
        _ if nanos.is_multiple_of(1_000) => format!(".{:06}", nanos / 1_000),
        _ => format!(".{nanos:09}"),
    }
}

/// Days since 1970 of a date in the Gregorian calendar, which repeats every 400 years (146,097 days).
///
/// The year is taken to begin in March, so that the leap day is its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed() {
        for (text, seconds, nanos, printed) in [
            ("5s", 5, 0, "5s"),
            ("1.5s", 1, 500_000_000, "1.500s"),
            ("0.000000001s", 0, 1, "0.000000001s"),
            ("-0.25s", 0, -250_000_000, "-0.250s"),
            ("01s", 1, 0, "1s"),
            ("315576000000s", MAX_DURATION_SECONDS, 0, "315576000000s"),
        ] {
            assert_eq!(parse_duration(text), Ok((seconds, nanos)), "{text}");
            assert_eq!(print_duration(seconds, nanos), printed);
        }
    }

    #[test]
    fn what_envoy_refuses_as_a_duration_is_refused() {
        for text in [
            "",
            "s",
            "5",
            "5S",
            "1000ms",
            "1m",
            "+1s",
            " 1s",
            ".5s",
            "1.s",
            "1e3s",
            "1.1234567891s",
            "5ss",
            "--1s",
            "315576000001s",
            "9999999999999999999s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_and_printed() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2000-02-29T12:34:56Z", 951_827_696, 0),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
        ] {
            assert_eq!(parse_timestamp(text), Some((seconds, nanos)), "{text}");
            assert_eq!(print_timestamp(seconds, nanos), text);
        }
        assert_eq!(parse_timestamp("1970-01-01T01:30:00.5+01:30"), Some((0, 500_000_000)));
        for text in [
            "",
            "1970-01-01",
            "1970-13-01T00:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00z",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
