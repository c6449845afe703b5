//! Times.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

use crate::config::format::{Offset, TimeFormat, TimePart, Zone};

use super::command::display;
use super::{Given, strftime};
use crate::observability::timestamp::MONTHS;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Writes a time.
pub(super) fn write(format: &TimeFormat, time: SystemTime, out: &mut Vec<u8>) -> Given {
    let time = Civil::new(time, format.zone);
    match &format.parts {
        None => time.standard(format.zone, out),
        Some(parts) => parts.iter().for_each(|part| time.part(part, out)),
    }
    Given::Text
}

/// A moment as a calendar and a clock show it.
pub(super) struct Civil {
    epoch: i64,
    nanos: u32,
    /// Seconds east of Greenwich.
    offset: i64,
    year: i64,
    /// 1 to 12.
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    /// From 0 for Sunday.
    week_day: u32,
    /// From 0.
    year_day: u32,
}

impl Civil {
    fn new(time: SystemTime, zone: Zone) -> Self {
        let (epoch, nanos) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (after.as_secs() as i64, after.subsec_nanos()),
            // Before 1970 is no time that a request starts at.
            Err(_) => (0, 0),
        };
        let offset = match zone {
            Zone::Utc => 0,
            Zone::Local => jiff::Timestamp::from_second(epoch)
                .map_or(0, |moment| TimeZone::system().to_offset(moment).seconds().into()),
        };
        let local = epoch + offset;
        let (days, seconds) = (local.div_euclid(86_400), local.rem_euclid(86_400) as u32);
        let (year, month, day) = date(days);
        Civil {
            epoch,
            nanos,
            offset,
            year,
            month,
            day,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            week_day: (days + 4).rem_euclid(7) as u32,
            year_day: (days - days_before(year)) as u32,
        }
    }

    /// `2026-01-31T12:00:00.123Z`, or with an offset in local time.
    fn standard(&self, zone: Zone, out: &mut Vec<u8>) {
        self.date(out);
        out.push(b'T');
        self.clock(out);
        out.push(b'.');
        digits(self.nanos / 1_000_000, 3, out);
        match zone {
            Zone::Utc => out.push(b'Z'),
            Zone::Local => self.zone_offset("", out),
        }
    }

    fn date(&self, out: &mut Vec<u8>) {
        digits(self.year.unsigned_abs() as u32, 4, out);
        out.push(b'-');
        digits(self.month, 2, out);
        out.push(b'-');
        digits(self.day, 2, out);
    }

    fn clock(&self, out: &mut Vec<u8>) {
        digits(self.hour, 2, out);
        out.push(b':');
        digits(self.minute, 2, out);
        out.push(b':');
        digits(self.second, 2, out);
    }

    fn zone_offset(&self, separator: &str, out: &mut Vec<u8>) {
        out.push(if self.offset < 0 { b'-' } else { b'+' });
        let minutes = (self.offset.unsigned_abs() / 60) as u32;
        digits(minutes / 60, 2, out);
        out.extend_from_slice(separator.as_bytes());
        digits(minutes % 60, 2, out);
    }

    /// `+01:00:00`, as far as it is asked for.
    fn colon_offset(&self, offset: Offset, out: &mut Vec<u8>) {
        let start = out.len();
        self.zone_offset(":", out);
        let seconds = (self.offset.unsigned_abs() % 60) as u32;
        if offset == Offset::Seconds || (offset == Offset::Shortest && seconds > 0) {
            out.push(b':');
            digits(seconds, 2, out);
        } else if offset == Offset::Shortest && out.ends_with(b":00") {
            out.truncate(start + "+00".len());
        }
    }

    /// Seconds since 1970.
    pub(super) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Seconds east of Greenwich.
    pub(super) fn offset(&self) -> i64 {
        self.offset
    }

    fn part(&self, part: &TimePart, out: &mut Vec<u8>) {
        match part {
            TimePart::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
            TimePart::Epoch => out.extend_from_slice(itoa::Buffer::new().format(self.epoch).as_bytes()),
            TimePart::Fraction(count) => self.fraction(*count, out),
            TimePart::ShortFraction => self.short_fraction("", out),
            TimePart::SecondFraction(count) => {
                digits(self.second, 2, out);
                if *count > 0 {
                    out.push(b'.');
                    self.fraction(*count, out);
                }
            }
            TimePart::SecondShortFraction => {
                digits(self.second, 2, out);
                self.short_fraction(".", out);
            }
            TimePart::ColonOffset(offset) => self.colon_offset(*offset, out),
            TimePart::Directive(letter) => self.directive(*letter, out),
            TimePart::Strftime(format) => strftime::write(format, self, out),
        }
    }

    /// So many digits of the fraction; those beyond nanoseconds are zeros.
    fn fraction(&self, count: u8, out: &mut Vec<u8>) {
        let start = out.len();
        digits(self.nanos, 9, out);
        out.resize(start + usize::from(count), b'0');
    }

    /// The digits of the fraction up to the last that is no zero.
    fn short_fraction(&self, before: &str, out: &mut Vec<u8>) {
        if self.nanos == 0 {
            // A fraction that stands alone keeps a digit.
            out.extend_from_slice(if before.is_empty() { b"0" } else { b"" });
            return;
        }
        out.extend_from_slice(before.as_bytes());
        digits(self.nanos, 9, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }

    /// Writes what a letter stands for.
    pub(super) fn directive(&self, letter: char, out: &mut Vec<u8>) {
        let month = MONTHS[self.month as usize - 1];
        let day = DAYS[self.week_day as usize];
        let hour_12 = (self.hour + 11) % 12 + 1;
        let half = if self.hour < 12 { "AM" } else { "PM" };
        let padded = |value: u32, out: &mut Vec<u8>| {
            display(format_args!("{value:2}"), out);
        };
        match letter {
            'a' => out.extend_from_slice(&day.as_bytes()[..3]),
            'A' => out.extend_from_slice(day.as_bytes()),
            'b' | 'h' => out.extend_from_slice(&month.as_bytes()[..3]),
            'B' => out.extend_from_slice(month.as_bytes()),
            'c' => self.several(&["a", " ", "b", " ", "e", " ", "T", " ", "Y"], out),
            'C' => digits((self.year / 100) as u32, 2, out),
            'd' => digits(self.day, 2, out),
            'D' | 'x' => self.several(&["m", "/", "d", "/", "y"], out),
            'e' => padded(self.day, out),
            'F' => self.date(out),
            'g' => digits((self.week_year().0 % 100) as u32, 2, out),
            'G' => digits(self.week_year().0 as u32, 4, out),
            'H' => digits(self.hour, 2, out),
            'I' => digits(hour_12, 2, out),
            'j' => digits(self.year_day + 1, 3, out),
            'k' => padded(self.hour, out),
            'l' => padded(hour_12, out),
            'm' => digits(self.month, 2, out),
            'M' => digits(self.minute, 2, out),
            'p' => out.extend_from_slice(half.as_bytes()),
            'P' => out.extend_from_slice(half.to_ascii_lowercase().as_bytes()),
            'r' => self.several(&["I", ":", "M", ":", "S", " ", "p"], out),
            'R' => self.several(&["H", ":", "M"], out),
            'S' => digits(self.second, 2, out),
            'T' | 'X' => self.clock(out),
            'u' => digits((self.week_day + 6) % 7 + 1, 1, out),
            'U' => digits((self.year_day + 7 - self.week_day) / 7, 2, out),
            'V' => digits(self.week_year().1, 2, out),
            'w' => digits(self.week_day, 1, out),
            'W' => digits((self.year_day + 7 - (self.week_day + 6) % 7) / 7, 2, out),
            'y' => digits((self.year % 100) as u32, 2, out),
            'Y' => out.extend_from_slice(itoa::Buffer::new().format(self.year).as_bytes()),
            'Z' if self.offset == 0 => out.extend_from_slice(b"UTC"),
            'z' | 'Z' => self.zone_offset("", out),
            // The parser lets no other through.
            _ => {}
        }
    }

    /// Directives, and text between them that is no letter.
    fn several(&self, parts: &[&str], out: &mut Vec<u8>) {
        for part in parts {
            match part.chars().next() {
                Some(letter) if letter.is_ascii_alphabetic() => self.directive(letter, out),
                _ => out.extend_from_slice(part.as_bytes()),
            }
        }
    }

    /// Year and number of the week after ISO 8601: the week belongs to the year of its Thursday.
    fn week_year(&self) -> (i64, u32) {
        let monday_first = i64::from((self.week_day + 6) % 7);
        let thursday = days_before(self.year) + i64::from(self.year_day) - monday_first + 3;
        let year = date(thursday).0;
        (year, ((thursday - days_before(year)) / 7 + 1) as u32)
    }
}

/// A number with so many digits, zeros before it.
fn digits(value: u32, count: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + count, b'0');
    let mut value = value;
    for digit in out[start..].iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970, by the proleptic Gregorian calendar.
///
/// Years begin in March here, so that the leap day is a year's last; 400 years are 146,097 days.
fn date(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * from_march + 2) / 5 + 1) as u32;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from 1970 to the first of January of a year.
fn days_before(year: i64) -> i64 {
    let before = year - 1;
    365 * (year - 1970) + (before.div_euclid(4) - 492) - (before.div_euclid(100) - 19)
        + (before.div_euclid(400) - 4)
}
