//! The value of `date`, written once a second (RFC 9110 §5.6.7).

use std::cell::{Cell, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SECONDS_PER_DAY: u64 = 86_400;

/// The last value written, and for which second.
#[derive(Debug, Default)]
pub struct DateCache {
    second: Cell<u64>,
    text: RefCell<String>,
}

impl DateCache {
    /// Calls `with` with the value for `now`.
    pub fn with<R>(&self, now: SystemTime, with: impl FnOnce(&[u8]) -> R) -> R {
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.second.replace(second) || self.text.borrow().is_empty() {
            self.text.replace(imf_fixdate(second));
        }
        with(self.text.borrow().as_bytes())
    }
}

fn imf_fixdate(second: u64) -> String {
    let (days, of_day) = (second / SECONDS_PER_DAY, second % SECONDS_PER_DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let (week_day, month) = (DAYS[(days % 7) as usize], MONTHS[month - 1]);
    format!("{week_day}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Year, month and day of a count of days since 1970, by counting in years that begin in March.
fn civil(days: u64) -> (u64, usize, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_form_of_the_standard() {
        for (second, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        ] {
            assert_eq!(imf_fixdate(second), text);
        }
    }
}
