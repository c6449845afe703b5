//! Moments and spans.

use jiff::tz::TimeZone;

use super::{Failure, Value};

/// Nanoseconds of a second.
pub(super) const SECOND: i128 = 1_000_000_000;

/// The longest span, either way: 10,000 years, as in protos.
const LONGEST: i128 = 315_576_000_000 * SECOND;

/// The first and the last moment: those of the years 1 and 9999.
const MOMENTS: std::ops::RangeInclusive<i128> = -62_135_596_800 * SECOND..=253_402_300_800 * SECOND - 1;

pub(super) fn in_duration<'v>(nanoseconds: i128) -> Option<Value<'v>> {
    (nanoseconds.abs() <= LONGEST).then_some(Value::Duration(nanoseconds))
}

pub(super) fn in_timestamp<'v>(nanoseconds: i128) -> Option<Value<'v>> {
    MOMENTS.contains(&nanoseconds).then_some(Value::Timestamp(nanoseconds))
}

/// `duration`: of a text such as `1h30m`.
pub(super) fn to_duration<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    let span = match value {
        Value::Duration(span) => Some(*span),
        Value::String(text) => std::str::from_utf8(text).ok().and_then(span),
        _ => None,
    };
    span.and_then(in_duration).ok_or(Failure::Error)
}

/// `timestamp`: of a text of RFC 3339, or of seconds.
pub(super) fn to_timestamp<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    let moment = match value {
        Value::Timestamp(moment) => Some(*moment),
        Value::Int(seconds) => Some(i128::from(*seconds) * SECOND),
        Value::String(text) => {
            let text = std::str::from_utf8(text).ok();
            let moment = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
            moment.map(|moment| moment.as_nanosecond())
        }
        _ => None,
    };
    moment.and_then(in_timestamp).ok_or(Failure::Error)
}

/// A span as Abseil reads it: numbers with units, a sign before them all.
fn span(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut whole: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, behind) = rest.split_at(digits);
        let (unit, behind) = unit(behind)?;
        whole = whole.checked_add(scaled(number, unit)?)?;
        rest = behind;
    }
    (!text.is_empty() && text != "-" && text != "+").then_some(sign * whole)
}

fn unit(text: &str) -> Option<(i128, &str)> {
    let units =
        [("ns", 1), ("us", 1000), ("ms", 1_000_000), ("s", SECOND), ("m", 60 * SECOND), ("h", 3600 * SECOND)];
    units.iter().find_map(|(name, unit)| Some((*unit, text.strip_prefix(name)?)))
}

fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // More digits than these are below a nanosecond of an hour.
    let fraction = &fraction[..fraction.len().min(15)];
    let below = 10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    whole.checked_mul(unit)?.checked_add(part.checked_mul(unit)? / below)
}

/// Where clocks show another time than UTC.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    /// Nanoseconds ahead of UTC.
    Offset(i128),
    /// A zone of this machine's database.
    Named(TimeZone),
}

impl Zone {
    /// From its name, or from hours and minutes ahead of UTC (`+05:30`); `None` where there is no such zone.
    pub(super) fn find(name: &str) -> Option<Self> {
        if let Some((hours, minutes)) = name.split_once(':') {
            let sign = if hours.starts_with('-') { -1 } else { 1 };
            let hours: i32 = hours.parse().ok()?;
            let minutes: i32 = minutes.parse().ok()?;
            let seconds = i128::from(hours) * 3600 + sign * i128::from(minutes) * 60;
            return Some(Zone::Offset(seconds * SECOND));
        }
        if name.is_empty() || name == "UTC" {
            return Some(Zone::Offset(0));
        }
        // Names are looked up without regard to case there.
        let zone = TimeZone::get(name).ok()?;
        (zone.iana_name() == Some(name)).then_some(Zone::Named(zone))
    }
}

/// A part of a moment, in UTC, or of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    FullYear,
    Month,
    DayOfYear,
    DayOfMonth,
    Date,
    DayOfWeek,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Part {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "getFullYear" => Part::FullYear,
            "getMonth" => Part::Month,
            "getDayOfYear" => Part::DayOfYear,
            "getDayOfMonth" => Part::DayOfMonth,
            "getDate" => Part::Date,
            "getDayOfWeek" => Part::DayOfWeek,
            "getHours" => Part::Hours,
            "getMinutes" => Part::Minutes,
            "getSeconds" => Part::Seconds,
            "getMilliseconds" => Part::Milliseconds,
            _ => return None,
        })
    }

    pub(super) fn of(self, value: &Value<'_>) -> Result<i64, Failure> {
        let number = match value {
            Value::Timestamp(moment) => self.of_moment(*moment),
            Value::Duration(span) => self.of_span(*span),
            _ => None,
        };
        number.ok_or(Failure::Error)
    }

    /// A part of a moment, as clocks of a zone show it.
    pub(super) fn of_moment_in(self, moment: i128, zone: &Zone) -> Result<i64, Failure> {
        let number = match zone {
            Zone::Offset(offset) => self.of_moment(moment + offset),
            Zone::Named(zone) => self.of_zoned(moment, zone.clone()),
        };
        number.ok_or(Failure::Error)
    }

    fn of_moment(self, nanoseconds: i128) -> Option<i64> {
        self.of_zoned(nanoseconds, TimeZone::UTC)
    }

    fn of_zoned(self, nanoseconds: i128, zone: TimeZone) -> Option<i64> {
        let moment = jiff::Timestamp::from_nanosecond(nanoseconds).ok()?.to_zoned(zone);
        Some(match self {
            Part::FullYear => moment.year().into(),
            Part::Month => i64::from(moment.month()) - 1,
            Part::DayOfYear => i64::from(moment.day_of_year()) - 1,
            Part::DayOfMonth => i64::from(moment.day()) - 1,
            Part::Date => moment.day().into(),
            Part::DayOfWeek => moment.weekday().to_sunday_zero_offset().into(),
            Part::Hours => moment.hour().into(),
            Part::Minutes => moment.minute().into(),
            Part::Seconds => moment.second().into(),
            Part::Milliseconds => moment.millisecond().into(),
        })
    }

    fn of_span(self, nanoseconds: i128) -> Option<i64> {
        let number = match self {
            Part::Hours => nanoseconds / (3600 * SECOND),
            Part::Minutes => nanoseconds / (60 * SECOND),
            Part::Seconds => nanoseconds / SECOND,
            Part::Milliseconds => nanoseconds / 1_000_000 % 1000,
            _ => return None,
        };
        i64::try_from(number).ok()
    }
}
