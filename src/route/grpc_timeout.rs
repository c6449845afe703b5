//! The header `grpc-timeout` (gRPC over HTTP2, `Timeout`): how long a gRPC client waits.

use std::time::Duration;

use crate::base::headers::{Headers, Known};

/// Digits of a timeout at most.
const MAX_DIGITS: usize = 8;

/// The largest number with so many digits.
const MAX_NUMBER: u128 = 99_999_999;

/// Whether the request is a gRPC request.
pub fn is_grpc(headers: &Headers) -> bool {
    headers.get(Known::ContentType).is_some_and(|value| {
        value.strip_prefix(b"application/grpc").is_some_and(|rest| rest.is_empty() || rest[0] == b'+')
    })
}

/// What the header says, in whole milliseconds, rounded up; `None` where it is missing or malformed.
pub fn read(headers: &Headers) -> Option<Duration> {
    let (unit, digits) = headers.get(Known::GrpcTimeout)?.split_last()?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    let millis = match unit {
        b'H' => number * 3_600_000,
        b'M' => number * 60_000,
        b'S' => number * 1000,
        b'm' => number,
        b'u' => number.div_ceil(1000),
        b'n' => number.div_ceil(1_000_000),
        _ => return None,
    };
    Some(Duration::from_millis(millis))
}

/// Writes the header anew, in milliseconds, or in the first larger unit in which it has no more than eight digits.
pub fn write(headers: &mut Headers, timeout: Duration) {
    let millis = timeout.as_millis();
    let (number, unit) = [(1, b'm'), (1000, b'S'), (60_000, b'M')]
        .into_iter()
        .map(|(divisor, unit)| (millis / divisor, unit))
        .find(|(number, _)| *number <= MAX_NUMBER)
        .unwrap_or(((millis / 3_600_000).min(MAX_NUMBER), b'H'));
    let mut text = itoa::Buffer::new().format(number).as_bytes().to_vec();
    text.push(unit);
    headers.set(Known::GrpcTimeout, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> Headers {
        let mut headers = Headers::new();
        headers.append(Known::GrpcTimeout, value.as_bytes());
        headers
    }

    #[test]
    fn a_timeout_has_at_most_eight_digits_and_a_unit() {
        for (value, millis) in [
            ("5S", Some(5000)),
            ("1H", Some(3_600_000)),
            ("2M", Some(120_000)),
            ("7m", Some(7)),
            ("1500u", Some(2)),
            ("1n", Some(1)),
            ("0m", Some(0)),
            ("99999999m", Some(99_999_999)),
            ("123456789m", None),
            ("5", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("5s", None),
        ] {
            assert_eq!(read(&with(value)), millis.map(Duration::from_millis), "{value}");
        }
    }

    #[test]
    fn a_timeout_is_written_in_the_first_unit_that_holds_it() {
        for (millis, written) in [(0, "0m"), (99_999_999, "99999999m"), (100_000_000, "100000S")] {
            let mut headers = Headers::new();
            write(&mut headers, Duration::from_millis(millis));
            assert_eq!(headers.get(Known::GrpcTimeout), Some(written.as_bytes()));
        }
    }
}
