//! Dates and times of log lines: local time, English names, as spdlog prints them.

use std::fmt::Write;

use jiff::civil::Weekday;
use jiff::{Timestamp, Zoned};

use crate::observability::timestamp::MONTHS;

/// Now, in nanoseconds of the epoch.
pub(super) fn now_ns() -> i64 {
    ns(Timestamp::now())
}

/// A moment in nanoseconds of the epoch.
pub(super) fn epoch_ns(time: &Zoned) -> i64 {
    ns(time.timestamp())
}

fn ns(timestamp: Timestamp) -> i64 {
    i64::try_from(timestamp.as_nanosecond()).unwrap_or(i64::MAX)
}

/// Appends what the pattern flag `flag` prints of `time`; nothing when the flag is not about time.
pub(super) fn write(flag: char, time: &Zoned, out: &mut String) {
    let year = time.year();
    let short_year = year.rem_euclid(100);
    let (month, day) = (time.month(), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let hour12 = (hour + 11) % 12 + 1;
    let half = if hour < 12 { "AM" } else { "PM" };
    let written = match flag {
        'Y' => write!(out, "{year}"),
        'C' => write!(out, "{short_year:02}"),
        'm' => write!(out, "{month:02}"),
        'd' => write!(out, "{day:02}"),
        'H' => write!(out, "{hour:02}"),
        'I' => write!(out, "{hour12:02}"),
        'M' => write!(out, "{minute:02}"),
        'S' => write!(out, "{second:02}"),
        'p' => out.write_str(half),
        'e' => write!(out, "{:03}", time.subsec_nanosecond() / 1_000_000),
        'f' => write!(out, "{:06}", time.subsec_nanosecond() / 1_000),
        'F' => write!(out, "{:09}", time.subsec_nanosecond()),
        'E' => write!(out, "{}", time.timestamp().as_second()),
        'r' => write!(out, "{hour12:02}:{minute:02}:{second:02} {half}"),
        'R' => write!(out, "{hour:02}:{minute:02}"),
        'T' | 'X' => write!(out, "{hour:02}:{minute:02}:{second:02}"),
        'D' | 'x' => write!(out, "{month:02}/{day:02}/{short_year:02}"),
        'a' => out.write_str(&weekday(time)[..3]),
        'A' => out.write_str(weekday(time)),
        'b' | 'h' => out.write_str(&month_name(time)[..3]),
        'B' => out.write_str(month_name(time)),
        'c' => {
            let (weekday, month) = (&weekday(time)[..3], &month_name(time)[..3]);
            write!(out, "{weekday} {month} {day} {hour:02}:{minute:02}:{second:02} {year}")
        }
        'z' => write_offset(time, out),
        _ => Ok(()),
    };
    // Writing to a string cannot fail.
    written.unwrap_or_default();
}

fn write_offset(time: &Zoned, out: &mut String) -> std::fmt::Result {
    let seconds = time.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn month_name(time: &Zoned) -> &'static str {
    let index = usize::from(time.month().unsigned_abs()).saturating_sub(1);
    MONTHS.get(index).copied().unwrap_or("???")
}

fn weekday(time: &Zoned) -> &'static str {
    match time.weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}
